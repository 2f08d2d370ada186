"""The public function: audit what a classifier was asked to forget."""

from collections.abc import Callable
from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state

from skunlearn.exceptions import UnsupportedEstimatorError
from skunlearn.influence import InfluenceUnlearningClassifier
from skunlearn.metrics._audit.attack import (
    attack,
    attack_owners,
    can_make_counterfactuals,
)
from skunlearn.metrics._audit.refit import replay_influence
from skunlearn.metrics._audit.replay import replay
from skunlearn.metrics._audit.report import AuditReport
from skunlearn.metrics._confidence import check_classifier, check_labelled
from skunlearn.sharding import ShardedUnlearningClassifier

__all__ = ["audit_forget"]

_REPLAYS: dict[type, Callable[[Any, Any], AuditReport]] = {
    ShardedUnlearningClassifier: replay,
    InfluenceUnlearningClassifier: replay_influence,
}


def audit_forget(
    estimator: Any,
    X_forget: Any,
    y_forget: Any,
    X_fresh: Any,
    y_fresh: Any,
    *,
    X_idx: Any = None,
    method: str = "attack",
    alpha: float = 0.01,
    n_jobs: int | None = None,
    random_state: Any = None,
) -> AuditReport:
    """Audit whether a classifier has forgotten rows.

    Parameters
    ----------
    estimator : classifier
        Any fitted classifier; for "replay" a
        :class:`~skunlearn.ShardedUnlearningClassifier` or an
        :class:`~skunlearn.InfluenceUnlearningClassifier`, or a pipeline that ends in
        one.
    X_forget : {array-like, sparse matrix, data frame} of shape (n_forget, n_features)
        The rows that should be forgotten, as they were. Not used by "replay".
    y_forget : array-like of shape (n_forget,)
        Their labels.
    X_fresh : {array-like, sparse matrix, data frame} of shape (n_fresh, n_features)
        Rows of the same population that the classifier was never trained on.
    y_fresh : array-like of shape (n_fresh,)
        Their labels.
    X_idx : int, sequence of int, slice or mask of bool, default=None
        Positions of the rows of `X_forget` in the `X` passed to `fit`, in the same
        order.
    method : {"attack", "replay"}, default="attack"
        How to audit.

        - "attack": statistical tests, see Notes. The report states their power.
        - "replay": the rows must be in `forgotten_indices_`, and what they were in,
          trained again on the retained rows, must be bit for bit what it is: the shards
          of the rows, or all of an influence classifier. Where that is not exact, its
          parameters must be within its `distance_bound_` of those that training gives.
          Requires `X_idx`. Costs the training of these shards, or a fit.
    alpha : float, default=0.01
        Level of the tests of "attack": how often a classifier that has forgotten is
        flagged, at most.
    n_jobs : int, default=None
        Number of jobs that train shadow models.
    random_state : int, RandomState instance or None, default=None
        Controls shadow models and samples.

    Returns
    -------
    AuditReport
        Whether the classifier is flagged, p-values, and power.

    Raises
    ------
    ForgetIndexError
        If `X_idx` names positions that do not exist.
    UnsupportedEstimatorError
        If `method` is "replay" and the classifier is another one.
    ValueError
        If a parameter is out of its range, or `X_idx` does not match `X_forget`.

    Notes
    -----
    An ensemble hides what its constituents know: an attack on the mean of twenty
    constituents passes whatever was forgotten. With `X_idx` and a sharded classifier,
    "attack" asks the shards that the rows were in, and trains each of them without the
    rows, and with them. The relative three-sample test [1]_ is a sign test: are the
    answers nearer to those of the first, or to those of the second? Otherwise, the
    scores of the rows and of fresh rows are compared by ranks, once as they are and
    once as likelihood ratios under shadow models [2]_.

    What was not flagged need not be forgotten: read `power`. "replay" has full power
    for exact unlearning, but trusts the classifier to say which rows it retains;
    :func:`find_traces` searches what is stored. For approximate unlearning, it cannot
    see what is smaller than the bound. The fitted transformers in the pipeline of an
    influence classifier are not trained again: they are not audited.

    References
    ----------
    .. [1] "Relative three-sample tests for unlearning audits", :arxiv:`2601.19755`.
    .. [2] N. Carlini et al., "Membership inference attacks from first principles", IEEE
       S&P 2022, Section V.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skunlearn import ShardedUnlearningClassifier
    >>> from skunlearn.metrics import audit_forget
    >>> X, y = make_classification(800, flip_y=0.3, random_state=0)
    >>> classifier = ShardedUnlearningClassifier(
    ...     DecisionTreeClassifier(), n_shards=4, random_state=0
    ... ).fit(X[:600], y[:600])
    >>> rows = np.arange(60)
    >>> data = X[rows], y[rows], X[600:], y[600:]
    >>> audit_forget(classifier, *data, X_idx=rows, random_state=0).flagged
    True
    >>> classifier = classifier.forget(rows)
    >>> audit_forget(classifier, *data, X_idx=rows, random_state=0).flagged
    False
    >>> print(audit_forget(classifier, *data, X_idx=rows, method="replay"))
    not flagged: 60 rows, replay test
    """
    if method not in ("attack", "replay"):
        raise ValueError(f"method must be 'attack' or 'replay'; got {method!r}.")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be between 0 and 1; got {alpha!r}.")
    check_classifier(estimator)
    forget = check_labelled(X_forget, y_forget)
    fresh = check_labelled(X_fresh, y_fresh)
    classifier, steps = _unwrap(estimator)
    if method == "replay":
        report = _find_replay(classifier, X_idx)(classifier, X_idx)
        if not report.n_rows:
            raise ValueError("X_idx names no rows. Pass the positions to audit.")
        return report
    rng = check_random_state(random_state)
    is_sharded = isinstance(classifier, ShardedUnlearningClassifier)
    if is_sharded and X_idx is not None and can_make_counterfactuals(classifier):
        for step in steps:
            forget = step.transform(forget[0]), forget[1]
            fresh = step.transform(fresh[0]), fresh[1]
        return attack_owners(classifier, forget, fresh, X_idx, alpha, rng)
    return attack(estimator, forget, fresh, alpha, rng, n_jobs)


def _unwrap(estimator: Any) -> tuple[Any, list[Any]]:
    """Return the classifier at the end of pipelines, and the pipelines before it."""
    steps = []
    while isinstance(estimator, Pipeline):
        if len(estimator.steps) > 1:
            steps.append(Pipeline(estimator.steps[:-1]))
        estimator = estimator.steps[-1][1]
    return estimator, steps


def _find_replay(classifier: Any, X_idx: Any) -> Callable[[Any, Any], AuditReport]:
    """Return how a classifier is trained again."""
    kinds = [kind for kind in _REPLAYS if isinstance(classifier, kind)]
    if not kinds:
        names = " or an ".join(kind.__name__ for kind in _REPLAYS)
        raise UnsupportedEstimatorError(
            f"method='replay' requires a {names}, or a pipeline that ends in one; got "
            f"{type(classifier).__name__}. Use method='attack'."
        )
    if X_idx is None:
        raise ValueError(
            "method='replay' requires X_idx, the positions that should be forgotten."
        )
    return _REPLAYS[kinds[0]]

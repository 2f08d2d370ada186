"""Membership inference: can a classifier's answers tell what it was trained on?"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed

from skunlearn._data.containers import join_rows, take_rows
from skunlearn.metrics._confidence import check_classifier, check_labelled, score_labels

__all__ = ["MembershipScore", "compare_by_likelihood", "membership_inference_score"]

_LOW_FPR = 0.01
_ATTACKS = ("loss", "confidence", "lira")
_CHUNK = 2**21  # values of a block of bootstrap samples


@dataclass(frozen=True)
class MembershipScore:
    """How well an attack tells members of the training data from other rows.

    Parameters
    ----------
    auc : float
        Area under the ROC curve of the attack: the probability that a member has a
        higher score than a row that is none. 0.5 is a guess, 1 a complete leak.
    advantage : float
        Largest difference of true and false positive rate over all thresholds.
    tpr_at_low_fpr : float
        True positive rate at a false positive rate of 1 %.
    auc_interval, advantage_interval, tpr_interval : tuple of float
        Bootstrap intervals of the three.
    attack : {"loss", "confidence", "lira"}
        The attack.
    confidence_level : float
        Level of the intervals.
    scores_member, scores_fresh : ndarray
        Scores of the rows, which grow with the evidence of membership.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skunlearn.metrics import membership_inference_score
    >>> X, y = load_iris(return_X_y=True)
    >>> tree = DecisionTreeClassifier(random_state=0).fit(X[::2], y[::2])
    >>> score = membership_inference_score(
    ...     tree, X[::2], y[::2], X[1::2], y[1::2], random_state=0
    ... )
    >>> round(score.auc, 2)
    0.52
    """

    auc: float
    advantage: float
    tpr_at_low_fpr: float
    auc_interval: tuple[float, float]
    advantage_interval: tuple[float, float]
    tpr_interval: tuple[float, float]
    attack: str
    confidence_level: float
    scores_member: np.ndarray = field(repr=False, compare=False)
    scores_fresh: np.ndarray = field(repr=False, compare=False)

    def __str__(self) -> str:
        """Return one line for people."""
        low, high = self.auc_interval
        return (
            f"{self.attack} attack: AUC {self.auc:.3f} "
            f"({self.confidence_level:.0%} interval {low:.3f} to {high:.3f}), "
            f"advantage {self.advantage:.3f}, "
            f"true positive rate {self.tpr_at_low_fpr:.3f} at 1 % false positives"
        )


def membership_inference_score(
    estimator: Any,
    X_member: Any,
    y_member: Any,
    X_fresh: Any,
    y_fresh: Any,
    *,
    attack: str = "loss",
    n_shadows: int = 16,
    n_bootstraps: int = 1000,
    confidence_level: float = 0.95,
    n_jobs: int | None = None,
    random_state: Any = None,
) -> MembershipScore:
    """Measure how well membership inference attacks a classifier.

    Pass the rows that were forgotten as members: after exact unlearning they are as
    fresh rows are, and the interval of the AUC covers 0.5. An ensemble hides what its
    constituents know; :func:`audit_forget` attacks those that the rows were in.

    Parameters
    ----------
    estimator : classifier
        Any fitted classifier.
    X_member : {array-like, sparse matrix, data frame} of shape (n_members, n_features)
        Rows that the classifier was, or may have been, trained on.
    y_member : array-like of shape (n_members,)
        Their labels.
    X_fresh : {array-like, sparse matrix, data frame} of shape (n_fresh, n_features)
        Rows of the same population that it was never trained on.
    y_fresh : array-like of shape (n_fresh,)
        Their labels.
    attack : {"loss", "confidence", "lira"}, default="loss"
        What a row is scored by.

        - "loss": the log-odds of its label, which orders rows as the log loss does; the
          margin without ``predict_proba``, correctness without decision values.
        - "confidence": the highest probability of any class, labels unseen [1]_.
        - "lira": the likelihood ratio of that log-odds under shadow models with and
          without the row [2]_. They are clones of `estimator`, each trained on half of
          all rows given here.
    n_shadows : int, default=16
        Number of shadow models of "lira".
    n_bootstraps : int, default=1000
        Number of bootstrap samples for the intervals.
    confidence_level : float, default=0.95
        Level of the intervals.
    n_jobs : int, default=None
        Number of jobs that train shadow models.
    random_state : int, RandomState instance or None, default=None
        Controls bootstrap samples and shadow models.

    Returns
    -------
    MembershipScore
        AUC, advantage and true positive rate at 1 % false positives, with intervals.

    Raises
    ------
    ValueError
        If there are no rows, or a parameter is out of its range.

    Notes
    -----
    The advantage is a maximum and is above 0 by chance as well; so is the lower end of
    its interval.

    References
    ----------
    .. [1] A. Salem et al., "ML-Leaks", NDSS 2019, Section V.
    .. [2] N. Carlini et al., "Membership inference attacks from first principles", IEEE
       S&P 2022, Section V.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skunlearn.metrics import membership_inference_score
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(400, 3)), rng.integers(10, size=400)
    >>> knn = KNeighborsClassifier(1).fit(X[:200], y[:200])
    >>> score = membership_inference_score(
    ...     knn, X[:200], y[:200], X[200:], y[200:], random_state=0
    ... )
    >>> print(score)
    loss attack: AUC 0.938 (95% interval 0.912 to 0.960), advantage 0.875, true ...
    """
    _check(attack, n_shadows, n_bootstraps, confidence_level)
    member = check_labelled(X_member, y_member)
    fresh = check_labelled(X_fresh, y_fresh)
    check_classifier(estimator)
    rng = check_random_state(random_state)
    if attack == "lira":
        scores = compare_by_likelihood(
            estimator, member, fresh, n_shadows=n_shadows, n_jobs=n_jobs, rng=rng
        ).ratios
    elif attack == "confidence":
        scores = [_find_confidence(estimator, X) for X, _ in (member, fresh)]
    else:
        scores = [score_labels(estimator, X, y) for X, y in (member, fresh)]
    values, intervals = _measure(
        scores[0], scores[1], n_bootstraps, confidence_level, rng
    )
    return MembershipScore(
        auc=values[0],
        advantage=values[1],
        tpr_at_low_fpr=values[2],
        auc_interval=intervals[0],
        advantage_interval=intervals[1],
        tpr_interval=intervals[2],
        attack=attack,
        confidence_level=confidence_level,
        scores_member=scores[0],
        scores_fresh=scores[1],
    )


def _check(
    attack: str, n_shadows: int, n_bootstraps: int, confidence_level: float
) -> None:
    if attack not in _ATTACKS:
        raise ValueError(f"attack must be one of {_ATTACKS}; got {attack!r}.")
    if n_shadows < 2:
        raise ValueError(f"n_shadows must be at least 2; got {n_shadows!r}.")
    if n_bootstraps < 1:
        raise ValueError(f"n_bootstraps must be at least 1; got {n_bootstraps!r}.")
    if not 0 < confidence_level < 1:
        raise ValueError(
            f"confidence_level must be between 0 and 1; got {confidence_level!r}."
        )


def _find_confidence(estimator: Any, X: Any) -> np.ndarray:
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(X), dtype=float).max(axis=1)
    if not hasattr(estimator, "decision_function"):
        raise ValueError(
            'attack="confidence" requires predict_proba or decision_function; '
            f'{type(estimator).__name__} has neither. Use attack="loss".'
        )
    scores = np.asarray(estimator.decision_function(X), dtype=float)
    return np.abs(scores) if scores.ndim == 1 else scores.max(axis=1)


# The curve and its bootstrap: counts of equal scores are all that matters


def _measure(
    member: np.ndarray,
    fresh: np.ndarray,
    n_bootstraps: int,
    confidence_level: float,
    rng: np.random.RandomState,
) -> tuple[list[float], list[tuple[float, float]]]:
    """Return AUC, advantage and TPR at low FPR, and their intervals."""
    values, codes = np.unique(np.concatenate([member, fresh]), return_inverse=True)
    codes = codes.ravel()
    shares = [
        np.bincount(part, minlength=len(values))[::-1] / len(part)  # highest first
        for part in (codes[: len(member)], codes[len(member) :])
    ]
    sizes = len(member), len(fresh)
    measures = _measure_curves(*(share[np.newaxis] for share in shares))[0]
    step = max(1, _CHUNK // len(values))
    samples = []
    for start in range(0, n_bootstraps, step):
        n = min(step, n_bootstraps - start)
        drawn = [
            rng.multinomial(size, share, n) / size
            for size, share in zip(sizes, shares, strict=True)
        ]
        samples.append(_measure_curves(*drawn))
    tail = (1 - confidence_level) / 2
    ends = np.quantile(np.concatenate(samples), [tail, 1 - tail], axis=0)
    return measures.tolist(), [(low, high) for low, high in ends.T.tolist()]


def _measure_curves(member: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """Return the three measures of each pair of distributions over the same scores."""
    tpr, fpr = member.cumsum(axis=1), fresh.cumsum(axis=1)
    auc = (fresh * (tpr - member / 2)).sum(axis=1)
    advantage = np.maximum((tpr - fpr).max(axis=1), 0.0)
    low = np.where(fpr <= _LOW_FPR + 1e-12, tpr, 0.0).max(axis=1)
    return np.clip(np.column_stack([auc, advantage, low]), 0.0, 1.0)


# Likelihood ratios by shadow models


@dataclass(frozen=True, eq=False)
class Likelihoods:
    """What shadow models say of some rows, members first.

    Parameters
    ----------
    ratios : list of two ndarray
        Log likelihood ratios of the members and of fresh rows.
    scores : ndarray of shape (n_shadows, n_rows)
        Scores of the rows by each shadow model.
    is_in : ndarray of bool, shape (n_shadows, n_rows)
        Which rows each of them was trained on.
    """

    ratios: list[np.ndarray]
    scores: np.ndarray
    is_in: np.ndarray


def compare_by_likelihood(
    estimator: Any,
    member: tuple[Any, np.ndarray],
    fresh: tuple[Any, np.ndarray],
    *,
    n_shadows: int,
    n_jobs: int | None,
    rng: np.random.RandomState,
) -> Likelihoods:
    """Return the log likelihood ratios of membership of two sets of rows.

    Shadow models come in pairs, trained on complementary halves, so that each row is in
    exactly one of a pair.
    """
    X = join_rows(member[0], fresh[0])
    y = np.concatenate([member[1], fresh[1]])
    is_in = np.zeros((n_shadows - n_shadows % 2, len(y)), dtype=bool)
    for pair in range(0, len(is_in), 2):
        is_in[pair] = rng.permutation(len(y)) < len(y) / 2
        is_in[pair + 1] = ~is_in[pair]
    seeds = rng.randint(np.iinfo(np.int32).max, size=len(is_in))
    call = delayed(_score_by_shadow)
    scores = np.array(
        Parallel(n_jobs=n_jobs)(
            call(estimator, X, y, mask, int(seed))
            for mask, seed in zip(is_in, seeds, strict=True)
        )
    )
    own = score_labels(estimator, X, y)
    ratios = compute_ratios(own, scores, is_in)
    n = len(member[1])
    return Likelihoods([ratios[:n], ratios[n:]], scores, is_in)


def compute_ratios(
    own: np.ndarray, scores: np.ndarray, is_in: np.ndarray
) -> np.ndarray:
    """Return log likelihood ratios under Gaussians with the row and without it.

    With few shadow models the variances of all rows are pooled (Carlini et al.).
    """
    log_likelihoods = []
    for mask in (is_in, ~is_in):
        mean = np.where(mask, scores, 0.0).sum(axis=0) / mask.sum(axis=0)
        square = np.where(mask, (scores - mean) ** 2, 0.0).sum()
        deviation = np.sqrt(square / max(1, mask.sum() - mask.shape[1])) + 1e-6
        log_likelihoods.append(stats.norm.logpdf(own, mean, deviation))
    return log_likelihoods[0] - log_likelihoods[1]


def _score_by_shadow(
    estimator: Any, X: Any, y: np.ndarray, mask: np.ndarray, seed: int
) -> np.ndarray:
    """Train a clone on some rows, and return its scores of all."""
    shadow = clone(estimator)
    names = [n for n in shadow.get_params() if n.endswith("random_state")]
    shadow.set_params(**dict.fromkeys(names, seed))
    where = np.flatnonzero(mask)
    return score_labels(shadow.fit(take_rows(X, where), y[where]), X, y)

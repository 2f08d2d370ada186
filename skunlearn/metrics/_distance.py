"""How far a classifier is from one that was retrained."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skunlearn.metrics._confidence import (
    check_classifier,
    check_labelled,
    score_labels,
)

__all__ = ["RetrainDistance", "retrain_distance"]

_N_BINS = 20
_PRIOR = 0.5  # of each bin, so that no divergence is infinite


@dataclass(frozen=True)
class RetrainDistance:
    """Distances between classifiers and retrained ones.

    Parameters
    ----------
    label_disagreement : float
        Share of rows with different labels.
    total_variation : float or None
        Mean total variation distance of the predicted probabilities, in [0, 1]. None
        without ``predict_proba``.
    margin_divergence : float or None
        Kullback-Leibler divergence of the margins, in nats. None without labels `y`.
    parameter_distance : float or None
        Euclidean distance of coefficients and intercepts. None for classifiers that
        have none, or of other shapes.
    n_rows : int
        Number of rows on which they were compared.

    Examples
    --------
    >>> from skunlearn.metrics import RetrainDistance
    >>> print(RetrainDistance(0.01, 0.02, None, None, 100))
    1.0% of 100 labels differ; total variation 0.02
    """

    label_disagreement: float
    total_variation: float | None
    margin_divergence: float | None
    parameter_distance: float | None
    n_rows: int

    def __str__(self) -> str:
        """Return one line for people."""
        words = [f"{self.label_disagreement:.1%} of {self.n_rows} labels differ"]
        for name in ("total_variation", "margin_divergence", "parameter_distance"):
            value = getattr(self, name)
            if value is not None:
                words.append(f"{name.replace('_', ' ')} {value:.3g}")
        return "; ".join(words)


def retrain_distance(
    estimator: Any, retrained: Any, X: Any, y: Any = None
) -> RetrainDistance:
    """Measure the distance between a classifier and one that was retrained.

    Parameters
    ----------
    estimator : classifier or sequence of classifiers
        The fitted classifier that has forgotten, or several of different seeds.
    retrained : classifier or sequence of classifiers
        The classifier that was fitted on the retained rows alone, or several.
    X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
        Rows to compare them on.
    y : array-like of shape (n_samples,), default=None
        Their labels, for the divergence of margins.

    Returns
    -------
    RetrainDistance
        The distances. Those of labels, probabilities and parameters are means over all
        pairs of `estimator` and `retrained`.

    Raises
    ------
    ValueError
        If there are no rows, or no classifiers.

    Notes
    -----
    The divergence is that of the margins of several classifiers from those of several
    retrained ones, row by row and averaged, over 20 quantile bins with half a count in
    each (KLoM [1]_); with a single classifier on either side, that of their
    distributions over all rows. Several seeds of retrained classifiers compared with
    one another give the distance that chance makes, which is the scale to read it on.

    References
    ----------
    .. [1] K. Georgiev et al., "Attribute-to-delete: machine unlearning via datamodel
       matching", ICLR 2025, Section 3.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skunlearn.metrics import retrain_distance
    >>> X, y = load_iris(return_X_y=True)
    >>> before = LogisticRegression(max_iter=1000).fit(X, y)
    >>> retrained = LogisticRegression(max_iter=1000).fit(X[5:], y[5:])
    >>> print(retrain_distance(before, retrained, X, y))
    0.0% of 150 labels differ; total variation 0.00102; margin divergence 0.0138; ...
    """
    firsts, seconds = _as_list(estimator), _as_list(retrained)
    X, labels = check_labelled(X, y)
    pairs = [(first, second) for first in firsts for second in seconds]
    return RetrainDistance(
        label_disagreement=float(np.mean([_disagree(*pair, X) for pair in pairs])),
        total_variation=_average([_vary(*pair, X) for pair in pairs]),
        margin_divergence=None if y is None else _diverge(firsts, seconds, X, labels),
        parameter_distance=_average([_part(*pair) for pair in pairs]),
        n_rows=X.shape[0],
    )


def _as_list(classifiers: Any) -> list[Any]:
    several = isinstance(classifiers, Sequence) and not hasattr(classifiers, "predict")
    found = list(classifiers) if several else [classifiers]
    if not found:
        raise ValueError("there are no classifiers to compare. Pass at least one.")
    for classifier in found:
        check_classifier(classifier)
    return found


def _average(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _disagree(first: Any, second: Any, X: Any) -> float:
    return float(np.mean(np.asarray(first.predict(X)) != np.asarray(second.predict(X))))


def _vary(first: Any, second: Any, X: Any) -> float | None:
    if not (hasattr(first, "predict_proba") and hasattr(second, "predict_proba")):
        return None
    classes = np.union1d(first.classes_, second.classes_)
    values = []
    for classifier in (first, second):
        proba = np.zeros((X.shape[0], len(classes)))
        columns = np.searchsorted(classes, classifier.classes_)
        proba[:, columns] = classifier.predict_proba(X)
        values.append(proba)
    return float(np.abs(values[0] - values[1]).sum(axis=1).mean() / 2)


def _part(first: Any, second: Any) -> float | None:
    vectors = [_find_parameters(first), _find_parameters(second)]
    if vectors[0] is None or vectors[1] is None or vectors[0].size != vectors[1].size:
        return None
    return float(np.linalg.norm(vectors[0] - vectors[1]))


def _find_parameters(classifier: Any) -> np.ndarray | None:
    """Return the coefficients and intercepts in one vector, None if there are none."""
    coef = getattr(classifier, "coef_", None)
    if coef is None or not hasattr(coef, "shape"):
        return None
    intercept = np.ravel(getattr(classifier, "intercept_", 0.0))
    return np.concatenate([np.ravel(np.asarray(coef, dtype=float)), intercept])


def _diverge(firsts: list[Any], seconds: list[Any], X: Any, y: np.ndarray) -> float:
    """Return the divergence of margins, by row where there are several classifiers."""
    margins = [
        np.array([score_labels(classifier, X, y) for classifier in side])
        for side in (firsts, seconds)
    ]
    if min(len(firsts), len(seconds)) == 1:
        return _compute_divergence(*(values.ravel() for values in margins))
    columns = zip(margins[0].T, margins[1].T, strict=True)
    return float(np.mean([_compute_divergence(*column) for column in columns]))


def _compute_divergence(first: np.ndarray, second: np.ndarray) -> float:
    both = np.concatenate([first, second])
    edges = np.unique(np.quantile(both, np.linspace(0, 1, _N_BINS + 1)))[1:-1]
    shares = []
    for values in (first, second):
        counts = np.bincount(
            np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1
        )
        shares.append((counts + _PRIOR) / (counts + _PRIOR).sum())
    return float((shares[0] * np.log(shares[0] / shares[1])).sum())

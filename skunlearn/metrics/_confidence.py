"""How sure a classifier is of the labels that rows have."""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.validation import check_is_fitted

from skunlearn._data.containers import is_frame

__all__ = ["check_classifier", "check_labelled", "find_probabilities", "score_labels"]

_EPS = 1e-12  # of a probability, so that its logarithm is finite


def check_labelled(X: Any, y: Any) -> tuple[Any, np.ndarray]:
    """Return rows, of which there must be at least one, and their labels if any."""
    if sparse.issparse(X):
        X = X.tocsr()
    elif not is_frame(X):
        X = np.asarray(X)
    if len(X.shape) != 2 or X.shape[0] == 0:
        raise ValueError(
            f"rows of shape (n_samples, n_features) are required, at least one; got "
            f"the shape {X.shape}."
        )
    labels = np.zeros(X.shape[0]) if y is None else column_or_1d(y)
    check_consistent_length(X, labels)
    return X, labels


def check_classifier(estimator: Any) -> None:
    """Raise an error if an object is not a fitted classifier."""
    if not hasattr(estimator, "predict"):
        raise TypeError(f"a fitted classifier is required; got {estimator!r}.")
    check_is_fitted(estimator)


def score_labels(estimator: Any, X: Any, y: Any) -> np.ndarray:
    """Return a score per row, the higher the surer the classifier is of its label.

    That is the log-odds of the label's probability or, without probabilities, the
    margin of its decision value over that of the best other class or, without these,
    whether the label is predicted. A class that the classifier does not know has the
    least score.
    """
    check_classifier(estimator)
    if hasattr(estimator, "predict_proba"):
        proba = find_probabilities(estimator, X, y)
        proba = np.clip(proba, _EPS, 1 - _EPS)
        return np.log(proba) - np.log1p(-proba)
    if hasattr(estimator, "decision_function"):
        return _find_margins(estimator, X, y)
    return (np.asarray(estimator.predict(X)) == y).astype(float)


def find_probabilities(estimator: Any, X: Any, y: np.ndarray) -> np.ndarray:
    """Return the probability of each row's label, 0 for an unknown class."""
    proba = np.asarray(estimator.predict_proba(X), dtype=float)
    is_label = np.asarray(estimator.classes_)[np.newaxis] == y[:, np.newaxis]
    return np.where(is_label, proba, 0.0).sum(axis=1)


def _find_margins(estimator: Any, X: Any, y: np.ndarray) -> np.ndarray:
    scores = np.asarray(estimator.decision_function(X), dtype=float)
    if scores.ndim == 1:
        scores = np.column_stack([-scores, scores]) / 2
    is_label = np.asarray(estimator.classes_)[np.newaxis] == y[:, np.newaxis]
    own = np.where(is_label, scores, -np.inf).max(axis=1)
    best_other = np.where(is_label, -np.inf, scores).max(axis=1)
    floor = -np.abs(scores).max(initial=0.0) - 1.0
    return np.where(np.isfinite(own), own - best_other, 2 * floor)

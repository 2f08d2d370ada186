"""From the answers of constituents to that of the whole (SISA, section IV.B).

The *scores* of a constituent are its probabilities or, where it has none, its decision
values or, failing that, the indicator of what it predicts. They are aligned to all
classes first: a shard may lack some.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

import numpy as np
from joblib import effective_n_jobs
from sklearn.tree import BaseDecisionTree
from sklearn.utils.parallel import Parallel, delayed

from skunlearn.sharding._linear import LogisticStack

__all__ = [
    "ScoreKind",
    "aggregate",
    "compute_scores",
    "find_score_kind",
    "rank_votes",
]

ScoreKind = Literal["predict_proba", "decision_function", "predict"]


def find_score_kind(estimator: Any) -> ScoreKind:
    """Return what an estimator's vote is made of."""
    if hasattr(estimator, "predict_proba"):
        return "predict_proba"
    if hasattr(estimator, "decision_function"):
        return "decision_function"
    return "predict"


def aggregate(
    estimators: list[Any],
    X: Any,
    classes: np.ndarray,
    kind: ScoreKind,
    voting: str,
    n_jobs: int | None,
) -> np.ndarray:
    """Return a score of each class, the highest being the answer.

    Parameters
    ----------
    estimators : list of classifier
        Fitted constituents.
    X : {array, sparse matrix, data frame} of shape (n_samples, n_features)
        Rows.
    classes : ndarray of shape (n_classes,)
        All classes.
    kind : {"predict_proba", "decision_function", "predict"}
        What scores are made of.
    voting : {"soft", "hard"}
        "soft": the mean of the scores. "hard": votes, with ties broken by the mean.
        Of probabilities the mean counts as one vote more, and the sum is made 1.
    n_jobs : int or None
        Number of threads.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        The scores.
    """
    if voting == "soft":
        return _mean_scores(estimators, X, classes, kind, n_jobs)
    votes, mean = _count_votes(estimators, X, classes, kind, n_jobs)
    return rank_votes(votes, mean, kind)


def rank_votes(votes: np.ndarray, mean: np.ndarray, kind: ScoreKind) -> np.ndarray:
    """Return scores that rank by votes and then by the mean, the first class first."""
    if kind == "predict_proba":
        return (votes + mean) / (votes.sum(axis=1, keepdims=True) + 1)
    rank = (-mean).argsort(axis=1, kind="stable").argsort(axis=1)
    return votes - rank / mean.shape[1]


def _mean_scores(
    estimators: list[Any],
    X: Any,
    classes: np.ndarray,
    kind: ScoreKind,
    n_jobs: int | None,
) -> np.ndarray:
    if kind == "predict_proba":
        stack = LogisticStack.from_estimators(estimators, X, classes)
        if stack is not None:
            return stack.mean_proba(X, n_jobs)
    scores = _each_scores(estimators, X, classes, kind, n_jobs)
    total = next(scores).astype(np.float64)
    for other in scores:
        total += other
    return total / len(estimators)


def _count_votes(
    estimators: list[Any],
    X: Any,
    classes: np.ndarray,
    kind: ScoreKind,
    n_jobs: int | None,
) -> tuple[np.ndarray, np.ndarray]:
    votes = np.zeros((X.shape[0], len(classes)))
    total = np.zeros_like(votes)
    rows = np.arange(X.shape[0])
    for scores in _each_scores(estimators, X, classes, kind, n_jobs):
        votes[rows, scores.argmax(axis=1)] += 1
        total += scores
    return votes, total / len(estimators)


def _each_scores(
    estimators: list[Any],
    X: Any,
    classes: np.ndarray,
    kind: ScoreKind,
    n_jobs: int | None,
) -> Iterator[np.ndarray]:
    """Yield the scores of each constituent, in order, so that sums are reproducible."""
    if isinstance(X, np.ndarray) and all(
        isinstance(estimator, BaseDecisionTree) for estimator in estimators
    ):
        X = X.astype(np.float32, copy=False)  # else every tree does it for itself
    compute = partial(compute_scores, X=X, classes=classes, kind=kind)
    if effective_n_jobs(n_jobs) == 1:
        return map(compute, estimators)
    threads = Parallel(n_jobs=n_jobs, require="sharedmem", return_as="generator")
    return threads(delayed(compute)(estimator) for estimator in estimators)


def compute_scores(
    estimator: Any,
    X: Any,
    classes: np.ndarray,
    kind: ScoreKind,
) -> np.ndarray:
    """Return one constituent's scores, aligned to all classes.

    A class that its shard lacks has probability 0, or the lowest of the decision
    values there are; where there is one class alone, its decision value is 1 and that
    of the others -1.
    """
    columns = np.searchsorted(classes, estimator.classes_)
    if kind == "predict_proba":
        proba = estimator.predict_proba(X)
        return _spread(proba, columns, len(classes), 0.0)
    if len(columns) == 1:
        return _spread(np.ones((X.shape[0], 1)), columns, len(classes), -1.0)
    if kind == "decision_function" and not _compares_pairs(estimator):
        values = estimator.decision_function(X)
        if values.ndim == 1:
            values = np.column_stack([-values, values])
        return _spread(values, columns, len(classes), values.min(axis=1, keepdims=True))
    codes = np.searchsorted(classes, estimator.predict(X))
    return np.eye(len(classes))[codes]


def _compares_pairs(estimator: Any) -> bool:
    """Tell whether decision values are of pairs of classes, which do not align."""
    if len(estimator.classes_) <= 2:
        return False
    params = estimator.get_params()
    return any(
        name.endswith("decision_function_shape") and value == "ovo"
        for name, value in params.items()
    )


def _spread(
    scores: np.ndarray, columns: np.ndarray, n_classes: int, missing: Any
) -> np.ndarray:
    if len(columns) == n_classes:
        return scores
    aligned = np.empty((len(scores), n_classes))
    aligned[:] = missing
    aligned[:, columns] = scores
    return aligned

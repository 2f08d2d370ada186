"""From the answers of constituents to that of the whole (SISA, section IV.B).

The *scores* of a constituent are its probabilities or, where it has none, its decision
values or, failing that, the indicator of what it predicts. They are aligned to all
classes first: a shard may lack some.
"""

from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    BaggingClassifier,
    RandomForestClassifier,
)
from sklearn.tree import BaseDecisionTree, DecisionTreeClassifier

from skunlearn._estimators.read_only import as_array, ask_labels, call_read_only
from skunlearn._estimators.skorch_nets import NetClassifier
from skunlearn.sharding._aggregation.panel import Panel, Question

__all__ = [
    "ScoreKind",
    "aggregate",
    "compute_scores",
    "find_judges",
    "find_score_kind",
    "rank_votes",
]

ScoreKind = Literal["predict_proba", "decision_function", "predict"]

# The methods of classes whose predict is the argmax of their predict_proba.
_HIGHEST = [
    (kind.predict, kind.predict_proba)
    for kind in (
        BaggingClassifier,
        DecisionTreeClassifier,
        NetClassifier,
        RandomForestClassifier,
    )
]


def find_judges(estimators: list[Any], prototype: Any) -> list[Any]:
    """Return those by which to tell what an answer can be made of.

    They are the constituents, of which searches may make different kinds, but for the
    constant ones and those that are missing. If there are no others, what they are
    copies of is all that there is to judge by.
    """
    judges = [e for e in estimators if not isinstance(e, (DummyClassifier, type(None)))]
    return judges or [prototype]


def find_score_kind(estimators: list[Any], prototype: Any) -> ScoreKind:
    """Return what the votes of all constituents can be made of.

    Scores are of no use where a constituent does not say of which classes they are.
    """
    if not all(hasattr(estimator, "classes_") for estimator in estimators):
        return "predict"
    judges = find_judges(estimators, prototype)
    if all(hasattr(judge, "predict_proba") for judge in judges):
        return "predict_proba"
    if all(hasattr(judge, "decision_function") for judge in judges):
        return "decision_function"
    return "predict"


def aggregate(
    panel: Panel,
    classes: np.ndarray,
    kind: ScoreKind,
    voting: str,
    weights: np.ndarray,
) -> np.ndarray:
    """Return a score of each class, the highest being the answer.

    Parameters
    ----------
    panel : Panel
        Fitted constituents, and rows.
    classes : ndarray of shape (n_classes,)
        All classes.
    kind : {"predict_proba", "decision_function", "predict"}
        What scores are made of.
    voting : {"soft", "hard"}
        "soft": the mean of the scores. "hard": what each predicts, with ties broken by
        the mean of the scores.
        Of probabilities the mean counts as one vote more, and the sum is made 1.
    weights : ndarray of shape (n_estimators,)
        What each vote counts.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        The scores. Whoever says NaN of a row abstains there; where all do, NaN is left.
    """
    panel = _with_converted_rows(panel)
    if voting == "soft":
        return _mean_scores(panel, classes, kind, weights)
    votes, mean = _count_votes(panel, classes, kind, weights)
    return rank_votes(votes, mean, kind)


def rank_votes(votes: np.ndarray, mean: np.ndarray, kind: ScoreKind) -> np.ndarray:
    """Return scores that rank by votes and then by the mean, the first class first."""
    if kind == "predict_proba":
        return (votes + mean) / (votes.sum(axis=1, keepdims=True) + 1)
    rank = (-mean).argsort(axis=1, kind="stable").argsort(axis=1)
    return np.where(np.isnan(mean), mean, votes - rank / mean.shape[1])


def _with_converted_rows(panel: Panel) -> Panel:
    """Convert rows for trees once, which else each of them does for itself."""
    if isinstance(panel.X, np.ndarray) and all(
        isinstance(estimator, BaseDecisionTree) for estimator in panel.estimators
    ):
        with np.errstate(over="ignore"):  # trees refuse what is too large
            return replace(panel, X=panel.X.astype(np.float32, copy=False))
    return panel


def _mean_scores(
    panel: Panel, classes: np.ndarray, kind: ScoreKind, weights: np.ndarray
) -> np.ndarray:
    total = np.zeros((panel.X.shape[0], len(classes)))
    question = Question(
        partial(compute_scores, classes=classes, kind=kind),
        lambda n: np.full((n, len(classes)), np.nan),
    )
    silent: Any = 0.0  # weight of those that abstain, of each row
    for weight, mine in zip(weights, panel.ask(question), strict=True):
        is_silent = _find_silent(mine)
        if is_silent is not None:
            mine, silent = _fill(mine, is_silent), silent + weight * is_silent
        total += mine if weight == 1 else weight * mine
    return _divide(total, weights.sum() - silent)


def _find_silent(scores: np.ndarray) -> np.ndarray | None:
    """Return a mask of the rows on which a constituent abstains; None if on none."""
    if not np.isnan(scores.sum()):  # at half the price
        return None
    return np.isnan(scores).any(axis=1)


def _fill(scores: np.ndarray, is_silent: np.ndarray) -> np.ndarray:
    return np.where(is_silent[:, None], 0.0, scores)


def _divide(total: np.ndarray, weight: Any) -> np.ndarray:
    """Return the mean, NaN where there is no weight."""
    if np.ndim(weight) == 0:
        return total / weight
    return total / np.where(weight > 0, weight, np.nan)[:, None]


def _count_votes(
    panel: Panel, classes: np.ndarray, kind: ScoreKind, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    votes = np.zeros((panel.X.shape[0], len(classes)))
    total = np.zeros_like(votes)
    rows = np.arange(len(votes))
    question = Question(
        partial(_compute_ballot, classes=classes, kind=kind),
        lambda n: (np.zeros(n, dtype=np.intp), np.full((n, len(classes)), np.nan)),
    )
    silent: Any = 0.0
    for weight, (codes, scores) in zip(weights, panel.ask(question), strict=True):
        is_silent = _find_silent(scores)
        if is_silent is None:
            votes[rows, codes] += weight
        else:
            scores, silent = _fill(scores, is_silent), silent + weight * is_silent
            votes[rows, codes] += np.where(is_silent, 0.0, weight)
        total += weight * scores
    return votes, _divide(total, weights.sum() - silent)


def _compute_ballot(
    estimator: Any, X: Any, classes: np.ndarray, kind: ScoreKind
) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes that one constituent predicts, as codes, and its scores."""
    scores = compute_scores(estimator, X, classes, kind)
    if kind == "predict" or _predicts_highest(estimator):
        return scores.argmax(axis=1), scores
    return np.searchsorted(classes, call_read_only(estimator.predict, X)), scores


def _predicts_highest(estimator: Any) -> bool:
    """Return True if `predict` is known to be the class of highest probability.

    It is not where there is a threshold, or where a sum of votes, decision values or
    logarithms is compared, which differ where probabilities are rounded to the same.
    """
    methods = type(estimator).predict, getattr(type(estimator), "predict_proba", None)
    return methods in _HIGHEST


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
    known = np.asarray(getattr(estimator, "classes_", classes))
    columns = np.searchsorted(classes, known)
    if kind == "predict_proba":
        proba = as_array(call_read_only(estimator.predict_proba, X), known)
        return _spread(proba, columns, len(classes), 0.0)
    if len(columns) == 1:
        return _spread(np.ones((X.shape[0], 1)), columns, len(classes), -1.0)
    if kind == "predict" or _compares_pairs(estimator):
        codes = np.searchsorted(classes, ask_labels(estimator, X))
        return np.eye(len(classes))[codes]
    values = as_array(call_read_only(estimator.decision_function, X), known)
    if values.ndim == 1:
        values = np.column_stack([-values, values])
    return _spread(values, columns, len(classes), values.min(axis=1, keepdims=True))


def _compares_pairs(estimator: Any) -> bool:
    """Return True if decision values are of pairs of classes, which do not align."""
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
    if np.array_equal(columns, np.arange(n_classes)):
        return scores
    aligned = np.empty((len(scores), n_classes))
    aligned[:] = missing
    aligned[:, columns] = scores
    return aligned

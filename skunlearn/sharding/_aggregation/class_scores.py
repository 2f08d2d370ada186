"""Aggregate constituents that know one class each (ARCANE, section 2).

The constituents of one part, one for each class, are a committee: together they score
every class. Committees are averaged, or each has one vote.
"""

from functools import partial
from typing import Any, Literal

import numpy as np
from scipy.special import logsumexp, softmax

from skunlearn._estimators.one_class import compute_log_density
from skunlearn._estimators.read_only import as_array, ask_labels, call_read_only
from skunlearn.sharding._aggregation.panel import Panel, Question
from skunlearn.sharding._aggregation.votes import ScoreKind, rank_votes

__all__ = [
    "ClassScoreKind",
    "answer_committees",
    "correct_prior",
    "form_committees",
    "score_shards",
]


ClassScoreKind = Literal[
    "log_density", "score", "predict_proba", "decision_function", "predict"
]


def score_shards(panel: Panel, kind: ClassScoreKind, n_shards: int) -> np.ndarray:
    """Return what each constituent says of its own class; NaN where there is none.

    The array is of shape (n_shards, n_samples).
    """
    scores = np.full((n_shards, panel.X.shape[0]), np.nan)
    question = Question(partial(_score_class, kind=kind), lambda n: np.full(n, np.nan))
    for shard, mine in zip(panel.shards, panel.ask(question), strict=True):
        scores[shard] = mine
    panel.check_silence(np.isnan(scores).all(axis=0))
    return scores


def _score_class(estimator: Any, X: Any, kind: ClassScoreKind) -> np.ndarray:
    if kind == "log_density":
        return compute_log_density(estimator, X)
    if kind == "score":
        scores = call_read_only(estimator.score_samples, X)
        return np.ravel(as_array(scores, np.empty(0)))
    known = np.asarray(getattr(estimator, "classes_", (0, 1)))
    own = np.flatnonzero(known == 1)
    if kind == "predict_proba":
        proba = as_array(call_read_only(estimator.predict_proba, X), known)
        return proba[:, own[0]] if len(own) else np.zeros(len(proba))
    if len(known) == 1:
        return np.full(X.shape[0], 1.0 if len(own) else -1.0)
    if kind == "decision_function":
        values = np.ravel(
            as_array(call_read_only(estimator.decision_function, X), known)
        )
        return values if own[0] == 1 else -values  # positive for the second class
    return ask_labels(estimator, X)


def correct_prior(proba: np.ndarray, n_against: int, n_rest: int) -> np.ndarray:
    """Correct the probability of a class that only some others were held against.

    Of `n_rest` rows of other classes `n_against` were trained on, so the odds against
    the class are too low by the ratio of the two.
    """
    if n_against == 0 or n_rest == 0:
        return proba
    return proba * n_against / (proba * n_against + (1 - proba) * n_rest)


def form_committees(scores: np.ndarray, n_classes: int) -> np.ndarray:
    """Return what constituents say, as (n_parts, n_samples, n_classes)."""
    return scores.reshape(n_classes, -1, scores.shape[1]).transpose(1, 2, 0)


def answer_committees(
    answers: np.ndarray,
    kind: ClassScoreKind,
    class_weights: np.ndarray,
    voting: str,
) -> tuple[np.ndarray, ScoreKind]:
    """Return a score of each class, the highest being the answer, and its kind.

    Parameters
    ----------
    answers : ndarray of shape (n_parts, n_samples, n_classes)
        Score that each committee gives each class; NaN where it has no constituent.
    kind : {"log_density", "score", "predict_proba", "decision_function", "predict"}
        What the scores are.
    class_weights : ndarray of shape (n_classes,)
        Weight of each class, for the prior.
    voting : {"soft", "hard"}
        Whether committees are averaged or vote.

    Returns
    -------
    scores : ndarray of shape (n_samples, n_classes)
        The scores.
    kind : {"predict_proba", "decision_function", "predict"}
        What they are.
    """
    log_prior = np.log(class_weights / class_weights.sum())
    if kind == "log_density":
        answers = answers + log_prior
        with np.errstate(invalid="ignore"):  # where all abstain on a class
            mean = softmax(_log_mean_exp(answers), axis=1)
    else:
        mean = _mean(answers, missing=0.0 if kind == "predict_proba" else -np.inf)
    is_proba = kind in ("log_density", "predict_proba")
    if is_proba:
        mean = _normalise(mean, np.exp(log_prior))
    score_kind: ScoreKind = "predict_proba" if is_proba else "decision_function"
    if voting == "soft":
        return mean, score_kind
    votes = np.zeros_like(mean)
    rows = np.arange(len(mean))
    no_chance = 0.0 if kind == "predict_proba" else -np.inf
    for scores in np.where(np.isnan(answers), no_chance, answers):
        has_answer = scores.max(axis=1) > no_chance  # else it abstains
        votes[rows, scores.argmax(axis=1)] += has_answer
    return rank_votes(votes, mean, score_kind), score_kind


def _log_mean_exp(logs: np.ndarray) -> np.ndarray:
    is_missing = np.isnan(logs)
    n_present = np.maximum((~is_missing).sum(axis=0), 1)
    with np.errstate(divide="ignore"):
        total = logsumexp(np.where(is_missing, -np.inf, logs), axis=0)
    return total - np.log(n_present)


def _mean(scores: np.ndarray, missing: float) -> np.ndarray:
    is_missing = np.isnan(scores)
    n_present = (~is_missing).sum(axis=0)
    total = np.where(is_missing, 0.0, scores).sum(axis=0)
    return np.where(n_present > 0, total / np.maximum(n_present, 1), missing)


def _normalise(proba: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Make rows sum to 1; where all abstain on all classes, return the prior."""
    total = proba.sum(axis=1, keepdims=True)
    is_known = total > 0  # not where all are 0, or NaN
    return np.where(is_known, proba / np.where(is_known, total, 1.0), prior)

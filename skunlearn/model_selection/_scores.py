"""Fit and score one candidate on one fold."""

import time
from typing import Any, NamedTuple

import numpy as np

from skunlearn._data.rows import Batch
from skunlearn._runtime.warn import CaughtWarning, catch_in_worker, warn
from skunlearn.model_selection._state import TestRows
from skunlearn.sharding._aggregation.panel import Replies

__all__ = ["Score", "align_scores", "call_in_worker", "fit_rows", "score"]


class Score(NamedTuple):
    """What a scorer says of a classifier: a number, or one by name."""

    scores: Any
    seconds: float


def fit_rows(classifier: Any, rows: Batch, identities: np.ndarray) -> Any:
    """Fit a classifier to rows whose groups are hashes of their identities."""
    weight = rows.sample_weight
    return classifier.fit(rows.X, rows.y, sample_weight=weight, groups=identities)


def fit_and_score(
    classifier: Any, train: Batch, identities: np.ndarray, test: TestRows, scorer: Any
) -> tuple[Any, float, Score]:
    """Fit a classifier to some rows and score it on others."""
    start = time.perf_counter()
    fit_rows(classifier, train, identities)
    seconds = time.perf_counter() - start
    replies = Replies(test.rows.X, test.bounds)
    return classifier, seconds, score(classifier, test, scorer, replies)


def score(classifier: Any, test: TestRows, scorer: Any, replies: Replies) -> Score:
    """Score a classifier; where that fails the score is NaN, with a warning.

    The retained rows of a block are predicted at once, as in a new search.
    """
    start, rows = time.perf_counter(), test.rows
    twin = classifier._as_it_is()
    twin._replies = replies
    try:
        scores = scorer(twin, rows.X, rows.y)
    except Exception as error:  # a fold may lack a class, and rows must be forgotten
        warn(
            f"scoring failed with {type(error).__name__} on a fold of {rows.size} "
            "rows; its score is NaN.",
            UserWarning,
        )
        scores = np.nan
    if isinstance(scores, dict):
        scores = {k: np.nan if isinstance(v, str) else v for k, v in scores.items()}
    return Score(scores, time.perf_counter() - start)


def align_scores(scores: list[Any]) -> list[Any]:
    """Return scores that have the same names, if any of them has names."""
    named: Any = next((each for each in scores if isinstance(each, dict)), None)
    if named is None:
        return scores
    failed = dict.fromkeys(named, np.nan)
    return [each if isinstance(each, dict) else failed for each in scores]


def call_in_worker(parent: int, *args: Any) -> tuple[Any, list[CaughtWarning]]:
    """Return what `fit_and_score` does, and the warnings of a worker process."""
    with catch_in_worker(parent) as caught:
        result = fit_and_score(*args)
    return result, caught

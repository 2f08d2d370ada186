"""The time of forgetting, as the number of all rows grows."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from _data import make_rows
from _timing import Comparison, Row, Scale, format_seconds, time_call
from sklearn.linear_model import LogisticRegression

from skunlearn import InfluenceUnlearningClassifier

__all__ = ["bench_growth"]

_SIZES = (10_000, 100_000, 1_000_000)


def bench_growth(scale: Scale) -> Iterator[Row]:
    """Forget as many rows, of ever more: one request after another, in turns.

    With n_steps="auto" passes over all rows are allowed, where the first step is not
    known to be good enough; so only single steps have a target.
    """
    classifiers = _fit_all(scale)
    streams = [
        np.random.default_rng(1).permutation(classifier.retained_indices_)
        for classifier in classifiers
    ]
    for n_steps, limit in ((1, 1.5), ("auto", None)):
        for classifier in classifiers:
            classifier.set_params(n_steps=n_steps)
        for n_rows, n_turns in ((1, 30), (10, 15), (100, 15)):
            n_turns = scale.repeats(n_turns) + 1
            parts = [stream[: n_rows * n_turns] for stream in streams]
            streams = [stream[n_rows * n_turns :] for stream in streams]
            turns = list(_forget_in_turns(classifiers, parts, n_turns))
            case = f"n_steps={n_steps}"
            yield from _judge(case, n_rows, turns, scale, at_most=limit)


def _fit_all(scale: Scale) -> list[InfluenceUnlearningClassifier]:
    """Fit one classifier on so many rows, one on more, one on very many."""
    X, y = make_rows(scale.size(_SIZES[-1]))
    return [
        InfluenceUnlearningClassifier(LogisticRegression(), exact=False).fit(
            X[:n], y[:n]
        )
        for n in map(scale.size, _SIZES)
    ]


def _forget_in_turns(
    classifiers: list[Any], parts: list[np.ndarray], n_turns: int
) -> Iterator[list[float]]:
    """Forget equal batches of rows, one classifier after the other; yield seconds."""
    batches = [np.split(part, n_turns) for part in parts]
    for requests in zip(*batches, strict=True):
        pairs = zip(classifiers, requests, strict=True)
        yield [time_call(lambda c=c, r=rows: c.forget(r)) for c, rows in pairs]


def _judge(
    case: str,
    n_rows: int,
    turns: list[list[float]],
    scale: Scale,
    at_most: float | None,
) -> Iterator[Row]:
    """Compare with the fewest rows."""
    fewest, *sizes = map(scale.size, _SIZES)
    for i, n in enumerate(sizes, start=1):
        times = Comparison.of_turns((turn[i], turn[0]) for turn in turns)
        ours, other = map(format_seconds, times.medians)
        words = f"{n_rows} of {n:,} rows, {case}"
        other = f"{other} at {fewest:,}"
        yield Row(words, ours, other, times.ratio, at_most=at_most)

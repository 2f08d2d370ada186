"""The time of forgetting, as the number of all rows grows."""

from collections.abc import Iterator

import numpy as np
from _data import make_rows
from _timing import Comparison, Row, Scale, format_seconds, time_call
from sklearn.linear_model import LogisticRegression

from skunlearn import InfluenceUnlearningClassifier

__all__ = ["bench_growth"]


def bench_growth(scale: Scale) -> Iterator[Row]:
    """(8) Forget as many rows, of ever more: one request after another, in turns.

    With n_steps="auto" passes over all rows are allowed, where the first step is not
    known to be good enough; so only single steps have a target.
    """
    sizes = [scale.size(n) for n in (10_000, 100_000, 1_000_000)]
    X, y = make_rows(sizes[-1])
    classifiers = [
        InfluenceUnlearningClassifier(LogisticRegression(), method="newton").fit(
            X[:n], y[:n]
        )
        for n in sizes
    ]
    del X, y
    streams = [np.random.default_rng(1).permutation(n) for n in sizes]
    for n_steps, limit in ((1, 1.5), ("auto", None)):
        for n_rows, n_turns in ((1, 30), (10, 15), (100, 5 if scale.quick else 15)):
            turns = []
            for _ in range(scale.repeats(n_turns) + 1):
                turn = []
                for i, classifier in enumerate(classifiers):
                    rows, streams[i] = np.split(streams[i], [n_rows])
                    classifier.set_params(n_steps=n_steps)
                    turn.append(time_call(lambda c=classifier, r=rows: c.forget(r)))
                turns.append(turn)
            for i, n in enumerate(sizes[1:], start=1):
                times = Comparison.of_turns((turn[i], turn[0]) for turn in turns)
                ours, other = map(format_seconds, times.medians)
                case = f"{n_rows} of {n:,} rows, n_steps={n_steps}"
                other = f"{other} at {sizes[0]:,}"
                yield Row(case, ours, other, times.ratio, at_most=limit)

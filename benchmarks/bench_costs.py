"""Predicted and measured seconds of forgetting one row, for several numbers of shards.

``python benchmarks/bench_costs.py`` prints one table; ``--quick`` is a smoke run. The
prediction is that of ``recommend_shards``, from a sample of half of the census. With
slices of 90 % and 10 % of the rows, nine requests in ten are for the last slice. Both
are seconds of the processor, so that other load counts little.
"""

import os

os.environ.update(  # before numpy is imported
    {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
)

import argparse
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import lightgbm
import numpy as np
from _boosting_data import LIKELY, draw_likely
from _data import load_census
from _timing import (
    Comparison,
    Row,
    Scale,
    describe_machine,
    format_header,
    format_seconds,
    time_call,
)
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skunlearn import ShardedUnlearningClassifier
from skunlearn.costs import recommend_shards, simulate_requests

_SHARDS = (1, 5, 20)
_SLICED_SHARDS = (4, 12)
_SIZES = (0.9, 0.1)
_SKEW = 0.9  # share of the requests for likely rows
_SLICED = {
    "HistGradientBoosting": HistGradientBoostingClassifier(early_stopping=False),
    "LightGBM": lightgbm.LGBMClassifier(n_jobs=1, verbose=-1),
}
_BASES = {
    "logistic regression": make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=1000)
    ),
    "random forest, 50 trees": RandomForestClassifier(50),
    "histogram gradient boosting": HistGradientBoostingClassifier(),
}


def bench_predictions(name: str, base: Any, scale: Scale) -> Iterator[Row]:
    """Forget single rows: predicted time over measured time, in turns."""
    X, _, y, _ = load_census()
    X, y = X[: scale.size(len(X))].copy(), y[: scale.size(len(y))]
    classifiers = {S: _shard(base, S).fit(X, y) for S in _SHARDS}
    stream = iter(simulate_requests(len(y), 1_000, random_state=0))
    turns: dict[int, list[tuple[float, float]]] = {S: [] for S in _SHARDS}
    for _ in range(scale.repeats(7) + 1):
        predicted = _predict(base, X, y)
        for S, classifier in classifiers.items():
            measured = median(
                _time(lambda c=classifier: c.forget(next(stream))) for _ in range(3)
            )
            turns[S].append((predicted[S], measured))
    for S in _SHARDS:
        yield _compare(f"{name}, S = {S}", turns[S])


def bench_slices(name: str, base: Any, scale: Scale) -> Iterator[Row]:
    """Forget likely rows and others, for slices: predicted over measured, in turns."""
    X, _, y, _ = load_census()
    X, y = X[: scale.size(len(X))].copy(), y[: scale.size(len(y))]
    likely = draw_likely(len(y))
    proba = np.where(likely, _SKEW / LIKELY, (1 - _SKEW) / (1 - LIKELY)) / 10
    classifiers = {
        S: _shard(base, S, _SIZES).fit(X, y, forget_proba=proba) for S in _SLICED_SHARDS
    }
    rows = np.random.default_rng(2).permutation(len(y))
    streams = (iter(rows[likely[rows]]), _SKEW), (iter(rows[~likely[rows]]), 1 - _SKEW)
    turns: dict[int, list[tuple[float, float]]] = {S: [] for S in _SLICED_SHARDS}
    for _ in range(scale.repeats(3) + 1):
        settings = {"slice_sizes": _SIZES, "forget_proba": proba}
        predicted = _predict(base, X, y, _SLICED_SHARDS, **settings)
        for S, classifier in classifiers.items():
            measured = 0.0
            for stream, share in streams:
                some = [
                    _time(lambda c=classifier, s=stream: c.forget(next(s)))
                    for _ in range(3)
                ]
                measured += share * median(some)
            turns[S].append((predicted[S], measured))
    for S in _SLICED_SHARDS:
        yield _compare(f"{name}, 90 % + 10 %, S = {S}", turns[S])


def _time(call: Callable[[], Any]) -> float:
    return time_call(call, time.process_time)


def _compare(case: str, turns: list[tuple[float, float]]) -> Row:
    times = Comparison.of_turns(turns)
    ours, other = times.medians
    return Row(
        case,
        f"predicted {format_seconds(ours)}",
        f"measured {format_seconds(other)}",
        times.ratio,
        at_most=1.25,
        at_least=0.75,
    )


def _predict(
    base: Any, X: Any, y: Any, n_shards: Any = _SHARDS, **settings: Any
) -> dict[int, float]:
    """Return the predicted seconds for each number of shards."""
    half = len(y) // 2
    best = recommend_shards(
        len(y),
        request_rate=1,
        max_cost=3600,
        estimator=base,
        X=X[:half],
        y=y[:half],
        n_shards=n_shards,
        n_repeats=2,
        random_state=0,
        **settings,
    )
    return {one.n_shards: one.seconds for one in (best, *best.alternatives)}


def _shard(base: Any, n_shards: int, sizes: Any = None) -> ShardedUnlearningClassifier:
    return ShardedUnlearningClassifier(
        base, n_shards=n_shards, slice_sizes=sizes, random_state=0
    )


def main() -> None:
    """Print the table, line by line as it comes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--slices", action="store_true", help="slices alone")
    arguments = parser.parse_args()
    scale = Scale(arguments.quick)
    time.perf_counter = time.process_time  # which recommend_shards looks at
    print(describe_machine())
    print("Seconds to forget one row of the census, predicted from half of the rows.")
    print(
        "With slices, nine requests in ten are for a last one of a tenth of the rows."
    )
    print("The result is predicted over measured time, which is to be within 25 %.")
    print(format_header())
    if not arguments.slices:
        for name, base in _BASES.items():
            for row in bench_predictions(name, base, scale):
                print(row, flush=True)
    for name, base in _SLICED.items():
        for row in bench_slices(name, base, scale):
            print(row, flush=True)


if __name__ == "__main__":
    main()

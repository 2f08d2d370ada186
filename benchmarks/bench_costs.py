"""Predicted and measured seconds of forgetting one row, for several numbers of shards.

``python benchmarks/bench_costs.py`` prints one table; ``--quick`` is a smoke run. The
prediction is that of ``recommend_shards``, from a sample of half of the census.
"""

import os

os.environ.update(  # before numpy is imported
    {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
)

import argparse
from collections.abc import Iterator
from statistics import median
from typing import Any

from _data import load_census
from _timing import (
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
_BASES = {
    "logistic regression": make_pipeline(
        StandardScaler(), LogisticRegression(max_iter=1000)
    ),
    "random forest, 50 trees": RandomForestClassifier(50),
    "histogram gradient boosting": HistGradientBoostingClassifier(),
}


def bench_predictions(name: str, base: Any, scale: Scale) -> Iterator[Row]:
    """Forget single rows: predicted time over measured time, less one."""
    X, _, y, _ = load_census()
    X, y = X[: scale.size(len(X))].copy(), y[: scale.size(len(y))]
    half = len(y) // 2
    predicted = recommend_shards(
        len(y),
        request_rate=1,
        max_cost=3600,
        estimator=base,
        X=X[:half],
        y=y[:half],
        n_shards=_SHARDS,
        n_repeats=scale.repeats(3),
        random_state=0,
    )
    table = {one.n_shards: one.seconds for one in (predicted, *predicted.alternatives)}
    for n_shards in _SHARDS:
        seconds = _measure(base, n_shards, X, y, scale.repeats(4 + n_shards // 2))
        yield Row(
            f"{name}, S = {n_shards}",
            f"predicted {format_seconds(table[n_shards])}",
            f"measured {format_seconds(seconds)}",
            table[n_shards] / seconds,
            at_most=None if scale.quick else 1.25,
            at_least=None if scale.quick else 0.75,
        )


def _measure(base: Any, n_shards: int, X: Any, y: Any, repeats: int) -> float:
    """Return the median seconds to forget a random row, one after another."""
    classifier = ShardedUnlearningClassifier(base, n_shards=n_shards, random_state=0)
    classifier.fit(X, y)
    stream = simulate_requests(len(y), repeats, random_state=0)
    return median(time_call(lambda row=row: classifier.forget(row)) for row in stream)


def main() -> None:
    """Print the table, line by line as it comes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    scale = Scale(parser.parse_args().quick)
    print(describe_machine())
    print("Seconds to forget one row of the census; within 25 %.")
    print(format_header().replace("skunlearn  ", "recommend_shards").rstrip())
    for name, base in _BASES.items():
        for row in bench_predictions(name, base, scale):
            print(row, flush=True)


if __name__ == "__main__":
    main()

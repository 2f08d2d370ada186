"""Forgetting one row in a grid search, beside a new search on the retained rows.

``python benchmarks/bench_search.py`` prints one table; ``--quick`` is a smoke run.
There are 12 candidates, with 10, 20 and 40 shards, and 5 folds of the census.
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
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skunlearn import ShardedUnlearningClassifier
from skunlearn.costs import simulate_requests
from skunlearn.model_selection import UnlearningSearchCV

_BASES: dict[str, tuple[Any, dict[str, list[Any]]]] = {
    "tree": (DecisionTreeClassifier(), {"estimator__max_depth": [4, 8, 12, None]}),
    "logistic regression": (
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        {"estimator__logisticregression__C": [0.01, 0.1, 1.0, 10.0]},
    ),
}


def bench_search(name: str, scale: Scale) -> Iterator[Row]:
    """Time a search, and then requests for single rows."""
    X, _, y, _ = load_census()
    X, y = X[: scale.size(len(X))].copy(), y[: scale.size(len(y))]
    base, grid = _BASES[name]
    search = UnlearningSearchCV(
        ShardedUnlearningClassifier(base),
        {"n_shards": [10, 20, 40], **grid},
        random_state=0,
    )
    stream = iter(simulate_requests(len(y), 100, random_state=0))
    fit = time_call(lambda: search.fit(X, y))
    search.forget(next(stream))
    forget = median(
        time_call(lambda: search.forget(next(stream))) for _ in range(scale.repeats(5))
    )
    again = time_call(lambda: clone(search).fit(X, y))
    fresh = (fit + again) / 2
    yield Row(
        f"{name}, 12 candidates x 5 folds",
        f"forget {format_seconds(forget)}",
        f"search {format_seconds(fresh)}",
        forget / fresh,
        at_most=0.1,
    )


def main() -> None:
    """Print the table, line by line as it comes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    scale = Scale(parser.parse_args().quick)
    print(describe_machine())
    print("Seconds to forget one row in a search, and to search again.")
    print(format_header())
    for name in _BASES:
        for row in bench_search(name, scale):
            print(row, flush=True)


if __name__ == "__main__":
    main()

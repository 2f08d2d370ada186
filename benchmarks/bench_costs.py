"""Predicted and measured seconds of forgetting, for several bases and layouts.

``python benchmarks/bench_costs.py`` prints one table; ``--quick`` is a smoke run,
``--only tree`` a part. The prediction is that of ``recommend_shards``, from a sample of
half of the rows: those of the census, for partitions by class of ten classes. With
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
from dataclasses import dataclass, field
from itertools import chain
from statistics import median
from typing import Any

import lightgbm
import numpy as np
from _boosting_data import LIKELY, draw_likely
from _data import load_census
from _forest_data import make_many_classes
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
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skunlearn import ShardedUnlearningClassifier
from skunlearn.costs import recommend_shards, simulate_requests

_SLICED_SHARDS = (4, 12)
_SIZES = (0.9, 0.1)
_SKEW = 0.9  # share of the requests for likely rows
_SLICED = {
    "HistGradientBoosting": HistGradientBoostingClassifier(early_stopping=False),
    "LightGBM": lightgbm.LGBMClassifier(n_jobs=1, verbose=-1),
}
_FEW = ((1, 1), (5, 1), (20, 1), (20, 3), (20, 5))  # shards, and replicas
_MANY = ((20, 1), (100, 1), (100, 3), (100, 5))


@dataclass(frozen=True)
class Case:
    """An estimator in several layouts.

    Parameters
    ----------
    name : str
        What is printed.
    estimator : estimator
        The estimator to wrap.
    layouts : tuple of (int, int)
        Shards and replicas.
    n_rows : int
        Rows of a request.
    settings : dict
        Parameters of the classifier, which the prediction is told as well.
    """

    name: str
    estimator: Any
    layouts: tuple[tuple[int, int], ...] = _FEW
    n_rows: int = 1
    settings: dict[str, Any] = field(default_factory=dict)

    def load(self, scale: Scale) -> tuple[np.ndarray, np.ndarray]:
        """Return the census, or ten classes for a partition by class."""
        if self.settings:
            split = make_many_classes(scale)
            return split.X, split.y
        X, _, y, _ = load_census()
        return X[: scale.size(len(X))].copy(), y[: scale.size(len(y))]

    def predict(self, X: Any, y: Any) -> dict[tuple[int, int], float]:
        """Return the predicted seconds for each layout."""
        found = {}
        for k in {k for _, k in self.layouts}:
            shards = [S for S, n in self.layouts if n == k]
            settings = {"n_shards": shards, "n_replicas": k, **self.settings}
            for S, seconds in predict(
                self.estimator, X, y, self.n_rows, **settings
            ).items():
                found[S, k] = seconds
        return found


_BY_CLASS = {"partition": "class"}
_TREE = DecisionTreeClassifier(max_features=0.3)
CASES = {
    "logistic": Case(
        "logistic regression",
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    ),
    "sgd": Case("SGD", make_pipeline(StandardScaler(), SGDClassifier())),
    "tree": Case("tree", _TREE, _MANY),
    "batch": Case("tree, batch of 20 rows", _TREE, _MANY, n_rows=20),
    "forest": Case("random forest, 50 trees", RandomForestClassifier(50)),
    "boosting": Case("histogram gradient boosting", HistGradientBoostingClassifier()),
    "mixture": Case(
        "mixture by class",
        GaussianMixture(4, reg_covar=0.01),
        ((1, 1), (5, 1), (5, 3), (10, 5)),
        settings=_BY_CLASS,
    ),
    "by_class": Case(
        "random forest by class, 20 trees",
        RandomForestClassifier(20),
        ((1, 1), (5, 1), (5, 3)),
        settings=_BY_CLASS,
    ),
}


def bench_case(case: Case, scale: Scale) -> Iterator[Row]:
    """Forget rows: predicted time over measured time, in turns."""
    X, y = case.load(scale)
    classifiers = {
        layout: _shard(case.estimator, layout, **case.settings).fit(X, y)
        for layout in case.layouts
    }
    stream = iter(simulate_requests(len(y), len(y), random_state=0))
    turns: dict[Any, list[tuple[float, float]]] = {one: [] for one in case.layouts}
    for _ in range(scale.repeats(5) + 1):
        predicted = case.predict(X, y)
        for layout, classifier in classifiers.items():
            times = []
            for _ in range(5):
                rows = np.hstack([next(stream) for _ in range(case.n_rows)])
                times.append(_time(lambda c=classifier, r=rows: c.forget(r)))
            turns[layout].append((predicted[layout], median(times)))
    for S, k in case.layouts:
        yield _compare(f"{case.name}, S = {S}, k = {k}", turns[S, k])


def bench_slices(name: str, base: Any, scale: Scale) -> Iterator[Row]:
    """Forget likely rows and others, for slices: predicted over measured, in turns."""
    X, _, y, _ = load_census()
    X, y = X[: scale.size(len(X))].copy(), y[: scale.size(len(y))]
    likely = draw_likely(len(y))
    proba = np.where(likely, _SKEW / LIKELY, (1 - _SKEW) / (1 - LIKELY)) / 10
    classifiers = {
        S: _shard(base, (S, 1), slice_sizes=_SIZES).fit(X, y, forget_proba=proba)
        for S in _SLICED_SHARDS
    }
    rows = np.random.default_rng(2).permutation(len(y))
    streams = (iter(rows[likely[rows]]), _SKEW), (iter(rows[~likely[rows]]), 1 - _SKEW)
    turns: dict[int, list[tuple[float, float]]] = {S: [] for S in _SLICED_SHARDS}
    for _ in range(scale.repeats(3) + 1):
        settings = {"slice_sizes": _SIZES, "forget_proba": proba}
        predicted = predict(base, X, y, n_shards=_SLICED_SHARDS, **settings)
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


def predict(
    base: Any, X: Any, y: Any, n_rows: int = 1, **settings: Any
) -> dict[int, float]:
    """Return the predicted seconds for each number of shards."""
    half = len(y) // 2
    best = recommend_shards(
        len(y),
        request_rate=n_rows,
        max_cost=3600,
        estimator=base,
        X=X[:half],
        y=y[:half],
        n_repeats=2,
        random_state=0,
        **settings,
    )
    return {one.n_shards: one.seconds for one in (best, *best.alternatives)}


def _shard(
    base: Any, layout: tuple[int, int], **settings: Any
) -> ShardedUnlearningClassifier:
    S, k = layout
    return ShardedUnlearningClassifier(
        base, n_shards=S, n_replicas=k, random_state=0, **settings
    )


def main() -> None:
    """Print the table, line by line as it comes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    names = (*CASES, "slices")
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    arguments = parser.parse_args()
    scale = Scale(arguments.quick)
    time.perf_counter = time.process_time  # which recommend_shards looks at
    print(describe_machine())
    print(
        "Seconds to forget a row, predicted from half of the rows: those of the census"
    )
    print("or, by class, of ten classes. S shards, and k of them for each row. With")
    print("slices, nine requests in ten are for a last one of a tenth of the rows.")
    print("The result is predicted over measured time, which is to be within 25 %.")
    print(format_header())
    for name in arguments.only:
        if name == "slices":
            rows = chain.from_iterable(
                bench_slices(base, _SLICED[base], scale) for base in _SLICED
            )
        else:
            rows = bench_case(CASES[name], scale)
        for row in rows:
            print(row, flush=True)


if __name__ == "__main__":
    main()

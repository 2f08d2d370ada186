"""Accuracy and cost of the ways to forget, on the census.

``python benchmarks/bench_choices.py`` prints one table; ``--quick`` is a smoke run.
Each model alone forgets by being fitted again, which is what to compare with. Seconds
are those of the processor, with one thread, so that other load counts little.
"""

import os

os.environ.update(  # before numpy is imported
    {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
)

import argparse
import time
from collections.abc import Iterator
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from _timing import Scale, describe_machine, format_seconds
from _timing import time_call as time_by
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skunlearn import InfluenceUnlearningClassifier, ShardedUnlearningClassifier
from skunlearn.datasets import load_census

_LAYOUT = "{:<34}  {:>9}  {:>8}  {:>13}  {:>15}"
_N_TREES = 100
time_call = partial(time_by, clock=time.process_time)


def load_numbers(scale: Scale) -> list[np.ndarray]:
    """Return the census as numbers that no fit has made, split into two parts."""
    X, y = load_census(return_X_y=True)
    text = pd.get_dummies(X.select_dtypes(exclude="number"))
    numbers = np.log1p(X.select_dtypes("number")) / 5
    X = np.hstack([numbers, text]).astype(float)[: scale.size(len(X))]
    return train_test_split(X, y.to_numpy()[: len(X)], test_size=0.2, random_state=0)


def make_forest(n_trees: int) -> RandomForestClassifier:
    """Return a forest; constituents share its trees among them."""
    return RandomForestClassifier(n_trees, min_samples_leaf=2, random_state=0)


def make_cases() -> Iterator[tuple[str, Any]]:
    """Yield the name and the model of each row of the table."""
    sharded = ShardedUnlearningClassifier
    yield "random forest", make_forest(_N_TREES)
    for n in (8, 20):
        forest = make_forest(max(5, _N_TREES // n))
        yield f"  {n} shards", sharded(forest, n_shards=n, random_state=0)
    boosting = HistGradientBoostingClassifier(random_state=0)
    yield "histogram gradient boosting", boosting
    for n in (4, 8, 20):
        yield f"  {n} shards", sharded(boosting, n_shards=n, random_state=0)
    linear = LogisticRegression(solver="newton-cholesky")
    yield "logistic regression", linear
    for n in (8, 20):
        yield f"  {n} shards", sharded(linear, n_shards=n, random_state=0)
    yield "  InfluenceUnlearningClassifier", InfluenceUnlearningClassifier(linear)


def measure(model: Any, split: list[np.ndarray], scale: Scale) -> tuple[float, ...]:
    """Return accuracy, and the seconds to fit and to forget one row and 100 rows."""
    X, X_test, y, y_test = split
    model = clone(model)
    fit = time_call(lambda: model.fit(X, y))
    accuracy = model.score(X_test, y_test)
    if not hasattr(model, "forget"):
        again = median(
            time_call(lambda: clone(model).fit(X[1:], y[1:]))
            for _ in range(scale.repeats(3))
        )
        return accuracy, fit, again, again
    requests = np.random.default_rng(0).permutation(len(y))
    ones = requests[: scale.repeats(15)]
    one = median([time_call(lambda i=i: model.forget(int(i))) for i in ones])
    batch = requests[1000:1100]
    return accuracy, fit, one, time_call(lambda: model.forget(batch))


def main() -> None:
    """Print the table, line by line as it comes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    scale = Scale(parser.parse_args().quick)
    split = load_numbers(scale)
    print(describe_machine())
    print(f"The census: {len(split[0]):,} rows to fit, {len(split[1]):,} to score.")
    print("Seconds of the processor.\n")
    heads = "accuracy", "fit", "forget 1 row", "forget 100 rows"
    print(_LAYOUT.format("", *heads))
    for name, model in make_cases():
        accuracy, *seconds = measure(model, split, scale)
        cells = map(format_seconds, seconds)
        print(_LAYOUT.format(name, f"{accuracy:.4f}", *cells), flush=True)


if __name__ == "__main__":
    main()

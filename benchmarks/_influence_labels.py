"""Finding rows whose labels are wrong: by influence, by losses, by forests."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from _data import load_digits_split
from _influence_data import ConvexTest, flip_labels, load_encoded_census
from _influence_table import format_cells
from _timing import Scale, format_seconds
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import auc
from sklearn.model_selection import cross_val_predict

from skunlearn import InfluenceUnlearningClassifier

__all__ = ["bench_labels"]

_WIDTHS = (46, 14, 10, 10)
_HEADER = ("inspected first", "found in 10 %", "AUC", "seconds")


def bench_labels(scale: Scale) -> Iterator[str]:
    """(4) Find the 10 % of labels that were flipped.

    What share of them is found in the first tenth that is inspected, and the area below
    the curve of found by inspected (0.95 is all of them first). Seconds of all but
    cross-validation and the forest are on top of those of the fit.
    """
    test = ConvexTest.draw()
    rows = test.X, test.y, test.y_clean, test.X_val, test.y_val
    yield from _bench_set("2,000 rows of 4 classes", rows, LogisticRegression(C=test.C))
    yield from _bench_digits()
    X, X_test, y, y_test = load_encoded_census()
    X, y = X[: scale.size(len(X))], y[: scale.size(len(y))]
    rows = X, flip_labels(y), y, X_test, y_test
    model = LogisticRegression(max_iter=1_000)
    yield from _bench_set(f"census, {len(y):,} rows", rows, model)


def _bench_digits() -> Iterator[str]:
    X, X_val, y, y_val = load_digits_split()
    rows = X / 16, flip_labels(y), y, X_val / 16, y_val
    model = LogisticRegression(max_iter=1_000)
    yield from _bench_set("digits, 1,347 rows of 10 classes", rows, model)


def _bench_set(name: str, rows: tuple[Any, ...], model: Any) -> Iterator[str]:
    X, y, y_clean, X_val, y_val = rows
    ours = InfluenceUnlearningClassifier(model, method="puma")
    start = time.perf_counter()
    ours.fit(X, y, X_val=X_val, y_val=y_val)
    yield f"\n  {name}; fitted in {format_seconds(time.perf_counter() - start)}."
    yield format_cells(_HEADER, _WIDTHS)
    is_wrong = y != y_clean
    ways = _list_ways(ours, model, X, y)
    found = {}
    for way, score in ways.items():
        found[way], line = _judge(way, score, is_wrong)
        yield line
    ours.fit(X, y, X_val=X_val, y_val=flip_labels(y_val, seed=1))
    way = "contributions(), a tenth of X_val wrong too"
    yield _judge(way, lambda: -ours.contributions(), is_wrong)[1]
    yield f"  Most are found by: {max(found, key=found.get)}."


def _list_ways(ours: Any, model: Any, X: Any, y: Any) -> dict[str, Callable[[], Any]]:
    """Return functions that say how suspicious each row is."""
    return {
        "contributions(), X_val clean": lambda: -ours.contributions(),
        "self_influence()": ours.self_influence,
        "leave_one_out_loss()": ours.leave_one_out_loss,
        "loss in training": lambda: _losses(ours.predict_proba(X), y),
        "loss in 5-fold cross-validation": lambda: _losses(
            cross_val_predict(model, X, y, cv=5, method="predict_proba"), y
        ),
        "loss out of bag, RandomForest(100)": lambda: _losses(_vote(X, y), y),
    }


def _vote(X: Any, y: Any) -> np.ndarray:
    forest = RandomForestClassifier(
        100, min_samples_leaf=3, oob_score=True, random_state=0
    )
    return forest.fit(X, y).oob_decision_function_


def _losses(probabilities: np.ndarray, y: np.ndarray) -> np.ndarray:
    own = np.take_along_axis(probabilities, y[:, None], axis=1)[:, 0]
    return -np.log(np.maximum(own, 1e-12))


def _judge(
    way: str, score: Callable[[], np.ndarray], is_wrong: np.ndarray
) -> tuple[float, str]:
    """Return the share found in the first tenth, and a line of the table."""
    start = time.perf_counter()
    order = np.argsort(-score(), kind="stable")
    seconds = time.perf_counter() - start
    found = np.r_[0, is_wrong[order].cumsum()] / is_wrong.sum()
    area = auc(np.linspace(0, 1, len(found)), found)
    first = found[len(order) // 10]
    cells = (way, f"{first:.1%}", f"{area:.3f}", format_seconds(seconds))
    return first, format_cells(cells, _WIDTHS)

"""Contributions and losses in closed form, against leaving each row out in earnest."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from _influence_data import ConvexTest, load_encoded_census
from _influence_optimum import find_theta, polish_optimum
from _timing import Row, Scale, format_seconds, time_call
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from skunlearn import InfluenceUnlearningClassifier

__all__ = ["bench_contributions"]


def bench_contributions(scale: Scale) -> Iterator[Row]:
    """contributions() and leave_one_out_loss() beside 200 models without a row.

    The change of the loss on the rows held out, and the loss of the row itself, once
    predicted for all rows, once with a model retrained without the row to the last
    digits. The result is a correlation, or the slope of measured by predicted.
    """
    test = ConvexTest.draw()
    rows = test.X, test.y, test.X_val, test.y_val
    yield from _bench_set("4 classes", rows, LogisticRegression(C=test.C), scale)
    X, X_test, y, y_test = load_encoded_census()
    rows = X[:5_000], y[:5_000], X_test[:2_000], y_test[:2_000]
    yield from _bench_set("census", rows, LogisticRegression(max_iter=1_000), scale)


def _bench_set(
    name: str, rows: tuple[Any, ...], model: LogisticRegression, scale: Scale
) -> Iterator[Row]:
    X, y, X_val, y_val = rows
    ours = InfluenceUnlearningClassifier(model, method="puma")
    ours.fit(X, y, X_val=X_val, y_val=y_val)
    chosen = np.random.default_rng(1).choice(len(y), scale.size(200), replace=False)
    measured: list[tuple[float, float]] = []
    seconds = time_call(
        lambda: measured.extend(_leave_out(ours.estimator_, i, rows) for i in chosen)
    )
    other = f"{format_seconds(seconds / len(chosen) * len(y))} for all"
    changes, losses = np.transpose(measured)
    yield from _judge(name, ours.contributions, chosen, changes, other)
    yield from _judge(name, ours.leave_one_out_loss, chosen, losses, other)


def _judge(
    name: str,
    predict: Callable[[], np.ndarray],
    chosen: np.ndarray,
    measured: np.ndarray,
    other: str,
) -> Iterator[Row]:
    """Compare what is predicted for all rows with what was measured for some."""
    predicted: list[float] = []
    times = format_seconds(time_call(lambda: predicted.extend(predict()))), other
    expected = np.array(predicted)[chosen]
    case = f"{name}: {predict.__name__}(), "
    correlation = np.corrcoef(expected, measured)[0, 1]
    yield Row(f"{case}correlation", *times, correlation, "", at_least=0.97)
    slope = np.polyfit(expected, measured, 1)[0]
    yield Row(f"{case}slope", *times, slope, "", at_most=1.3, at_least=0.7)


def _leave_out(
    model: LogisticRegression, i: int, rows: tuple[Any, ...]
) -> tuple[float, float]:
    """Return the rise of the loss on the rows held out, and the row's own loss."""
    X, y, X_val, y_val = rows
    optimum = polish_optimum(model, np.delete(X, i, axis=0), np.delete(y, i))
    before = _loss(model, find_theta(model), X_val, y_val)
    change = _loss(model, optimum.theta, X_val, y_val) - before
    return change, _loss(model, optimum.theta, X[[i]], y[[i]])


def _loss(model: Any, theta: np.ndarray, X: np.ndarray, y: np.ndarray) -> float:
    other = LogisticRegression()
    other.classes_ = model.classes_
    other.coef_, other.intercept_ = theta[:, :-1], theta[:, -1]
    return log_loss(y, other.predict_proba(X), labels=model.classes_)

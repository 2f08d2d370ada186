"""Forgetting rows of the census: logistic regression and ridge."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from _influence_data import load_encoded_census
from _influence_optimum import Optimum, find_optimum, measure_error
from _influence_refits import cold_arm, warm_arm
from _influence_table import format_error
from _influence_turns import Arm, forget_arm, take_turns, time_ratio
from _timing import Row, Scale
from scipy.linalg import cho_factor, cho_solve
from sklearn.linear_model import LogisticRegression, RidgeClassifier

from skunlearn import InfluenceUnlearningClassifier

__all__ = ["bench_census"]

_TOLS = (1e-4, 1e-6, 1e-8, 1e-10)


def bench_census(scale: Scale) -> Iterator[str | Row]:
    """Forget 100 rows of the census, 109 parameters, encoded once for all.

    The alternative is newton-cholesky from the old optimum, with the largest tolerance
    that reaches the same error or 1e-7.
    """
    X, _, y, _ = load_encoded_census()
    X, y = X[: scale.size(len(X))], y[: scale.size(len(y))]
    rows = np.random.default_rng(1).choice(len(y), 100, replace=False)
    yield from _bench_logistic(X, y, rows, scale)
    yield from _bench_ridge(X, y, rows, scale)


def _bench_logistic(X: Any, y: Any, rows: np.ndarray, scale: Scale) -> Iterator[Row]:
    model = LogisticRegression(max_iter=1_000)
    ours = InfluenceUnlearningClassifier(model, exact=False).fit(X, y)
    X, y = np.delete(X, rows, axis=0), np.delete(y, rows)
    optimum = find_optimum(X, y, C=model.C)
    one = forget_arm(ours, rows, n_steps=1)
    auto = forget_arm(ours, rows, n_steps="auto", tol=1e-7)
    take_turns({"auto": auto}, 1)
    enough = max(1e-7, _error(auto, optimum))
    newton = _find_newton_arm(ours.estimator_, X, y, optimum, enough)
    cold = cold_arm(model, X, y)
    arms = {"one": one, "auto": auto, "newton": newton, "cold": cold}
    take_turns(arms, scale.repeats(15))
    milliseconds = one.median * 1e3
    yield Row("1 step", str(one), f"{cold} cold", milliseconds, "ms", at_most=0.5)
    yield _row_of_error("1 step: relative error", one, cold, "cold", optimum)
    share = 1 / time_ratio(newton, auto)
    yield Row(f"auto ({auto.path})", str(auto), f"{newton} newton", share, at_most=0.5)
    yield _row_of_error(
        "auto: relative error", auto, newton, "newton", optimum, at_most=1e-7
    )


def _find_newton_arm(
    model: LogisticRegression, X: Any, y: Any, optimum: Optimum, enough: float
) -> Arm:
    """Return the cheapest warm newton-cholesky refit that is good enough."""
    for tol in _TOLS:
        arm = warm_arm(model, X, y, solver="newton-cholesky", tol=tol)
        take_turns({"newton": arm}, 0)
        if _error(arm, optimum) <= enough:
            break
    return arm


def _bench_ridge(X: Any, y: Any, rows: np.ndarray, scale: Scale) -> Iterator[Row]:
    model = RidgeClassifier()
    ours = InfluenceUnlearningClassifier(model, exact=False).fit(X, y)
    X, y = np.delete(X, rows, axis=0), np.delete(y, rows)
    optimum = _solve_ridge(X, 2.0 * y - 1, model.alpha)
    arms = {"ours": forget_arm(ours, rows), "cold": cold_arm(model, X, y)}
    take_turns(arms, scale.repeats(15))
    auto, cold = arms.values()
    ratio = time_ratio(cold, auto)
    yield Row("RidgeClassifier: faster than a refit", str(auto), str(cold), ratio)
    yield _row_of_error(
        "RidgeClassifier: relative error", auto, cold, "refit", optimum, at_most=1e-12
    )


def _solve_ridge(X: np.ndarray, targets: np.ndarray, alpha: float) -> Optimum:
    """Solve by Cholesky, and refine with residuals of extended precision."""
    X = np.hstack([X, np.ones((len(X), 1))])
    penalty = np.r_[np.full(X.shape[1] - 1, alpha), 0.0]
    factor = cho_factor(X.T @ X + np.diag(penalty))
    long_X, theta = X.astype(np.longdouble), np.zeros(X.shape[1], np.longdouble)
    for _ in range(5):
        gradient = long_X.T @ (targets - long_X @ theta) - penalty * theta
        step = cho_solve(factor, gradient.astype(float))
        theta = theta + step
    theta = theta.astype(float)[None]
    return Optimum(theta, float(np.linalg.norm(step) / np.linalg.norm(theta)))


def _error(arm: Arm, optimum: Optimum) -> float:
    return measure_error(arm.model, optimum)


def _row_of_error(
    case: str, ours: Arm, other: Arm, name: str, optimum: Optimum, **target: float
) -> Row:
    error, other_error = _error(ours, optimum), _error(other, optimum)
    words = f"{format_error(other_error)} {name}"
    return Row(case, format_error(error), words, error, "", **target)

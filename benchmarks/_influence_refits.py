"""What people do today: fit LogisticRegression again on the rows that stay."""

from collections.abc import Callable
from typing import Any

import numpy as np
from _influence_turns import Arm
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

__all__ = ["cold_arm", "count_steps", "warm_arm"]


def cold_arm(model: LogisticRegression, X: Any, y: np.ndarray) -> Arm:
    """Make the arm that fits from zero, as scikit-learn's defaults have it."""

    def prepare() -> Callable[[], Any]:
        fresh = clone(model)
        return lambda: fresh.fit(X, y)

    return Arm(prepare)


def warm_arm(model: LogisticRegression, X: Any, y: np.ndarray, **settings: Any) -> Arm:
    """Make the arm that goes on from a fitted model, with settings of its own."""

    def prepare() -> Callable[[], Any]:
        warm = clone(model).set_params(warm_start=True, max_iter=10_000, **settings)
        warm.classes_ = model.classes_
        warm.coef_, warm.intercept_ = model.coef_.copy(), model.intercept_.copy()
        return lambda: warm.fit(X, y)

    return Arm(prepare)


def count_steps(arm: Arm) -> int:
    """Return how many steps the last fit took."""
    return int(np.max(arm.model.n_iter_))

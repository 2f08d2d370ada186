"""The objective of a model that knows one class: there is nothing to choose."""

from typing import Any

import numpy as np

from skunlearn.influence._objectives.base import Objective

__all__ = ["ConstantObjective"]


class ConstantObjective(Objective):
    """An objective without parameters."""

    n_params = 0
    is_quadratic = True

    def read(self, estimator: Any) -> np.ndarray:
        """Return no parameters."""
        return np.empty(0)

    def write(self, estimator: Any, theta: np.ndarray) -> None:
        """Change nothing."""

    def losses(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return zeros."""
        return np.zeros(len(rows))

    def row_gradients(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return gradients of no length."""
        return np.zeros((len(rows), 0))

    def row_factors(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return factors of no length."""
        return np.zeros((len(rows), 0, 0))

    def regularizer(self, weight_sums: np.ndarray) -> np.ndarray:
        """Return no penalty."""
        return np.zeros(0)

    def decision_function(self, theta: np.ndarray, X: Any) -> np.ndarray:
        """Return zeros."""
        return np.zeros(X.shape[0])

    def decision_vjp(
        self, theta: np.ndarray, X: Any, cotangents: np.ndarray
    ) -> np.ndarray:
        """Return no gradient."""
        return np.empty(0)

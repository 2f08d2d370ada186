"""What is known of a classifier after fit: its fitted attributes."""

from typing import Any

import numpy as np

from skunlearn._base import BaseUnlearningClassifier
from skunlearn._runtime.threads import single_threaded
from skunlearn.influence._state import State

__all__ = ["AttributesMixin"]


class AttributesMixin(BaseUnlearningClassifier):
    """The fitted attributes; a subclass has the state."""

    _state: State

    @property
    def estimator_(self) -> Any:
        """The fitted estimator with the current parameters."""
        self._check_is_fitted()
        return self._state.estimator

    @property
    def classes_(self) -> np.ndarray:
        """Classes of the retained rows, without those held out."""
        self._check_is_fitted()
        return self._state.classes

    @property
    def weights_(self) -> np.ndarray:
        """Weight of each row, an ndarray of shape (n_positions,)."""
        self._check_is_fitted()
        with self._reading() as state:
            padded = np.zeros(state.rows.n_positions)
            padded[: state.n_training] = state.w
            return padded[state.rows.slot_of]

    @property
    def gradient_residual_(self) -> float:
        """Gradient norm of the objective on the retained rows."""
        self._check_is_fitted()
        with self._reading() as state, single_threaded():
            return state.gradient_residual

    @property
    def distance_bound_(self) -> float:
        """Upper bound of the distance to the optimum for the current weights."""
        self._check_is_fitted()
        with self._reading() as state, single_threaded():
            return state.distance_bound

    @property
    def hessian_bound_(self) -> float:
        """Upper bound of the distance to the optimum in the Hessian norm."""
        self._check_is_fitted()
        with self._reading() as state, single_threaded():
            return state.hessian_bound

    @property
    def exact_(self) -> bool:
        """Whether parameters are those of a fresh fit on the retained rows."""
        self._check_is_fitted()
        return self._state.optimum.is_exact

    @property
    def n_iter_(self) -> int:
        """Number of Newton steps of the last fit to the optimum, plus one."""
        self._check_is_fitted()
        return self._state.optimum.n_steps + 1

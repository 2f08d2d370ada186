"""What each row does to an influence classifier, for its users."""

from typing import Any

import numpy as np

from skunlearn._base import BaseUnlearningClassifier
from skunlearn._runtime.threads import single_threaded
from skunlearn.influence._methods.newton import compute_contributions
from skunlearn.influence._row_scores import (
    compute_leave_one_out,
    compute_self_influence,
)
from skunlearn.influence._state import State

__all__ = ["RowScoresMixin"]


class RowScoresMixin(BaseUnlearningClassifier):
    """The methods that score rows; a subclass has the state."""

    _state: State
    n_jobs: int | None

    def contributions(self) -> np.ndarray:
        """Return what removing each retained row would do to the criterion.

        It is what one solve and one pass over the rows tell, to first order; a row
        that does harm has a negative contribution. Rows held out have 0.

        Returns
        -------
        ndarray of shape (n_retained,)
            The contributions, in order of `retained_indices_`.

        Notes
        -----
        Without rows held out or given for it, the criterion is computed on the rows
        that the classifier is trained on, which says little of those that are wrong.
        """
        self._check_is_fitted()
        with single_threaded:
            state, validation = self._state.sharpened, self._state.find_validation()
            if validation is None:
                raise ValueError(
                    "no row is left for the criterion. Fit with X_val and y_val, or "
                    "with a larger validation_fraction."
                )
            tracked = state.optimum.tracked
            return self._spread(compute_contributions(state, validation, tracked))

    def self_influence(self) -> np.ndarray:
        """Return how far each retained row pulls the classifier to itself.

        That is ``g H^-1 g`` with the row's gradient g: what its own loss would rise
        without it, to first order. Mislabelled rows have large values.

        Returns
        -------
        ndarray of shape (n_retained,)
            The values, in order of `retained_indices_`; 0 for rows held out.

        Raises
        ------
        ValueError
            If the solver forms no Hessian.
        """
        return self._spread(self._score(compute_self_influence))

    def leave_one_out_loss(self) -> np.ndarray:
        """Return the loss of each retained row if it had not been learnt.

        It is the loss after the Newton step that removes the row: about what
        leave-one-out cross-validation tells, at the price of one pass. Mislabelled rows
        have large losses. They are plain losses, without ``C`` and weights of rows or
        classes.

        Returns
        -------
        ndarray of shape (n_retained,)
            The losses, in order of `retained_indices_`; 0 for rows held out.

        Raises
        ------
        ValueError
            If the solver forms no Hessian.
        """
        return self._spread(self._score(compute_leave_one_out))

    def _score(self, compute: Any) -> np.ndarray:
        self._check_is_fitted()
        if len(self.classes_) == 1:
            return np.zeros(self._state.n_training)
        if self._state.optimum.tracked is None:
            raise ValueError(
                "the Hessian is needed, which solver='cg' does not form. Fit with "
                "solver='cholesky'."
            )
        with single_threaded:
            return compute(self._state.sharpened, self.n_jobs)

    def _spread(self, values: np.ndarray) -> np.ndarray:
        """Return values of slots for the positions that are retained, others 0."""
        rows = self._state.rows
        slots = rows.slot_of[rows.retained]
        padded = np.zeros(rows.n_positions)
        padded[: len(values)] = values
        return padded[slots]

"""What each row does to the classifier, from the Hessian and the row alone."""

from typing import Any

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from skunlearn._base import BaseUnlearningClassifier
from skunlearn._runtime.threads import single_threaded
from skunlearn.influence._certificate.local_model import Tracked
from skunlearn.influence._criteria import Validation
from skunlearn.influence._solvers.refine import apply_inverse
from skunlearn.influence._state import State

__all__ = [
    "RowScoresMixin",
    "compute_contributions",
    "compute_leave_one_out",
    "compute_self_influence",
]

_VALUES = 2**20  # of gradients that are formed at once


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


def compute_contributions(
    state: State, validation: Validation, tracked: Tracked | None
) -> np.ndarray:
    """Return what removing each training row does to the criterion.

    `tracked` is what is known of the Hessian.
    """
    objective, theta = state.optimum.objective, state.optimum.theta
    slope = validation.gradient(objective, theta)
    s = apply_inverse(objective, theta, state.w, tracked, slope, state.settings)
    return state.w * objective.scores(theta, state.w, s)


def compute_self_influence(state: State, n_jobs: int | None) -> np.ndarray:
    """Return g H^-1 g of each training row, g being the gradient."""
    return _score_blocks(state, n_jobs, _self_influence)


def compute_leave_one_out(state: State, n_jobs: int | None) -> np.ndarray:
    """Return the loss of each training row after a Newton step that removes it."""
    return _score_blocks(state, n_jobs, _leave_one_out)


def _score_blocks(state: State, n_jobs: int | None, score: Any) -> np.ndarray:
    n_rows = state.n_training
    size = max(1, _VALUES // max(len(state.optimum.theta), 1))
    blocks = [
        np.arange(start, min(start + size, n_rows)) for start in range(0, n_rows, size)
    ]
    parts = Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(score)(state, block) for block in blocks
    )
    return np.concatenate(parts) * (state.w > 0)


def _self_influence(state: State, rows: np.ndarray) -> np.ndarray:
    objective, tracked = state.optimum.objective, state.optimum.tracked
    assert tracked is not None
    scales = objective.scales(tracked.totals)[objective.strata[rows]]
    gradients = objective.row_gradients(state.optimum.theta, rows)
    gradients *= state.w[rows, None] * scales
    return np.einsum("nd,dn->n", gradients, tracked.factor.solve(gradients.T))


def _leave_one_out(state: State, rows: np.ndarray) -> np.ndarray:
    optimum = state.optimum
    assert optimum.tracked is not None
    inverse = optimum.tracked.inverse
    return optimum.objective.leave_one_out(optimum.theta, state.w, inverse, rows)

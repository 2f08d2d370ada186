"""Scores of rows by influence functions and approximate leave-one-out losses."""

from typing import Any

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from skunlearn._base import BaseUnlearningClassifier
from skunlearn._runtime.threads import single_threaded
from skunlearn.influence._certificate.local_model import LocalModel
from skunlearn.influence._criteria import Validation
from skunlearn.influence._solvers.refine import ihvp
from skunlearn.influence._state import State

__all__ = [
    "RowScoresMixin",
    "compute_contributions",
    "compute_leave_one_out",
    "compute_self_influence",
]

_BLOCK_VALUES = 2**20  # of gradients that are formed at once


class RowScoresMixin(BaseUnlearningClassifier):
    """The methods that score rows; a subclass has the state."""

    _state: State
    n_jobs: int | None

    def contributions(self) -> np.ndarray:
        """Return the first-order change of the criterion if each row is removed.

        With the gradient g of a row, that of the criterion c, and the Hessian H, it is
        ``g H^-1 c``: the influence function of the criterion [1]_. Rows that worsen the
        criterion have negative contributions. It takes one linear solve and one pass
        over the rows.

        Returns
        -------
        ndarray of shape (n_retained,)
            Contributions, in the order of `retained_indices_`; 0 for rows held out.

        Raises
        ------
        ValueError
            If no row is left for the criterion.

        Notes
        -----
        If no rows are held out or passed as `X_val`, the criterion is computed on the
        training rows, and says little about mislabelled ones.

        References
        ----------
        .. [1] P. W. Koh, P. Liang, "Understanding Black-box Predictions via Influence
           Functions", ICML, 2017. :arxiv:`1703.04730`
        """
        self._check_is_fitted()
        with self._reading() as state, single_threaded():
            state, validation = state.sharpened, state.find_validation()
            if validation is None:
                raise ValueError(
                    "no row is left for the criterion. Pass X_val and y_val to fit, or "
                    "fit with a larger validation_fraction."
                )
            local = state.optimum.local
            contributions = compute_contributions(state, validation, local)
            return _spread(state, contributions)

    def self_influence(self) -> np.ndarray:
        """Return the self-influence of each retained row.

        With the gradient g of the row and the Hessian H, it is ``g H^-1 g``: the
        first-order increase of the row's own loss if it is removed [1]_. Mislabelled
        rows have large values.

        Returns
        -------
        ndarray of shape (n_retained,)
            Self-influences, in the order of `retained_indices_`; 0 for rows held out.

        Raises
        ------
        ValueError
            If the Hessian is not formed, as with ``solver="cg"``.

        References
        ----------
        .. [1] P. W. Koh, P. Liang, "Understanding Black-box Predictions via Influence
           Functions", ICML, 2017. :arxiv:`1703.04730`
        """
        return self._score(compute_self_influence)

    def leave_one_out_loss(self) -> np.ndarray:
        """Return the approximate leave-one-out loss of each retained row.

        It is the loss of the row after the Newton step that removes it, which
        approximates leave-one-out cross-validation at the cost of one pass over the
        rows. Mislabelled rows have large losses. Losses are not multiplied by ``C``,
        sample weights or class weights.

        Returns
        -------
        ndarray of shape (n_retained,)
            Losses, in the order of `retained_indices_`; 0 for rows held out.

        Raises
        ------
        ValueError
            If the Hessian is not formed, as with ``solver="cg"``.
        """
        return self._score(compute_leave_one_out)

    def _score(self, compute: Any) -> np.ndarray:
        self._check_is_fitted()
        with self._reading() as state, single_threaded():
            if len(state.classes) == 1:
                return _spread(state, np.zeros(state.n_training))
            state = state.sharpened
            if state.optimum.local is None:
                raise ValueError(
                    "the scores need a Hessian, and solver='cg' does not form it. Fit "
                    "with solver='cholesky', and networks with scope='head'."
                )
            return _spread(state, compute(state, self.n_jobs))


def _spread(state: State, values: np.ndarray) -> np.ndarray:
    """Return values of slots for the positions that are retained, others 0."""
    rows = state.rows
    slots = rows.slot_of[rows.retained]
    padded = np.zeros(rows.n_positions)
    padded[: len(values)] = values
    return padded[slots]


def compute_contributions(
    state: State, validation: Validation, local: LocalModel | None
) -> np.ndarray:
    """Return what removing each training row does to the criterion.

    `local` is what is known of the Hessian.
    """
    objective, theta = state.optimum.objective, state.optimum.theta
    slope = validation.gradient(objective, theta)
    s = ihvp(objective, theta, state.w, local, slope, state.settings)
    return state.w * objective.scores(theta, state.w, s)


def compute_self_influence(state: State, n_jobs: int | None) -> np.ndarray:
    """Return g H^-1 g of each training row, g being the gradient."""
    return _score_blocks(state, n_jobs, _self_influence)


def compute_leave_one_out(state: State, n_jobs: int | None) -> np.ndarray:
    """Return the loss of each training row after a Newton step that removes it."""
    return _score_blocks(state, n_jobs, _leave_one_out)


def _score_blocks(state: State, n_jobs: int | None, score: Any) -> np.ndarray:
    n_rows = state.n_training
    size = max(1, _BLOCK_VALUES // max(len(state.optimum.theta), 1))
    blocks = [
        np.arange(start, min(start + size, n_rows)) for start in range(0, n_rows, size)
    ]
    parts = Parallel(n_jobs=n_jobs, require="sharedmem")(
        delayed(score)(state, block) for block in blocks
    )
    return np.concatenate(parts) * (state.w > 0)


def _self_influence(state: State, rows: np.ndarray) -> np.ndarray:
    objective, local = state.optimum.objective, state.optimum.local
    assert local is not None
    scales = objective.scales(local.weight_sums)[objective.groups_of_rows[rows]]
    gradients = objective.row_gradients(state.optimum.theta, rows)
    gradients *= state.w[rows, None] * scales
    return np.einsum("nd,dn->n", gradients, local.factor.solve(gradients.T))


def _leave_one_out(state: State, rows: np.ndarray) -> np.ndarray:
    optimum = state.optimum
    assert optimum.local is not None
    inverse = optimum.local.inverse
    return optimum.objective.leave_one_out(optimum.theta, state.w, inverse, rows)

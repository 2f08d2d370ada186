"""What each row does to the classifier, from the Hessian and the row alone."""

from typing import Any

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from skunlearn.influence._state import State

__all__ = ["compute_leave_one_out", "compute_self_influence"]

_VALUES = 2**20  # of gradients that are formed at once


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

"""Newton steps, with the Hessian of retained rows or of all: two ways to forget."""

from dataclasses import replace
from functools import partial

import numpy as np

from skunlearn.influence._methods.transitions import (
    Change,
    make_patch,
    make_steps,
    subtract,
    without_rows,
)
from skunlearn.influence._solvers.refine import ihvp, solve_with
from skunlearn.influence._state import State

__all__ = ["by_influence", "by_newton"]


def by_newton(state: State, rows: np.ndarray) -> Change:
    """Make a step with the Hessian of the retained rows; then as many as it takes."""
    optimum, settings = state.optimum, state.settings
    if optimum.local is None:
        return make_steps(state, optimum.theta, without_rows(state.w, rows), 0)
    local = subtract(state, rows)
    step = solve_with(local, local.gradient, settings.damping)
    return make_patch(state, local, step, partial(without_rows, state.w, rows))


def by_influence(state: State, rows: np.ndarray) -> Change:
    """One step with the Hessian of all rows that were there before."""
    optimum, settings = state.optimum, replace(state.settings, n_steps=1)
    state = replace(state, settings=settings)
    objective, theta, w = optimum.objective, optimum.theta, without_rows(state.w, rows)
    if optimum.local is None:
        gradient = objective.gradient(theta, w)
        step = -ihvp(objective, theta, state.w, None, gradient, settings)
        return make_steps(state, theta + step, w, 1)
    local = subtract(state, rows)
    step = solve_with(optimum.local, local.gradient, settings.damping)
    return make_patch(state, local, step, lambda: w)

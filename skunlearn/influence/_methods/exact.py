"""Exact forgetting: the rounded optimum of the retained rows, whatever was before."""

from dataclasses import replace

import numpy as np

from skunlearn.influence._methods.transitions import Change, without_rows
from skunlearn.influence._objectives.linear_sums import allows_exact
from skunlearn.influence._optimum import find_rounded, is_exact_wanted
from skunlearn.influence._state import State

__all__ = ["by_rounding", "can_be_exact"]


def can_be_exact(state: State) -> bool:
    """Whether a forget is to end at parameters that a new fit would end at, too.

    Raises
    ------
    ValueError, UnsupportedEstimatorError
        If they have to be exact, and cannot.
    """
    optimum, settings = state.optimum, state.settings
    is_wanted = is_exact_wanted(
        optimum.estimator, optimum.objective, settings, state.budget
    )
    if settings.exact not in ("auto", False) and len(state.held_out):
        raise ValueError(
            "exact=True needs a classifier that was fitted with method='newton', "
            "without rows held out. Fit it again, or set exact='auto'."
        )
    return is_wanted and not len(state.held_out)


def by_rounding(state: State, rows: np.ndarray) -> Change | None:
    """Go to the rounded optimum of the retained rows; None if it is not certain."""
    optimum, w = state.optimum, without_rows(state.w, rows)
    objective, reference, step = optimum.objective, optimum.reference, None
    assert allows_exact(objective)
    if reference is not None and len(rows) < state.counts.sum():
        reference = reference.without(objective, state.w, rows)
        step = _sum_removed(state, rows, w)
    else:
        reference = None
    found = find_rounded(objective, optimum.theta, w, reference, step)
    if found is None:
        return None
    new = replace(state, optimum=optimum.rounded(found), criterion_start=None)
    return Change(new, "polish", move=found.move)


def _sum_removed(state: State, rows: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Return the gradient that some rows had at the parameters."""
    objective, theta = state.optimum.objective, state.optimum.theta
    before, after = objective.weight_sums(state.w), objective.weight_sums(w)
    sums = objective.gradients_by_group(theta, state.w, rows)
    removed = (objective.scales(after) * sums).sum(axis=0)
    lost = objective.regularizer(before) - objective.regularizer(after)
    return removed + lost * theta

"""What a forget makes of a state, and what is then left to overwrite and to tell."""

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import clone

from skunlearn._data.casting import trim_text
from skunlearn._runtime.warn import warn
from skunlearn.exceptions import NothingRetainedError
from skunlearn.influence._methods.network_step import by_network
from skunlearn.influence._methods.newton import by_influence, by_newton
from skunlearn.influence._methods.puma import (
    follow_criterion,
    hold_criterion,
    measure_removal,
)
from skunlearn.influence._methods.transitions import Change, finish, without_rows
from skunlearn.influence._networks.head import Head
from skunlearn.influence._networks.whole import NetworkObjective, WholeNetwork
from skunlearn.influence._optimum import (
    explain_no_bound,
    find_optimum,
    is_exact_wanted,
    round_without,
)
from skunlearn.influence._solvers.newton import evaluate
from skunlearn.influence._solvers.refine import MAX_STEPS, settle
from skunlearn.influence._state import State

__all__ = ["remove"]

_CERTIFIED_TOL = 1e-8  # in the norm of the Hessian, where a residual is too large
_MAX_SPENT_SHARE = 0.1  # of what is certified, up to which a residual stays


def remove(state: State, slots: np.ndarray) -> Change:
    """Return what is left when the rows in some slots are forgotten.

    Raises
    ------
    NothingRetainedError
        If no row would be left to train on.
    """
    shown, state = state, state.plain  # weights are found from scratch each time
    rows, weight = slots[slots < len(state.w)], state.rows.data.sample_weight
    rows = rows if weight is None else rows[weight[rows] > 0]  # others were no rows
    codes = state.rows.data.y[rows]
    counts = state.counts - np.bincount(codes, minlength=len(state.classes))
    if not counts.any():
        raise NothingRetainedError(
            "the request leaves no row to train on. Retain at least one row, or delete "
            "the classifier."
        )
    state = replace(state, counts=counts)
    if state.criterion_start is not None or state.settings.method == "puma":
        state = follow_criterion(shown, state, slots)
    if not len(rows):
        return Change(replace(shown, criterion_start=state.criterion_start), "patch")
    if (counts == 0).any():
        change = _drop_classes(state, rows)
        return measure_removal(change) if state.settings.method == "puma" else change
    if not len(state.optimum.theta):
        return Change(state, "patch")
    if isinstance(state.optimum.objective, NetworkObjective):
        _can_be_exact(state)  # which is an error if it has to be
        is_puma = state.settings.method == "puma"
        validation = state.find_validation(slots) if is_puma else None
        return by_network(state, rows, validation)
    exact = _forget_exactly(state, rows) if _can_be_exact(state) else None
    if exact is not None:
        return exact
    state = state.sharpened if state.optimum.is_exact else state
    is_influence = state.settings.method == "influence"
    change = (by_influence if is_influence else by_newton)(state, rows)
    change = _refit_failed(change, rows)
    if state.settings.method == "puma":
        change = hold_criterion(state, change, rows, state.find_validation(slots))
    if change.state.base is not None:
        change = _refit_failed(change, rows)
    return _warn_of_lost_bound(change, rows)


def _can_be_exact(state: State) -> bool:
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


def _forget_exactly(state: State, rows: np.ndarray) -> Change | None:
    """Go to the rounded optimum of the retained rows; None if it is not certain."""
    w = without_rows(state.w, rows)
    found = round_without(state.optimum, state.w, w, rows)
    if found is None:
        return None
    new = replace(state, optimum=state.optimum.rounded(found), criterion_start=None)
    return Change(new, "polish", move=found.move)


def _refit(state: State, rows: np.ndarray) -> State:
    """Refit the classifier without some rows, with the weights of the others."""
    w = without_rows(state.w, rows)
    budget = None if state.budget is None else state.budget.renewed()
    optimum = find_optimum(
        state.prototype, state.training, w, state.classes, state.settings, budget
    )
    return replace(state, optimum=optimum, w=w, budget=budget)


def _drop_classes(state: State, rows: np.ndarray) -> Change:
    """Refit to the classes that are left."""
    there = state.counts > 0
    recode = np.where(there, there.cumsum() - 1, -1)
    held = state.rows.data
    y = recode[held.y]  # a new array; rows that are forgotten get a code of no meaning
    y[state.rows.slot_of[~state.rows.retained]] = 0
    training = y[: state.n_training]
    training[training < 0] = 0  # rows that are about to go, and those of weight 0
    classes = trim_text(state.classes[there])
    state = replace(
        state,
        prototype=_without_others(state.prototype, there, classes),
        rows=replace(state.rows, data=replace(held, y=y)),
        counts=state.counts[there],
        classes=classes,
    )
    state = _refit(state, rows)
    return Change(state, "refit", state.optimum.gradient_norm)


def _without_others(prototype: Any, there: np.ndarray, classes: np.ndarray) -> Any:
    """Return an estimator that has no output for other classes, and no weight."""
    if isinstance(prototype, Head | WholeNetwork):
        prototype = prototype.without_classes(there)
    weights = getattr(prototype, "class_weight", None)
    if not isinstance(weights, dict):
        return prototype
    names = set(classes.tolist())
    weights = {name: value for name, value in weights.items() if name in names}
    return clone(prototype).set_params(class_weight=weights)


def _refit_failed(change: Change, rows: np.ndarray) -> Change:
    """Refit where steps have failed, or a residual exceeds what is certified."""
    if change.path == "failed":
        warn(
            "the steps towards the optimum diverged or did not converge, so the "
            "classifier was refitted on the retained rows."
        )
        return _fit_anew(change, rows)
    return _certify(change, rows)


def _warn_of_lost_bound(change: Change, rows: np.ndarray) -> Change:
    """Warn where there is no bound."""
    if change.bound_unavailable and change.path != "refit":  # a fit warns by itself
        reason = _explain_lost_bound(change.state, rows)
        warn(f"the distance to the retrained parameters cannot be bounded: {reason}")
    return change


def _explain_lost_bound(state: State, rows: np.ndarray) -> str:
    """Return why there is no bound, and what would help."""
    reason = explain_no_bound(state.optimum, without_rows(state.w, rows))
    if reason is not None:
        return reason
    if state.settings.method == "influence":
        return "the forget set is too large for one step. Set method='newton'."
    if state.settings.n_steps != "auto":
        return "the forget set is too large for so few steps. Set n_steps='auto'."
    return (
        "further steps do not improve it, since the objective is almost flat. Add an "
        "l2 penalty, or scale the features, and fit again."
    )


def _certify(change: Change, rows: np.ndarray) -> Change:
    """Refit, with a warning, where a residual exceeds what the noise can mask."""
    state = change.state
    if state.budget is None or change.path == "refit":
        return change
    allowed = state.budget.allowed
    goal = _MAX_SPENT_SHARE * allowed
    if change.gradient_norm is None or change.gradient_norm > goal:
        change = _measure(change, without_rows(state.w, rows), goal)
    norm = change.gradient_norm
    assert norm is not None
    if norm <= allowed:
        return change
    warn(
        f"the budget of certify is spent: the gradient norm is {norm:.2g}, and at most "
        f"{allowed:.2g} is certified. The classifier was refitted on the retained rows."
    )
    return _fit_anew(change, rows)


def _measure(change: Change, w: np.ndarray, goal: float) -> Change:
    """Take the true gradient over, and go on from it if it is longer than the goal."""
    state = change.state
    optimum, settings = state.optimum, replace(state.settings, tol=_CERTIFIED_TOL)
    point = evaluate(optimum.objective, optimum.theta, w)
    is_good = point.norm <= goal
    n_steps = 0 if is_good or settings.n_steps != "auto" else MAX_STEPS
    R, local = optimum.R, optimum.local
    update = settle(optimum.objective, point, local, w, settings, R, n_steps)
    unit = optimum.objective.mean_weight(w)
    new = finish(state, replace(update, failed=False), unit)
    path = change.path if update.path == "patch" else update.path
    return replace(change, state=new.state, path=path, gradient_norm=new.gradient_norm)


def _fit_anew(change: Change, rows: np.ndarray) -> Change:
    state = _refit(change.state, rows)
    norm = state.optimum.gradient_norm
    return replace(change, state=state, path="refit", gradient_norm=norm)

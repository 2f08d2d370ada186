"""What a forget makes of a state, and what is then left to overwrite and to tell."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import clone

from skunlearn._data.casting import trim_text
from skunlearn._runtime.warn import warn
from skunlearn.exceptions import NothingRetainedError
from skunlearn.influence._certificate.grid import round_up
from skunlearn.influence._certificate.local_model import LocalModel
from skunlearn.influence._methods.network_step import by_network
from skunlearn.influence._methods.puma import (
    follow_criterion,
    hold_criterion,
    measure_removal,
)
from skunlearn.influence._networks.head import Head
from skunlearn.influence._networks.whole import NetworkObjective, WholeNetwork
from skunlearn.influence._optimum import explain_no_bound, find_optimum
from skunlearn.influence._solvers.exact import is_exact_wanted, round_without
from skunlearn.influence._solvers.newton import Point
from skunlearn.influence._solvers.optimum import Optimum
from skunlearn.influence._solvers.refine import (
    MAX_STEPS,
    ihvp,
    refine,
    settle,
    solve_with,
)
from skunlearn.influence._state import Change, State

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
    shown = state
    if state.base is not None:
        state = state.plain  # weights are found from scratch each time
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
    is_puma = state.settings.method == "puma"
    if state.criterion_start is not None or is_puma:
        state = follow_criterion(shown, state, slots)
    if not len(rows):
        return Change(replace(shown, criterion_start=state.criterion_start), "patch")
    if (counts == 0).any():
        change = _drop_classes(state, rows)
        return measure_removal(change) if is_puma else change
    if not len(state.optimum.theta):
        return Change(state, "patch")
    if isinstance(state.optimum.objective, NetworkObjective):
        _can_be_exact(state)  # which is an error if it has to be
        validation = state.find_validation(slots) if is_puma else None
        return by_network(state, rows, validation)
    if is_puma and state.optimum.is_exact:
        state = state.sharpened
    change = _decide(state, rows)
    if change.state.optimum.is_exact:
        return change
    if is_puma:
        validation = state.find_validation(slots)
        change = hold_criterion(state, change, rows, validation, reach)
        if change.state.base is not None:
            change = _certify(change, rows)
    return _warn_of_lost_bound(change, rows)


def _decide(state: State, rows: np.ndarray) -> Change:
    """Go to the optimum of the retained rows by the first path that leads there.

    That is to be exact; a patch; a polish; and at last a new fit. With `certify` the
    residual is to be small, too.
    """
    if _can_be_exact(state):
        found = round_without(state.optimum, state.w, rows)
        if found is not None:
            new = replace(state, optimum=found[0], criterion_start=None)
            return Change(new, "polish", found[1])
    change = _step(state.sharpened if state.optimum.is_exact else state, rows)
    if change is not None:
        return _certify(change, rows)
    warn(
        "the steps towards the optimum diverged or did not converge, so the classifier "
        "was refitted on the retained rows."
    )
    return Change(_refit(state, rows), "refit")


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


def _step(state: State, rows: np.ndarray) -> Change | None:
    """Step by the Hessian of the retained rows, or of all; None if it leads nowhere."""
    optimum, settings, known = state.optimum, state.settings, state.optimum.local
    is_influence = settings.method == "influence"
    if is_influence:
        settings = replace(settings, n_steps=1)
        state = replace(state, settings=settings)
    if known is not None:
        local = state.subtract(rows)
        known = known if is_influence else local
        step = solve_with(known, local.gradient, settings.damping)
        return reach(state, local, step, rows)
    if not is_influence:
        return reach(state, None, None, rows)
    objective, theta, w = optimum.objective, optimum.theta, state.weights_without(rows)
    gradient = objective.gradient(theta, w)
    step = -ihvp(objective, theta, state.w, None, gradient, settings)
    return reach(state, None, step, rows)


def reach(
    state: State,
    local: LocalModel | None,
    step: np.ndarray | None,
    gone: np.ndarray | None = None,
) -> Change | None:
    """Patch if the bound after a step is short enough, and polish if not.

    Parameters
    ----------
    state : State
        The state at the old parameters.
    local : LocalModel or None
        What is known of the retained rows there; None where Hessians are not formed.
    step : ndarray of shape (n_params,) or None
        The first step, if there is one already.
    gone : ndarray, default=None
        Rows that still have a weight, and count no more.

    Returns
    -------
    Change or None
        The outcome; None if steps lead nowhere.
    """
    optimum, settings, path = state.optimum, state.settings, "patch"
    if state.budget is not None and settings.n_steps == "auto":
        settings = replace(settings, n_steps=1)  # the residual decides on more
    n_steps = MAX_STEPS
    if settings.n_steps != "auto":
        n_steps = settings.n_steps - (step is not None)
    w, objective, new = state.w, optimum.objective, None
    if gone is not None and objective.has_unlike_rows:  # else a copy is saved
        w = state.weights_without(gone)
    unit = math.sqrt(objective.mean_weight(w))
    if local is not None and step is not None:
        # With a budget the true gradient is measured anyway.
        goal = settings.goal if state.budget is None else math.inf
        new = _patch(optimum, local.moved(step), goal, unit, not n_steps)
    if new is None:
        w = state.w if gone is None else state.weights_without(gone)
        step = np.zeros_like(optimum.theta) if step is None else step
        found = refine(optimum, local, step, w, settings, n_steps)
        if found is None:
            return None
        new, path = found[0], "polish" if found[1] else "patch"
    move = None
    if new.local is not None:
        move = round_up(new.local.find_length(new.theta - optimum.theta) / unit)
    return Change(state.evolved(optimum=new), path, move)


def _patch(
    optimum: Optimum, local: LocalModel, goal: float, unit: float, is_last: bool
) -> Optimum | None:
    """Take a step over, if its bound is short enough or no step is to follow it."""
    if goal == math.inf and local.is_plausible:
        return optimum.at(local.theta, local, math.inf, math.inf)
    bound, distance = local.bound(), local.bound_in_hessian() / unit
    if math.isfinite(bound) and (distance <= goal or is_last):
        return optimum.at(local.theta, local, bound + local.rounding, distance)
    if is_last and local.is_plausible:
        return optimum.at(local.theta, local, math.inf, math.inf)
    return None


def _refit(state: State, rows: np.ndarray) -> State:
    """Refit the classifier without some rows, with the weights of the others."""
    w = state.weights_without(rows)
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
    return Change(_refit(state, rows), "refit")


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


def _warn_of_lost_bound(change: Change, rows: np.ndarray) -> Change:
    """Warn where there is no bound."""
    if change.bound_unavailable and change.path != "refit":  # a fit warns by itself
        reason = _explain_lost_bound(change.state, rows)
        warn(f"the distance to the retrained parameters cannot be bounded: {reason}")
    return change


def _explain_lost_bound(state: State, rows: np.ndarray) -> str:
    """Return why there is no bound, and what would help."""
    reason = explain_no_bound(state.optimum, state.weights_without(rows))
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
        change = _measure(change, state.weights_without(rows), goal)
    norm = change.gradient_norm
    assert norm is not None
    if norm <= allowed:
        return change
    warn(
        f"the budget of certify is spent: the gradient norm is {norm:.2g}, and at most "
        f"{allowed:.2g} is certified. The classifier was refitted on the retained rows."
    )
    return replace(change, state=_refit(change.state, rows), path="refit")


def _measure(change: Change, w: np.ndarray, goal: float) -> Change:
    """Take the true gradient over, and go on from it if it is longer than the goal."""
    state = change.state
    optimum, settings = state.optimum, replace(state.settings, tol=_CERTIFIED_TOL)
    gradient = optimum.objective.gradient(optimum.theta, w)
    norm = float(np.linalg.norm(gradient))
    point = Point(optimum.theta, math.nan, gradient, norm)
    is_good = point.norm <= goal
    n_steps = 0 if is_good or settings.n_steps != "auto" else MAX_STEPS
    found, n_made = settle(optimum, point, optimum.local, w, settings, n_steps)
    path = "polish" if n_made else change.path
    return replace(change, state=replace(state, optimum=found), path=path)

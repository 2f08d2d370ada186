"""What a forget makes of a state: pure functions, which change nothing."""

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import clone

from skunlearn.exceptions import NothingRetainedError, UnlearningQualityWarning
from skunlearn.influence._criteria import Validation
from skunlearn.influence._fitting import Optimum, find_optimum
from skunlearn.influence._puma import (
    Trial,
    apply_inverse,
    find_multipliers,
    plan_weights,
    reweighted,
    shrink_step,
)
from skunlearn.influence._reweighting import Reweighting
from skunlearn.influence._state import State
from skunlearn.influence._steps import evaluate
from skunlearn.influence._tracked import Tracked
from skunlearn.influence._updates import Update, patch, settle, solve_with

__all__ = ["Change", "compute_contributions", "refit", "remove"]

_MAX_STEPS = 30
_SPENT = 0.1  # share of what is certified, up to which a residual is left as it is


@dataclass(frozen=True)
class Change:
    """A state without some rows, and how it came about.

    The weights may still be those before: the rows that go are overwritten when all
    else is done.
    """

    state: State
    path: str
    gradient_norm: float | None = None
    trial: Trial | None = None
    criterion_change: float | None = None

    @property
    def is_lost(self) -> bool:
        """Tell whether true gradients could not bound the distance to the optimum."""
        optimum = self.state.optimum
        is_open = optimum.tracked is not None and optimum.tracked.gradient_error > 0
        return not is_open and not np.isfinite(optimum.bound)


def remove(state: State, slots: np.ndarray) -> Change:
    """Return what is left when the rows in some slots are forgotten.

    Raises
    ------
    NothingRetainedError
        If no row would be left to train on.
    """
    rows = slots[slots < state.n_training]
    if not len(rows):
        return Change(state, "patch")
    codes = state.rows.held.y[rows]
    counts = state.counts - np.bincount(codes, minlength=len(state.classes))
    if not counts.any():
        raise NothingRetainedError(
            "the request leaves no row to train on. Fit anew on other rows instead."
        )
    state = replace(state, counts=counts)
    if (counts == 0).any():
        return _drop_classes(state, rows)
    if not len(state.optimum.theta):
        return Change(state, "patch")
    if state.settings.method == "puma":
        return _by_puma(state, rows, state.find_validation(slots))
    method = _by_newton if state.settings.method == "newton" else _by_influence
    return _vouch(method(state, rows), rows)


def refit(state: State, w: np.ndarray) -> State:
    """Fit the classifier anew with some weights."""
    budget = None if state.budget is None else state.budget.renewed()
    optimum = find_optimum(
        state.prototype, state.training, w, state.classes, state.settings, budget
    )
    return replace(state, optimum=optimum, w=w, budget=budget)


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


def _drop_classes(state: State, rows: np.ndarray) -> Change:
    """Fit anew to the classes that are left."""
    there = state.counts > 0
    recode = np.where(there, there.cumsum() - 1, -1)
    held = state.rows.held
    y = recode[held.y]  # a new array; rows that are forgotten get a code of no meaning
    y[: state.n_training][state.w == 0] = 0
    y[rows] = 0
    classes = state.classes[there]
    state = replace(
        state,
        prototype=_without_weights_of_others(state.prototype, classes),
        rows=replace(state.rows, held=replace(held, y=y)),
        counts=state.counts[there],
        classes=classes,
    )
    state = refit(state, _without(state.w, rows))
    return Change(state, "refit", state.optimum.gradient_norm)


def _without_weights_of_others(prototype: Any, classes: np.ndarray) -> Any:
    """Return an estimator whose `class_weight` names no other class: none may."""
    weights = getattr(prototype, "class_weight", None)
    if not isinstance(weights, dict):
        return prototype
    there = set(classes.tolist())
    weights = {name: value for name, value in weights.items() if name in there}
    return clone(prototype).set_params(class_weight=weights)


def _without(w: np.ndarray, rows: np.ndarray) -> np.ndarray:
    w = w.copy()
    w[rows] = 0
    return w


def _subtract(state: State, rows: np.ndarray) -> Tracked:
    """Return what is known without some rows, by subtraction if that is the less."""
    tracked = state.optimum.tracked
    assert tracked is not None
    if len(rows) < state.counts.sum():
        tracked = tracked.without(state.w, rows)
        if not tracked.is_worn:
            return tracked
    optimum, w = state.optimum, _without(state.w, rows)
    return Tracked.measure(optimum.objective, optimum.theta, w, optimum.R)


def _by_newton(state: State, rows: np.ndarray) -> Change:
    """One step with the Hessian of the rows that stay; then as many as it takes."""
    if state.optimum.tracked is None:
        return _by_gradients(state, _without(state.w, rows))
    tracked = _subtract(state, rows)
    step = solve_with(tracked, tracked.gradient, state.settings.damping)
    return _patch(state, tracked, step, lambda: _without(state.w, rows))


def _by_influence(state: State, rows: np.ndarray) -> Change:
    """One step with the Hessian of all rows that were there before."""
    optimum, settings = state.optimum, replace(state.settings, n_steps=1)
    state = replace(state, settings=settings)
    w = _without(state.w, rows)
    if optimum.tracked is None:
        objective, theta = optimum.objective, optimum.theta
        gradient = objective.gradient(theta, w)
        step = -apply_inverse(objective, theta, state.w, None, gradient, settings)
        point = evaluate(objective, theta + step, w)
        return _finish(state, settle(objective, point, None, w, settings, optimum.R, 0))
    tracked = _subtract(state, rows)
    step = solve_with(optimum.tracked, tracked.gradient, settings.damping)
    return _patch(state, tracked, step, lambda: w)


def _by_puma(state: State, rows: np.ndarray, validation: Validation | None) -> Change:
    """A step that weighs the rows that stay anew; then as many as it takes."""
    if validation is None:
        warnings.warn(
            "no row is left for the criterion, so that nothing holds it unchanged. Fit "
            "with X_val and y_val, or with a larger validation_fraction.",
            UnlearningQualityWarning,
            stacklevel=2,
        )
        return _vouch(_by_newton(state, rows), rows)
    optimum, settings = state.optimum, state.settings
    objective, theta = optimum.objective, optimum.theta
    after = None if optimum.tracked is None else _subtract(state, rows)
    known = optimum.tracked if settings.hessian == "original" else after
    weights, pull = _weigh_anew(state, rows, validation, known)
    w = _without(state.w, rows)
    w_new = w * (1 + weights.changes)
    if not _has_all_classes(state, w_new):
        warnings.warn(
            "to leave the criterion unchanged would take all weight from a class, so "
            "that no row is weighed anew. Give the criterion more rows, or lower "
            "max_reabsorption.",
            UnlearningQualityWarning,
            stacklevel=2,
        )
        return _vouch(_by_newton(state, rows), rows)
    if after is None:
        gradient = objective.gradient(theta, w_new)
    else:
        after = reweighted(after, weights.changes, w_new, pull)
        gradient = after.gradient
    step = -apply_inverse(objective, theta, w, known, gradient, settings)
    trial = shrink_step(
        validation, objective, theta, step, weights.wanted, settings.eta
    )
    state = replace(state, w=w_new)
    if after is None:
        change = _by_gradients(state, w_new, theta + trial.eta * step)
    else:
        change = _patch(state, after, trial.eta * step, lambda: w_new)
    change = _vouch(change, rows)
    value = validation.value(objective, change.state.optimum.theta)
    return replace(change, trial=trial, criterion_change=value - trial.before)


def _has_all_classes(state: State, w: np.ndarray) -> bool:
    """Tell whether some weight is left for each class."""
    if w.all():
        return True
    y = state.training.y
    return bool((np.bincount(y, w, minlength=len(state.classes)) > 0).all())


def _weigh_anew(
    state: State, rows: np.ndarray, validation: Validation, known: Tracked | None
) -> tuple[Reweighting, np.ndarray | None]:
    """Return how to change weights, so that the removal leaves the criterion alone.

    The second is what that adds to the gradient, if it is known without a pass.
    """
    objective, theta = state.optimum.objective, state.optimum.theta
    w, settings = state.w, state.settings
    scales = objective.scales(objective.totals(w))[objective.strata[rows]]
    gradients = w[rows, None] * scales * objective.row_gradients(theta, rows)
    slopes = [validation.gradient(objective, theta)]
    if settings.max_reabsorption < 1:  # also where the removed rows pull to
        slopes.append(gradients.sum(axis=0))
    v = apply_inverse(objective, theta, w, known, np.transpose(slopes), settings)
    scores, pulls = objective.scores_and_pulls(theta, w, v)
    scores = w * np.ascontiguousarray(scores.T)
    if pulls is not None:
        pulls -= scores[:, rows] @ gradients
    returns = scores[1] if len(scores) > 1 else None
    weights = plan_weights(scores[0], returns, rows, settings)
    multipliers = None
    if pulls is not None:
        multipliers = find_multipliers(weights.changes, scores)
    return weights, None if multipliers is None else multipliers @ pulls


def _by_gradients(
    state: State, w: np.ndarray, theta: np.ndarray | None = None
) -> Change:
    """Make steps with true gradients alone."""
    optimum, settings = state.optimum, state.settings
    theta = optimum.theta if theta is None else theta
    n_steps = _MAX_STEPS if settings.n_steps == "auto" else settings.n_steps
    point = evaluate(optimum.objective, theta, w)
    tracked = None
    update = settle(optimum.objective, point, tracked, w, settings, optimum.R, n_steps)
    return _finish(state, update)


def _patch(
    state: State, tracked: Tracked, step: np.ndarray, weigh: Callable[[], np.ndarray]
) -> Change:
    settings = state.settings
    if state.budget is not None and settings.n_steps == "auto":
        settings = replace(settings, n_steps=1)  # the residual decides on more
    return _finish(state, patch(tracked, step, weigh, settings))


def _finish(state: State, update: Update) -> Change:
    """Give the parameters to a new estimator."""
    optimum = state.optimum
    norm = np.nan if update.gradient_norm is None else update.gradient_norm
    new = replace(
        optimum,
        theta=update.theta,
        tracked=update.tracked,
        bound=np.inf if update.failed else update.bound,
        gradient_norm=norm,
        estimator=write_copy(optimum, update.theta),
    )
    path = "failed" if update.failed else update.path
    return Change(replace(state, optimum=new), path, update.gradient_norm)


def write_copy(optimum: Optimum, theta: np.ndarray) -> Any:
    """Return a copy of the estimator with other parameters."""
    estimator = copy.copy(optimum.estimator)
    optimum.objective.write(estimator, theta)
    return estimator


def _vouch(change: Change, rows: np.ndarray) -> Change:
    """Fit anew where steps led nowhere, and say what cannot be vouched for."""
    if change.path == "failed":
        warnings.warn(
            "the steps towards the optimum led away from it or did not arrive, so the "
            "classifier was fitted anew on the rows that stay.",
            UnlearningQualityWarning,
            stacklevel=2,
        )
        return _fit_anew(change, rows)
    if change.is_lost:
        warnings.warn(
            "the distance to the retrained parameters cannot be bounded: the removal "
            "is too large for the steps that were made. Use n_steps='auto', or fit "
            "anew.",
            UnlearningQualityWarning,
            stacklevel=2,
        )
    return _certify(change, rows)


def _certify(change: Change, rows: np.ndarray) -> Change:
    """Fit anew, loudly, where a residual is larger than noise can hide."""
    state = change.state
    if state.budget is None or change.path == "refit":
        return change
    allowed = state.budget.allowed
    if change.gradient_norm is None:
        change = _measure(change, _without(state.w, rows), _SPENT * allowed)
    norm = change.gradient_norm
    assert norm is not None
    if norm <= allowed:
        return change
    warnings.warn(
        f"the budget of certify is spent: the gradient has the norm {norm:.2g}, and "
        f"{allowed:.2g} is certified. The classifier was fitted anew.",
        UnlearningQualityWarning,
        stacklevel=2,
    )
    return _fit_anew(change, rows)


def _measure(change: Change, w: np.ndarray, goal: float) -> Change:
    """Take the true gradient over, and go on from it if it is longer than the goal."""
    state = change.state
    optimum, settings = state.optimum, state.settings
    point = evaluate(optimum.objective, optimum.theta, w)
    is_good = point.norm <= goal
    n_steps = 0 if is_good or settings.n_steps != "auto" else _MAX_STEPS
    R, tracked = optimum.R, optimum.tracked
    update = settle(optimum.objective, point, tracked, w, settings, R, n_steps)
    new = _finish(state, replace(update, failed=False))
    path = change.path if update.path == "patch" else update.path
    return replace(change, state=new.state, path=path, gradient_norm=new.gradient_norm)


def _fit_anew(change: Change, rows: np.ndarray) -> Change:
    state = refit(change.state, _without(change.state.w, rows))
    norm = state.optimum.gradient_norm
    return replace(change, state=state, path="refit", gradient_norm=norm)

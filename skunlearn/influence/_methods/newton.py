"""The three ways to forget rows: Newton, PUMA and influence."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from skunlearn._runtime.warn import warn
from skunlearn.influence._certificate.local_model import Tracked
from skunlearn.influence._criteria import Validation
from skunlearn.influence._methods.puma import (
    Trial,
    apply_inverse,
    find_multipliers,
    plan_weights,
    reweighted,
)
from skunlearn.influence._methods.reweighting import Reweighting
from skunlearn.influence._methods.transitions import (
    Change,
    make_patch,
    make_steps,
    subtract,
    without_rows,
)
from skunlearn.influence._solvers.refine import solve_with
from skunlearn.influence._state import State

__all__ = ["by_influence", "by_newton", "by_puma", "compute_contributions"]

_SHARES = (1.0, 0.5, 0.25, 0.125)  # of the new weights, until one can be trusted
_TRUSTED = 0.5  # error of a prediction, as a share of what the removal changes


def by_newton(state: State, rows: np.ndarray) -> Change:
    """One step with the Hessian of the rows that stay; then as many as it takes."""
    optimum, settings = state.optimum, state.settings
    if optimum.tracked is None:
        return make_steps(state, optimum.theta, without_rows(state.w, rows), 0)
    tracked = subtract(state, rows)
    step = solve_with(tracked, tracked.gradient, settings.damping)
    return make_patch(state, tracked, step, lambda: without_rows(state.w, rows))


def by_influence(state: State, rows: np.ndarray) -> Change:
    """One step with the Hessian of all rows that were there before."""
    optimum, settings = state.optimum, replace(state.settings, n_steps=1)
    state = replace(state, settings=settings)
    objective, theta, w = optimum.objective, optimum.theta, without_rows(state.w, rows)
    if optimum.tracked is None:
        gradient = objective.gradient(theta, w)
        step = -apply_inverse(objective, theta, state.w, None, gradient, settings)
        return make_steps(state, theta + step, w, 1)
    tracked = subtract(state, rows)
    step = solve_with(optimum.tracked, tracked.gradient, settings.damping)
    return make_patch(state, tracked, step, lambda: w)


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


def by_puma(state: State, rows: np.ndarray, validation: Validation | None) -> Change:
    """A step that weighs the rows that stay anew; then as many as it takes.

    With eta="auto", smaller and smaller shares of the new weights are tried until the
    criterion changes about as predicted, and no more than by the removal alone. If none
    does that, the best of them is taken, or none of the weights.
    """
    if validation is None:
        warn(
            "no row is left for the criterion, so that nothing holds it unchanged. Fit "
            "with X_val and y_val, or with a larger validation_fraction."
        )
        return by_newton(state, rows)
    after = None if state.optimum.tracked is None else subtract(state, rows)
    weights, pull = _weigh_anew(state, rows, validation, after)
    request = _Request(state, rows, validation, after, weights, pull)
    if state.settings.eta != "auto":
        if request.leaves_all_classes:
            return request.carry_out(1.0, float(state.settings.eta))
        warn(
            "to leave the criterion unchanged would take all weight from a class, so "
            "that no row is weighed anew. Use eta='auto', or a criterion of more rows, "
            "or lower max_reabsorption."
        )
        return by_newton(state, rows)
    if not weights.changes.any():
        return request.carry_out(0.0, 1.0)
    changes = []
    for share in _SHARES:
        if (change := request.try_share(share)) is not None:
            if change.criterion_change <= weights.wanted:
                return change
            changes.append(change)
    change = request.carry_out(0.0, 1.0)
    changes.append(replace(change, trial=Trial(0.0, weights.wanted)))
    return min(changes, key=lambda change: change.criterion_change)


@dataclass(frozen=True)
class _Request:
    """What PUMA knows of a request before it decides how far to go."""

    state: State
    rows: np.ndarray
    validation: Validation
    after: Tracked | None
    weights: Reweighting
    pull: np.ndarray | None

    @property
    def leaves_all_classes(self) -> bool:
        """Whether the plan leaves some weight for each class."""
        return not self.state.find_poor_classes(self._weigh(1.0)).any()

    def try_share(self, share: float) -> Change | None:
        """Change weights by a share of the plan; None where that cannot be trusted."""
        plan = self._plan(share)
        if self.state.find_poor_classes(plan.w).any():
            return None
        predicted = float(self._slopes @ plan.step)
        change = self._value(self.state.optimum.theta + plan.step) - self._before
        scale = abs(self.weights.wanted) + abs(predicted)
        if not abs(change - predicted) <= _TRUSTED * scale:
            return None
        return self._carry_out(plan, share)

    def carry_out(self, share: float, eta: float) -> Change:
        """Change weights by a share of the plan, and make a share of the step."""
        plan = self._plan(share)
        return self._carry_out(plan._replace(step=eta * plan.step), eta)

    def _carry_out(self, plan: "_Plan", eta: float) -> Change:
        theta, w, step = self.state.optimum.theta, plan.w, plan.step
        state = replace(self.state, w=w, is_reweighted=True)
        if plan.after is None:
            change = make_steps(state, theta + step, w, 1)
        else:
            change = make_patch(state, plan.after, step, lambda: w)
        value = self._value(change.state.optimum.theta) - self._before
        trial = Trial(eta, float(self._slopes @ step))
        return replace(change, trial=trial, criterion_change=value)

    def _plan(self, share: float) -> "_Plan":
        """Return what is known with other weights, and the step that they ask for."""
        optimum, settings, after = self.state.optimum, self.state.settings, self.after
        objective, theta = optimum.objective, optimum.theta
        w = self._weigh(share)
        if after is not None and share > 0:
            pull = None if self.pull is None else share * self.pull
            after = reweighted(after, share * self.weights.changes, w, pull)
        gradient = objective.gradient(theta, w) if after is None else after.gradient
        is_original = settings.hessian == "original"
        known = optimum.tracked if is_original else after
        was = self.state.w if is_original else w
        step = -apply_inverse(objective, theta, was, known, gradient, settings)
        return _Plan(w, after, step)

    def _weigh(self, share: float) -> np.ndarray:
        w = self.state.w * (1 + share * self.weights.changes)
        w[self.rows] = 0
        return w

    def _value(self, theta: np.ndarray) -> float:
        return self.validation.value(self.state.optimum.objective, theta)

    @cached_property
    def _before(self) -> float:
        return self._value(self.state.optimum.theta)

    @cached_property
    def _slopes(self) -> np.ndarray:
        optimum = self.state.optimum
        return self.validation.gradient(optimum.objective, optimum.theta)


class _Plan(NamedTuple):
    """Weights, what is known with them, and the step that they ask for."""

    w: np.ndarray
    after: Tracked | None
    step: np.ndarray


def _weigh_anew(
    state: State, rows: np.ndarray, validation: Validation, after: Tracked | None
) -> tuple[Reweighting, np.ndarray | None]:
    """Return how to change weights, so that the removal leaves the criterion alone.

    The second is what that adds to the gradient, if it is known without a pass.
    """
    objective, theta = state.optimum.objective, state.optimum.theta
    w, settings = state.w, state.settings
    known = state.optimum.tracked if settings.hessian == "original" else after
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

"""PUMA: removals that leave a criterion unchanged, by reweighting retained rows.

G. Wu, M. Hashemi, C. Srinivasa, "PUMA: Performance Unchanged Model Augmentation for
Training Data Removal", AAAI 2022, :arxiv:`2203.00846`. What the paper leaves open is as
the user guide says.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from skunlearn._runtime.warn import warn
from skunlearn.influence._certificate.local_model import LocalModel
from skunlearn.influence._criteria import Validation
from skunlearn.influence._methods.newton import by_newton
from skunlearn.influence._methods.reweighting import Reweighting, reweight
from skunlearn.influence._methods.transitions import (
    Change,
    Trial,
    make_patch,
    make_steps,
    subtract,
)
from skunlearn.influence._settings import Settings
from skunlearn.influence._solvers.refine import ihvp
from skunlearn.influence._state import State

__all__ = ["by_puma", "find_multipliers", "plan_weights", "reweighted"]

_SHARES = (1.0, 0.5, 0.25, 0.125)  # of the new weights, until one can be trusted
_MAX_PREDICTION_ERROR = 0.5  # as a share of what the removal changes


def by_puma(state: State, rows: np.ndarray, validation: Validation | None) -> Change:
    """Make a step that reweights the retained rows; then as many as it takes.

    With eta="auto", smaller and smaller shares of the new weights are tried until the
    criterion changes about as predicted, and no more than by the removal alone. If none
    does that, the best of them is taken, or none of the weights.
    """
    if validation is None:
        warn(
            "no row is left for the criterion, so the retained rows are not "
            "reweighted. Pass X_val and y_val to fit, or fit with a larger "
            "validation_fraction."
        )
        return by_newton(state, rows)
    after = None if state.optimum.local is None else subtract(state, rows)
    weights, pull = _weigh_anew(state, rows, validation, after)
    request = _Request(state, rows, validation, after, weights, pull)
    if state.settings.eta != "auto":
        if request.leaves_all_classes:
            return request.carry_out(1.0, float(state.settings.eta))
        warn(
            "keeping the criterion unchanged would reduce all weights of a class to 0, "
            "so the retained rows are not reweighted. Set eta='auto', use more rows "
            "for the criterion, or reduce max_reabsorption."
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
    after: LocalModel | None
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
        if not abs(change - predicted) <= _MAX_PREDICTION_ERROR * scale:
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
        known = optimum.local if is_original else after
        was = self.state.w if is_original else w
        step = -ihvp(objective, theta, was, known, gradient, settings)
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
    after: LocalModel | None
    step: np.ndarray


def _weigh_anew(
    state: State, rows: np.ndarray, validation: Validation, after: LocalModel | None
) -> tuple[Reweighting, np.ndarray | None]:
    """Return how to change weights, so that the removal leaves the criterion alone.

    The second is what that adds to the gradient, if it is known without a pass.
    """
    objective, theta = state.optimum.objective, state.optimum.theta
    w, settings = state.w, state.settings
    known = state.optimum.local if settings.hessian == "original" else after
    scales = objective.scales(objective.weight_sums(w))[objective.groups_of_rows[rows]]
    gradients = w[rows, None] * scales * objective.row_gradients(theta, rows)
    slopes = [validation.gradient(objective, theta)]
    if settings.max_reabsorption < 1:  # also where the removed rows pull to
        slopes.append(gradients.sum(axis=0))
    v = ihvp(objective, theta, w, known, np.transpose(slopes), settings)
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


def plan_weights(
    contributions: np.ndarray,
    returns: np.ndarray | None,
    rows: np.ndarray,
    settings: Settings,
) -> Reweighting:
    """Return how to change the weights of all rows, 0 for those that are to go.

    Parameters
    ----------
    contributions : ndarray of shape (n_rows,)
        What removing each row does to the criterion. It is overwritten.
    returns : ndarray of shape (n_rows,), or None
        How much of the removal a double weight of each row puts back. It is
        overwritten.
    rows : ndarray
        The rows that are to go.
    settings : Settings
        The limits of the changes.
    """
    wanted = float(contributions[rows].sum())
    returned = 0.0
    if returns is not None:
        returned = float(returns[rows].sum())
        returns[rows] = 0
    contributions[rows] = 0
    return reweight(
        contributions,
        wanted,
        returns=returns,
        returned=returned,
        max_weight=settings.max_weight,
        l1_penalty=settings.l1_penalty,
        max_reabsorption=settings.max_reabsorption,
    )


def reweighted(
    local: LocalModel, changes: np.ndarray, w: np.ndarray, pull: np.ndarray | None
) -> LocalModel:
    """Return what is known after weights have changed.

    The Hessian stays as it is known: no row's part of it changes by more than the
    extremes of the changes. `pull` is the sum of the changes of gradients; without it,
    these are recomputed.
    """
    least, most = min(float(changes.min()), 0.0), max(float(changes.max()), 0.0)
    local = local.with_weight_sums(local.objective.weight_sums(w))
    if pull is None:
        sums = local.objective.gradients_by_group(local.theta, w)
        local = local.with_gradients(local.theta, sums)
    else:
        local = replace(local, gradients=local.gradients + pull)
    return replace(
        local,
        low=1 - (1 - local.low) * (1 + least),
        up=(1 + local.up) * (1 + most) - 1,
    )


def find_multipliers(changes: np.ndarray, slopes: np.ndarray) -> np.ndarray | None:
    """Return m with ``changes = m @ slopes``; None where no such m is found."""
    grams = slopes @ slopes.T
    if not np.linalg.cond(grams) < 1e12:
        return None
    multipliers = np.linalg.solve(grams, slopes @ changes)
    rest = changes - multipliers @ slopes
    return multipliers if rest @ rest <= 1e-24 * (changes @ changes) else None

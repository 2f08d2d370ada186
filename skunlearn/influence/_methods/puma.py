"""PUMA: removals that hold a criterion, by reweighting retained rows.

G. Wu, M. Hashemi, C. Srinivasa, "PUMA: Performance Unchanged Model Augmentation for
Training Data Removal", AAAI 2022, :arxiv:`2203.00846`. How weights are found here,
parameters first, is as the user guide says.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from skunlearn._runtime.warn import warn
from skunlearn.influence._criteria import Validation
from skunlearn.influence._methods.goals import Goals
from skunlearn.influence._methods.least_weights import Metric, find_weights
from skunlearn.influence._methods.linear_step import make_linear_step
from skunlearn.influence._methods.trade_off import choose_parameters
from skunlearn.influence._solvers.refine import solve_with
from skunlearn.influence._state import Change, Measured, Reach, State

__all__ = ["follow_criterion", "hold_criterion", "measure", "measure_removal"]

_MAX_RESIDUAL = 0.02  # share of the gradient that the box may leave
_STIFFNESS = 0.1  # of the metric where it leaves more
_SHARES = (1.0, 0.5, 0.25)  # of the way, where it still does
_MAX_PARAMS = 200  # above, a request takes longer than a refit
_PATHS = ("patch", "polish", "refit")


def follow_criterion(shown: State, plain: State, slots: np.ndarray) -> State:
    """Return a state with the criterion that is to be held when some slots are gone.

    It is that of `fit`. Where rows of the criterion go, it changes by what that changes
    for the parameters `shown`. `plain` is the same without new weights.
    """
    start = plain.criterion_start
    if not len(plain.optimum.theta):
        return plain
    objective, theta = shown.optimum.objective, shown.optimum.theta
    rows = plain.find_validation()
    if rows is None:
        return plain
    if start is None:
        start = rows.value(objective, plain.optimum.theta)
    there = np.flatnonzero(plain.counts > 0)
    left = plain.find_validation(slots, there)
    if left is not None and len(left.codes) < len(rows.codes):
        start += left.value(objective, theta) - rows.value(objective, theta)
    return replace(plain, criterion_start=start)


def hold_criterion(
    before: State,
    change: Change,
    rows: np.ndarray,
    validation: Validation | None,
    reach: Reach,
) -> Change:
    """Reweight the retained rows where a removal has harmed the criterion.

    Parameters
    ----------
    before : State
        The state before the request, without weights of earlier requests.
    change : Change
        The outcome of the removal alone.
    rows : ndarray
        The rows that are forgotten, whose values are still there.
    validation : Validation or None
        The rows of the criterion that are left.
    reach : callable
        Goes to the optimum for other weights.
    """
    state = change.state
    start, settings = before.criterion_start, state.settings
    if validation is None or start is None:
        warn(
            "no row is left for the criterion, so the retained rows are not "
            "reweighted. Pass X_val and y_val to fit, or fit with a larger "
            "validation_fraction."
        )
        return change
    thetas = before.optimum.theta, state.optimum.theta
    objective, cap = state.optimum.objective, settings.max_reabsorption
    goals = Goals.measure(objective, validation, rows, start, *thetas, cap)
    plain = replace(change, measured=measure(goals, change, change, 0.0))
    if not goals.harm > 0:
        return plain
    w = state.weights_without(rows)
    if settings.eta == "auto":
        found = _Overlay(goals, state, w, reach).find()
    else:
        eta = float(settings.eta)
        stepped = make_linear_step(before, rows, validation, start, eta, reach)
        found = None if stepped is None else _Trial(stepped, eta, 0.0)
    return plain if found is None else _publish(goals, plain, found)


def measure_removal(change: Change) -> Change:
    """Measure the criterion where no row is reweighted, since a class is gone."""
    state = change.state
    start, validation = state.criterion_start, state.find_validation()
    if start is None or validation is None or not len(state.optimum.theta):
        return change
    value = validation.value(state.optimum.objective, state.optimum.theta)
    measured = Measured(0.0, 0.0, value - start, value - start, None)
    return replace(change, measured=measured)


class _Trial(NamedTuple):
    """New weights with their optimum, the share of the way, and what is missed."""

    change: Change
    eta: float
    miss: float


@dataclass(frozen=True)
class _Overlay:
    """The search for weights: parameters first, on the state after the removal."""

    goals: Goals
    state: State
    w: np.ndarray
    reach: Reach

    def find(self) -> _Trial | None:
        """Return the best weights; None if none is better than to leave them."""
        local, theta = self.state.optimum.local, self.state.optimum.theta
        if local is None:
            warn(
                "method='puma' with eta='auto' needs a Hessian, which solver='cg' does "
                "not form, so the retained rows are not reweighted. Set "
                "solver='cholesky' or a number for eta, or use method='newton'."
            )
            return None
        if len(theta) > _MAX_PARAMS:
            warn(
                f"with {len(theta)} parameters a request with method='puma' can take "
                "longer than several refits. Where the criterion need not be held, use "
                "method='newton'."
            )
        metric = Metric.measure(self.state.optimum.objective, theta, self.w, local)
        best: _Trial | None = None
        for stiffness in (0.0, _STIFFNESS):
            stiff = metric.stiffened(stiffness) if stiffness else metric
            chosen = choose_parameters(self.goals, theta, stiff.spread)
            if chosen is None:
                break
            for share in _SHARES if stiffness else _SHARES[:1]:
                trial, is_free = self._try(theta + share * (chosen - theta), metric)
                if trial is None or trial.miss >= (1.0 if best is None else best.miss):
                    continue
                best = trial._replace(eta=share)
                if is_free:
                    return best
        return best

    def _try(self, theta: np.ndarray, metric: Metric) -> tuple[_Trial | None, bool]:
        """Weigh for some parameters; also whether the box is not in the way."""
        state, settings = self.state, self.state.settings
        objective, local = state.optimum.objective, state.optimum.local
        assert local is not None
        found = find_weights(objective, theta, self.w, metric, settings.max_weight)
        is_free, w = found.residual <= _MAX_RESIDUAL, self.w * (1 + found.changes)
        if state.find_poor_classes(w).any():
            return None, is_free
        local = local.moved(theta - local.theta)
        local = local.reweighted(found.changes, w, found.gradient)
        step = solve_with(local, local.gradient, settings.damping)
        change = self.reach(replace(state, w=w), local, step)
        if change is None:
            return None, is_free
        miss = self.goals.measure_miss(change.state.optimum.theta)
        return _Trial(change, 1.0, miss), is_free


def _publish(goals: Goals, plain: Change, found: _Trial) -> Change:
    """Return the outcome with new weights, which keeps that without them below."""
    state = replace(
        plain.state,
        base=plain.state.optimum,
        optimum=found.change.state.optimum,
        w=found.change.state.w,
    )
    path = max(plain.path, found.change.path, key=_PATHS.index)
    return replace(
        found.change,
        state=state,
        path=path,
        measured=measure(goals, plain, found.change, found.eta),
    )


def measure(goals: Goals, plain: Change, change: Change, eta: float) -> Measured:
    """Return what the outcome of a request has done to the criterion and the rows."""
    theta = change.state.optimum.theta
    was = plain.state.weights_without(goals.rows)
    w = change.state.weights_without(goals.rows)
    return Measured(
        eta=eta,
        weights_changed=np.count_nonzero(w != was) / np.count_nonzero(was),
        criterion_change_actual=goals.criterion(theta) - goals.start,
        criterion_change_retrained=goals.harm,
        removal_kept=goals.measure_kept(theta),
    )

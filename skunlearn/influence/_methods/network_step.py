"""One step of all parameters of a network, which is no optimum and not convex."""

import math
from dataclasses import replace

import numpy as np

from skunlearn._runtime.warn import warn
from skunlearn.influence._criteria import Validation
from skunlearn.influence._methods.goals import Goals
from skunlearn.influence._methods.puma import measure
from skunlearn.influence._methods.reweighting import reweight
from skunlearn.influence._networks.whole import NetworkObjective
from skunlearn.influence._objectives.linear_sums import sum_removed
from skunlearn.influence._solvers.refine import ihvp
from skunlearn.influence._state import Change, State

__all__ = ["by_network"]


def by_network(state: State, rows: np.ndarray, validation: Validation | None) -> Change:
    """Step against the gradients that rows had, and reweight others for PUMA.

    The step does not try to mend what training has left undone: it is that of the
    removed terms alone, as in the paper of PUMA. A warning says if the network is then
    farther from being an optimum for the rows that are left.
    """
    objective, theta = state.optimum.objective, state.optimum.theta
    w, settings = state.weights_without(rows), state.settings
    is_original = settings.method == "puma" and settings.hessian == "original"
    curved = state.w if is_original or settings.method == "influence" else w
    left = objective.weight_sums(w)
    removed = sum_removed(objective, theta, state.w, left, rows)
    step = ihvp(objective, theta, curved, None, removed, settings)
    slope = objective.gradient(theta, state.w)
    plain = _move(state, step, w, slope - removed)
    if settings.method != "puma":
        return _warn(plain, slope - removed)
    start = state.criterion_start
    if validation is None or start is None:
        warn(
            "no row is left for the criterion, so the retained rows are not reweighted."
        )
        return _warn(plain, slope - removed)
    changes = _plan(state, rows, validation, step, curved)
    pulled = objective.gradients_by_group(theta, w * changes).sum(axis=0)
    eta = 1.0 if settings.eta == "auto" else float(settings.eta)
    if changes.any():
        step = step - ihvp(objective, theta, curved, None, pulled, settings)
    new_w, left = w * (1 + changes), slope - removed + pulled
    change = _move(replace(state, w=new_w), eta * step, new_w, left)
    thetas = theta, plain.state.optimum.theta
    cap = settings.max_reabsorption
    goals = Goals.measure(objective, validation, rows, start, *thetas, cap)
    measured = measure(goals, plain, change, eta)
    kept = replace(change.state, base=plain.state.optimum)
    return _warn(replace(change, state=kept, measured=measured), left)


def _plan(
    state: State,
    rows: np.ndarray,
    validation: Validation,
    step: np.ndarray,
    curved: np.ndarray,
) -> np.ndarray:
    """Return the least changes of weights that hold the criterion to first order."""
    objective, theta = state.optimum.objective, state.optimum.theta
    settings, w = state.settings, state.w
    slope = validation.gradient(objective, theta)
    s = ihvp(objective, theta, curved, None, slope, settings)
    contributions = w * objective.scores(theta, w, s)
    returns = w * objective.scores(theta, w, step)
    wanted, returned = (float(each[rows].sum()) for each in (contributions, returns))
    contributions[rows] = returns[rows] = 0
    return reweight(
        contributions,
        wanted,
        returns=returns,
        returned=max(returned, 0.0),
        max_weight=settings.max_weight,
        max_reabsorption=settings.max_reabsorption,
    ).changes


def _move(state: State, step: np.ndarray, w: np.ndarray, left: np.ndarray) -> Change:
    """Give new parameters to the network, with statistics of the retained rows.

    `left` is the gradient before the step, for the new weights.
    """
    optimum = state.optimum
    objective = optimum.objective
    assert isinstance(objective, NetworkObjective)
    estimator = optimum.write_copy(optimum.theta + step)
    estimator.trained_ = estimator.kind.restate(
        estimator.trained_, objective.X, np.flatnonzero(w)
    )
    objective = objective.with_layers(estimator.trained_.layers)
    theta = objective.read(estimator)
    norm = float(np.linalg.norm(objective.gradient(theta, w)))
    new = replace(
        optimum,
        estimator=estimator,
        objective=objective,
        theta=theta,
        gradient_norm=norm,
        bound=math.inf,
        hessian_bound=math.inf,
    )
    return Change(replace(state, optimum=new), "patch")


def _warn(change: Change, left: np.ndarray) -> Change:
    """Warn where the network is no nearer to an optimum for the rows that are left."""
    before, after = float(np.linalg.norm(left)), change.gradient_norm
    assert after is not None
    if not after < before:
        warn(
            "the step did not bring the network nearer to an optimum for the retained "
            f"rows: the gradient norm was {before:.3g} before and is {after:.3g} after "
            "it. Train longer and with more weight decay, set damping, forget fewer "
            "rows at once, use scope='head', or retrain in ShardedUnlearningClassifier."
        )
    return change

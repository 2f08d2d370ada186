"""Steps from the optimum of all rows to that of the retained rows."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from skunlearn._runtime.warn import warn
from skunlearn.influence._certificate.bounds import bound_distance, bound_jumping
from skunlearn.influence._certificate.local_model import LocalModel
from skunlearn.influence._linalg.cholesky import Factor, factorise_somehow
from skunlearn.influence._linalg.conjugate_gradients import conjugate_gradients
from skunlearn.influence._objectives.base import Objective
from skunlearn.influence._settings import Settings
from skunlearn.influence._solvers.newton import (
    Point,
    evaluate,
    propose,
    propose_near,
    search_line,
)

__all__ = [
    "MAX_STEPS",
    "Update",
    "bound_in_hessian",
    "bound_measured",
    "estimate_rounding",
    "ihvp",
    "patch",
    "settle",
    "solve_with",
]

_EPS = float(np.finfo(float).eps)
MAX_STEPS = 30
_MAX_UP = 0.5  # share by which Hessians may have grown where sums are formed again
_MAX_DRIFT = 0.1  # share by which they may have changed to be kept
_MAX_CHORD_RTOL = 0.3  # share of a Hessian that may be wrong in a step
_MAX_HESSIAN_RTOL = 0.2  # share of a Hessian that may be wrong
_MAX_RESIDUAL = 0.01  # share of the right-hand side that may be left
_MAX_NEAR_PRODUCTS = 12  # more than these, and it is time to form the Hessian


@dataclass(frozen=True)
class Update:
    """New parameters, and what is known of them.

    Parameters
    ----------
    theta : ndarray of shape (n_params,)
        The parameters.
    local : LocalModel or None
        What is known around them; None where Hessians are not formed.
    bound : float
        A bound of their distance to the optimum.
    path : {"patch", "polish"}
        Whether steps with true gradients followed the first.
    hessian_bound : float
        The same in the norm of the Hessian, whose unit is a mean weight of 1.
    gradient_norm : float, default=None
        The norm of the true gradient; None where it was not computed.
    failed : bool, default=False
        Whether the steps diverged, so that the classifier must be refitted.
    """

    theta: np.ndarray
    local: LocalModel | None
    bound: float
    path: Literal["patch", "polish"]
    hessian_bound: float = math.inf
    gradient_norm: float | None = None
    failed: bool = False


def solve_with(
    local: LocalModel,
    gradient: np.ndarray,
    damping: float,
    factor: Factor | None = None,
) -> np.ndarray:
    """Return Newton's step from a Hessian that is known."""
    if damping:
        null_space = local.objective.null_space
        factor, _ = factorise_somehow(local.hessian, null_space, damping)
    return -(factor or local.factor).solve(gradient)


def ihvp(
    objective: Objective,
    theta: np.ndarray,
    w: np.ndarray,
    local: LocalModel | None,
    v: np.ndarray,
    settings: Settings,
) -> np.ndarray:
    """Return the inverse Hessian times v, or the columns of v."""
    if local is not None:
        return -solve_with(local, v, settings.damping)
    if v.ndim == 2:
        each = [ihvp(objective, theta, w, None, u, settings) for u in v.T]
        return np.column_stack(each)
    solution = conjugate_gradients(
        objective.hvp(theta, w),
        v,
        diagonal=objective.diagonal(theta, w),
        null_space=objective.null_space,
        damping=settings.damping,
        tol=objective._ihvp_tol,
        max_iter=settings.max_iter,
    )
    if solution.relative_residual > _MAX_RESIDUAL:
        warn(
            "conjugate gradients did not converge for the influence on the criterion: "
            f"the relative residual is {solution.relative_residual:.0%}. Increase "
            "max_iter, or set damping."
        )
    return solution.x


def patch(
    local: LocalModel,
    step: np.ndarray,
    weigh: Callable[[], np.ndarray],
    settings: Settings,
    unit: float,
) -> Update:
    """Make a first step, and others with true gradients if no bound holds for it.

    Parameters
    ----------
    local : LocalModel
        What is known of the retained rows, at the old parameters.
    step : ndarray of shape (n_params,)
        The step.
    weigh : callable
        Returns the weights of the retained rows. It is called only if needed.
    settings : Settings
        How near the optimum to get.
    unit : float
        The mean weight of rows, in which norms of Hessians are measured.

    Returns
    -------
    Update
        The new parameters.
    """
    moved = local.moved(step)
    bound, distance = moved.bound(), moved.bound_in_hessian() / math.sqrt(unit)
    n_more = MAX_STEPS if settings.n_steps == "auto" else settings.n_steps - 1
    if math.isfinite(bound) and (distance <= settings.goal or not n_more):
        bound += moved.rounding
        return Update(moved.theta, moved, bound, "patch", distance)
    if not n_more and moved.is_plausible:
        return Update(moved.theta, moved, math.inf, "patch")
    w, is_near = weigh(), moved.up < _MAX_UP and n_more > 0
    if is_near:
        moved = _correct(moved, w, settings.damping)
        bound, distance = moved.bound(), moved.bound_in_hessian() / math.sqrt(unit)
        if math.isfinite(bound) and distance <= settings.goal:
            bound += moved.rounding
            return Update(moved.theta, moved, bound, "polish", distance)
    else:
        moved = local.moved(step, look=True)
    point = evaluate(local.objective, moved.theta, w)
    if _has_diverged(point, local, w):
        norm = point.norm
        return Update(
            moved.theta, moved, math.inf, "patch", math.inf, norm, failed=True
        )
    n_more -= is_near
    update = settle(local.objective, point, moved, w, settings, local.R, n_more)
    return replace(update, path="polish") if is_near else update


def _correct(local: LocalModel, w: np.ndarray, damping: float) -> LocalModel:
    """Sum gradients at the parameters, Hessians too if they have changed, and step."""
    theta = local.theta
    if local.low + local.up < _MAX_DRIFT:
        sums = local.objective.gradients_by_group(theta, w)
        local = local.with_gradients(theta, sums)
    else:
        local = local.remeasured(theta, w)
    return local.moved(solve_with(local, local.gradient, damping))


def _has_diverged(point: Point, local: LocalModel, w: np.ndarray) -> bool:
    """Return True if a step has led away; what was known before may be too small."""
    rounding = 1e-12 * float(np.linalg.norm(local.hessian))
    if point.norm <= 2 * float(np.linalg.norm(local.gradient)) + rounding:
        return False
    before = local.objective.gradient(local.theta, w)
    return not point.norm <= 2 * float(np.linalg.norm(before)) + rounding


def settle(
    objective: Objective,
    point: Point,
    local: LocalModel | None,
    w: np.ndarray,
    settings: Settings,
    R: float,
    n_more: int,
) -> Update:
    """Make steps with true gradients until the bound is short enough."""
    n_steps, status = 0, "too few"
    unit = math.sqrt(objective.mean_weight(w))
    while True:
        if local is not None:
            local = _measured(local, point, w)
            if local.low > _MAX_HESSIAN_RTOL and not math.isfinite(local.bound()):
                local = local.remeasured(point.theta, w)
        bound = bound_measured(objective, point, local, w, R)
        distance = bound_in_hessian(objective, point, local, w, R, bound) / unit
        if distance <= settings.goal:
            status = "good"
        if status != "too few" or n_steps == n_more:
            break
        step, local = _propose(objective, point, local, w, settings)
        following = search_line(objective, point, step, w)
        if following is None:
            status = "stalled"
            continue
        if local is not None:
            local = local.moved(following.theta - point.theta, look=True)
        point, n_steps = following, n_steps + 1
    path: Literal["patch", "polish"] = "polish" if n_steps else "patch"
    slack = local.rounding if local else estimate_rounding(objective, point, w)
    failed = status == "too few" and settings.n_steps == "auto"
    bound += slack
    return Update(point.theta, local, bound, path, distance, point.norm, failed)


def bound_measured(
    objective: Objective,
    point: Point,
    local: LocalModel | None,
    w: np.ndarray,
    R: float,
) -> float:
    """Return the best bound of the distance to the optimum, from a true gradient."""
    if not len(point.theta):
        return 0.0
    least = float(objective.regularizer(objective.weight_sums(w)).min())
    bounds = [point.norm / least if least > 0 else math.inf]
    if local is not None:
        bounds.append(local.bound())
    if not math.isfinite(min(bounds)):
        if math.isfinite(R):
            floor = objective.curvature_floor(point.theta, w)
            decrement = point.norm / math.sqrt(floor) if floor > 0 else math.inf
            rate = R / math.sqrt(floor) if floor > 0 else math.inf
            bounds.append(bound_distance(decrement, floor, rate))
        else:
            bounds.append(bound_jumping(objective, point.theta, w, point.norm))
    return min(bounds)


def bound_in_hessian(
    objective: Objective,
    point: Point,
    local: LocalModel | None,
    w: np.ndarray,
    R: float,
    bound: float,
) -> float:
    """Return a bound of the distance to the optimum, in the norm of the Hessian.

    `bound` is one of the Euclidean distance.
    """
    if not len(point.theta):
        return 0.0
    distance = math.inf if local is None else local.bound_in_hessian()
    if math.isfinite(distance) or not math.isfinite(bound):
        return distance
    if local is not None:
        largest = float(np.linalg.norm(local.hessian)) * (1 + local.up)
    else:
        largest = float(objective.diagonal(point.theta, w).sum())
    return bound * math.sqrt(largest)


def estimate_rounding(objective: Objective, point: Point, w: np.ndarray) -> float:
    """Return how far numbers of this precision can be off, about; no Hessian known."""
    if not len(point.theta):
        return 0.0
    floor = objective.curvature_floor(point.theta, w)
    trace = float(objective.diagonal(point.theta, w).sum())
    size = max(1.0, float(np.linalg.norm(point.theta)))
    return _EPS * size * trace / floor if floor > 0 else math.inf


def _measured(local: LocalModel, point: Point, w: np.ndarray) -> LocalModel:
    """Take over a true gradient; of several groups, that of each needs a pass."""
    objective, theta = local.objective, point.theta
    if len(local.gradients) > 1:
        sums = objective.gradients_by_group(theta, w)
    else:
        rest = objective.regularizer_gradient(theta, local.weight_sums)
        sums = (point.gradient - rest) / objective.scales(local.weight_sums)
    return local.with_gradients(theta, sums)


def _propose(
    objective: Objective,
    point: Point,
    local: LocalModel | None,
    w: np.ndarray,
    settings: Settings,
) -> tuple[np.ndarray, LocalModel | None]:
    """Return a step, and what is known where the Hessian had to be formed for it."""
    damping, max_iter = settings.damping, settings.max_iter
    if local is None:
        direction = propose(objective, point, w, "cg", damping, max_iter)
        return direction.step, None
    if not local.needs_refresh:
        if local.low + local.up < _MAX_CHORD_RTOL:
            return solve_with(local, point.gradient, damping), local
        direction = propose_near(
            objective, point, w, local.factor, damping, _MAX_NEAR_PRODUCTS
        )
        if direction.residual < 0.01:
            return direction.step, local
    local = local.remeasured(point.theta, w)
    return solve_with(local, point.gradient, damping), local

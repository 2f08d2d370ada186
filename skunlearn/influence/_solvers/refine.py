"""Steps from the optimum of all rows to that of the retained rows."""

import math

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
from skunlearn.influence._solvers.optimum import Optimum

__all__ = [
    "MAX_STEPS",
    "bound_in_hessian",
    "bound_measured",
    "estimate_rounding",
    "ihvp",
    "refine",
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


def refine(
    optimum: Optimum,
    known: LocalModel | None,
    step: np.ndarray,
    w: np.ndarray,
    settings: Settings,
    n_steps: int,
) -> tuple[Optimum, int] | None:
    """Make a step, and others with true gradients until the bound is short enough.

    Parameters
    ----------
    optimum : Optimum
        The parameters that the step begins at.
    known : LocalModel or None
        What is known of the retained rows there; None where Hessians are not formed.
    step : ndarray of shape (n_params,)
        The first step.
    w : ndarray of shape (n_rows,)
        The weights of the retained rows.
    settings : Settings
        How near the optimum to get.
    n_steps : int
        The largest number of further steps.

    Returns
    -------
    optimum : Optimum
        The new parameters.
    n_made : int
        The number of further steps. None in place of both if they lead nowhere.
    """
    objective, local, n_made = optimum.objective, None, 0
    if known is not None:
        local = known.moved(step)
        if local.up < _MAX_UP and n_steps > 0:
            local, n_made = _correct(local, w, settings.damping), 1
            bound, distance = local.bound(), local.bound_in_hessian()
            distance /= math.sqrt(objective.mean_weight(w))
            if math.isfinite(bound) and distance <= settings.goal:
                bound += local.rounding
                return optimum.at(local.theta, local, bound, distance), 1
        else:
            local = known.moved(step, look=True)
    theta = optimum.theta + step if local is None else local.theta
    point = evaluate(objective, theta, w)
    if known is not None and _has_diverged(point, known, w):
        return None
    found, n_made = settle(optimum, point, local, w, settings, n_steps, n_made)
    is_there = found.hessian_bound <= settings.goal
    is_lost = n_made == n_steps and settings.n_steps == "auto" and not is_there
    return None if is_lost else (found, n_made)


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
    optimum: Optimum,
    point: Point,
    local: LocalModel | None,
    w: np.ndarray,
    settings: Settings,
    n_steps: int,
    n_made: int = 0,
) -> tuple[Optimum, int]:
    """Make steps from a point with its true gradient until the bound is short enough.

    Return the new parameters, and the number of steps of `n_steps` that were made.
    """
    objective, R, has_stalled = optimum.objective, optimum.R, False
    unit = math.sqrt(objective.mean_weight(w))
    while True:
        if local is not None:
            local = local.with_gradient(point.theta, w, point.gradient)
            if local.low > _MAX_HESSIAN_RTOL and not math.isfinite(local.bound()):
                local = local.remeasured(point.theta, w)
        bound = bound_measured(objective, point, local, w, R)
        distance = bound_in_hessian(objective, point, local, w, R, bound) / unit
        if distance <= settings.goal or has_stalled or n_made == n_steps:
            break
        step, local = _propose(objective, point, local, w, settings)
        following = search_line(objective, point, step, w)
        if following is None:
            has_stalled = True
            continue
        if local is not None:
            local = local.moved(following.theta - point.theta, look=True)
        point, n_made = following, n_made + 1
    bound += local.rounding if local else estimate_rounding(objective, point, w)
    return optimum.at(point.theta, local, bound, distance, point.norm), n_made


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
        direction = propose(objective, point, w, damping, max_iter)
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

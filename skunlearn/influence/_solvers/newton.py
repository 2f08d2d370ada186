"""The way to the optimum: damped Newton steps with a line search."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from skunlearn.influence._linalg.cholesky import Factor, factorise_somehow
from skunlearn.influence._linalg.conjugate_gradients import conjugate_gradients
from skunlearn.influence._objectives.base import Objective

__all__ = [
    "Direction",
    "Formed",
    "Point",
    "Polished",
    "approach",
    "evaluate",
    "polish",
    "propose",
    "propose_near",
    "search_line",
]

_Status = Literal["converged", "stalled", "max_steps"]

_STEP_RTOL = 1e-4  # step, as a share of the parameters' norm
_LAST_RTOL = 1e-13  # the same, of a step that is not worth a pass
_CG_RTOL = 1e-3  # a step then makes the gradient a thousand times smaller
_MAX_STEP = 1e2  # step, as a share of the parameters' norm
_VALUE_RTOL = 1e-13  # share of a value that rounding may have made
_MAX_HALVINGS = 40
_GOOD_RATIO = 0.5  # by which a gradient has to shrink to show that a step is better
_CHORD_RATIO = 0.1  # by which it has to shrink for a factor to be kept
_MAX_CHORD_STEPS = 8
_SHORT_STEP = 1e-3  # of a standard error


@dataclass(frozen=True)
class Point:
    """Parameters, and what the objective is there; `norm` is the gradient's.

    The value is nan where it was not computed.
    """

    theta: np.ndarray
    value: float
    gradient: np.ndarray
    norm: float


@dataclass(frozen=True)
class Direction:
    """A step to try, what it needed, and how well it was solved for."""

    step: np.ndarray
    jitter: float = 0.0
    residual: float = 0.0
    factor: Factor | None = None

    @property
    def norm(self) -> float:
        """Return the length of the whole step."""
        return float(np.linalg.norm(self.step))


@dataclass(frozen=True)
class Formed:
    """Sums of Hessians over each group, and the parameters at which they are true."""

    theta: np.ndarray
    hessians: np.ndarray


@dataclass(frozen=True)
class Polished:
    """Where Newton steps have ended.

    Parameters
    ----------
    theta : ndarray of shape (n_params,)
        The parameters.
    gradient_norm : float
        The norm of the gradient there.
    n_steps : int
        Number of steps taken.
    status : {"converged", "stalled", "max_steps"}
        "converged" where the gradient is as small as was asked for, and a further step
        would be short: separable classes without a penalty have small gradients and no
        optimum. "stalled" where no step makes anything better; if `step_norm` is small
        too, rounding is all that is left. "max_steps" where there were too few.
    step_norm : float
        The norm of the last direction: where "stalled", about the distance to the
        optimum. 0 where none was needed.
    jitter : float
        The largest share of the Hessian's own diagonal that was added to factorise it.
    relative_residual : float
        The largest relative residual of the directions; 0 with Cholesky factors.
    gradient : ndarray of shape (n_params,)
        The gradient at `theta`.
    formed : Formed or None
        The last Hessian; None if there is none.
    """

    theta: np.ndarray
    gradient_norm: float
    n_steps: int
    status: _Status
    step_norm: float
    jitter: float
    relative_residual: float
    gradient: np.ndarray
    formed: Formed | None


def polish(
    objective: Objective,
    theta: np.ndarray,
    w: np.ndarray,
    *,
    solver: Literal["cholesky", "cg"] = "cholesky",
    damping: float = 0.0,
    tol: float = 1e-8,
    max_steps: int = 50,
    max_iter: int = 200,
) -> Polished:
    """Move parameters to the optimum of an objective.

    Parameters
    ----------
    objective : Objective
        The objective.
    theta : ndarray of shape (n_params,)
        Where to start. It is not changed.
    w : ndarray of shape (n_rows,)
        Weights of the rows.
    solver : {"cholesky", "cg"}, default="cholesky"
        Whether to form the Hessian, or to use products with it.
    damping : float, default=0.0
        What to add to the Hessian's diagonal. It makes steps shorter, and leaves the
        optimum where it is.
    tol : float, default=1e-8
        The norm of the gradient to reach.
    max_steps : int, default=50
        The largest number of steps.
    max_iter : int, default=200
        The largest number of products for a step with "cg".

    Returns
    -------
    Polished
        The parameters and how good they are. Whether to warn is left to the caller.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the Hessian is not finite.
    """
    formed: Formed | None = None
    if solver == "cholesky" and objective.n_params:
        sums, hessians = objective.sums_by_group(theta, w)
        gradient = objective.join_gradients(sums, objective.weight_sums(w), theta)
        formed = Formed(theta, hessians)
    else:
        gradient = objective.gradient(theta, w)
    point = Point(theta, np.nan, gradient, float(np.linalg.norm(gradient)))
    directions: list[Direction] = []

    def finish(status: _Status) -> Polished:
        return Polished(
            point.theta,
            point.norm,
            n_steps,
            status,
            step_norm=directions[-1].norm if directions else 0.0,
            jitter=max((d.jitter for d in directions), default=0.0),
            relative_residual=max((d.residual for d in directions), default=0.0),
            gradient=point.gradient,
            formed=formed,
        )

    n_steps, is_near = 0, not objective.n_params  # a solver may have gone far already
    factor: Factor | None = None
    while True:
        is_fresh = factor is None
        if point.norm <= tol and is_near and is_fresh:
            return finish("converged")
        if is_fresh and solver == "cg":
            direction = propose(objective, point, w, damping, max_iter)
        elif is_fresh:
            if formed is None or formed.theta is not point.theta:
                formed = Formed(
                    point.theta, objective.hessians_by_group(point.theta, w)
                )
            direction = _factorise(objective, point, w, formed, damping)
        else:
            direction = replace(direction, step=_solve(direction.factor, point))
        directions.append(direction)
        length = direction.norm / max(1.0, float(np.linalg.norm(point.theta)))
        is_near = objective.is_quadratic or length < _STEP_RTOL
        if point.norm <= tol and is_near:
            if not objective.is_quadratic and length > _LAST_RTOL:
                # The step is there, and leaves still less.
                point = _try_step(objective, point, direction.step, w) or point
            return finish("converged")
        if n_steps == max_steps:
            return finish("max_steps")
        following = _try_step(objective, point, direction.step, w)
        if following is None and not is_fresh:
            factor = None
            continue
        if following is None:
            following = search_line(objective, point, direction.step, w)
        if following is None:
            return finish("stalled")
        is_good = following.norm <= _CHORD_RATIO * point.norm
        factor = direction.factor if is_good else None
        point, n_steps = following, n_steps + 1


def _solve(factor: Factor | None, point: Point) -> np.ndarray:
    """Return the step from a point by the factor of a Hessian that is not far."""
    assert factor is not None
    return _shorten(-factor.solve(point.gradient), point.theta)


def _try_step(
    objective: Objective, point: Point, step: np.ndarray, w: np.ndarray
) -> Point | None:
    """Return where a step ends if the gradient alone shows that it is better."""
    theta = point.theta + step
    gradient = objective.gradient(theta, w)
    norm = float(np.linalg.norm(gradient))
    if not norm <= _GOOD_RATIO * point.norm:
        return None
    return Point(theta, np.nan, gradient, norm)


def approach(
    objective: Objective, theta: np.ndarray, w: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Go from the optimum of some rows to near that of all, with the Hessian of some.

    Parameters
    ----------
    objective : Objective
        The objective.
    theta : ndarray of shape (n_params,)
        The optimum of some rows.
    w : ndarray of shape (n_rows,)
        Weights of all rows.
    rows : ndarray
        The rows.

    Returns
    -------
    ndarray of shape (n_params,)
        Parameters within a thousandth of a standard error, or the nearest found.
    """
    weight_sums = objective.weight_sums(w)
    sums = objective.hessians_by_group(theta, w, rows) * (w.sum() / w[rows].sum())
    hessian = objective.join_hessians(sums, weight_sums)
    factor, _ = factorise_somehow(hessian, objective.null_space)
    last = np.inf
    for _ in range(_MAX_CHORD_STEPS):
        gradient = objective.gradient(theta, w)
        step = -factor.solve(gradient)
        size = -float(step @ gradient)  # the square of its length
        if not size < last / 4:
            break
        theta, last = theta + step, size
        if size < _SHORT_STEP**2 * objective.mean_weight(w):
            break
    return theta


def _factorise(
    objective: Objective,
    point: Point,
    w: np.ndarray,
    formed: Formed,
    damping: float,
) -> Direction:
    """Return Newton's direction by the factor of a Hessian."""
    hessian = objective.join_hessians(formed.hessians, objective.weight_sums(w))
    factor, jitter = factorise_somehow(hessian, objective.null_space, damping)
    step = -factor.solve(point.gradient)
    return Direction(_shorten(step, point.theta), jitter, factor=factor)


def propose(
    objective: Objective,
    point: Point,
    w: np.ndarray,
    damping: float,
    max_iter: int,
) -> Direction:
    """Return a direction downhill by products with the Hessian, which is not formed."""
    null_space, diagonal = objective.null_space, objective.diagonal(point.theta, w)
    solution = conjugate_gradients(
        objective.hvp(point.theta, w),
        -point.gradient,
        diagonal=diagonal,
        null_space=null_space,
        damping=damping,
        tol=_CG_RTOL,
        max_iter=max_iter,
    )
    step = solution.x
    if not step.any():  # no curvature to go by
        step = -point.gradient / np.where(diagonal > 0, diagonal, 1.0)
    return Direction(_shorten(step, point.theta), residual=solution.relative_residual)


def propose_near(
    objective: Objective,
    point: Point,
    w: np.ndarray,
    factor: Factor,
    damping: float,
    max_iter: int,
) -> Direction:
    """Return Newton's direction, with the factor of a Hessian that is not far.

    A handful of products with the Hessian itself makes up for the difference, where
    forming it would take as many passes as there are columns.
    """
    null_space = objective.null_space
    solution = conjugate_gradients(
        objective.hvp(point.theta, w),
        -point.gradient,
        precondition=factor.solve,
        null_space=null_space,
        damping=damping,
        tol=_CG_RTOL,
        max_iter=max_iter,
    )
    step = _shorten(solution.x, point.theta)
    return Direction(step, residual=solution.relative_residual)


def _shorten(step: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Shorten a step that has hardly any curvature to go by."""
    longest = _MAX_STEP * max(1.0, float(np.linalg.norm(theta)))
    largest = float(np.abs(step).max(initial=0))
    if largest > longest:  # or its norm might overflow
        step = step * (longest / largest)
    return step * (longest / max(float(np.linalg.norm(step)), longest))


def _is_rounding(point: Point, step: np.ndarray) -> bool:
    """Return True if a step would gain less than the value is known to."""
    return abs(point.gradient @ step) <= _VALUE_RTOL * abs(point.value)


def evaluate(objective: Objective, theta: np.ndarray, w: np.ndarray) -> Point:
    """Evaluate an objective in a pass over all rows."""
    value, gradient = objective.value_and_gradient(theta, w)
    return Point(theta, value, gradient, float(np.linalg.norm(gradient)))


def search_line(
    objective: Objective, point: Point, step: np.ndarray, w: np.ndarray
) -> Point | None:
    """Return the first point that is better, halving the step; None if none is.

    Near the optimum values differ by less than rounding: there the gradient decides.
    """
    if np.isnan(point.value):
        point = replace(point, value=objective.value(point.theta, w))
    slope = point.gradient @ step
    for halvings in range(1 if _is_rounding(point, step) else _MAX_HALVINGS):
        share = 0.5**halvings
        trial = evaluate(objective, point.theta + share * step, w)
        gain, slack = point.value - trial.value, _VALUE_RTOL * abs(point.value)
        if gain > slack and gain >= -1e-4 * share * slope:
            return trial
        if abs(gain) <= slack and trial.norm <= 0.9 * point.norm:
            return trial
    return None

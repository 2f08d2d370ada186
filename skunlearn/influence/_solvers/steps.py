"""One step towards the optimum: directions downhill, and how far to go in them."""

from dataclasses import dataclass

import numpy as np

from skunlearn.influence._linalg.cholesky import Factor, factorise_somehow
from skunlearn.influence._linalg.conjugate_gradients import conjugate_gradients
from skunlearn.influence._objectives.base import Objective

__all__ = ["Direction", "Point", "evaluate", "propose", "propose_near", "search_line"]

_CG_TOL = 1e-3  # a step then makes the gradient a thousand times smaller
_LONG = 1e2  # step, as a share of the parameters' norm
_SLACK = 1e-13  # share of a value that rounding may have made
_HALVINGS = 40


@dataclass(frozen=True)
class Point:
    """Parameters, and what the objective is there; `norm` is the gradient's."""

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

    @property
    def norm(self) -> float:
        """Return the length of the whole step."""
        return float(np.linalg.norm(self.step))


def propose(
    objective: Objective,
    point: Point,
    w: np.ndarray,
    solver: str,
    damping: float,
    max_iter: int,
) -> Direction:
    """Return a direction downhill: Newton's, or near it where that is not defined."""
    null_space = objective.null_space
    if solver == "cholesky":
        hessian = objective.hessian(point.theta, w)
        factor, jitter = factorise_somehow(hessian, null_space, damping)
        step = -factor.solve(point.gradient)
        return Direction(_shorten(step, point.theta), jitter=jitter)
    diagonal = objective.diagonal(point.theta, w)
    solution = conjugate_gradients(
        objective.product(point.theta, w),
        -point.gradient,
        diagonal=diagonal,
        null_space=null_space,
        damping=damping,
        tol=_CG_TOL,
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
    solution = conjugate_gradients(
        objective.product(point.theta, w),
        -point.gradient,
        precondition=factor.solve,
        null_space=objective.null_space,
        damping=damping,
        tol=_CG_TOL,
        max_iter=max_iter,
    )
    step = _shorten(solution.x, point.theta)
    return Direction(step, residual=solution.relative_residual)


def _shorten(step: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Shorten a step that has hardly any curvature to go by."""
    longest = _LONG * max(1.0, float(np.linalg.norm(theta)))
    largest = float(np.abs(step).max(initial=0))
    if largest > longest:  # or its norm might overflow
        step = step * (longest / largest)
    return step * (longest / max(float(np.linalg.norm(step)), longest))


def _is_rounding(point: Point, step: np.ndarray) -> bool:
    """Return True if a step would gain less than the value is known to."""
    return abs(point.gradient @ step) <= _SLACK * abs(point.value)


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
    slope = point.gradient @ step
    for halvings in range(1 if _is_rounding(point, step) else _HALVINGS):
        share = 0.5**halvings
        trial = evaluate(objective, point.theta + share * step, w)
        gain, slack = point.value - trial.value, _SLACK * abs(point.value)
        if gain > slack and gain >= -1e-4 * share * slope:
            return trial
        if abs(gain) <= slack and trial.norm <= 0.9 * point.norm:
            return trial
    return None

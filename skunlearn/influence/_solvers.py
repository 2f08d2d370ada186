"""The way to the optimum: damped Newton steps with a line search."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from skunlearn.influence._conjugate import conjugate_gradients
from skunlearn.influence._factor import Factor, factorise
from skunlearn.influence._objective import Objective

__all__ = ["Polished", "factorise_somehow", "polish"]

_Status = Literal["converged", "stalled", "max_steps"]

_JITTERS = (0.0, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 1.0)
_CG_TOL = 1e-3  # a step then makes the gradient a thousand times smaller
_SHORT = 1e-2  # step, as a share of the parameters' norm
_LONG = 1e2
_SLACK = 1e-13  # share of a value that rounding may have made
_HALVINGS = 40


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
    """

    theta: np.ndarray
    gradient_norm: float
    n_steps: int
    status: _Status
    step_norm: float = 0.0
    jitter: float = 0.0
    relative_residual: float = 0.0


@dataclass(frozen=True)
class _Point:
    theta: np.ndarray
    value: float
    gradient: np.ndarray
    norm: float


@dataclass(frozen=True)
class _Direction:
    step: np.ndarray
    jitter: float = 0.0
    residual: float = 0.0

    @property
    def norm(self) -> float:
        return float(np.linalg.norm(self.step))


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
    """

    point = _evaluate(objective, theta, w)
    directions: list[_Direction] = []

    def finish(status: _Status) -> Polished:
        return Polished(
            point.theta,
            point.norm,
            n_steps,
            status,
            step_norm=directions[-1].norm if directions else 0.0,
            jitter=max((d.jitter for d in directions), default=0.0),
            relative_residual=max((d.residual for d in directions), default=0.0),
        )

    n_steps, is_near = 0, True
    while True:
        if point.norm <= tol and is_near:
            return finish("converged")
        proposals = _propose(objective, point, w, solver, damping, max_iter)
        directions.append(next(proposals))
        length = directions[-1].norm / max(1.0, float(np.linalg.norm(point.theta)))
        is_near = objective.is_quadratic or length < _SHORT
        if point.norm <= tol and is_near:
            return finish("converged")
        if n_steps == max_steps:
            return finish("max_steps")
        following = _search_line(objective, point, directions[-1].step, w)
        while following is None and not _is_rounding(point, directions[-1].step):
            direction = next(proposals, None)
            if direction is None:
                break
            directions.append(direction)
            following = _search_line(objective, point, direction.step, w)
        if following is None:
            return finish("stalled")
        point, n_steps = following, n_steps + 1


def factorise_somehow(
    hessian: np.ndarray,
    null_space: np.ndarray,
    damping: float = 0.0,
    least_jitter: float = 0.0,
) -> tuple[Factor, float]:
    """Factorise a Hessian with as little added to its diagonal as is needed.

    Returns
    -------
    factor : Factor
        The factor.
    jitter : float
        What was added to the diagonal, in units of the diagonal.
    """
    failure = None
    for jitter in _JITTERS:
        if jitter < least_jitter:
            continue
        try:
            factor = factorise(hessian, null_space, damping=damping, jitter=jitter)
        except np.linalg.LinAlgError as error:
            failure = error
        else:
            return factor, jitter
    assert failure is not None
    raise failure


def _propose(
    objective: Objective,
    point: _Point,
    w: np.ndarray,
    solver: str,
    damping: float,
    max_iter: int,
) -> Iterator[_Direction]:
    """Yield directions downhill: Newton's, and ever more cautious ones."""
    if solver == "cg":
        yield from _propose_with_products(objective, point, w, damping, max_iter)
        return
    hessian, null_space = objective.hessian(point.theta, w), objective.null_space
    for least in _JITTERS:
        factor, jitter = factorise_somehow(hessian, null_space, damping, least)
        step = _shorten(-factor.solve(point.gradient), point.theta)
        yield _Direction(step, jitter=jitter)


def _propose_with_products(
    objective: Objective, point: _Point, w: np.ndarray, damping: float, max_iter: int
) -> Iterator[_Direction]:
    product = objective.product(point.theta, w)
    diagonal = objective.diagonal(point.theta, w)
    for jitter in _JITTERS:
        solution = conjugate_gradients(
            product,
            -point.gradient,
            diagonal=diagonal,
            null_space=objective.null_space,
            damping=damping + jitter * diagonal.max(),
            tol=_CG_TOL,
            max_iter=max_iter,
        )
        step = solution.x
        if not step.any():  # no curvature to go by
            step = -point.gradient / np.where(diagonal > 0, diagonal, 1.0)
        step = _shorten(step, point.theta)
        yield _Direction(step, jitter, solution.relative_residual)


def _shorten(step: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Shorten a step that has hardly any curvature to go by."""
    longest = _LONG * max(1.0, float(np.linalg.norm(theta)))
    return step * (longest / max(float(np.linalg.norm(step)), longest))


def _is_rounding(point: _Point, step: np.ndarray) -> bool:
    """Tell whether a step would gain less than the value is known to."""
    return abs(point.gradient @ step) <= _SLACK * abs(point.value)


def _evaluate(objective: Objective, theta: np.ndarray, w: np.ndarray) -> _Point:
    gradient = objective.gradient(theta, w)
    value = objective.value(theta, w)
    return _Point(theta, value, gradient, float(np.linalg.norm(gradient)))


def _search_line(
    objective: Objective, point: _Point, step: np.ndarray, w: np.ndarray
) -> _Point | None:
    """Return the first point that is better, halving the step; None if none is.

    Near the optimum values differ by less than rounding: there the gradient decides.
    """
    slope = point.gradient @ step
    for halvings in range(1 if _is_rounding(point, step) else _HALVINGS):
        share = 0.5**halvings
        trial = _evaluate(objective, point.theta + share * step, w)
        gain, slack = point.value - trial.value, _SLACK * abs(point.value)
        if gain > slack and gain >= -1e-4 * share * slope:
            return trial
        if abs(gain) <= slack and trial.norm <= 0.9 * point.norm:
            return trial
    return None

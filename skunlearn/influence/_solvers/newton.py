"""The way to the optimum: damped Newton steps with a line search."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from skunlearn.influence._objectives.base import Objective
from skunlearn.influence._solvers.steps import Direction, evaluate, propose, search_line

__all__ = ["Polished", "polish"]

_Status = Literal["converged", "stalled", "max_steps"]

_SHORT = 1e-4  # step, as a share of the parameters' norm


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
    point = evaluate(objective, theta, w)
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
        )

    n_steps, is_near = 0, not objective.n_params  # a solver may have gone far already
    while True:
        if point.norm <= tol and is_near:
            return finish("converged")
        directions.append(propose(objective, point, w, solver, damping, max_iter))
        length = directions[-1].norm / max(1.0, float(np.linalg.norm(point.theta)))
        is_near = objective.is_quadratic or length < _SHORT
        if point.norm <= tol and is_near:
            return finish("converged")
        if n_steps == max_steps:
            return finish("max_steps")
        following = search_line(objective, point, directions[-1].step, w)
        if following is None:
            return finish("stalled")
        point, n_steps = following, n_steps + 1

"""Where an optimum is, for certain: a point, and how far each parameter can be off.

All that rounding does to a gradient is bounded a priori, from sums of squares.
"""

import math
from dataclasses import dataclass

import numpy as np

from skunlearn.influence._certificate.bounds import bound_distance, bound_mean_change
from skunlearn.influence._certificate.reference import Local
from skunlearn.influence._linalg.blocks import add_ones, iterate_blocks
from skunlearn.influence._objectives.linear import LinearObjective
from skunlearn.influence._objectives.linear_sums import (
    GradientSum,
    GradientSums,
    find_block_rows,
    find_max_curvature,
)

__all__ = ["Enclosure", "Rounding", "bound_rate", "enclose", "measure_rate"]

_EPS = float(np.finfo(float).eps)
_MAX_CHANGE = 10.0  # of margins, beyond which a Hessian says nothing
_OPERATIONS = 32  # roundings of a term of the gradient, its weight included


@dataclass(frozen=True)
class Enclosure:
    """A point and how far the optimum can be from it.

    Parameters
    ----------
    theta : ndarray of shape (n_params,)
        Parameters at which the gradient was computed.
    step : ndarray of shape (n_params,)
        Newton's step from there, to the point.
    size : float
        The length of the step, in the norm of the Hessian.
    error : ndarray of shape (n_params,)
        The largest error of each parameter of the point.
    is_settled : bool
        Whether further steps in this precision do not make errors much smaller.
    change : float
        A bound of the change of margins from where the Hessian was formed.
    missed : float
        What curvatures do not tell of the gradient, in the norm of the inverse Hessian.
    point : ndarray of shape (n_params,), or None
        The point of the grid next to the optimum; None if it is not certain.
    """

    theta: np.ndarray
    step: np.ndarray
    size: float
    error: np.ndarray
    is_settled: bool
    change: float
    missed: float
    point: np.ndarray | None


@dataclass(frozen=True)
class Rounding:
    """What the errors of gradients depend on, the parameters and slopes aside.

    Parameters
    ----------
    eps : float
        The precision.
    shape : tuple of int
        The numbers of outputs and columns.
    moments : ndarray of shape (n_outputs or 1, n_columns)
        Second moments of the rows.
    root : float
        Root of the largest second derivative of a row's loss.
    penalty : ndarray of shape (n_params,)
        The penalty.
    n_operations : int
        How many roundings a term of the gradient has part in.
    """

    eps: float
    shape: tuple[int, int]
    moments: np.ndarray
    root: float
    penalty: np.ndarray
    n_operations: int

    @classmethod
    def measure(cls, gradients: GradientSums, local: Local) -> "Rounding":
        """Collect it for sums of gradients."""
        objective = gradients.objective
        return cls(
            float(np.finfo(gradients.dtype).eps),
            (objective.n_outputs, objective.n_columns),
            local.grams.diagonals,
            math.sqrt(find_max_curvature(objective)),
            gradients.penalty,
            gradients.n_additions + _OPERATIONS + 2 * objective.n_outputs,
        )


def enclose(
    found: GradientSum,
    local: Local,
    rounding_of: Rounding,
    rate: float,
) -> Enclosure:
    """Enclose the optimum, from a gradient near it.

    Parameters
    ----------
    found : GradientSum
        The gradient, and how far margins are from those at ``local.theta``.
    local : Local
        The Hessian.
    rounding_of : Rounding
        What the errors of the gradient depend on.
    rate : float
        The largest change of margins by a move of length 1, in the Hessian's norm.
    """
    gradient, theta = found.gradient.astype(float), found.theta
    size, change = _measure(local, gradient), found.change
    error, is_settled = np.full(len(theta), np.inf), False
    rounding = missed = 0.0
    if math.isfinite(size) and change < _MAX_CHANGE and local.error < 1:
        low = 1 - math.exp(-change) * (1 - local.error)
        up = math.exp(change) * (1 + local.error) - 1
        margins, penalty, each = _bound_rounding(found, rounding_of, up)
        missed = _bound_missed(found, local, up)
        rounding = margins + penalty + float(each @ local.rows_lengths)
        share = math.sqrt(1 - low)
        off = (size + rounding + missed) / share
        distance = bound_distance(off, 1.0, rate / share) / share
        if math.isfinite(distance):
            curved = bound_mean_change(low, up, rate * distance)
            rounded = margins * local.rows_lengths + np.abs(local.rows_inverse) @ each
            rounded += penalty * local.lengths + _bound_steps(theta, rounding_of)
            error = (curved * distance + missed) * local.rows_lengths + rounded
            error += 2 * local.error * (distance + missed + rounding) * local.lengths
            is_settled = size <= rounding or bool((error <= 2 * rounded).all())
    step = -local.factor.solve(gradient)
    is_settled = is_settled and missed <= rounding
    point = _round(theta, step, error, local.spacing)
    return Enclosure(theta, step, size, error, is_settled, change, missed, point)


def _round(
    theta: np.ndarray, step: np.ndarray, error: np.ndarray, spacing: np.ndarray | None
) -> np.ndarray | None:
    """Return the point of a grid next to the optimum; None if it is not certain."""
    if spacing is None:
        return None
    cells = np.rint(theta / spacing)
    rest = (theta / spacing - cells) + step / spacing
    more = np.rint(rest)
    if not (np.abs(rest - more) + error / spacing < 0.5).all():
        return None
    return (cells + more) * spacing + 0.0


def _measure(local: Local, gradient: np.ndarray) -> float:
    """Return the length of a gradient, in the norm of the inverse Hessian."""
    return float(np.linalg.norm(local.factor.inverse_root @ gradient))


def _bound_steps(theta: np.ndarray, known: Rounding) -> np.ndarray:
    """Bound what rounds parameters, and the mean of those of all classes."""
    largest = np.abs(theta.reshape(known.shape)).max(axis=0)
    each = (16 + 2 * known.shape[0]) * _EPS * largest
    return np.broadcast_to(each, known.shape).ravel()


def _bound_missed(found: GradientSum, local: Local, up: float) -> float:
    """Bound what a gradient misses that follows from curvatures before a move.

    The mean Hessian along the move is not the one before it, but a share off.
    """
    if found.move is None:
        return 0.0
    length = local.measure(found.move)
    return 1.1 * length * (1 + up) * bound_mean_change(0.0, 0.0, found.bent)


def _bound_rounding(
    found: GradientSum, known: Rounding, up: float
) -> tuple[float, float, np.ndarray]:
    """Bound the error of a computed gradient, in three parts.

    Margins and the penalty: in the norm of the inverse Hessian. Sums: of each element.

    Rounded margins change slopes by curvature times the error: with Cauchy-Schwarz
    that is the root of a sum of squares. What rounds the terms and their sum is at most
    a share of the sums of their sizes, again by Cauchy-Schwarz.
    """
    eps, moments, n_columns = known.eps, known.moments, known.shape[1]
    theta = np.abs(found.theta) + (0.0 if found.move is None else np.abs(found.move))
    squares = theta.reshape(known.shape) ** 2 * moments
    spread = math.sqrt(n_columns * float(squares.sum()))
    margins = 1.1 * known.root * (n_columns + 4) * eps * spread
    penalty = 4 * eps * math.sqrt(float(known.penalty @ theta**2))
    sizes = np.broadcast_to(np.sqrt(found.squares * moments), known.shape).ravel()
    share = known.n_operations * eps
    growth = math.sqrt(1 + up)
    each = np.asarray(1.1 * share * sizes, dtype=float)
    return float(margins * growth), float(penalty * growth), each


def bound_rate(objective: LinearObjective, local: Local) -> float:
    """Bound the change of margins by a move of length 1: no row is longer than all."""
    if objective.spec.loss.self_concordance == 0:
        return 0.0
    shape = objective.n_outputs, objective.n_columns
    longest = np.sqrt(local.grams.diagonals / local.grams.least)
    each = np.sort((longest * local.rows_lengths.reshape(shape)).sum(axis=1))
    return float(each[-2:].sum())


def measure_rate(objective: LinearObjective, local: Local) -> float:
    """Return what `bound_rate` bounds, in a pass: rows of tiny weights may be short."""
    if objective.spec.loss.self_concordance == 0:
        return 0.0
    n_columns, worst = objective.n_columns, 0.0
    roots = local.rows_root.reshape(-1, objective.n_outputs, n_columns)
    roots = roots.transpose(1, 0, 2)
    lengths = local.rows_lengths.reshape(-1, n_columns)
    for _, X in iterate_blocks(objective.X, None, find_block_rows(objective)):
        X = add_ones(X, objective.intercept)
        slack = 2 * (n_columns + 2) * _EPS * (np.abs(X) @ lengths.T)
        norms = np.array([np.linalg.norm(X @ root.T, axis=1) for root in roots])
        worst = max(worst, float(np.sort(norms.T + slack)[:, -2:].sum(axis=1).max()))
    return worst

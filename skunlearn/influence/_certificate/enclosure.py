"""Where an optimum is, for certain: a point and a radius in the norm of a Hessian.

All that rounding does to a gradient is bounded a priori, from sums of squares.
"""

import math
from dataclasses import dataclass

import numpy as np

from skunlearn.influence._certificate.bounds import bound_distance, bound_mean_change
from skunlearn.influence._certificate.reference import Local
from skunlearn.influence._objectives.linear import LinearObjective
from skunlearn.influence._objectives.linear_sums import (
    GradientSum,
    find_block_rows,
    find_max_curvature,
)

__all__ = ["Enclosure", "enclose"]

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
    radius : float
        The largest distance between the point and the optimum, in that norm.
    rounding : float
        The part of it that further steps do not make smaller.
    change : float
        The largest change of a margin from where the Hessian was formed.
    lengths : ndarray of shape (n_params,)
        The largest move of each parameter by a move of length 1.
    """

    theta: np.ndarray
    step: np.ndarray
    size: float
    radius: float
    rounding: float
    change: float
    lengths: np.ndarray

    @property
    def is_settled(self) -> bool:
        """Whether further steps in this precision do not make the radius shorter."""
        return math.isfinite(self.radius) and self.radius <= 4 * self.rounding

    def round(self, spacing: np.ndarray) -> np.ndarray | None:
        """Return the point of a grid next to the optimum; None if it is not certain."""
        cells = np.rint(self.theta / spacing)
        rest = (self.theta / spacing - cells) + self.step / spacing
        more = np.rint(rest)
        error = self.radius * self.lengths + 16 * _EPS * np.abs(self.theta).max()
        if not (np.abs(rest - more) + error / spacing < 0.5).all():
            return None
        return (cells + more) * spacing + 0.0


def enclose(
    objective: LinearObjective,
    theta: np.ndarray,
    found: GradientSum,
    local: Local,
    sums: np.ndarray,
) -> Enclosure:
    """Enclose the optimum, from a gradient near it.

    Parameters
    ----------
    objective : LinearObjective
        The objective.
    theta : ndarray of shape (n_params,)
        The parameters.
    found : GradientSum
        The gradient there, and how far margins are from those at ``local.theta``.
    local : Local
        The Hessian.
    sums : ndarray
        Sums of weights, in the precision of the gradient.
    """
    gradient = found.gradient.astype(float)
    size, change = _measure(local, gradient), found.change
    radius = rounding = math.inf
    if math.isfinite(size) and change < _MAX_CHANGE and local.error < 1:
        low = 1 - math.exp(-change) * (1 - local.error)
        up = math.exp(change) * (1 + local.error) - 1
        eps = float(np.finfo(sums.dtype).eps)
        rounding = _bound_rounding(objective, theta, found, local, sums, eps, up)
        rate, share = _bound_rate(objective, local), math.sqrt(1 - low)
        distance = bound_distance((size + rounding) / share, 1.0, rate / share) / share
        if math.isfinite(distance):
            wrong = bound_mean_change(low, up, rate * distance) + local.error
            radius = wrong * distance + rounding
    step = -local.factor.solve(gradient)
    return Enclosure(theta, step, size, radius, rounding, change, local.lengths)


def _measure(local: Local, gradient: np.ndarray) -> float:
    """Return the length of a gradient, in the norm of the inverse Hessian."""
    return float(np.linalg.norm(local.factor.inverse_root @ gradient))


def _bound_rounding(
    objective: LinearObjective,
    theta: np.ndarray,
    found: GradientSum,
    local: Local,
    sums: np.ndarray,
    eps: float,
    up: float,
) -> float:
    """Bound the error of a computed gradient, in the norm of the inverse Hessian.

    Rounded margins change slopes by curvature times the error: with Cauchy-Schwarz
    that is the root of a sum of squares. What rounds the terms and their sum is at most
    a share of the sums of their sizes, again by Cauchy-Schwarz.
    """
    shape = objective.n_outputs, objective.n_columns
    moments, n_columns = local.grams.diagonals, objective.n_columns
    spread = math.sqrt(n_columns * float((theta.reshape(shape) ** 2 * moments).sum()))
    root = math.sqrt(find_max_curvature(objective))
    margins = 1.1 * root * (n_columns + 4) * eps * spread
    penalty = 4 * eps * math.sqrt(float(objective.regularizer(sums) @ theta**2))
    sizes = np.sqrt(found.squares * moments) * local.lengths.reshape(shape)
    share = (find_block_rows(objective) + _OPERATIONS + 2 * objective.n_outputs) * eps
    terms = 1.1 * share * float(sizes.sum())
    return (margins + penalty) * math.sqrt(1 + up) + terms


def _bound_rate(objective: LinearObjective, local: Local) -> float:
    """Bound the change of margins by a move of length 1: no row is longer than all."""
    if objective.spec.loss.self_concordance == 0:
        return 0.0
    shape = objective.n_outputs, objective.n_columns
    longest = np.sqrt(local.grams.diagonals / local.grams.least)
    each = np.sort((longest * local.lengths.reshape(shape)).sum(axis=1))
    return float(each[-2:].sum())

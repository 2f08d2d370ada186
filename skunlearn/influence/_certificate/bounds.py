"""How far parameters can be from the optimum: bounds that hold, from what is known.

Along a move by v the losses' Hessian changes by factors between ``exp(-R |v|)`` and
``exp(R |v|)`` (generalised self-concordance; F. Bach, "Self-concordant analysis for
logistic regression", 2010, :doi:`10.1214/09-EJS521`). So a Hessian that was formed
somewhere near says how far the optimum can be, without another pass over the rows.
"""

import math

import numpy as np

from skunlearn.influence._objectives.base import Objective

__all__ = ["bound_distance", "bound_jumping", "bound_mean_change"]

_MAX_RADII = 8
_MAX_SHARE = 1 - 1e-8  # from 1 on there may be no optimum, and rounding hides which


def bound_distance(decrement: float, curvature: float, rate: float) -> float:
    """Return a bound of the distance to the optimum.

    With m the distance in the norm of the Hessian H at the parameters, the slope
    towards the optimum falls to 0 as fast as m^2 exp(-rate m t), or faster. So
    (1 - exp(-rate m)) / rate <= decrement.

    Parameters
    ----------
    decrement : float
        A bound of the gradient's norm in that of the inverse of H.
    curvature : float
        A lower bound of the eigenvalues of H.
    rate : float
        The constant of self-concordance for moves measured in the norm of H; 0 where
        the objective is quadratic.

    Returns
    -------
    float
        The bound; infinity where there is none.
    """
    if decrement == 0:
        return 0.0
    if not curvature > 0 or not math.isfinite(decrement):
        return math.inf
    if rate == 0:
        return decrement / math.sqrt(curvature)
    share = rate * decrement
    if share >= _MAX_SHARE:
        return math.inf
    return -math.log1p(-share) / rate / math.sqrt(curvature)


def bound_jumping(
    objective: Objective, theta: np.ndarray, w: np.ndarray, norm: float
) -> float:
    """Return a bound for losses whose Hessians jump, from the norm of the gradient.

    If the curvature is at least c within a radius, and norm / c is no more than that,
    the optimum is inside: on the sphere all slopes lead back.
    """
    radius = 0.0
    for _ in range(_MAX_RADII):
        curvature = objective.curvature_floor(theta, w, radius)
        if curvature <= 0:
            break
        if norm / curvature <= radius:
            return norm / curvature
        radius = 2 * norm / curvature
    return math.inf


def bound_mean_change(low: float, up: float, r: float) -> float:
    """Return how far a mean Hessian can be from the known one, as a share of it.

    The mean is over a move along which Hessians change by factors up to exp(r); where
    it begins, the Hessian is between ``1 - low`` and ``1 + up`` times the known one.
    """
    if r > 50:
        return math.inf
    most = math.expm1(r) / r if r > 0 else 1.0
    least = -math.expm1(-r) / r if r > 0 else 1.0
    return max((1 + up) * most - 1, 1 - (1 - low) * least)

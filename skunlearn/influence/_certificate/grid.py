"""The grid of parameters that can be exact: which points, and how coarse.

An optimum is one point, whatever the way to it. Rounded to a grid that is coarser than
the error of a computation, it is the same number by any computation. For that the grid
has to be a function of the rows alone, too.
"""

import math

import numpy as np

from skunlearn.influence._linalg.cholesky import Factor, factorise
from skunlearn.influence._objectives.linear import LinearObjective
from skunlearn.influence._objectives.linear_sums import Grams, find_max_curvature
from skunlearn.influence._objectives.losses import LogLoss, Softmax

__all__ = [
    "bound_inverse",
    "bound_rounding",
    "find_coarse_spacing",
    "find_spacing",
    "round_up",
]

_SPACING = 1e-4  # standard errors
_MARGIN_CHANGE = 0.1 * 2**0.25  # by rounding to the coarse grid; no power of 2 is near
_MAX_ERROR = 0.1  # of a standard error, as a share of it


def bound_inverse(factor: Factor, rounding: float) -> float:
    """Bound what rounding changes in a matrix, as a share of it in any direction.

    `rounding` is the largest error of an element, in units of the diagonal.
    """
    root = factor.inverse_root * factor.roots
    return rounding * len(root) * float((root**2).sum())


def find_spacing(
    objective: LinearObjective, grams: Grams, sums: np.ndarray, rounding: float
) -> np.ndarray | None:
    """Return the spacing of the grid for each parameter; None where rounding hides it.

    It is the power of 2 at or below 1e-4 standard errors, those at parameters of 0:
    there the Hessian depends on the rows alone, and is nowhere larger.

    Parameters
    ----------
    objective : LinearObjective
        The objective.
    grams : Grams
        Second moments of the rows.
    sums : ndarray
        Sums of the rows' weights.
    rounding : float
        The largest error of an element of `grams`, in units of its diagonal.

    Returns
    -------
    ndarray of shape (n_params,), or None
        The spacing.
    """
    n_columns, K = objective.n_columns, objective.n_outputs
    penalty = objective.regularizer(sums)[:n_columns]
    curvature = _find_curvature(objective)
    variances, errors = np.empty((K, n_columns)), np.empty((K, 1))
    for k, gram in enumerate(grams.matrices):
        hessian = curvature * gram
        hessian.flat[:: n_columns + 1] += penalty
        try:
            factor = factorise(hessian)
        except np.linalg.LinAlgError:
            return None
        variances[k:] = (factor.inverse_root**2).sum(axis=0)
        errors[k:] = bound_inverse(factor, rounding)
    if isinstance(objective.spec.loss, Softmax):  # a shift of all classes is none
        variances *= 1 - 1 / K
    units = _SPACING * np.sqrt(variances * grams.unit)
    if not (errors < _MAX_ERROR).all() or not np.isfinite(units).all():
        return None
    least, most = (np.log2(units * (1 + sign * errors)) for sign in (-1, 1))
    powers = np.floor(least)
    if (powers != np.floor(most)).any():
        return None
    return np.ldexp(1.0, powers.astype(int)).ravel()


def _find_curvature(objective: LinearObjective) -> float:
    """Return the second derivative of a row's loss where all parameters are 0."""
    loss = objective.spec.loss
    if isinstance(loss, Softmax):
        return 1 / objective.n_outputs
    return 0.25 if isinstance(loss, LogLoss) else 2.0


def find_coarse_spacing(objective: LinearObjective, grams: Grams) -> np.ndarray:
    """Return the spacing of the grid of points at which Hessians are known.

    Margins of most rows move by some hundredths to the next point.
    """
    squares = grams.diagonals / grams.total
    there = squares > 0
    lengths = np.sqrt(np.where(there, squares, 1.0))
    units = _MARGIN_CHANGE / np.sqrt(objective.n_columns) / lengths
    spacing = np.ldexp(1.0, np.floor(np.log2(units)).astype(int))
    shape = objective.n_outputs, objective.n_columns
    return np.broadcast_to(spacing, shape).ravel()


def bound_rounding(
    objective: LinearObjective, grams: Grams, spacing: np.ndarray, sums: np.ndarray
) -> float:
    """Bound how far a cell reaches from its middle, in the norm of the Hessian.

    The Hessian may be anywhere: no path to the point is told. The unit is a mean weight
    of 1.
    """
    halves = spacing.reshape(objective.n_outputs, objective.n_columns) / 2
    sizes = find_max_curvature(objective) * np.abs(grams.matrices)
    sizes = np.broadcast_to(sizes, (len(halves), *sizes.shape[1:]))
    square = float(np.einsum("ki,kij,kj", halves, sizes, halves))
    square += float(objective.regularizer(sums) @ halves.ravel() ** 2)
    return round_up(math.sqrt(square / grams.mean))


def round_up(value: float) -> float:
    """Round to two digits: no more than these are told of what was forgotten."""
    if not 0 < value < math.inf:
        return value
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / unit) * unit

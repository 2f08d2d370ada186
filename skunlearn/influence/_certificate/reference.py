"""What is kept of the rows for exact forgetting: sums at a point that tells nothing.

The Hessian belongs to a coarse point: parameters rounded so far that only the retained
rows decide about it. Gradients are not kept at all.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from skunlearn._pickling import FieldsOnly
from skunlearn.influence._certificate.grid import (
    bound_inverse,
    find_coarse_spacing,
    find_spacing,
)
from skunlearn.influence._linalg.cholesky import Factor, factorise
from skunlearn.influence._objectives.linear import LinearObjective
from skunlearn.influence._objectives.linear_sums import (
    Grams,
    centre,
    find_common_shifts,
    join_grams,
    sum_grams,
    sum_weights,
)

__all__ = ["Reference", "Weighted"]

_EPS = float(np.finfo(float).eps)
_BLOCK_ROWS = 2**15  # at most, in one product
_PARTS = 64  # of a binary digit, in which losses are counted
_MAX_LOST = 4 * _PARTS
_LEVELS = (1, 16, _PARTS)  # to which losses are rounded up: they tell of the rows


@dataclass(frozen=True)
class Weighted:
    """The weights of retained rows, and their sums to all digits."""

    w: np.ndarray
    sums: np.ndarray

    @classmethod
    def measure(cls, objective: LinearObjective, w: np.ndarray) -> "Weighted":
        """Sum the weights."""
        return cls(w, sum_weights(objective, w))

    @property
    def rounding(self) -> float:
        """Return the largest error of a sum of products, in units of its terms."""
        n = len(self.w)
        return _EPS * (min(n, _BLOCK_ROWS) + n / _BLOCK_ROWS + 64)


@dataclass(frozen=True)
class Reference(FieldsOnly):
    """Sums over the retained rows at a coarse point.

    Parameters
    ----------
    theta : ndarray of shape (n_params,)
        The point.
    hessians : ndarray of shape (n_groups, n_params, n_params)
        Sums of Hessians there.
    grams : ndarray of shape (n_groups, n_outputs or 1, n_columns, n_columns)
        Second moments of the rows.
    lost : int
        Digits that subtraction may have lost, in parts of a binary digit.
    """

    theta: np.ndarray
    hessians: np.ndarray
    grams: np.ndarray
    lost: int = 0

    @classmethod
    def measure(
        cls, objective: LinearObjective, near: np.ndarray, weighted: Weighted
    ) -> "Reference":
        """Form all sums at the coarse point that is next to some parameters."""
        grams = sum_grams(objective, weighted.w)
        joined = join_grams(objective, grams, weighted.w, weighted.sums)
        theta = _round(near, find_coarse_spacing(objective, joined))
        return cls(theta, objective.hessians_by_group(theta, weighted.w), grams)

    def moved(
        self,
        objective: LinearObjective,
        near: np.ndarray,
        weighted: Weighted,
        grams: Grams,
    ) -> "Reference":
        """Return this, or one at the coarse point that is now next to parameters."""
        theta = _round(near, find_coarse_spacing(objective, grams))
        if (theta == self.theta).all():
            return self
        hessians = objective.hessians_by_group(theta, weighted.w)
        return replace(self, theta=theta, hessians=hessians)

    def without(
        self, objective: LinearObjective, w: np.ndarray, rows: np.ndarray
    ) -> "Reference | None":
        """Subtract some rows, whose weights are in `w`; None if too little is left."""
        hessians = self.hessians - objective.hessians_by_group(self.theta, w, rows)
        grams = self.grams - sum_grams(objective, w, rows)
        pairs = (self.grams, grams), (self.hessians, hessians)
        lost = max(_count_lost(before, after) for before, after in pairs)
        level = next((each for each in _LEVELS if lost <= each), _MAX_LOST)
        if self.lost + level >= _MAX_LOST:
            return None
        return replace(self, hessians=hessians, grams=grams, lost=self.lost + level)

    def at(self, objective: LinearObjective, weighted: Weighted) -> "Local | None":
        """Return the Hessian with scales and penalty; None if it is singular."""
        rounding = weighted.rounding * 2.0 ** (self.lost / _PARTS)
        hessian = objective.join_hessians(self.hessians, weighted.sums)
        try:
            factor = factorise(hessian, find_common_shifts(objective))
        except np.linalg.LinAlgError:
            return None
        joined = join_grams(objective, self.grams, weighted.w, weighted.sums)
        spacing = find_spacing(objective, joined, weighted.sums, rounding)
        return Local(
            objective,
            self.theta,
            hessian,
            factor,
            joined,
            spacing,
            bound_inverse(factor, rounding),
        )


@dataclass(frozen=True)
class Local:
    """A Hessian, what else is known of the rows, and how much rounding may change it.

    Parameters
    ----------
    objective : LinearObjective
        The objective.
    theta : ndarray of shape (n_params,)
        Where the Hessian was formed.
    hessian : ndarray of shape (n_params, n_params)
        The Hessian of the objective.
    factor : Factor
        Its factor.
    grams : Grams
        Second moments of the rows.
    spacing : ndarray of shape (n_params,), or None
        The grid of parameters, if it is known.
    error : float
        What may be wrong with the Hessian, as a share of it in any direction.
    """

    objective: LinearObjective
    theta: np.ndarray
    hessian: np.ndarray
    factor: Factor
    grams: Grams
    spacing: np.ndarray | None
    error: float

    def formed_at(self, theta: np.ndarray, weighted: Weighted) -> "Local | None":
        """Return this with the Hessian at other parameters; None if it is singular."""
        hessian = self.objective.hessian(theta, weighted.w)
        try:
            factor = factorise(hessian, find_common_shifts(self.objective))
        except np.linalg.LinAlgError:
            return None
        error = bound_inverse(factor, weighted.rounding)
        return replace(self, theta=theta, hessian=hessian, factor=factor, error=error)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Return the largest move of each parameter by a move of length 1."""
        return np.sqrt((self.factor.inverse_root**2).sum(axis=0))

    @cached_property
    def rows_root(self) -> np.ndarray:
        """Return the inverse root, for gradients that rows can have."""
        return centre(self.objective, self.factor.inverse_root)

    @cached_property
    def rows_lengths(self) -> np.ndarray:
        """Return `lengths` for moves that gradients of rows can make."""
        return np.sqrt((self.rows_root**2).sum(axis=0))

    @cached_property
    def rows_inverse(self) -> np.ndarray:
        """Return the inverse of the Hessian, for gradients that rows can have."""
        return self.rows_root.T @ self.rows_root

    @cached_property
    def cell(self) -> float:
        """Return the length of the shortest way from a point of the grid to another."""
        spacing = self.spacing
        return 0.0 if spacing is None else float((spacing / self.lengths).min())

    def measure(self, v: np.ndarray) -> float:
        """Return the length of a move, in the norm of the Hessian."""
        return math.sqrt(max(float(v @ (self.hessian @ v)), 0.0))


def _round(theta: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    return np.rint(theta / spacing) * spacing + 0.0


def _count_lost(before: np.ndarray, after: np.ndarray) -> int:
    """Return how many parts of digits a subtraction has lost."""
    was = np.diagonal(before, axis1=-2, axis2=-1)
    left = np.diagonal(after, axis1=-2, axis2=-1)
    there = was > 0
    if not (left[there] > 0).all():
        return _MAX_LOST
    ratio = float((was[there] / left[there]).max(initial=1.0))
    return math.ceil(_PARTS * math.log2(ratio))

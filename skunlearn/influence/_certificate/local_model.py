"""Parameters, and what is known of the objective around them without its rows."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from skunlearn._pickling import FieldsOnly
from skunlearn.influence._certificate.bounds import bound_distance, bound_mean_change
from skunlearn.influence._linalg.cholesky import Factor, factorise, factorise_somehow
from skunlearn.influence._objectives.base import Objective

__all__ = ["LocalModel"]

_EPS = float(np.finfo(float).eps)
_MAX_CANCELLATION = 16.0  # times smaller than it was, a sum has lost a digit
_MIN_PARAMS_PER_ROW = 20  # times fewer rows than parameters
_MAX_INVERSE_PARAMS = 256  # for more, inverses are not formed for a bound alone
_MAX_SLACK = 3.0  # beyond, `max_norm` is worth a pass over the rows
_MIN_CHANGE_TO_LOOK = 0.01  # change of curvature that is not worth a look at the rows
_MAX_CURVATURE_GROWTH = 50.0  # factor by which curvature may have changed, at worst
_MAX_HESSIAN_ERROR = 1e3  # errors beyond say nothing


@dataclass(frozen=True)
class LocalModel(FieldsOnly):
    """Sums over the rows that are left, near the parameters, and how wrong they can be.

    Rows are subtracted from the sums as they are forgotten, and the parameters move on:
    neither needs a pass over the retained rows. What that makes wrong is bounded. All
    norms of gradients are those of the inverse of the Hessian known.

    Parameters
    ----------
    theta : ndarray of shape (n_params,)
        The parameters.
    weight_sums : ndarray
        What scales and penalties have to know of the rows' weights.
    gradients : ndarray of shape (n_groups, n_params)
        Sums of gradients at `theta`, about.
    hessians : ndarray of shape (n_groups, n_params, n_params)
        Sums of Hessians, about.
    gradient_error : float
        How far each group's scaled sum of gradients can be off.
    R, max_norm : float
        Constants of self-concordance: a move by v changes the Hessian by factors up to
        exp(R |v|), and up to exp(max_norm |v|) with the norm of the known Hessian.
    slack : float
        How many times larger the max_norm may have become than it has to be.
    low, up : float
        The Hessian at `theta` is between ``1 - low`` and ``1 + up`` times the known.
    longest : float
        The longest step since the sums were formed, which rounding goes by.
    cancelled : float
        How many times smaller the Hessian's diagonal has become by subtraction.
    """

    objective: Objective
    theta: np.ndarray
    weight_sums: np.ndarray
    gradients: np.ndarray
    hessians: np.ndarray
    R: float
    max_norm: float = math.inf
    slack: float = math.inf
    gradient_error: float = 0.0
    low: float = 0.0
    up: float = 0.0
    cancelled: float = 1.0
    longest: float = 0.0

    @classmethod
    def measure(
        cls, objective: Objective, theta: np.ndarray, w: np.ndarray, R: float
    ) -> "LocalModel":
        """Form all sums in two passes over the rows: nothing is wrong."""
        sums = objective.sums_by_group(theta, w)
        new = cls(objective, theta, objective.weight_sums(w), *sums, R)
        if not len(theta) or not math.isfinite(R) or new.jitter > 0:
            return new
        max_norm = objective.max_hessian_norm(new.inverse)
        return new._with(max_norm=max_norm, slack=1.0)

    def remeasured(self, theta: np.ndarray, w: np.ndarray) -> "LocalModel":
        """Form the sums again; `max_norm` follows from what it was, if it was tight.

        A row's norm in the inverse of the new Hessian is its norm in that of the old
        one, times a factor that both tell.
        """
        objective, R = self.objective, self.R
        if self.jitter > 0 or not self.slack < _MAX_SLACK:
            return LocalModel.measure(objective, theta, w, R)
        sums = objective.sums_by_group(theta, w)
        new = LocalModel(objective, theta, objective.weight_sums(w), *sums, R)
        if new.jitter > 0:
            return new
        root = new._inverse_root
        factor = math.sqrt(_find_largest(root @ self.hessian @ root.T))
        slack = self.slack * max(factor, 1.0)
        return new._with(max_norm=self.max_norm * factor, slack=slack)

    @cached_property
    def gradient(self) -> np.ndarray:
        """Return the tracked gradient of the objective at `theta`."""
        return self.objective.join_gradients(
            self.gradients, self.weight_sums, self.theta
        )

    @cached_property
    def hessian(self) -> np.ndarray:
        """Return the Hessian that is known, shape (n_params, n_params)."""
        return self.objective.join_hessians(self.hessians, self.weight_sums)

    @cached_property
    def _solved(self) -> tuple[Factor, float]:
        null_space = self.objective.null_space
        try:
            return factorise_somehow(self.hessian, null_space)
        except np.linalg.LinAlgError:  # more was subtracted than is known to be there
            diagonal = np.abs(self.hessian.diagonal())
            diagonal[diagonal == 0] = 1.0
            return factorise(np.diag(diagonal), null_space), math.inf

    @property
    def factor(self) -> Factor:
        """Return the factor of the known Hessian."""
        return self._solved[0]

    @property
    def jitter(self) -> float:
        """Return what had to be added to the Hessian to factorise it."""
        return self._solved[1]

    @cached_property
    def _inverse_root(self) -> np.ndarray:
        """Return G with inverse(H) = G.T G."""
        return self.factor.inverse_root

    @cached_property
    def inverse(self) -> np.ndarray:
        """Return the inverse of the Hessian that is known."""
        root = self._inverse_root
        return root.T @ root

    @property
    def needs_refresh(self) -> bool:
        """Whether the sums have lost so much accuracy that they must be recomputed."""
        is_known = (
            math.isfinite(self.cancelled) and self.low + self.up < _MAX_HESSIAN_ERROR
        )
        return not is_known or self.cancelled > _MAX_CANCELLATION or self.jitter > 0

    @property
    def is_plausible(self) -> bool:
        """Whether the step may be good enough, although no bound shows it."""
        return self.up < _MAX_CURVATURE_GROWTH and self.jitter == 0

    def without(self, w: np.ndarray, rows: np.ndarray) -> "LocalModel":
        """Subtract some rows, whose weights are still in `w`; the parameters stay."""
        objective, weight_sums = (
            self.objective,
            self.weight_sums - self.objective.weight_sums(w, rows),
        )
        gradients, hessians = objective.sums_by_group(self.theta, w, rows)
        after = replace(
            self,
            weight_sums=weight_sums,
            gradients=self.gradients - gradients,
            hessians=self.hessians - hessians,
        )
        was, left = self.hessian.diagonal(), after.hessian.diagonal()
        with np.errstate(divide="ignore", invalid="ignore"):
            shrunk = np.where(was > 0, was / left, 1.0)
        worst = float(shrunk.max(initial=1.0)) if (shrunk > 0).all() else math.inf
        after = after._with(cancelled=self.cancelled * worst)
        is_exact = self.gradient_error == self.low == self.up == 0
        if (is_exact and self.max_norm in (0, math.inf)) or not math.isfinite(worst):
            return after
        if after.jitter > 0:
            return after._with(cancelled=math.inf, max_norm=math.inf)
        # What was wrong is now a larger share of less: H <= (1 + more) H'.
        more = after._compare_removed(w, rows, hessians, self.weight_sums)
        spread = self._compare_scales(weight_sums)
        growth = math.sqrt(spread * (1 + more))
        return after._with(
            max_norm=self.max_norm * growth,
            slack=self.slack * growth,
            gradient_error=self.gradient_error * spread * math.sqrt(1 + more),
            low=self.low * spread * (1 + more),
            up=self.up * spread * (1 + more),
        )

    def _compare_removed(
        self, w: np.ndarray, rows: np.ndarray, hessians: np.ndarray, before: np.ndarray
    ) -> float:
        """Bound what was subtracted, as a share of what is left in any direction."""
        objective, theta, weight_sums = self.objective, self.theta, self.weight_sums
        lost = objective.regularizer(before) - objective.regularizer(weight_sums)
        if len(rows) * _MIN_PARAMS_PER_ROW >= len(theta):
            removed = objective.join_hessians(hessians, weight_sums)
            removed.flat[:: len(theta) + 1] += lost - objective.regularizer(weight_sums)
            root = self._inverse_root
            return _bound_eigenvalues(root @ removed @ root.T)
        scales = np.sqrt(objective.scales(weight_sums)[objective.groups_of_rows[rows]])
        F = (np.sqrt(w[rows, None]) * scales)[:, None] * objective.row_factors(
            theta, rows
        )
        F = F.reshape(-1, len(theta))
        left = np.where(lost > 0, objective.regularizer(weight_sums), 1.0)
        share = float((lost / left).max(initial=0.0))
        return share + _bound_eigenvalues(F @ self.factor.solve(F.T))

    def with_weight_sums(self, weight_sums: np.ndarray) -> "LocalModel":
        """Take over other sums of weights: scales and regularizers change with them."""
        penalties = (
            self.objective.regularizer(t) for t in (self.weight_sums, weight_sums)
        )
        growth = self._compare_scales(weight_sums) * _spread(*penalties)
        return replace(
            self,
            weight_sums=weight_sums,
            max_norm=self.max_norm * math.sqrt(growth),
            slack=self.slack * math.sqrt(growth),
            gradient_error=self.gradient_error * growth,
            low=self.low * growth,
            up=self.up * growth,
        )

    def _compare_scales(self, weight_sums: np.ndarray) -> float:
        """Return by how much other weight_sums change the scales, unlike each other."""
        if len(self.gradients) == 1:
            return 1.0
        return _spread(
            *(self.objective.scales(t) for t in (self.weight_sums, weight_sums))
        )

    def moved(self, step: np.ndarray, *, look: bool = False) -> "LocalModel":
        """Move the parameters; what that does to gradients is told by the Hessian.

        Whether to `look` at the rows for how much their margins change: it is a pass.
        """
        size, r = self.find_length(step), 0.0
        if step.any():
            r = min(self.R * float(np.linalg.norm(step)), self.max_norm * size)
        if look and _MIN_CHANGE_TO_LOOK < r < math.inf:
            r = min(r, self.objective.compute_change(step))
        wrong = bound_mean_change(self.low, self.up, r) * size if size else 0.0
        growth = math.exp(min(r, 50.0)) if r < 50 else math.inf
        return self._with(
            theta=self.theta + step,
            gradients=self.gradients + self.hessians @ step,
            gradient_error=self.gradient_error + wrong,
            longest=max(self.longest, float(np.linalg.norm(step))),
            low=1 - (1 - self.low) / growth,
            up=(1 + self.up) * growth - 1,
        )

    def _with(self, **changes: Any) -> "LocalModel":
        """Change what the Hessian does not depend on, and keep its factor."""
        new = replace(self, **changes)
        for name in ("hessian", "_solved", "_inverse_root"):
            if name in vars(self):
                vars(new)[name] = vars(self)[name]
        return new

    def with_gradients(self, theta: np.ndarray, sums: np.ndarray) -> "LocalModel":
        """Take over true sums of gradients at some parameters."""
        return self._with(theta=theta, gradients=sums, gradient_error=0.0)

    @property
    def curvature(self) -> float:
        """Return a lower bound of the known Hessian's eigenvalues."""
        if len(self.theta) > _MAX_INVERSE_PARAMS:
            least = float(self.objective.regularizer(self.weight_sums).min())
            if least > 0:
                return least
        trace = float((self._inverse_root**2).sum())
        return 1 / trace if trace > 0 else math.inf

    def bound(self) -> float:
        """Return a bound of the Euclidean distance to the optimum, without rounding."""
        if not len(self.theta):
            return 0.0
        share = max(1 - self.low, 0.0) * self.curvature
        distance = self._length_bound
        return distance / math.sqrt(share) if share > 0 else math.inf

    def bound_in_hessian(self) -> float:
        """Return a bound of the distance in the norm of the known Hessian.

        An estimate of rounding is included.
        """
        if not len(self.theta):
            return 0.0
        distance = self._length_bound
        if not math.isfinite(distance):
            return math.inf
        return distance / math.sqrt(1 - self.low) + self._rounding_in_hessian

    @property
    def _rounding_in_hessian(self) -> float:
        """Return an estimate of rounding, in the norm of the known Hessian.

        Products of rows and parameters are rounded before they cancel each other, and
        directions with hardly any curvature make more of it.
        """
        roots, n_params = np.sqrt(self.hessian.diagonal()), len(self.theta)
        size, spread = float(np.abs(self.theta) @ roots), math.sqrt(n_params)
        if n_params <= _MAX_INVERSE_PARAMS:
            spread = float(np.linalg.norm(self._inverse_root * roots))
        return 64 * _EPS * self.cancelled * spread * (1 + size)

    @cached_property
    def _length_bound(self) -> float:
        """Return a bound of the distance, in the norm of the Hessian at `theta`."""
        if self.jitter > 0 or not self.low < 1 or not math.isfinite(self.R):
            return math.inf
        share, gradient = 1 - self.low, self.gradient
        decrement = math.sqrt(max(float(gradient @ self.factor.solve(gradient)), 0.0))
        decrement += len(self.gradients) * self.gradient_error
        rate = min(self.R / math.sqrt(self.curvature), self.max_norm) / math.sqrt(share)
        return bound_distance(decrement / math.sqrt(share), 1.0, rate)

    def find_length(self, v: np.ndarray) -> float:
        """Return the length of a move in the norm of the known Hessian."""
        return math.sqrt(max(float(v @ (self.hessian @ v)), 0.0))

    @property
    def rounding(self) -> float:
        """Return how far numbers of this precision can be off, about."""
        size = max(1.0, float(np.linalg.norm(self.theta)), self.longest)
        condition = float(np.linalg.norm(self.hessian)) / self.curvature
        return 8 * _EPS * size * condition * self.cancelled if len(self.theta) else 0.0


def _bound_eigenvalues(matrix: np.ndarray) -> float:
    """Return an upper bound of a symmetric matrix's eigenvalues, a tight one."""
    square = matrix @ matrix
    return math.sqrt(float(np.linalg.norm(square)))


def _find_largest(matrix: np.ndarray) -> float:
    """Return an upper bound of a symmetric matrix's eigenvalues, to rounding."""
    size = float(np.linalg.norm(matrix))
    if len(matrix) > _MAX_INVERSE_PARAMS or not math.isfinite(size):
        return _bound_eigenvalues(matrix)
    largest = float(np.linalg.eigvalsh(matrix)[-1])
    return largest + 4 * len(matrix) * _EPS * size


def _spread(before: np.ndarray, after: np.ndarray) -> float:
    """Return how much positive factors change, unlike each other or 1."""
    there = (before > 0) & (after > 0)
    ratios = after[there] / before[there]
    return float(ratios.max(initial=1.0) / ratios.min(initial=1.0))

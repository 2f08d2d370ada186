"""Parameters, and what is known of the objective around them without its rows."""

import math
from dataclasses import dataclass
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
_MIN_WIDE_PARAMS = 64  # for fewer, products of matrices take no time
_MAX_INVERSE_PARAMS = 256  # for more, inverses are not formed for a bound alone
_MAX_SLACK = 1.5  # beyond, `max_norm` is worth a pass over the rows
_MIN_CHANGE_TO_LOOK = 0.01  # change of curvature that is not worth a look at the rows
_MAX_CURVATURE_GROWTH = 50.0  # factor by which curvature may have changed, at worst
_MAX_HESSIAN_ERROR = 1e3  # errors beyond say nothing
_MAX_ROUNDING = 0.1  # change of margins by rounding parameters to a grid
_MAX_CHANGE = 50.0  # of margins, beyond which it says nothing


@dataclass(frozen=True)
class LocalModel(FieldsOnly):
    """Sums over the rows that are left, near the parameters, and how wrong they can be.

    Rows are subtracted from the sums as they are forgotten, at the point where these
    were formed, and the parameters move on: neither needs a pass over the retained
    rows, and the sums stay true. What a move makes wrong is bounded by how far it leads
    away, whatever the way. All norms of gradients are those of the inverse of the
    Hessian known.

    Parameters
    ----------
    theta : ndarray of shape (n_params,)
        The parameters.
    weight_sums : ndarray
        What scales and penalties have to know of the rows' weights.
    gradients : ndarray of shape (n_groups, n_params)
        Sums of gradients at `center`.
    hessians : ndarray of shape (n_groups, n_params, n_params)
        Sums of Hessians, about those at `center`.
    R, max_norm : float
        Constants of self-concordance: a move by v changes the Hessian by factors up to
        exp(R |v|), and up to exp(max_norm |v|) with the norm of the known Hessian.
    center : ndarray of shape (n_params,)
        Where the sums are true.
    is_rounded : bool
        Whether `center` is on a grid, and not the optimum of any rows.
    change : float
        The Hessian changes by factors up to exp(change) from `center` to `theta`.
    slack : float
        How many times larger the max_norm may have become than it has to be.
    error : float
        How far the gradient at `center` can be off.
    least, most : float
        The Hessian at `center` is between these times the known.
    cancelled : float
        How many times smaller the Hessian's diagonal has become by subtraction.
    """

    objective: Objective
    theta: np.ndarray
    weight_sums: np.ndarray
    gradients: np.ndarray
    hessians: np.ndarray
    R: float
    center: np.ndarray
    is_rounded: bool = False
    change: float = 0.0
    max_norm: float = math.inf
    slack: float = math.inf
    error: float = 0.0
    least: float = 1.0
    most: float = 1.0
    cancelled: float = 1.0

    @classmethod
    def measure(
        cls, objective: Objective, theta: np.ndarray, w: np.ndarray, R: float
    ) -> "LocalModel":
        """Form all sums in two passes over the rows: nothing is wrong."""
        return cls._form(objective, theta, w, R)._measured()

    @classmethod
    def about(
        cls,
        objective: Objective,
        theta: np.ndarray,
        hessians: np.ndarray,
        w: np.ndarray,
        R: float,
    ) -> "LocalModel":
        """Know of Hessians that are true at parameters, and of no gradients yet."""
        none = np.full(hessians.shape[:2], np.nan)
        sums = objective.weight_sums(w), none, hessians
        return cls(objective, theta, *sums, R, theta)._measured()

    def _measured(self) -> "LocalModel":
        """Look at the rows for `max_norm`."""
        if not len(self.theta) or not math.isfinite(self.R) or self.jitter > 0:
            return self
        max_norm = self.objective.max_hessian_norm(self.inverse)
        return self._with(max_norm=max_norm, slack=1.0)

    @classmethod
    def _form(
        cls, objective: Objective, theta: np.ndarray, w: np.ndarray, R: float
    ) -> "LocalModel":
        sums = objective.sums_by_group(theta, w)
        return cls(objective, theta, objective.weight_sums(w), *sums, R, theta)

    def remeasured(self, theta: np.ndarray, w: np.ndarray) -> "LocalModel":
        """Form the sums again; `max_norm` follows from what it was, if it was tight.

        A row's norm in the inverse of the new Hessian is its norm in that of the old
        one, times a factor that both tell.
        """
        if self.jitter > 0 or not self.slack < _MAX_SLACK:
            return LocalModel.measure(self.objective, theta, w, self.R)
        new = LocalModel._form(self.objective, theta, w, self.R)
        if new.jitter > 0:
            return new
        root = new._inverse_root
        factor = math.sqrt(_find_largest(root @ self.hessian @ root.T))
        slack = self.slack * max(factor, 1.0)
        return new._with(max_norm=self.max_norm * factor, slack=slack)

    @cached_property
    def gradient(self) -> np.ndarray:
        """Return the tracked gradient of the objective at `theta`."""
        gradients, move = self.gradients, self.theta - self.center
        if move.any():
            gradients = gradients + self.hessians @ move
        return self.objective.join_gradients(gradients, self.weight_sums, self.theta)

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
    def low(self) -> float:
        """Return by which share the Hessian at `theta` may be less than the known."""
        return 1 - self.least * math.exp(-self.change)

    @property
    def up(self) -> float:
        """Return by which share the Hessian at `theta` may be more than the known."""
        is_known = self.change < _MAX_CHANGE
        return self.most * math.exp(self.change) - 1 if is_known else math.inf

    @cached_property
    def gradient_error(self) -> float:
        """Return how far `gradient` can be from the true one."""
        return self.error + self._bound_error(self.theta - self.center, self.change)

    def _bound_error(self, move: np.ndarray, change: float) -> float:
        """Bound what a move from `center` makes wrong with its gradient."""
        size = self.find_length(move)
        if not size:
            return 0.0
        return bound_mean_change(1 - self.least, self.most - 1, change) * size

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
        objective = self.objective
        gradients, hessians = objective.sums_by_group(self.center, w, rows)
        after = self.evolved(
            weight_sums=self.weight_sums - objective.weight_sums(w, rows),
            gradients=self.gradients - gradients,
            hessians=self.hessians - hessians,
        )
        cancelled = self.cancelled * _find_ratio(self.hessian, after.hessian)
        if not math.isfinite(cancelled) or after.jitter > 0:
            return after._with(cancelled=math.inf, max_norm=math.inf)
        is_true = self.error == 0 and self.least == self.most
        if is_true and self.max_norm in (0, math.inf):
            return after._with(cancelled=cancelled)
        more = None
        n_params = len(self.theta)
        if n_params > max(len(rows) * _MIN_PARAMS_PER_ROW, _MIN_WIDE_PARAMS):
            more = after._compare_removed(w, rows, self.weight_sums)
        return after._following(self, more, cancelled=cancelled)

    def _following(
        self, before: "LocalModel", more: float | None = None, **changes: Any
    ) -> "LocalModel":
        """Take over what was known of another Hessian, at most 1 + more times this."""
        if more is None:
            root, lost = self._inverse_root, before.hessian - self.hessian
            more = float(np.linalg.norm(root @ lost @ root.T)) if lost.any() else 0.0
        growth, spread = math.sqrt(1 + more), 1.0
        if len(self.gradients) > 1:  # what is wrong with a group is scaled anew
            sums, scales = before.weight_sums, self.objective.scales
            spread = _spread(scales(sums), scales(self.weight_sums))
        return self._with(
            max_norm=before.max_norm * growth,
            slack=before.slack * growth,
            error=self.error * spread * growth,
            least=1 - (1 - before.least) * spread * (1 + more),
            most=1 + (before.most - 1) * spread * (1 + more),
            **changes,
        )

    def _compare_removed(
        self, w: np.ndarray, rows: np.ndarray, before: np.ndarray
    ) -> float:
        """Bound what few rows took along, as a share of what is left in any direction.

        `before` are the weight sums with them.
        """
        objective, weight_sums = self.objective, self.weight_sums
        lost = objective.regularizer(before) - objective.regularizer(weight_sums)
        left = np.where(lost > 0, objective.regularizer(weight_sums), 1.0)
        share = float((lost / left).max(initial=0.0))
        scales = np.sqrt(objective.scales(weight_sums)[objective.groups_of_rows[rows]])
        F = (np.sqrt(w[rows, None]) * scales)[:, None] * objective.row_factors(
            self.center, rows
        )
        F = F.reshape(-1, len(self.theta))
        more = share + _bound_eigenvalues(F @ self.factor.solve(F.T))
        return (
            _spread(objective.scales(before), objective.scales(weight_sums))
            * (1 + more)
            - 1
        )

    def reweighted(
        self, changes: np.ndarray, w: np.ndarray, gradient: np.ndarray
    ) -> "LocalModel":
        """Take over new weights, changed by these shares, and the gradient with them.

        The sums of Hessians stay: no row's part of them changes by more than the
        extremes of the changes.
        """
        least, most = min(float(changes.min()), 0.0), max(float(changes.max()), 0.0)
        before = self.with_gradients(self.theta, self.gradients)
        new = before.evolved(weight_sums=self.objective.weight_sums(w))
        new = new.with_gradient(self.theta, w, gradient)
        if new.jitter > 0:
            return new._with(max_norm=math.inf)
        new = new._following(before)
        return new._with(least=new.least * (1 + least), most=new.most * (1 + most))

    def moved(self, step: np.ndarray, *, look: bool = False) -> "LocalModel":
        """Move the parameters; what that does to gradients is told by the Hessian.

        Whether to `look` at the rows for how much their margins change: it is a pass.
        """
        theta = self.theta + step
        whole, more = self._bound_change(theta - self.center), self._bound_change(step)
        change = min(whole, self.change + more)
        if look and _MIN_CHANGE_TO_LOOK < min(more, change) < math.inf:
            change = min(change, self.objective.compute_change(theta - self.center))
        return self._with(theta=theta, change=change)

    def rounded(self, reach: float) -> "LocalModel":
        """Carry the sums over to a point of a grid, about as near as `reach`.

        The parameters were the optimum of rows that may go now, and are not kept.
        """
        if self.is_rounded:
            return self
        diagonal = self.hessian.diagonal()
        roots = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
        if 0 < self.max_norm < math.inf:
            reach = min(reach, _MAX_ROUNDING / self.max_norm)
        size = reach * math.sqrt(12 / max(len(roots), 1))  # of the cell of a grid
        spacing = np.exp2(np.floor(np.log2(size / roots)))
        center = np.rint(self.center / spacing) * spacing
        move = center - self.center
        change = whole = self._bound_change(move)
        if not change < _MAX_CHANGE:
            return self
        if self.theta is not self.center:
            whole = min(self._bound_change(self.theta - center), self.change + change)
        return self._with(
            gradients=self.gradients + self.hessians @ move,
            center=center,
            is_rounded=True,
            change=whole,
            error=self.error + self._bound_error(move, change),
            least=self.least * math.exp(-change),
            most=self.most * math.exp(change),
        )

    def _bound_change(self, v: np.ndarray) -> float:
        """Bound how much a move changes any margin, or the difference of two."""
        if not v.any():
            return 0.0
        size = self.max_norm * self.find_length(v)
        return min(self.R * float(np.linalg.norm(v)), size)

    def _with(self, **changes: Any) -> "LocalModel":
        """Change what the Hessian does not depend on, and keep its factor."""
        new, known = self.evolved(**changes), vars(self)
        for name in ("hessian", "_solved", "_inverse_root", "curvature"):
            if name in known:
                vars(new)[name] = known[name]
        return new

    def with_gradients(self, theta: np.ndarray, sums: np.ndarray) -> "LocalModel":
        """Take over true sums of gradients at the parameters, but for rounding."""
        return self._with(
            theta=theta,
            gradients=sums,
            center=theta,
            is_rounded=False,
            change=0.0,
            error=0.0,
            least=1 - self.low,
            most=1 + self.up,
        )

    def with_gradient(
        self, theta: np.ndarray, w: np.ndarray, gradient: np.ndarray
    ) -> "LocalModel":
        """Take over the true gradient; of several groups, that of each needs a pass."""
        objective = self.objective
        if len(self.gradients) > 1:
            return self.with_gradients(theta, objective.gradients_by_group(theta, w))
        rest = objective.regularizer_gradient(theta, self.weight_sums)
        scales = objective.scales(self.weight_sums)
        return self.with_gradients(theta, (gradient - rest) / scales)

    @cached_property
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
        decrement += self.gradient_error
        rate = min(self.R / math.sqrt(self.curvature), self.max_norm) / math.sqrt(share)
        return bound_distance(decrement / math.sqrt(share), 1.0, rate)

    def find_length(self, v: np.ndarray) -> float:
        """Return the length of a move in the norm of the known Hessian."""
        return math.sqrt(max(float(v @ (self.hessian @ v)), 0.0))

    @property
    def rounding(self) -> float:
        """Return how far numbers of this precision can be off, about."""
        lengths = (np.linalg.norm(v) for v in (self.theta, self.theta - self.center))
        size = max(1.0, *map(float, lengths))
        condition = float(np.linalg.norm(self.hessian)) / self.curvature
        return 8 * _EPS * size * condition * self.cancelled if len(self.theta) else 0.0


def _find_ratio(before: np.ndarray, after: np.ndarray) -> float:
    """Return how many times smaller a diagonal has become, at most."""
    was, left = before.diagonal(), after.diagonal()
    if was.min(initial=1.0) <= 0:
        was, left = was[was > 0], left[was > 0]
    if left.min(initial=1.0) <= 0:
        return math.inf
    return float((was / left).max(initial=1.0))


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

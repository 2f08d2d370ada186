"""Parameters that hold a criterion as far as a cap on the removal allows.

No training row is looked at: the metric says, to first order, how large the changes of
their weights have to be.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from skunlearn.influence._methods.goals import Goals

__all__ = ["choose_parameters"]

Spread = Callable[[np.ndarray], np.ndarray]

_MAX_DIRECTIONS = 24
_SECANT_SHARE = 1e-3  # of the expected move, to take differences of gradients over
_MIN_NORM_RTOL = 1e-7  # a direction that is so much shorter without others is rounding
_MAX_DOUBLINGS = 10
_MIN_GAIN = 0.2  # share of the harm; beyond, what is gained does not generalise
_CRITERION_RTOL = 0.01  # share of the harm by which the criterion may be missed
_MAX_SECANTS = 6
_MAX_STEPS = 8
_MIN_SHARE = 0.05  # of a step
_STEP_RTOL = 1e-3  # of the expected move


def choose_parameters(
    goals: Goals, origin: np.ndarray, spread: Spread
) -> np.ndarray | None:
    """Return parameters on the trade-off path of a criterion C and a removal.

    For growing mu they minimise ``|theta - origin|_A^2 / 2 + mu C(theta)`` where the
    mean loss on the forget set is at least what the cap asks for. The path ends where C
    is what it was at the start, or where the next doubling of mu gains little.

    Parameters
    ----------
    goals : Goals
        The criterion and the removal.
    origin : ndarray of shape (n_params,)
        The optimum of the retained rows.
    spread : callable
        Multiplies by the inverse of the metric A.

    Returns
    -------
    ndarray of shape (n_params,), or None
        The parameters; None if the criterion has no slope at the origin.
    """
    slope = goals.criterion_gradient(origin)
    steepness = float(slope @ spread(slope))
    if not steepness > 0:
        return None
    reach = goals.harm / np.sqrt(steepness)
    space = _Space.span(goals, origin, spread, reach)
    if not np.isfinite(space.criterion_hessian + space.loss_hessian).all():
        return None  # almost flat: differences of gradients have overflowed
    return space.at(_follow(space, goals.harm / steepness).y)


class _Point(NamedTuple):
    """A point of the path, and the multiplier of the cap there."""

    mu: float
    y: np.ndarray
    nu: float
    criterion: float


def _follow(space: "_Space", mu: float) -> _Point:
    """Double mu until the criterion is held, or little is gained."""
    goals = space.goals
    point = _Point(0.0, np.zeros(space.n_directions), 0.0, goals.retrained)
    for k in range(_MAX_DOUBLINGS):
        last, point = point, space.minimise(point, mu)
        if point.criterion <= goals.start:
            return _pin(space, last, point)
        gain = last.criterion - point.criterion
        if k and 0 <= gain < _MIN_GAIN * goals.harm:
            break
        mu *= 2
    return point


def _pin(space: "_Space", low: _Point, high: _Point) -> _Point:
    """Return a point between two at which the criterion is what it was."""
    start, slack = space.goals.start, _CRITERION_RTOL * space.goals.harm
    point = high
    for _ in range(_MAX_SECANTS):
        if abs(point.criterion - start) <= slack:
            break
        share = (low.criterion - start) / (low.criterion - high.criterion)
        mu = low.mu + (high.mu - low.mu) * min(max(share, 0.1), 0.9)
        point = space.minimise(low, mu)
        low, high = (point, high) if point.criterion > start else (low, point)
    return point


@dataclass(frozen=True)
class _Space:
    """Few directions of parameters that matter, orthonormal in the metric.

    They are the Krylov space of both gradients and both Hessians at the origin, from
    which the path hardly leads away. Coordinates are y; `criterion_hessian` and
    `loss_hessian` are at the origin, in them.
    """

    goals: Goals
    origin: np.ndarray
    reach: float
    directions: np.ndarray
    criterion_hessian: np.ndarray
    loss_hessian: np.ndarray

    @classmethod
    def span(
        cls, goals: Goals, origin: np.ndarray, spread: Spread, reach: float
    ) -> "_Space":
        """Find the directions by products with Hessians: differences of gradients."""
        starts = [gradient(origin) for gradient in goals.gradients]
        candidates, step = list(starts), _SECANT_SHARE * reach
        D, AD = np.empty((0, len(origin))), np.empty((0, len(origin)))
        products: tuple[list[np.ndarray], ...] = ([], [])
        while candidates and len(D) < min(len(origin), _MAX_DIRECTIONS):
            added = _orthonormalise(candidates.pop(0), D, AD, spread)
            if added is None:
                continue
            D, AD = np.vstack([D, added[0]]), np.vstack([AD, added[1]])
            moved = origin + step * added[0]
            pairs = zip(goals.gradients, starts, products, strict=True)
            for gradient, start, known in pairs:
                known.append((gradient(moved) - start) / step)
                candidates.append(known[-1])
        hessians = [_symmetrise(D @ np.transpose(known)) for known in products]
        return cls(goals, origin, reach, D, *hessians)

    @property
    def n_directions(self) -> int:
        """Return the number of coordinates."""
        return len(self.directions)

    def at(self, y: np.ndarray) -> np.ndarray:
        """Return the parameters at some coordinates."""
        return self.origin + y @ self.directions

    def minimise(self, point: _Point, mu: float) -> _Point:
        """Return where the path is for mu, by Newton steps from a point of it."""
        y, nu = point.y, point.nu
        for _ in range(_MAX_STEPS):
            step, multiplier = self._propose(y, nu, mu)
            size = float(np.linalg.norm(step))
            longest = 2 * float(np.linalg.norm(y)) + self.reach
            step *= min(1.0, longest / max(size, np.finfo(float).tiny))
            price = 2 * max(multiplier, nu)
            share = self._search(y, step, mu, price)
            if share is None:
                break
            y, nu = y + share * step, multiplier
            if size < _STEP_RTOL * self.reach:
                break
        return _Point(mu, y, nu, self.goals.criterion(self.at(y)))

    def _propose(self, y: np.ndarray, nu: float, mu: float) -> tuple[np.ndarray, float]:
        """Return a Newton step, and the multiplier of the cap that goes with it."""
        goals, theta = self.goals, self.at(y)
        gradient = y + mu * (self.directions @ goals.criterion_gradient(theta))
        solve = self._factorise(mu, nu)
        step, least = -solve(gradient), goals.least_loss
        if least is None:
            return step, 0.0
        slope = self.directions @ goals.loss_gradient(theta)
        short = least - goals.loss(theta) - float(slope @ step)
        if short <= 0:
            return step, 0.0
        back = solve(slope)
        curvature = float(slope @ back)
        multiplier = short / curvature if curvature > 0 else 0.0
        return step + multiplier * back, multiplier

    def _factorise(self, mu: float, nu: float) -> Callable[[np.ndarray], np.ndarray]:
        """Invert the Hessian, without what makes it indefinite if need be."""
        hessian = np.eye(self.n_directions) + mu * self.criterion_hessian
        try:
            factor = cho_factor(hessian - nu * self.loss_hessian, lower=True)
        except np.linalg.LinAlgError:
            values, vectors = np.linalg.eigh(hessian)
            root = vectors / np.sqrt(np.maximum(values, 1.0))
            return lambda b: root @ (root.T @ b)
        return lambda b: cho_solve(factor, b)

    def _search(
        self, y: np.ndarray, step: np.ndarray, mu: float, price: float
    ) -> float | None:
        """Halve a step until the merit falls; None if a short one does not do it."""
        before, share = self._merit(y, mu, price), 1.0
        while self._merit(y + share * step, mu, price) > before + 1e-12 * abs(before):
            share /= 2
            if share <= _MIN_SHARE:
                return None
        return share

    def _merit(self, y: np.ndarray, mu: float, price: float) -> float:
        goals, theta = self.goals, self.at(y)
        merit = float(y @ y) / 2 + mu * goals.criterion(theta)
        if goals.least_loss is None or not price:
            return merit
        return merit + price * max(0.0, goals.least_loss - goals.loss(theta))


def _orthonormalise(
    q: np.ndarray, D: np.ndarray, AD: np.ndarray, spread: Spread
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return a direction d and A d, from A d; None if it is one of the others'."""
    d = spread(q)
    size = np.sqrt(max(float(d @ q), 0.0))
    for _ in range(2):  # once leaves rounding
        shares = AD @ d
        d, q = d - shares @ D, q - shares @ AD
    rest = np.sqrt(max(float(d @ q), 0.0))
    return None if not rest > _MIN_NORM_RTOL * size else (d / rest, q / rest)


def _symmetrise(matrix: np.ndarray) -> np.ndarray:
    return (matrix + matrix.T) / 2

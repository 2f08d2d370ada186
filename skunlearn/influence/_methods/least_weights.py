"""The least changes of weights for which some parameters are the optimum."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from skunlearn.influence._certificate.local_model import LocalModel
from skunlearn.influence._linalg.cholesky import Factor, factorise_somehow
from skunlearn.influence._objectives.base import Objective

__all__ = ["Metric", "Weighting", "find_weights"]

_MAX_ROWS = 2**15  # from which second moments are estimated
_MAX_VALUES = 2**23  # of their gradients, unless these are too few rows
_MIN_ROWS_PER_PARAM = 4
_REGULARISATION = 1e-4  # of the dual, in units of the second moments
_RESIDUAL_RTOL = 1e-2  # share of the gradient that may be left
_MAX_STEPS = 8
_MAX_HALVINGS = 12
_MAX_CONTRACTION = 0.3  # of the residual in a step; above, second moments are updated


@dataclass(frozen=True)
class Metric:
    """What tells how much weights have to change for the optimum to move.

    To first order the changes x move the optimum by ``-inv(H) G.T x``, with the rows'
    weighted gradients G and ``B = G.T G``. The least of them that make it a given move
    have the squared norm ``move.T H inv(B) H move``.

    Parameters
    ----------
    hessian : ndarray of shape (n_params, n_params)
        The Hessian H of the retained rows.
    factor : Factor
        Its factor.
    moments : ndarray of shape (n_params, n_params)
        The second moments B of the gradients, from a sample of very many rows.
    """

    hessian: np.ndarray
    factor: Factor
    moments: np.ndarray

    @classmethod
    def measure(
        cls, objective: Objective, theta: np.ndarray, w: np.ndarray, local: LocalModel
    ) -> "Metric":
        """Compute it from what is known of the Hessian, and from gradients of rows."""
        moments = _compute_moments(objective, theta, w, np.flatnonzero(w))
        return cls(local.hessian, local.factor, moments)

    @cached_property
    def unit(self) -> float:
        """Return the size of the moments in units of the Hessian."""
        return float(np.trace(self.moments) / np.trace(self.hessian))

    def spread(self, q: np.ndarray) -> np.ndarray:
        """Return ``inv(H) B inv(H) q``."""
        return self.factor.solve(self.moments @ self.factor.solve(q))

    def stiffened(self, share: float) -> "Metric":
        """Return this with some of the Hessian added to the moments."""
        moments = self.moments + share * self.unit * self.hessian
        return replace(self, moments=moments)

    def norm(self, gradient: np.ndarray) -> float:
        """Return the norm of a gradient in the inverse of the Hessian."""
        return float(np.sqrt(max(gradient @ self.factor.solve(gradient), 0.0)))


def _compute_moments(
    objective: Objective, theta: np.ndarray, w: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Return the sum of the outer products of the weighted gradients of some rows."""
    n_params = len(theta)
    n_rows = max(_MAX_VALUES // n_params, _MIN_ROWS_PER_PARAM * n_params)
    step = -(-len(rows) // min(_MAX_ROWS, n_rows))
    sample = rows[:: max(step, 1)]
    G = w[sample, None] * objective.weight_gradients(theta, w, sample)
    return (G.T @ G) * (len(rows) / max(len(sample), 1))


@dataclass(frozen=True)
class Weighting:
    """Changes of weights, and what they leave of the gradient.

    Parameters
    ----------
    changes : ndarray of shape (n_rows,)
        Relative changes of the weights.
    gradient : ndarray of shape (n_params,)
        The gradient with them.
    residual : float
        Its norm, as a share of that without them.
    """

    changes: np.ndarray
    gradient: np.ndarray
    residual: float


def find_weights(
    objective: Objective,
    theta: np.ndarray,
    w: np.ndarray,
    metric: Metric,
    max_weight: float,
) -> Weighting:
    """Return the least changes of weights that make parameters (nearly) the optimum.

    They minimise ``|x|^2 / 2`` where the gradient for the weights ``w (1 + x)`` is 0
    and ``-1 <= x <= max_weight``. The dual has a variable for each parameter, and ``x =
    clip(w s v, -1, max_weight)`` with the derivatives s of the gradient by the weights.
    Newton steps solve it with approximate second moments; each is two passes.

    Parameters
    ----------
    objective : Objective
        The objective.
    theta : ndarray of shape (n_params,)
        The parameters.
    w : ndarray of shape (n_rows,)
        The weights before.
    metric : Metric
        The Hessian, and the second moments of gradients.
    max_weight : float
        Largest change upwards.

    Returns
    -------
    Weighting
        The changes. The box may leave some of the gradient.
    """
    gradient = objective.gradient(theta, w)
    size, eps = metric.norm(gradient), _REGULARISATION * metric.unit
    if not size > 0:
        return Weighting(np.zeros(len(w)), gradient, 0.0)
    dual = _Dual(gradient, eps * metric.hessian, max_weight)
    point = _DualPoint(np.zeros_like(theta), np.zeros(len(w)), dual)
    moments, residual = metric.moments, 1.0
    null_space = objective.null_space
    solver, _ = factorise_somehow(moments + dual.penalty, null_space)
    for _ in range(_MAX_STEPS):
        rest = gradient + dual.penalty @ point.v
        d = -solver.solve(rest)
        scores, pulls = objective.scores_and_pulls(theta, w, d[:, None])
        following = point.search(d, w * scores[:, 0], float(rest @ d))
        if following is None:
            break
        if pulls is not None and not (point.is_bound or following.is_bound):
            gradient = gradient + following.share * pulls[0]
        else:
            gradient = objective.gradient(theta, w * (1 + following.x))
        point, last, residual = following, residual, metric.norm(gradient) / size
        if residual <= _RESIDUAL_RTOL:
            break
        if residual > _MAX_CONTRACTION * last:
            free = np.flatnonzero((w > 0) & (point.x == point.t))
            if not len(free):
                break
            moments = _compute_moments(objective, theta, w, free)
            solver, _ = factorise_somehow(moments + dual.penalty, null_space)
    return Weighting(point.x, gradient, residual)


@dataclass(frozen=True)
class _Dual:
    """The dual problem: ``g v + sum_i phi(t_i) + v P v / 2``, phi' = clip."""

    gradient: np.ndarray
    penalty: np.ndarray
    max_weight: float


@dataclass(frozen=True)
class _DualPoint:
    """Dual variables v, the products t = w s v, and how far the last step went."""

    v: np.ndarray
    t: np.ndarray
    dual: _Dual
    share: float = 1.0

    @cached_property
    def x(self) -> np.ndarray:
        """Return the changes of weights."""
        return np.clip(self.t, -1.0, self.dual.max_weight)

    @property
    def is_bound(self) -> bool:
        """Whether any change is at a bound."""
        return bool((self.x != self.t).any())

    @cached_property
    def value(self) -> float:
        """Return the dual objective."""
        dual, v, x = self.dual, self.v, self.x
        value = dual.gradient @ v + x @ (self.t - x / 2)
        return float(value + v @ (dual.penalty @ v) / 2)

    def search(
        self, d: np.ndarray, products: np.ndarray, slope: float
    ) -> "_DualPoint | None":
        """Return a point in some direction that is better; None if none is."""
        for halvings in range(_MAX_HALVINGS):
            share = 0.5**halvings
            v, t = self.v + share * d, self.t + share * products
            point = _DualPoint(v, t, self.dual, share)
            slack = 1e-12 * abs(self.value)
            if point.value <= self.value + 1e-4 * share * slope + slack:
                return point
        return None

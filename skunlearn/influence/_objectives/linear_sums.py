"""Sums over the rows of a linear classifier, with what bounds their rounding.

Blocks are small and are added with compensation. So the errors have bounds that hold,
and that are short enough to decide in which cell of a fine grid an optimum is.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeGuard

import numpy as np
from scipy import sparse

from skunlearn.influence._linalg.blocks import (
    Blocks,
    BlockSum,
    compute_grams,
    count_additions,
    iterate_blocks,
    multiply,
)
from skunlearn.influence._objectives.base import Objective
from skunlearn.influence._objectives.linear import LinearObjective
from skunlearn.influence._objectives.losses import LogLoss, Softmax, SquaredError

__all__ = [
    "GradientSum",
    "GradientSums",
    "Grams",
    "allows_exact",
    "centre",
    "find_block_rows",
    "find_common_shifts",
    "find_max_curvature",
    "join_grams",
    "sum_grams",
    "sum_removed",
    "sum_weights",
]

_MAX_BLOCK_ROWS, _MIN_BLOCK_ROWS = 8192, 256
_MAX_BLOCKS = 32  # of small sparse data
_MAX_COUNT = 100.0  # mean weight that may be a count of rows


def allows_exact(objective: Objective) -> TypeGuard[LinearObjective]:
    """Whether an objective has one optimum that can be computed to any precision."""
    if not isinstance(objective, LinearObjective) or objective.linear_term is not None:
        return False
    loss, is_penalised = objective.spec.loss, objective.spec.coef_penalty > 0
    is_smooth = isinstance(loss, LogLoss | Softmax) and is_penalised
    return is_smooth or isinstance(loss, SquaredError)


@dataclass(frozen=True)
class GradientSum:
    """What a pass over the rows tells at some parameters.

    Parameters
    ----------
    theta : ndarray of shape (n_params,)
        The parameters.
    gradient : ndarray of shape (n_params,)
        The gradient of the objective.
    squares : ndarray of shape (n_outputs, 1)
        Sums of the squared slopes of the rows' losses, or what is larger.
    change : float
        A bound of the change of a margin, or of the difference of two, from where a
        Hessian was formed.
    curvatures : ndarray of shape (n_rows, n_outputs), or None
        The losses' curvatures, from which a gradient nearby follows.
    move : ndarray of shape (n_params,), or None
        The way from where slopes and curvatures were computed; None is no way.
    bent : float, default=0.0
        The largest change of a margin along it, which the gradient does not know of.
    """

    theta: np.ndarray
    gradient: np.ndarray
    squares: np.ndarray
    change: float
    curvatures: np.ndarray | None
    move: np.ndarray | None = None
    bent: float = 0.0


class GradientSums:
    """Sums of gradients at several parameters, with the same weights.

    Parameters
    ----------
    objective : LinearObjective
        The objective.
    w : ndarray of shape (n_rows,)
        Weights of the rows.
    sums : ndarray
        Sums of weights, whose precision is that of all that is computed.
    """

    def __init__(
        self, objective: LinearObjective, w: np.ndarray, sums: np.ndarray
    ) -> None:
        self.objective, self.dtype = objective, sums.dtype
        self.penalty, self._weigh = (
            objective.regularizer(sums),
            objective._weigh(w, sums),
        )
        self.block_rows = find_block_rows(objective)
        self.n_additions = count_additions(objective.X, self.block_rows)
        # Of several outputs slopes cost little; a log loss bends less than it slopes.
        is_log = isinstance(objective.spec.loss, LogLoss) and objective.n_outputs == 1
        self._keeps = is_log and self.dtype == np.float64
        self._blocks = Blocks(objective.X, self.block_rows, self.dtype)

    def find(self, theta: np.ndarray, v: np.ndarray | float) -> GradientSum:
        """Sum gradients in a pass over the rows.

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
            The parameters.
        v : ndarray of shape (n_params,), or float
            The way from where a Hessian was formed, or a bound of the change of margins
            along it.

        Returns
        -------
        GradientSum
            The sums.
        """
        objective, loss = self.objective, self.objective.spec.loss
        K, looks = objective.n_outputs, isinstance(v, np.ndarray)
        both = np.append(theta, v) if looks else theta
        W, squares, change = self._unravel(both), np.zeros((K, 1)), 0.0
        C = np.empty((K, len(objective.codes))).T if self._keeps else None
        total = BlockSum(W[:K], objective.intercept)
        for rows, X, transposed in self._blocks:
            Z, codes = multiply(X, W), objective.codes[rows]
            if C is None:
                S = loss.slopes(Z[:, :K], codes)
            else:
                S, C[rows] = loss.derive(Z[:, :K], codes)
            if looks:
                change = max(change, loss.find_change(Z[:, K:]))
            A = self._weigh(rows) * S
            squares[:, 0] += np.einsum("ji,ji->j", A.T, S.T)
            total.add(X, transposed, A)
        gradient = centre(objective, total.value.ravel()) + self.penalty * theta
        change = change if isinstance(v, np.ndarray) else v
        return GradientSum(theta, gradient, squares, change, C)

    def follow(self, found: GradientSum, v: np.ndarray) -> GradientSum:
        """Return the gradient after a short move, from the curvatures before it."""
        objective, loss, C = self.objective, self.objective.spec.loss, found.curvatures
        assert C is not None
        V, change = self._unravel(v), 0.0
        total = BlockSum(V, objective.intercept)
        for rows, X, transposed in self._blocks:
            Z = multiply(X, V)
            change = max(change, loss.find_change(Z))
            bent = loss.bend(C[rows], Z)
            total.add(X, transposed, self._weigh(rows) * bent)
        more = centre(objective, total.value.ravel()) + self.penalty * v
        return GradientSum(
            found.theta + v,
            found.gradient + more,
            found.squares * (1 + change) ** 2,
            found.change + change,
            None,
            move=v,
            bent=change,
        )

    def _unravel(self, theta: np.ndarray) -> np.ndarray:
        theta = theta.astype(self.dtype, copy=False)
        return theta.reshape(-1, self.objective.n_columns)


def centre(objective: LinearObjective, values: np.ndarray) -> np.ndarray:
    """Leave out what gradients of rows do not have: softmax slopes of a row sum to 0.

    The last axis of `values` are the parameters.
    """
    if not isinstance(objective.spec.loss, Softmax):
        return values
    each = values.reshape(*values.shape[:-1], objective.n_outputs, -1)
    return (each - each.mean(axis=-2, keepdims=True)).reshape(values.shape)


def find_common_shifts(objective: LinearObjective) -> np.ndarray:
    """Return orthonormal directions in which the optimum of a softmax has no part.

    What all classes share changes no margin that matters, and a penalty makes it 0.
    """
    if not isinstance(objective.spec.loss, Softmax):
        return objective.null_space
    K = objective.n_outputs
    return np.tile(np.eye(objective.n_columns), K) / np.sqrt(K)


def sum_removed(
    objective: Objective,
    theta: np.ndarray,
    w: np.ndarray,
    left: np.ndarray,
    rows: np.ndarray,
) -> np.ndarray:
    """Return the gradient that some rows, whose weights are in `w`, take along.

    `left` are the sums of weights that are left.
    """
    before = left + objective.weight_sums(w, rows)
    lost = objective.regularizer(before) - objective.regularizer(left)
    sums = objective.gradients_by_group(theta, w, rows)
    return (objective.scales(left) * sums).sum(axis=0) + lost * theta


def find_block_rows(objective: LinearObjective) -> int:
    """Return how many rows are summed at once: fewer make smaller errors."""
    if not sparse.issparse(objective.X):
        return _MAX_BLOCK_ROWS
    size = objective.X.shape[0] // _MAX_BLOCKS
    return min(max(size, _MIN_BLOCK_ROWS), _MAX_BLOCK_ROWS)


def find_max_curvature(objective: LinearObjective) -> float:
    """Return the largest second derivative of a row's loss by its margins."""
    loss = objective.spec.loss
    if isinstance(loss, SquaredError):
        return 2.0
    return 0.5 if isinstance(loss, Softmax) else 0.25


def sum_weights(
    objective: LinearObjective, w: np.ndarray, dtype: Any = np.float64
) -> np.ndarray:
    """Return `Objective.weight_sums`, right to the last digits of a precision.

    Weights are 0 and 1, so that sums without sample weights are counts.
    """
    sums = objective.weight_sums(w).astype(dtype)
    weight = objective.sample_weight
    if objective.balance is None or weight is None:
        return sums
    if objective.spec.balance_weighted:
        for c in range(objective.n_classes):
            inside = (objective.codes == c) & (w > 0)
            sums[1 + c] = weight[inside].sum(dtype=np.longdouble)
    return sums


@dataclass(frozen=True)
class Grams:
    """Second moments of the rows, with their weights, for each output.

    Parameters
    ----------
    matrices : ndarray of shape (n_outputs or 1, n_columns, n_columns)
        The sums of ``a_i x_i x_i.T``; one where all outputs have the same weights.
    least : float
        A lower bound of the weights a that are not 0.
    total : float
        Their sum.
    n_rows : int
        Number of weights that are not 0.
    unit : float
        What standard errors are measured in: the factor of all losses. Rows of integer
        weights are as good as repeated rows, so that weights do not change it unless
        they are very large.
    """

    matrices: np.ndarray
    least: float
    total: float
    n_rows: int
    unit: float

    @property
    def mean(self) -> float:
        """Return the mean of the weights."""
        return self.total / self.n_rows

    @cached_property
    def diagonals(self) -> np.ndarray:
        """Return the second moments alone, shape (n_outputs or 1, n_columns)."""
        return np.diagonal(self.matrices, axis1=1, axis2=2)


def sum_grams(
    objective: LinearObjective, w: np.ndarray, rows: np.ndarray | None = None
) -> np.ndarray:
    """Return sums over groups, shape (n_groups, n_outputs or 1, n_columns, n_columns).

    They are without the scales of the groups.
    """
    weigh, grams = objective._weigh(w), []
    for part in objective._split(rows):
        total: Any = np.zeros((1, objective.n_columns, objective.n_columns))
        for index, X in iterate_blocks(objective.X, part, _MAX_BLOCK_ROWS):
            total = total + compute_grams(X, weigh(index), objective.intercept)
        grams.append(total)
    return np.array(grams)


def join_grams(
    objective: LinearObjective, grams: np.ndarray, w: np.ndarray, sums: np.ndarray
) -> Grams:
    """Return the second moments with the scales of groups."""
    scales, factor = objective._class_scales, objective.spec.loss_factor
    least, total, weights = 1.0, float(sums[0]), w
    if objective.sample_weight is not None:
        weights = w * objective.sample_weight
        least, total = float(weights[weights > 0].min()), float(weights.sum())
    matrices = grams[0]
    if objective.balance is not None:
        scales = objective.balance.compute(sums[1:])
        matrices = np.einsum("gk,gqij->kij", scales, grams)
        matrices = matrices[:1] if objective.balance.is_shared else matrices
    if scales is not None:
        least *= float(scales[scales > 0].min())
        classes = np.bincount(objective.codes, weights, objective.n_classes)
        total = float(classes @ scales.mean(axis=1))
    n_rows = int(sums[0])
    unit = factor * max(1.0, total / n_rows / _MAX_COUNT)
    return Grams(matrices, factor * least, factor * total, n_rows, unit)

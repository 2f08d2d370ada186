"""How far the curvature of a linear classifier's objective can be trusted.

Bounds from the norms of rows, in one pass each.
"""

from typing import Any

import numpy as np
from scipy import sparse

from skunlearn.influence._linalg.blocks import add_ones, iterate_blocks, multiply
from skunlearn.influence._objectives.linear_scores import Weigh
from skunlearn.influence._objectives.losses import Loss, Softmax

__all__ = [
    "bound_change",
    "bound_curvature",
    "bound_row_norms",
    "bound_self_concordance",
]


def bound_self_concordance(X: Any, loss: Loss, intercept: bool) -> float:
    """Return the constant of self-concordance, from the longest row.

    It is rounded up, so that it tells nothing of the row, and valid without it.
    """
    factor = loss.self_concordance
    if factor in (0, np.inf):
        return float(factor)
    longest = max(
        _norms(block, intercept).max() for _, block in iterate_blocks(X, None)
    )
    return _round_up(factor * longest)


def bound_change(X: Any, loss: Loss, V: np.ndarray) -> float:
    """Return the largest change of a margin, or of the difference of two, by V."""
    factor, largest = loss.self_concordance, 0.0
    if factor in (0, np.inf):
        return float(factor)
    for _, block in iterate_blocks(X, None):
        largest = max(largest, loss.find_change(multiply(block, V)))
    return largest


def bound_row_norms(X: Any, loss: Loss, inverse: np.ndarray, intercept: bool) -> float:
    """Return the largest norm of a row in the inverse Hessian, rounded up.

    The margins of a row then move by no more than this; for the softmax, two of them
    apart by the sum of the two largest such norms. `inverse` has shape (n_outputs,
    n_columns, n_outputs, n_columns).
    """
    if loss.self_concordance in (0, np.inf):
        return float(loss.self_concordance)
    worst = 0.0
    for _, block in iterate_blocks(X, None):
        dense = add_ones(block, intercept)
        squares = [
            np.einsum("ij,ij->i", dense @ inverse[a, :, a, :], dense)
            for a in range(len(inverse))
        ]
        norms = np.sqrt(np.maximum(squares, 0.0))
        if isinstance(loss, Softmax):
            norms = np.sort(norms, axis=0)[-2:].sum(axis=0)
        worst = max(worst, float(norms.max(initial=0.0)))
    return _round_up(worst)


def bound_curvature(
    X: Any,
    codes: np.ndarray,
    loss: Loss,
    W: np.ndarray,
    weigh: Weigh,
    mu: float,
    radius: float,
) -> float:
    """Return a lower bound of the curvature where intercepts are not penalised.

    Coefficients are held by the penalty mu. Free intercepts are held by the rows: with
    delta the least curvature along them alone, and L the losses' largest one along the
    coefficients, ``mu |u|^2 + (sqrt(delta) |b| - sqrt(L) |u|)^2`` is at least
    ``mu delta / (mu + delta + L)`` for a direction (u, b) of length 1.
    """
    D, largest = _sum_curvatures(X, codes, loss, W, weigh, radius)
    if isinstance(loss, Softmax):  # the same for all classes is null
        delta = float(np.linalg.eigvalsh(D)[1])
    else:
        delta = float(np.diag(D).min())
    return mu * max(delta, 0.0) / (mu + max(delta, 0.0) + largest)


def _sum_curvatures(
    X: Any,
    codes: np.ndarray,
    loss: Loss,
    W: np.ndarray,
    weigh: Weigh,
    radius: float,
) -> tuple[np.ndarray, float]:
    """Return the Hessian of the intercepts, and a bound of the coefficients'."""
    D, largest = np.zeros((len(W), len(W))), 0.0
    for rows, block in iterate_blocks(X, None):
        norms = _norms(block, True)
        C = loss.least_curvatures(
            multiply(block, W), codes[rows], radius * norms[:, None]
        )
        A = weigh(rows)
        diagonal = A * loss.diagonal(C)
        if isinstance(loss, Softmax):
            D += np.diag((A * C).sum(axis=0)) - (A * C).T @ C
        else:
            D += np.diag(diagonal.sum(axis=0))
        largest += float((diagonal.sum(axis=1) * (norms**2 - 1)).sum())
    return D, largest


def _norms(X: Any, intercept: bool) -> np.ndarray:
    """Return the norms of rows, the 1 for the intercept included."""
    squares = (
        np.asarray(X.multiply(X).sum(axis=1)).ravel()
        if sparse.issparse(X)
        else np.einsum("ij,ij->i", X, X)
    )
    return np.sqrt(squares + intercept)


def _round_up(value: float) -> float:
    """Round up to an eighth of a power of two."""
    power = np.log2(max(value, 2.0**-100))
    return float(2.0 ** (np.ceil(8 * power) / 8))

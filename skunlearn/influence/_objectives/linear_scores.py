"""What each row does to a linear classifier, in one pass over the rows."""

from collections.abc import Callable
from typing import Any

import numpy as np

from skunlearn.influence._linalg.blocks import (
    iterate_blocks,
    multiply_back,
    multiply_forth,
)
from skunlearn.influence._objectives.linear_form import ClassBalance
from skunlearn.influence._objectives.losses import Loss

__all__ = ["Weigh", "compute_losses_without", "differentiate_scales", "score_rows"]

Weigh = Callable[[Any], np.ndarray]  # from an index of rows to weights in each output


def score_rows(
    X: Any,
    codes: np.ndarray,
    loss: Loss,
    matrices: np.ndarray,
    w: np.ndarray,
    weigh: Weigh,
    weigh_unscaled: Weigh,
    *,
    n_classes: int,
    pull: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return products of the rows' gradients with directions, and sums of them.

    Parameters
    ----------
    X, codes, loss
        The rows, their labels, and the loss.
    matrices : ndarray of shape (1 + m, n_outputs, n_columns)
        The parameters, and the m directions.
    w : ndarray of shape (n_rows,)
        Weights of the rows.
    weigh, weigh_unscaled : callable
        Class weights of rows, with the scales of balanced classes and without.
    n_classes : int
        For how many classes to sum unscaled products; 0 if these are not needed.
    pull : bool
        Whether to sum gradients, by the scores and twice the weights.

    Returns
    -------
    scores : ndarray of shape (m, n_rows)
        The products; rows come last, which is fast for few directions.
    pulls : ndarray of shape (m, n_outputs, n_columns)
        The sums of gradients, or zeros.
    by_class : ndarray of shape (m, n_classes, n_outputs)
        The sums of unscaled products.
    """
    m, (n_outputs, n_columns) = len(matrices) - 1, matrices.shape[1:]
    flat, intercept = matrices.reshape(-1, n_columns), n_columns > X.shape[1]
    scores = np.empty((m, X.shape[0]))
    by_class = np.zeros((m, n_classes, n_outputs))
    pulls = np.zeros((m, n_outputs, n_columns))
    for rows, block in iterate_blocks(X, None):
        Z = multiply_forth(block, flat).reshape(1 + m, n_outputs, -1)
        S = loss.slopes(np.ascontiguousarray(Z[0].T), codes[rows])
        A = np.ascontiguousarray((weigh(rows) * S).T)
        part = scores[:, rows]
        np.einsum("kn,mkn->mn", A, Z[1:], out=part)
        if pull:
            for k, R in enumerate(A * w[rows] ** 2):
                pulls[:, k] += multiply_back(block, (part * R).T, intercept)
        if n_classes:
            T = (w[rows, None] * weigh_unscaled(rows) * S).T * Z[1:]
            for total, each in zip(by_class, T, strict=True):
                np.add.at(total, codes[rows], each.T)
    return scores, pulls, by_class


def differentiate_scales(
    balance: ClassBalance, counts: np.ndarray, sums: np.ndarray, n_columns: int
) -> np.ndarray:
    """Return the derivatives of the gradient by the weight of each balanced class.

    Its own rows' gradients excepted: only what the scales of all classes change.

    Parameters
    ----------
    balance : ClassBalance
        The scales of classes.
    counts : ndarray of shape (n_classes,)
        The weight of each class.
    sums : ndarray of shape (n_classes, n_params)
        Unscaled sums of gradients over each class.
    n_columns : int
        Parameters of each output.
    """
    derivatives = np.empty_like(sums)
    for param, by_class in enumerate(sums.T):
        of_output = np.zeros(balance.counts_in.shape)
        of_output[:, param // n_columns] = by_class
        derivatives[:, param] = balance.differentiate(counts, of_output)
    return derivatives


def compute_losses_without(
    X: np.ndarray,
    codes: np.ndarray,
    loss: Loss,
    W: np.ndarray,
    weights: np.ndarray,
    inverse: np.ndarray,
) -> np.ndarray:
    """Return the plain losses of rows after Newton steps that remove each of them.

    With J the margins of a row as a function of the parameters, r their slopes and B
    their second derivatives, they move by ``A inv(I - B A) r``, where A is
    ``J inverse J.T`` (Woodbury): small matrices, one for each row. X has a column of
    ones for the intercept, and `inverse` the shape (n_outputs, n_columns, n_outputs,
    n_columns).
    """
    K, Z = len(W), X @ W.T
    C = loss.curvatures(Z, codes)
    A, B = np.empty((2, len(X), K, K))
    for a in range(K):
        for b in range(a + 1):
            products = np.einsum("ij,ij->i", X @ inverse[a, :, b, :], X)
            A[:, a, b] = A[:, b, a] = products
        unit = np.broadcast_to(np.eye(K)[a], Z.shape)
        B[:, :, a] = loss.bend(C, unit)
    B *= weights[:, :, None]
    r = weights * loss.slopes(Z, codes)
    inner = (1 + 1e-12) * np.eye(K) - B @ A
    Z += (A @ np.linalg.solve(inner, r[:, :, None]))[:, :, 0]
    return loss.values(Z, codes).sum(axis=1)

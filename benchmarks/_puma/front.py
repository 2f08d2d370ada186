"""The front: the least criterion that any parameters have with so much removed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from _influence_turns import copy_with
from scipy.optimize import minimize
from scipy.special import log_softmax

from _puma.sets import Split

__all__ = ["find_front"]

_ROUNDS = 6  # of the augmented Lagrangian


def find_front(
    split: Split, fitted: Any, rows: np.ndarray, kept: Sequence[float]
) -> list[float]:
    """Return the least change of the criterion, of retraining's, for what is kept.

    Below the criterion before the request it only over-fits: there the search stops.

    Parameters
    ----------
    split : Split
        The rows.
    fitted : InfluenceUnlearningClassifier
        The classifier before the request.
    rows : ndarray
        The forget set.
    kept : sequence of float
        Shares of the removal.
    """
    X = np.column_stack([split.X, np.ones(len(split.y))])
    moments = X.T @ X / len(X)
    root = np.linalg.cholesky(moments + 1e-6 * np.trace(moments) * np.eye(len(moments)))
    before = _read(fitted, root)
    retrained = _read(copy_with(fitted, method="newton").forget(rows), root)
    criterion = _MeanLoss(split.X_val, split.y_val, root)
    removed = _MeanLoss(split.X[rows], split.y[rows], root)
    start, harm = criterion(before)[0], criterion(retrained)[0] - criterion(before)[0]
    loss, rise = removed(before)[0], removed(retrained)[0] - removed(before)[0]
    least = []
    for share in kept:
        value = _minimise(criterion, removed, loss + share * rise, retrained, start)
        least.append((value - start) / harm)
    return least


def _read(classifier: Any, root: np.ndarray) -> np.ndarray:
    """Return the parameters of every class, the first of two being 0, by a root.

    In these coordinates columns are uncorrelated, and a minimum is found soon.
    """
    W = np.column_stack([classifier.coef_, classifier.intercept_]) @ root
    return (np.vstack([0 * W, W]) if len(W) == 1 else W).ravel()


class _MeanLoss:
    """The mean log loss of some rows, with its gradient."""

    def __init__(self, X: np.ndarray, y: np.ndarray, root: np.ndarray) -> None:
        X = np.column_stack([X, np.ones(len(y))])
        self.X, self.y = np.linalg.solve(root, X.T).T, y

    def __call__(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        W = theta.reshape(-1, self.X.shape[1])
        log_p = log_softmax(self.X @ W.T, axis=1)
        own = np.arange(len(self.y)), self.y
        R = np.exp(log_p)
        R[own] -= 1
        return -float(log_p[own].mean()), (R.T @ self.X).ravel() / len(self.y)


def _minimise(
    criterion: _MeanLoss,
    removed: _MeanLoss,
    target: float,
    start: np.ndarray,
    enough: float,
) -> float:
    """Minimise the criterion where the loss is on target, or until it is enough."""
    theta, multiplier = start, 0.0
    price = 10 * criterion(start)[0] / max(target, 1e-3) ** 2

    def lagrangian(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = criterion(theta)
        loss, slope = removed(theta)
        push = max(0.0, multiplier + price * (target - loss))
        return value + push**2 / (2 * price), gradient - push * slope

    best = np.inf
    for _ in range(_ROUNDS):
        theta = minimize(
            lagrangian, theta, jac=True, method="L-BFGS-B", options={"maxiter": 200}
        ).x
        loss = removed(theta)[0]
        multiplier = max(0.0, multiplier + price * (target - loss))
        price *= 3
        if loss >= target - 2e-3 * abs(target):
            best = min(best, criterion(theta)[0])
            if best <= enough:
                break
    return best

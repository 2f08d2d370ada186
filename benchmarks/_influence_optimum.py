"""The optimum that a retrained logistic regression would have, to the last digits.

It is found without skunlearn, so that it can judge skunlearn: scikit-learn from
scratch, then steps with true gradients until rounding is all that is left.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator, cg
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression

__all__ = ["Optimum", "find_optimum", "find_theta", "measure_error", "polish_optimum"]

_CHEAP = 1e9  # rows times squared parameters up to which newton-cholesky may start
_DENSE = 2_000  # parameters up to which a Hessian is formed
_SAMPLE = 50_000  # rows that the Hessian is formed from
_STEPS = 100
_ROUNDING = 1e-13  # a step that is not worth taking, relative to the parameters


@dataclass(frozen=True)
class Optimum:
    """Parameters of a model, and the last step that was tried, relative to them."""

    theta: np.ndarray
    last_step: float


def find_theta(model: Any) -> np.ndarray:
    """Return coefficients and intercepts, a row for each class; a null direction out.

    The same constant on the intercepts of all classes of a softmax changes nothing.
    """
    coef = np.atleast_2d(model.coef_)
    intercept = np.broadcast_to(model.intercept_, len(coef))[:, None]
    if len(intercept) > 1 and isinstance(model, LogisticRegression):
        intercept = intercept - intercept.mean()
    return np.hstack([coef, intercept])


def measure_error(model: Any, optimum: Optimum) -> float:
    """Return the distance of a fitted model to an optimum, relative to its norm."""
    distance = np.linalg.norm(find_theta(model) - optimum.theta)
    return float(distance / np.linalg.norm(optimum.theta))


def find_optimum(X: Any, y: np.ndarray, **settings: Any) -> Optimum:
    """Fit LogisticRegression from scratch as tightly as can be.

    Parameters
    ----------
    X, y : array-like
        The rows.
    **settings : dict
        `C` and `fit_intercept` of LogisticRegression.
    """
    n_classes = len(np.unique(y))
    n_params = (X.shape[1] + 1) * (n_classes if n_classes > 2 else 1)
    is_cheap = X.shape[0] * n_params**2 <= _CHEAP and n_params <= _DENSE
    solver, tol = ("newton-cholesky", 1e-12) if is_cheap else ("lbfgs", 1e-6)
    model = LogisticRegression(solver=solver, tol=tol, max_iter=2_000, **settings)
    return polish_optimum(model.fit(X, y), X, y)


def polish_optimum(model: LogisticRegression, X: Any, y: np.ndarray) -> Optimum:
    """Step from a fitted model to the optimum on some rows.

    The Hessian is that of a sample of the rows, taken again where steps gain little:
    true gradients decide where they end.
    """
    problem = _Problem(model, X, y)
    theta = find_theta(model)
    gradient = problem.gradient(theta)
    solve, is_fresh = problem.factorise(theta), True
    for _ in range(_STEPS):
        step = solve(gradient)
        if np.linalg.norm(step) <= _ROUNDING * np.linalg.norm(theta):
            break
        trial = theta - step
        trial_gradient = problem.gradient(trial)
        ratio = np.linalg.norm(trial_gradient) / max(np.linalg.norm(gradient), 1e-300)
        if ratio < 1:
            theta, gradient = trial, trial_gradient
        if ratio >= 1 and is_fresh:
            break
        is_fresh = ratio > 0.5
        if is_fresh:
            solve = problem.factorise(theta)
    return Optimum(theta, float(np.linalg.norm(step) / np.linalg.norm(theta)))


class _Problem:
    """The objective of a LogisticRegression: C times the log loss plus |coef|^2 / 2."""

    def __init__(self, model: LogisticRegression, X: Any, y: np.ndarray) -> None:
        self._X, self._C, self._has_intercept = X, model.C, model.fit_intercept
        codes = np.searchsorted(model.classes_, y)
        n_classes = len(model.classes_)
        self._is_softmax = n_classes > 2
        hot = np.eye(n_classes)[codes]
        self._hot = hot if self._is_softmax else hot[:, 1:]
        self._shape = len(model.coef_), X.shape[1] + 1

    def _probabilities(self, theta: np.ndarray, X: Any) -> np.ndarray:
        scores = X @ theta[:, :-1].T + theta[:, -1]
        return softmax(scores, axis=1) if self._is_softmax else expit(scores)

    def _collect(self, weights: np.ndarray, X: Any) -> np.ndarray:
        """Return sums over rows of weights times the row, the intercept's one last."""
        total = weights.sum(axis=0) if self._has_intercept else np.zeros(self._shape[0])
        return np.hstack([(X.T @ weights).T, total[:, None]])

    def gradient(self, theta: np.ndarray) -> np.ndarray:
        """Return the gradient on all rows."""
        residuals = self._probabilities(theta, self._X) - self._hot
        gradient = self._C * self._collect(residuals, self._X)
        gradient[:, :-1] += theta[:, :-1]
        return gradient

    def factorise(self, theta: np.ndarray) -> Any:
        """Return a function that solves for a Newton step, or nearly so."""
        if theta.size > _DENSE:
            return self._make_conjugate_gradients(theta)
        factor = cho_factor(self._hessian(theta))
        return lambda b: cho_solve(factor, b.ravel()).reshape(b.shape)

    def _hessian(self, theta: np.ndarray) -> np.ndarray:
        n, (n_rows, width) = self._X.shape[0], self._shape
        sample = np.random.default_rng(0).permutation(n)[:_SAMPLE]
        X = self._X[sample]
        X = X.toarray() if issparse(X) else X
        P = self._probabilities(theta, X)
        X = np.hstack([X, np.full((len(X), 1), float(self._has_intercept))])
        hessian = np.empty((n_rows, width, n_rows, width))
        for a in range(n_rows):
            for b in range(a, n_rows):
                weights = P[:, a] * ((a == b) - P[:, b])
                block = self._C * n / len(X) * ((weights[:, None] * X).T @ X)
                hessian[a, :, b], hessian[b, :, a] = block, block.T
        hessian = hessian.reshape(theta.size, theta.size)
        penalised = np.ones(self._shape)
        penalised[:, -1] = 0.0 if self._has_intercept else 1.0
        hessian[np.diag_indices(theta.size)] += penalised.ravel()
        return hessian + self._fill_null_space(hessian)

    def _fill_null_space(self, hessian: np.ndarray) -> Any:
        if not (self._is_softmax and self._has_intercept):
            return 0.0
        direction = np.zeros(self._shape)
        direction[:, -1] = 1.0
        size = np.diag(hessian).max() / self._shape[0]
        return size * np.outer(direction, direction)

    def _make_conjugate_gradients(self, theta: np.ndarray) -> Any:
        P = self._probabilities(theta, self._X)

        def multiply(v: np.ndarray) -> np.ndarray:
            V = v.reshape(self._shape)
            Z = P * (self._X @ V[:, :-1].T + V[:, -1])
            Z = Z - P * (Z.sum(axis=1, keepdims=True) if self._is_softmax else Z)
            product = self._C * self._collect(Z, self._X)
            product[:, :-1] += V[:, :-1]
            return product.ravel()

        def project(v: np.ndarray) -> np.ndarray:
            V = v.reshape(self._shape).copy()
            if self._is_softmax:
                V[:, -1] -= V[:, -1].mean()
            return V.ravel()

        size = (theta.size, theta.size)
        operator = LinearOperator(size, multiply, dtype=float)

        def solve(b: np.ndarray) -> np.ndarray:
            x, _ = cg(operator, project(b), rtol=1e-3, maxiter=1_000)
            return project(x).reshape(b.shape)

        return solve

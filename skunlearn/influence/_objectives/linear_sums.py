"""Sums over all rows of a linear classifier's objective, block by block."""

from collections.abc import Callable

import numpy as np
from scipy import sparse

from skunlearn.influence._linalg.blocks import (
    compute_grams,
    iterate_blocks,
    multiply,
    multiply_back,
)
from skunlearn.influence._objectives.linear import Weigh
from skunlearn.influence._objectives.linear_scores import LinearScores

__all__ = ["LinearObjective"]


class LinearObjective(LinearScores):
    """The objective of a linear classifier; a subclass says in what form."""

    def value(self, theta: np.ndarray, w: np.ndarray) -> float:
        """Return J(theta; w)."""
        totals, loss = self.totals(w), self.form.loss
        weigh = self._weigh(w, totals)
        value = self.penalise(theta, totals)
        for block, X in iterate_blocks(self.X, None):
            Z = multiply(X, self._unravel(theta))
            value += (weigh(block) * loss.values(Z, self.codes[block])).sum()
        return float(value)

    def value_and_gradient(
        self, theta: np.ndarray, w: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Return J(theta; w) and its gradient, in one pass."""
        totals, loss, W = self.totals(w), self.form.loss, self._unravel(theta)
        weigh, value, G = self._weigh(w, totals), 0.0, np.zeros_like(W)
        for block, X in iterate_blocks(self.X, None):
            Z, codes, A = multiply(X, W), self.codes[block], weigh(block)
            value += (A * loss.values(Z, codes)).sum()
            G += multiply_back(X, A * loss.slopes(Z, codes), self.intercept)
        value += self.penalise(theta, totals)
        return float(value), G.ravel() + self.penalty_gradient(theta, totals)

    def gradient(self, theta: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the gradient of J, shape (n_params,)."""
        totals = self.totals(w)
        sums = self._sum_gradients(theta, self._weigh(w, totals), None)
        return sums + self.penalty_gradient(theta, totals)

    def stratum_gradients(
        self, theta: np.ndarray, w: np.ndarray, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the sums of w_i grad l_i over each stratum, unscaled."""
        parts = self._split(rows)
        return np.array([self._sum_gradients(theta, self._weigh(w), p) for p in parts])

    def _sum_gradients(
        self, theta: np.ndarray, weigh: Weigh, rows: np.ndarray | None
    ) -> np.ndarray:
        W = self._unravel(theta)
        G = np.zeros_like(W)
        for block, X in iterate_blocks(self.X, rows):
            R = self.form.loss.slopes(multiply(X, W), self.codes[block])
            G += multiply_back(X, weigh(block) * R, self.intercept)
        return G.ravel()

    def hessian(self, theta: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the Hessian of J, shape (n_params, n_params)."""
        totals = self.totals(w)
        hessian = self._sum_hessians(theta, self._weigh(w, totals), None)
        hessian[np.diag_indices(self.n_params)] += self.penalty(totals)
        return hessian

    def stratum_hessians(
        self, theta: np.ndarray, w: np.ndarray, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the sums of the rows' Hessians over each stratum, unscaled."""
        parts = self._split(rows)
        return np.array([self._sum_hessians(theta, self._weigh(w), p) for p in parts])

    def _sum_hessians(
        self, theta: np.ndarray, weigh: Weigh, rows: np.ndarray | None
    ) -> np.ndarray:
        return self._sum_both(theta, weigh, rows)[1]

    def _sum_both(
        self, theta: np.ndarray, weigh: Weigh, rows: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        W, loss, n = self._unravel(theta), self.form.loss, self.n_columns
        pairs = loss.pairs(self.n_outputs)
        first = [a for a, _ in pairs]
        G, grams = np.zeros_like(W), np.zeros((len(pairs), n, n))
        for block, X in iterate_blocks(self.X, rows):
            Z, codes, A = multiply(X, W), self.codes[block], weigh(block)
            G += multiply_back(X, A * loss.slopes(Z, codes), self.intercept)
            Q = loss.pair_weights(loss.curvatures(Z, codes))
            Q = Q * (A if A.shape[1] == 1 else A[:, first])
            grams += compute_grams(X, Q, self.intercept)
        blocks = np.zeros((self.n_outputs, n, self.n_outputs, n))
        loss.fill(blocks, grams)
        return G.ravel(), blocks.reshape(self.n_params, self.n_params)

    def stratum_sums(
        self, theta: np.ndarray, w: np.ndarray, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return both sums over strata, of gradients and of Hessians, in one pass."""
        parts = [self._sum_both(theta, self._weigh(w), p) for p in self._split(rows)]
        gradients, hessians = zip(*parts, strict=True)
        return np.array(gradients), np.array(hessians)

    def diagonal(self, theta: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the diagonal of the Hessian, shape (n_params,)."""
        totals, W, loss = self.totals(w), self._unravel(theta), self.form.loss
        weigh, D = self._weigh(w, totals), np.zeros_like(W)
        for block, X in iterate_blocks(self.X, None):
            C = loss.curvatures(multiply(X, W), self.codes[block])
            squares = X.multiply(X).tocsr() if sparse.issparse(X) else X * X
            D += multiply_back(squares, weigh(block) * loss.diagonal(C), self.intercept)
        return D.ravel() + self.penalty(totals)

    def product(
        self, theta: np.ndarray, w: np.ndarray
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Return the function v -> H v; it keeps n_outputs values for every row."""
        totals, loss = self.totals(w), self.form.loss
        weigh, penalty = self._weigh(w, totals), self.penalty(totals)
        C = np.empty((self.n_rows, self.n_outputs))
        for block, X in iterate_blocks(self.X, None):
            Z = multiply(X, self._unravel(theta))
            C[block] = loss.curvatures(Z, self.codes[block])

        def multiply_hessian(v: np.ndarray) -> np.ndarray:
            V = self._unravel(v)
            G = np.zeros_like(V)
            for block, X in iterate_blocks(self.X, None):
                R = weigh(block) * loss.bend(C[block], multiply(X, V))
                G += multiply_back(X, R, self.intercept)
            return G.ravel() + penalty * v

        return multiply_hessian

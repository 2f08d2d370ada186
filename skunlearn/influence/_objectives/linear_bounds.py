"""How far the curvature of a linear classifier's objective can be trusted."""

from typing import Any

import numpy as np
from scipy import sparse

from skunlearn.influence._linalg.blocks import add_ones, iterate_blocks, multiply
from skunlearn.influence._objectives.linear import LinearRows
from skunlearn.influence._objectives.losses import Softmax

__all__ = ["LinearBounds"]


class LinearBounds(LinearRows):
    """Bounds from the norms of rows, in one pass each."""

    def compute_self_concordance(self) -> float:
        """Return R, from the longest row.

        It is rounded up, so that it tells nothing of the row, and valid without it.
        """
        factor = self.form.loss.self_concordance
        if factor in (0, np.inf):
            return float(factor)
        longest = max(self._norms(X).max() for _, X in iterate_blocks(self.X, None))
        return _round_up(factor * longest)

    def compute_change(self, v: np.ndarray) -> float:
        """Return the largest change of a margin, or of the difference of two."""
        factor, V, largest = self.form.loss.self_concordance, self._unravel(v), 0.0
        if factor in (0, np.inf):
            return float(factor)
        for _, X in iterate_blocks(self.X, None):
            Z = multiply(X, V)
            if isinstance(self.form.loss, Softmax):
                Z = Z.max(axis=1) - Z.min(axis=1)
            largest = max(largest, float(np.abs(Z).max()))
        return largest

    def compute_leverage(self, inverse: np.ndarray) -> float:
        """Return the largest norm of a row in the inverse Hessian.

        The margins of a row then move by no more than this; for the softmax, two of
        them apart by the sum of the two largest such norms.
        """
        loss, n = self.form.loss, self.n_columns
        if loss.self_concordance in (0, np.inf):
            return float(loss.self_concordance)
        blocks = inverse.reshape(self.n_outputs, n, self.n_outputs, n)
        worst = 0.0
        for _, X in iterate_blocks(self.X, None):
            X = add_ones(X, self.intercept)
            squares = [
                np.einsum("ij,ij->i", X @ blocks[a, :, a, :], X)
                for a in range(self.n_outputs)
            ]
            norms = np.sqrt(np.maximum(squares, 0.0))
            if isinstance(loss, Softmax):
                norms = np.sort(norms, axis=0)[-2:].sum(axis=0)
            worst = max(worst, float(norms.max(initial=0.0)))
        return _round_up(worst)

    def curvature_floor(
        self, theta: np.ndarray, w: np.ndarray, radius: float = 0.0
    ) -> float:
        """Return a lower bound of J's curvature in all directions that change it.

        Coefficients are held by the penalty mu. Free intercepts are held by the rows:
        with delta the least curvature along them alone, and L the losses' largest one
        along the coefficients, ``mu |u|^2 + (sqrt(delta) |b| - sqrt(L) |u|)^2`` is at
        least ``mu delta / (mu + delta + L)`` for a direction (u, b) of length 1.
        """
        mu, free = self.form.coef_penalty, self.form.intercept_penalty
        scale = self.totals(w)[0] if self.form.penalty_per_row else 1.0
        if not self.intercept or free > 0 or mu == 0:
            return scale * (min(mu, free) if self.intercept else mu)
        D, largest = self._sum_curvatures(theta, w, radius)
        if isinstance(self.form.loss, Softmax):  # the same for all classes is null
            delta = float(np.linalg.eigvalsh(D)[1])
        else:
            delta = float(np.diag(D).min())
        mu *= scale
        return mu * max(delta, 0.0) / (mu + max(delta, 0.0) + largest)

    def _sum_curvatures(
        self, theta: np.ndarray, w: np.ndarray, radius: float
    ) -> tuple[np.ndarray, float]:
        """Return the Hessian of the intercepts, and a bound of the coefficients'."""
        loss, W = self.form.loss, self._unravel(theta)
        weigh = self._weigh(w, self.totals(w))
        D, largest = np.zeros((self.n_outputs, self.n_outputs)), 0.0
        for block, X in iterate_blocks(self.X, None):
            norms = self._norms(X)
            Z, codes = multiply(X, W), self.codes[block]
            C = loss.least_curvatures(Z, codes, radius * norms[:, None])
            A = weigh(block)
            diagonal = A * loss.diagonal(C)
            if isinstance(loss, Softmax):
                D += np.diag((A * C).sum(axis=0)) - (A * C).T @ C
            else:
                D += np.diag(diagonal.sum(axis=0))
            largest += float((diagonal.sum(axis=1) * (norms**2 - 1)).sum())
        return D, largest

    def _norms(self, X: Any) -> np.ndarray:
        """Return the norms of rows, the 1 for the intercept included."""
        squares = (
            np.asarray(X.multiply(X).sum(axis=1)).ravel()
            if sparse.issparse(X)
            else np.einsum("ij,ij->i", X, X)
        )
        return np.sqrt(squares + self.intercept)


def _round_up(value: float) -> float:
    """Round up to an eighth of a power of two."""
    power = np.log2(max(value, 2.0**-100))
    return float(2.0 ** (np.ceil(8 * power) / 8))

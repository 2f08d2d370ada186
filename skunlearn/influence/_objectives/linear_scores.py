"""What each row does to a linear classifier, in one pass over the rows."""

import numpy as np

from skunlearn.influence._linalg.blocks import (
    add_ones,
    iterate_blocks,
    multiply_back,
    multiply_forth,
)
from skunlearn.influence._objectives.linear_bounds import LinearBounds

__all__ = ["LinearScores"]


class LinearScores(LinearBounds):
    """Products of rows' gradients, and losses without the row."""

    def scores(self, theta: np.ndarray, w: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return d(gradient . v) / dw_i for all rows, in one pass.

        A row's weight changes its own gradient, the scales of balanced classes, and a
        penalty that grows with the number of rows.
        """
        scores, _ = self._score(theta, w, v.reshape(self.n_params, -1), pull=False)
        return scores[:, 0] if v.ndim == 1 else scores

    def scores_and_pulls(
        self, theta: np.ndarray, w: np.ndarray, v: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the scores for each column of v, and where weights by them pull."""
        if self.class_scales.is_balanced or self.form.penalty_per_row:
            return self.scores(theta, w, v), None
        scores, pulls = self._score(theta, w, v, pull=True)
        return scores, pulls.reshape(v.shape[1], -1)

    def _score(
        self, theta: np.ndarray, w: np.ndarray, v: np.ndarray, *, pull: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Score rows for each column of v; rows come last, which is fast for few v."""
        totals, m = self.totals(w), v.shape[1]
        both = np.vstack([theta, v.T]).reshape(-1, self.n_columns)
        plain, weigh = self._weigh(None), self._weigh(None, totals)
        scores = np.empty((m, self.n_rows))
        sums = np.zeros((m, *self.class_scales.counts_in.shape))
        pulls = np.zeros((m, self.n_outputs, self.n_columns))
        for block, X in iterate_blocks(self.X, None):
            Z, codes = multiply_forth(X, both), self.codes[block]
            Z = Z.reshape(1 + m, self.n_outputs, -1)
            S = self.form.loss.slopes(np.ascontiguousarray(Z[0].T), codes)
            A = np.ascontiguousarray((weigh(block) * S).T)
            part = scores[:, block]
            np.einsum("kn,mkn->mn", A, Z[1:], out=part)
            if pull:
                for k, R in enumerate(A * w[block] ** 2):
                    pulls[:, k] += multiply_back(X, (part * R).T, self.intercept)
            if self.class_scales.is_balanced:
                T = (w[block, None] * plain(block) * S).T * Z[1:]
                for total, each in zip(sums, T, strict=True):
                    np.add.at(total, codes, each.T)
        if self.form.penalty_per_row:
            scores += (v.T @ (self._unit_penalty * theta))[:, None]
        if self.class_scales.is_balanced:
            slopes = [self.class_scales.differentiate(totals[1:], s) for s in sums]
            added = np.array(slopes)[:, self.codes]
            if self.form.balance_weighted and self.sample_weight is not None:
                added *= self.sample_weight
            scores += added
        return scores.T, pulls

    def leave_one_out(
        self, theta: np.ndarray, w: np.ndarray, inverse: np.ndarray, rows: np.ndarray
    ) -> np.ndarray:
        """Return the plain losses of some rows after Newton steps that remove them.

        With J the margins of a row as a function of the parameters, r their slopes and
        B their second derivatives, they move by ``A inv(I - B A) r``, where A is
        ``J inverse J.T`` (Woodbury): small matrices, one for each row.
        """
        K, n = self.n_outputs, self.n_columns
        X, codes = add_ones(self.X[rows], self.intercept), self.codes[rows]
        Z = X @ self._unravel(theta).T
        weights = self._weigh(w, self.totals(w))(rows)
        C = self.form.loss.curvatures(Z, codes)
        A, B = np.empty((2, len(rows), K, K))
        blocks = inverse.reshape(K, n, K, n)
        for a in range(K):
            for b in range(a + 1):
                products = np.einsum("ij,ij->i", X @ blocks[a, :, b, :], X)
                A[:, a, b] = A[:, b, a] = products
            unit = np.broadcast_to(np.eye(K)[a], Z.shape)
            B[:, :, a] = self.form.loss.bend(C, unit)
        B *= weights[:, :, None]
        r = weights * self.form.loss.slopes(Z, codes)
        inner = (1 + 1e-12) * np.eye(K) - B @ A
        Z += (A @ np.linalg.solve(inner, r[:, :, None]))[:, :, 0]
        return self.form.loss.values(Z, codes).sum(axis=1)

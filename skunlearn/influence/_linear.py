"""Objectives of linear classifiers: a loss of margins, and an l2 penalty.

The vector of parameters is the matrix W of shape (n_outputs, n_columns) in C order; its
last column are the intercepts where there are any.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from skunlearn.influence._forms import ClassScales, LinearForm
from skunlearn.influence._losses import Softmax
from skunlearn.influence._matrices import (
    add_ones,
    compute_grams,
    iterate_blocks,
    multiply,
    multiply_back,
)
from skunlearn.influence._objective import Objective

__all__ = ["LinearObjective"]

_Weigh = Callable[[Any], np.ndarray]


class LinearObjective(Objective):
    """The objective of a linear classifier; a subclass says in what form."""

    def __init__(
        self,
        estimator: Any,
        X: Any,
        codes: np.ndarray,
        sample_weight: np.ndarray | None = None,
    ) -> None:
        super().__init__(estimator, X, codes, sample_weight)
        _check_rows(X)
        self.form = self._find_form(estimator)
        self.intercept = bool(estimator.fit_intercept)
        n_classes = len(estimator.classes_)
        self.n_outputs = 1 if n_classes == 2 else n_classes
        self.n_columns = X.shape[1] + self.intercept
        self.n_params = self.n_outputs * self.n_columns
        one_vs_rest = self.form.one_vs_rest
        self.class_scales = ClassScales.of(estimator, self.n_outputs, one_vs_rest)

    @abstractmethod
    def _find_form(self, estimator: Any) -> LinearForm:
        """Return what the parameters of an estimator mean."""

    def read(self, estimator: Any) -> np.ndarray:
        """Return coefficients and intercepts, output by output."""
        W = np.empty((self.n_outputs, self.n_columns))
        W[:, : self.X.shape[1]] = estimator.coef_
        if self.intercept:
            W[:, -1] = estimator.intercept_
        return W.ravel()

    def write(self, estimator: Any, theta: np.ndarray) -> None:
        """Give an estimator new arrays of the shapes and dtypes that it has."""
        W = self._unravel(theta)
        old = estimator.coef_
        coef = W[:, : self.X.shape[1]].astype(old.dtype, order="C")
        estimator.coef_ = coef.reshape(old.shape)
        if self.intercept:
            estimator.intercept_ = W[:, -1].astype(estimator.intercept_.dtype)

    # Rows alone

    def losses(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the losses of some rows, class weights that are given included."""
        Z, codes = self._multiply(rows, theta), self.codes[rows]
        return (self._weigh(None)(rows) * self.form.loss.values(Z, codes)).sum(axis=1)

    def row_gradients(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the gradients of the losses of some rows, dense."""
        Z, codes = self._multiply(rows, theta), self.codes[rows]
        R = self._weigh(None)(rows) * self.form.loss.slopes(Z, codes)
        X = add_ones(self.X[rows], self.intercept)
        return (R[:, :, None] * X[:, None, :]).reshape(len(codes), -1)

    def row_factors(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the factors of some rows' Hessians, of rank n_outputs or one less."""
        Z, codes = self._multiply(rows, theta), self.codes[rows]
        C = self.form.loss.curvatures(Z, codes)
        F = self.form.loss.factors(C) * np.sqrt(self._weigh(None)(rows))[:, :, None]
        X = add_ones(self.X[rows], self.intercept)
        factors = F.transpose(0, 2, 1)[:, :, :, None] * X[:, None, None, :]
        return factors.reshape(len(codes), F.shape[2], -1)

    # What depends on all weights

    def totals(self, w: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Return the sum of weights and, for balanced classes, the weight of each."""
        w = w if rows is None else w[rows]
        total = np.array([w.sum()])
        if not self.class_scales.is_balanced:
            return total
        codes = self.codes if rows is None else self.codes[rows]
        if self.form.balance_weighted and self.sample_weight is not None:
            weight = self.sample_weight
            w = w * (weight if rows is None else weight[rows])
        n_classes = len(self.class_scales.counts_in)
        return np.append(total, np.bincount(codes, w, minlength=n_classes))

    def penalty(self, totals: np.ndarray) -> np.ndarray:
        """Return the l2 penalty of each parameter."""
        per_row = self.form.penalty_per_row
        return self._unit_penalty() * (totals[0] if per_row else 1.0)

    def _unit_penalty(self) -> np.ndarray:
        penalty = np.full((self.n_outputs, self.n_columns), self.form.coef_penalty)
        if self.intercept:
            penalty[:, -1] = self.form.intercept_penalty
        return penalty.ravel()

    @property
    def strata(self) -> np.ndarray:
        """Return the class of each row where classes are balanced."""
        return self.codes if self.class_scales.is_balanced else super().strata

    def scales(self, totals: np.ndarray) -> np.ndarray:
        """Return the weights of balanced classes; given ones are part of the losses."""
        if not self.class_scales.is_balanced:
            return super().scales(totals)
        return np.repeat(self.class_scales.compute(totals[1:]), self.n_columns, axis=1)

    @property
    def null_space(self) -> np.ndarray:
        """Return the same constant on an unpenalised column of all classes.

        Only the differences between classes change a softmax.
        """
        if not isinstance(self.form.loss, Softmax):
            return super().null_space
        free = self._unit_penalty()[: self.n_columns] == 0
        return np.tile(np.eye(self.n_columns)[free], self.n_outputs) / np.sqrt(
            self.n_outputs
        )

    # Sums over rows

    def value(self, theta: np.ndarray, w: np.ndarray) -> float:
        """Return J(theta; w)."""
        totals, loss = self.totals(w), self.form.loss
        weigh = self._weigh(w, totals)
        value = self.penalty(totals) @ theta**2 / 2
        for block, X in iterate_blocks(self.X, None):
            Z = multiply(X, self._unravel(theta))
            value += (weigh(block) * loss.values(Z, self.codes[block])).sum()
        return float(value)

    def gradient(self, theta: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the gradient of J, shape (n_params,)."""
        totals = self.totals(w)
        sums = self._sum_gradients(theta, self._weigh(w, totals), None)
        return sums + self.penalty(totals) * theta

    def stratum_gradients(
        self, theta: np.ndarray, w: np.ndarray, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the sums of w_i grad l_i over each stratum, unscaled."""
        parts = self._split(rows)
        return np.array([self._sum_gradients(theta, self._weigh(w), p) for p in parts])

    def _sum_gradients(
        self, theta: np.ndarray, weigh: _Weigh, rows: np.ndarray | None
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
        self, theta: np.ndarray, weigh: _Weigh, rows: np.ndarray | None
    ) -> np.ndarray:
        W, loss, n = self._unravel(theta), self.form.loss, self.n_columns
        grams = np.zeros((len(loss.pairs(self.n_outputs)), n, n))
        first = [a for a, _ in loss.pairs(self.n_outputs)]
        for block, X in iterate_blocks(self.X, rows):
            C = loss.curvatures(multiply(X, W), self.codes[block])
            A = weigh(block)
            A = A if A.shape[1] == 1 else A[:, first]
            grams += compute_grams(X, A * loss.pair_weights(C), self.intercept)
        blocks = np.zeros((self.n_outputs, n, self.n_outputs, n))
        loss.fill(blocks, grams)
        return blocks.reshape(self.n_params, self.n_params)

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

    def scores(self, theta: np.ndarray, w: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return d(gradient . v) / dw_i for all rows, shape (n_rows,), in one pass.

        A row's weight changes its own gradient, the scales of balanced classes, and a
        penalty that grows with the number of rows.
        """
        totals, W, V = self.totals(w), self._unravel(theta), self._unravel(v)
        plain, weigh = self._weigh(None), self._weigh(None, totals)
        scores = np.empty(self.n_rows)
        sums = np.zeros_like(self.class_scales.counts_in, dtype=float)
        for block, X in iterate_blocks(self.X, None):
            codes = self.codes[block]
            S = self.form.loss.slopes(multiply(X, W), codes) * multiply(X, V)
            scores[block] = (weigh(block) * S).sum(axis=1)
            if self.class_scales.is_balanced:
                np.add.at(sums, codes, w[block, None] * plain(block) * S)
        if self.form.penalty_per_row:
            scores += (self._unit_penalty() * theta) @ v
        if self.class_scales.is_balanced:
            slopes = self.class_scales.differentiate(totals[1:], sums)[self.codes]
            is_weighted = self.form.balance_weighted and self.sample_weight is not None
            scores += slopes * self.sample_weight if is_weighted else slopes
        return scores

    # Parts

    def _weigh(self, w: np.ndarray | None, totals: np.ndarray | None = None) -> _Weigh:
        """Return the function from an index of rows to their weights in each output.

        Its result has one column where all outputs have the same. Without totals the
        scales of balanced classes are left out, and without w all rows count once.
        """
        scales = None
        if self.class_scales.is_balanced:
            if totals is not None:
                scales = self.class_scales.compute(totals[1:])
        elif not self.class_scales.is_trivial:
            scales = self.class_scales.compute()
        if scales is not None and self.class_scales.counts_in.all():
            scales = scales[:, :1]

        def weigh(rows: Any) -> np.ndarray:
            codes = self.codes[rows]
            weights = np.full((len(codes), 1), self.form.loss_factor)
            for factor in (w, self.sample_weight):
                if factor is not None:
                    weights *= factor[rows, None]
            return weights if scales is None else weights * scales[codes]

        return weigh

    def _split(self, rows: np.ndarray | None) -> list[np.ndarray | None]:
        """Split some rows, or all, by stratum; None is all."""
        if not self.class_scales.is_balanced:
            return [rows]
        codes = self.codes if rows is None else self.codes[rows]
        parts = [
            np.flatnonzero(codes == c) for c in range(len(self.class_scales.counts_in))
        ]
        return [part if rows is None else rows[part] for part in parts]

    def _unravel(self, theta: np.ndarray) -> np.ndarray:
        return theta.reshape(self.n_outputs, self.n_columns)

    def _multiply(self, rows: np.ndarray, theta: np.ndarray) -> np.ndarray:
        return multiply(self.X[rows], self._unravel(theta))


def _check_rows(X: Any) -> None:
    """Raise TypeError unless rows are dense or CSR, float64."""
    is_csr = sparse.issparse(X) and X.format == "csr"
    if not (is_csr or isinstance(X, np.ndarray)) or X.dtype != np.float64:
        kind = getattr(X, "format", type(X).__name__)
        raise TypeError(
            f"X must be an array or a CSR matrix of float64; got {kind} of "
            f"{getattr(X, 'dtype', 'no dtype')}. Convert it: "
            "check_array(X, accept_sparse='csr', dtype=np.float64)."
        )

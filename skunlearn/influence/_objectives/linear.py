"""What rows and weights are to a linear classifier: a loss of margins, an l2 penalty.

The vector of parameters is the matrix W of shape (n_outputs, n_columns) in C order; its
last column are the intercepts where there are any.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from skunlearn.influence._linalg.blocks import add_ones, multiply, multiply_back
from skunlearn.influence._objectives.base import Objective
from skunlearn.influence._objectives.linear_form import ClassScales, LinearForm
from skunlearn.influence._objectives.losses import Softmax

__all__ = ["LinearRows", "Weigh"]

Weigh = Callable[[Any], np.ndarray]


class LinearRows(Objective):
    """The part of a linear classifier's objective that has no sums over rows.

    A subclass says in what form the estimator's parameters are.
    """

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
        self._unit_penalty = self._make_unit_penalty()

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

    # Other rows

    def decide(self, theta: np.ndarray, X: Any) -> np.ndarray:
        """Return the decision values of some rows, shape (n,) or (n, n_classes)."""
        Z = multiply(X, self._unravel(theta))
        return Z[:, 0] if self.n_outputs == 1 else Z

    def pull_back(self, theta: np.ndarray, X: Any, slopes: np.ndarray) -> np.ndarray:
        """Return the gradient of ``(slopes * decide(theta, X)).sum()`` by theta."""
        R = slopes.reshape(-1, self.n_outputs)
        return multiply_back(X, R, self.intercept).ravel()

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
        return self._unit_penalty * (totals[0] if per_row else 1.0)

    def _make_unit_penalty(self) -> np.ndarray:
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
        free = self._unit_penalty[: self.n_columns] == 0
        directions = np.tile(np.eye(self.n_columns)[free], self.n_outputs)
        return directions / np.sqrt(self.n_outputs)

    def join_gradients(
        self, sums: np.ndarray, totals: np.ndarray, theta: np.ndarray
    ) -> np.ndarray:
        """Return the gradient of J from its sums over strata and the totals."""
        if self.class_scales.is_balanced:
            return super().join_gradients(sums, totals, theta)
        return sums[0] + self.penalty_gradient(theta, totals)

    def join_hessians(self, sums: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """Return the Hessian of J from its sums over strata and the totals."""
        if self.class_scales.is_balanced:
            return super().join_hessians(sums, totals)
        hessian = sums[0].copy()
        hessian.flat[:: self.n_params + 1] += self.penalty(totals)
        return hessian

    # Parts

    def _weigh(self, w: np.ndarray | None, totals: np.ndarray | None = None) -> Weigh:
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
            weights = np.full((len(codes), 1), float(self.form.loss_factor))
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
        n_classes = len(self.class_scales.counts_in)
        parts = [np.flatnonzero(codes == c) for c in range(n_classes)]
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

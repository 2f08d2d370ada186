"""The objective of a linear classifier: a loss of margins and an l2 penalty.

The vector of parameters is the matrix W of shape (n_outputs, n_columns) in C order; its
last column are the intercepts where there are any.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from skunlearn.influence._linalg.blocks import (
    add_ones,
    compute_grams,
    iterate_blocks,
    multiply,
    multiply_back,
)
from skunlearn.influence._objectives.base import Objective
from skunlearn.influence._objectives.linear_bounds import (
    bound_change,
    bound_curvature,
    bound_row_norms,
    bound_self_concordance,
)
from skunlearn.influence._objectives.linear_form import (
    LinearObjectiveSpec,
    read_class_weights,
)
from skunlearn.influence._objectives.linear_scores import (
    Weigh,
    compute_losses_without,
    differentiate_scales,
    score_rows,
)
from skunlearn.influence._objectives.losses import Softmax

__all__ = ["LinearObjective"]


class LinearObjective(Objective):
    """The objective of a linear classifier; a subclass specifies which it is."""

    def __init__(
        self,
        estimator: Any,
        X: Any,
        codes: np.ndarray,
        sample_weight: np.ndarray | None = None,
    ) -> None:
        super().__init__(estimator, X, codes, sample_weight)
        _check_rows(X)
        self.spec = self._make_spec(estimator)
        self.intercept = bool(estimator.fit_intercept)
        self.n_classes = len(estimator.classes_)
        self.n_outputs = 1 if self.n_classes == 2 else self.n_classes
        self.n_columns = X.shape[1] + self.intercept
        self.n_params = self.n_outputs * self.n_columns
        self._class_scales, self.balance = read_class_weights(
            estimator, self.n_outputs, self.spec.one_vs_rest
        )
        self._unit_penalty = self._make_unit_penalty()
        self._null_space = self._find_null_space()

    @abstractmethod
    def _make_spec(self, estimator: Any) -> LinearObjectiveSpec:
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
        return (self._weigh(None)(rows) * self.spec.loss.values(Z, codes)).sum(axis=1)

    def row_gradients(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the gradients of the losses of some rows, dense."""
        Z, codes = self._multiply(rows, theta), self.codes[rows]
        R = self._weigh(None)(rows) * self.spec.loss.slopes(Z, codes)
        X = add_ones(self.X[rows], self.intercept)
        return (R[:, :, None] * X[:, None, :]).reshape(len(codes), -1)

    def row_factors(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the factors of some rows' Hessians, of rank n_outputs or one less."""
        Z, codes = self._multiply(rows, theta), self.codes[rows]
        C = self.spec.loss.curvatures(Z, codes)
        F = self.spec.loss.factors(C) * np.sqrt(self._weigh(None)(rows))[:, :, None]
        X = add_ones(self.X[rows], self.intercept)
        factors = F.transpose(0, 2, 1)[:, :, :, None] * X[:, None, None, :]
        return factors.reshape(len(codes), F.shape[2], -1)

    # Other rows

    def decision_function(self, theta: np.ndarray, X: Any) -> np.ndarray:
        """Return the decision values of some rows, shape (n,) or (n, n_classes)."""
        Z = multiply(X, self._unravel(theta))
        return Z[:, 0] if self.n_outputs == 1 else Z

    def decision_vjp(
        self, theta: np.ndarray, X: Any, cotangents: np.ndarray
    ) -> np.ndarray:
        """Return the vector-Jacobian product of the decision values."""
        R = cotangents.reshape(-1, self.n_outputs)
        return multiply_back(X, R, self.intercept).ravel()

    # What depends on all weights

    def weight_sums(self, w: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Return the sum of weights and, for balanced classes, the weight of each."""
        w = w if rows is None else w[rows]
        total = np.array([w.sum()])
        if self.balance is None:
            return total
        codes = self.codes if rows is None else self.codes[rows]
        if self.spec.balance_weighted and self.sample_weight is not None:
            weight = self.sample_weight
            w = w * (weight if rows is None else weight[rows])
        return np.append(total, np.bincount(codes, w, minlength=self.n_classes))

    @property
    def has_unlike_rows(self) -> bool:
        """Whether rows have weights, or classes."""
        return super().has_unlike_rows or self._class_scales is not None

    def mean_weight(self, w: np.ndarray) -> float:
        """Return the mean factor of the losses; balanced classes have a mean of 1."""
        mean = super().mean_weight(w)
        if self._class_scales is not None:
            weights = w if self.sample_weight is None else w * self.sample_weight
            classes = np.bincount(self.codes, weights, self.n_classes)
            mean *= float(np.average(self._class_scales.mean(axis=1), weights=classes))
        return self.spec.loss_factor * mean

    def regularizer(self, weight_sums: np.ndarray) -> np.ndarray:
        """Return the l2 penalty of each parameter."""
        per_row = self.spec.penalty_per_row
        return self._unit_penalty * (weight_sums[0] if per_row else 1.0)

    def _make_unit_penalty(self) -> np.ndarray:
        penalty = np.full((self.n_outputs, self.n_columns), self.spec.coef_penalty)
        if self.intercept:
            penalty[:, -1] = self.spec.intercept_penalty
        return penalty.ravel()

    @property
    def groups_of_rows(self) -> np.ndarray:
        """Return the class of each row where classes are balanced."""
        return super().groups_of_rows if self.balance is None else self.codes

    def scales(self, weight_sums: np.ndarray) -> np.ndarray:
        """Return the weights of balanced classes; given ones are part of the losses."""
        if self.balance is None:
            return np.ones((1, self.n_params))
        scales = self.balance.compute(weight_sums[1:])
        return np.repeat(scales, self.n_columns, axis=1)

    @property
    def null_space(self) -> np.ndarray:
        """Return the same constant on an unpenalised column of all classes."""
        return self._null_space

    def _find_null_space(self) -> np.ndarray:
        if not isinstance(self.spec.loss, Softmax):
            return np.zeros((0, self.n_params))
        free = self._unit_penalty[: self.n_columns] == 0
        directions = np.tile(np.eye(self.n_columns)[free], self.n_outputs)
        return directions / np.sqrt(self.n_outputs)  # only differences matter to it

    def join_gradients(
        self, sums: np.ndarray, weight_sums: np.ndarray, theta: np.ndarray
    ) -> np.ndarray:
        """Return the gradient of J from its sums over groups and the weight sums."""
        if self.balance is not None:
            return super().join_gradients(sums, weight_sums, theta)
        return sums[0] + self.regularizer_gradient(theta, weight_sums)

    def join_hessians(self, sums: np.ndarray, weight_sums: np.ndarray) -> np.ndarray:
        """Return the Hessian of J from its sums over groups and the weight sums."""
        if self.balance is not None:
            return super().join_hessians(sums, weight_sums)
        hessian = sums[0].copy()
        hessian.flat[:: self.n_params + 1] += self.regularizer(weight_sums)
        return hessian

    # Sums over rows, block by block

    def value(self, theta: np.ndarray, w: np.ndarray) -> float:
        """Return J(theta; w)."""
        sums, loss = self.weight_sums(w), self.spec.loss
        weigh = self._weigh(w, sums)
        value = self.regularizer_value(theta, sums)
        for block, X in iterate_blocks(self.X, None):
            Z = multiply(X, self._unravel(theta))
            value += (weigh(block) * loss.values(Z, self.codes[block])).sum()
        return float(value)

    def value_and_gradient(
        self, theta: np.ndarray, w: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Return J(theta; w) and its gradient, in one pass."""
        sums, loss, W = self.weight_sums(w), self.spec.loss, self._unravel(theta)
        weigh, value, G = self._weigh(w, sums), 0.0, np.zeros_like(W)
        for block, X in iterate_blocks(self.X, None):
            Z, codes, A = multiply(X, W), self.codes[block], weigh(block)
            value += (A * loss.values(Z, codes)).sum()
            G += multiply_back(X, A * loss.slopes(Z, codes), self.intercept)
        value += self.regularizer_value(theta, sums)
        return float(value), G.ravel() + self.regularizer_gradient(theta, sums)

    def gradient(self, theta: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the gradient of J, shape (n_params,)."""
        sums = self.weight_sums(w)
        gradient = self._sum_gradients(theta, self._weigh(w, sums), None)
        return gradient + self.regularizer_gradient(theta, sums)

    def gradients_by_group(
        self, theta: np.ndarray, w: np.ndarray, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the sums of w_i grad l_i over each group, unscaled."""
        parts = self._split(rows)
        return np.array([self._sum_gradients(theta, self._weigh(w), p) for p in parts])

    def _sum_gradients(
        self, theta: np.ndarray, weigh: Weigh, rows: np.ndarray | None
    ) -> np.ndarray:
        W = self._unravel(theta)
        G = np.zeros_like(W)
        for block, X in iterate_blocks(self.X, rows):
            R = self.spec.loss.slopes(multiply(X, W), self.codes[block])
            G += multiply_back(X, weigh(block) * R, self.intercept)
        return G.ravel()

    def hessian(self, theta: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the Hessian of J, shape (n_params, n_params)."""
        sums = self.weight_sums(w)
        hessian = self._sum_hessians(theta, self._weigh(w, sums), None)
        hessian[np.diag_indices(self.n_params)] += self.regularizer(sums)
        return hessian

    def hessians_by_group(
        self, theta: np.ndarray, w: np.ndarray, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the sums of the rows' Hessians over each group, unscaled."""
        parts = self._split(rows)
        return np.array([self._sum_hessians(theta, self._weigh(w), p) for p in parts])

    def _sum_hessians(
        self, theta: np.ndarray, weigh: Weigh, rows: np.ndarray | None
    ) -> np.ndarray:
        return self._sum_both(theta, weigh, rows)[1]

    def _sum_both(
        self, theta: np.ndarray, weigh: Weigh, rows: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        W, loss, n = self._unravel(theta), self.spec.loss, self.n_columns
        pairs = loss.pairs(self.n_outputs)
        first = list(next(zip(*pairs, strict=True)))
        G, grams = np.zeros_like(W), np.zeros((len(pairs), n, n))
        for block, X in iterate_blocks(self.X, rows):
            Z, codes, A = multiply(X, W), self.codes[block], weigh(block)
            S, C = loss.derive(Z, codes)
            Q = loss.pair_weights(C) * (A if A.shape[1] == 1 else A[:, first])
            G += multiply_back(X, A * S, self.intercept)
            grams += compute_grams(X, Q, self.intercept)
        blocks = np.zeros((self.n_outputs, n, self.n_outputs, n))
        loss.fill(blocks, grams)
        return G.ravel(), blocks.reshape(self.n_params, self.n_params)

    def sums_by_group(
        self, theta: np.ndarray, w: np.ndarray, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return both sums over groups, of gradients and of Hessians, in one pass."""
        parts = [self._sum_both(theta, self._weigh(w), p) for p in self._split(rows)]
        gradients, hessians = zip(*parts, strict=True)
        return np.array(gradients), np.array(hessians)

    def diagonal(self, theta: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the diagonal of the Hessian, shape (n_params,)."""
        sums, W, loss = self.weight_sums(w), self._unravel(theta), self.spec.loss
        weigh, D = self._weigh(w, sums), np.zeros_like(W)
        for block, X in iterate_blocks(self.X, None):
            C = loss.curvatures(multiply(X, W), self.codes[block])
            squares = X.multiply(X).tocsr() if sparse.issparse(X) else X * X
            D += multiply_back(squares, weigh(block) * loss.diagonal(C), self.intercept)
        return D.ravel() + self.regularizer(sums)

    def hvp(
        self, theta: np.ndarray, w: np.ndarray
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Return the function v -> H v; it keeps n_outputs values for every row."""
        sums, loss = self.weight_sums(w), self.spec.loss
        weigh, penalty = self._weigh(w, sums), self.regularizer(sums)
        C = np.empty((len(self.codes), self.n_outputs))
        W = self._unravel(theta)
        for block, X in iterate_blocks(self.X, None):
            C[block] = loss.curvatures(multiply(X, W), self.codes[block])

        def multiply_hessian(v: np.ndarray) -> np.ndarray:
            V = self._unravel(v)
            G = np.zeros_like(V)
            for block, X in iterate_blocks(self.X, None):
                bent = loss.bend(C[block], multiply(X, V))
                G += multiply_back(X, weigh(block) * bent, self.intercept)
            return G.ravel() + penalty * v

        return multiply_hessian

    # How far the curvature can be trusted

    def compute_self_concordance(self) -> float:
        """Return R, from the longest row."""
        return bound_self_concordance(self.X, self.spec.loss, self.intercept)

    def compute_change(self, v: np.ndarray) -> float:
        """Return the largest change of a margin, or of the difference of two."""
        return bound_change(self.X, self.spec.loss, self._unravel(v))

    def max_hessian_norm(self, inverse: np.ndarray) -> float:
        """Return the largest norm of a row in the inverse Hessian."""
        blocks = inverse.reshape(self.n_outputs, self.n_columns, self.n_outputs, -1)
        return bound_row_norms(self.X, self.spec.loss, blocks, self.intercept)

    def curvature_floor(
        self, theta: np.ndarray, w: np.ndarray, radius: float = 0.0
    ) -> float:
        """Return a lower bound of J's curvature in all directions that change it."""
        mu, free = self.spec.coef_penalty, self.spec.intercept_penalty
        sums = self.weight_sums(w)
        scale = float(sums[0]) if self.spec.penalty_per_row else 1.0
        if not self.intercept or free > 0 or mu == 0:
            return scale * (min(mu, free) if self.intercept else mu)
        return bound_curvature(
            self.X,
            self.codes,
            self.spec.loss,
            self._unravel(theta),
            self._weigh(w, sums),
            mu * scale,
            radius,
        )

    # What each row does

    def scores(self, theta: np.ndarray, w: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return d(gradient . v) / dw_i for all rows, in one pass."""
        scores, _ = self._score(theta, w, v.reshape(self.n_params, -1), pull=False)
        return scores[:, 0] if v.ndim == 1 else scores

    def scores_and_pulls(
        self, theta: np.ndarray, w: np.ndarray, v: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return row scores, and the gradient change when rows are reweighted."""
        if self.balance is not None or self.spec.penalty_per_row:
            return self.scores(theta, w, v), None
        scores, pulls = self._score(theta, w, v, pull=True)
        return scores, pulls.reshape(v.shape[1], -1)

    def _score(
        self, theta: np.ndarray, w: np.ndarray, v: np.ndarray, *, pull: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Score rows for each column of v, with what their weights change elsewhere.

        A row's weight changes its own gradient, the scales of balanced classes, and a
        penalty that grows with the number of rows.
        """
        sums = self.weight_sums(w)
        n_classes = 0 if self.balance is None else self.n_classes
        scores, pulls, by_class = score_rows(
            self.X,
            self.codes,
            self.spec.loss,
            np.vstack([theta, v.T]).reshape(-1, self.n_outputs, self.n_columns),
            w,
            self._weigh(None, sums),
            self._weigh(None),
            n_classes=n_classes,
            pull=pull,
        )
        if self.spec.penalty_per_row:
            scores += (v.T @ (self._unit_penalty * theta))[:, None]
        if self.balance is not None:
            slopes = [self.balance.differentiate(sums[1:], s) for s in by_class]
            added = np.array(slopes)[:, self.codes]
            if self.spec.balance_weighted and self.sample_weight is not None:
                added *= self.sample_weight
            scores += added
        return scores.T, pulls

    def weight_gradients(
        self, theta: np.ndarray, w: np.ndarray, rows: np.ndarray
    ) -> np.ndarray:
        """Return d gradient / dw_i of some rows."""
        gradients = super().weight_gradients(theta, w, rows)
        if self.spec.penalty_per_row:
            gradients += self._unit_penalty * theta
        if self.balance is None:
            return gradients
        sums = self.gradients_by_group(theta, w)
        counts = self.weight_sums(w)[1:]
        added = differentiate_scales(self.balance, counts, sums, self.n_columns)
        added = added[self.codes[rows]]
        if self.spec.balance_weighted and self.sample_weight is not None:
            added *= self.sample_weight[rows, None]
        return gradients + added

    def leave_one_out(
        self, theta: np.ndarray, w: np.ndarray, inverse: np.ndarray, rows: np.ndarray
    ) -> np.ndarray:
        """Return the plain losses of some rows after Newton steps that remove them."""
        return compute_losses_without(
            add_ones(self.X[rows], self.intercept),
            self.codes[rows],
            self.spec.loss,
            self._unravel(theta),
            self._weigh(w, self.weight_sums(w))(rows),
            inverse.reshape(self.n_outputs, self.n_columns, self.n_outputs, -1),
        )

    # Parts

    def _weigh(self, w: np.ndarray | None, sums: np.ndarray | None = None) -> Weigh:
        """Return the function from an index of rows to their weights in each output.

        Its result has one column where all outputs have the same, and may be a view of
        w. Without sums the scales of balanced classes are left out, and without w all
        rows count once. The precision is that of the sums.
        """
        dtype = np.dtype(float) if sums is None else sums.dtype
        scales = self._class_scales
        if self.balance is not None and sums is not None:
            scales = self.balance.compute(sums[1:])
            scales = scales[:, :1] if self.balance.is_shared else scales

        factor = self.spec.loss_factor
        columns = [v for v in (w, self.sample_weight) if v is not None]

        def weigh(rows: Any) -> np.ndarray:
            codes = self.codes[rows]
            if columns:
                weights = columns[0][rows, None].astype(dtype, copy=False)
            else:
                weights = np.ones((len(codes), 1), dtype)
            for other in columns[1:]:
                weights = weights * other[rows, None]
            weights = weights if factor == 1 else weights * factor
            return weights if scales is None else weights * scales[codes]

        return weigh

    def _split(self, rows: np.ndarray | None) -> list[np.ndarray | None]:
        """Split some rows, or all, by group; None is all."""
        if self.balance is None:
            return [rows]
        codes = self.codes if rows is None else self.codes[rows]
        parts = [np.flatnonzero(codes == c) for c in range(self.n_classes)]
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

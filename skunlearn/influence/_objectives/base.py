"""The objective of a classifier, as a function of parameters and row weights.

Authors define the hooks; this module computes sums over rows from them, block by block.
"""

from collections.abc import Callable, Iterator

import numpy as np

from skunlearn.influence._objectives.hooks import ObjectiveHooks

__all__ = ["Objective"]

_BLOCK_ROWS = 1024  # rows for which gradients are formed at once


class Objective(ObjectiveHooks):
    """Twice differentiable convex objective that an estimator minimises.

    Subclasses define the abstract methods, and may override others by faster ones. The
    objective is a sum over rows, not a mean: multiply an estimator's own formula by
    ``n_samples`` if necessary.

    Parameters
    ----------
    estimator : estimator object
        The fitted classifier. Only its parameters and the shapes of its fitted
        attributes are used.
    X : {ndarray, CSR} of shape (n_rows, n_features), dtype float64
        The rows. They are referenced, not copied, and no other values of rows are
        stored: rows that `forget` overwrites are overwritten here, too.
    codes : ndarray of shape (n_rows,), dtype int
        Index in ``estimator.classes_`` of the label of each row.
    sample_weight : ndarray of shape (n_rows,), default=None
        Sample weights passed to ``fit``. They are part of the loss of a row, in
        contrast to the weights `w` of the methods, which are 0 for forgotten rows.

    Attributes
    ----------
    n_params : int
        Number of parameters. Subclasses must set it.
    is_quadratic : bool
        Whether the objective is quadratic, so that a single Newton step reaches the
        optimum. Subclasses set it to True if this is the case.
    linear_term : ndarray of shape (n_params,), or None
        Coefficients of the random linear term of objective perturbation, which
        certified removal sets. `regularizer_value` and `regularizer_gradient` include
        it.

    Notes
    -----
    With the weight ``w_i >= 0`` of row i, the group ``g(i)`` of the row, and the vector
    ``theta`` of all parameters, the objective is::

        J(theta; w) = sum_i w_i a[g(i)] l_i(theta) + 1/2 sum_d p[d] theta[d]^2

    The scales ``a`` of the groups and the coefficients ``p`` of the penalty may depend
    on the weights only through `weight_sums`. A row is therefore removed by setting its
    weight to 0, or by subtracting its terms from `weight_sums` and from the sums of its
    group (its sufficient statistics).

    The methods share these arguments:

    estimator : estimator object
        The classifier. It is fitted, except possibly in `check`.
    theta : ndarray of shape (n_params,)
        The parameters.
    w : ndarray of shape (n_rows,)
        Non-negative weights of all rows.
    rows : ndarray of shape (n,), dtype int
        Indices of rows in `X`. If None is allowed, it means all rows.
    weight_sums : ndarray of shape (n_sums,)
        The value of `weight_sums`.
    X : {ndarray, CSR} of shape (n, n_features), dtype float64
        Rows to predict, which need not be rows of the objective.
    v : ndarray of shape (n_params,)
        A direction; several in columns if the shape (n_params, m) is allowed.
    inverse : ndarray of shape (n_params, n_params)
        Inverse of the Hessian of J.

    Subclasses must set `n_params`, and define `read`, `write`, `losses`,
    `row_gradients`, `row_factors` and `regularizer`. Optional methods that describe the
    objective further:

    - `check`, to refuse parameters with which the estimator minimises another
      objective;
    - `weight_sums`, for a penalty or scales that depend on the weights, with
      `groups_of_rows` and `scales` for the latter. Such a penalty requires `scores`;
      scales other than 1 require `value`, too;
    - `null_space`, for directions that do not change the objective;
    - `decision_function` and `decision_vjp`, which ``method="puma"`` requires;
    - `compute_self_concordance`, without which the bounds rest on the penalty alone,
      and `compute_change`, `max_hessian_norm` and `curvature_floor`, which tighten
      them;
    - the sums over rows, `scores`, `scores_and_pulls`, `weight_gradients` and
      `leave_one_out`, to replace their defaults by faster implementations.

    Examples
    --------
    Binary logistic regression without an intercept:

    >>> import numpy as np
    >>> from scipy.special import expit
    >>> from skunlearn.influence import Objective
    >>> class Logistic(Objective):
    ...     def __init__(self, estimator, X, codes, sample_weight=None):
    ...         super().__init__(estimator, X, codes, sample_weight)
    ...         self.n_params = X.shape[1]
    ...     def read(self, estimator):
    ...         return estimator.coef_.flatten()
    ...     def write(self, estimator, theta):
    ...         estimator.coef_ = theta.reshape(1, -1)
    ...     def losses(self, theta, rows):
    ...         signs = 2 * self.codes[rows] - 1
    ...         return np.logaddexp(0, -signs * (self.X[rows] @ theta))
    ...     def row_gradients(self, theta, rows):
    ...         slopes = expit(self.X[rows] @ theta) - self.codes[rows]
    ...         return slopes[:, None] * self.X[rows]
    ...     def row_factors(self, theta, rows):
    ...         p = expit(self.X[rows] @ theta)
    ...         return (np.sqrt(p * (1 - p))[:, None] * self.X[rows])[:, None]
    ...     def regularizer(self, weight_sums):
    ...         return np.ones(self.n_params)
    >>> X = np.array([[1.0], [-1.0]])
    >>> Logistic(None, X, np.array([1, 0])).gradient(np.zeros(1), np.ones(2))
    array([-1.])
    """

    # What has no rows

    def regularizer_value(self, theta: np.ndarray, weight_sums: np.ndarray) -> float:
        """Return the part of J that does not depend on rows.

        Returns
        -------
        float
            The penalty, plus ``linear_term @ theta`` if `linear_term` is set.
        """
        value = float(self.regularizer(weight_sums) @ theta**2) / 2
        if self.linear_term is None:
            return value
        return value + float(self.linear_term @ theta)

    def regularizer_gradient(
        self, theta: np.ndarray, weight_sums: np.ndarray
    ) -> np.ndarray:
        """Return the gradient of the part of J that does not depend on rows.

        Returns
        -------
        ndarray of shape (n_params,)
            The gradient of `regularizer_value`.
        """
        gradient = self.regularizer(weight_sums) * theta
        return gradient if self.linear_term is None else gradient + self.linear_term

    @property
    def has_unlike_rows(self) -> bool:
        """Whether `mean_weight` depends on which rows there are.

        By default it does where rows have sample weights; override it with the method.
        """
        return self.sample_weight is not None

    def mean_weight(self, w: np.ndarray) -> float:
        """Return the mean factor of the losses of the rows that have a weight.

        The Hessian norm is measured in units of it. The default is the mean sample
        weight; override it if all losses are multiplied by a parameter.

        Returns
        -------
        float
            The factor.
        """
        weight = self.sample_weight
        return 1.0 if weight is None else float(w @ weight) / float(w.sum())

    # Sums over all rows

    def value(self, theta: np.ndarray, w: np.ndarray) -> float:
        """Return J(theta; w).

        The default assumes scales of 1; subclasses with other scales must define it.

        Returns
        -------
        float
            Value of the objective, including `regularizer_value`.
        """
        losses = sum(w[b] @ self.losses(theta, b) for b in self._blocks(None))
        return float(losses + self.regularizer_value(theta, self.weight_sums(w)))

    def gradient(self, theta: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the gradient of J.

        Returns
        -------
        ndarray of shape (n_params,)
            The gradient, including `regularizer_gradient`.
        """
        sums = self.gradients_by_group(theta, w)
        return self.join_gradients(sums, self.weight_sums(w), theta)

    def value_and_gradient(
        self, theta: np.ndarray, w: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Return J(theta; w) and its gradient.

        Override it if one pass over the rows can compute both.

        Returns
        -------
        value : float
            The result of `value`.
        gradient : ndarray of shape (n_params,)
            The result of `gradient`.
        """
        return self.value(theta, w), self.gradient(theta, w)

    def hessian(self, theta: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the Hessian of J.

        Returns
        -------
        ndarray of shape (n_params, n_params)
            The Hessian, including that of the penalty.
        """
        sums = self.hessians_by_group(theta, w)
        return self.join_hessians(sums, self.weight_sums(w))

    def diagonal(self, theta: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the diagonal of the Hessian without forming it.

        Returns
        -------
        ndarray of shape (n_params,)
            The diagonal of `hessian`.
        """
        sums = self.weight_sums(w)
        scales, diagonal = self.scales(sums), self.regularizer(sums).copy()
        for block in self._blocks(None):
            squares = (self.row_factors(theta, block) ** 2).sum(1)
            diagonal += w[block] @ (scales[self.groups_of_rows[block]] * squares)
        return diagonal

    def hvp(
        self, theta: np.ndarray, w: np.ndarray
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function that computes Hessian-vector products.

        Returns
        -------
        callable
            Function that maps v of shape (n_params,) to H v, as a new array of the same
            shape, in one pass over the rows. H is the result of `hessian`, which is not
            formed. Quantities that do not depend on v are computed once.
        """
        sums = self.weight_sums(w)
        scales, penalty = self.scales(sums), self.regularizer(sums)

        def multiply(v: np.ndarray) -> np.ndarray:
            result = penalty * v
            for block in self._blocks(None):
                factors = self.row_factors(theta, block)
                products = np.einsum("nrd,nr->nd", factors, factors @ v)
                result += w[block] @ (scales[self.groups_of_rows[block]] * products)
            return result

        return multiply

    # Sums over the rows of each group

    def gradients_by_group(
        self, theta: np.ndarray, w: np.ndarray, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the sums of ``w_i grad l_i`` over each group.

        Returns
        -------
        ndarray of shape (n_groups, n_params)
            The sums, without scales; 0 for a group without rows.
        """
        sums = np.zeros_like(self.scales(self.weight_sums(w)))
        for block in self._blocks(rows):
            gradients = w[block, None] * self.row_gradients(theta, block)
            np.add.at(sums, self.groups_of_rows[block], gradients)
        return sums

    def hessians_by_group(
        self, theta: np.ndarray, w: np.ndarray, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the sums of ``w_i F_i.T F_i`` over each group.

        Returns
        -------
        ndarray of shape (n_groups, n_params, n_params)
            The sums, without scales; 0 for a group without rows.
        """
        sums = np.zeros((len(self.scales(self.weight_sums(w))), *[self.n_params] * 2))
        for block in self._blocks(rows):
            factors = self.row_factors(theta, block)
            groups = self.groups_of_rows[block]
            for group in np.unique(groups):
                inside = groups == group
                rooted = np.sqrt(w[block][inside])[:, None, None] * factors[inside]
                flat = rooted.reshape(-1, self.n_params)
                sums[group] += flat.T @ flat
        return sums

    def sums_by_group(
        self, theta: np.ndarray, w: np.ndarray, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the sums of gradients and of Hessians over each group.

        Override it if one pass over the rows can compute both.

        Returns
        -------
        gradients : ndarray of shape (n_groups, n_params)
            The result of `gradients_by_group`.
        hessians : ndarray of shape (n_groups, n_params, n_params)
            The result of `hessians_by_group`.
        """
        gradients = self.gradients_by_group(theta, w, rows)
        return gradients, self.hessians_by_group(theta, w, rows)

    def join_gradients(
        self, sums: np.ndarray, weight_sums: np.ndarray, theta: np.ndarray
    ) -> np.ndarray:
        """Return the gradient of J from its sums over groups and the weight sums.

        Parameters
        ----------
        sums : ndarray of shape (n_groups, n_params)
            The result of `gradients_by_group`.

        Returns
        -------
        ndarray of shape (n_params,)
            The gradient.
        """
        scaled = (self.scales(weight_sums) * sums).sum(axis=0)
        return scaled + self.regularizer_gradient(theta, weight_sums)

    def join_hessians(self, sums: np.ndarray, weight_sums: np.ndarray) -> np.ndarray:
        """Return the Hessian of J from its sums over groups and the weight sums.

        Parameters
        ----------
        sums : ndarray of shape (n_groups, n_params, n_params)
            The result of `hessians_by_group`.

        Returns
        -------
        ndarray of shape (n_params, n_params)
            The Hessian, in a new array.
        """
        hessian = np.einsum("gd,gde->de", self.scales(weight_sums), sums)
        hessian[np.diag_indices(self.n_params)] += self.regularizer(weight_sums)
        return hessian

    # What each row does

    def scores(self, theta: np.ndarray, w: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return ``d(gradient @ v) / dw_i`` of all rows, in one pass over them.

        The default is ``grad l_i @ v``. Subclasses with scales other than 1, or a
        penalty that depends on the weights, must define it. `v` may have several
        columns.

        Returns
        -------
        ndarray of shape (n_rows,) or (n_rows, m)
            The scores.
        """
        parts = [self.row_gradients(theta, block) @ v for block in self._blocks(None)]
        return np.concatenate(parts)

    def scores_and_pulls(
        self, theta: np.ndarray, w: np.ndarray, v: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the row scores for each column of `v`, and their gradient changes.

        The gradient change is that of reweighting rows in proportion to their scores.
        Optional, for a single group with scales of 1 and a penalty that does not depend
        on the weights: it saves ``method="puma"`` a pass over the rows.

        Returns
        -------
        scores : ndarray of shape (n_rows, m)
            The result of `scores`.
        pulls : ndarray of shape (m, n_params), or None
            Sums of ``w_i^2 s_i grad l_i`` with the scores s of each column. The default
            is None: they are computed in a further pass.
        """
        return self.scores(theta, w, v), None

    def weight_gradients(
        self, theta: np.ndarray, w: np.ndarray, rows: np.ndarray
    ) -> np.ndarray:
        """Return ``d gradient / dw_i`` of some rows.

        The default is ``grad l_i`` times the scales of the group. If scales or the
        penalty depend on the weights, ``method="puma"`` takes fewer passes with a
        definition that includes that, as `scores` does.

        Returns
        -------
        ndarray of shape (n, n_params)
            The derivatives.
        """
        scales = self.scales(self.weight_sums(w))[self.groups_of_rows[rows]]
        return scales * self.row_gradients(theta, rows)

    def leave_one_out(
        self, theta: np.ndarray, w: np.ndarray, inverse: np.ndarray, rows: np.ndarray
    ) -> np.ndarray:
        """Return the approximate leave-one-out losses of some rows.

        Returns
        -------
        ndarray of shape (n,)
            Loss of each row after the Newton step that removes this row only.

        Notes
        -----
        With the gradient g and the factor F of the Hessian of a row, the step is
        ``inv(H - F.T F) g``, by the Woodbury identity.
        """
        scales = self.scales(self.weight_sums(w))[self.groups_of_rows[rows]]
        G = w[rows, None] * scales * self.row_gradients(theta, rows)
        roots = np.sqrt(w[rows, None] * scales)[:, None]
        F = roots * self.row_factors(theta, rows)
        HF, Hg = F @ inverse, G @ inverse
        inner = (1 + 1e-12) * np.eye(F.shape[1]) - HF @ F.swapaxes(1, 2)
        bent = np.linalg.solve(inner, F @ Hg[:, :, None])
        moves = Hg + (HF.swapaxes(1, 2) @ bent)[:, :, 0]
        pairs = zip(rows, moves, strict=True)
        losses = [self.losses(theta + v, np.array([row]))[0] for row, v in pairs]
        return np.array(losses, dtype=float)

    def _blocks(self, rows: np.ndarray | None) -> Iterator[np.ndarray]:
        rows = np.arange(self.n_rows) if rows is None else np.asarray(rows)
        for start in range(0, len(rows), _BLOCK_ROWS):
            yield rows[start : start + _BLOCK_ROWS]

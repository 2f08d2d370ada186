"""The objective of a classifier, as a function of parameters and of row weights.

What an author gives are the hooks; here is what follows from them, block by block. A
subclass may define faster ones.
"""

from collections.abc import Callable, Iterator

import numpy as np

from skunlearn.influence._objectives.hooks import ObjectiveHooks

__all__ = ["Objective"]

_BLOCK_ROWS = 1024  # rows for which gradients are formed at once


class Objective(ObjectiveHooks):
    """A twice differentiable convex objective of some rows and their weights.

    A subclass defines the abstract methods; it may define faster ones for the rest. All
    sums are over rows, never means, so that ``n_samples`` in an estimator's own formula
    has to be multiplied out.

    Parameters
    ----------
    estimator : estimator object
        The fitted classifier. Only its parameters and the shapes of what it has learnt
        are used.
    X : {ndarray, CSR} of shape (n_rows, n_features), dtype float64
        The rows. They are referred to, never copied, and nothing else that tells of a
        row is kept, so that rows overwritten outside are overwritten here too.
    codes : ndarray of shape (n_rows,), dtype int
        Where the label of each row is in ``estimator.classes_``.
    sample_weight : ndarray of shape (n_rows,), default=None
        Weights given to ``fit``. They are part of the loss of a row, and other than the
        weights of the methods, which say how often a row is there.

    Attributes
    ----------
    n_params : int
        Length of ``theta``. A subclass sets it.
    is_quadratic : bool
        Whether one Newton step from anywhere ends in the optimum. A subclass sets it
        where that is so.
    linear_term : ndarray of shape (n_params,), or None
        Linear part of the objective (objective perturbation). Certified removal sets
        it; `regularizer_value` and `regularizer_gradient` add it.

    Notes
    -----
    With one weight ``w_i >= 0`` per row, the parameters in one vector ``theta``, and
    rows that fall into groups ``g(i)``, the objective is in sum form::

        J(theta; w) = sum_i w_i a[g(i)] l_i(theta) + 1/2 sum_d p[d] theta[d]^2

    where the scales ``a`` of the groups and the coefficients ``p`` of the penalty may
    depend on the weights, but only through `weight_sums`. So a row is removed by a
    weight of 0, or by subtracting what it added to these and to the sums of its group.

    The methods share these arguments:

    estimator : estimator object
        A classifier, fitted or not for `check`, and fitted otherwise.
    theta : ndarray of shape (n_params,)
        The parameters.
    w : ndarray of shape (n_rows,)
        Weights of all rows, none of them negative.
    rows : ndarray of shape (n,), dtype int
        Positions of some rows; where None is the default, it means all.
    weight_sums : ndarray of shape (n_sums,)
        What the method `weight_sums` returns.
    X : {ndarray, CSR} of shape (n, n_features), dtype float64
        Rows that need not be any of the objective's.
    v : ndarray of shape (n_params,)
        A direction; where it may be of shape (n_params, m), several in columns.
    inverse : ndarray of shape (n_params, n_params)
        The inverse of the Hessian of J, for some parameters and weights.

    A subclass must set `n_params`, and define `read`, `write`, `losses`,
    `row_gradients`, `row_factors` and `regularizer`. It may define

    - `check`, to refuse parameters that mean another objective;
    - `weight_sums`, for a penalty or scales that depend on the weights, and
      `groups_of_rows` and `scales` for the latter. Such a penalty needs `scores` of its
      own; scales other than 1 need `value` too;
    - `null_space`, where parameters can move without any change;
    - `decision_function` and `decision_vjp`, which ``method="puma"`` needs;
    - `compute_self_concordance`, without which bounds that hold come from the penalty
      alone, and `compute_change`, `max_hessian_norm` and `curvature_floor`, which make
      them tighter;
    - the sums over rows, `scores`, `scores_and_pulls` and `leave_one_out`, where
      something faster is known than their defaults.

    Examples
    --------
    Logistic regression through the origin, on two classes:

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
        """Return the part of J that belongs to no row.

        Returns
        -------
        float
            The penalty, and the linear part where there is a `linear_term`.
        """
        value = float(self.regularizer(weight_sums) @ theta**2) / 2
        if self.linear_term is None:
            return value
        return value + float(self.linear_term @ theta)

    def regularizer_gradient(
        self, theta: np.ndarray, weight_sums: np.ndarray
    ) -> np.ndarray:
        """Return the gradient of the part of J that belongs to no row.

        Returns
        -------
        ndarray of shape (n_params,)
            The gradient of `regularizer_value`.
        """
        gradient = self.regularizer(weight_sums) * theta
        return gradient if self.linear_term is None else gradient + self.linear_term

    # Sums over all rows

    def value(self, theta: np.ndarray, w: np.ndarray) -> float:
        """Return J(theta; w).

        By default scales are 1; a subclass with others has to define it.

        Returns
        -------
        float
            The value, `regularizer_value` included.
        """
        losses = sum(w[b] @ self.losses(theta, b) for b in self._blocks(None))
        return float(losses + self.regularizer_value(theta, self.weight_sums(w)))

    def gradient(self, theta: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the gradient of J.

        Returns
        -------
        ndarray of shape (n_params,)
            The gradient, `regularizer_gradient` included.
        """
        sums = self.gradients_by_group(theta, w)
        return self.join_gradients(sums, self.weight_sums(w), theta)

    def value_and_gradient(
        self, theta: np.ndarray, w: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Return J(theta; w) and its gradient. One pass over the rows may give both.

        Returns
        -------
        value : float
            What `value` returns.
        gradient : ndarray of shape (n_params,)
            What `gradient` returns.
        """
        return self.value(theta, w), self.gradient(theta, w)

    def hessian(self, theta: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the Hessian of J.

        Returns
        -------
        ndarray of shape (n_params, n_params)
            The Hessian, `regularizer` included.
        """
        sums = self.hessians_by_group(theta, w)
        return self.join_hessians(sums, self.weight_sums(w))

    def diagonal(self, theta: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the diagonal of the Hessian, which is not formed.

        Returns
        -------
        ndarray of shape (n_params,)
            The diagonal of what `hessian` returns.
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
        """Return the function v -> H v of Hessian-vector products.

        Returns
        -------
        callable
            Takes a vector v and returns a new one, both of shape (n_params,), in a pass
            over the rows. H is what `hessian` returns, which is not formed. What does
            not depend on v is computed once.
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
            The sums, without the scales; 0 for a group without rows.
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
            The sums, without the scales; 0 for a group without rows.
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

        Returns
        -------
        gradients : ndarray of shape (n_groups, n_params)
            What `gradients_by_group` returns.
        hessians : ndarray of shape (n_groups, n_params, n_params)
            What `hessians_by_group` returns. One pass over the rows may give both.
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
            What `gradients_by_group` returns.

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
            What `hessians_by_group` returns.

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
        """Return ``d(gradient @ v) / dw_i`` for all rows, from one pass over them.

        By default it is ``grad l_i @ v``: a subclass with scales, or whose penalty
        depends on the weights, has to define it. `v` may have several columns.

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
        """Return row scores, and the gradient change when rows are reweighted by them.

        Optional, for one group whose scales are 1 and a penalty that does not depend on
        the weights: then ``method="puma"`` needs a pass less. `v` has several columns,
        by each of which rows are reweighted in proportion to their scores.

        Returns
        -------
        scores : ndarray of shape (n_rows, m)
            What `scores` returns.
        pulls : ndarray of shape (m, n_params), or None
            The sums of ``w_i^2 s_i grad l_i`` for the scores s of each column; None,
            the default, where they need a further pass.
        """
        return self.scores(theta, w, v), None

    def leave_one_out(
        self, theta: np.ndarray, w: np.ndarray, inverse: np.ndarray, rows: np.ndarray
    ) -> np.ndarray:
        """Return the losses of some rows after Newton steps that remove them.

        Returns
        -------
        ndarray of shape (n,)
            What `losses` returns for each row after the step that removes it alone.

        Notes
        -----
        With the factors F of a row's Hessian the step is ``inv(H - F.T F) g``, which
        takes the inverse of a small matrix (Woodbury).
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

"""Hooks of an objective, which its author defines: no sums over rows.

:class:`skunlearn.influence.Objective` adds these sums, and documents the arguments that
the methods share.
"""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from skunlearn.exceptions import UnsupportedEstimatorError

__all__ = ["ObjectiveHooks"]


class ObjectiveHooks(ABC):
    """Losses, their derivatives, penalty and scales, which subclasses define."""

    n_params: int
    is_quadratic = False
    linear_term: np.ndarray | None = None
    _ihvp_tol = 1e-6  # relative residual, where no Hessian is formed

    def __init__(
        self,
        estimator: Any,
        X: Any,
        codes: np.ndarray,
        sample_weight: np.ndarray | None = None,
    ) -> None:
        self.check(estimator)
        self.X, self.codes, self.sample_weight = X, codes, sample_weight

    @property
    def n_rows(self) -> int:
        """Number of rows, including those with zero weight."""
        return len(self.codes)

    # What an estimator knows

    @classmethod
    def check(cls, estimator: Any) -> None:
        """Check that an estimator minimises this objective.

        Optional; the default accepts all parameters.

        Raises
        ------
        UnsupportedEstimatorError
            If it minimises another objective with its parameters.
        """
        return None

    @abstractmethod
    def read(self, estimator: Any) -> np.ndarray:
        """Return the parameters of a fitted estimator. Required.

        Returns
        -------
        ndarray of shape (n_params,), dtype float64
            The parameters, as a new array.
        """

    @abstractmethod
    def write(self, estimator: Any, theta: np.ndarray) -> None:
        """Set the parameters of a fitted estimator. Required.

        Notes
        -----
        The estimator may be a shallow copy of another one. Replace its arrays by new
        ones with the same shapes and dtypes, and do not write to them.
        """

    # What a row adds, without its weight and the scales of its group

    @abstractmethod
    def losses(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the losses of some rows. Required.

        Returns
        -------
        ndarray of shape (n,)
            The losses, including `sample_weight`, but without the weights `w` and the
            scales of groups.
        """

    @abstractmethod
    def row_gradients(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the per-sample gradients of some rows. Required.

        Returns
        -------
        ndarray of shape (n, n_params)
            Gradients of `losses`, as a new array.
        """

    @abstractmethod
    def row_factors(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return factors F of the Hessians of the losses of some rows. Required.

        Returns
        -------
        ndarray of shape (n, rank, n_params)
            Factors such that the Hessian of the loss of row i is ``F[i].T @ F[i]``.
        """

    # What depends on the weights of all rows

    @abstractmethod
    def regularizer(self, weight_sums: np.ndarray) -> np.ndarray:
        """Return the coefficients of the l2 penalty. Required.

        Returns
        -------
        ndarray of shape (n_params,)
            Non-negative coefficients p; the penalty is ``0.5 * sum(p * theta**2)``.

        Notes
        -----
        If they depend on `weight_sums`, `scores` must be defined, too.
        """

    def weight_sums(self, w: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Return the sums of weights on which `regularizer` and `scales` depend.

        Optional; the default is the sum of all weights.

        Returns
        -------
        ndarray of shape (n_sums,)
            Sums over the rows. `forget` subtracts those of the forget set.
        """
        return np.array([(w if rows is None else w[rows]).sum()])

    @property
    def groups_of_rows(self) -> np.ndarray:
        """Group of each row, an ndarray of int of shape (n_rows,).

        Optional; the default is a single group, 0. Rows of a group share their
        `scales`. These groups are unrelated to the `groups` passed to ``fit``.
        """
        return np.broadcast_to(np.intp(0), self.n_rows)

    def scales(self, weight_sums: np.ndarray) -> np.ndarray:
        """Return the factors of the losses of each group.

        Optional; the default is a single group with scales of 1.

        Returns
        -------
        ndarray of shape (n_groups, n_params)
            Scales of each group, per parameter.

        Notes
        -----
        The per-sample gradient is multiplied element-wise. An element of the Hessian
        must be 0 unless the scales of its two parameters are equal. Subclasses that
        define scales must also define `value` and `scores`.
        """
        return np.ones((1, self.n_params))

    @property
    def null_space(self) -> np.ndarray:
        """Directions that do not change J, an ndarray of shape (m, n_params).

        Optional; the default is none. They must be orthonormal. Steps are orthogonal to
        them, since the Hessian is singular along them.
        """
        return np.zeros((0, self.n_params))

    # What is predicted for other rows

    def decision_function(self, theta: np.ndarray, X: Any) -> np.ndarray:
        """Return the decision values of some rows.

        Optional; the criterion of ``method="puma"`` requires it with `decision_vjp`.

        Returns
        -------
        ndarray of shape (n,) or (n, n_classes)
            Decision values, as ``decision_function`` of the estimator returns them.

        Raises
        ------
        UnsupportedEstimatorError
            If the subclass does not define it.
        """
        raise UnsupportedEstimatorError(
            f"{type(self).__name__} does not define decision_function and "
            'decision_vjp, which method="puma" requires. Define them, or use '
            'method="newton".'
        )

    def decision_vjp(
        self, theta: np.ndarray, X: Any, cotangents: np.ndarray
    ) -> np.ndarray:
        """Return the vector-Jacobian product of the decision values.

        Optional, with `decision_function`.

        Parameters
        ----------
        cotangents : ndarray of shape (n,) or (n, n_classes)
            Gradient with respect to the decision values.

        Returns
        -------
        ndarray of shape (n_params,)
            The gradient of ``(cotangents * decision_function(theta, X)).sum()`` with
            respect to theta.

        Raises
        ------
        NotImplementedError
            If the subclass does not define it.
        """
        raise NotImplementedError

    # How far the curvature can be trusted

    def compute_self_concordance(self) -> float:
        """Return the constant of generalised self-concordance of the losses.

        It is an R with ``exp(-R |v|) H <= H' <= exp(R |v|) H``, where H and H' are the
        Hessians of the losses at theta and at theta + v, for all weights [1]_.
        Optional; the default is 0 if `is_quadratic`, and infinity otherwise.

        Returns
        -------
        float
            The constant. It is stored after rows are forgotten, so it must not reveal
            single rows: round it up.

        References
        ----------
        .. [1] F. Bach, "Self-concordant analysis for logistic regression", Electronic
           Journal of Statistics, 2010. :arxiv:`0910.4627`
        """
        return 0.0 if self.is_quadratic else np.inf

    def compute_change(self, v: np.ndarray) -> float:
        """Return a bound of the relative change of the Hessian along `v`.

        Optional; the default is ``R |v|`` with the constant R of
        `compute_self_concordance`. It may pass over the rows.

        Returns
        -------
        float
            An r with ``exp(-r) H <= H' <= exp(r) H``, where H' is the Hessian of the
            losses at any point between theta and theta + v.
        """
        return self.compute_self_concordance() * float(np.linalg.norm(v))

    def max_hessian_norm(self, inverse: np.ndarray) -> float:
        """Return the constant of self-concordance in the norm of a Hessian.

        Optional; the default is 0 if `is_quadratic`, and infinity otherwise.

        Returns
        -------
        float
            The constant that replaces R if the length of v is ``sqrt(v @ H @ v)``, with
            H the inverse of `inverse`. It is tighter if features differ in scale. For a
            linear model, it is the maximum norm of a row in `inverse`.
        """
        return 0.0 if self.is_quadratic else np.inf

    def curvature_floor(
        self, theta: np.ndarray, w: np.ndarray, radius: float = 0.0
    ) -> float:
        """Return a lower bound of the strong convexity of J.

        Optional; the default is the minimum of `regularizer`. It may pass over the
        rows.

        Parameters
        ----------
        radius : float, default=0.0
            Distance from `theta` within which the bound must hold.

        Returns
        -------
        float
            Lower bound of the curvature in all directions but those of `null_space`; 0
            if none is known.
        """
        return float(self.regularizer(self.weight_sums(w)).min(initial=np.inf))

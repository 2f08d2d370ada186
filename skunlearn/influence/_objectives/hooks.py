"""What the author of an objective gives: the part without sums over rows.

See :class:`skunlearn.influence.Objective`, which adds what follows from them, and
explains the arguments that the methods share.
"""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from skunlearn.exceptions import UnsupportedEstimatorError

__all__ = ["ObjectiveHooks"]


class ObjectiveHooks(ABC):
    """Losses, factors of Hessians, a regularizer and scales; a subclass gives them."""

    n_params: int
    is_quadratic = False
    linear_term: np.ndarray | None = None

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
        """Number of rows, those of weight 0 included."""
        return len(self.codes)

    # What an estimator knows

    @classmethod
    def check(cls, estimator: Any) -> None:
        """Refuse an estimator whose parameters mean another objective.

        Optional; the default refuses nothing.

        Raises
        ------
        UnsupportedEstimatorError
            If this is not what the estimator minimises.
        """
        return None

    @abstractmethod
    def read(self, estimator: Any) -> np.ndarray:
        """Return the parameters of a fitted estimator. Required.

        Returns
        -------
        ndarray of shape (n_params,), dtype float64
            The parameters, in a new vector.
        """

    @abstractmethod
    def write(self, estimator: Any, theta: np.ndarray) -> None:
        """Give an estimator these parameters. Required.

        Notes
        -----
        The estimator may be a shallow copy of another: its arrays are to be replaced by
        new ones, of the same shapes and dtypes, and not written to.
        """

    # What a row adds, without its weight and the scales of its group

    @abstractmethod
    def losses(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the losses of some rows. Required.

        Returns
        -------
        ndarray of shape (n,)
            The losses, with `sample_weight`, but without the weight of a row and the
            scales of its group.
        """

    @abstractmethod
    def row_gradients(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the gradient of the loss of each of some rows. Required.

        Returns
        -------
        ndarray of shape (n, n_params)
            The gradients of `losses`, in a new array.
        """

    @abstractmethod
    def row_factors(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return factors F of the Hessians of the losses of some rows. Required.

        Returns
        -------
        ndarray of shape (n, rank, n_params)
            The Hessian of the loss of row i is ``F[i].T @ F[i]``.
        """

    # What depends on the weights of all rows

    @abstractmethod
    def regularizer(self, weight_sums: np.ndarray) -> np.ndarray:
        """Return the coefficients of the l2 penalty, its Hessian's diagonal. Required.

        Returns
        -------
        ndarray of shape (n_params,)
            Non-negative coefficients p; the penalty is ``0.5 * sum(p * theta**2)``.

        Notes
        -----
        If it depends on `weight_sums`, a row's weight changes it, and `scores` has to
        be defined too.
        """

    def weight_sums(self, w: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Return the sums of weights on which `regularizer` and `scales` depend.

        Optional; the default is the sum of all weights.

        Returns
        -------
        ndarray of shape (n_sums,)
            Sums over the rows: forgetting rows subtracts theirs from those of all.
        """
        return np.array([(w if rows is None else w[rows]).sum()])

    @property
    def groups_of_rows(self) -> np.ndarray:
        """Group of each row, an ndarray of ints of shape (n_rows,).

        Optional; the default puts all rows into one group, 0. Rows of a group share
        their `scales`. These are not the groups of ``fit``, which name data subjects.
        """
        return np.broadcast_to(np.intp(0), self.n_rows)

    def scales(self, weight_sums: np.ndarray) -> np.ndarray:
        """Return the factors of the losses of each group.

        Optional; the default is one group whose scales are ones.

        Returns
        -------
        ndarray of shape (n_groups, n_params)
            The scales of each group, for each parameter.

        Notes
        -----
        A row's gradient is scaled element by element. An element of its Hessian needs
        the scales of both its parameters to be the same, or has to be 0. A subclass
        with scales also defines `value` and `scores`.
        """
        return np.ones((1, self.n_params))

    @property
    def null_space(self) -> np.ndarray:
        """Directions that never change J, an ndarray of shape (m, n_params).

        Optional; the default is none. They are orthonormal, and kept out of all steps,
        since the Hessian is singular along them.
        """
        return np.zeros((0, self.n_params))

    # What is predicted for other rows

    def decision_function(self, theta: np.ndarray, X: Any) -> np.ndarray:
        """Return the decision values of some rows.

        Optional; with `decision_vjp` it is what criteria of ``method="puma"`` need.

        Returns
        -------
        ndarray of shape (n,) or (n, n_classes)
            What ``decision_function`` of the estimator returns.

        Raises
        ------
        UnsupportedEstimatorError
            If a subclass does not define it.
        """
        raise UnsupportedEstimatorError(
            f"{type(self).__name__} does not define decision_function and "
            'decision_vjp, which criteria need. Define them, or use method="newton".'
        )

    def decision_vjp(
        self, theta: np.ndarray, X: Any, cotangents: np.ndarray
    ) -> np.ndarray:
        """Return the vector-Jacobian product of the decision values.

        Optional, with `decision_function`.

        Parameters
        ----------
        cotangents : ndarray of shape (n,) or (n, n_classes)
            A number for each decision value.

        Returns
        -------
        ndarray of shape (n_params,)
            The gradient of ``(cotangents * decision_function(theta, X)).sum()`` with
            respect to theta.

        Raises
        ------
        NotImplementedError
            If a subclass does not define it.
        """
        raise NotImplementedError

    # How far the curvature can be trusted

    def compute_self_concordance(self) -> float:
        """Return R with ``exp(-R |v|) H <= H' <= exp(R |v|) H`` for a move by v.

        Optional; the default is 0 where `is_quadratic`, and infinity otherwise, for
        losses of which nothing is known.

        Returns
        -------
        float
            The constant. It is kept when rows are forgotten: it should say little of
            any of them (round it up).

        Notes
        -----
        H and H' are the losses' Hessians before and after, whatever the weights (Bach
        2010: generalised self-concordance).
        """
        return 0.0 if self.is_quadratic else np.inf

    def compute_change(self, v: np.ndarray) -> float:
        """Return the r that ``R |v|`` bounds, for one move.

        Optional; the default is ``R |v|``. It may take a pass over the rows.

        Returns
        -------
        float
            An r with ``exp(-r) H <= H' <= exp(r) H`` along the whole move by v.
        """
        return self.compute_self_concordance() * float(np.linalg.norm(v))

    def max_hessian_norm(self, inverse: np.ndarray) -> float:
        """Return the constant of self-concordance for the norm of a Hessian.

        Optional; the default is 0 where `is_quadratic`, and infinity otherwise.

        Returns
        -------
        float
            What stands for R where a move is as long as ``sqrt(v @ H @ v)``, with H the
            inverse of `inverse`. Where columns differ in scale, this is the tighter of
            the two. For a linear model it is the largest norm of a row in `inverse`.
        """
        return 0.0 if self.is_quadratic else np.inf

    def curvature_floor(
        self, theta: np.ndarray, w: np.ndarray, radius: float = 0.0
    ) -> float:
        """Return a lower bound of J's curvature in all directions that change it.

        Optional; the default is the least coefficient of `regularizer`. It may take a
        pass.

        Parameters
        ----------
        radius : float, default=0.0
            The distance from `theta` within which the bound has to hold.

        Returns
        -------
        float
            The bound; 0 where there is none.
        """
        return float(self.regularizer(self.weight_sums(w)).min(initial=np.inf))

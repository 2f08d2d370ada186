"""What an objective knows of single rows and of all weights: the part without sums.

See :class:`skunlearn.influence.Objective`, which adds sums over rows, and bounds.
"""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from skunlearn.exceptions import UnsupportedEstimatorError

__all__ = ["ObjectiveRows"]


class ObjectiveRows(ABC):
    """Losses, factors of Hessians, penalties and scales; a subclass gives them."""

    n_params: int
    is_quadratic = False
    tilt: np.ndarray | None = None

    def __init__(
        self,
        estimator: Any,
        X: Any,
        codes: np.ndarray,
        sample_weight: np.ndarray | None = None,
    ) -> None:
        self.check(estimator)
        self.X, self.codes, self.sample_weight = X, codes, sample_weight

    @classmethod
    def check(cls, estimator: Any) -> None:
        """Refuse an estimator whose parameters mean another objective.

        May be given: by default nothing is refused.

        Parameters
        ----------
        estimator : estimator object
            The classifier, fitted or not.

        Raises
        ------
        UnsupportedEstimatorError
            If this is not what the estimator minimises.
        """
        return None

    @property
    def n_rows(self) -> int:
        """Number of rows, those of weight 0 included."""
        return len(self.codes)

    # What an estimator knows

    @abstractmethod
    def read(self, estimator: Any) -> np.ndarray:
        """Return the parameters of a fitted estimator. Must be given.

        Parameters
        ----------
        estimator : estimator object
            The fitted classifier.

        Returns
        -------
        ndarray of shape (n_params,), dtype float64
            The parameters, in a new vector.
        """

    @abstractmethod
    def write(self, estimator: Any, theta: np.ndarray) -> None:
        """Give an estimator these parameters. Must be given.

        Parameters
        ----------
        estimator : estimator object
            A fitted classifier. It may be a shallow copy of another: its arrays are to
            be replaced by new ones, of the same shapes and dtypes, and not written to.
        theta : ndarray of shape (n_params,)
            The parameters.
        """

    # What a row adds, without its weight and the scale of its stratum

    @abstractmethod
    def losses(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the losses of some rows. Must be given.

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
            The parameters.
        rows : ndarray of shape (n,), dtype int
            Positions of the rows.

        Returns
        -------
        ndarray of shape (n,)
            The losses, with `sample_weight`, but without the weight of a row and the
            scale of its stratum.
        """

    @abstractmethod
    def row_gradients(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the gradients of the losses of some rows. Must be given.

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
            The parameters.
        rows : ndarray of shape (n,), dtype int
            Positions of the rows.

        Returns
        -------
        ndarray of shape (n, n_params)
            The gradients of `losses`, in a new array.
        """

    @abstractmethod
    def row_factors(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return factors F of the Hessians of the losses of some rows. Must be given.

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
            The parameters.
        rows : ndarray of shape (n,), dtype int
            Positions of the rows.

        Returns
        -------
        ndarray of shape (n, rank, n_params)
            The Hessian of the loss of row i is ``F[i].T @ F[i]``.
        """

    # What depends on all weights

    @abstractmethod
    def penalty(self, totals: np.ndarray) -> np.ndarray:
        """Return the diagonal of the penalty's Hessian. Must be given.

        Parameters
        ----------
        totals : ndarray of shape (n_totals,)
            What `totals` tells of the weights.

        Returns
        -------
        ndarray of shape (n_params,)
            What half the square of each parameter costs, at least 0.

        Notes
        -----
        If it depends on the totals, a row's weight changes it, and `scores` has to be
        given too.
        """

    def totals(self, w: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Return what `penalty` and `scales` have to know of the weights.

        May be given: by default it is the sum of the weights.

        Parameters
        ----------
        w : ndarray of shape (n_rows,)
            Weights of all rows.
        rows : ndarray of shape (n,), dtype int, default=None
            Positions of the rows to sum over; None is all.

        Returns
        -------
        ndarray of shape (n_totals,)
            Sums over these rows: forgetting rows subtracts theirs from those of all.
        """
        return np.array([(w if rows is None else w[rows]).sum()])

    @property
    def strata(self) -> np.ndarray:
        """Stratum of each row, an ndarray of ints of shape (n_rows,).

        May be given: by default all rows are in one, 0.
        """
        return np.broadcast_to(np.intp(0), self.n_rows)

    def scales(self, totals: np.ndarray) -> np.ndarray:
        """Return by what the losses of each stratum are multiplied.

        May be given: by default there is one stratum, and the scales are ones.

        Parameters
        ----------
        totals : ndarray of shape (n_totals,)
            What `totals` tells of the weights.

        Returns
        -------
        ndarray of shape (n_strata, n_params)
            The scales of each stratum, for each parameter.

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

        May be given: by default there are none. They are orthonormal, and kept out of
        all steps, since the Hessian is singular along them.
        """
        return np.zeros((0, self.n_params))

    # What is predicted for other rows

    def decide(self, theta: np.ndarray, X: Any) -> np.ndarray:
        """Return the decision values of some rows.

        May be given: with `pull_back` it is what criteria of ``method="puma"`` need.

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
            The parameters.
        X : {ndarray, CSR} of shape (n, n_features), dtype float64
            The rows, which need not be any of the objective's.

        Returns
        -------
        ndarray of shape (n,) or (n, n_classes)
            What ``decision_function`` of the estimator returns.

        Raises
        ------
        UnsupportedEstimatorError
            If a subclass does not give it.
        """
        raise UnsupportedEstimatorError(
            f"{type(self).__name__} does not define decide and pull_back, which "
            'criteria need. Define them, or use method="newton".'
        )

    def pull_back(self, theta: np.ndarray, X: Any, slopes: np.ndarray) -> np.ndarray:
        """Return the gradient of ``(slopes * decide(theta, X)).sum()`` by theta.

        May be given, with `decide`.

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
            The parameters.
        X : {ndarray, CSR} of shape (n, n_features), dtype float64
            The rows.
        slopes : ndarray of shape (n,) or (n, n_classes)
            A number for each decision value.

        Returns
        -------
        ndarray of shape (n_params,)
            The gradient.

        Raises
        ------
        NotImplementedError
            If a subclass does not give it.
        """
        raise NotImplementedError

    # What has no rows

    def penalise(self, theta: np.ndarray, totals: np.ndarray) -> float:
        """Return the part of J that belongs to no row.

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
            The parameters.
        totals : ndarray of shape (n_totals,)
            What `totals` tells of the weights.

        Returns
        -------
        float
            The penalty, and the linear part where there is a `tilt`.
        """
        value = float(self.penalty(totals) @ theta**2) / 2
        return value if self.tilt is None else value + float(self.tilt @ theta)

    def penalty_gradient(self, theta: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """Return the gradient of the part of J that belongs to no row.

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
            The parameters.
        totals : ndarray of shape (n_totals,)
            What `totals` tells of the weights.

        Returns
        -------
        ndarray of shape (n_params,)
            The gradient of `penalise`.
        """
        gradient = self.penalty(totals) * theta
        return gradient if self.tilt is None else gradient + self.tilt

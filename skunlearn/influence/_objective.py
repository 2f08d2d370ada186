"""What a classifier minimises, as a function of its parameters and of row weights.

With one weight ``w_i >= 0`` per row, the parameters in one vector ``theta``, and rows
that fall into strata ``s(i)``, it is in sum form

    J(theta; w) = sum_i w_i a[s(i)] l_i(theta) + 1/2 sum_d p[d] theta[d]^2

where the scales ``a`` of the strata and the penalty ``p`` may depend on the weights,
but only through their *totals*, which are sums over rows. So a row is removed by a
weight of 0, or by subtracting what it added to the totals and the sums of its stratum.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from skunlearn.exceptions import UnsupportedEstimatorError

__all__ = ["Objective"]

_BLOCK = 1024  # rows for which the defaults below form gradients at once


class Objective(ABC):
    """A twice differentiable convex objective of some rows and their weights.

    A subclass gives the abstract methods; it may give faster ones for the rest. All
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
        Length of ``theta``.
    is_quadratic : bool
        Whether one Newton step from anywhere ends in the optimum.
    tilt : ndarray of shape (n_params,), or None
        Linear part of the objective, for certified removal.

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
    ...         return estimator.coef_.ravel()
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
    ...     def penalty(self, totals):
    ...         return np.ones(self.n_params)
    >>> X = np.array([[1.0], [-1.0]])
    >>> Logistic(None, X, np.array([1, 0])).gradient(np.zeros(1), np.ones(2))
    array([-1.])
    """

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
        """Raise UnsupportedEstimatorError if the parameters mean another objective.

        Parameters
        ----------
        estimator : estimator object
            The classifier, fitted or not.
        """
        return None

    @property
    def n_rows(self) -> int:
        """Return the number of rows, those of weight 0 included."""
        return len(self.codes)

    # What an estimator knows

    @abstractmethod
    def read(self, estimator: Any) -> np.ndarray:
        """Return the parameters of a fitted estimator as a new vector."""

    @abstractmethod
    def write(self, estimator: Any, theta: np.ndarray) -> None:
        """Give an estimator these parameters, with the shapes and dtypes it has."""

    # What a row adds, without its weight and the scale of its stratum

    @abstractmethod
    def losses(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the losses of some rows, shape (n,)."""

    @abstractmethod
    def row_gradients(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the gradients of the losses of some rows, shape (n, n_params)."""

    @abstractmethod
    def row_factors(self, theta: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return F of shape (n, rank, n_params): row i has the Hessian F[i].T F[i]."""

    # What depends on all weights

    @abstractmethod
    def penalty(self, totals: np.ndarray) -> np.ndarray:
        """Return the diagonal of the penalty's Hessian, shape (n_params,)."""

    def totals(self, w: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Return what `penalty` and `scales` have to know of the weights: sums."""
        return np.array([(w if rows is None else w[rows]).sum()])

    @property
    def strata(self) -> np.ndarray:
        """Return the stratum of each row, shape (n_rows,): one that all are in."""
        return np.broadcast_to(np.intp(0), self.n_rows)

    def scales(self, totals: np.ndarray) -> np.ndarray:
        """Return the scales, shape (n_strata, n_params): ones.

        A row's gradient is scaled element by element. An element of its Hessian needs
        the scales of both its parameters to be the same, or has to be 0. A subclass
        with scales also defines `value` and `scores`.
        """
        return np.ones((1, self.n_params))

    @property
    def null_space(self) -> np.ndarray:
        """Return orthonormal directions that never change J, shape (m, n_params)."""
        return np.zeros((0, self.n_params))

    # How far the curvature can be trusted

    def compute_self_concordance(self) -> float:
        """Return R with ``exp(-R |v|) H <= H' <= exp(R |v|) H`` for a move by v.

        H and H' are the losses' Hessians before and after, whatever the weights (Bach
        2010: generalised self-concordance). 0 is for quadratic losses; infinity, the
        default, for those of which nothing is known.
        """
        return 0.0 if self.is_quadratic else np.inf

    def compute_change(self, v: np.ndarray) -> float:
        """Return the r that ``R |v|`` bounds, in a pass over the rows."""
        return self.compute_self_concordance() * float(np.linalg.norm(v))

    def compute_leverage(self, inverse: np.ndarray) -> float:
        """Return the same constant for moves measured in the norm of a Hessian.

        `inverse` is that Hessian's inverse. Where columns differ in scale, this tells
        more. The default is that nothing is known.
        """
        return 0.0 if self.is_quadratic else np.inf

    def curvature_floor(
        self, theta: np.ndarray, w: np.ndarray, radius: float = 0.0
    ) -> float:
        """Return a lower bound of J's curvature in all directions that change it.

        It holds within a distance from `theta`. The default is the least penalty.
        """
        return float(self.penalty(self.totals(w)).min(initial=np.inf))

    def scores_and_pulls(
        self, theta: np.ndarray, w: np.ndarray, v: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the scores for each column of v, and where weights by them would pull.

        For scores s these are the sums of ``w_i^2 s_i grad l_i``, shape (m, n_params),
        where one stratum is all there is and they need no further pass; else None.
        """
        return self.scores(theta, w, v), None

    def leave_one_out(
        self, theta: np.ndarray, w: np.ndarray, inverse: np.ndarray, rows: np.ndarray
    ) -> np.ndarray:
        """Return the losses of some rows after Newton steps that remove them.

        `inverse` is that of the Hessian. With the factors F of a row's Hessian the step
        is ``inv(H - F.T F) g``, which takes the inverse of a small matrix (Woodbury).
        """
        scales = self.scales(self.totals(w))[self.strata[rows]]
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

    # What is predicted for other rows

    def decide(self, theta: np.ndarray, X: Any) -> np.ndarray:
        """Return the decision values of some rows, shape (n,) or (n, n_classes).

        With `pull_back` it is what criteria of method="puma" need.
        """
        raise UnsupportedEstimatorError(
            f"{type(self).__name__} does not define decide and pull_back, which "
            'criteria need. Define them, or use method="newton".'
        )

    def pull_back(self, theta: np.ndarray, X: Any, slopes: np.ndarray) -> np.ndarray:
        """Return the gradient of ``(slopes * decide(theta, X)).sum()`` by theta."""
        raise NotImplementedError

    # What has no rows

    def penalise(self, theta: np.ndarray, totals: np.ndarray) -> float:
        """Return the part of J that belongs to no row."""
        value = float(self.penalty(totals) @ theta**2) / 2
        return value if self.tilt is None else value + float(self.tilt @ theta)

    def penalty_gradient(self, theta: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """Return the gradient of that part, shape (n_params,)."""
        gradient = self.penalty(totals) * theta
        return gradient if self.tilt is None else gradient + self.tilt

    # Sums over rows

    def value_and_gradient(
        self, theta: np.ndarray, w: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Return J(theta; w) and its gradient."""
        return self.value(theta, w), self.gradient(theta, w)

    def value(self, theta: np.ndarray, w: np.ndarray) -> float:
        """Return J(theta; w)."""
        losses = sum(w[b] @ self.losses(theta, b) for b in self._blocks(None))
        return float(losses + self.penalise(theta, self.totals(w)))

    def gradient(self, theta: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the gradient of J, shape (n_params,)."""
        totals = self.totals(w)
        return self.join_gradients(self.stratum_gradients(theta, w), totals, theta)

    def hessian(self, theta: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the Hessian of J, shape (n_params, n_params)."""
        totals = self.totals(w)
        return self.join_hessians(self.stratum_hessians(theta, w), totals)

    def join_gradients(
        self, sums: np.ndarray, totals: np.ndarray, theta: np.ndarray
    ) -> np.ndarray:
        """Return the gradient of J from its sums over strata and the totals."""
        scaled = (self.scales(totals) * sums).sum(axis=0)
        return scaled + self.penalty_gradient(theta, totals)

    def join_hessians(self, sums: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """Return the Hessian of J from its sums over strata and the totals."""
        hessian = np.einsum("sd,sde->de", self.scales(totals), sums)
        hessian[np.diag_indices(self.n_params)] += self.penalty(totals)
        return hessian

    def stratum_gradients(
        self, theta: np.ndarray, w: np.ndarray, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the sums of w_i grad l_i over each stratum, unscaled.

        The shape is (n_strata, n_params). `rows` are those to sum over; None is all.
        """
        sums = np.zeros_like(self.scales(self.totals(w)))
        for block in self._blocks(rows):
            gradients = w[block, None] * self.row_gradients(theta, block)
            np.add.at(sums, self.strata[block], gradients)
        return sums

    def stratum_hessians(
        self, theta: np.ndarray, w: np.ndarray, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the same sums of Hessians, shape (n_strata, n_params, n_params)."""
        sums = np.zeros((len(self.scales(self.totals(w))), *[self.n_params] * 2))
        for block in self._blocks(rows):
            factors = self.row_factors(theta, block)
            strata = self.strata[block]
            for stratum in np.unique(strata):
                inside = strata == stratum
                rooted = np.sqrt(w[block][inside])[:, None, None] * factors[inside]
                flat = rooted.reshape(-1, self.n_params)
                sums[stratum] += flat.T @ flat
        return sums

    def stratum_sums(
        self, theta: np.ndarray, w: np.ndarray, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return both sums over strata, of gradients and of Hessians."""
        gradients = self.stratum_gradients(theta, w, rows)
        return gradients, self.stratum_hessians(theta, w, rows)

    def diagonal(self, theta: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the diagonal of the Hessian, shape (n_params,)."""
        totals = self.totals(w)
        scales, diagonal = self.scales(totals), self.penalty(totals).copy()
        for block in self._blocks(None):
            squares = (self.row_factors(theta, block) ** 2).sum(1)
            diagonal += w[block] @ (scales[self.strata[block]] * squares)
        return diagonal

    def product(
        self, theta: np.ndarray, w: np.ndarray
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Return the function v -> H v, which knows what does not depend on v."""
        totals = self.totals(w)
        scales, penalty = self.scales(totals), self.penalty(totals)

        def multiply(v: np.ndarray) -> np.ndarray:
            result = penalty * v
            for block in self._blocks(None):
                factors = self.row_factors(theta, block)
                products = np.einsum("nrd,nr->nd", factors, factors @ v)
                result += w[block] @ (scales[self.strata[block]] * products)
            return result

        return multiply

    def scores(self, theta: np.ndarray, w: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return d(gradient . v) / dw_i for all rows, in one pass.

        Where neither scales nor penalty depend on the weights, this is grad l_i . v.
        The shape is (n_rows,), or (n_rows, m) for several v in the columns of a matrix.
        """
        parts = [self.row_gradients(theta, block) @ v for block in self._blocks(None)]
        return np.concatenate(parts)

    def _blocks(self, rows: np.ndarray | None) -> Iterator[np.ndarray]:
        rows = np.arange(self.n_rows) if rows is None else np.asarray(rows)
        for start in range(0, len(rows), _BLOCK):
            yield rows[start : start + _BLOCK]

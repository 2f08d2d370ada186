"""What a classifier minimises, as a function of its parameters and of row weights."""

import numpy as np

from skunlearn.influence._objectives.sums import ObjectiveSums

__all__ = ["Objective"]


class Objective(ObjectiveSums):
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
        Length of ``theta``. A subclass sets it.
    is_quadratic : bool
        Whether one Newton step from anywhere ends in the optimum. A subclass sets it
        where that is so.
    tilt : ndarray of shape (n_params,), or None
        Linear part of the objective. Certified removal sets it; `penalise` and
        `penalty_gradient` add it.

    Notes
    -----
    With one weight ``w_i >= 0`` per row, the parameters in one vector ``theta``, and
    rows that fall into strata ``s(i)``, the objective is in sum form::

        J(theta; w) = sum_i w_i a[s(i)] l_i(theta) + 1/2 sum_d p[d] theta[d]^2

    where the scales ``a`` of the strata and the penalty ``p`` may depend on the
    weights, but only through their *totals*, which are sums over rows. So a row is
    removed by a weight of 0, or by subtracting what it added to the totals and the sums
    of its stratum.

    A subclass must set `n_params`, and give `read`, `write`, `losses`, `row_gradients`,
    `row_factors` and `penalty`. It may give

    - `check`, to refuse parameters that mean another objective;
    - `totals`, for a penalty or scales that depend on the weights, and `strata` and
      `scales` for the latter. Such a penalty needs `scores` of its own; scales other
      than 1 need `value` too;
    - `null_space`, where parameters can move without any change;
    - `decide` and `pull_back`, which ``method="puma"`` needs;
    - `compute_self_concordance`, without which bounds that hold come from the penalty
      alone, and `compute_change`, `compute_leverage` and `curvature_floor`, which make
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
    ...     def penalty(self, totals):
    ...         return np.ones(self.n_params)
    >>> X = np.array([[1.0], [-1.0]])
    >>> Logistic(None, X, np.array([1, 0])).gradient(np.zeros(1), np.ones(2))
    array([-1.])
    """

    # How far the curvature can be trusted

    def compute_self_concordance(self) -> float:
        """Return R with ``exp(-R |v|) H <= H' <= exp(R |v|) H`` for a move by v.

        May be given: by default it is 0 where `is_quadratic`, and else infinity, for
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

        May be given: by default it is ``R |v|``. It may take a pass over the rows.

        Parameters
        ----------
        v : ndarray of shape (n_params,)
            The move.

        Returns
        -------
        float
            An r with ``exp(-r) H <= H' <= exp(r) H`` along the whole move.
        """
        return self.compute_self_concordance() * float(np.linalg.norm(v))

    def compute_leverage(self, inverse: np.ndarray) -> float:
        """Return the constant of self-concordance for the norm of a Hessian.

        May be given: by default it is 0 where `is_quadratic`, and else infinity.

        Parameters
        ----------
        inverse : ndarray of shape (n_params, n_params)
            The inverse of the Hessian B of J, for some parameters and weights.

        Returns
        -------
        float
            What stands for R where a move is as long as ``sqrt(v @ B @ v)``. Where
            columns differ in scale, this tells more.
        """
        return 0.0 if self.is_quadratic else np.inf

    def curvature_floor(
        self, theta: np.ndarray, w: np.ndarray, radius: float = 0.0
    ) -> float:
        """Return a lower bound of J's curvature in all directions that change it.

        May be given: by default it is the least penalty. It may take a pass.

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
            The parameters.
        w : ndarray of shape (n_rows,)
            Weights of the rows.
        radius : float, default=0.0
            The distance from `theta` within which the bound has to hold.

        Returns
        -------
        float
            The bound; 0 where there is none.
        """
        return float(self.penalty(self.totals(w)).min(initial=np.inf))

    # What each row does

    def scores(self, theta: np.ndarray, w: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return ``d(gradient @ v) / dw_i`` for all rows.

        By default it is ``grad l_i @ v``: a subclass with scales, or whose penalty
        depends on the weights, has to give it.

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
            The parameters.
        w : ndarray of shape (n_rows,)
            Weights of the rows.
        v : ndarray of shape (n_params,) or (n_params, m)
            A vector, or several in the columns of a matrix.

        Returns
        -------
        ndarray of shape (n_rows,) or (n_rows, m)
            The scores, from one pass over the rows.
        """
        parts = [self.row_gradients(theta, block) @ v for block in self._blocks(None)]
        return np.concatenate(parts)

    def scores_and_pulls(
        self, theta: np.ndarray, w: np.ndarray, v: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the scores for each column of v, and where weights by them would pull.

        May be given, for one stratum whose scales are 1 and a penalty that does not
        depend on the weights: then ``method="puma"`` needs a pass less.

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
            The parameters.
        w : ndarray of shape (n_rows,)
            Weights of the rows.
        v : ndarray of shape (n_params, m)
            Vectors, in the columns.

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

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
            The parameters.
        w : ndarray of shape (n_rows,)
            Weights of all rows.
        inverse : ndarray of shape (n_params, n_params)
            The inverse of the Hessian of J.
        rows : ndarray of shape (n,), dtype int
            Positions of the rows.

        Returns
        -------
        ndarray of shape (n,)
            What `losses` returns for each row after the step that removes it alone.

        Notes
        -----
        With the factors F of a row's Hessian the step is ``inv(H - F.T F) g``, which
        takes the inverse of a small matrix (Woodbury).
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

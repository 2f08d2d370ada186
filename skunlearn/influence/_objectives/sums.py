"""Values, gradients, Hessians and products: sums over an objective's rows.

They follow from what single rows add, block by block. A subclass may give faster ones.
"""

from collections.abc import Callable, Iterator

import numpy as np

from skunlearn.influence._objectives.rows import ObjectiveRows

__all__ = ["ObjectiveSums"]

_BLOCK = 1024  # rows for which gradients are formed at once


class ObjectiveSums(ObjectiveRows):
    """The default sums over rows."""

    def value_and_gradient(
        self, theta: np.ndarray, w: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Return J(theta; w) and its gradient.

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
            The parameters.
        w : ndarray of shape (n_rows,)
            Weights of the rows.

        Returns
        -------
        value : float
            What `value` returns.
        gradient : ndarray of shape (n_params,)
            What `gradient` returns. One pass over the rows may give both.
        """
        return self.value(theta, w), self.gradient(theta, w)

    def value(self, theta: np.ndarray, w: np.ndarray) -> float:
        """Return J(theta; w).

        By default scales are 1; a subclass with others has to give it.

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
            The parameters.
        w : ndarray of shape (n_rows,)
            Weights of the rows.

        Returns
        -------
        float
            The value, `penalise` included.
        """
        losses = sum(w[b] @ self.losses(theta, b) for b in self._blocks(None))
        return float(losses + self.penalise(theta, self.totals(w)))

    def gradient(self, theta: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the gradient of J.

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
            The parameters.
        w : ndarray of shape (n_rows,)
            Weights of the rows.

        Returns
        -------
        ndarray of shape (n_params,)
            The gradient, `penalty_gradient` included.
        """
        totals = self.totals(w)
        return self.join_gradients(self.stratum_gradients(theta, w), totals, theta)

    def hessian(self, theta: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the Hessian of J.

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
            The parameters.
        w : ndarray of shape (n_rows,)
            Weights of the rows.

        Returns
        -------
        ndarray of shape (n_params, n_params)
            The Hessian, `penalty` included.
        """
        totals = self.totals(w)
        return self.join_hessians(self.stratum_hessians(theta, w), totals)

    def join_gradients(
        self, sums: np.ndarray, totals: np.ndarray, theta: np.ndarray
    ) -> np.ndarray:
        """Return the gradient of J from its sums over strata and the totals.

        Parameters
        ----------
        sums : ndarray of shape (n_strata, n_params)
            What `stratum_gradients` returns.
        totals : ndarray of shape (n_totals,)
            What `totals` tells of the weights.
        theta : ndarray of shape (n_params,)
            The parameters.

        Returns
        -------
        ndarray of shape (n_params,)
            The gradient.
        """
        scaled = (self.scales(totals) * sums).sum(axis=0)
        return scaled + self.penalty_gradient(theta, totals)

    def join_hessians(self, sums: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """Return the Hessian of J from its sums over strata and the totals.

        Parameters
        ----------
        sums : ndarray of shape (n_strata, n_params, n_params)
            What `stratum_hessians` returns.
        totals : ndarray of shape (n_totals,)
            What `totals` tells of the weights.

        Returns
        -------
        ndarray of shape (n_params, n_params)
            The Hessian, in a new array.
        """
        hessian = np.einsum("sd,sde->de", self.scales(totals), sums)
        hessian[np.diag_indices(self.n_params)] += self.penalty(totals)
        return hessian

    def stratum_gradients(
        self, theta: np.ndarray, w: np.ndarray, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the sums of ``w_i grad l_i`` over each stratum.

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
            The parameters.
        w : ndarray of shape (n_rows,)
            Weights of all rows.
        rows : ndarray of shape (n,), dtype int, default=None
            Positions of the rows to sum over; None is all.

        Returns
        -------
        ndarray of shape (n_strata, n_params)
            The sums, without the scales; 0 for a stratum without rows.
        """
        sums = np.zeros_like(self.scales(self.totals(w)))
        for block in self._blocks(rows):
            gradients = w[block, None] * self.row_gradients(theta, block)
            np.add.at(sums, self.strata[block], gradients)
        return sums

    def stratum_hessians(
        self, theta: np.ndarray, w: np.ndarray, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the sums of ``w_i F_i.T F_i`` over each stratum.

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
            The parameters.
        w : ndarray of shape (n_rows,)
            Weights of all rows.
        rows : ndarray of shape (n,), dtype int, default=None
            Positions of the rows to sum over; None is all.

        Returns
        -------
        ndarray of shape (n_strata, n_params, n_params)
            The sums, without the scales; 0 for a stratum without rows.
        """
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
        """Return both sums over strata, of gradients and of Hessians.

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
            The parameters.
        w : ndarray of shape (n_rows,)
            Weights of all rows.
        rows : ndarray of shape (n,), dtype int, default=None
            Positions of the rows to sum over; None is all.

        Returns
        -------
        gradients : ndarray of shape (n_strata, n_params)
            What `stratum_gradients` returns.
        hessians : ndarray of shape (n_strata, n_params, n_params)
            What `stratum_hessians` returns. One pass over the rows may give both.
        """
        gradients = self.stratum_gradients(theta, w, rows)
        return gradients, self.stratum_hessians(theta, w, rows)

    def diagonal(self, theta: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the diagonal of the Hessian.

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
            The parameters.
        w : ndarray of shape (n_rows,)
            Weights of the rows.

        Returns
        -------
        ndarray of shape (n_params,)
            The diagonal of what `hessian` returns, which is not formed.
        """
        totals = self.totals(w)
        scales, diagonal = self.scales(totals), self.penalty(totals).copy()
        for block in self._blocks(None):
            squares = (self.row_factors(theta, block) ** 2).sum(1)
            diagonal += w[block] @ (scales[self.strata[block]] * squares)
        return diagonal

    def product(
        self, theta: np.ndarray, w: np.ndarray
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Return the function v -> H v, which knows what does not depend on v.

        Parameters
        ----------
        theta : ndarray of shape (n_params,)
            The parameters.
        w : ndarray of shape (n_rows,)
            Weights of the rows.

        Returns
        -------
        callable
            Takes a vector v and returns a new one, both of shape (n_params,), in a pass
            over the rows. H is what `hessian` returns, which is not formed.
        """
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

    def _blocks(self, rows: np.ndarray | None) -> Iterator[np.ndarray]:
        rows = np.arange(self.n_rows) if rows is None else np.asarray(rows)
        for start in range(0, len(rows), _BLOCK):
            yield rows[start : start + _BLOCK]

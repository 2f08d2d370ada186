"""Cholesky factors of Hessians, whatever the scale of their columns."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs, dtrtri

__all__ = ["Factor", "factorise", "factorise_somehow"]

_EPS = float(np.finfo(float).eps)
_MIN_CURVATURE = 1e-200  # curvature by which nothing can be divided
_JITTERS = (0.0, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 1.0)


@dataclass(frozen=True)
class Factor:
    """A factorised Hessian.

    Parameters
    ----------
    triangle : ndarray of shape (n_params, n_params)
        Lower Cholesky factor of the Hessian with a diagonal of ones, 0 above it.
    roots : ndarray of shape (n_params,)
        Roots of the Hessian's own diagonal.
    null_space : ndarray of shape (m, n_params)
        Orthonormal directions in which nothing is solved.
    """

    triangle: np.ndarray
    roots: np.ndarray
    null_space: np.ndarray

    def solve(self, b: np.ndarray) -> np.ndarray:
        """Return x with H x = b outside the null space; b may have several columns."""
        roots, N = self.roots if b.ndim == 1 else self.roots[:, None], self.null_space
        x = (b - N.T @ (N @ b) if len(N) else b) / roots
        if x.size:
            x, _ = dpotrs(self.triangle, x, lower=True, overwrite_b=True)
        x = x / roots
        return x - N.T @ (N @ x) if len(N) else x

    @cached_property
    def inverse_root(self) -> np.ndarray:
        """Return G with inverse(H) = G.T G, the null space as if it were filled."""
        if not len(self.roots):
            return np.empty((0, 0))
        root, _ = dtrtri(self.triangle, lower=True)  # scipy has no wrapper of it
        return root / self.roots


def factorise(
    hessian: np.ndarray,
    null_space: np.ndarray | None = None,
    *,
    damping: float = 0.0,
    jitter: float = 0.0,
) -> Factor:
    """Factorise a positive semidefinite Hessian.

    Parameters
    ----------
    hessian : ndarray of shape (n_params, n_params)
        The Hessian. It is not changed.
    null_space : ndarray of shape (m, n_params), default=None
        Orthonormal directions known to be in the null space; None is none of them.
    damping : float, default=0.0
        What to add to the diagonal.
    jitter : float, default=0.0
        What to add to the diagonal in units of the diagonal itself.

    Returns
    -------
    Factor
        The factor.

    Raises
    ------
    numpy.linalg.LinAlgError
        If there are other null directions, to working precision.
    """
    n = len(hessian)
    diagonal = hessian.diagonal()
    if null_space is None or not len(null_space):
        null_space, filled = np.zeros((0, n)), hessian
    else:
        fill = null_space**2 @ diagonal  # as large as what it stands among
        fill = np.where(fill > 0, fill, diagonal.max())
        filled = hessian + (null_space.T * fill) @ null_space
    diagonal = filled.diagonal() + damping
    roots = np.sqrt(np.where(diagonal > _MIN_CURVATURE, diagonal, 1.0))
    scaled = filled / roots
    scaled /= roots[:, None]
    scaled.flat[:: n + 1] = diagonal / roots / roots + jitter
    if not n:
        return Factor(scaled, roots, null_space)
    # scipy's wrappers take longer than the factor of a small matrix.
    triangle, info = dpotrf(scaled.T, lower=True, overwrite_a=True)
    least = float(triangle.diagonal().min())
    if info or not np.isfinite(triangle[-1, -1]) or least**2 < n * _EPS:
        raise np.linalg.LinAlgError(_explain())
    return Factor(triangle, roots, null_space)


def factorise_somehow(
    hessian: np.ndarray, null_space: np.ndarray, damping: float = 0.0
) -> tuple[Factor, float]:
    """Factorise a Hessian with as little added to its diagonal as is needed.

    Returns
    -------
    factor : Factor
        The factor.
    jitter : float
        What was added to the diagonal, in units of the diagonal.

    Raises
    ------
    numpy.linalg.LinAlgError
        If nothing helps: the Hessian is not finite, or far from semidefinite.
    """
    for jitter in _JITTERS:
        try:
            factor = factorise(hessian, null_space, damping=damping, jitter=jitter)
        except np.linalg.LinAlgError:
            if jitter == _JITTERS[-1]:
                raise
        else:
            break
    return factor, jitter


def _explain() -> str:
    return (
        "the Hessian is singular: columns are linearly dependent and not penalised, or "
        "there is no finite optimum. Add a penalty, drop such columns, or set damping."
    )

"""Cholesky factors of Hessians, whatever the scale of their columns."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.lapack import dtrtri

__all__ = ["Factor", "factorise", "factorise_somehow"]

_MIN_CURVATURE = 1e-200  # curvature by which nothing can be divided
_JITTERS = (0.0, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 1.0)


@dataclass(frozen=True)
class Factor:
    """A factorised Hessian.

    Parameters
    ----------
    triangle : ndarray of shape (n_params, n_params)
        Lower Cholesky factor of the Hessian with a diagonal of ones; what is above the
        diagonal means nothing.
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
        roots = self.roots if b.ndim == 1 else self.roots[:, None]
        b = b - self.null_space.T @ (self.null_space @ b)
        x = b / roots
        if len(b):
            x = cho_solve((self.triangle, True), x, check_finite=False)
        x = x / roots
        return x - self.null_space.T @ (self.null_space @ x)

    @cached_property
    def inverse_root(self) -> np.ndarray:
        """Return G with inverse(H) = G.T G, the null space as if it were filled."""
        if not len(self.roots):
            return np.empty((0, 0))
        root, _ = dtrtri(self.triangle, lower=True)  # scipy has no wrapper of it
        return np.tril(root) / self.roots


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
    null_space = np.zeros((0, n)) if null_space is None else null_space
    fill = null_space**2 @ np.diag(hessian)  # as large as what it stands among
    fill = np.where(fill > 0, fill, np.diag(hessian).max(initial=0))
    filled = hessian + (null_space.T * fill) @ null_space
    diagonal = np.diag(filled) + damping
    roots = np.sqrt(np.where(diagonal > _MIN_CURVATURE, diagonal, 1.0))
    filled[np.diag_indices(n)] = diagonal
    filled /= roots
    filled /= roots[:, None]
    filled[np.diag_indices(n)] += jitter
    if not n:
        return Factor(filled, roots, null_space)
    try:
        triangle, _ = cho_factor(filled.T, True, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError:
        raise np.linalg.LinAlgError(_explain()) from None
    least = float(np.diag(triangle).min())
    if not np.isfinite(triangle[-1, -1]) or least**2 < n * np.finfo(float).eps:
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

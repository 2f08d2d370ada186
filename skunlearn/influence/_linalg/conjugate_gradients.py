"""Preconditioned conjugate gradients, which say how far they have got.

Those of scipy divide by ``p @ H @ p`` where it is 0 or rounding, as it is for separable
classes, and leave out neither null directions nor the count of products.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["Solution", "conjugate_gradients"]


@dataclass(frozen=True)
class Solution:
    """What conjugate gradients have found.

    Parameters
    ----------
    x : ndarray of shape (n_params,)
        The best that was found: everything up to where it stopped.
    relative_residual : float
        Norm of b - H x, recomputed, relative to that of b.
    n_iter : int
        Number of products with H, the last for the residual not counted.
    status : {"converged", "max_iter", "negative_curvature"}
        Why it stopped. With "max_iter" or "negative_curvature" x may be far off.
    """

    x: np.ndarray
    relative_residual: float
    n_iter: int
    status: Literal["converged", "max_iter", "negative_curvature"]


def conjugate_gradients(
    product: Callable[[np.ndarray], np.ndarray],
    b: np.ndarray,
    *,
    diagonal: np.ndarray | None = None,
    precondition: Callable[[np.ndarray], np.ndarray] | None = None,
    null_space: np.ndarray | None = None,
    damping: float = 0.0,
    tol: float = 1e-8,
    max_iter: int = 200,
) -> Solution:
    """Solve (H + damping) x = b from products with H.

    Parameters
    ----------
    product : callable
        Returns H v.
    b : ndarray of shape (n_params,)
        The right-hand side.
    diagonal : ndarray of shape (n_params,), default=None
        Diagonal of H, by which to precondition.
    precondition : callable, default=None
        Multiplies by a better approximation of H's inverse than the diagonal's.
    null_space : ndarray of shape (m, n_params), default=None
        Orthonormal directions known to be in H's null space: x has nothing there.
    damping : float, default=0.0
        What to add to the diagonal of H.
    tol : float, default=1e-8
        The relative residual to reach.
    max_iter : int, default=200
        The largest number of products.

    Returns
    -------
    Solution
        The solution and how good it is. Nothing is raised or warned about.
    """
    N = np.zeros((0, len(b))) if null_space is None else null_space
    M = np.ones_like(b) if diagonal is None else diagonal + damping
    M = np.where(M > 0, M, 1.0)
    approximate = precondition or (lambda v: v / M)

    def multiply(v: np.ndarray) -> np.ndarray:
        return product(v) + damping * v

    def project(v: np.ndarray) -> np.ndarray:
        return v - N.T @ (N @ v)

    b = project(b)
    size = float(np.linalg.norm(b))
    x = np.zeros_like(b)
    if size == 0:
        return Solution(x, 0.0, 0, "converged")
    status: Literal["converged", "max_iter", "negative_curvature"] = "max_iter"
    r, n_iter = b.copy(), 0
    p = z = project(approximate(r))
    rho = r @ z
    while n_iter < max_iter:
        Hp, n_iter = multiply(p), n_iter + 1
        curvature = p @ Hp
        if not curvature > np.finfo(float).eps * (p @ (M * p)):
            status = "negative_curvature"
            break
        x += (rho / curvature) * p
        r -= (rho / curvature) * Hp
        if np.linalg.norm(r) <= tol * size:
            status = "converged"
            break
        z = project(approximate(r))
        rho, previous = r @ z, rho
        if rho == 0:  # too small a number to divide by
            break
        p = z + (rho / previous) * p
    residual = float(np.linalg.norm(b - multiply(x)) / size) if x.any() else 1.0
    if status == "converged" and residual > 10 * tol:  # rounding has the last word
        status = "max_iter"
    return Solution(x, residual, n_iter, status)

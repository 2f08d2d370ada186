"""The parameters of influence unlearning that its parts need."""

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Settings"]

_CLOSE = 1e-6  # of a standard error


@dataclass(frozen=True)
class Settings:
    """How to move parameters, and how far they may be from the optimum.

    Parameters
    ----------
    method : {"puma", "newton", "influence"}
        What a forget does.
    solver : {"cholesky", "cg"}
        Whether Hessians are formed.
    hessian : {"retained", "original"}
        Of which rows the Hessian of PUMA's linear step is.
    damping : float
        What is added to the diagonals of Hessians.
    exact : {"auto", True, False}
        Whether parameters are a function of the retained rows alone.
    tol : float
        The largest distance to the optimum of a patch, in the norm of the Hessian.
    max_iter : int
        The largest number of products with a Hessian for a step.
    n_steps : "auto" or int
        Number of steps of a forget.
    eta : "auto" or float
        How PUMA finds weights; a number is the share of its linear step.
    max_weight, max_reabsorption : float
        Limits of PUMA's weights.
    """

    method: str
    solver: Literal["cholesky", "cg"]
    hessian: str = "retained"
    damping: float = 0.0
    exact: Any = "auto"
    tol: float = 0.01
    max_iter: int = 200
    n_steps: Any = "auto"
    eta: Any = "auto"
    max_weight: float = 1.0
    max_reabsorption: float = 0.25

    @property
    def goal(self) -> float:
        """Return the distance to reach: what is compared with a criterion is nearer."""
        return self.tol if self.method == "newton" else min(self.tol, _CLOSE)

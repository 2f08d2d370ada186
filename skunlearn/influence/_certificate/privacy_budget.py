"""Certified removal: noise in the objective that hides what a removal leaves behind.

C. Guo, T. Goldstein, A. Hannun, L. van der Maaten, "Certified Data Removal from Machine
Learning Models", ICML 2020, :arxiv:`1911.03030`, theorem 3. Their bound of the residual
is replaced by the residual itself, which a pass over the rows tells.
"""

import math
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np

__all__ = ["Budget", "make_budget"]


@dataclass(frozen=True)
class Budget:
    """How far from its optimum a model may be, so that noise hides the difference.

    Parameters
    ----------
    epsilon, delta : float
        The removal is then (epsilon, delta)-indistinguishable from a new fit.
    noise_scale : float
        Standard deviation of each element of the linear part of the objective.
    key : int
        Seed of that part.
    n_draws : int, default=0
        How often it was drawn.
    """

    epsilon: float
    delta: float
    noise_scale: float
    key: int
    n_draws: int = 0

    @property
    def allowed(self) -> float:
        """Return the largest norm of the gradient that is certified."""
        return (
            self.noise_scale * self.epsilon / math.sqrt(2 * math.log(1.5 / self.delta))
        )

    def draw_linear_term(self, n_params: int) -> np.ndarray:
        """Draw the linear part of the objective of this fit."""
        generator = np.random.default_rng([self.key, self.n_draws])
        return self.noise_scale * generator.standard_normal(n_params)

    def renewed(self) -> "Budget":
        """Return the budget of a new fit."""
        return replace(self, n_draws=self.n_draws + 1)


def make_budget(certify: Any, noise_scale: float, key: int) -> Budget | None:
    """Return the budget that the parameters ask for, None if for none."""
    if certify is None:
        return None
    epsilon, delta = _check_certify(certify)
    return Budget(epsilon, delta, float(noise_scale), key)


def _check_certify(certify: Any) -> tuple[float, float]:
    is_pair = len(certify) == 2 and all(isinstance(v, Real) for v in certify)
    if not is_pair or not (certify[0] > 0 and 0 < certify[1] < 1):
        raise ValueError(
            "certify must be (epsilon, delta) with epsilon > 0 and 0 < delta < 1; got "
            f"{certify!r}."
        )
    return float(certify[0]), float(certify[1])

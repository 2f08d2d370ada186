"""What PUMA weighs up, always measured: a criterion, and the removal of some rows."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from skunlearn.influence._criteria import Validation
from skunlearn.influence._objectives.base import Objective

__all__ = ["Goals"]

_CAP_SLACK = 0.005  # share of the removal by which the cap may be passed


@dataclass(frozen=True)
class Goals:
    """The criterion and the mean loss on the forget set, as functions of parameters.

    Parameters
    ----------
    objective : Objective
        The objective.
    validation : Validation
        The criterion and its rows.
    rows : ndarray
        The forget set.
    start : float
        The criterion that is to be held.
    retrained : float
        The criterion at the optimum of the retained rows.
    loss_before, loss_retrained : float
        Mean loss on the forget set before the request, and at that optimum.
    max_reabsorption : float
        Share of the rise of this loss that may be undone.
    """

    objective: Objective
    validation: Validation
    rows: np.ndarray
    start: float
    retrained: float
    loss_before: float
    loss_retrained: float
    max_reabsorption: float

    @classmethod
    def measure(
        cls,
        objective: Objective,
        validation: Validation,
        rows: np.ndarray,
        start: float,
        before: np.ndarray,
        retrained: np.ndarray,
        max_reabsorption: float,
    ) -> "Goals":
        """Measure parameters before the request, and those of the retained rows."""
        value = validation.value(objective, retrained)
        losses = [objective.losses(theta, rows).mean() for theta in (before, retrained)]
        return cls(
            objective,
            validation,
            rows,
            start,
            value,
            float(losses[0]),
            float(losses[1]),
            max_reabsorption,
        )

    @property
    def harm(self) -> float:
        """Return how much retraining worsens the criterion."""
        return self.retrained - self.start

    @property
    def rise(self) -> float:
        """Return how much retraining raises the loss on the forget set."""
        return self.loss_retrained - self.loss_before

    @property
    def least_loss(self) -> float | None:
        """Return the least loss on the forget set that the cap allows; None is any."""
        if self.max_reabsorption >= 1:
            return None
        if self.rise <= 0:
            return self.loss_retrained
        return self.loss_before + (1 - self.max_reabsorption) * self.rise

    def criterion(self, theta: np.ndarray) -> float:
        """Return the criterion."""
        return self.validation.value(self.objective, theta)

    def criterion_gradient(self, theta: np.ndarray) -> np.ndarray:
        """Return its gradient."""
        return self.validation.gradient(self.objective, theta)

    def loss(self, theta: np.ndarray) -> float:
        """Return the mean loss on the forget set."""
        return float(self.objective.losses(theta, self.rows).mean())

    def loss_gradient(self, theta: np.ndarray) -> np.ndarray:
        """Return its gradient."""
        ones = np.broadcast_to(1.0, self.objective.n_rows)
        sums = self.objective.gradients_by_group(theta, ones, self.rows)
        return sums.sum(axis=0) / len(self.rows)

    @property
    def gradients(self) -> tuple[Callable[[np.ndarray], np.ndarray], ...]:
        """Return both gradients, as functions of the parameters."""
        return self.criterion_gradient, self.loss_gradient

    def measure_kept(self, theta: np.ndarray) -> float | None:
        """Return which share of the removal is left; None if there was no rise."""
        if not self.rise > 0:
            return None
        return (self.loss(theta) - self.loss_before) / self.rise

    def measure_miss(self, theta: np.ndarray) -> float:
        """Return the share of the harm that is left; infinity where the cap is passed.

        To pass the criterion in the other direction is a miss, too.
        """
        least = self.least_loss
        if least is not None and self.loss(theta) < least - _CAP_SLACK * abs(self.rise):
            return math.inf
        return abs(self.criterion(theta) - self.start) / self.harm

"""The parameters of linear classifiers in one form."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from skunlearn.influence._objectives.losses import Loss

__all__ = ["ClassBalance", "LinearObjectiveSpec", "read_class_weights"]


@dataclass(frozen=True)
class LinearObjectiveSpec:
    """What a linear classifier minimises over coefficients W and intercepts b.

        loss_factor * sum_i sample_weight_i class_weight_i loss(W x_i + b)
        + 1/2 coef_penalty |W|^2 + 1/2 intercept_penalty |b|^2

    Parameters
    ----------
    loss : Loss
        The loss of a row.
    loss_factor, coef_penalty, intercept_penalty : float
        As in the formula.
    penalty_per_row : bool
        Whether the penalties are multiplied by the number of rows.
    one_vs_rest : bool
        Whether a class weight counts in the output of that class alone, and not where
        a row of the class is one of the rest.
    balance_weighted : bool
        Whether "balanced" weighs classes by their rows' sample weights, or counts rows.
    """

    loss: Loss
    loss_factor: float = 1.0
    coef_penalty: float = 1.0
    intercept_penalty: float = 0.0
    penalty_per_row: bool = False
    one_vs_rest: bool = False
    balance_weighted: bool = False


@dataclass(frozen=True)
class ClassBalance:
    """The weights of classes that are "balanced" from the rows that are there.

    Parameters
    ----------
    counts_in : ndarray of shape (n_classes, n_outputs), dtype bool
        Whether the class's weight counts in the output. Elsewhere it is 1.
    """

    counts_in: np.ndarray

    @property
    def is_shared(self) -> bool:
        """Return True if all outputs have the same scales."""
        return bool(self.counts_in.all())

    def compute(self, counts: np.ndarray) -> np.ndarray:
        """Return the scales from the weight of each class, in each output."""
        there = counts > 0  # a class without rows is not counted, and weighs nothing
        weights = np.zeros_like(counts)
        weights[there] = counts.sum() / (there.sum() * counts[there])
        return _scale(weights, self.counts_in)

    def differentiate(self, counts: np.ndarray, sums: np.ndarray) -> np.ndarray:
        """Return d(sum of scales * sums) / d counts.

        `sums` has shape (n_classes, n_outputs) and is held fixed.
        """
        there = counts > 0
        slopes = np.zeros(len(counts))
        own = (self.counts_in * sums).sum(axis=1)[there] / there.sum()
        slopes[there] = -own * counts.sum() / counts[there] ** 2
        return slopes + (own / counts[there]).sum()


def read_class_weights(
    estimator: Any, n_outputs: int, one_vs_rest: bool
) -> tuple[np.ndarray | None, ClassBalance | None]:
    """Read the class weights of a fitted estimator: fixed scales, or balanced ones.

    Fixed scales have shape (n_classes, n_outputs) or, if all outputs have the same,
    (n_classes, 1); None if all are 1.
    """
    classes, given = estimator.classes_, estimator.class_weight
    counts_in = np.ones((len(classes), n_outputs), dtype=bool)
    if one_vs_rest and n_outputs > 1:
        counts_in = np.eye(len(classes), dtype=bool)
    if isinstance(given, str):
        return None, ClassBalance(counts_in)
    weights = compute_class_weight(given, classes=classes, y=classes)
    if (weights == 1).all():
        return None, None
    scales = _scale(weights, counts_in)
    return scales[:, :1] if counts_in.all() else scales, None


def _scale(weights: np.ndarray, counts_in: np.ndarray) -> np.ndarray:
    return np.where(counts_in, weights[:, None], 1.0)

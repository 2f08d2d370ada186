"""The parameters of linear classifiers in one form."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from skunlearn.influence._objectives.losses import Loss

__all__ = ["ClassScales", "LinearForm"]


@dataclass(frozen=True)
class LinearForm:
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
class ClassScales:
    """The weight of each class in each output, where "balanced" from weighted counts.

    Parameters
    ----------
    counts_in : ndarray of shape (n_classes, n_outputs), dtype bool
        Whether the class's weight counts in the output. Elsewhere it is 1.
    weights : ndarray of shape (n_classes,), or None
        Fixed class weights; None is "balanced".
    """

    counts_in: np.ndarray
    weights: np.ndarray | None

    @classmethod
    def of(cls, estimator: Any, n_outputs: int, one_vs_rest: bool) -> "ClassScales":
        """Read the class weights of a fitted estimator."""
        n_classes = len(estimator.classes_)
        counts_in = np.ones((n_classes, n_outputs), dtype=bool)
        if one_vs_rest and n_outputs > 1:
            counts_in = np.eye(n_classes, dtype=bool)
        given = estimator.class_weight
        if isinstance(given, str):
            return cls(counts_in, None)
        classes = estimator.classes_
        return cls(counts_in, compute_class_weight(given, classes=classes, y=classes))

    @property
    def is_balanced(self) -> bool:
        """Whether the scales depend on the rows that are there."""
        return self.weights is None

    @property
    def is_trivial(self) -> bool:
        """Whether all scales are always 1."""
        return self.weights is not None and bool((self.weights == 1).all())

    def compute(self, counts: np.ndarray | None = None) -> np.ndarray:
        """Return the scales, shape (n_classes, n_outputs); "balanced" needs counts."""
        weights = self.weights
        if weights is None:
            assert counts is not None
            there = (
                counts > 0
            )  # a class without rows is not counted, and weighs nothing
            weights = np.zeros(len(counts))
            weights[there] = counts.sum() / (there.sum() * counts[there])
        return np.where(self.counts_in, weights[:, None], 1.0)

    def differentiate(self, counts: np.ndarray, sums: np.ndarray) -> np.ndarray:
        """Return d(sum of scales * sums) / d counts, for balanced scales.

        `sums` has shape (n_classes, n_outputs) and is held fixed.
        """
        there = counts > 0
        slopes = np.zeros(len(counts))
        own = (self.counts_in * sums).sum(axis=1)[there] / there.sum()
        slopes[there] = -own * counts.sum() / counts[there] ** 2
        return slopes + (own / counts[there]).sum()

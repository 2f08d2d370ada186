"""What a removal is to leave unchanged: criteria on rows that were not trained on."""

import math
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax

from skunlearn.influence._objectives.base import Objective

__all__ = ["CRITERIA", "Criterion", "Validation", "find_criterion"]


class Criterion(Protocol):
    """A differentiable function of what is predicted; the less, the better.

    `decision` is what ``decision_function`` returns: shape (n,) for two classes, or
    (n, n_classes). `y` are the labels of these rows.
    """

    def value(self, decision: np.ndarray, y: np.ndarray) -> float:
        """Return the criterion."""

    def gradient(self, decision: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return its derivatives by the decision values, in their shape."""


class _Named:
    """A criterion that is known by its name. It takes codes for labels."""

    def value(self, decision: np.ndarray, y: np.ndarray) -> float:
        return float(self._values(_gain(decision, y)).mean())

    def gradient(self, decision: np.ndarray, y: np.ndarray) -> np.ndarray:
        slopes = self._slopes(_gain(decision, y)) / len(y)
        return (
            slopes * _differentiate_gain(decision, y)
            if decision.ndim == 1
            else (slopes[:, None] * _differentiate_gain(decision, y))
        )

    def _values(self, gain: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _slopes(self, gain: np.ndarray) -> np.ndarray:
        raise NotImplementedError


def _gain(decision: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the log odds of each row's own class."""
    if decision.ndim == 1:
        return np.where(codes == 1, decision, -decision)
    log_p = log_softmax(decision, axis=1)[np.arange(len(codes)), codes]
    return log_p - np.log(np.maximum(-np.expm1(log_p), np.finfo(float).tiny))


def _differentiate_gain(decision: np.ndarray, codes: np.ndarray) -> np.ndarray:
    if decision.ndim == 1:
        return np.where(codes == 1, 1.0, -1.0)
    own = np.arange(len(codes)), codes
    others = decision.copy()
    others[own] = -np.inf
    slopes = -softmax(others, axis=1)
    slopes[own] = 1.0
    return slopes


class _LogLoss(_Named):
    """The mean log loss of the logistic function, or of the softmax."""

    def _values(self, gain: np.ndarray) -> np.ndarray:
        return -log_expit(gain)

    def _slopes(self, gain: np.ndarray) -> np.ndarray:
        return -expit(-gain)


class _Accuracy(_Named):
    """The mean probability of the wrong classes: the share of errors, made smooth."""

    def _values(self, gain: np.ndarray) -> np.ndarray:
        return expit(-gain)

    def _slopes(self, gain: np.ndarray) -> np.ndarray:
        return -expit(gain) * expit(-gain)


CRITERIA = {"log_loss": _LogLoss, "accuracy": _Accuracy}


def find_criterion(criterion: Any) -> Criterion:
    """Return the criterion of a name, or the object itself."""
    return CRITERIA[criterion]() if isinstance(criterion, str) else criterion


@dataclass(frozen=True)
class Validation:
    """A criterion and the rows that it is computed on.

    Parameters
    ----------
    criterion : Criterion
        The criterion.
    X : {ndarray, CSR} of shape (n_rows, n_features)
        The rows, as the objective takes them.
    codes : ndarray of shape (n_rows,)
        Where the label of each is in `classes`.
    classes : ndarray of shape (n_classes,)
        The labels.
    """

    criterion: Criterion
    X: Any
    codes: np.ndarray
    classes: np.ndarray

    def value(self, objective: Objective, theta: np.ndarray) -> float:
        """Return the criterion for some parameters."""
        value = float(
            self.criterion.value(objective.decision_function(theta, self.X), self._y)
        )
        if not math.isfinite(value):
            raise ValueError(f"criterion.value returned {value}, expected a number.")
        return value

    def gradient(self, objective: Objective, theta: np.ndarray) -> np.ndarray:
        """Return its gradient by the parameters, shape (n_params,)."""
        decision = objective.decision_function(theta, self.X)
        slopes = np.asarray(self.criterion.gradient(decision, self._y), dtype=float)
        if slopes.shape != decision.shape:
            raise ValueError(
                f"criterion.gradient returned shape {slopes.shape}, expected that of "
                f"the decision values, {decision.shape}."
            )
        if not np.isfinite(slopes).all():
            raise ValueError("criterion.gradient returned NaN or infinity.")
        return objective.decision_vjp(theta, self.X, slopes)

    def within(self, classes: np.ndarray) -> "Validation | None":
        """Return the rows whose labels are among some classes, in their codes."""
        if np.array_equal(classes, self.classes):
            return self
        there = np.isin(self.classes[self.codes], classes)
        kept = self.select(np.flatnonzero(there))
        if not len(kept.codes):
            return None
        codes = np.searchsorted(classes, kept.classes[kept.codes])
        return replace(kept, codes=codes, classes=classes)

    def select(self, indices: np.ndarray) -> "Validation":
        """Return some of the rows."""
        return replace(self, X=self.X[indices], codes=self.codes[indices])

    @property
    def _y(self) -> np.ndarray:
        return (
            self.codes
            if isinstance(self.criterion, _Named)
            else (self.classes[self.codes])
        )

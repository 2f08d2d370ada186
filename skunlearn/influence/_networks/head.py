"""The last layer of a network as a classifier of its own, on frozen features."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from skunlearn.influence._objectives.linear import LinearObjective
from skunlearn.influence._objectives.linear_form import LinearObjectiveSpec
from skunlearn.influence._objectives.losses import LogLoss, Softmax
from skunlearn.influence._objectives.registry import register_objective

__all__ = ["DEFAULT_DECAY", "Head", "HeadObjective"]

DEFAULT_DECAY = 1e-4  # of a network without weight decay, beside a mean loss


class Head(ClassifierMixin, BaseEstimator):
    """The last layer of a network, as a logistic regression on its input.

    Parameters
    ----------
    penalty : float
        Weight decay of the weights of an output: half their squared norm, times this,
        is added to the sum of the losses.
    intercept_penalty : float, default=0.0
        The same for the bias.
    penalty_per_row : bool, default=False
        Whether both are multiplied by the number of rows.
    fit_intercept : bool, default=True
        Whether the layer has a bias.
    class_weight : dict, default=None
        Weights of the losses of classes.
    outputs : tuple of int, default=None
        The output of the network for each class; None if a class more is an output
        more. Two classes with an output each share the weights of one decision.
    """

    def __init__(
        self,
        penalty: float,
        *,
        intercept_penalty: float = 0.0,
        penalty_per_row: bool = False,
        fit_intercept: bool = True,
        class_weight: Any = None,
        outputs: tuple[int, ...] | None = None,
    ) -> None:
        self.penalty = penalty
        self.intercept_penalty = intercept_penalty
        self.penalty_per_row = penalty_per_row
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.outputs = outputs

    def fit(self, X: Any, y: np.ndarray, sample_weight: Any = None) -> "Head":
        """Fit the layer nearly: Newton steps to the optimum follow."""
        penalty = self.penalty * (X.shape[0] if self.penalty_per_row else 1)
        start = LogisticRegression(
            C=1 / penalty,
            fit_intercept=self.fit_intercept,
            class_weight=self.class_weight,
        ).fit(X, y, sample_weight)
        self.classes_ = start.classes_
        self.coef_, self.intercept_ = start.coef_, start.intercept_
        return self

    def without_classes(self, there: np.ndarray) -> "Head":
        """Return an unfitted head for some of the classes, by a mask."""
        params = self.get_params(deep=False)
        if self.outputs is not None:
            outputs = zip(self.outputs, there, strict=True)
            params["outputs"] = tuple(output for output, kept in outputs if kept)
        return Head(**params)

    def spread(self, n_outputs: int) -> tuple[np.ndarray, np.ndarray]:
        """Return weights and biases of all outputs; those without a class never win."""
        coef, intercept = self.coef_, np.ravel(self.intercept_)
        if self.outputs is None:
            return coef, intercept
        if len(self.outputs) == 2:  # the decision is the difference of both
            coef = np.concatenate([-coef, coef]) / 2
            intercept = np.concatenate([-intercept, intercept]) / 2
        weights = np.zeros((n_outputs, coef.shape[1]))
        biases = np.full(n_outputs, _NEVER)
        weights[list(self.outputs)], biases[list(self.outputs)] = coef, intercept
        return weights, biases


_NEVER = -1e4  # a logit whose probability is 0 in any precision


@register_objective(Head)
class HeadObjective(LinearObjective):
    """The log loss of the last layer, plus its weight decay."""

    def _make_spec(self, estimator: Any) -> LinearObjectiveSpec:
        is_binary = len(estimator.classes_) == 2
        # Of two outputs with opposite weights, one decision has half the penalty.
        share = 0.5 if is_binary and estimator.outputs is not None else 1.0
        return LinearObjectiveSpec(
            LogLoss() if is_binary else Softmax(),
            coef_penalty=share * estimator.penalty,
            intercept_penalty=share * estimator.intercept_penalty,
            penalty_per_row=estimator.penalty_per_row,
        )

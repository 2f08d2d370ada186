"""Give a classifier that wants the labels 0, 1, ... what it wants, in any shard."""

import copy
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if

from skunlearn._estimators.nested import iterate_parts

__all__ = ["CodedClassifier", "needs_codes"]


def needs_codes(estimator: Any) -> bool:
    """Whether an estimator is or holds one that takes no labels but 0, 1, ..."""
    xgboost = sys.modules.get("xgboost")
    return xgboost is not None and any(
        isinstance(part, xgboost.XGBClassifier) for _, part in iterate_parts(estimator)
    )


def _has(method: str) -> Callable[[Any], bool]:
    """Make a check that the estimator inside has a method."""

    def check(self: "CodedClassifier") -> bool:
        getattr(getattr(self, "estimator_", self.estimator), method)
        return True

    return check


class CodedClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """A classifier that is trained on the codes 0, 1, ... of the classes that it meets.

    Parameters
    ----------
    estimator : classifier
        The classifier; a clone of it is trained.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: Any, y: np.ndarray, **fit_params: Any) -> "CodedClassifier":
        """Train on the codes of the labels."""
        self.classes_ = np.unique(y)
        codes, fit_params = self.encode(y, fit_params)
        self.estimator_ = clone(self.estimator).fit(X, codes, **fit_params)
        return self

    def encode(
        self, y: np.ndarray, fit_params: dict[str, Any]
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the codes of labels, and keywords of fit with those of their own."""
        evaluation = {
            name: [(V, np.searchsorted(self.classes_, v)) for V, v in pairs or ()]
            for name, pairs in fit_params.items()
            if name.endswith("eval_set")
        }
        return np.searchsorted(self.classes_, y), fit_params | evaluation

    def with_fitted(self, estimator: Any) -> "CodedClassifier":
        """Return the classifier with another fitted one inside, of the same classes."""
        other = copy.copy(self)
        other.estimator_ = estimator
        return other

    def predict(self, X: Any) -> np.ndarray:
        """Return labels."""
        codes = np.asarray(self.estimator_.predict(X)).astype(np.intp)
        return self.classes_[codes.ravel()]

    @available_if(_has("predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class."""
        return self.estimator_.predict_proba(X)

    @available_if(_has("decision_function"))
    def decision_function(self, X: Any) -> np.ndarray:
        """Return the decision values of the classes."""
        return self.estimator_.decision_function(X)

    def __sklearn_tags__(self) -> Any:
        """Return the tags of the estimator inside."""
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        return tags

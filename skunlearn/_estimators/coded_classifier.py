"""Give a classifier that wants the labels 0, 1, ... what it wants, in any shard."""

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
        self.classes_, codes = np.unique(y, return_inverse=True)
        for name in (name for name in fit_params if name.endswith("eval_set")):
            pairs = fit_params[name] or ()
            fit_params[name] = [
                (V, np.searchsorted(self.classes_, v)) for V, v in pairs
            ]
        self.estimator_ = clone(self.estimator).fit(X, codes, **fit_params)
        return self

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

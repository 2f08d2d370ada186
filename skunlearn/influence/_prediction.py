"""Predictions of an influence classifier: those of the fitted estimator."""

from typing import Any

import numpy as np
from sklearn.utils.metaestimators import available_if

from skunlearn._base import BaseUnlearningClassifier
from skunlearn.influence._state import State
from skunlearn.influence._validation import check_samples, transform_others

__all__ = ["PredictionMixin"]


def _estimator_has(method: str) -> Any:
    """Return the check that the wrapped estimator has a method."""

    def check(self: Any) -> bool:
        is_fitted = self.__sklearn_is_fitted__()
        # Not the fitted one: a class that is left alone makes a constant of the base.
        getattr(self._state.described if is_fitted else self._get_base(), method)
        return True

    return check


class PredictionMixin(BaseUnlearningClassifier):
    """The methods that predict; a subclass has the state."""

    _state: State

    def _get_base(self) -> Any:
        raise NotImplementedError

    @property
    def coef_(self) -> np.ndarray:
        """Coefficients of the fitted estimator, in its own shape, if it has them."""
        return self._get_fitted("coef_")

    @property
    def intercept_(self) -> np.ndarray:
        """Intercepts of the fitted estimator, in its own shape, if it has them."""
        return self._get_fitted("intercept_")

    def _get_fitted(self, name: str) -> Any:
        self._check_is_fitted()
        return getattr(self._state.estimator, name)

    def predict(self, X: Any) -> np.ndarray:
        """Predict class labels.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        ndarray of shape (n_samples,)
            Predicted labels.
        """
        return self._ask("predict", X)

    @available_if(_estimator_has("predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Class probabilities, in the order of `classes_`.
        """
        return self._ask("predict_proba", X)

    @available_if(_estimator_has("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Predict logarithms of class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Log-probabilities, in the order of `classes_`.
        """
        return self._ask("predict_log_proba", X)

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, X: Any) -> np.ndarray:
        """Return the decision values of the fitted estimator.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            Decision values; zeros if a single class is left.
        """
        return self._ask("decision_function", X)

    def _ask(self, method: str, X: Any) -> np.ndarray:
        self._check_is_fitted()
        self = self._as_it_is()  # another thread may be at a forget or a fit
        state = self._state
        X = check_samples(self, self._get_base(), X, reset=False)
        if state.transformers is not None:  # the classifier was fitted to arrays
            X = transform_others(state.transformers, X)
        if method == "decision_function" and len(state.classes) == 1:
            return np.zeros(X.shape[0])
        return state.ask(method, X)

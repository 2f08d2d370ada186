"""Evaluate many logistic regressions at once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.utils import gen_batches

from skunlearn._data.containers import is_frame

__all__ = ["LogisticStack"]

_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True)
class LogisticStack:
    """The coefficients of logistic regressions on the same classes, side by side.

    Parameters
    ----------
    coef : ndarray of shape (n_features, n_estimators * n_outputs)
        Coefficients; one output for two classes, else one for each.
    intercept : ndarray of shape (n_estimators * n_outputs,)
        Intercepts.
    n_estimators : int
        Number of regressions.
    """

    coef: np.ndarray
    intercept: np.ndarray
    n_estimators: int

    @classmethod
    def from_estimators(
        cls, estimators: list[Any], X: Any, classes: np.ndarray
    ) -> "LogisticStack | None":
        """Stack estimators that are all of that kind and for such `X`, else None."""
        if is_frame(X) or X.dtype.kind not in "biuf":
            return None
        for estimator in estimators:
            if type(estimator) is not LogisticRegression:
                return None
            if len(estimator.classes_) != len(classes) or not _is_softmax(estimator):
                return None
        return cls(
            np.ascontiguousarray(np.vstack([e.coef_ for e in estimators]).T),
            np.concatenate([estimator.intercept_ for estimator in estimators]),
            len(estimators),
        )

    def mean_proba(
        self, X: Any, weights: np.ndarray, n_jobs: int | None = None
    ) -> np.ndarray:
        """Return the weighted mean of the regressions' probabilities."""
        n_samples = X.shape[0]
        proba = np.empty((n_samples, max(self.n_outputs, 2)))
        # Chunks must not depend on n_jobs: products of other shapes round otherwise.
        chunks = gen_batches(n_samples, self.chunk_size)
        fill = partial(self._fill_proba, X, weights / weights.sum(), proba)
        n_threads = effective_n_jobs(n_jobs)
        if n_threads == 1:
            list(map(fill, chunks))
        else:  # joblib's threads take longer to start than this takes in all
            with ThreadPoolExecutor(n_threads) as threads:
                list(threads.map(fill, chunks))
        return proba

    def _fill_proba(
        self, X: Any, shares: np.ndarray, proba: np.ndarray, rows: slice
    ) -> None:
        values = X[rows] @ self.coef
        values += self.intercept
        if self.n_outputs == 1:
            np.matmul(_sigmoid(values), shares, out=proba[rows, 1])
            np.subtract(1.0, proba[rows, 1], out=proba[rows, 0])
        else:
            values = values.reshape(-1, self.n_estimators, self.n_outputs)
            proba[rows] = np.einsum("ijk,j->ik", softmax(values, axis=2), shares)

    @property
    def chunk_size(self) -> int:
        """Return the number of rows whose decision values fit into a core's cache."""
        return max(1, _CHUNK_BYTES // (8 * len(self.intercept)))

    @property
    def n_outputs(self) -> int:
        """Return the number of decision values of each regression."""
        return len(self.intercept) // self.n_estimators


def _is_softmax(estimator: LogisticRegression) -> bool:
    """Return True if probabilities are those of one model of all classes.

    Before scikit-learn 1.8 there could be one model for each class against the rest, or
    two outputs for two classes.
    """
    if getattr(estimator, "multi_class", "auto") not in ("auto", "deprecated"):
        return False
    return estimator.solver != "liblinear" or len(estimator.classes_) == 2


def _sigmoid(values: np.ndarray) -> np.ndarray:
    """Compute the logistic function in place (scipy.special.expit is 1.2 x slower)."""
    np.negative(values, out=values)
    with np.errstate(over="ignore"):  # exp(-x) is infinite where the result is 0
        np.exp(values, out=values)
    values += 1.0
    return np.reciprocal(values, out=values)

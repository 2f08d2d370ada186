"""Linear models, whose decision values are one product for all of them."""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from scipy import sparse
from scipy.special import softmax
from sklearn.linear_model import (
    LogisticRegression,
    Perceptron,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.svm import LinearSVC

from skunlearn._data.containers import as_numbers
from skunlearn.sharding._adapters.base import (
    ConstituentAdapter,
    map_blocks,
    register_adapter,
)

__all__ = ["LinearAdapter", "LinearStack", "RidgeAdapter"]

_BLOCK_BYTES = 1 << 18
_MANY_FEATURES = 100  # with fewer, threads wait for the GIL more than they compute


@dataclass(frozen=True)
class LinearStack:
    """The coefficients of linear models of the same classes, side by side.

    Parameters
    ----------
    coef : ndarray of shape (n_features, n_estimators * n_outputs)
        Coefficients; one output for two classes, else one for each. With the link
        "logistic" their signs are changed: exp takes the negative.
    intercept : ndarray of shape (n_estimators * n_outputs,)
        Intercepts, likewise.
    n_estimators : int
        Number of models.
    link : {"identity", "logistic", "softmax"}
        How scores follow from decision values.
    """

    coef: np.ndarray
    intercept: np.ndarray
    n_estimators: int
    link: str

    @classmethod
    def from_estimators(cls, estimators: list[Any], link: str) -> "LinearStack":
        """Stack fitted estimators, which have the same classes."""
        coefs = [np.atleast_2d(each.coef_) for each in estimators]
        sizes = [len(coef) for coef in coefs]
        intercepts = [
            np.broadcast_to(each.intercept_, size)
            for each, size in zip(estimators, sizes, strict=True)
        ]
        sign = -1.0 if link == "logistic" else 1.0
        return cls(
            np.ascontiguousarray(sign * np.vstack(coefs).T, dtype=np.float64),
            sign * np.concatenate(intercepts),
            len(estimators),
            link,
        )

    @property
    def n_outputs(self) -> int:
        """Return the number of decision values of each model."""
        return len(self.intercept) // self.n_estimators

    def mean_scores(
        self, X: Any, weights: np.ndarray, n_jobs: int | None = None
    ) -> np.ndarray | None:
        """Return the weighted mean of the models' scores."""
        rows = X if sparse.issparse(X) else as_numbers(X)
        if rows is None or rows.dtype.kind not in "biuf":
            return None
        n_samples = rows.shape[0]
        scores = np.empty((n_samples, max(self.n_outputs, 2)))
        # Blocks must not depend on n_jobs: products of other shapes round otherwise.
        size = max(1, _BLOCK_BYTES // (8 * len(self.intercept)))
        intercepts = self.intercept[None]
        if n_samples > size:  # to add an array of the same shape is twice as fast
            intercepts = np.repeat(intercepts, size, axis=0)
        spare: list[np.ndarray] = []  # buffers that no thread is using
        shares = weights / weights.sum()
        fill = partial(self._fill, rows, intercepts, shares, spare, scores)
        is_wide = len(self.coef) >= _MANY_FEATURES
        map_blocks(fill, n_samples, size, n_jobs if is_wide else 1)
        return scores

    def _fill(
        self,
        X: Any,
        intercepts: np.ndarray,
        shares: np.ndarray,
        spare: list[np.ndarray],
        scores: np.ndarray,
        block: slice,
    ) -> None:
        rows, out = X[block], scores[block]
        try:
            buffer = spare.pop()
        except IndexError:
            buffer = np.empty((len(out), len(self.intercept)))
        if sparse.issparse(rows):
            values = rows @ self.coef
        else:
            values = np.matmul(rows, self.coef, out=buffer[: len(out)])
        values += intercepts[: len(out)]
        self._average(values, shares, out)
        spare.append(buffer)

    def _average(self, values: np.ndarray, shares: np.ndarray, out: np.ndarray) -> None:
        """Store the mean scores of decision values, which are overwritten."""
        if self.link == "logistic":
            _invert_exp(values)
        if self.n_outputs == 1:
            np.matmul(values, shares, out=out[:, 1])
            if self.link == "logistic":
                np.subtract(1.0, out[:, 1], out=out[:, 0])
            else:
                np.negative(out[:, 1], out=out[:, 0])
            return
        values = values.reshape(-1, self.n_estimators, self.n_outputs)
        if self.link == "softmax":
            values = softmax(values, axis=2)
        elif self.link == "logistic":
            values = _normalise(values)
        np.einsum("ijk,j->ik", values, shares, out=out)


def _invert_exp(values: np.ndarray) -> None:
    """Compute 1 / (1 + exp(values)) in place (scipy's expit is 1.2 x slower)."""
    with np.errstate(over="ignore"):  # exp is infinite where the result is 0
        np.exp(values, out=values)
    values += 1.0
    np.reciprocal(values, out=values)


def _normalise(proba: np.ndarray) -> np.ndarray:
    """Make probabilities of one class each sum to 1; equal ones where all are 0."""
    total = proba.sum(axis=2, keepdims=True)
    if not total.all():
        proba = np.where(total == 0, 1.0, proba)
        total = proba.sum(axis=2, keepdims=True)
    return proba / total


class LinearAdapter(ConstituentAdapter):
    """Models with ``coef_`` and ``intercept_``."""

    reads_only: ClassVar[bool] = True
    skips_validation: ClassVar[bool] = True
    releases_gil: ClassVar[bool] = True

    _keeps_floats: ClassVar[bool] = True

    def stack(
        self, estimators: list[Any], classes: np.ndarray, method: str
    ) -> LinearStack | None:
        """Return the coefficients side by side, if all models know all classes.

        The answers of a single model are to be its own to the last bit.
        """
        if len(estimators) == 1:
            return None
        first, *others = {_find_link(each, classes, method) for each in estimators}
        if first is None or others:
            return None
        return LinearStack.from_estimators(estimators, first)


def _find_link(estimator: Any, classes: np.ndarray, method: str) -> str | None:
    """Return how a model makes scores from decision values, None if in another way."""
    if len(getattr(estimator, "classes_", ())) != len(classes) or len(classes) < 2:
        return None
    if not isinstance(getattr(estimator, "coef_", None), np.ndarray):
        return None
    if method == "decision_function":
        return "identity"
    if type(estimator) is SGDClassifier:
        return "logistic" if estimator.loss == "log_loss" else None
    return _find_logistic_link(estimator)


def _find_logistic_link(estimator: LogisticRegression) -> str | None:
    """Return the link of a logistic regression.

    Before scikit-learn 1.8 there could be one model for each class against the rest, or
    two outputs for two classes.
    """
    if getattr(estimator, "multi_class", "auto") not in ("auto", "deprecated"):
        return None
    if len(estimator.classes_) == 2:
        return "logistic"
    return None if estimator.solver == "liblinear" else "softmax"


@register_adapter(RidgeClassifier)
class RidgeAdapter(LinearAdapter):
    """Models that centre rows in place with ``copy_X=False``."""

    reads_only: ClassVar[bool] = False


for _kind in (
    LogisticRegression,
    Perceptron,
    SGDClassifier,
    LinearSVC,
):
    register_adapter(_kind)(LinearAdapter)

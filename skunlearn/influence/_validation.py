"""Checks of the data given to fit and predict, and the way through transformers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    assert_all_finite,
    check_consistent_length,
    validate_data,
)

from skunlearn._compat import _check_sample_weight
from skunlearn._data.casting import trim_text
from skunlearn._data.containers import is_frame, take_rows
from skunlearn._data.hashing import draw
from skunlearn._data.items import check_items, has_variable_text
from skunlearn._estimators.capabilities import accepts_items, accepts_sparse, allows_nan

__all__ = [
    "Given",
    "check_given",
    "check_samples",
    "check_validation",
    "choose_held_out",
    "get_final",
    "transform",
    "transform_others",
]

_HELD_OUT = 0x68656C64  # a stream of random numbers of its own


@dataclass(frozen=True)
class Given:
    """Rows as they were given to fit, checked: labels as codes of classes.

    A row of weight 0 is no row: it makes no class, and its code may mean nothing.
    """

    X: Any
    codes: np.ndarray
    classes: np.ndarray
    sample_weight: np.ndarray | None

    @property
    def counted(self) -> np.ndarray:
        """Return a mask of the rows that have a weight."""
        if self.sample_weight is None:
            return np.ones(len(self.codes), dtype=bool)
        return self.sample_weight > 0


def get_final(estimator: Any) -> Any:
    """Return the classifier at the end of a pipeline, or the estimator itself."""
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def check_samples(classifier: Any, estimator: Any, X: Any, *, reset: bool) -> Any:
    """Return `X` as float64, or as it is where transformers come first."""
    is_bare = not isinstance(estimator, Pipeline)
    is_taken = not is_bare and accepts_items(estimator)
    items = check_items(classifier, X, is_taken=is_taken, reset=reset)
    if items is not None:
        return items
    if not is_bare and (is_frame(X) or has_variable_text(X)):
        validate_data(classifier, X, reset=reset, skip_check_array=True)
        return X
    X = validate_data(
        classifier,
        X,
        reset=reset,
        accept_sparse="csr" if is_bare or accepts_sparse(estimator) else False,
        dtype=np.float64 if is_bare else None,
        ensure_all_finite=False,
    )
    if is_bare or not allows_nan(estimator):  # else the base judges by itself
        name = type(estimator).__name__
        assert_all_finite(X, estimator_name=name, input_name="X")
    return X


def check_given(
    classifier: Any, estimator: Any, X: Any, y: Any, sample_weight: Any
) -> Given:
    """Return what was given to fit, checked."""
    if y is None:
        raise ValueError(
            f"{type(classifier).__name__} requires y to be passed, but the target y is "
            "None."
        )
    X = check_samples(classifier, estimator, X, reset=True)
    y = column_or_1d(y, warn=True)
    assert_all_finite(y, input_name="y")
    check_consistent_length(X, y)
    check_classification_targets(y)
    if sample_weight is not None:
        sample_weight = _check_sample_weight(
            sample_weight, y, dtype=np.float64, ensure_non_negative=True
        )
        if not sample_weight.any():
            raise ValueError(
                "sample_weight must contain at least one non-zero number; all "
                f"{len(sample_weight)} are zero."
            )
    classes, codes = _encode(y, sample_weight)
    if len(classes) < 2:
        raise ValueError(
            f"{type(classifier).__name__} needs samples of at least 2 classes in the "
            f"data, but the data contains only one class: {classes[0]!r}"
        )
    return Given(X, codes, classes, sample_weight)


def _encode(y: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes of rows with a weight, and the code of every row."""
    classes, codes = np.unique(y, return_inverse=True)
    if weight is None:
        return trim_text(classes), codes
    there = np.bincount(codes, weight) > 0
    return trim_text(classes[there]), np.where(there, there.cumsum() - 1, 0)[codes]


def check_validation(
    classifier: Any, estimator: Any, X_val: Any, y_val: Any
) -> tuple[Any, Any] | None:
    """Return the rows for the criterion that were passed to fit, checked."""
    if (X_val is None) != (y_val is None):
        missing = "X_val" if X_val is None else "y_val"
        raise ValueError(
            f"X_val and y_val must be given together, but {missing} is None."
        )
    if X_val is None:
        return None
    return check_samples(classifier, estimator, X_val, reset=False), y_val


def find_held_share(classifier: Any, X_val: Any) -> float:
    """Return the share of the rows to hold out for the criterion."""
    if classifier.method != "puma" or X_val is not None:
        return 0.0
    if classifier.validation_fraction == 0:
        raise ValueError(
            "method='puma' needs rows for its criterion, but validation_fraction=0 and "
            "no X_val was given. Pass X_val and y_val to fit, or set "
            "validation_fraction above 0."
        )
    return classifier.validation_fraction


def choose_held_out(hashes: np.ndarray, given: Given, fraction: float) -> np.ndarray:
    """Return a mask of rows to hold out, by hash: rows of one group go together.

    A class that would have no other row keeps all of its rows.
    """
    codes, counted = given.codes, given.counted
    draws = draw(hashes, _HELD_OUT, 2**32)
    n_held = int(np.ceil(fraction * len(draws)))
    held = draws <= np.partition(draws, n_held - 1)[n_held - 1]
    n_left = np.bincount(codes[counted & ~held], minlength=len(given.classes))
    return held & counted & (n_left[codes] > 0)


def transform(
    estimator: Any, given: Given, order: np.ndarray, n_training: int
) -> tuple[Pipeline | None, Any]:
    """Fit the steps before the classifier to the training rows, and apply them.

    Parameters
    ----------
    estimator : classifier or Pipeline
        The estimator. It is not changed.
    given : Given
        The rows.
    order : ndarray of shape (n_rows,)
        Position of the row in each slot; the training rows come first.
    n_training : int
        Number of training rows.

    Returns
    -------
    pipeline : Pipeline or None
        The fitted steps, before a classifier that is not fitted.
    X : {ndarray, CSR} of shape (n_rows, n_features), dtype float64
        The rows in order: a copy that may be overwritten.
    """
    if not isinstance(estimator, Pipeline):
        return None, take_rows(given.X, order)
    pipeline = clone(estimator)
    caches = [n for n in pipeline.get_params() if n.split("__")[-1] == "memory"]
    pipeline.set_params(**dict.fromkeys(caches))  # which keep rows, in files
    before = pipeline[:-1]
    training, held = order[:n_training], order[n_training:]
    if not len(before):
        return pipeline, _check_transformed(take_rows(given.X, order), pipeline)
    y = given.classes[given.codes[training]]
    X = before.fit_transform(take_rows(given.X, training), y)
    X = _check_transformed(X, pipeline)
    if len(held):
        others = transform_others(pipeline, take_rows(given.X, held))
        stack = sparse.vstack if sparse.issparse(X) else np.vstack
        X = stack([X, others])
    return pipeline, sparse.csr_array(X) if sparse.issparse(X) else X


def transform_others(pipeline: Pipeline | None, X: Any) -> Any:
    """Return rows that the steps before the classifier were not fitted to."""
    if pipeline is not None and len(pipeline) > 1:
        X = pipeline[:-1].transform(X)
    return _check_transformed(X, pipeline)


def _check_transformed(X: Any, pipeline: Pipeline | None) -> Any:
    """Return rows for the objective, as a copy."""
    last = None if pipeline is None else pipeline.steps[-1][1]
    return check_array(
        X, accept_sparse="csr", dtype=np.float64, copy=True, estimator=last
    )

"""Ask many estimators about the same rows, of which none may change them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from skunlearn._data.containers import is_frame

__all__ = ["as_array", "ask_labels", "call_read_only"]


def call_read_only(method: Callable[[Any], Any], X: Any) -> Any:
    """Return what a method of an estimator says of rows, which stay what they are.

    Some write into what they are given, as ``StandardScaler(copy=False)`` does, and
    the next one would be asked about something else.
    """
    if is_frame(X):
        return method(X.clone() if hasattr(X, "clone") else X.copy())
    try:
        return method(_protect(X))
    except ValueError:  # also of those that write, or want to be able to
        pass
    return method(X.copy())


def ask_labels(estimator: Any, X: Any) -> np.ndarray:
    """Return the labels that an estimator predicts, whatever they come in."""
    return np.ravel(_to_numpy(call_read_only(estimator.predict, X)))


def as_array(values: Any, classes: np.ndarray) -> np.ndarray:
    """Return probabilities or decision values as an array, columns as in `classes`.

    Some libraries answer with data frames, whose columns may be named by the classes;
    a range of numbers is no names.
    """
    if is_frame(values):
        is_named = type(values.columns).__name__ != "RangeIndex"
        names = [str(name) for name in values.columns if is_named]
        wanted = [str(label) for label in classes.tolist()]
        values = _to_numpy(values)
        if sorted(names) == sorted(wanted):
            values = values[:, [names.index(name) for name in wanted]]
        elif values.shape[1] == 1:
            values = values[:, 0]
    return np.asarray(_to_numpy(values))


def _to_numpy(values: Any) -> Any:
    return values.to_numpy() if hasattr(values, "to_numpy") else np.asarray(values)


def _protect(X: Any) -> Any:
    """Return an array or a sparse matrix that shares the numbers and is read-only."""
    if not sparse.issparse(X):
        return _as_read_only(X)
    parts = tuple(map(_as_read_only, (X.data, X.indices, X.indptr)))
    protected = type(X)(parts, shape=X.shape, copy=False)
    protected.has_sorted_indices = X.has_sorted_indices
    return protected


def _as_read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view

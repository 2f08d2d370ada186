"""Ask many estimators about the same rows, of which none may change them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from skunlearn._data.containers import is_frame

__all__ = ["call_read_only"]


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

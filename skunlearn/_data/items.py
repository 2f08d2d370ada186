"""Rows that are one thing each, and no vector of features: texts and dictionaries."""

from collections.abc import Mapping
from numbers import Number
from typing import Any

import numpy as np

__all__ = ["check_items", "has_variable_text"]


def check_items(classifier: Any, X: Any, *, is_taken: bool, reset: bool) -> Any:
    """Return texts or dictionaries as an array of objects, None for other rows.

    Parameters
    ----------
    classifier : classifier
        The classifier; it has ``n_features_in_`` if it was fitted to features.
    X : object
        Whatever was given as rows.
    is_taken : bool
        Whether the base may take such rows.
    reset : bool
        Whether this is a fit.

    Raises
    ------
    ValueError
        If `X` is of one dimension and must not be, in words that show none of it.
    """
    items = _as_items(X)
    if items is None or not is_taken:
        _refuse_one_dimension(X)
    has_features = hasattr(classifier, "n_features_in_")
    if reset:
        if items is not None:
            vars(classifier).pop("n_features_in_", None)
            vars(classifier).pop("feature_names_in_", None)
    elif has_features == (items is not None):
        forms = ["(n_samples,)", "(n_samples, n_features)"]
        wanted, got = reversed(forms) if has_features else forms
        raise ValueError(
            f"X is of shape {got}, but fit was given rows of shape {wanted}. Give both "
            "in the same form."
        )
    return items


def has_variable_text(X: Any) -> bool:
    """Return True for a table of numpy's StringDType, which the base has to judge."""
    return isinstance(X, np.ndarray) and X.dtype.kind == "T" and X.ndim == 2


def _as_items(X: Any) -> np.ndarray | None:
    if not _is_one_dimensional(X):
        return None
    values = X.tolist() if hasattr(X, "tolist") else list(X)
    first = next(filter(_is_there, values), None)
    if not isinstance(first, (str, bytes, Mapping)):
        return None
    items = np.empty(len(values), dtype=object)
    items[:] = [dict(v) if isinstance(v, Mapping) else v for v in values]
    return items


def _is_one_dimensional(X: Any) -> bool:
    if isinstance(X, (list, tuple)):
        return len(X) > 0 and not isinstance(X[0], (list, tuple, np.ndarray))
    if isinstance(X, np.ndarray):
        return X.ndim == 1
    return type(X).__name__ == "Series"  # of pandas or polars


def _is_there(value: Any) -> bool:
    """Return True unless a value stands for a missing one."""
    is_nan = isinstance(value, float) and value != value
    return value is not None and not is_nan and type(value).__name__ != "NAType"


def _refuse_one_dimension(X: Any) -> None:
    """Raise ValueError for rows of one dimension; scikit-learn's own shows them."""
    is_list = isinstance(X, (list, tuple))
    if _is_one_dimensional(X) and (not is_list or isinstance(X[0], (str, Number))):
        raise ValueError(
            f"Expected 2D array, got 1D array instead: X has shape ({len(X)},). "
            "Reshape your data using X.reshape(-1, 1) if it has a single feature, or "
            "X.reshape(1, -1) if it is a single sample. Texts and dictionaries are "
            "taken as they are where the first step of the base is made for them."
        )

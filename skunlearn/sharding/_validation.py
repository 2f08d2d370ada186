"""Checks of the data given to fit and predict; the base judges the rest itself."""

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array, column_or_1d, get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    assert_all_finite,
    check_consistent_length,
    validate_data,
)

from skunlearn._compat import _check_sample_weight
from skunlearn._data.casting import cast_labels
from skunlearn._data.containers import cast_rows, is_frame, without_labels
from skunlearn._data.identities import hash_identities
from skunlearn._data.rows import Batch
from skunlearn._estimators.capabilities import allows_nan
from skunlearn.sharding._partition.incoming import Newcomers
from skunlearn.sharding._state import State

__all__ = ["check_batch", "check_newcomers", "check_samples", "match_batch"]


def check_samples(
    classifier: Any, estimator: Any, X: Any, *, reset: bool, keep_frame: bool = True
) -> Any:
    """Return `X` as an array, a CSR matrix or, if it may stay one, a data frame."""
    if keep_frame and is_frame(X):
        validate_data(classifier, X, reset=reset, skip_check_array=True)
        for count, what in zip(X.shape, ("sample", "feature"), strict=True):
            if count == 0:
                raise ValueError(
                    f"Found a data frame with 0 {what}(s) (shape={X.shape}) while a "
                    "minimum of 1 is required."
                )
        return X
    return validate_data(
        classifier,
        X,
        reset=reset,
        accept_sparse="csr" if get_tags(estimator).input_tags.sparse else False,
        dtype=None,
        ensure_all_finite="allow-nan" if allows_nan(estimator) else True,
    )


def check_batch(
    classifier: Any,
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    *,
    reset: bool,
) -> Batch:
    """Return checked rows for training."""
    if y is None:
        raise ValueError(
            f"{type(classifier).__name__} requires y to be passed, but the target y is "
            "None."
        )
    X = check_samples(classifier, estimator, X, reset=reset)
    y = column_or_1d(y, warn=True)
    assert_all_finite(y, input_name="y")
    check_consistent_length(X, y)
    if y.dtype.kind == "m":
        raise TypeError(
            f"y must hold classes, got {y.dtype}. Convert durations to numbers or text."
        )
    check_classification_targets(y)
    if sample_weight is not None:
        sample_weight = _check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
        if not sample_weight.any():
            raise ValueError(
                "sample_weight must contain at least one non-zero number; all "
                f"{len(sample_weight)} are zero."
            )
    return Batch(without_labels(X), y, sample_weight)


def check_newcomers(
    batch: Batch, first_position: int, key: int, groups: Any, forget_proba: Any
) -> Newcomers:
    """Return checked rows with their identities, ready to be laid out."""
    proba = _check_forget_proba(forget_proba, batch.size)
    batch = replace(batch, forget_proba=proba)
    hashes = hash_identities(groups, batch.size, key, first_position)
    return Newcomers(batch, hashes, has_groups=groups is not None)


def match_batch(state: State, batch: Batch, *, has_groups: bool) -> Batch:
    """Return new rows in the dtypes of those held.

    Raises
    ------
    ValueError
        If the new rows do not go with those that there are.
    """
    held = state.rows.held
    forms = [_name_form(X) for X in (batch.X, held.X)]
    if forms[0] != forms[1]:
        raise ValueError(
            f"X is a {forms[0]}, but earlier rows came as {forms[1]}. Give both in the "
            "same form."
        )
    if (batch.sample_weight is None) != (held.sample_weight is None):
        raise ValueError(
            "sample_weight must be given for all rows or for none: fit was "
            f"{'not ' if held.sample_weight is None else ''}given any."
        )
    if has_groups != (state.groups is not None):
        raise ValueError(
            "groups must be given for all rows or for none: fit was "
            f"{'' if state.groups is not None else 'not '}given any."
        )
    X, y = cast_rows(batch.X, held.X), cast_labels(batch.y, held.y)
    return Batch(X, y, batch.sample_weight)


def _name_form(X: Any) -> str:
    """Tell what kind of container holds rows."""
    if issparse(X):
        return "sparse matrix"
    if isinstance(X, np.ndarray):
        return "numpy.ndarray"  # held in a memory map or not
    return f"{type(X).__module__.partition('.')[0]}.{type(X).__name__}"


def _check_forget_proba(forget_proba: Any, n_samples: int) -> np.ndarray | None:
    """Return one probability for each row, or None."""
    if forget_proba is None:
        return None
    if np.shape(forget_proba) != (n_samples,):
        raise ValueError(
            f"forget_proba must hold one probability for each of the {n_samples} rows; "
            f"got shape {np.shape(forget_proba)}."
        )
    proba = check_array(
        forget_proba, ensure_2d=False, dtype=np.float64, input_name="forget_proba"
    )
    if proba.min() < 0 or proba.max() > 1:
        raise ValueError(
            "forget_proba must be in [0, 1]; got values from "
            f"{proba.min():g} to {proba.max():g}."
        )
    return proba

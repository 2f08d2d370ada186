"""Checks of the data given to fit and predict; the base judges the rest itself."""

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
from skunlearn._containers import is_frame, without_labels
from skunlearn._identities import as_ids
from skunlearn._rows import Batch
from skunlearn.sharding._bases import allows_nan
from skunlearn.sharding._changes import Newcomers
from skunlearn.sharding._layout import Layout
from skunlearn.sharding._state import State

__all__ = ["check_batch", "check_newcomers", "check_same_kind", "check_samples"]


def check_samples(
    classifier: Any, estimator: Any, X: Any, *, reset: bool, keep_frame: bool = True
) -> Any:
    """Return `X` as an array, a CSR matrix or, if it may stay one, a data frame."""
    if keep_frame and is_frame(X):
        validate_data(classifier, X, reset=reset, skip_check_array=True)
        if X.shape[0] == 0:
            raise ValueError("Found a data frame with 0 sample(s); at least 1 is due.")
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
    layout: Layout, batch: Batch, first_position: int, groups: Any, forget_proba: Any
) -> Newcomers:
    """Return checked rows with their identities, ready to be laid out."""
    positions = np.arange(first_position, first_position + batch.size)
    if groups is not None:
        groups = _check_groups(groups, batch.size)
    proba = _check_forget_proba(forget_proba, batch.size)
    hashes = layout.hash_rows(positions, groups)
    return Newcomers(batch, hashes, groups is not None, proba)


def check_same_kind(state: State, batch: Batch, *, has_groups: bool) -> None:
    """Raise ValueError if new rows do not go with those that there are."""
    held = state.rows.held
    if is_frame(batch.X) != is_frame(held.X) or issparse(batch.X) != issparse(held.X):
        raise ValueError(
            f"X is of type {type(batch.X).__name__}, but earlier rows came as "
            f"{type(held.X).__name__}. Give both in the same form."
        )
    if not is_frame(held.X) and not np.can_cast(
        batch.X.dtype, held.X.dtype, "same_kind"
    ):
        raise ValueError(
            f"X has dtype {batch.X.dtype}, but earlier rows are of {held.X.dtype}. "
            "Convert it."
        )
    if (batch.sample_weight is None) != (held.sample_weight is None):
        raise ValueError(
            "sample_weight must be given for all rows or for none: fit was "
            f"{'not ' if held.sample_weight is None else ''}given any."
        )
    if (batch.y.dtype.kind in "OUS") != (held.y.dtype.kind in "OUS"):
        raise ValueError(
            f"y has labels of dtype {batch.y.dtype}, but earlier labels are of "
            f"{held.y.dtype}."
        )
    if has_groups != (state.groups is not None):
        raise ValueError(
            "groups must be given for all rows or for none: fit was "
            f"{'' if state.groups is not None else 'not '}given any."
        )


def _check_groups(groups: Any, n_samples: int) -> np.ndarray:
    """Return one group id for each row."""
    ids = as_ids(groups)
    if ids.shape != (n_samples,):
        raise ValueError(
            f"groups must hold one group id for each of the {n_samples} rows; got "
            f"shape {ids.shape}."
        )
    return ids


def _check_forget_proba(forget_proba: Any, n_samples: int) -> np.ndarray | None:
    """Return one probability for each row, or None."""
    if forget_proba is None:
        return None
    proba = check_array(
        forget_proba, ensure_2d=False, dtype=np.float64, input_name="forget_proba"
    )
    if proba.shape != (n_samples,):
        raise ValueError(
            f"forget_proba must hold one probability for each of the {n_samples} rows; "
            f"got shape {proba.shape}."
        )
    if proba.min() < 0 or proba.max() > 1:
        raise ValueError(
            "forget_proba must be in [0, 1]; got values from "
            f"{proba.min():g} to {proba.max():g}."
        )
    return proba

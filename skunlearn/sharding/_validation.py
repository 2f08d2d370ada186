"""Checks of parameters and data, before anything is done."""

from dataclasses import replace
from numbers import Integral, Real
from os import PathLike
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone, is_classifier
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    assert_all_finite,
    check_consistent_length,
)

from skunlearn._compat import (
    HasMethods,
    Interval,
    StrOptions,
    _check_feature_names,
    _check_n_features,
    _check_sample_weight,
)
from skunlearn._data.casting import cast_labels
from skunlearn._data.containers import cast_rows, is_frame, without_labels
from skunlearn._data.identities import find_kinds, hash_identities
from skunlearn._data.items import check_items, has_variable_text
from skunlearn._data.rows import Batch
from skunlearn._estimators.capabilities import InputTags, find_input_tags
from skunlearn._estimators.one_class import is_one_class, is_stand_in
from skunlearn.checkpoints._directory import DirectoryStore
from skunlearn.exceptions import UnsupportedEstimatorError
from skunlearn.sharding._partition.base import Partition
from skunlearn.sharding._partition.incoming import IncomingRows
from skunlearn.sharding._partition.registry import PARTITIONS, find_partitions
from skunlearn.sharding._selection.representative import (
    RepresentativeSelection,
    check_selection,
    compute_features,
)
from skunlearn.sharding._state import State

__all__ = [
    "PARAMETER_CONSTRAINTS",
    "check_batch",
    "check_for_rows",
    "check_incoming",
    "check_models",
    "check_parameters",
    "check_picks",
    "check_probabilities",
    "check_samples",
    "check_slice_sizes",
    "match_batch",
    "name_form",
]

_OFF_ONE = 1e-6  # what rounded shares may sum to more or less than 1

PARAMETER_CONSTRAINTS: dict[str, list[Any]] = {
    "estimator": [HasMethods(["fit"]), None],
    "n_shards": [Interval(Integral, 1, None, closed="left")],
    "n_slices": [Interval(Integral, 1, None, closed="left")],
    "partition": [StrOptions(set(PARTITIONS))],
    "n_replicas": [Interval(Integral, 1, None, closed="left")],
    "n_negatives": [Interval(Integral, 1, None, closed="left")],
    "selection": [
        None,
        Interval(Real, 0, 1, closed="right"),
        RepresentativeSelection,
    ],
    "slice_sizes": ["array-like", None],
    "slice_training": [StrOptions({"cumulative", "sequential"})],
    "n_epochs": [Interval(Integral, 1, None, closed="left")],
    "voting": [StrOptions({"soft", "hard"})],
    "checkpoint_store": [None, str, PathLike, DirectoryStore],
    "n_jobs": [Integral, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


def check_samples(
    classifier: Any, tags: InputTags, X: Any, *, reset: bool, keep_frame: bool = True
) -> Any:
    """Return `X` as an array, a CSR matrix or, if it may stay one, a data frame.

    It is what ``validate_data`` does, which asks for all tags at each call.
    """
    items = check_items(classifier, X, is_taken=tags.items, reset=reset)
    if items is not None:
        return items
    _check_feature_names(classifier, X, reset=reset)
    if (keep_frame and is_frame(X)) or has_variable_text(X):
        for count, what in zip(X.shape, ("sample", "feature"), strict=True):
            if count == 0:
                raise ValueError(
                    f"Found rows with 0 {what}(s) (shape={X.shape}) while a minimum "
                    "of 1 is required."
                )
    else:
        X = check_array(
            X,
            accept_sparse="csr" if tags.sparse else False,
            dtype=None,
            ensure_all_finite=False,
            estimator=classifier,
            input_name="X",
        )
        if not tags.allow_nan:  # else the base judges by itself
            assert_all_finite(X, estimator_name=tags.name, input_name="X")
    _check_n_features(classifier, X, reset=reset)
    return X


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
    X = check_samples(classifier, find_input_tags(estimator), X, reset=reset)
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


def check_incoming(
    batch: Batch, first_position: int, key: int, groups: Any, forget_proba: Any
) -> IncomingRows:
    """Return checked rows with their identities, ready to be laid out."""
    proba = _check_forget_proba(forget_proba, batch.size)
    batch = replace(batch, forget_proba=proba)
    hashes = hash_identities(groups, batch.size, key, first_position)
    if groups is None:
        return IncomingRows(batch, hashes, has_groups=False)
    return IncomingRows(batch, hashes, has_groups=True, kinds=find_kinds(groups))


def match_batch(state: State, batch: Batch, *, has_groups: bool) -> Batch:
    """Return new rows in the dtypes of those held.

    Raises
    ------
    ValueError
        If the new rows do not go with those that there are.
    """
    held = state.rows.data
    forms = [name_form(X) for X in (batch.X, held.like)]
    if forms[0] != forms[1]:
        raise ValueError(
            f"X is a {forms[0]}, but earlier rows came as {forms[1]}. Give both in the "
            "same form."
        )
    if (batch.sample_weight is None) != (held.sample_weight is None):
        raise ValueError(
            f"Pass `sample_weight` if, and only if, `fit` was given weights: it "
            f"{'was not' if held.sample_weight is None else 'was'}."
        )
    if has_groups != (state.groups is not None):
        raise ValueError(
            "Pass `groups` if, and only if, `fit` was given groups: it "
            f"{'was' if state.groups is not None else 'was not'}."
        )
    if held.fit_params:
        raise ValueError(
            f"fit was given {', '.join(held.fit_params)} for each row, which "
            "partial_fit does not take. Fit again on all rows."
        )
    X, y = cast_rows(batch.X, held.like), cast_labels(batch.y, held.y)
    return Batch(X, y, batch.sample_weight)


def name_form(X: Any) -> str:
    """Return what kind of container holds rows."""
    if issparse(X):
        return "sparse matrix"
    if isinstance(X, np.ndarray):
        return "numpy.ndarray"  # or a memory map
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


def check_parameters(
    estimator: Any, *, partition: str, n_shards: int, n_replicas: int
) -> None:
    """Refuse parameters that do not go together."""
    kind = PARTITIONS[partition]
    if not is_classifier(estimator):
        if not kind.is_by_class:
            raise UnsupportedEstimatorError(
                f"estimator must be a classifier; got {estimator!r}. Models of one "
                f"class need {_name_partitions('is_by_class')}."
            )
        if not is_one_class(estimator):
            raise UnsupportedEstimatorError(
                f"with partition={partition!r} estimator must be a classifier or a "
                f"one-class model, which has score_samples; got {estimator!r}."
            )
    if n_replicas > 1 and not kind.allows_replicas:
        raise ValueError(
            f"partition={partition!r} puts each row into one shard; got "
            f"n_replicas={n_replicas}. Use n_replicas=1, or "
            f"{_name_partitions('allows_replicas')}."
        )
    if n_replicas > n_shards:
        raise ValueError(
            f"n_replicas={n_replicas} requires at least as many shards; got "
            f"n_shards={n_shards}."
        )


def check_slice_sizes(slice_sizes: Any, n_slices: int) -> tuple[float, ...] | None:
    """Return the share of each slice, or None if there are `n_slices` equal ones."""
    if slice_sizes is None:
        return None
    if n_slices != 1:
        raise ValueError(
            f"slice_sizes={slice_sizes!r} says how many slices there are; got "
            f"n_slices={n_slices} as well. Leave out one of the two."
        )
    sizes = np.asarray(slice_sizes)
    is_numeric = sizes.ndim == 1 and len(sizes) > 0 and sizes.dtype.kind in "iuf"
    if not is_numeric or not (sizes > 0).all() or abs(sizes.sum() - 1) > _OFF_ONE:
        raise ValueError(
            "slice_sizes must be shares of the rows, all above 0, which sum to 1, such "
            f"as (0.9, 0.1); got {slice_sizes!r}."
        )
    return tuple(sizes.astype(float).tolist())


def _name_partitions(ability: str) -> str:
    """Return the values of the parameter that have an ability."""
    return " or ".join(f"partition={name!r}" for name in find_partitions(ability))


def check_probabilities(kind: type[Partition], forget_proba: Any) -> None:
    """Refuse rows without probabilities where the partition needs some."""
    if kind.needs_forget_proba and forget_proba is None:
        (name,) = (name for name, other in PARTITIONS.items() if other is kind)
        raise ValueError(
            f"partition={name!r} assigns rows by their probability to be forgotten: "
            "pass forget_proba, one value for each row."
        )


def check_models(state: State) -> None:
    """Refuse a fit in which all one-class models had to be replaced.

    Too few rows in some shards are no error, but this has another cause.
    """
    shards = [shard for shard in state.shards if shard.bounds[-1] > 1]
    if shards and all(is_stand_in(shard.estimator) for shard in shards):
        raise ValueError(
            f"{state.recipe.prototype!r} could not be fitted to the rows of any class; "
            "the warning before this error gives the reason."
        )


def check_for_rows(selection: Any, batch: Batch) -> RepresentativeSelection | None:
    """Return a copy of a selection that can be made among such rows."""
    selection = check_selection(selection)
    if selection is None:
        return None
    compute_features(selection, batch.take(np.arange(min(batch.size, 2))).X)
    return clone(selection)


def check_picks(selection: RepresentativeSelection | None, n_samples: int) -> None:
    """Refuse to select less than one row."""
    if selection is not None and selection.fraction * n_samples < 1:
        raise ValueError(
            f"selection of a share of {selection.fraction} picks less than one row of "
            f"n_samples={n_samples}. Give at least 1 / {n_samples}."
        )

"""Checks of what a sharded classifier is asked to do, before it is done."""

from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier

from skunlearn._data.rows import Batch
from skunlearn._estimators.one_class import is_one_class, is_stand_in
from skunlearn.exceptions import UnsupportedEstimatorError
from skunlearn.sharding._selection.representative import (
    RepresentativeSelection,
    check_selection,
    compute_features,
)
from skunlearn.sharding._state import State

__all__ = ["check_for_rows", "check_models", "check_parameters", "check_probabilities"]


def check_parameters(
    estimator: Any, *, partition: str, n_shards: int, n_replicas: int
) -> None:
    """Refuse parameters that do not go together."""
    if not is_classifier(estimator):
        if partition != "class":
            raise UnsupportedEstimatorError(
                f"estimator must be a classifier; got {estimator!r}. Models of one "
                "class need partition='class'."
            )
        if not is_one_class(estimator):
            raise UnsupportedEstimatorError(
                "with partition='class' estimator must be a classifier or a one-class "
                f"model, which has score_samples; got {estimator!r}."
            )
    if partition == "distribution_aware":
        if n_replicas > 1:
            raise ValueError(
                "partition='distribution_aware' puts each row into one shard; got "
                f"n_replicas={n_replicas}."
            )
    elif n_replicas > n_shards:
        raise ValueError(
            f"n_replicas={n_replicas} shards for each row need at least as many "
            f"shards; got n_shards={n_shards}."
        )


def check_probabilities(forget_proba: Any) -> None:
    """Refuse to spread rows by probabilities that are not there."""
    if forget_proba is None:
        raise ValueError(
            "partition='distribution_aware' spreads rows by how likely they are to be "
            "forgotten: give forget_proba, one probability for each row."
        )


def check_models(state: State) -> None:
    """Refuse a fit in which no model of one class is what was asked for.

    Too few rows in some parts are no error, but this is hardly for want of rows.
    """
    shards = [shard for shard in state.shards if shard.bounds[-1] > 1]
    if shards and all(is_stand_in(shard.estimator) for shard in shards):
        raise ValueError(
            f"{state.recipe.prototype!r} could not be fitted to the rows of any class; "
            "a warning before this error says why."
        )


def check_for_rows(selection: Any, batch: Batch) -> RepresentativeSelection | None:
    """Return a copy of a selection that can be made among such rows."""
    selection = check_selection(selection)
    if selection is None:
        return None
    if selection.fraction * batch.size < 1:
        raise ValueError(
            f"selection of a share of {selection.fraction} picks less than one row of "
            f"n_samples={batch.size}. Give at least 1 / {batch.size}."
        )
    compute_features(selection, batch.take(np.arange(min(batch.size, 2))).X)
    return clone(selection)

"""From checked data to a fitted state."""

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import column_or_1d
from sklearn.utils.validation import check_consistent_length

from skunlearn._data.hashing import derive_seed
from skunlearn._data.identities import GroupIndex, find_kinds, hash_identities
from skunlearn._data.rows import Batch, Rows
from skunlearn._estimators.leakage import find_leaks
from skunlearn._runtime.warn import warn
from skunlearn.influence._certificate.privacy_budget import Budget
from skunlearn.influence._criteria import Criterion, Validation
from skunlearn.influence._networks.base import Network
from skunlearn.influence._networks.registry import find_network
from skunlearn.influence._networks.whole import WholeNetwork
from skunlearn.influence._optimum import find_optimum
from skunlearn.influence._settings import Settings
from skunlearn.influence._state import State, view_batch
from skunlearn.influence._validation import (
    Given,
    choose_held_out,
    transform,
    transform_others,
)

__all__ = ["prepare"]

_NETWORK = 0x6E657473  # a stream of random numbers of its own


def prepare(
    estimator: Any,
    given: Given,
    *,
    groups: Any,
    criterion: Criterion,
    validation: tuple[Any, Any] | None,
    held_share: float,
    settings: Settings,
    budget: Budget | None,
    scope: str,
    key: int,
) -> State:
    """Fit an estimator to its optimum on checked data.

    Parameters
    ----------
    estimator : classifier or Pipeline
        The estimator; a clone is fitted.
    given : Given
        The rows.
    groups : array-like of shape (n_samples,), or None
        The group of each row.
    criterion : Criterion
        What method="puma" leaves unchanged.
    validation : tuple (X_val, y_val), or None
        Rows for the criterion.
    held_share : float
        Share of the rows to hold out for it.
    settings : Settings
        How to forget.
    budget : Budget or None
        What certified removal may spend.
    scope : {"auto", "head", "all"}
        What is updated of a network.
    key : int
        Key of the hashes of identities.

    Returns
    -------
    State
        The fitted state.
    """
    n_rows = len(given.codes)
    hashes = hash_identities(groups, n_rows, key)
    held_out = np.zeros(n_rows, dtype=bool)
    if held_share > 0:
        held_out = choose_held_out(hashes, given, held_share)
        if not held_out.any():
            warn(
                "too few rows to hold any out for the criterion, so it is computed on "
                "the training rows, where it is less informative. Pass X_val and y_val "
                "to fit, or fit with more rows or groups."
            )
    order, n_training = np.argsort(held_out, kind="stable"), int((~held_out).sum())
    _warn_of_fitted_steps(estimator)
    pipeline, X = transform(estimator, given, order, n_training)
    weight = given.sample_weight
    slot_of = np.empty(n_rows, dtype=np.int64)
    slot_of[order] = np.arange(n_rows)
    batch = Batch(X, given.codes[order], None if weight is None else weight[order])
    prototype = estimator if pipeline is None else estimator[-1]
    counted = given.counted[order[:n_training]]
    seed = derive_seed(key, _NETWORK)
    prototype, network = _train_network(
        prototype, view_batch(batch, 0, n_training), counted, given.classes, scope, seed
    )
    if network is not None:
        batch = replace(batch, X=network.transform(X))
    rows = Rows(batch, slot_of, np.ones(n_rows, dtype=bool))
    training = view_batch(batch, 0, n_training)
    w = counted.astype(np.float64)
    outside = order[n_training:].copy()
    index = None if groups is None else GroupIndex(hashes, key, find_kinds(groups))
    del hashes, held_out, order  # as long as the rows, at the peak of memory
    optimum = find_optimum(prototype, training, w, given.classes, settings, budget)
    state = State(
        prototype=clone(prototype),
        transformers=pipeline,
        network=network,
        optimum=optimum,
        rows=rows,
        held_out=outside,
        w=w,
        counts=np.bincount(training.y[counted], minlength=len(given.classes)),
        classes=given.classes,
        criterion=criterion,
        given=_check_validation(
            criterion, validation, pipeline, network, given.classes
        ),
        settings=settings,
        key=key,
        groups=index,
        budget=budget,
    )
    if settings.method != "puma":
        return state
    judge = state.find_validation()
    assert judge is not None
    start = judge.value(optimum.objective, optimum.theta)
    judge.gradient(optimum.objective, optimum.theta)  # which is checked
    return replace(state, criterion_start=start)


def _train_network(
    estimator: Any,
    rows: Batch,
    counted: np.ndarray,
    classes: np.ndarray,
    scope: str,
    seed: int,
) -> tuple[Any, Network | None]:
    """Return what is to be fitted, and the frozen layers of a network before it."""
    kind = find_network(estimator)
    if kind is None:
        return estimator, None
    if scope == "all":
        return WholeNetwork(estimator, kind, seed), None
    if not counted.all():
        rows = rows.take(np.flatnonzero(counted))
    network = kind.train(estimator, rows, classes, seed)
    return network.head, network


def _check_validation(
    criterion: Criterion,
    validation: tuple[Any, Any] | None,
    pipeline: Pipeline | None,
    network: Network | None,
    classes: np.ndarray,
) -> Validation | None:
    """Return the rows for the criterion that were given, as the objective sees them."""
    if validation is None:
        return None
    X, y = validation[0], column_or_1d(validation[1])
    check_consistent_length(X, y)
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(
            f"y_val has labels that are not in y, the first of them {unknown[0]!r}. "
            "Leave the rows of these classes out of X_val and y_val."
        )
    X = transform_others(pipeline, X)
    X = X if network is None else network.transform(X)
    return Validation(criterion, X, np.searchsorted(classes, y), classes)


def _warn_of_fitted_steps(estimator: Any) -> None:
    """Say which transformers remember the rows that they were fitted to."""
    if not isinstance(estimator, Pipeline):
        return
    leaks = [leak for step in estimator.steps[:-1] for leak in find_leaks(*step)]
    if leaks:
        names = [type(leak.transformer).__name__ for leak in leaks]
        warn(
            "the fitted transformers of the pipeline are not updated when rows are "
            f"forgotten: {', '.join(names)} will still contain information from "
            "forgotten rows. Use stateless transformers (or a FrozenEstimator fitted "
            "to other data), or wrap the pipeline in ShardedUnlearningClassifier, "
            "which retrains it."
        )

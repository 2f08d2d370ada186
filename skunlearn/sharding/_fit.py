"""From what is passed to ``fit`` and ``partial_fit`` to a plan of training."""

from dataclasses import replace
from typing import Any

from skunlearn._data.hashing import draw_key
from skunlearn._data.rows import Batch
from skunlearn._estimators.fit_params import check_fit_params, route, split_by_row
from skunlearn._estimators.growing import check_growing_params
from skunlearn.sharding._partition.registry import PARTITIONS, PartitionSpec
from skunlearn.sharding._plans import (
    Plan,
    plan_addition,
    plan_fit,
    warn_of_small_shards,
)
from skunlearn.sharding._training.recipe import Recipe, check_weights, make_recipe
from skunlearn.sharding._validation import (
    check_batch,
    check_for_rows,
    check_incoming,
    check_parameters,
    check_picks,
    check_probabilities,
    check_slice_sizes,
    match_batch,
)

__all__ = ["make_checked_recipe", "make_spec", "prepare_addition", "prepare_fit"]


def prepare_fit(
    classifier: Any,
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    groups: Any,
    forget_proba: Any,
    **fit_params: Any,
) -> Plan:
    """Check data and parameters, and plan to learn the rows from scratch.

    What is seen of the features is noted on the classifier.
    """
    check_parameters(
        estimator,
        partition=classifier.partition,
        n_shards=classifier.n_shards,
        n_replicas=classifier.n_replicas,
    )
    check_probabilities(PARTITIONS[classifier.partition], forget_proba)
    batch = check_batch(classifier, estimator, X, y, sample_weight, reset=True)
    root_seed = draw_key(classifier.random_state)
    fit_params = route(classifier, fit_params)
    recipe = make_checked_recipe(classifier, estimator, root_seed, batch, fit_params)
    check_picks(recipe.selection, batch.size)
    by_row, others = split_by_row(fit_params, batch.size)
    batch = replace(batch, fit_params=by_row)
    recipe = replace(recipe, fit_params=others)
    if sample_weight is not None:
        check_weights(recipe, estimator)
    plan = plan_fit(
        recipe,
        make_spec(classifier, recipe),
        check_incoming(batch, 0, root_seed, groups, forget_proba),  # plan_fit frees it
    )
    warn_of_small_shards(plan)
    return plan


def prepare_addition(
    classifier: Any,
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    groups: Any,
    forget_proba: Any,
) -> Plan:
    """Check new rows against those that there are, and plan to learn them."""
    state = classifier._state
    batch = check_batch(classifier, estimator, X, y, sample_weight, reset=False)
    check_probabilities(type(state.layout.partition), forget_proba)
    batch = match_batch(state, batch, has_groups=groups is not None)
    if sample_weight is not None:
        check_weights(state.recipe, estimator)
    incoming = check_incoming(
        batch, state.rows.n_positions, state.layout.key, groups, forget_proba
    )
    return plan_addition(state, incoming)


def make_checked_recipe(
    classifier: Any,
    estimator: Any,
    root_seed: int,
    batch: Batch,
    fit_params: dict[str, Any],
) -> Recipe:
    """Return how constituents are made of such rows, if they can be."""
    sizes = check_slice_sizes(classifier.slice_sizes, classifier.n_slices)
    recipe = make_recipe(
        estimator,
        root_seed=root_seed,
        n_slices=classifier.n_slices if sizes is None else len(sizes),
        slice_sizes=sizes,
        cumulative=classifier.slice_training == "cumulative",
        n_epochs=classifier.n_epochs,
        by_class=PARTITIONS[classifier.partition].is_by_class,
        selection=check_for_rows(classifier.selection, batch),
    )
    check_fit_params(estimator, fit_params, recipe.policy.start)
    if recipe.policy.resume == "grow":
        check_growing_params(estimator, fit_params)
    return recipe


def make_spec(classifier: Any, recipe: Recipe) -> PartitionSpec:
    """Return what is asked of the partition."""
    return PartitionSpec(
        recipe.root_seed,
        classifier.partition,
        classifier.n_shards,
        recipe.policy.n_slices,
        classifier.n_replicas,
        classifier.n_negatives if recipe.policy.role.has_negatives else 0,
        recipe.policy.slice_sizes,
    )

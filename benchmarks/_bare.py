"""The bare training that a sharded classifier makes, without the classifier.

These functions look inside a fitted classifier for the rows and the seed of each shard,
so that exactly the same training can be timed on its own.
"""

import copy
from collections.abc import Callable
from typing import Any

from sklearn.base import clone
from sklearn.utils.parallel import Parallel, delayed

from skunlearn import ShardedUnlearningClassifier

__all__ = ["cut_and_fit", "cut_and_fit_rows", "fit_in_jobs", "prepare_training"]


def prepare_training(
    classifier: ShardedUnlearningClassifier, index: int, n_steps: int | None = None
) -> Callable[[], None]:
    """Make ready to train the last steps of a shard, or all of them.

    Returns
    -------
    callable
        Does the training and nothing else: rows are cut already, and the estimator or
        the checkpoint to go on from is copied already.
    """
    state = classifier._state
    shard = state.shards[index]
    steps = shard.steps if n_steps is None else shard.steps[-n_steps:]
    rows = state.rows.take(shard.slots)
    parts = [(rows.X[s.start : s.stop], rows.y[s.start : s.stop]) for s in steps]
    if steps[0].kind == "fresh":
        estimator = clone(shard.estimator)  # with the seed of the shard
    else:
        estimator = copy.deepcopy(shard.states[steps[0].slice - 1].estimator)

    def train() -> None:
        for (X, y), step in zip(parts, steps, strict=True):
            if shard.policy.start == "fit":
                estimator.fit(X, y)
                continue
            for _ in range(step.n_epochs):
                estimator.partial_fit(X, y, classes=state.classes)

    return train


def cut_and_fit(classifier: ShardedUnlearningClassifier, index: int) -> Any:
    """Cut the rows of a shard and fit a new estimator on them, as any training must."""
    state = classifier._state
    shard, rows = state.shards[index], state.rows.data
    estimator = type(shard.estimator)(random_state=shard.estimator.random_state)
    return estimator.fit(rows.X.take(shard.slots, axis=0), rows.y.take(shard.slots))


def cut_and_fit_rows(
    classifier: ShardedUnlearningClassifier, index: int
) -> Callable[[], None]:
    """Make ready to cut the rows of one shard of a class and to fit a model on them.

    Returns
    -------
    callable
        Cuts and fits, with the labels and the seeds that the shard has.
    """
    state = classifier._state
    shard, rows = state.shards[index], state.rows.data
    estimator = clone(shard.estimator)
    y = state.find_labels(index, shard.slots)

    def train() -> None:
        X = rows.X.take(shard.slots, axis=0)
        estimator.fit(X, y) if shard.policy.role.is_supervised else estimator.fit(X)

    return train


def fit_in_jobs(classifier: ShardedUnlearningClassifier, n_jobs: int) -> None:
    """Fit clones of all constituents on the rows of their shards, in parallel."""
    state = classifier._state
    Parallel(n_jobs=n_jobs)(
        delayed(_fit)(clone(shard.estimator), state.rows.take(shard.slots))
        for shard in state.shards
    )


def _fit(estimator: Any, rows: Any) -> Any:
    return estimator.fit(rows.X, rows.y)

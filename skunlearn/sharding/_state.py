"""All that a fitted sharded classifier knows, and how it changes.

Nothing here is changed in place: a plan makes the shards as they will be, training
completes them, and the classifier then swaps references.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from skunlearn._identities import GroupIndex
from skunlearn._records import ForgetRecord, Request
from skunlearn._rows import Rows
from skunlearn.sharding._layout import Layout
from skunlearn.sharding._shards import Shard
from skunlearn.sharding._training import Recipe, Task

__all__ = ["Plan", "State"]


@dataclass(frozen=True, eq=False)
class State:
    """A fitted sharded classifier.

    Parameters
    ----------
    recipe : Recipe
        How constituents are made.
    layout : Layout
        Where rows belong.
    groups : GroupIndex or None
        The groups of rows, if there are any.
    rows : Rows
        The rows.
    classes : ndarray of shape (n_classes,)
        Classes of the retained rows.
    class_counts : ndarray of shape (n_classes,)
        Retained rows of each class.
    shards : tuple of Shard
        The shards.
    records : tuple of ForgetRecord
        What was forgotten so far, and at what cost.
    """

    recipe: Recipe
    layout: Layout
    groups: GroupIndex | None
    rows: Rows
    classes: np.ndarray
    class_counts: np.ndarray
    shards: tuple[Shard, ...]
    records: tuple[ForgetRecord, ...] = ()

    @property
    def n_samples_full(self) -> int:
        """Return the rows that training all shards anew would pass to training."""
        return sum(shard.n_samples_full for shard in self.shards)

    @property
    def pending(self) -> np.ndarray:
        """Return the forgotten positions whose shards are still to be trained."""
        return np.unique(np.concatenate([shard.pending for shard in self.shards]))

    def find_codes(self, slots: np.ndarray) -> np.ndarray:
        """Return the class of each slot, as an index into `classes`."""
        return np.searchsorted(self.classes, self.rows.held.y[slots])

    def with_record(self, request: Request, plan: "Plan", start: float) -> "State":
        """Return the state with one more record."""
        return replace(self, records=(*self.records, plan.make_record(request, start)))

    def find_shards(self, positions: np.ndarray) -> np.ndarray:
        """Return the shards of each position, of shape (n, n_replicas)."""
        if self.groups is None:
            return self.layout.find_shards(self.layout.hash_rows(positions))
        return self.layout.find_shards(self.groups.hashes[positions])


@dataclass(frozen=True, eq=False)
class Plan:
    """A state to come, whose touched shards are still to be trained.

    Parameters
    ----------
    state : State
        The state, with shards that lack checkpoints.
    touched : tuple of int
        Shards that the plan changes.
    """

    state: State
    touched: tuple[int, ...]

    @property
    def due(self) -> tuple[int, ...]:
        """Return the touched shards in which there is something to train."""
        return tuple(i for i in self.touched if self.state.shards[i].steps_due)

    @property
    def n_slices(self) -> int:
        """Return the number of training steps to make."""
        steps = (step for i in self.touched for step in self.state.shards[i].steps_due)
        return sum(step.kind != "constant" for step in steps)

    @property
    def n_samples(self) -> int:
        """Return the number of rows to pass to training."""
        return sum(
            step.n_samples
            for i in self.touched
            for step in self.state.shards[i].steps_due
        )

    def make_record(self, request: Request, start: float) -> ForgetRecord:
        """Return the record of a request that this plan answers since `start`."""
        return ForgetRecord(
            n_requested=request.n_requested,
            n_forgotten=len(request.positions),
            n_already_forgotten=request.n_already_forgotten,
            shards=self.touched,
            n_slices_retrained=self.n_slices,
            n_samples_retrained=self.n_samples,
            n_samples_full_retrain=self.state.n_samples_full,
            seconds=time.perf_counter() - start,
            kind="exact",
        )

    def make_tasks(self) -> Iterator[Task]:
        """Yield the training that is due, each task with a copy of its rows."""
        state = self.state
        knows_all = state.recipe.regime.knows_all_classes
        for i in self.due:
            shard = state.shards[i]
            steps = shard.steps_due
            start = min(step.start for step in steps)
            stop = max(step.stop for step in steps)
            yield Task(
                shard=i,
                steps=steps,
                rows=state.rows.take(shard.slots[start:stop]),
                offset=start,
                state=shard.estimator,
                classes=state.classes if knows_all else None,
            )

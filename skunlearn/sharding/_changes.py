"""The changes that a sharded classifier goes through, as plans.

Planning trains nothing and changes nothing; it finds the shards that a change touches
and cuts their checkpoints back to those that the change leaves true.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from skunlearn._identities import GroupIndex
from skunlearn._rows import Batch, Rows
from skunlearn.exceptions import NothingRetainedError
from skunlearn.sharding._layout import Layout, Places
from skunlearn.sharding._shards import Shard
from skunlearn.sharding._state import Plan, State
from skunlearn.sharding._training import Recipe, train_shards

__all__ = [
    "Newcomers",
    "complete",
    "plan_addition",
    "plan_fit",
    "plan_removal",
    "plan_retraining",
]


@dataclass(frozen=True, eq=False)
class Newcomers:
    """Rows that have not been laid out yet.

    Parameters
    ----------
    batch : Batch
        The rows.
    hashes : ndarray of uint64, shape (n_rows,)
        Hash of the identity of each.
    has_groups : bool
        Whether that identity is a group.
    forget_proba : ndarray of shape (n_rows,) or None
        Probability of each to be forgotten.
    """

    batch: Batch
    hashes: np.ndarray
    has_groups: bool
    forget_proba: np.ndarray | None

    def arrange(self, layout: Layout) -> tuple[Rows, Places, np.ndarray]:
        """Lay the rows out; return them, their places and their labels, by slot.

        A row of no weight has no place in any shard: it says nothing.
        """
        weight = self.batch.sample_weight
        if weight is None:
            counting = silent = np.arange(self.batch.size)
            silent = silent[:0]
        else:
            counting, silent = np.flatnonzero(weight > 0), np.flatnonzero(weight == 0)
        proba = None if self.forget_proba is None else self.forget_proba[counting]
        places = layout.place(self.hashes[counting], proba)
        order = np.concatenate([counting[places.order], silent])
        rows = Rows.in_order(self.batch, order)
        return rows, places, rows.held.y[: len(counting)]


def plan_fit(recipe: Recipe, layout: Layout, newcomers: Newcomers) -> Plan:
    """Plan to learn rows from scratch."""
    rows, places, labels = newcomers.arrange(layout)
    classes = np.unique(labels)
    codes = np.searchsorted(classes, labels)  # half the memory of return_inverse
    n_classes = len(classes)
    shards = []
    for slots, bounds in zip(places.members, places.bounds, strict=True):
        slices = np.repeat(np.arange(layout.n_slices), np.diff(bounds))
        counts = np.bincount(
            slices * n_classes + codes[slots], minlength=layout.n_slices * n_classes
        ).reshape(layout.n_slices, n_classes)
        shards.append(Shard(recipe.regime, slots, bounds, counts))
    state = State(
        recipe=recipe,
        layout=layout,
        groups=GroupIndex(newcomers.hashes) if newcomers.has_groups else None,
        rows=rows,
        classes=classes,
        class_counts=np.bincount(codes),
        shards=tuple(shards),
    )
    return Plan(state, tuple(range(layout.n_shards)))


def plan_addition(state: State, newcomers: Newcomers) -> Plan:
    """Plan to learn more rows: a new last slice in each shard that they fall in."""
    rows, places, labels = newcomers.arrange(replace(state.layout, n_slices=1))
    classes = np.union1d(state.classes, labels)
    codes = np.searchsorted(classes, labels)
    changed = {
        i: (places.members[i] + state.rows.n_positions, codes[places.members[i]])
        for i in range(len(state.shards))
        if len(places.members[i])
    }
    grown = _with_classes(state, classes, np.empty(0, dtype=np.int64))
    shards = list(grown.shards)
    for i, (slots, codes_here) in changed.items():
        counts = np.bincount(codes_here, minlength=len(classes))
        shards[i] = shards[i].with_rows(slots, counts)
    groups = None
    if state.groups is not None:
        groups = GroupIndex(np.concatenate([state.groups.hashes, newcomers.hashes]))
    new_state = replace(
        grown,
        groups=groups,
        rows=state.rows.append(rows),
        class_counts=grown.class_counts + np.bincount(codes, minlength=len(classes)),
        shards=tuple(shards),
    )
    return Plan(new_state, _touched(state, classes, changed))


def plan_removal(state: State, positions: np.ndarray) -> Plan:
    """Plan to forget the rows at the given positions, at the cost of their shards.

    Raises
    ------
    NothingRetainedError
        If no row would be left to learn from.
    """
    slots = state.rows.slot_of[positions]
    weight = state.rows.held.sample_weight
    if weight is not None:
        has_weight = weight[slots] > 0
        positions, slots = positions[has_weight], slots[has_weight]
    lost = np.bincount(state.find_codes(slots), minlength=len(state.classes))
    class_counts = state.class_counts - lost
    if not class_counts.any():
        raise NothingRetainedError(
            f"forgetting {len(positions)} rows would leave none to learn from. Keep at "
            "least one row or, if all is to go, delete the classifier."
        )
    changed = dict(_group_by_shard(state.find_shards(positions)))
    shards = list(state.shards)
    for i, which in changed.items():
        shards[i] = shards[i].without_rows(
            slots[which], positions[which], state.find_codes
        )
    reduced = replace(state, class_counts=class_counts, shards=tuple(shards))
    classes = state.classes[class_counts > 0]
    reduced = _with_classes(reduced, classes, positions)
    return Plan(reduced, _touched(state, classes, changed))


def plan_retraining(state: State) -> Plan:
    """Plan to train what was deferred."""
    due = (i for i, shard in enumerate(state.shards) if not shard.is_trained)
    return Plan(state, tuple(due))


def complete(plan: Plan, n_jobs: int | None, report: Callable[[int], None]) -> State:
    """Train what a plan leaves to train, and return the state that it comes to."""
    trained = train_shards(
        plan.state.recipe,
        plan.make_tasks(),
        n_tasks=len(plan.due),
        n_jobs=n_jobs,
        report=report,
    )
    shards = list(plan.state.shards)
    for i in plan.touched:
        shards[i] = shards[i].with_states(trained.get(i, {}))
    return replace(plan.state, shards=tuple(shards))


def _with_classes(state: State, classes: np.ndarray, positions: np.ndarray) -> State:
    """Return a state with other classes, since the given positions were forgotten."""
    if np.array_equal(classes, state.classes):
        return state
    columns = np.searchsorted(classes, state.classes)
    known = np.isin(state.classes, classes)
    columns[~known] = -1
    class_counts = np.zeros(len(classes), dtype=np.int64)
    class_counts[columns[known]] = state.class_counts[known]
    shards = tuple(
        shard.with_classes(columns, len(classes), positions) for shard in state.shards
    )
    return replace(state, classes=classes, class_counts=class_counts, shards=shards)


def _touched(state: State, classes: np.ndarray, changed: Any) -> tuple[int, ...]:
    """Return the shards with other rows, or all of those told of other classes."""
    told = state.recipe.regime.knows_all_classes
    if told and not np.array_equal(classes, state.classes):
        return tuple(range(len(state.shards)))
    return tuple(sorted(changed))


def _group_by_shard(shards: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each shard of an (n_rows, n_replicas) array, and the rows in it."""
    flat = shards.ravel()
    order = np.argsort(flat, kind="stable")
    starts = np.flatnonzero(np.diff(flat[order], prepend=-1))
    for start, stop in pairwise([*starts.tolist(), len(flat)]):
        members = order[start:stop]
        yield int(flat[members[0]]), members // shards.shape[1]

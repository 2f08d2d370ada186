"""One shard: which rows it has, and the checkpoints that were trained on them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from skunlearn.sharding._selection.selected_rows import SelectedRows
from skunlearn.sharding._training.schedule import Step, TrainingPolicy, make_schedule

__all__ = ["Shard"]


def _contains(slots: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return a mask of the wanted slots; for one row at a tenth of np.isin's cost."""
    return slots == wanted[0] if len(wanted) == 1 else np.isin(slots, wanted)


def _nothing() -> np.ndarray:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Shard:
    """A shard as it is; every change makes a new one.

    Parameters
    ----------
    policy : TrainingPolicy
        How constituents are trained.
    seed_path : tuple of int
        What tells its seeds from those of other shards.
    slots : ndarray of shape (n_rows,)
        Slots of its rows in the order of training.
    bounds : ndarray of shape (n_slices + 1,)
        Where each slice begins and ends in `slots`. Slices beyond
        ``policy.n_slices`` came by ``partial_fit``.
    label_counts : ndarray of shape (n_slices, n_labels)
        Rows of each label in each slice.
    states : tuple
        The estimator after each slice that is trained: the checkpoints. None where
        there was no row so far. Fewer than there are slices while training is due.
    pending : ndarray
        Positions that were forgotten since the shard was trained last.
    selected : SelectedRows or None
        Where not all rows are trained on: all of them, and which ones are. Then `slots`
        are the rows that the checkpoints were trained on, and the other attributes
        tell of those that will be.
    """

    policy: TrainingPolicy
    seed_path: tuple[int, ...]
    slots: np.ndarray
    bounds: np.ndarray
    label_counts: np.ndarray
    states: tuple[Any, ...] = ()
    pending: np.ndarray = field(default_factory=_nothing)
    selected: SelectedRows | None = None

    @property
    def n_slices(self) -> int:
        """Return the number of slices, those that came by ``partial_fit`` included."""
        return len(self.bounds) - 1

    @property
    def is_trained(self) -> bool:
        """Whether every slice has its checkpoint."""
        return len(self.states) == self.n_slices

    def same_rows_as(self, other: "Shard | None") -> bool:
        """Return True if the other shard is trained on the same rows as far."""
        return other is not None and (
            self.slots is other.slots
            and self.bounds is other.bounds  # new ones where there are rows to pick
            and self.states is other.states
            and self.pending is other.pending
        )

    @property
    def estimator(self) -> Any:
        """Return the constituent: the last checkpoint, or None if there is none."""
        return self.states[-1] if self.states else None

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Return the steps that train the shard from scratch."""
        return make_schedule(self.policy, self.bounds, self.label_counts > 0)

    @cached_property
    def n_samples_full(self) -> int:
        """Return the rows that these steps pass to training."""
        return sum(step.n_samples for step in self.steps)

    @property
    def steps_due(self) -> tuple[Step, ...]:
        """Return the steps that have no checkpoint yet."""
        return tuple(step for step in self.steps if step.slice >= len(self.states))

    def with_states(
        self, trained: dict[int, Any], selected: SelectedRows | None = None
    ) -> "Shard":
        """Return the shard with all checkpoints; an empty slice repeats the last."""
        if selected is not None:
            slots = np.concatenate(selected.picked)
            return replace(self, selected=selected, slots=slots).with_states(trained)
        states = list(self.states)
        for index in range(len(states), self.n_slices):
            last = states[-1] if states else None
            states.append(trained.get(index, last))
        complete = replace(self, states=tuple(states), pending=_nothing())
        complete.__dict__["steps"] = self.steps  # which are those of the same rows
        return complete

    def settled(self) -> "Shard":
        """Return the shard complete, if rows are gone and nothing is to be trained."""
        if self.steps_due or (self.is_trained and not len(self.pending)):
            return self
        return self.with_states({}, self.selected)

    def without_rows(
        self,
        slots: np.ndarray,
        positions: np.ndarray,
        find_labels: Callable[[np.ndarray], np.ndarray],
    ) -> "Shard":
        """Return the shard without some rows and what was trained on them.

        Parameters
        ----------
        slots, positions : ndarray of shape (n_gone,)
            Slots and positions of the rows, all of them in the shard.
        find_labels : callable
            Finds the label of rows by their slots.
        """
        if self.selected is not None:
            return self.without_candidates(self.selected, slots, positions)
        gone = np.flatnonzero(_contains(self.slots, slots))
        slices = np.searchsorted(self.bounds, gone, side="right") - 1
        label_counts = self.label_counts.copy()
        np.subtract.at(label_counts, (slices, find_labels(self.slots[gone])), 1)
        smaller = replace(
            self,
            slots=np.delete(self.slots, gone if len(gone) > 1 else gone[0]),
            bounds=self.bounds - np.searchsorted(gone, self.bounds),
            label_counts=label_counts,
            states=self.states[: slices[0]],
            pending=np.concatenate([self.pending, positions]),
        )
        return smaller if self.n_slices == self.policy.n_slices else smaller.trimmed()

    def without_candidates(
        self, selected: SelectedRows, slots: np.ndarray, positions: np.ndarray
    ) -> "Shard":
        """Return the shard without rows that may have been picked."""
        smaller, changed = selected.without_rows(slots)
        if changed is None:
            return replace(self, selected=smaller)
        first = 0 if self.policy.resume is None else changed
        return replace(
            self,
            states=self.states[:first],
            pending=np.concatenate([self.pending, positions]),
        ).with_selected(smaller)

    def with_selected(self, selected: SelectedRows) -> "Shard":
        """Return the shard with other rows to choose from."""
        selected = selected.trimmed(self.policy.n_slices)
        label_counts = selected.count(self.label_counts.shape[1])
        if self.policy.resume is None:
            label_counts = label_counts.sum(axis=0, keepdims=True)
        ends = label_counts.sum(axis=1).cumsum()
        bounds = np.concatenate([[0], ends])
        return replace(
            self, selected=selected, bounds=bounds, label_counts=label_counts
        )

    def trimmed(self) -> "Shard":
        """Return the shard without the emptied ones of the slices that came later.

        A fit on the retained rows would not have made them. Where an estimator cannot
        go on training the later slices are one with the first.
        """
        if self.selected is not None:
            return self.with_selected(self.selected)
        filled = np.diff(self.bounds) > 0
        filled[: self.policy.n_slices] = True
        bounds = np.concatenate([self.bounds[:1], self.bounds[1:][filled]])
        label_counts = self.label_counts[filled]
        if self.policy.resume is None:
            bounds, label_counts = bounds[[0, -1]], label_counts.sum(0, keepdims=True)
        return replace(self, bounds=bounds, label_counts=label_counts)

    def continuing(self, old: "Shard | None", positions: np.ndarray) -> "Shard":
        """Return the shard with the checkpoints of an old one that are still true.

        Parameters
        ----------
        old : Shard or None
            The shard as it was.
        positions : ndarray
            Positions that were forgotten meanwhile.
        """
        if old is None:
            return self
        if self.selected is not None and old.selected is not None:
            return self._continuing_selected(self.selected, old, positions)
        n_same = 0
        for mine, others in zip(self.cut(), old.cut(), strict=False):
            if not np.array_equal(mine, others):
                break
            n_same += 1
        if n_same == self.n_slices == old.n_slices:
            return old
        pending = np.union1d(old.pending, positions)
        return replace(self, states=old.states[:n_same], pending=pending)

    def _continuing_selected(
        self, selected: SelectedRows, old: "Shard", positions: np.ndarray
    ) -> "Shard":
        assert old.selected is not None
        selected, n_same = selected.continuing(old.selected)
        if n_same == len(selected.blocks) == len(old.selected.blocks):
            return old
        n_kept = 0 if self.policy.resume is None else n_same
        pending = np.union1d(old.pending, positions)
        return replace(
            self, selected=selected, states=old.states[:n_kept], pending=pending
        )

    def cut(self) -> list[np.ndarray]:
        """Return the slots of each slice, those not picked included."""
        if self.selected is not None:
            return list(self.selected.orders)
        return np.split(self.slots, self.bounds[1:-1])

    def with_candidates(self, selected: SelectedRows) -> "Shard":
        """Return the shard with a new last slice to choose from."""
        states = () if self.policy.resume is None else self.states
        return replace(self, states=states).with_selected(selected)

    def with_rows(self, slots: np.ndarray, label_counts: np.ndarray) -> "Shard":
        """Return the shard with a new last slice.

        An estimator that cannot go on training has no use for one: the rows join the
        slice that there is.

        Parameters
        ----------
        slots : ndarray of shape (n_new,)
            Slots of the new rows in the order of training.
        label_counts : ndarray of shape (n_classes,)
            How many of them are of each class.
        """
        end = len(self.slots) + len(slots)
        if self.policy.resume is None:
            return replace(
                self,
                slots=np.concatenate([self.slots, slots]),
                bounds=np.append(self.bounds[:-1], end),
                label_counts=self.label_counts + label_counts,
                states=(),
            )
        return replace(
            self,
            slots=np.concatenate([self.slots, slots]),
            bounds=np.append(self.bounds, end),
            label_counts=np.vstack([self.label_counts, label_counts]),
        )

    def with_classes(
        self, columns: np.ndarray, n_classes: int, positions: np.ndarray
    ) -> "Shard":
        """Return the shard with its counts in other columns.

        An estimator that was told of the old classes is dropped.

        Parameters
        ----------
        columns : ndarray of shape (n_old_classes,)
            New column of each old class; -1 for a class that is no more.
        n_classes : int
            Number of new columns.
        positions : ndarray
            Positions that were forgotten with a class.
        """
        kept = columns >= 0
        label_counts = np.zeros((self.n_slices, n_classes), dtype=np.int64)
        label_counts[:, columns[kept]] = self.label_counts[:, kept]
        selected = None if self.selected is None else self.selected.with_labels(columns)
        changed = replace(self, label_counts=label_counts, selected=selected)
        if self.policy.start == "fit":
            return changed
        pending = np.union1d(self.pending, positions)
        return replace(changed, states=(), pending=pending)

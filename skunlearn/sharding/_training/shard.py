"""One shard: which rows it has, and the checkpoints that were trained on them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, islice
from typing import Any

import numpy as np

from skunlearn._data.rows import Rows
from skunlearn._pickling import FieldsOnly
from skunlearn.checkpoints._memory import Checkpoint
from skunlearn.sharding._selection.selected_rows import ClassBlock, SelectedRows
from skunlearn.sharding._training.schedule import (
    Step,
    TrainingPolicy,
    count_samples,
    make_schedule,
)

__all__ = ["Labels", "Shard", "Shards", "nothing"]

_BLOCK = 128  # shards; of 20,000 there are about as many blocks
Labels = Callable[[np.ndarray], np.ndarray]  # of rows by their slots


def _contains(slots: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return a mask of the wanted slots; for one row at a tenth of np.isin's cost."""
    return slots == wanted[0] if len(wanted) == 1 else np.isin(slots, wanted)


def nothing() -> np.ndarray:
    """Return no positions and no slots."""
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Shard(FieldsOnly):
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
    states : tuple of Checkpoint or None
        The checkpoint after each slice that is trained, None where there was no row so
        far. Fewer than there are slices while some are to be trained.
    pending : ndarray
        Positions that were forgotten since the shard was trained last.
    """

    policy: TrainingPolicy
    seed_path: tuple[int, ...]
    slots: np.ndarray
    bounds: np.ndarray
    label_counts: np.ndarray
    states: tuple[Checkpoint | None, ...] = ()
    pending: np.ndarray = field(default_factory=nothing)

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
        last = self.states[-1] if self.states else None
        return None if last is None else last.estimator

    @property
    def slots_seen(self) -> np.ndarray:
        """Return the slots of the rows that the last checkpoint was trained on."""
        return self.slots[: self.bounds[len(self.states)]]

    def list_values(self, rows: Rows) -> Any:
        """Return the values of columns that the last checkpoint knows."""
        if "_values" not in vars(self):
            made = [step for step in self.steps if step.slice < len(self.states)]
            n_known = made[-1].n_known if made else None
            vars(self)["_values"] = rows.list_values(self.slots_seen[:n_known])
        return vars(self)["_values"]

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """Return the steps that train the shard from scratch."""
        return make_schedule(self.policy, self.bounds, self.label_counts > 0)

    @cached_property
    def n_samples_full(self) -> int:
        """Return the rows that these steps pass to training."""
        return count_samples(self.steps)

    @cached_property
    def missing_steps(self) -> tuple[Step, ...]:
        """Return the steps that have no checkpoint yet."""
        return tuple(step for step in self.steps if step.slice >= len(self.states))

    def find_rows(
        self, steps: tuple[Step, ...]
    ) -> tuple[np.ndarray, int, SelectedRows | None]:
        """Return what the given steps are trained on.

        Returns
        -------
        slots : ndarray
            The slots of rows.
        offset : int
            Place in the shard of the first of them.
        selected : SelectedRows or None
            If given, these are the rows to choose from.
        """
        start = min(step.start for step in steps)
        stop = max(step.stop for step in steps)
        return self.slots[start:stop], start, None

    def with_states(
        self, trained: Mapping[int, Checkpoint], selected: SelectedRows | None = None
    ) -> "Shard":
        """Return the shard with all checkpoints; an empty slice repeats the last.

        Parameters
        ----------
        trained : mapping
            New checkpoints by slice.
        selected : SelectedRows or None
            The rows that they were trained on, if they were chosen.
        """
        states = list(self.states)
        for index in range(len(states), self.n_slices):
            last = states[-1] if states else None
            states.append(trained.get(index, last))
        complete = replace(self, states=tuple(states), pending=nothing())
        # The rows are the same, and so is what follows from them.
        complete.__dict__.update(steps=self.steps, n_samples_full=self.n_samples_full)
        return complete

    def settled(self) -> "Shard":
        """Return the shard complete, if rows are gone and nothing is to be trained."""
        if self.missing_steps or (self.is_trained and not len(self.pending)):
            return self
        return self.with_states({})

    def without_rows(
        self,
        slots: np.ndarray,
        positions: np.ndarray,
        find_labels: Labels,
    ) -> "Shard":
        """Return the shard without some rows and what was trained on them.

        Parameters
        ----------
        slots, positions : ndarray of shape (n_gone,)
            Slots and positions of the rows, all of them in the shard.
        find_labels : callable
            Finds the label of rows by their slots.
        """
        (gone,) = _contains(self.slots, slots).nonzero()
        slices = self.bounds.searchsorted(gone, side="right") - 1
        label_counts = self.label_counts.copy()
        np.subtract.at(label_counts, (slices, find_labels(self.slots[gone])), 1)
        smaller = replace(
            self,
            slots=np.delete(self.slots, gone if len(gone) > 1 else gone[0]),
            bounds=self.bounds - gone.searchsorted(self.bounds),
            label_counts=label_counts,
            states=self.states[: slices[0]],
            pending=np.concatenate([self.pending, positions]),
        )
        return smaller if self.n_slices == self.policy.n_slices else smaller.trimmed()

    def trimmed(self) -> "Shard":
        """Return the shard without the emptied ones of the slices that came later.

        A fit on the retained rows would not have made them. Where an estimator cannot
        go on training the later slices are one with the first.
        """
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
        n_same = 0
        for mine, others in zip(self.cut(), old.cut(), strict=False):
            if not np.array_equal(mine, others):
                break
            n_same += 1
        if n_same == self.n_slices == old.n_slices:
            return old
        pending = np.union1d(old.pending, positions)
        return replace(self, states=old.states[:n_same], pending=pending)

    def in_slots(self, slots: np.ndarray) -> "Shard":
        """Return the shard with its rows in other slots, given for each of today's."""
        return replace(self, slots=slots[self.slots])

    def cut(self) -> list[np.ndarray]:
        """Return the slots of each slice."""
        return np.split(self.slots, self.bounds[1:-1])

    def with_rows(
        self,
        slots: np.ndarray,
        count_labels: Labels,
        make_blocks: Callable[[np.ndarray], tuple[ClassBlock, ...]],
    ) -> "Shard":
        """Return the shard with a new last slice.

        An estimator that cannot go on training has no use for one: the rows join the
        slice that there is.

        Parameters
        ----------
        slots : ndarray of shape (n_new,)
            Slots of the new rows in the order of training.
        count_labels : callable
            Counts rows of each label by their slots.
        make_blocks : callable
            Parts rows by class to choose among them, where they are not all trained on.
        """
        end = len(self.slots) + len(slots)
        label_counts = count_labels(slots)
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

        An estimator that was trained with the old classes is dropped.

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
        changed = replace(self, label_counts=label_counts)
        if self.policy.start == "fit":
            return changed
        pending = np.union1d(self.pending, positions)
        return replace(changed, states=(), pending=pending)


class Shards:
    """All shards, in blocks: to change a few costs less than a list of all.

    What is summed over them is known when a few have changed.

    Parameters
    ----------
    shards : iterable of Shard
        The shards.
    """

    def __init__(self, shards: Iterable[Shard] = ()) -> None:
        iterator = iter(shards)
        self._blocks = list(iter(lambda: list(islice(iterator, _BLOCK)), []))
        self._length = sum(map(len, self._blocks))

    def __len__(self) -> int:
        """Return the number of shards."""
        return self._length

    def __getitem__(self, index: int | np.integer) -> Shard:
        """Return one shard."""
        return self._blocks[index // _BLOCK][index % _BLOCK]

    def __iter__(self) -> Iterator[Shard]:
        """Iterate over the shards."""
        return chain.from_iterable(self._blocks)

    def __reduce__(self) -> tuple[Any, ...]:
        """Make a copy or a pickle without sums, which may not be known yet."""
        return Shards, (tuple(self),)

    @cached_property
    def n_samples_full(self) -> int:
        """Return the rows that retraining all of them would pass to training."""
        return sum(shard.n_samples_full for shard in self)

    def changed(self, others: Mapping[int, Shard]) -> "Shards":
        """Return the shards with others in some places."""
        changed, n_samples = Shards(), self.n_samples_full
        changed._blocks, changed._length = list(self._blocks), self._length
        for block in {i // _BLOCK for i in others}:
            changed._blocks[block] = list(self._blocks[block])
        for i, other in others.items():
            n_samples += other.n_samples_full - self[i].n_samples_full
            changed._blocks[i // _BLOCK][i % _BLOCK] = other
        changed.n_samples_full = n_samples
        return changed

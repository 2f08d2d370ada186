"""Changes of shards when a class appears or disappears."""

from dataclasses import dataclass, replace

import numpy as np

from skunlearn.sharding._partition.layout import arrange
from skunlearn.sharding._state import State
from skunlearn.sharding._training.shard import Shard, Shards

__all__ = ["find_touched", "with_classes"]


def with_classes(
    state: State, classes: np.ndarray, class_hashes: np.ndarray, positions: np.ndarray
) -> State:
    """Return a state with other classes.

    Parameters
    ----------
    state : State
        A state whose rows are up to date already.
    classes : ndarray of shape (n_classes,)
        The new classes.
    class_hashes : ndarray of uint64, shape (n_classes,)
        Hash of each.
    positions : ndarray
        Positions that were forgotten with a class.

    Returns
    -------
    State
        The state. Shards that the change leaves as they are keep their checkpoints.
    """
    if np.array_equal(classes, state.classes):
        return state
    columns = np.searchsorted(classes, state.classes)
    is_known = np.isin(state.classes, classes)
    columns[~is_known] = -1
    class_counts = np.zeros(len(classes), dtype=np.int64)
    class_counts[columns[is_known]] = state.class_counts[is_known]
    changed = replace(
        state,
        recipe=state.recipe.with_classes(state.classes, classes),
        layout=state.layout.without_classes(class_hashes),
        classes=classes,
        class_hashes=class_hashes,
        class_counts=class_counts,
    )
    change = _Change(state, changed, columns, positions)
    shards = state.recipe.policy.role.on_classes_changed(change)
    return replace(changed, shards=shards)


def find_touched(before: State, after: State) -> tuple[int, ...]:
    """Return the shards that have other rows or fewer checkpoints than they had."""
    known = {shard.seed_path: shard for shard in before.shards}
    return tuple(
        i
        for i, shard in enumerate(after.shards)
        if not shard.same_rows_as(known.get(shard.seed_path))
    )


@dataclass(frozen=True, eq=False)
class _Change:
    """A change of classes, and the ways in which shards can follow it.

    Parameters
    ----------
    before, after : State
        The state before, and after but for its shards.
    columns : ndarray of shape (n_old_classes,)
        Index of each old class among the new ones; -1 for a class that is no more.
    positions : ndarray
        Positions that were forgotten with a class.
    """

    before: State
    after: State
    columns: np.ndarray
    positions: np.ndarray

    @property
    def known(self) -> dict[tuple[int, ...], Shard]:
        """Return the shards before, by what identifies them."""
        return {shard.seed_path: shard for shard in self.before.shards}

    def relabel(self) -> Shards:
        """Return all shards, with their rows counted by the new classes."""
        return Shards(
            shard.with_classes(self.columns, self.after.n_classes, self.positions)
            for shard in self.before.shards
        )

    def keep(self) -> Shards:
        """Return the shards of the classes that stay, and empty ones of new classes."""
        after, known = self.after, self.known
        n_shards = after.layout.partition.count_shards(after.n_classes)
        no_slots = [np.empty(0, dtype=np.int64)] * n_shards
        no_bounds = [np.zeros(after.layout.n_slices + 1, dtype=np.int64)] * n_shards
        shards = after.make_shards(no_slots, no_bounds)
        return Shards(known.get(shard.seed_path, shard) for shard in shards)

    def lay_out_again(self) -> Shards:
        """Return shards of all rows, which stand against other classes now.

        A shard keeps the checkpoints of the slices that come out as they were.
        """
        after, known = self.after, self.known
        # The rows of a request are marked as forgotten when all else is done.
        kept = np.setdiff1d(after.find_counting(), self.positions, assume_unique=True)
        traits = after.describe(kept)
        batch = np.searchsorted(after.batches, kept, side="right") - 1
        slices = after.layout.find_slices(traits)  # of the rows of fit
        places = arrange(
            after.layout.partition.find_shards(traits),
            np.where(batch == 0, slices, after.layout.n_slices + batch - 1),
            traits,
            n_shards=after.layout.partition.count_shards(after.n_classes),
            n_slices=after.layout.n_slices + len(after.batches) - 1,
        )
        slots = after.rows.slot_of[kept[places.order]]
        shards = after.make_shards([slots[m] for m in places.members], places.bounds)
        return Shards(
            shard.trimmed().continuing(known.get(shard.seed_path), self.positions)
            for shard in shards
        )

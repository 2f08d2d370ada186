"""What becomes of shards when a class appears or disappears."""

from dataclasses import replace

import numpy as np

from skunlearn.sharding._partition.layout import arrange
from skunlearn.sharding._state import State
from skunlearn.sharding._training.shard import Shard

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
        layout=state.layout.without_classes(class_hashes),
        classes=classes,
        class_hashes=class_hashes,
        class_counts=class_counts,
    )
    learns = state.recipe.policy.learns
    if learns == "class_or_rest":
        return replace(changed, shards=_lay_out_anew(state, changed, positions))
    if learns == "one_class":
        return replace(changed, shards=_select_shards(state, changed))
    shards = (
        shard.with_classes(columns, len(classes), positions) for shard in state.shards
    )
    return replace(changed, shards=tuple(shards))


def find_touched(before: State, after: State) -> tuple[int, ...]:
    """Return the shards that have other rows or fewer checkpoints than they had."""
    known = {shard.seed_path: shard for shard in before.shards}
    return tuple(
        i
        for i, shard in enumerate(after.shards)
        if not shard.same_rows_as(known.get(shard.seed_path))
    )


def _select_shards(before: State, after: State) -> tuple[Shard, ...]:
    """Keep the shards of the classes that stay; those of new classes are empty."""
    known = {shard.seed_path: shard for shard in before.shards}
    n_shards = after.layout.partition.count_shards(len(after.classes))
    no_slots = [np.empty(0, dtype=np.int64)] * n_shards
    no_bounds = [np.zeros(after.layout.n_slices + 1, dtype=np.int64)] * n_shards
    shards = after.make_shards(no_slots, no_bounds)
    return tuple(known.get(shard.seed_path, shard) for shard in shards)


def _lay_out_anew(
    before: State, after: State, positions: np.ndarray
) -> tuple[Shard, ...]:
    """Lay out all rows again: with other classes they stand against other ones.

    A shard keeps the checkpoints of the slices that come out as they were.
    """
    # The rows of a request are marked as forgotten when all else is done.
    kept = np.setdiff1d(after.find_counting(), positions, assume_unique=True)
    traits = after.describe(kept)
    batch = np.searchsorted(after.batches, kept, side="right") - 1
    slices = after.layout.find_slices(traits)  # of the rows of fit; others come later
    places = arrange(
        after.layout.partition.find_shards(traits),
        np.where(batch == 0, slices, after.layout.n_slices + batch - 1),
        traits,
        n_shards=after.layout.partition.count_shards(len(after.classes)),
        n_slices=after.layout.n_slices + len(after.batches) - 1,
    )
    slots = after.rows.slot_of[kept[places.order]]
    known = {shard.seed_path: shard for shard in before.shards}
    shards = after.make_shards([slots[m] for m in places.members], places.bounds)
    return tuple(
        shard.trimmed().continuing(known.get(shard.seed_path), positions)
        for shard in shards
    )

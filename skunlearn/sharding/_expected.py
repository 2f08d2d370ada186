"""What forgetting one random row of a fitted classifier costs: the exact mean."""

from functools import partial

import numpy as np

from skunlearn.sharding._changes import plan_removal
from skunlearn.sharding._shards import Shard
from skunlearn.sharding._state import State

__all__ = ["expect_one_request"]


def expect_one_request(state: State) -> float:
    """Return the mean rows passed to training when one retained row is forgotten.

    It is the mean of what previews of all retained rows would tell. Rows of a slice
    cost the same unless they are the last of their class somewhere, so that only those
    few are looked at one by one.
    """
    if state.class_counts.sum() == 1:
        return 0.0  # nothing would be left, which is refused
    last = _find_last_of_class(state)
    total = 0.0
    for position in last:
        total += plan_removal(state, np.array([position])).n_samples
    for i in range(len(state.shards)):
        total += _sum_over_rows(state, i, state.rows.slot_of[last])
    return total / np.count_nonzero(state.rows.retained)


def _find_last_of_class(state: State) -> np.ndarray:
    """Return the positions of rows whose class would disappear with them."""
    only = np.flatnonzero(state.class_counts == 1)
    if len(only) == 0:
        return only
    positions = state.find_counting()
    codes = state.find_codes(state.rows.slot_of[positions])
    return positions[np.isin(codes, only)]


def _sum_over_rows(state: State, index: int, left_out: np.ndarray) -> float:
    """Return the sum of what each row of a shard costs there, but for some slots."""
    shard, find_labels = state.shards[index], partial(state.find_labels, index)
    counts = shard.label_counts.copy()
    places = np.flatnonzero(np.isin(shard.slots, left_out))
    slices = np.searchsorted(shard.bounds, places, side="right") - 1
    np.subtract.at(counts, (slices, find_labels(shard.slots[places])), 1)
    several = np.where(shard.label_counts > 1, counts, 0).sum(axis=1)
    total = float(several @ _cost_by_slice(shard))
    is_single = (counts == 1) & (shard.label_counts == 1)
    for slice_, label in zip(*np.nonzero(is_single), strict=True):
        slots = shard.slots[shard.bounds[slice_] : shard.bounds[slice_ + 1]]
        slots = slots[find_labels(slots) == label]
        smaller = shard.without_rows(slots, slots, find_labels)
        total += sum(step.n_samples for step in smaller.steps_due)
    return total


def _cost_by_slice(shard: Shard) -> np.ndarray:
    """Return what a row of each slice costs, if it is not the last of its class there.

    The steps from its slice on are made again, without the row. Where training is due
    anyhow it starts no later than that.
    """
    costs = np.zeros(shard.n_slices)
    for step in shard.steps:
        from_here = np.arange(shard.n_slices) <= step.slice
        if step.slice >= len(shard.states):
            from_here = np.ones(shard.n_slices, dtype=bool)
        contains = (shard.bounds[:-1] >= step.start) & (shard.bounds[1:] <= step.stop)
        costs += from_here * (step.n_samples - step.n_epochs * contains)
    return costs

"""What forgetting one random row of a fitted classifier costs: the exact mean."""

from functools import partial, singledispatch

import numpy as np

from skunlearn.sharding._plans import plan_removal
from skunlearn.sharding._state import State
from skunlearn.sharding._training.schedule import count_samples
from skunlearn.sharding._training.selecting_shard import SelectingShard
from skunlearn.sharding._training.shard import Labels, Shard

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
        left_out = state.rows.slot_of[last]
        find_labels = partial(state.find_labels, i)
        total += _sum_over_rows(state.shards[i], left_out, find_labels)
    return total / np.count_nonzero(state.rows.retained)


def _find_last_of_class(state: State) -> np.ndarray:
    """Return the positions of rows whose class would disappear with them."""
    only = np.flatnonzero(state.class_counts == 1)
    if len(only) == 0:
        return only
    positions = state.find_counting()
    codes = state.find_codes(state.rows.slot_of[positions])
    return positions[np.isin(codes, only)]


@singledispatch
def _sum_over_rows(shard: Shard, left_out: np.ndarray, find_labels: Labels) -> float:
    """Return the sum of what each row of a shard costs there, but for some slots."""
    counts = shard.label_counts.copy()
    places = np.flatnonzero(np.isin(shard.slots, left_out))
    slices = np.searchsorted(shard.bounds, places, side="right") - 1
    np.subtract.at(counts, (slices, find_labels(shard.slots[places])), 1)
    is_fragile = _find_fragile(shard)
    several = np.where(is_fragile, 0, counts).sum(axis=1)
    total = float(several @ _cost_by_slice(shard))
    for slice_, label in zip(*np.nonzero(is_fragile & (counts > 0)), strict=True):
        slots = shard.slots[shard.bounds[slice_] : shard.bounds[slice_ + 1]]
        slots = np.setdiff1d(slots[find_labels(slots) == label], left_out)
        total += sum(_preview(shard, slot, find_labels) for slot in slots)
    return total


def _find_fragile(shard: Shard) -> np.ndarray:
    """Return a mask of slices and labels where one row less may change the training.

    That is where it is the only row of its label, or where rows are hardly more than
    an estimator needs.
    """
    n_needed = shard.policy.n_rows_full
    is_small = (np.diff(shard.bounds) <= n_needed) | (shard.bounds[1:] <= n_needed)
    return (shard.label_counts == 1) | is_small[:, None]


@_sum_over_rows.register
def _sum_over_picks(
    shard: SelectingShard, left_out: np.ndarray, find_labels: Labels
) -> float:
    """Return the sum of what each row costs where only picked ones cost anything."""
    selected = shard.selected
    if not selected.is_complete:  # any row of the shard has it trained
        slots = np.setdiff1d(selected.slots, left_out)
        return sum(_preview(shard, slot, find_labels) for slot in slots)
    costs = _cost_by_slice(shard, is_replaced=True)
    if shard.policy.resume is None:
        costs = np.repeat(costs, len(selected.blocks))
    total = 0.0
    for cost, blocks in zip(costs, selected.blocks, strict=True):
        for block in blocks:
            alone = np.isin(block.picks, left_out) | ~block.has_replacement()
            total += cost * np.count_nonzero(~alone)
            for slot in np.setdiff1d(block.picks[alone], left_out):
                total += _preview(shard, slot, find_labels)
    return total


def _preview(shard: Shard, slot: int, find_labels: Labels) -> int:
    """Return the cost of one row in a shard."""
    gone = np.array([slot])
    return count_samples(shard.without_rows(gone, gone, find_labels).missing_steps)


def _cost_by_slice(shard: Shard, *, is_replaced: bool = False) -> np.ndarray:
    """Return what a row of each slice costs, if it is not the last of its class there.

    The steps from its slice on are made again, without the row or with another one in
    its place. Where there is training anyhow it starts no later than that.
    """
    costs = np.zeros(shard.n_slices)
    for step in shard.steps:
        from_here = np.arange(shard.n_slices) <= step.slice
        if step.slice >= len(shard.states):
            from_here = np.ones(shard.n_slices, dtype=bool)
        contains = (shard.bounds[:-1] >= step.start) & (shard.bounds[1:] <= step.stop)
        n_missing = 0 if is_replaced else step.n_epochs * contains
        costs += from_here * (step.n_samples - n_missing)
    return costs

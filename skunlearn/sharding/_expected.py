"""What forgetting one random row of a fitted classifier costs: the exact mean."""

from typing import Any

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
    n_retained = np.count_nonzero(state.rows.retained)
    last = np.flatnonzero(state.class_counts == 1)
    if state.class_counts.sum() == 1:
        return 0.0  # nothing would be left, which is refused
    if not state.recipe.regime.knows_all_classes:
        last = last[:0]  # the other shards need not know that a class disappears
    total = sum((_sum_over_rows(shard, state, last) for shard in state.shards), 0.0)
    for code in last:
        total += _preview_last_of_class(state, code)
    return total / n_retained


def _sum_over_rows(shard: Shard, state: State, left_out: np.ndarray) -> float:
    """Return the sum of what each row of a shard costs there, but for some classes."""
    counts = shard.class_counts.copy()
    counts[:, left_out] = 0
    several = np.where(shard.class_counts > 1, counts, 0).sum(axis=1)
    total = float(several @ _cost_by_slice(shard))
    for index, code in zip(*np.nonzero(counts == 1), strict=True):
        row = _find_row(shard, state, index, code)
        smaller = shard.without_rows(*row, state.find_codes)
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


def _preview_last_of_class(state: State, code: Any) -> int:
    """Return the cost of the only row of a class."""
    for shard in state.shards:
        for index in np.flatnonzero(shard.class_counts[:, code]):
            _, positions = _find_row(shard, state, index, code)
            return plan_removal(state, positions).n_samples
    raise AssertionError("a class has a row")


def _find_row(
    shard: Shard, state: State, index: Any, code: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Return slot and position of the only row of a class in a slice."""
    slots = shard.slots[shard.bounds[index] : shard.bounds[index + 1]]
    slots = slots[state.find_codes(slots) == code]
    return slots, np.flatnonzero(state.rows.slot_of == slots[0])

"""Train shards again on their retained rows, and compare."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skunlearn._requests import check_positions
from skunlearn.metrics._audit.identical import are_identical
from skunlearn.metrics._audit.report import AuditReport, conclude_replay, tell_retained
from skunlearn.sharding._partition.base import RowTraits
from skunlearn.sharding._partition.uniform import Uniform
from skunlearn.sharding._plans import Plan, complete, plan_removal
from skunlearn.sharding._state import State
from skunlearn.sharding._training.selecting_shard import SelectingShard
from skunlearn.sharding._training.shard import Shard

__all__ = ["Owners", "find_owners", "replay", "retrain_without"]


@dataclass(frozen=True, eq=False)
class Owners:
    """Rows in question, and the shards that they are, or were, in.

    Parameters
    ----------
    positions : ndarray of shape (n_rows,)
        The rows, in the order in which they were named.
    shards : ndarray of shape (n_rows, n_owners)
        The shards of each row: all of them where they depend on what is forgotten.
    """

    positions: np.ndarray
    shards: np.ndarray

    @property
    def distinct(self) -> tuple[int, ...]:
        """Return all shards of any row, in ascending order."""
        return tuple(np.unique(self.shards).tolist())


def find_owners(state: State, X_idx: Any) -> Owners:
    """Return the shards that own rows, forgotten ones included."""
    positions = check_positions(X_idx, state.rows.n_positions).positions
    partition = state.layout.partition
    if isinstance(partition, Uniform):
        hashes = state.hash_identities(positions)
        codes = np.zeros(
            len(positions), dtype=int
        )  # labels may be gone, and do not count
        traits = RowTraits(hashes, codes, state.class_hashes, None)
        return Owners(positions, partition.find_shards(traits))
    everywhere = np.tile(np.arange(len(state.shards)), (len(positions), 1))
    return Owners(positions, everywhere)


def retrain_without(
    state: State, positions: np.ndarray, shards: tuple[int, ...], n_jobs: int | None
) -> State:
    """Return a state in which some shards are trained again without some rows."""
    left = positions[state.rows.retained[positions]]
    if len(left):
        state = plan_removal(state, left).state
    slots, bounds = zip(*map(_list_rows, state.shards), strict=True)
    blank = state.make_shards(list(slots), list(bounds))
    plan = Plan(replace(state, shards=blank), shards)
    return complete(plan, n_jobs, lambda shard: None).state


def _list_rows(shard: Shard) -> tuple[np.ndarray, np.ndarray]:
    """Return the slots of all rows of a shard, chosen or not, and where slices end."""
    if not isinstance(shard, SelectingShard):
        return shard.slots, shard.bounds
    sizes = [len(slots) for slots in shard.selected.orders]
    return shard.selected.slots, np.concatenate([[0], np.cumsum(sizes)])


def replay(classifier: Any, X_idx: Any) -> AuditReport:
    """Audit rows of a sharded classifier: are they gone, and from its shards?"""
    with classifier._reading() as state:
        owners = find_owners(state, X_idx)
        findings = [
            *tell_retained(state.rows, owners.positions),
            *_check_members(state, owners),
            *_check_training(state, owners, classifier.n_jobs),
        ]
    return conclude_replay(len(owners.positions), findings, [], 1.0)


def _check_members(state: State, owners: Owners) -> list[str]:
    """Say which shards have other rows than the retained ones that belong there."""
    positions = state.find_counting()
    slots = state.rows.slot_of[positions]
    belonging = state.layout.partition.find_shards(state.describe(positions))
    wrong = [
        shard
        for shard in owners.distinct
        if not np.array_equal(
            np.sort(_list_rows(state.shards[shard])[0]),
            np.sort(slots[(belonging == shard).any(axis=1)]),
        )
    ]
    if not wrong:
        return []
    return [f"{_name(wrong)} other rows than the retained ones that belong there"]


def _check_training(state: State, owners: Owners, n_jobs: int | None) -> list[str]:
    """Say which shards are not what training on the retained rows makes of them."""
    nothing = owners.positions[:0]
    again = retrain_without(state, nothing, owners.distinct, n_jobs)
    wrong = []
    for shard in owners.distinct:
        mine, other = state.shards[shard].states, again.shards[shard].states
        pairs = zip(mine, other, strict=False)
        if not all(are_identical(_open(a), _open(b)) for a, b in pairs):
            wrong.append(shard)
    if not wrong:
        return []
    return [f"{_name(wrong)} a constituent that its retained rows do not give"]


def _open(checkpoint: Any) -> Any:
    return None if checkpoint is None else checkpoint.estimator


def _name(shards: list[int]) -> str:
    names = ", ".join(map(str, shards[:10])) + (", ..." if len(shards) > 10 else "")
    return f"shard {names} has" if len(shards) == 1 else f"shards {names} have"

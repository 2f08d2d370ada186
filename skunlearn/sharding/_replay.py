"""Training that is done again, to see whether it gives what is stored."""

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
from joblib.hashing import NumpyHasher

from skunlearn.sharding._plans import Plan, complete
from skunlearn.sharding._state import State

__all__ = ["is_reproduced"]


def is_reproduced(state: State, shard: int) -> bool:
    """Train a shard again from its rows, and return True if all bits are the same."""
    stored = state.shards[shard]
    shards = state.shards.changed({shard: replace(stored, states=())})
    plan = Plan(replace(state, shards=shards), (shard,))
    made = complete(plan, None, lambda _: None).state.shards[shard]
    pairs = zip(made.states, stored.states, strict=False)  # some may be deferred
    return all(_hash(mine) == _hash(other) for mine, other in pairs)


class _ModelHasher(NumpyHasher):
    """Hash of all that an estimator holds, but for the gaps in records of trees."""

    def save(self, obj: Any) -> None:
        if isinstance(obj, np.ndarray) and obj.dtype.names:
            obj = [np.ascontiguousarray(obj[name]) for name in obj.dtype.names]
        super().save(obj)


def _hash(checkpoint: Any) -> Any:
    if checkpoint is None:
        return None
    # What was loaded may share parts that were equal, and what was trained other ones.
    model = pickle.loads(pickle.dumps(checkpoint.estimator))
    return _ModelHasher("md5").hash(model)

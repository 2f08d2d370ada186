"""Mix and hash integers, and draw numbers and seeds from what comes out."""

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

__all__ = [
    "INCREMENT",
    "MASK",
    "derive_seed",
    "draw",
    "draw_key",
    "hash_integer",
    "hash_positions",
    "mix",
    "mix_int",
    "second_key",
]

_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_BLOCK = 4096  # integers that stay in a core's cache from step to step
INCREMENT = 0x9E3779B97F4A7C15
MASK = 0xFFFFFFFFFFFFFFFF


def mix(values: np.ndarray) -> np.ndarray:
    """Permute 64-bit integers so that every bit depends on all (SplitMix64)."""
    mixed = np.empty(values.shape, dtype=np.uint64)
    np.add(values, np.uint64(INCREMENT), out=mixed)
    flat = mixed.reshape(-1)
    for start in range(0, len(flat), _BLOCK):
        block = flat[start : start + _BLOCK]
        for shift, factor in ((30, _MULTIPLIERS[0]), (27, _MULTIPLIERS[1])):
            block ^= block >> np.uint64(shift)
            block *= np.uint64(factor)
        block ^= block >> np.uint64(31)
    return mixed


def mix_int(value: int) -> int:
    """Do what `mix` does, to one Python integer."""
    value = (value + INCREMENT) & MASK
    value = ((value ^ (value >> 30)) * _MULTIPLIERS[0]) & MASK
    value = ((value ^ (value >> 27)) * _MULTIPLIERS[1]) & MASK
    return value ^ (value >> 31)


def hash_positions(positions: np.ndarray, key: int) -> np.ndarray:
    """Return the keyed hash of each position, which is that of an equal integer group.

    The identity is mixed with the key and added to the outcome without carries, as
    Davies and Meyer did: the mixing alone could be undone with the key. Two identities
    have the same hash with probability 2**-64.
    """
    if positions.shape == (1,):  # a request for one row, in a third of the time
        return np.array([hash_integer(int(positions[0]), key)], dtype=np.uint64)
    identities = positions.astype(np.int64).view(np.uint64)
    keyed = mix(identities ^ np.uint64(key)) ^ np.uint64(second_key(key))
    return mix(keyed) ^ identities


def hash_integer(value: int, key: int) -> int:
    """Do what `hash_positions` does, to one Python integer."""
    identity = value & MASK
    return mix_int(mix_int(identity ^ key) ^ second_key(key)) ^ identity


def second_key(key: int) -> int:
    """Return another key, with which no identity cancels the first."""
    return mix_int(mix_int(key) ^ INCREMENT)


def draw_key(random_state: Any) -> int:
    """Draw a key of 64 bits, from which all randomness of a classifier derives."""
    return int(check_random_state(random_state).randint(2**64 - 1, dtype=np.uint64))


def derive_seed(root_seed: int, *path: int) -> int:
    """Return a 31-bit seed that belongs to (root seed, shard, slice, ...)."""
    seed = mix_int(root_seed)
    for step in path:
        seed = mix_int(seed ^ step)
    return seed & 0x7FFFFFFF


def draw(hashes: np.ndarray, stream: Any, n: Any) -> np.ndarray:
    """Draw a number below `n` for each hash, independently in each stream."""
    is_one = isinstance(stream, int)
    streams = np.uint64(mix_int(stream)) if is_one else mix(stream.astype(np.uint64))
    bits = mix(hashes ^ streams)
    draws = (bits >> np.uint64(32)) * np.asarray(n, dtype=np.uint64) >> np.uint64(32)
    return draws.astype(np.int64)

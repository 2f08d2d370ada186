"""Mix integers, and draw numbers and seeds from what comes out."""

from typing import Any

import numpy as np

__all__ = ["INCREMENT", "MASK", "derive_seed", "draw", "mix", "mix_int"]

_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
INCREMENT = 0x9E3779B97F4A7C15
MASK = 0xFFFFFFFFFFFFFFFF


def mix(values: np.ndarray) -> np.ndarray:
    """Permute 64-bit integers so that every bit depends on all (SplitMix64)."""
    values = values + np.uint64(INCREMENT)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(_MULTIPLIERS[0])
    values = (values ^ (values >> np.uint64(27))) * np.uint64(_MULTIPLIERS[1])
    return values ^ (values >> np.uint64(31))


def mix_int(value: int) -> int:
    """Do what `mix` does, to one Python integer."""
    value = (value + INCREMENT) & MASK
    value = ((value ^ (value >> 30)) * _MULTIPLIERS[0]) & MASK
    value = ((value ^ (value >> 27)) * _MULTIPLIERS[1]) & MASK
    return value ^ (value >> 31)


def derive_seed(root_seed: int, *path: int) -> int:
    """Return a 31-bit seed that belongs to (root seed, shard, slice, ...)."""
    seed = mix_int(root_seed)
    for step in path:
        seed = mix_int(seed ^ step)
    return seed & 0x7FFFFFFF


def draw(hashes: np.ndarray, stream: Any, n: Any) -> np.ndarray:
    """Draw a number below `n` for each hash, independently in each stream."""
    streams = np.atleast_1d(np.asarray(stream, dtype=np.uint64))
    bits = mix(hashes ^ mix(streams))
    draws = (bits >> np.uint64(32)) * np.asarray(n, dtype=np.uint64) >> np.uint64(32)
    return draws.astype(np.int64)

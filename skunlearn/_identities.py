"""What identifies rows: keyed hashes of positions and of groups."""

import hashlib
import struct
import uuid
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skunlearn.exceptions import ForgetIndexError

__all__ = [
    "GroupIndex",
    "derive_seed",
    "draw",
    "hash_groups",
    "hash_positions",
    "mix",
]

_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_INCREMENT = 0x9E3779B97F4A7C15
_MASK = 0xFFFFFFFFFFFFFFFF


def mix(values: np.ndarray) -> np.ndarray:
    """Permute 64-bit integers so that every bit depends on all (SplitMix64)."""
    values = values + np.uint64(_INCREMENT)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(_MULTIPLIERS[0])
    values = (values ^ (values >> np.uint64(27))) * np.uint64(_MULTIPLIERS[1])
    return values ^ (values >> np.uint64(31))


def mix_int(value: int) -> int:
    """Do what `_mix` does, to one Python integer."""
    value = (value + _INCREMENT) & _MASK
    value = ((value ^ (value >> 30)) * _MULTIPLIERS[0]) & _MASK
    value = ((value ^ (value >> 27)) * _MULTIPLIERS[1]) & _MASK
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


def hash_positions(positions: np.ndarray, key: int) -> np.ndarray:
    """Return the keyed hash of each position, free of collisions."""
    identities = np.asarray(positions).astype(np.int64).view(np.uint64)
    return mix(mix(identities ^ np.uint64(key)) ^ np.uint64(mix_int(key)))


def hash_groups(groups: Any, key: int) -> np.ndarray:
    """Return the keyed hash of each group id; of an integer, that of the position.

    Parameters
    ----------
    groups : array-like of shape (n_samples,)
        Group ids: integers, strings, bytes, floats, dates or UUIDs. Equal values have
        equal hashes whatever their type, as for a dictionary's keys.
    key : int
        The 64-bit key.

    Returns
    -------
    ndarray of uint64, shape (n_samples,)
        The hashes.

    Raises
    ------
    ValueError
        If an id is missing (None, NaN).
    TypeError
        If an id is of another type.
    """
    ids = np.asarray(groups)
    if np.issubdtype(ids.dtype, np.integer) or ids.dtype == bool:
        return hash_positions(ids, key)
    if np.issubdtype(ids.dtype, np.datetime64):
        ids = ids.astype("datetime64[us]")
    known: dict[Any, int] = {}
    hashes = np.empty(len(ids), dtype=np.uint64)
    for i, value in enumerate(ids.tolist()):
        if value not in known:
            known[value] = _hash_group(value, key)
        hashes[i] = known[value]
    return hashes


def _hash_group(value: Any, key: int) -> int:
    if _is_missing(value):
        raise ValueError(
            "groups has missing values: name the group of every row (a row that is "
            "nobody's can be a group of its own)."
        )
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)
    if isinstance(value, (int, np.integer)) and -(2**63) <= value < 2**63:
        return int(hash_positions(np.array([value]), key)[0])
    digest = hashlib.blake2b(
        _canonical_bytes(value), digest_size=8, key=key.to_bytes(8, "little")
    )
    return int.from_bytes(digest.digest(), "little")


def _is_missing(value: Any) -> bool:
    try:
        return value is None or bool(value != value)
    except TypeError:  # pandas.NA has no truth value
        return True


def _canonical_bytes(value: Any) -> bytes:
    """Return bytes that are equal for equal group ids and differ by type."""
    if isinstance(value, str):
        return b"s" + value.encode()
    if isinstance(value, bytes):
        return b"b" + value
    if isinstance(value, int):
        return b"i" + str(value).encode()
    if isinstance(value, (float, np.floating)):
        return b"f" + struct.pack("<d", value)
    if isinstance(value, uuid.UUID):
        return b"u" + value.bytes
    if hasattr(value, "isoformat"):
        return b"d" + value.isoformat().encode()
    raise TypeError(
        "groups must hold integers, strings, bytes, floats, dates or UUIDs; got "
        f"{type(value).__name__}."
    )


@dataclass(frozen=True, eq=False)
class GroupIndex:
    """Which positions belong to each group, whose ids are kept as keyed hashes only.

    Parameters
    ----------
    hashes : ndarray of uint64, shape (n_positions,)
        Hash of the group of each position.
    """

    hashes: np.ndarray
    order: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", np.argsort(self.hashes, kind="stable"))

    def find(self, groups: Any, key: int) -> np.ndarray:
        """Return the positions of the given groups, forgotten ones included."""
        ids = np.atleast_1d(np.asarray(groups))
        if ids.ndim != 1:
            raise ForgetIndexError(
                f"groups must be one group id or a sequence of them; got shape "
                f"{ids.shape}."
            )
        try:
            wanted = hash_groups(ids, key)
        except (TypeError, ValueError) as error:
            raise ForgetIndexError(str(error)) from error
        first = np.searchsorted(self.hashes, wanted, side="left", sorter=self.order)
        last = np.searchsorted(self.hashes, wanted, side="right", sorter=self.order)
        unknown = np.flatnonzero(first == last)
        if len(unknown):
            raise ForgetIndexError(
                f"{len(unknown)} of {len(ids)} groups were not among those given to "
                f"fit, the first of them {ids[unknown[0]]}."
            )
        parts = [self.order[a:b] for a, b in zip(first, last, strict=True)]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

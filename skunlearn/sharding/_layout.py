"""Where each row belongs: pure functions of its identity and a key.

The identity of a row is its group or, without groups, its position. A keyed hash of it
decides the shards, the slice and the order inside them; never a shuffle or a rank among
all rows. So a row's place does not depend on which other rows there are, and a fit on
the retained rows alone lays them out as they are already (Bourtoule et al., 2021,
leave the layout open; this is what makes forgetting exact bit for bit).
"""

import hashlib
import struct
import uuid
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "Layout",
    "Places",
    "deal_to_pools",
    "derive_seed",
    "hash_groups",
    "hash_positions",
]

_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_INCREMENT = 0x9E3779B97F4A7C15
_MASK = 0xFFFFFFFFFFFFFFFF
_SLICE_STREAM = 1 << 32  # streams below it draw the shards
_POOL_STREAM = 2 << 32


def _mix(values: np.ndarray) -> np.ndarray:
    """Permute 64-bit integers so that every bit depends on all (SplitMix64)."""
    values = values + np.uint64(_INCREMENT)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(_MULTIPLIERS[0])
    values = (values ^ (values >> np.uint64(27))) * np.uint64(_MULTIPLIERS[1])
    return values ^ (values >> np.uint64(31))


def _mix_int(value: int) -> int:
    """Do what `_mix` does, to one Python integer."""
    value = (value + _INCREMENT) & _MASK
    value = ((value ^ (value >> 30)) * _MULTIPLIERS[0]) & _MASK
    value = ((value ^ (value >> 27)) * _MULTIPLIERS[1]) & _MASK
    return value ^ (value >> 31)


def derive_seed(root_seed: int, *path: int) -> int:
    """Return a 31-bit seed that belongs to (root seed, shard, slice, ...)."""
    seed = _mix_int(root_seed)
    for step in path:
        seed = _mix_int(seed ^ step)
    return seed & 0x7FFFFFFF


def hash_positions(positions: np.ndarray, key: int) -> np.ndarray:
    """Return the keyed hash of each position, free of collisions."""
    identities = np.asarray(positions).astype(np.int64).view(np.uint64)
    return _mix(_mix(identities ^ np.uint64(key)) ^ np.uint64(_mix_int(key)))


def deal_to_pools(hashes: np.ndarray, n_pools: int) -> np.ndarray:
    """Return the pool of each row, among which representatives are selected."""
    return _draw(hashes, _POOL_STREAM, n_pools)


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


@dataclass(frozen=True)
class Places:
    """Which rows belong to each shard, in the order of training.

    Parameters
    ----------
    order : ndarray of shape (n_samples,)
        All rows, sorted by their first shard, slice and order inside.
    members : list of ndarray
        For each shard the ranks in `order` of its rows.
    bounds : list of ndarray of shape (n_slices + 1,)
        For each shard where its slices begin and end in `members`.
    """

    order: np.ndarray
    members: list[np.ndarray]
    bounds: list[np.ndarray]


@dataclass(frozen=True)
class Layout:
    """The uniform layout of SISA, by a keyed hash of each row's identity.

    Parameters
    ----------
    key : int
        Key of the hash, 64 bits.
    n_shards, n_slices, n_replicas : int
        Shards, slices of each shard, and shards that each row joins.
    """

    key: int
    n_shards: int
    n_slices: int
    n_replicas: int

    def hash_rows(self, positions: np.ndarray, groups: Any = None) -> np.ndarray:
        """Return the hash of each row's identity: its group, else its position."""
        if groups is None:
            return hash_positions(positions, self.key)
        return hash_groups(groups, self.key)

    def find_shards(self, hashes: np.ndarray) -> np.ndarray:
        """Return the distinct shards of each row, an (n_samples, n_replicas) array.

        Draws without replacement as Floyd did: each draw that meets an earlier one
        is replaced by the largest number that was possible.
        """
        streams = np.arange(self.n_replicas)
        largest = self.n_shards - self.n_replicas + streams
        shards = _draw(hashes, streams[:, None], largest[:, None] + 1)
        for i in range(1, self.n_replicas):
            taken = (shards[:i] == shards[i]).any(axis=0)
            shards[i, taken] = largest[i]
        return shards.T

    def find_slices(
        self, hashes: np.ndarray, forget_proba: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the slice of each row.

        Rows are spread evenly by hash. With `forget_proba` they are cut at its
        quantiles, so that rows that are likely to be forgotten come last; the rows of
        one group count with the highest probability among them.
        """
        if self.n_slices == 1:
            return np.zeros(len(hashes), dtype=np.int64)
        if forget_proba is None:
            return _draw(hashes, _SLICE_STREAM, self.n_slices)
        spread = _draw(hashes, _SLICE_STREAM, 2**30) / 2**30
        below, share = _quantiles(_maximum_of_group(forget_proba, hashes))
        slices = ((below + share * spread) * self.n_slices).astype(np.int64)
        return np.minimum(slices, self.n_slices - 1)  # below + share may round above 1

    def place(self, hashes: np.ndarray, forget_proba: np.ndarray | None) -> Places:
        """Lay out rows of the given hashes, complexity O(n log n)."""
        slices = self.find_slices(hashes, forget_proba)
        inside = _sort_rows(hashes, forget_proba)
        parts = (self.find_shards(hashes) * self.n_slices + slices[:, None])[inside]
        order = inside[_sort_parts(parts[:, 0])]
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        rows = inside[_sort_parts(parts.ravel()) // self.n_replicas]
        n_parts = self.n_shards * self.n_slices
        ends = np.cumsum(np.bincount(parts.ravel(), minlength=n_parts))
        starts = np.concatenate([[0], ends])
        members, bounds = [], []
        for first in range(0, n_parts, self.n_slices):
            edges = starts[first : first + self.n_slices + 1]
            members.append(rank[rows[edges[0] : edges[-1]]])
            bounds.append(edges - edges[0])
        return Places(order, members, bounds)


def _draw(hashes: np.ndarray, stream: Any, n: Any) -> np.ndarray:
    """Draw a number below `n` for each hash, independently in each stream."""
    streams = np.atleast_1d(np.asarray(stream, dtype=np.uint64))
    bits = _mix(hashes ^ _mix(streams))
    draws = (bits >> np.uint64(32)) * np.asarray(n, dtype=np.uint64) >> np.uint64(32)
    return draws.astype(np.int64)


def _sort_rows(hashes: np.ndarray, forget_proba: np.ndarray | None) -> np.ndarray:
    """Sort rows by probability to be forgotten, hash and place (sorts are stable)."""
    if forget_proba is not None:
        return np.lexsort((hashes, forget_proba))
    order = np.argsort(hashes)  # twice as fast, and the same if all differ
    ordered = hashes[order]
    if (ordered[1:] == ordered[:-1]).any():
        order = np.argsort(hashes, kind="stable")
    return order


def _sort_parts(parts: np.ndarray) -> np.ndarray:
    """Sort by part, keeping the order inside; linear for fewer than 65,536 parts."""
    largest = int(parts.max(initial=0))
    return np.argsort(parts.astype(np.min_scalar_type(largest)), kind="stable")


def _maximum_of_group(values: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    _, group = np.unique(hashes, return_inverse=True)
    maximum = np.full(group.max(initial=-1) + 1, -np.inf)
    np.maximum.at(maximum, group, values)
    return maximum[group]


def _quantiles(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each value the share of smaller ones and the share of equal ones."""
    _, rank, counts = np.unique(values, return_inverse=True, return_counts=True)
    share = counts / max(len(values), 1)
    return (np.cumsum(share) - share)[rank], share[rank]

"""Where each row belongs: pure functions of its identity and a key.

The identity of a row is its group or, without groups, its position. A keyed hash of it
decides the shards, the slice and the order inside them; never a shuffle or a rank among
all rows. So a row's place does not depend on which other rows there are, and a fit on
the retained rows alone lays them out as they are already (Bourtoule et al., 2021,
leave the layout open; this is what makes forgetting exact bit for bit).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skunlearn._identities import hash_groups, hash_positions, mix, mix_int

__all__ = ["Layout", "Places", "derive_seed"]

_SLICE_STREAM = 1 << 32  # streams below it draw the shards


def derive_seed(root_seed: int, *path: int) -> int:
    """Return a 31-bit seed that belongs to (root seed, shard, slice, ...)."""
    seed = mix_int(root_seed)
    for step in path:
        seed = mix_int(seed ^ step)
    return seed & 0x7FFFFFFF


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
    bits = mix(hashes ^ mix(streams))
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

"""Where each row belongs: pure functions of its identity and a key.

The identity of a row is its group or, without groups, its position. A keyed hash of it
decides the shards, the slice and the order inside them; never a shuffle or a rank among
all rows. So a row's place does not depend on which other rows there are, and a fit on
the retained rows alone lays them out as they are already (Bourtoule et al., 2021,
leave the layout open; this is what makes forgetting exact bit for bit).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from skunlearn._data.hashing import mix
from skunlearn._data.vectors import shorten
from skunlearn.sharding._partition.base import Partition, RowTraits
from skunlearn.sharding._partition.thresholds import Thresholds
from skunlearn.sharding._selection.pools import Pools, count_in_pools

__all__ = ["Layout", "Places", "arrange"]

Name = tuple[tuple[int, ...], int, int]  # seed path of a shard, slice, hash of a class

_SLICE_STREAM = mix(np.array([1 << 32], dtype=np.uint64))  # streams below draw shards


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
    parts : ndarray
        Where in `order` the rows of each shard and slice begin, empty ones left out.
    """

    order: np.ndarray
    members: list[np.ndarray]
    bounds: list[np.ndarray]
    parts: np.ndarray


@dataclass(frozen=True, eq=False)
class Layout:
    """Where rows belong: their shards by a partition, their slices by cuts.

    Parameters
    ----------
    key : int
        Key of all hashes, 64 bits.
    partition : Partition
        Finds the shards of rows.
    slice_thresholds : Thresholds
        Where, in the order of probability to be forgotten and hash, slices begin.
    sizes : dict
        Where not all rows are trained on, how many of each class came into its shards
        and slices, by pool: `count_sizes` says. It fixes how many are picked.
    """

    key: int
    partition: Partition
    slice_thresholds: Thresholds
    sizes: dict[Name, np.ndarray] = field(default_factory=dict)

    @property
    def n_slices(self) -> int:
        """Return the number of slices."""
        return len(self.slice_thresholds.values) + 1

    def find_slices(self, traits: RowTraits) -> np.ndarray:
        """Return the slice of each row."""
        if self.n_slices == 1:
            return np.zeros(len(traits.hashes), dtype=np.int32)
        hashes = mix(traits.hashes ^ _SLICE_STREAM)
        slices = self.slice_thresholds.find(traits.forget_proba, hashes)
        return slices.astype(np.int32)

    def fix(self, traits: RowTraits) -> "Layout":
        """Return itself: it was fixed by other rows already."""
        return self

    def find_parts(self, traits: RowTraits) -> np.ndarray:
        """Return a number for the first shard, and the slice, of each row."""
        shards = self.partition.find_shards(traits)[:, 0]
        return shards * self.n_slices + self.find_slices(traits)

    def place(self, traits: RowTraits) -> Places:
        """Lay out rows by shard and slice, complexity O(n log n)."""
        return self._place(traits, self.find_slices(traits), self.n_slices)

    def place_in_one_slice(self, traits: RowTraits) -> Places:
        """Lay out rows that come later by shard alone."""
        return self._place(traits, np.zeros(len(traits.hashes), dtype=np.int64), 1)

    def count_sizes(
        self, traits: RowTraits, places: Places, first_slice: int, fraction: float
    ) -> "Layout":
        """Return the layout with the sizes of rows that come; those known stay.

        Parameters
        ----------
        traits, places : RowTraits and Places
            The rows, and where they belong.
        first_slice : int
            The number of their first slice.
        fraction : float
            The fraction of them to pick.
        """
        sizes = {}
        for shard, slice_, rows in _iterate_parts(places):
            for code in np.unique(traits.codes[rows]):
                if self.partition.find_own(shard, int(code)) == shard:
                    mine = traits.hashes[rows[traits.codes[rows] == code]]
                    name = self._name(
                        shard, first_slice + slice_, code, traits.class_hashes
                    )
                    sizes[name] = count_in_pools(fraction, mine)
        return replace(self, sizes=sizes | self.sizes)

    def without_classes(self, class_hashes: np.ndarray) -> "Layout":
        """Return the layout with the sizes of no other than the given classes."""
        kept = set(class_hashes.tolist())
        sizes = {name: n for name, n in self.sizes.items() if name[-1] in kept}
        return replace(self, sizes=sizes)

    def plan_pools(
        self,
        shard: int,
        slice_: int,
        code: int,
        class_hashes: np.ndarray,
        fraction: float,
    ) -> Pools:
        """Return how many rows of a class are picked in a shard and slice.

        Of rows that stand against another class these are a fraction of those to be
        expected, not of those that do: when a class disappears they change sides, and
        what is picked then must not depend on which of them were forgotten before.
        """
        own = self.partition.find_own(shard, code)
        share = self.partition.find_share(shard, code, len(class_hashes))
        name = self._name(own, slice_, code, class_hashes)
        return Pools.plan(fraction, self.sizes[name], share)

    def _name(
        self, shard: int, slice_: int, code: int, class_hashes: np.ndarray
    ) -> Name:
        path = self.partition.make_seed_path(shard, class_hashes)
        return path, slice_, int(class_hashes[code])

    def _place(self, traits: RowTraits, slices: np.ndarray, n_slices: int) -> Places:
        shards = self.partition.find_shards(traits)
        n_shards = self.partition.count_shards(traits.n_classes)
        return arrange(shards, slices, traits, n_shards, n_slices)


def arrange(
    shards: np.ndarray,
    slices: np.ndarray,
    traits: RowTraits,
    n_shards: int,
    n_slices: int,
) -> Places:
    """Sort rows by shard, slice, probability to be forgotten, and hash.

    Parameters
    ----------
    shards : ndarray of shape (n_rows, n_joined)
        Shards of each row.
    slices : ndarray of shape (n_rows,)
        Stage of training of each row: its slice.
    traits : RowTraits
        What else decides the order.
    n_shards, n_slices : int
        How many there are.

    Returns
    -------
    Places
        The order, complexity O(n log n).
    """
    n_parts = n_shards * n_slices
    parts = shards * n_slices
    parts += slices[:, None]
    ends = np.cumsum(np.bincount(parts.ravel(), minlength=n_parts))
    starts = np.concatenate([[0], ends])
    if shards.shape[1] == 1 and traits.forget_proba is None:
        order = shorten(_sort_at_once(parts[:, 0], traits.hashes, n_parts))
        ranks = np.arange(len(order), dtype=order.dtype)
    else:
        order, ranks = map(shorten, _sort_in_turn(parts, traits))
    members, bounds = [], []
    for first in range(0, n_parts, n_slices):
        edges = starts[first : first + n_slices + 1]
        members.append(ranks[edges[0] : edges[-1]].copy())
        bounds.append(edges - edges[0])
    own = np.bincount(parts[:, 0], minlength=n_parts)
    return Places(order, members, bounds, (np.cumsum(own) - own)[own > 0])


def _sort_at_once(parts: np.ndarray, hashes: np.ndarray, n_parts: int) -> np.ndarray:
    """Sort rows by part, hash and place: by one number each, the first bits of both."""
    n_bits, keys = np.uint64((n_parts - 1).bit_length()), hashes
    if n_bits:
        keys = parts.astype(np.uint64)
        keys <<= np.uint64(64) - n_bits
        keys |= hashes >> n_bits
    order = np.argsort(keys)
    keys = keys[order]
    if (keys[1:] == keys[:-1]).any():  # the other bits may differ, or the places
        order = np.lexsort((hashes, parts))
    return order


def _sort_in_turn(
    parts: np.ndarray, traits: RowTraits
) -> tuple[np.ndarray, np.ndarray]:
    """Return all rows by first part, and the ranks there of the rows of each part."""
    inside = _sort_rows(traits.hashes, traits.forget_proba)
    parts = parts[inside]
    order = inside[_sort_parts(parts[:, 0])]
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return order, rank[inside[_sort_parts(parts.ravel()) // parts.shape[1]]]


def _iterate_parts(places: Places) -> Iterator[tuple[int, int, np.ndarray]]:
    """Yield the shard and slice of each part, and its rows."""
    pairs = zip(places.members, places.bounds, strict=True)
    for shard, (members, bounds) in enumerate(pairs):
        for slice_, ranks in enumerate(np.split(members, bounds[1:-1])):
            yield shard, slice_, places.order[ranks]


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

"""Which rows of a shard are picked to train on, where not all of them are.

The rows of one class that come into a slice together are a *block*. How many of them
are picked is fixed when they come; which ones depends on the picks of the blocks
before. So a row that was not picked can go without any training, and a row that was
picked takes with it the picks after it alone (after ARCANE, section 3 of the paper).
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skunlearn.sharding._selection.pools import Pools
from skunlearn.sharding._selection.representative import (
    RepresentativeSelection,
    compute_features,
)

__all__ = ["ClassBlock", "SelectedRows"]


@dataclass(frozen=True, eq=False)
class ClassBlock:
    """Rows of one class in one slice.

    Parameters
    ----------
    class_hash : int
        Hash of the class.
    label : int
        Label of the class in the shard.
    slots : ndarray of shape (n_rows,)
        Slots of the rows in the order of training.
    hashes : ndarray of uint64, shape (n_rows,)
        Hashes of their identities.
    pools : Pools
        How many are picked.
    picks : ndarray
        Slots of the picks in the order in which they were picked; fewer than
        there should be until rows are selected.
    """

    class_hash: int
    label: int
    slots: np.ndarray
    hashes: np.ndarray
    pools: Pools
    picks: np.ndarray

    @property
    def n_due(self) -> int:
        """Return how many rows are to be picked."""
        return self.pools.count(self.hashes)

    @property
    def is_complete(self) -> bool:
        """Whether all of them are."""
        return len(self.picks) == self.n_due

    def has_replacement(self) -> np.ndarray:
        """Return a mask of the picks in whose place another row would be picked."""
        return self.pools.has_more(
            self.hashes, self.hashes[_find(self.picks, self.slots)]
        )

    def same_rows_as(self, other: "ClassBlock") -> bool:
        """Return True if the other block has the same rows and picks as many."""
        return (
            self.class_hash == other.class_hash
            and self.pools == other.pools
            and np.array_equal(self.slots, other.slots)
        )

    def in_slots(self, slots: np.ndarray) -> "ClassBlock":
        """Return the block with its rows in other slots, given for each of today's."""
        return replace(self, slots=slots[self.slots], picks=slots[self.picks])

    def without_rows(self, slots: np.ndarray) -> "ClassBlock":
        """Return the block without some rows, and the picks from the first on."""
        stays = ~np.isin(self.slots, slots)
        if stays.all():
            return self
        gone = np.flatnonzero(np.isin(self.picks, slots))
        picks = self.picks[: gone[0]] if len(gone) else self.picks
        return replace(
            self, slots=self.slots[stays], hashes=self.hashes[stays], picks=picks
        )

    def select(
        self,
        features: np.ndarray,
        given: np.ndarray,
        given_hashes: np.ndarray,
        length_scale: float,
    ) -> "ClassBlock":
        """Return the block with all its picks.

        Parameters
        ----------
        features : ndarray of shape (n_rows, n_features)
            Features of the rows.
        given, given_hashes : ndarrays
            Features and hashes of the picks of the blocks before.
        length_scale : float
            Length scale of the kernel.
        """
        before = _find(self.picks, self.slots)
        rest = np.setdiff1d(np.arange(len(self.slots)), before, assume_unique=True)
        picked = self.pools.without(self.hashes[before]).select(
            features[rest],
            self.hashes[rest],
            np.concatenate([given, features[before]]),
            np.concatenate([given_hashes, self.hashes[before]]),
            length_scale=length_scale,
        )
        return replace(
            self, picks=np.concatenate([self.picks, self.slots[rest[picked]]])
        )


def _find(wanted: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Return where the wanted slots are."""
    order = np.argsort(slots)
    return order[np.searchsorted(slots, wanted, sorter=order)]


@dataclass(frozen=True, eq=False)
class SelectedRows:
    """All rows of a shard, slice by slice, and those picked to train on.

    Parameters
    ----------
    orders : tuple of ndarray
        Slots of all rows of each slice in the order of training.
    blocks : tuple of tuple of ClassBlock
        The same by class.
    """

    orders: tuple[np.ndarray, ...] = ()
    blocks: tuple[tuple[ClassBlock, ...], ...] = ()

    @property
    def slots(self) -> np.ndarray:
        """Return the slots of all rows, picked or not."""
        return np.concatenate(self.orders)

    @property
    def picked(self) -> list[np.ndarray]:
        """Return the slots of the picks of each slice in the order of training."""
        chosen = (
            np.concatenate([t.picks for t in s] or [_nothing()]) for s in self.blocks
        )
        return [
            order[np.isin(order, picks)]
            for order, picks in zip(self.orders, chosen, strict=True)
        ]

    def in_slots(self, slots: np.ndarray) -> "SelectedRows":
        """Return these with all rows in other slots, given for each of today's."""
        orders = tuple(slots[order] for order in self.orders)
        blocks = (tuple(block.in_slots(slots) for block in b) for b in self.blocks)
        return SelectedRows(orders, tuple(blocks))

    @property
    def is_complete(self) -> bool:
        """Whether as many rows are picked as there should be."""
        return all(block.is_complete for blocks in self.blocks for block in blocks)

    def count(self, n_labels: int) -> np.ndarray:
        """Return how many rows of each label are to be picked in each slice."""
        counts = np.zeros((len(self.blocks), n_labels), dtype=np.int64)
        for i, blocks in enumerate(self.blocks):
            for block in blocks:
                counts[i, block.label] += block.n_due
        return counts

    def without_rows(self, slots: np.ndarray) -> tuple["SelectedRows", int | None]:
        """Return the other rows, and the first slice with other picks."""
        orders = tuple(order[~np.isin(order, slots)] for order in self.orders)
        lost: set[int] = set()  # classes whose picks are lost from here on
        changed: list[int] = []
        blocks = []
        for i, mine in enumerate(self.blocks):
            reduced = [block.without_rows(slots) for block in mine]
            for k, (old, new) in enumerate(zip(mine, reduced, strict=True)):
                if old.class_hash in lost:
                    reduced[k] = replace(new, picks=_nothing())
                elif not old.is_complete or len(new.picks) < len(old.picks):
                    lost.add(old.class_hash)
                    changed.append(i)
            blocks.append(tuple(block for block in reduced if len(block.slots)))
        return SelectedRows(orders, tuple(blocks)), min(changed, default=None)

    def with_rows(
        self, order: np.ndarray, blocks: tuple[ClassBlock, ...]
    ) -> "SelectedRows":
        """Return these rows and one more slice."""
        return SelectedRows((*self.orders, order), (*self.blocks, blocks))

    def with_labels(self, labels: np.ndarray) -> "SelectedRows":
        """Return these rows with other labels, -1 for one that is no more."""
        blocks = tuple(
            tuple(
                replace(block, label=int(labels[block.label]))
                for block in mine
                if labels[block.label] >= 0
            )
            for mine in self.blocks
        )
        return replace(self, blocks=blocks)

    def trimmed(self, n_kept: int) -> "SelectedRows":
        """Return these rows without later slices of which none are to be picked."""
        kept = [
            i
            for i, blocks in enumerate(self.blocks)
            if i < n_kept or any(block.n_due for block in blocks)
        ]
        return SelectedRows(
            tuple(self.orders[i] for i in kept),
            tuple(self.blocks[i] for i in kept),
        )

    def continuing(self, old: "SelectedRows") -> tuple["SelectedRows", int]:
        """Return these rows with old picks up to the first difference."""
        n_same = 0
        for mine, others in zip(self.blocks, old.blocks, strict=False):
            pairs = itertools.zip_longest(mine, others)
            if not all(
                a and b and a.same_rows_as(b) and b.is_complete for a, b in pairs
            ):
                break
            n_same += 1
        blocks = (*old.blocks[:n_same], *self.blocks[n_same:])
        return replace(self, blocks=blocks), n_same

    def select(self, selection: RepresentativeSelection, X: Any) -> "SelectedRows":
        """Return these rows with all picks.

        Parameters
        ----------
        selection : RepresentativeSelection
            How rows are compared.
        X : {array, sparse matrix, data frame}
            The rows, in the order of `slots`.
        """
        features, slots = compute_features(selection, X), self.slots
        blocks = [list(mine) for mine in self.blocks]
        for places in self._find_chains():
            given, given_hashes = features[:0], np.empty(0, dtype=np.uint64)
            for i, k in places:
                block = blocks[i][k]
                mine = features[_find(block.slots, slots)]
                if not block.is_complete:
                    block = block.select(
                        mine, given, given_hashes, selection.length_scale
                    )
                    blocks[i][k] = block
                picked = _find(block.picks, block.slots)
                given = np.concatenate([given, mine[picked]])
                given_hashes = np.concatenate([given_hashes, block.hashes[picked]])
        return replace(self, blocks=tuple(map(tuple, blocks)))

    def _find_chains(self) -> Iterator[list[tuple[int, int]]]:
        """Yield for each class where its blocks are, in order."""
        chains: dict[int, list[tuple[int, int]]] = {}
        for i, mine in enumerate(self.blocks):
            for k, block in enumerate(mine):
                chains.setdefault(block.class_hash, []).append((i, k))
        yield from chains.values()


def _nothing() -> np.ndarray:
    return np.empty(0, dtype=np.int64)

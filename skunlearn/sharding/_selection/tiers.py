"""Which rows of a shard are picked to train on, where not all of them are.

The rows of one class that come into a slice together are a *tier*. How many of them are
picked is fixed when they come; which ones depends on the picks of the tiers before. So
a row that was not picked can go without any training, and a row that was picked takes
with it the picks after it alone (after ARCANE, section 3 of the paper).
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

__all__ = ["Choice", "Tier"]


@dataclass(frozen=True, eq=False)
class Tier:
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
        Slots of the picks in the order in which they were picked; fewer than are due
        while selection is.
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
        """Tell whether all of them are."""
        return len(self.picks) == self.n_due

    def has_replacement(self) -> np.ndarray:
        """Tell for each pick whether another row would be picked instead."""
        return self.pools.has_more(
            self.hashes, self.hashes[_find(self.picks, self.slots)]
        )

    def is_as(self, other: "Tier") -> bool:
        """Tell whether the other tier has the same rows and picks as many of them."""
        return (
            self.class_hash == other.class_hash
            and self.pools == other.pools
            and np.array_equal(self.slots, other.slots)
        )

    def without_rows(self, slots: np.ndarray) -> "Tier":
        """Return the tier without some rows and the picks from the first of them on."""
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
    ) -> "Tier":
        """Return the tier with all its picks.

        Parameters
        ----------
        features : ndarray of shape (n_rows, n_features)
            Features of the rows.
        given, given_hashes : ndarrays
            Features and hashes of the picks of the tiers before.
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
class Choice:
    """All rows of a shard, slice by slice, and those picked to train on.

    Parameters
    ----------
    stages : tuple of int
        What the slices are called; gaps are left where later ones are empty.
    orders : tuple of ndarray
        Slots of all rows of each slice in the order of training.
    tiers : tuple of tuple of Tier
        The same by class.
    """

    stages: tuple[int, ...]
    orders: tuple[np.ndarray, ...]
    tiers: tuple[tuple[Tier, ...], ...]

    @property
    def slots(self) -> np.ndarray:
        """Return the slots of all rows, picked or not."""
        return np.concatenate(self.orders)

    @property
    def picked(self) -> list[np.ndarray]:
        """Return the slots of the picks of each slice in the order of training."""
        chosen = (
            np.concatenate([t.picks for t in s] or [_nothing()]) for s in self.tiers
        )
        return [
            order[np.isin(order, picks)]
            for order, picks in zip(self.orders, chosen, strict=True)
        ]

    @property
    def is_complete(self) -> bool:
        """Tell whether all that are due are picked."""
        return all(tier.is_complete for tiers in self.tiers for tier in tiers)

    def count(self, n_labels: int) -> np.ndarray:
        """Return how many rows of each label are due in each slice."""
        counts = np.zeros((len(self.tiers), n_labels), dtype=np.int64)
        for i, tiers in enumerate(self.tiers):
            for tier in tiers:
                counts[i, tier.label] += tier.n_due
        return counts

    def without_rows(self, slots: np.ndarray) -> tuple["Choice", int | None]:
        """Return the choice without some rows, and the first slice with other picks."""
        orders = tuple(order[~np.isin(order, slots)] for order in self.orders)
        lost: set[int] = set()  # classes whose picks are lost from here on
        changed: list[int] = []
        tiers = []
        for i, mine in enumerate(self.tiers):
            reduced = [tier.without_rows(slots) for tier in mine]
            for k, (old, new) in enumerate(zip(mine, reduced, strict=True)):
                if old.class_hash in lost:
                    reduced[k] = replace(new, picks=_nothing())
                elif not old.is_complete or len(new.picks) < len(old.picks):
                    lost.add(old.class_hash)
                    changed.append(i)
            tiers.append(tuple(tier for tier in reduced if len(tier.slots)))
        return Choice(self.stages, orders, tuple(tiers)), min(changed, default=None)

    def with_rows(
        self, stage: int, order: np.ndarray, tiers: tuple[Tier, ...]
    ) -> "Choice":
        """Return the choice with one more slice."""
        return Choice(
            (*self.stages, stage), (*self.orders, order), (*self.tiers, tiers)
        )

    def with_labels(self, labels: np.ndarray) -> "Choice":
        """Return the choice with other labels, -1 for one that is no more."""
        tiers = tuple(
            tuple(
                replace(tier, label=int(labels[tier.label]))
                for tier in mine
                if labels[tier.label] >= 0
            )
            for mine in self.tiers
        )
        return replace(self, tiers=tiers)

    def trimmed(self, n_kept: int) -> "Choice":
        """Return the choice without later slices of which nothing is due."""
        kept = [
            i
            for i, tiers in enumerate(self.tiers)
            if i < n_kept or any(tier.n_due for tier in tiers)
        ]
        return Choice(
            tuple(self.stages[i] for i in kept),
            tuple(self.orders[i] for i in kept),
            tuple(self.tiers[i] for i in kept),
        )

    def continuing(self, old: "Choice") -> tuple["Choice", int]:
        """Return the choice with the picks of an old one up to the first difference."""
        n_same = 0
        for mine, others in zip(self.tiers, old.tiers, strict=False):
            pairs = itertools.zip_longest(mine, others)
            if not all(a and b and a.is_as(b) and b.is_complete for a, b in pairs):
                break
            n_same += 1
        tiers = (*old.tiers[:n_same], *self.tiers[n_same:])
        return replace(self, tiers=tiers), n_same

    def select(self, selection: RepresentativeSelection, X: Any) -> "Choice":
        """Return the choice with all picks.

        Parameters
        ----------
        selection : RepresentativeSelection
            How rows are compared.
        X : {array, sparse matrix, data frame}
            The rows, in the order of `slots`.
        """
        features, slots = compute_features(selection, X), self.slots
        tiers = [list(mine) for mine in self.tiers]
        for places in self._find_chains():
            given, given_hashes = features[:0], np.empty(0, dtype=np.uint64)
            for i, k in places:
                tier = tiers[i][k]
                mine = features[_find(tier.slots, slots)]
                if not tier.is_complete:
                    tier = tier.select(
                        mine, given, given_hashes, selection.length_scale
                    )
                    tiers[i][k] = tier
                picked = _find(tier.picks, tier.slots)
                given = np.concatenate([given, mine[picked]])
                given_hashes = np.concatenate([given_hashes, tier.hashes[picked]])
        return replace(self, tiers=tuple(map(tuple, tiers)))

    def _find_chains(self) -> Iterator[list[tuple[int, int]]]:
        """Yield for each class where its tiers are, in order."""
        chains: dict[int, list[tuple[int, int]]] = {}
        for i, mine in enumerate(self.tiers):
            for k, tier in enumerate(mine):
                chains.setdefault(tier.class_hash, []).append((i, k))
        yield from chains.values()


def _nothing() -> np.ndarray:
    return np.empty(0, dtype=np.int64)

"""Rows that come, by fit or later, before they are laid out."""

from dataclasses import dataclass, replace

import numpy as np

from skunlearn._data.rows import Batch, Rows
from skunlearn.sharding._partition.base import RowTraits
from skunlearn.sharding._partition.layout import Places

__all__ = ["IncomingRows"]


@dataclass(frozen=True, eq=False)
class IncomingRows:
    """Rows that have not been laid out yet.

    Parameters
    ----------
    batch : Batch
        The rows.
    hashes : ndarray of uint64, shape (n_rows,)
        Hash of the identity of each.
    has_groups : bool
        Whether that identity is a group.
    kinds : frozenset of str
        What kinds of ids the groups have.
    """

    batch: Batch
    hashes: np.ndarray
    has_groups: bool
    kinds: frozenset[str] = frozenset()

    @property
    def counting(self) -> np.ndarray | slice:
        """Return which rows have weight; others say nothing."""
        weight = self.batch.sample_weight
        return slice(None) if weight is None else np.flatnonzero(weight)

    @property
    def classes(self) -> np.ndarray:
        """Return the classes of the rows that have weight."""
        return np.unique(self.batch.y[self.counting])

    def with_group_probabilities(
        self, known: tuple[np.ndarray, np.ndarray] | None = None
    ) -> "IncomingRows":
        """Return the rows with one probability to be forgotten for each group.

        It is fixed when the group comes: the highest among the rows that come with it.
        So none of them moves when another one goes, or comes later.

        Parameters
        ----------
        known : tuple of ndarray or None
            Hashes of the groups of rows that there are already, and their
            probabilities, if they have any.
        """
        proba = self.batch.forget_proba
        if not self.has_groups:
            return self
        if proba is None and (known is None or not known[1].any()):
            return self
        own = np.zeros(self.batch.size)
        if proba is not None:
            own[self.counting] = proba[self.counting]
        fixed = _maximum_of_group(own, self.hashes)
        if known is not None:
            hashes, first = np.unique(known[0], return_index=True)
            is_known = np.isin(self.hashes, hashes)
            place = np.searchsorted(hashes, self.hashes[is_known])
            fixed[is_known] = known[1][first[place]]
        return replace(self, batch=replace(self.batch, forget_proba=fixed))

    def describe(self, classes: np.ndarray, class_hashes: np.ndarray) -> RowTraits:
        """Return what decides where the counting rows belong."""
        counting, proba = self.counting, self.batch.forget_proba
        return RowTraits(
            self.hashes[counting],
            np.searchsorted(classes, self.batch.y[counting]),
            class_hashes,
            None if proba is None else proba[counting],
        )

    def sort(self, places: Places) -> Rows:
        """Return the rows in the order of their places, those without any last."""
        order, weight = places.order, self.batch.sample_weight
        if weight is not None:
            counting, silent = np.flatnonzero(weight), np.flatnonzero(weight == 0)
            order = np.concatenate([counting[order], silent])
        return replace(Rows.in_order(self.batch, order), parts=places.parts)


def _maximum_of_group(values: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """Return for each row the highest value among rows of its hash."""
    _, group = np.unique(hashes, return_inverse=True)
    maximum = np.full(group.max(initial=-1) + 1, -np.inf)
    np.maximum.at(maximum, group, values)
    return maximum[group]

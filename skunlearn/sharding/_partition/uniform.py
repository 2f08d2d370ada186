"""SISA's partition: by hash alone."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from skunlearn._data.hashing import draw
from skunlearn.sharding._partition.base import Partition, RowTraits, Wanted

__all__ = ["Uniform"]


@dataclass(frozen=True)
class Uniform(Partition):
    """Shards are drawn by a hash of the identity.

    Parameters
    ----------
    n_shards : int
        Number of shards.
    n_replicas : int
        Number of shards that each row joins.
    """

    n_shards: int
    n_replicas: int

    @classmethod
    def from_rows(cls, wanted: Wanted, traits: RowTraits) -> Self:
        """Return the partition: rows do not matter."""
        return cls(wanted.n_shards, wanted.n_replicas)

    def count_shards(self, n_classes: int) -> int:
        """Return the number of shards."""
        return self.n_shards

    def find_shards(self, traits: RowTraits) -> np.ndarray:
        """Return the distinct shards of each row.

        Draws without replacement as Floyd did: each draw that meets an earlier one
        is replaced by the largest number that was possible.
        """
        if self.n_replicas == 1:
            return draw(traits.hashes, 0, self.n_shards)[:, None]
        streams = np.arange(self.n_replicas)
        largest = self.n_shards - self.n_replicas + streams
        shards = draw(traits.hashes, streams[:, None], largest[:, None] + 1)
        for i in range(1, self.n_replicas):
            taken = (shards[:i] == shards[i]).any(axis=0)
            shards[i, taken] = largest[i]
        return shards.T

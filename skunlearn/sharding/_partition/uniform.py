"""SISA's partition: by hash alone."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from skunlearn._data.hashing import draw
from skunlearn.sharding._partition.base import RowTraits

__all__ = ["Uniform"]


@dataclass(frozen=True)
class Uniform:
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
    weighs_by_size: ClassVar[bool] = False

    def count_shards(self, n_classes: int) -> int:
        """Return the number of shards."""
        return self.n_shards

    def find_shards(self, traits: RowTraits) -> np.ndarray:
        """Return the distinct shards of each row.

        Draws without replacement as Floyd did: each draw that meets an earlier one
        is replaced by the largest number that was possible.
        """
        streams = np.arange(self.n_replicas)
        largest = self.n_shards - self.n_replicas + streams
        shards = draw(traits.hashes, streams[:, None], largest[:, None] + 1)
        for i in range(1, self.n_replicas):
            taken = (shards[:i] == shards[i]).any(axis=0)
            shards[i, taken] = largest[i]
        return shards.T

    def make_seed_path(self, shard: int, class_hashes: np.ndarray) -> tuple[int, ...]:
        """Return what tells the seeds of a shard from those of others."""
        return (shard,)

    def find_class(self, shard: int) -> None:
        """Return None: shards are for all classes."""

    def find_own(self, shard: int, code: int) -> int:
        """Return the shard itself."""
        return shard

    def find_share(self, shard: int, code: int, n_classes: int) -> float:
        """Return 1."""
        return 1.0

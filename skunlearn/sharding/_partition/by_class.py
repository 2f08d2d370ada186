"""ARCANE's partition: shards for each class, of its rows alone or against others."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from skunlearn._data.hashing import mix
from skunlearn.sharding._partition.base import Partition, RowTraits, Wanted
from skunlearn.sharding._partition.uniform import Uniform

__all__ = ["ByClass"]

_CHUNK = 1 << 16


@dataclass(frozen=True)
class ByClass(Partition):
    """Shards of a class have its rows and, of other classes, those chosen by hash.

    The shards of the first class come first.

    Parameters
    ----------
    parts : Uniform
        How the rows of a class, and those against it, are spread over its parts.
    n_negatives : int
        Number of other classes that each row stands against.
    """

    parts: Uniform
    n_negatives: int
    is_by_class: ClassVar[bool] = True

    @classmethod
    def from_rows(cls, wanted: Wanted, traits: RowTraits) -> Self:
        """Return the partition: rows do not matter."""
        return cls(Uniform.from_rows(wanted, traits), wanted.n_negatives)

    def count_shards(self, n_classes: int) -> int:
        """Return the number of shards where there are so many classes."""
        return n_classes * self.parts.n_shards

    def find_class(self, shard: int) -> int:
        """Return the index of the class that a shard is for."""
        return shard // self.parts.n_shards

    def find_own(self, shard: int, code: int) -> int:
        """Return the same part of the class of the rows."""
        return code * self.parts.n_shards + shard % self.parts.n_shards

    def find_share(self, shard: int, code: int, n_classes: int) -> float:
        """Return the share of the rows in their own shard to be expected in this."""
        if self.find_class(shard) == code:
            return 1.0
        return min(self.n_negatives / (n_classes - 1), 1.0)

    def find_shards(self, traits: RowTraits) -> np.ndarray:
        """Return the shards of each row: of its own class, then of others."""
        codes = traits.codes[:, None]
        n_others = min(self.n_negatives, max(traits.n_classes - 1, 0))
        if n_others:
            codes = np.column_stack([codes, _choose_others(traits, n_others)])
        parts = self.parts.find_shards(traits)
        shards = codes[:, :, None] * self.parts.n_shards + parts[:, None, :]
        return shards.reshape(len(codes), codes.shape[1] * parts.shape[1])

    def make_seed_path(self, shard: int, class_hashes: np.ndarray) -> tuple[int, ...]:
        """Return what tells the seeds of a shard from those of others.

        It must not change when another class, and with it a few numbers, disappears.
        """
        code, part = divmod(shard, self.parts.n_shards)
        return (int(class_hashes[code]), part)


def _choose_others(traits: RowTraits, n_chosen: int) -> np.ndarray:
    """Choose other classes for each row, of shape (n_rows, n_chosen).

    The highest hashes of (row, class) win. So where a class appears or disappears, no
    more rows change sides than must.
    """
    n_rows = len(traits.hashes)
    chosen = np.empty((n_rows, n_chosen), dtype=np.int64)
    keys = mix(traits.class_hashes)
    for start in range(0, n_rows, _CHUNK):
        rows = slice(start, start + _CHUNK)
        bids = mix(traits.hashes[rows, None] ^ keys)
        np.put_along_axis(bids, traits.codes[rows, None], np.uint64(0), axis=1)
        chosen[rows] = np.argsort(~bids, axis=1, kind="stable")[:, :n_chosen]
    return chosen

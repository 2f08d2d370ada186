"""SISA's partition by how likely rows are to be forgotten (section VIII)."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from skunlearn.sharding._partition.base import Partition, RowTraits, Wanted
from skunlearn.sharding._partition.thresholds import Thresholds

__all__ = ["DistributionAware"]


@dataclass(frozen=True, eq=False)
class DistributionAware(Partition):
    """Rows of like probability to be forgotten together.

    Parameters
    ----------
    thresholds : Thresholds
        Where, in the order of probability and hash, the next shard begins.
    """

    thresholds: Thresholds
    needs_forget_proba: ClassVar[bool] = True
    allows_replicas: ClassVar[bool] = False
    weighs_by_size: ClassVar[bool] = True

    @classmethod
    def from_rows(cls, wanted: Wanted, traits: RowTraits) -> Self:
        """Fill shards in that order, each up to one expected request.

        Rows of one hash are one group: they are forgotten by one request.
        """
        hashes, forget_proba = traits.hashes, traits.forget_proba
        assert forget_proba is not None
        order = np.lexsort((hashes, forget_proba))
        ordered = hashes[order]
        is_first = np.diff(ordered, prepend=ordered[:1] ^ np.uint64(1)) != 0
        firsts = order[is_first]
        starts = _fill(forget_proba[firsts])
        return cls(Thresholds(forget_proba[firsts[starts]], hashes[firsts[starts]]))

    def count_shards(self, n_classes: int) -> int:
        """Return the number of shards."""
        return len(self.thresholds.values) + 1

    def find_shards(self, traits: RowTraits) -> np.ndarray:
        """Return the shard of each row."""
        return self.thresholds.find(traits.forget_proba, traits.hashes)[:, None]


def _fill(expected: np.ndarray) -> list[int]:
    """Return where new shards begin, after the first, so that sums are at most 1."""
    total = np.cumsum(expected)
    starts: list[int] = []
    before = 0.0
    while True:
        # The tolerance is for the rounding of sums: ten times 0.1 is one request.
        start = int(np.searchsorted(total, before + 1.0 + 1e-9, side="right"))
        start = max(start, (starts[-1] if starts else 0) + 1)
        if start >= len(expected):
            return starts
        starts.append(start)
        before = float(total[start - 1])

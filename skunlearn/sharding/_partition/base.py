"""What a partition is: which shards each row joins.

A partition is a pure function of what identifies a row, of its class, and of thresholds
that are fixed at fit. It never depends on which other rows there are, but for the
classes that they have.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

__all__ = ["Partition", "RowTraits"]


@dataclass(frozen=True, eq=False)
class RowTraits:
    """What decides where rows belong.

    Parameters
    ----------
    hashes : ndarray of uint64, shape (n_rows,)
        Hash of the identity of each row.
    codes : ndarray of shape (n_rows,)
        Index of its class.
    class_hashes : ndarray of uint64, shape (n_classes,)
        Hash of each class.
    forget_proba : ndarray of shape (n_rows,) or None
        Probability of each row to be forgotten, the same for rows of one group.
    """

    hashes: np.ndarray
    codes: np.ndarray
    class_hashes: np.ndarray
    forget_proba: np.ndarray | None

    @property
    def n_classes(self) -> int:
        """Return the number of classes."""
        return len(self.class_hashes)


class Partition(Protocol):
    """How rows are spread over shards."""

    weighs_by_size: ClassVar[bool]

    def count_shards(self, n_classes: int) -> int:
        """Return the number of shards where there are so many classes."""

    def find_shards(self, traits: RowTraits) -> np.ndarray:
        """Return the distinct shards of each row, of shape (n_rows, n_joined)."""

    def make_seed_path(self, shard: int, class_hashes: np.ndarray) -> tuple[int, ...]:
        """Return what tells the seeds of a shard from those of others."""

    def find_class(self, shard: int) -> int | None:
        """Return the index of the class that a shard is for, None if for all."""

    def find_own(self, shard: int, code: int) -> int:
        """Return the shard for rows of a class that may be against others in one."""

    def find_share(self, shard: int, code: int, n_classes: int) -> float:
        """Return the share of the rows in that shard to be expected in this one."""

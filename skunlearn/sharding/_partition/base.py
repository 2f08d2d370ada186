"""What a partition is: which shards each row joins.

A partition is a pure function of what identifies a row, of its class, and of thresholds
that are fixed at fit. It never depends on which other rows there are, but for the
classes that they have.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

import numpy as np

__all__ = ["Partition", "RowTraits", "Wanted"]


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


class Wanted(Protocol):
    """What a user asks for; a partition takes what it uses."""

    @property
    def n_shards(self) -> int:
        """Return the number of shards, of each class where they are for one."""

    @property
    def n_replicas(self) -> int:
        """Return the number of shards that each row joins."""

    @property
    def n_negatives(self) -> int:
        """Return the number of other classes that each row stands against."""


class Partition(ABC):
    """How rows are spread over shards; the defaults are for shards of all classes.

    Attributes
    ----------
    needs_forget_proba : bool
        Whether rows must come with a probability to be forgotten.
    allows_replicas : bool
        Whether rows can join several shards.
    is_by_class : bool
        Whether each shard is for one class, so that one-class models can learn it.
    weighs_by_size : bool
        Whether the vote of a constituent counts as many times as it has rows.
    """

    needs_forget_proba: ClassVar[bool] = False
    allows_replicas: ClassVar[bool] = True
    is_by_class: ClassVar[bool] = False
    weighs_by_size: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def from_rows(cls, wanted: Wanted, traits: RowTraits) -> Self:
        """Return the partition that is fixed by the first rows."""

    @abstractmethod
    def count_shards(self, n_classes: int) -> int:
        """Return the number of shards where there are so many classes."""

    @abstractmethod
    def find_shards(self, traits: RowTraits) -> np.ndarray:
        """Return the distinct shards of each row, of shape (n_rows, n_joined)."""

    def make_seed_path(self, shard: int, class_hashes: np.ndarray) -> tuple[int, ...]:
        """Return what tells the seeds of a shard from those of others."""
        return (shard,)

    def find_class(self, shard: int) -> int | None:
        """Return the index of the class that a shard is for, None if for all."""
        return None

    def find_own(self, shard: int, code: int) -> int:
        """Return the shard for rows of a class that may be against others in one."""
        return shard

    def find_share(self, shard: int, code: int, n_classes: int) -> float:
        """Return the share of the rows in that shard to be expected in this one."""
        return 1.0

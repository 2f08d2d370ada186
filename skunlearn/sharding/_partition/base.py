"""Which shards each row joins: any, those of its class, or those of its likelihood.

A partition is a pure function of what identifies a row, of its class, and of thresholds
that are fixed at fit. It never depends on which other rows there are, but for the
classes that they have.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from skunlearn._data.hashing import draw, mix
from skunlearn.sharding._partition.thresholds import Cuts

__all__ = [
    "ByClass",
    "ClassOrRest",
    "DistributionAware",
    "Partition",
    "Traits",
    "Uniform",
]

_CHUNK = 1 << 16


@dataclass(frozen=True, eq=False)
class Traits:
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

    def find_shards(self, traits: Traits) -> np.ndarray:
        """Return the distinct shards of each row, of shape (n_rows, n_joined)."""

    def make_seed_path(self, shard: int, class_hashes: np.ndarray) -> tuple[int, ...]:
        """Return what tells the seeds of a shard from those of others."""

    def find_class(self, shard: int) -> int | None:
        """Return the index of the class that a shard is for, None if for all."""

    def find_own(self, shard: int, code: int) -> int:
        """Return the shard for rows of a class that may be against others in one."""

    def find_share(self, shard: int, code: int, n_classes: int) -> float:
        """Return the share of the rows in that shard to be expected in this one."""


@dataclass(frozen=True)
class Uniform:
    """SISA's partition: by hash alone.

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

    def find_shards(self, traits: Traits) -> np.ndarray:
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


@dataclass(frozen=True)
class ByClass:
    """ARCANE's partition: the rows of each class alone, in one or several parts.

    The shards of the first class come first.

    Parameters
    ----------
    parts : Uniform
        How the rows of a class are spread over its parts.
    """

    parts: Uniform
    weighs_by_size: ClassVar[bool] = False

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
        """Return 1."""
        return 1.0

    def find_shards(self, traits: Traits) -> np.ndarray:
        """Return the shards of each row: parts of its class."""
        return self.find_parts(traits, traits.codes[:, None])

    def make_seed_path(self, shard: int, class_hashes: np.ndarray) -> tuple[int, ...]:
        """Return what tells the seeds of a shard from those of others.

        It must not change when another class, and with it a few numbers, disappears.
        """
        code, part = divmod(shard, self.parts.n_shards)
        return (int(class_hashes[code]), part)

    def find_parts(self, traits: Traits, codes: np.ndarray) -> np.ndarray:
        """Return the shards of each row in the classes of shape (n_rows, n)."""
        parts = self.parts.find_shards(traits)
        shards = codes[:, :, None] * self.parts.n_shards + parts[:, None, :]
        return shards.reshape(len(codes), codes.shape[1] * parts.shape[1])


@dataclass(frozen=True)
class ClassOrRest(ByClass):
    """Rows of a class against rows of the others, chosen by hash.

    Parameters
    ----------
    parts : Uniform
        How the rows of a class, and those against it, are spread over its parts.
    n_negatives : int
        Number of other classes that each row stands against.
    """

    n_negatives: int

    def find_shards(self, traits: Traits) -> np.ndarray:
        """Return the shards of each row: of its own class, then of others."""
        n_others = min(self.n_negatives, max(traits.n_classes - 1, 0))
        others = _choose_others(traits, n_others)
        return self.find_parts(traits, np.column_stack([traits.codes, others]))

    def find_share(self, shard: int, code: int, n_classes: int) -> float:
        """Return the share of the rows in their own shard to be expected in this."""
        if self.find_class(shard) == code:
            return 1.0
        return min(self.n_negatives / (n_classes - 1), 1.0)


def _choose_others(traits: Traits, n_chosen: int) -> np.ndarray:
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


@dataclass(frozen=True, eq=False)
class DistributionAware:
    """Rows of like probability to be forgotten together (SISA, section VIII).

    Parameters
    ----------
    cuts : Cuts
        Where, in the order of probability and hash, the next shard begins.
    """

    cuts: Cuts
    weighs_by_size: ClassVar[bool] = True

    @classmethod
    def from_rows(cls, hashes: np.ndarray, forget_proba: Any) -> Any:
        """Fill shards in that order, each up to one expected request.

        Rows of one hash are one group: they are forgotten by one request.
        """
        order = np.lexsort((hashes, forget_proba))
        ordered = hashes[order]
        is_first = np.diff(ordered, prepend=ordered[:1] ^ np.uint64(1)) != 0
        firsts = order[is_first]
        starts = _fill(forget_proba[firsts])
        return cls(Cuts(forget_proba[firsts[starts]], hashes[firsts[starts]]))

    def count_shards(self, n_classes: int) -> int:
        """Return the number of shards."""
        return len(self.cuts.values) + 1

    def find_shards(self, traits: Traits) -> np.ndarray:
        """Return the shard of each row."""
        return self.cuts.find(traits.forget_proba, traits.hashes)[:, None]

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

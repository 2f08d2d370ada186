"""Who reads rows: a forget overwrites in place only what nobody else is reading.

Rows are large, and to forget some of them must not cost a copy of all. But a pickle or
a score that is being made in another thread reads the rows of the state that it began
with; it holds a lease on them for as long. Classifiers that share rows hold one each.
"""

from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakSet

import numpy as np

__all__ = ["Erasure", "Lease", "Readers"]


class Lease:
    """One reader of some rows; the lease ends with its life."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """Make a new lease of a copy or a pickle, which has rows of its own."""
        return Lease, ()


class Readers:
    """All who read the same arrays."""

    def __init__(self) -> None:
        self._leases: WeakSet[Lease] = WeakSet()

    def add(self, lease: Lease) -> Lease:
        """Count one reader more, and return its lease."""
        self._leases.add(lease)
        return lease

    def are_among(self, leases: Iterable[Lease]) -> bool:
        """Whether nobody else reads the arrays."""
        return set(self._leases) <= set(leases)

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """Make a copy or a pickle without readers."""
        return Readers, ()


class Erasure:
    """The overwriting that makes rows forgotten, planned before anything is changed.

    Parameters
    ----------
    leases : iterable of Lease
        Leases of those who forget the rows together.
    """

    def __init__(self, leases: Iterable[Lease] = ()) -> None:
        self._leases = set(leases)
        self._copies: dict[int, tuple[Any, Any]] = {}  # with what keeps the id taken
        self._targets: list[tuple[np.ndarray, np.ndarray]] = []

    def own(self, array: np.ndarray, readers: Readers) -> np.ndarray:
        """Return the array, or a copy where it must not be overwritten in place.

        That is where others read it, or where it cannot be written to. All who forget
        together get the same copy.
        """
        if array.flags.writeable and readers.are_among(self._leases):
            return array
        return self._copy_once(array, lambda: array.copy())

    def find_readers(self, readers: Readers) -> Readers:
        """Return the readers of what `own` returns, for arrays that can be written."""
        if readers.are_among(self._leases):
            return readers
        return self._copy_once(readers, Readers)

    def overwrite(self, array: np.ndarray, indices: np.ndarray) -> None:
        """Plan to overwrite an array at some indices."""
        self._targets.append((array, indices))

    def carry_out(self) -> None:
        """Overwrite with zeros; it does no harm to do it again."""
        for array, indices in self._targets:
            array[indices] = np.zeros((), array.dtype)

    def _copy_once(self, original: Any, copy: Callable[[], Any]) -> Any:
        if id(original) not in self._copies:
            self._copies[id(original)] = original, copy()
        return self._copies[id(original)][1]

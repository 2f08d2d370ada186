"""The rows that a classifier keeps so that it can train again, held once.

Users name a row by its *position*: its place in the ``X`` given to ``fit``. The store
keeps rows in training order, so that what is trained together lies together in memory;
the place of a row there is its *slot*.

To forget a few rows must not cost a copy of all: they are overwritten in place. But a
pickle or a score that is being made in another thread reads the rows of the state that
it began with; it holds a *lease* on them for as long, and then they are copied.
Classifiers that share rows hold one each.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakSet

import numpy as np
from scipy import sparse

from skunlearn._data.blocks import Blocks
from skunlearn._data.casting import trim_text, without_text
from skunlearn._data.containers import (
    is_frame,
    join_rows,
    list_values,
    take_rows,
    view_rows,
    with_own_values,
    with_sorted_values,
)
from skunlearn._data.declarations import NOTHING, Declarations
from skunlearn._data.ownership import is_file_backed

__all__ = ["Batch", "Erasure", "Lease", "Readers", "Rows"]


@dataclass(frozen=True)
class Batch:
    """Some rows on their way to training: features, labels, and what else is known.

    Weights and probabilities to be forgotten are None where there are none. What else
    the base's fit is given for each row is in `fit_params`, by keyword.
    """

    X: Any
    y: np.ndarray
    sample_weight: np.ndarray | None
    forget_proba: np.ndarray | None = None
    fit_params: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Return the number of rows."""
        return len(self.y)

    @property
    def like(self) -> Any:
        """Return rows in the form of these: themselves or, of blocks, none."""
        return self.X.template if isinstance(self.X, Blocks) else self.X

    def take(self, indices: np.ndarray) -> "Batch":
        """Return a copy of the rows at the given indices.

        That of a frame may still carry values of other rows.
        """
        X, weight, proba = self.X, self.sample_weight, self.forget_proba
        is_array = isinstance(X, np.ndarray)
        return Batch(
            X.take(indices, axis=0) if is_array else take_rows(X, indices),
            self.y.take(indices),
            None if weight is None else weight.take(indices),
            None if proba is None else proba.take(indices),
            {k: values.take(indices, axis=0) for k, values in self.fit_params.items()},
        )

    def join(self, other: "Batch") -> "Batch":
        """Return these rows followed by those of `other`, which has their dtypes."""
        return Batch(
            _join_features(self.X, other.X),
            trim_text(np.concatenate([self.y, other.y])),
            _join_values(self, other, "sample_weight"),
            _join_values(self, other, "forget_proba"),
        )


def _join_features(X: Any, new: Any) -> Any:
    return X.join(new) if isinstance(X, Blocks) else join_rows(X, new)


def _join_values(first: Batch, second: Batch, name: str) -> np.ndarray | None:
    """Join values that either may lack: then they are 0."""
    values = [getattr(first, name), getattr(second, name)]
    if values[0] is None and values[1] is None:
        return None
    sizes = first.size, second.size
    return np.concatenate(
        [np.zeros(n) if v is None else v for v, n in zip(values, sizes, strict=True)]
    )


class Lease:
    """One reader of some rows; the lease ends with its life."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """Make a new lease of a copy or a pickle, which has rows of its own."""
        return Lease, ()


class Readers:
    """All readers of the same arrays."""

    def __init__(self) -> None:
        self._leases: WeakSet[Lease] = WeakSet()

    def add(self, lease: Lease) -> Lease:
        """Count one reader more, and return its lease."""
        self._leases.add(lease)
        return lease

    def are_among(self, leases: Iterable[Lease]) -> bool:
        """Whether the arrays have no other reader."""
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
        self._are_alone: dict[Readers, bool] = {}  # asked once: a commit admits none
        self._copies: dict[int, tuple[Any, Any]] = {}  # with what keeps the id taken
        self._targets: list[tuple[np.ndarray, np.ndarray]] = []

    def own(self, array: np.ndarray, readers: Readers) -> np.ndarray:
        """Return the array, or a copy where it must not be overwritten in place.

        That is where others read it, where it cannot be written to, or where that
        would change a file. All who forget
        together get the same copy.
        """
        flags = array.flags
        is_ours = flags.writeable and (flags.owndata or not is_file_backed(array))
        if is_ours and self._has_no_others(readers):
            return array
        return self._copy_once(array, lambda: np.array(array))

    def find_readers(self, readers: Readers) -> Readers:
        """Return the readers of what `own` returns, for arrays that can be written."""
        if self._has_no_others(readers):
            return readers
        return self._copy_once(readers, Readers)

    def _has_no_others(self, readers: Readers) -> bool:
        if readers not in self._are_alone:
            self._are_alone[readers] = readers.are_among(self._leases)
        return self._are_alone[readers]

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


@dataclass(frozen=True)
class Rows:
    """All rows that were ever given, the forgotten ones overwritten.

    Parameters
    ----------
    data : Batch
        The rows, by slot.
    slot_of : ndarray of shape (n_positions,)
        Slot of every position.
    retained : ndarray of shape (n_positions,), dtype bool
        Whether the row at each position is still retained.
    readers : Readers
        Who else reads these arrays.
    lease : Lease
        The lease of these rows on the arrays: others may have them too.
    declared : Declarations
        The orders in which columns of a frame declare values.
    parts : ndarray
        The slots at which parts of the rows begin that are trained on together.
    """

    data: Batch
    slot_of: np.ndarray
    retained: np.ndarray
    readers: Readers = field(default_factory=Readers)
    lease: Lease = field(default_factory=Lease)
    declared: Declarations = NOTHING
    parts: np.ndarray = field(default_factory=lambda: np.zeros(1, dtype=np.int64))

    def __post_init__(self) -> None:
        """Be one of the readers."""
        self.readers.add(self.lease)

    def __setstate__(self, values: dict[str, Any]) -> None:
        """Be one of the readers of the arrays of a pickle or a copy."""
        vars(self).update(values)
        self.readers.add(self.lease)

    @classmethod
    def in_order(cls, batch: Batch, order: np.ndarray) -> "Rows":
        """Copy the rows of `batch`, the one at position ``order[i]`` to slot ``i``.

        Categories stay as they are declared: `append` needs their order.
        """
        slot_of = np.empty_like(order)
        slot_of[order] = np.arange(len(order))
        retained = np.ones(len(order), dtype=bool)
        declared = Declarations.of_batch(batch.X)
        return cls(batch.take(order), slot_of, retained, declared=declared)

    @property
    def n_positions(self) -> int:
        """Return how many rows were ever given."""
        return len(self.slot_of)

    @property
    def n_slots(self) -> int:
        """Return how many rows are held, those of other classifiers included."""
        return self.data.size

    def take(self, slots: np.ndarray) -> Batch:
        """Return a copy of the rows at the given slots, and nothing of the others."""
        part = self.data.take(slots)
        X = part.X
        if isinstance(X, np.ndarray) and X.dtype.kind not in "US":
            return part  # nothing else tells of other rows
        return replace(part, X=self.declared.arrange(X, slots))

    def borrow(self, slots: np.ndarray) -> Batch:
        """Return what `take` does; numbers that lie side by side are not copied.

        The view is read-only: these are the rows that are kept.
        """
        X, y = self.data.X, self.data.y
        is_plain = isinstance(X, np.ndarray) and X.dtype.kind in "biuf"
        if not (is_plain and len(slots) and not self.data.fit_params):
            return self.take(slots)
        part = slice(int(slots[0]), int(slots[-1]) + 1)
        is_run = part.stop - part.start == len(slots)
        if not (is_run and (slots[1:] > slots[:-1]).all()):
            return self.take(slots)
        weight = self.data.sample_weight
        rows = X[part]
        rows.flags.writeable = False
        return Batch(rows, y[part].copy(), None if weight is None else weight[part])

    def list_values(self, slots: np.ndarray) -> Any:
        """Return the values of columns that the rows at some slots choose from."""
        if not (is_frame(self.data.X) and list_values(view_rows(self.data.X, 0, 1))):
            return {}  # without a pass over the rows
        return self.declared.list_values(take_rows(self.data.X, slots), slots)

    def with_own_values(self) -> "Rows":
        """Return these rows without values that none of them has."""
        return self._holding(with_sorted_values(self.data.X))

    def _holding(self, X: Any) -> "Rows":
        """Return these rows as they are in another frame."""
        held = replace(self.data, X=X, y=trim_text(self.data.y))
        declared = self.declared.within(X)
        return replace(self, data=held, declared=declared)

    def append(self, other: "Rows") -> "Rows":
        """Return these rows followed by those of `other`, positions counting on."""
        held = self.data.join(other.data)
        declared = self.declared.append(other.declared, self.n_slots)
        return Rows(
            held,
            np.concatenate([self.slot_of, other.slot_of + self.n_slots]),
            np.concatenate([self.retained, other.retained]),
            declared=declared.within(held.X),
            parts=np.concatenate([self.parts, other.parts + self.n_positions]),
        )

    def view(self, positions: np.ndarray) -> "Rows":
        """Return the rows at some positions for a classifier, in the same memory.

        There they are the positions from 0 on.
        """
        slots, retained = self.slot_of[positions], self.retained[positions]
        return replace(self, slot_of=slots, retained=retained).shared()

    def shared(self) -> "Rows":
        """Return these rows for another classifier, in the same memory."""
        return replace(self, lease=Lease())

    def follow(self, others: "Rows", forgotten: np.ndarray) -> "Rows":
        """Return this view of other rows when these have forgotten some.

        Parameters
        ----------
        others : Rows
            All rows, as they are then.
        forgotten : ndarray
            The positions that are forgotten here.
        """
        retained = self.retained
        if len(forgotten):
            retained = retained.copy()
            retained[forgotten] = False
        return replace(
            others, slot_of=self.slot_of, retained=retained, lease=self.lease
        )

    def prepare_forget(self, positions: np.ndarray, erasure: Erasure) -> "Rows":
        """Do all of the forgetting that can fail; carrying out the rest remains.

        A data frame cannot be overwritten in place without changing its dtypes: it is
        copied, with a retained row in the place of every forgotten one.

        Parameters
        ----------
        positions : ndarray
            The rows to forget.
        erasure : Erasure
            What is to be overwritten is added to it.

        Returns
        -------
        Rows
            The rows to keep, which share memory with these as far as they can.
        """
        slots, held = self.slot_of[positions], self.data
        retained = self._erase(self.retained, positions, erasure)
        values = {
            name: self._erase(getattr(held, name), slots, erasure)
            for name in ("y", "sample_weight", "forget_proba")
            if getattr(held, name) is not None
        }
        params = {k: self._erase(v, slots, erasure) for k, v in held.fit_params.items()}
        declared, X = self.declared, held.X
        if isinstance(held.X, np.ndarray):
            X = self._erase(held.X, slots, erasure)
        elif isinstance(held.X, Blocks):
            X = held.X.without(slots)
        elif sparse.issparse(held.X):
            X = self._erase_stored(held.X, slots, erasure)
        else:
            X = self._replace_rows(positions)
            declared = declared.within(X)
        return replace(
            self,
            data=replace(held, X=X, fit_params=params, **values),
            retained=retained,
            declared=declared,
            readers=erasure.find_readers(self.readers),
        )

    def _erase(
        self, array: np.ndarray, indices: np.ndarray, erasure: Erasure
    ) -> np.ndarray:
        """Plan to overwrite an array, or a copy of it, and return which.

        Text of which the longest goes is copied as it will be: its width changes.
        """
        if array.dtype.kind in "US":
            shorter = without_text(array, indices)
            if shorter is not None:
                return shorter
        array = erasure.own(array, self.readers)
        erasure.overwrite(array, indices)
        return array

    def _erase_stored(self, X: Any, slots: np.ndarray, erasure: Erasure) -> Any:
        """Plan to overwrite the values and the columns that rows of a CSR matrix have.

        How many a row had stays: without a pass over all rows, none can be cut out.
        """
        stored = _find_stored(X, slots)
        data = self._erase(X.data, stored, erasure)
        indices = self._erase(X.indices, stored, erasure)
        if data is X.data and indices is X.indices:
            return X
        return type(X)((data, indices, X.indptr), shape=X.shape, copy=False)

    def _replace_rows(self, positions: np.ndarray) -> Any:
        """Return the frame with a retained row in the place of all forgotten ones."""
        retained = self.retained.copy()
        retained[positions] = False
        source = np.arange(self.n_slots)
        source[self.slot_of[~retained]] = self.slot_of[retained.argmax()]
        return with_own_values(take_rows(self.data.X, source))


def _find_stored(X: Any, slots: np.ndarray) -> np.ndarray:
    """Return where the stored values of some rows of a CSR matrix are."""
    starts = X.indptr[slots].astype(np.int64)
    lengths = X.indptr[slots + 1] - starts
    ends = lengths.cumsum()
    return np.arange(lengths.sum()) + np.repeat(starts - ends + lengths, lengths)

"""Rows in blocks that need not be in memory.

They have what training asks of an array: rows are taken by slot, appended and removed.
A block has the rows of a range of slots that are retained, and none of the others.
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from skunlearn._data.containers import stack_rows, take_rows, with_own_values

__all__ = ["Block", "Blocks", "MemoryBlock", "make_template"]


class Block(Protocol):
    """Rows of a range of slots, wherever they are kept."""

    @property
    def start(self) -> int:
        """Return the first slot of the range."""

    @property
    def slots(self) -> np.ndarray:
        """Return the slots of the rows, in ascending order."""

    def load(self) -> Any:
        """Return the rows, which must not be changed."""


@dataclass(frozen=True, eq=False)
class MemoryBlock:
    """A block in memory.

    Parameters
    ----------
    start : int
        The first slot of its range.
    slots : ndarray of shape (n_rows,)
        Slots of the rows.
    values : {ndarray, sparse matrix, data frame} of shape (n_rows, ...)
        The rows.
    """

    start: int
    slots: np.ndarray
    values: Any

    def load(self) -> Any:
        """Return the rows."""
        return self.values


@dataclass(frozen=True, eq=False)
class Blocks:
    """Rows, by slot.

    Parameters
    ----------
    blocks : tuple of Block
        The blocks, in the order of slots.
    shape : tuple of int
        Number of slots, and shape of a row.
    template : {ndarray, sparse matrix, data frame} of shape (0, ...)
        What the rows are like, without any.
    """

    blocks: tuple[Block, ...]
    shape: tuple[int, ...]
    template: Any

    @property
    def dtype(self) -> Any:
        """Return the dtype of the rows; that of a frame is for any object."""
        return getattr(self.template, "dtype", np.dtype(object))

    def take(self, indices: np.ndarray, axis: int = 0) -> Any:
        """Return a copy of the rows at some slots, as ``ndarray.take`` does."""
        assert axis == 0
        found = self.locate(indices)
        if not found:
            return self.template
        if not isinstance(self.template, np.ndarray):
            return self._stack(found)
        rows = np.empty((len(indices), *self.shape[1:]), dtype=self.dtype)
        for block, places, mine in found:
            rows[mine] = block.load().take(places, axis=0)
        return rows

    def _stack(self, found: list[tuple[Block, np.ndarray, np.ndarray]]) -> Any:
        rows = stack_rows([take_rows(block.load(), at) for block, at, _ in found])
        if len(found) == 1:
            return rows
        order = np.concatenate([mine for _, _, mine in found])
        return take_rows(rows, np.argsort(order))

    def locate(self, slots: np.ndarray) -> list[tuple[Block, np.ndarray, np.ndarray]]:
        """Return each block that some slots are in, where there, and which they are."""
        found = []
        for i, mine in self._find(slots):
            block = self.blocks[i]
            places = np.searchsorted(block.slots, slots[mine])
            if not np.array_equal(block.slots.take(places, mode="clip"), slots[mine]):
                raise LookupError("rows that are forgotten were asked for")
            found.append((block, places, mine))
        return found

    def without(self, slots: np.ndarray) -> "Blocks":
        """Return these rows without some; blocks that they were in are in memory."""
        blocks = list(self.blocks)
        for i, mine in self._find(slots):
            block = blocks[i]
            stays = ~np.isin(block.slots, slots[mine])
            if not stays.all():
                values = take_rows(block.load(), np.flatnonzero(stays))
                values = with_own_values(values)
                blocks[i] = MemoryBlock(block.start, block.slots[stays], values)
        return replace(self, blocks=tuple(blocks))

    def join(self, X: Any) -> "Blocks":
        """Return these rows followed by others, which are in the same form."""
        n_before, n_new = self.shape[0], X.shape[0]
        new = MemoryBlock(n_before, np.arange(n_before, n_before + n_new), X)
        shape = (n_before + n_new, *self.shape[1:])
        return Blocks((*self.blocks, new), shape, self.template)

    def _find(self, slots: np.ndarray) -> list[tuple[int, np.ndarray]]:
        """Return each block that some slots are in, and where they stand there."""
        starts = [block.start for block in self.blocks]
        which = np.searchsorted(starts, slots, side="right") - 1
        first, last = (int(which.min()), int(which.max())) if len(which) else (0, -1)
        if first == last:
            return [(first, np.arange(len(slots)))]
        return [(int(i), np.flatnonzero(which == i)) for i in np.unique(which)]


def make_template(X: Any) -> Any:
    """Return rows like those of `X`, but none."""
    return with_own_values(take_rows(X, np.empty(0, dtype=np.int64)))

"""Rows on their way to a store, in temporary files: one for each part they belong to.

Rows come in any order, and a part can be put in its order of training when all are
there. Until then its rows are appended to a file, in the order in which they came.
"""

import os
import secrets
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from scipy import sparse

from skunlearn._data.blocks import Blocks, make_template
from skunlearn._data.containers import (
    is_frame,
    stack_rows,
    take_rows,
    view_rows,
    with_own_values,
)
from skunlearn._data.vectors import shorten
from skunlearn.checkpoints._codecs import decode, encode
from skunlearn.checkpoints._files import TEMPORARY, write_all
from skunlearn.checkpoints._keys import find_cipher

__all__ = ["Spill", "SpilledBlock", "SpilledRows"]

_MAX_WAITING = 1 << 25  # bytes; a file is better appended to rarely
_OVERHEAD = 1 << 10  # bytes of a batch, however small
_HEADER = struct.Struct("<8sQ")  # the format of a piece, and its length
_NONCE_BYTES = 12


class Spill:
    """Temporary files of rows, which are removed at the end of a ``with`` block.

    Parameters
    ----------
    folder : Path
        Where they are. A store knows them by name as what a process has left behind.
    encrypt : bool
        Whether they are encrypted, under a key that is nowhere but in memory.
    """

    def __init__(self, folder: Path, *, encrypt: bool) -> None:
        self._stem = folder / f"{TEMPORARY}rows-{secrets.token_hex(8)}"
        self._cipher = find_cipher()(secrets.token_bytes(32)) if encrypt else None
        self._waiting: list[tuple[Any, np.ndarray]] = []
        self._n_waiting = 0
        self.sizes: dict[int, int] = {}  # bytes, by part
        self.template: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for part in list(self.sizes):
            self.remove(part)

    def add(self, X: Any, parts: np.ndarray) -> None:
        """Take a copy of some rows, each of which belongs to a part."""
        if self.template is None:
            self.template = make_template(X)
        order = np.argsort(parts, kind="stable")
        rows = take_rows(X, order)
        self._waiting.append((rows, parts[order]))
        self._n_waiting += _OVERHEAD + _count_bytes(rows)
        if self._n_waiting >= _MAX_WAITING:
            self.flush()

    def flush(self) -> None:
        """Append to files what waits."""
        if not self._waiting:
            return
        rows = stack_rows([rows for rows, _ in self._waiting])
        parts = np.concatenate([parts for _, parts in self._waiting])
        self._waiting, self._n_waiting = [], 0
        order = np.argsort(parts, kind="stable")
        rows, parts = take_rows(rows, order), parts[order]
        for start, stop in _find_runs(parts):
            mine = with_own_values(view_rows(rows, start, stop))
            self._append(int(parts[start]), mine)

    def _append(self, part: int, rows: Any) -> None:
        codec, data = encode(rows)
        if self._cipher is not None:
            nonce = secrets.token_bytes(_NONCE_BYTES)
            data = nonce + self._cipher.encrypt(nonce, data, None)
        header = _HEADER.pack(codec.encode(), len(data))
        self.sizes[part] = self.sizes.get(part, 0) + len(header) + len(data)
        flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY
        descriptor = os.open(self._find_file(part), flags, 0o600)
        try:
            write_all(descriptor, header + data)
        finally:
            os.close(descriptor)

    def read(self, part: int) -> Any:
        """Return the rows of a part, in the order in which they came."""
        data = memoryview(self._find_file(part).read_bytes())
        return stack_rows(list(self._split(data)))

    def _split(self, data: memoryview) -> Iterator[Any]:
        while data:
            codec, length = _HEADER.unpack(data[: _HEADER.size])
            piece = bytes(data[_HEADER.size :][:length])
            data = data[_HEADER.size + length :]
            if self._cipher is not None:
                nonce, piece = piece[:_NONCE_BYTES], piece[_NONCE_BYTES:]
                piece = self._cipher.decrypt(nonce, piece, None)
            yield decode(codec.rstrip(b"\0").decode(), piece)

    def remove(self, part: int) -> None:
        """Remove the rows of a part."""
        self._find_file(part).unlink(missing_ok=True)
        self.sizes.pop(part, None)

    def _find_file(self, part: int) -> Path:
        return self._stem.with_name(f"{self._stem.name}-{part}")


@dataclass(frozen=True, eq=False)
class SpilledRows:
    """All rows of a spill, by position.

    Parameters
    ----------
    spill : Spill
        Where they are.
    parts : ndarray of shape (n_rows,)
        The part that each of them belongs to.
    """

    spill: Spill
    parts: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape that they have together."""
        return (len(self.parts), *self.spill.template.shape[1:])

    def take(self, order: np.ndarray, axis: int = 0) -> Blocks:
        """Return all rows in an order that keeps those of a part together."""
        assert axis == 0
        blocks = []
        for start, stop in _find_runs(self.parts[order]):
            positions = order[start:stop]
            ranks = shorten(np.argsort(np.argsort(positions)))
            part = int(self.parts[positions[0]])
            blocks.append(SpilledBlock(self.spill, part, start, ranks))
        return Blocks(tuple(blocks), self.shape, self.spill.template)


@dataclass(frozen=True, eq=False)
class SpilledBlock:
    """The rows of a part, in the order of training.

    Parameters
    ----------
    spill : Spill
        Where they are.
    part : int
        The part.
    start : int
        First slot of the rows.
    ranks : ndarray of shape (n_rows,)
        For each slot, which of the rows in the order of their coming it has.
    """

    spill: Spill
    part: int
    start: int
    ranks: np.ndarray

    @property
    def slots(self) -> np.ndarray:
        """Return the slots of the rows."""
        return np.arange(self.start, self.start + len(self.ranks))

    def load(self) -> Any:
        """Return the rows."""
        return take_rows(self.spill.read(self.part), self.ranks)


def _find_runs(values: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield where each run of equal values begins and ends."""
    starts = np.flatnonzero(values[1:] != values[:-1]) + 1
    return pairwise([0, *starts.tolist(), len(values)])


def _count_bytes(X: Any) -> int:
    """Return about how much memory rows take."""
    if sparse.issparse(X):
        return int(X.data.nbytes + X.indices.nbytes)
    if not is_frame(X):
        return int(X.nbytes)
    if hasattr(X, "estimated_size"):
        return int(X.estimated_size())
    return int(X.memory_usage(deep=True).sum())

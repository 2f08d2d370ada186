"""The ledger of a store: what was asked for and what was done, line by line.

A line is JSON and names the hash of the line before it, so that a line that is missing,
added or changed breaks the chain. Lines name positions, never ids or values. What was
appended is on disk when `append` returns.
"""

import hashlib
import json
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from skunlearn._runtime.threads import uninterrupted
from skunlearn.checkpoints._files import Folder, write_all
from skunlearn.exceptions import CheckpointCorruptedError

__all__ = [
    "Ledger",
    "Line",
    "begin_first",
    "expand",
    "find_break",
    "read_lines",
    "shorten",
]

LEDGER = "ledger.jsonl"


@dataclass(frozen=True)
class Line:
    """A line of a ledger.

    Parameters
    ----------
    number : int
        Its number, from 0 on.
    entry : dict
        What it says.
    sha256 : str
        Its hash, which the next line names.
    """

    number: int
    entry: dict[str, Any]
    sha256: str


def read_lines(path: Path) -> tuple[list[bytes], int]:
    """Return the complete lines of a ledger, and their length in bytes.

    What follows the last line break was being written when its process died, and was
    never acknowledged.
    """
    data = path.read_bytes() if path.exists() else b""
    complete = data[: data.rfind(b"\n") + 1]
    return complete.splitlines(), len(complete)


def parse(raw: bytes, number: int) -> Line:
    """Return a line that was read."""
    entry = json.loads(raw)
    text, separator, _ = raw.rpartition(b',"check":"')
    if not separator or entry.get("check") != _check(text):
        raise ValueError("another checksum")
    return Line(number, entry, hashlib.sha256(raw).hexdigest())


def find_break(raws: list[bytes], store: str) -> tuple[list[Line], str | None]:
    """Return lines as far as their chain holds, and what breaks it, if anything."""
    lines: list[Line] = []
    before = store
    for number, raw in enumerate(raws):
        try:
            line = parse(raw, number)
        except (ValueError, AttributeError):
            return lines, f"line {number} is not as it was written"
        if line.entry.get("n") != number or line.entry.get("prev") != before:
            return lines, f"line {number} does not follow the line before it"
        lines.append(line)
        before = line.sha256
    return lines, None


@dataclass(eq=False)
class _Entries:
    """Entries that one thread waits for."""

    entries: tuple[dict[str, Any], ...]
    lines: list[Line] = field(default_factory=list)
    error: BaseException | None = None

    @property
    def is_done(self) -> bool:
        return self.error is not None or len(self.lines) == len(self.entries)


class Ledger:
    """A ledger that is open for appending.

    Threads that append at the same time share one ``fsync``.

    Parameters
    ----------
    folder : Folder
        The folder of the store.
    store : str
        The identity of the store, which the first line names.
    copy : Path or None
        A file outside of the store to which all lines are appended too.
    """

    def __init__(self, folder: Folder, store: str, copy: Path | None = None) -> None:
        self._folder = folder
        self._store = store
        self._paths = [folder.path / LEDGER, *([] if copy is None else [copy])]
        self._waiting: deque[_Entries] = deque()
        self._writing = threading.Lock()
        raws, _ = read_lines(self._paths[0])
        self.lines, fault = find_break(raws, store)
        if fault is not None:
            raise CheckpointCorruptedError(
                f"the ledger {self._paths[0]} is damaged: {fault}. Restore it from a "
                "copy (ledger_head, if there is one), or fit again."
            )
        self.copied = read_lines(copy)[0] if copy is not None else []

    @property
    def raws(self) -> list[bytes]:
        """Return all lines as they are on disk."""
        return read_lines(self._paths[0])[0]

    def cut_torn(self) -> None:
        """Drop what was being written when a process died."""
        for path in self._paths:
            _, size = read_lines(path)
            if path.exists() and path.stat().st_size > size:
                os.truncate(path, size)

    def append(self, *entries: dict[str, Any]) -> list[Line]:
        """Append entries, and return their lines when they are on disk."""
        mine = _Entries(entries)
        with uninterrupted():
            self._waiting.append(mine)
            with self._writing:
                if not mine.is_done:
                    self._flush()
        if mine.error is not None:
            raise mine.error
        return mine.lines

    def _flush(self) -> None:
        """Write all that waits."""
        groups = []
        while self._waiting:
            groups.append(self._waiting.popleft())
        raws: list[bytes] = []
        numbers = count(len(self.lines))
        before = self.lines[-1].sha256 if self.lines else self._store
        for group in groups:
            for entry, number in zip(group.entries, numbers, strict=False):
                raws.append(_make_raw(entry, number, before))
                group.lines.append(parse(raws[-1], number))
                before = group.lines[-1].sha256
        try:
            self.write_raw(raws)
        except BaseException as error:
            for group in groups:
                group.error = error
        else:
            self.lines += [line for group in groups for line in group.lines]

    def write_raw(self, raws: Iterable[bytes], paths: Iterable[Path] = ()) -> None:
        """Append lines to all files, or to some, as a whole or not at all."""
        self._folder.check()
        data = b"".join(raw + b"\n" for raw in raws)
        sizes: dict[Path, int] = {}
        try:
            for path in paths or self._paths:
                sizes[path] = path.stat().st_size if path.exists() else 0
                self._write(path, data)
        except BaseException:
            self._take_back(sizes)
            raise

    def _write(self, path: Path, data: bytes) -> None:
        is_new = not path.exists()
        flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY
        descriptor = os.open(path, flags, 0o600)
        try:
            write_all(descriptor, data)
            self._folder.flush(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            Folder(path.parent).sync()

    def _take_back(self, sizes: dict[Path, int]) -> None:
        """Cut files back to their sizes before a write that has failed."""
        for path, size in sizes.items():
            try:
                if path.exists():
                    os.truncate(path, size)
            except OSError as error:
                self._folder.fault = f"{path}: {error}"


def _make_raw(entry: dict[str, Any], number: int, before: str) -> bytes:
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = {"n": number, "prev": before, "at": at, **entry}
    text = json.dumps(line, separators=(",", ":"))[:-1]
    return f'{text},"check":"{_check(text.encode())}"}}'.encode()


def begin_first(store: str) -> bytes:
    """Return how the ledger of a store begins."""
    return f'{{"n":0,"prev":"{store}"'.encode()


def _check(text: bytes) -> str:
    """Return a checksum of a line, which finds damage also in the last one."""
    return hashlib.sha256(text).hexdigest()[:16]


def shorten(positions: np.ndarray) -> list[Any]:
    """Return ascending positions as integers, and as pairs for runs of them."""
    if not len(positions):
        return []
    cuts = np.flatnonzero(np.diff(positions) != 1) + 1
    runs = np.split(positions, cuts)
    return [int(r[0]) if len(r) == 1 else [int(r[0]), int(r[-1])] for r in runs]


def expand(shortened: Iterable[Any]) -> np.ndarray:
    """Return the positions that were shortened."""
    return np.array(list(_iterate(shortened)), dtype=np.int64)


def _iterate(shortened: Iterable[Any]) -> Iterator[int]:
    for each in shortened:
        if isinstance(each, list):
            yield from range(each[0], each[1] + 1)
        else:
            yield each

"""A folder whose files are written as a whole or not at all, and are on disk then.

After an ``fsync`` that has failed nobody knows what is on disk, and to try again proves
nothing: the folder then refuses all further writing, until the store is opened again.
"""

import os
import re
import secrets
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Condition
from typing import TypeVar
from weakref import WeakSet

from skunlearn.exceptions import SkunlearnError

__all__ = ["TEMPORARY", "Folder", "WriteLock", "do_all", "write_all"]

TEMPORARY = ".new-"
_N_THREADS = 8

_Result = TypeVar("_Result")


class Folder:
    """A folder of durable files.

    Parameters
    ----------
    path : Path
        The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fault: str | None = None

    def check(self) -> None:
        """Raise SkunlearnError if an earlier write has failed to reach the disk."""
        if self.fault is not None:
            raise SkunlearnError(
                f"the store at {self.path} takes no changes since a write has failed "
                f"({self.fault}): what is on disk is not known. Find the cause, and "
                "open the store again; acknowledged requests are then finished."
            )

    def write(self, name: str, data: bytes) -> None:
        """Write a file under another name, and rename it when it is on disk.

        The new name is durable after `sync`.
        """
        temporary = self.path / f"{TEMPORARY}{name}-{secrets.token_hex(8)}"
        try:
            descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            try:
                write_all(descriptor, data)
                self.flush(descriptor)
            finally:
                os.close(descriptor)
            os.replace(temporary, self.path / name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def flush(self, descriptor: int) -> None:
        """Wait until an open file is on disk."""
        try:
            os.fsync(descriptor)
        except OSError as error:
            self.fault = f"fsync: {error}"
            raise

    def sync(self) -> None:
        """Wait until the names of files are on disk."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            self.flush(descriptor)
        finally:
            os.close(descriptor)

    def find_temporary(self, name: str) -> list[str]:
        """Return files that a process has left which died while it wrote a file."""
        pattern = re.compile(rf"{re.escape(f'{TEMPORARY}{name}-')}[0-9a-f]{{16}}")
        return [each for each in os.listdir(self.path) if pattern.fullmatch(each)]

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, as far as there are any."""
        do_all([partial(_remove, self.path / name) for name in names])


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def do_all(tasks: Sequence[Callable[[], _Result]]) -> list[_Result]:
    """Return what some functions return that wait for the disk, several at a time."""
    if len(tasks) < 2:
        return [task() for task in tasks]
    gate = _Gate()
    with ThreadPoolExecutor(min(_N_THREADS, len(tasks))) as pool:
        try:
            return list(pool.map(gate.call, tasks))
        finally:
            gate.close()


class _Gate:
    """Lets no task begin or go on when it is closed.

    A pool that is interrupted while it starts a thread does not wait for this one.
    """

    def __init__(self) -> None:
        self._change = Condition()
        self._n_running = 0
        self._is_open = True

    def call(self, task: Callable[[], _Result]) -> _Result:
        """Return what a task returns."""
        with self._change:
            if not self._is_open:
                raise CancelledError
            self._n_running += 1
        try:
            return task()
        finally:
            with self._change:
                self._n_running -= 1
                self._change.notify_all()

    def close(self) -> None:
        """Let no more tasks begin, and wait for those that have begun."""
        with self._change:
            self._is_open = False
            self._change.wait_for(lambda: not self._n_running)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes; a disk that becomes full takes only some at first."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


class WriteLock:
    """The lock of the one process that may change a store.

    It ends when it is released or collected, and with the process. A forked child does
    not have it.

    Parameters
    ----------
    descriptor : int
        The open and locked file.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rescue = weakref.finalize(self, os.close, descriptor)
        _locks.add(self)

    @classmethod
    def take(cls, path: Path) -> "WriteLock | None":
        """Return the lock, or None if another process or session has it."""
        try:
            import fcntl
        except ImportError as error:
            raise SkunlearnError(
                "durable stores need file locks (flock), which this system lacks. Use "
                "Linux or macOS, or checkpoint_store=None."
            ) from error
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                return None
            raise
        return cls(descriptor)

    @property
    def is_held(self) -> bool:
        """Whether this process has it."""
        return bool(self._rescue.alive)

    def guards(self, path: Path) -> bool:
        """Whether this process has it, and a file is still the one that is locked."""
        try:
            return self.is_held and os.path.samestat(
                os.fstat(self._descriptor), os.stat(path)
            )
        except FileNotFoundError:
            return False

    def read(self) -> str:
        """Return what is in the file."""
        return os.pread(self._descriptor, 64, 0).decode("ascii", "replace")

    def write(self, text: str) -> None:
        """Write to the file."""
        os.pwrite(self._descriptor, text.encode(), 0)

    def release(self) -> None:
        """Let the next one have it."""
        self._rescue()


_locks: WeakSet[WriteLock] = WeakSet()


def _begin_child() -> None:
    """Close the files of a forked child, whose parent has the locks."""
    for lock in _locks:
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_child)

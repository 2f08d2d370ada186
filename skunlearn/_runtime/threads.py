"""One thread for numerical libraries: results must not depend on how many they have."""

import os
import sys
import threading
import weakref
from types import TracebackType
from typing import Any

from threadpoolctl import ThreadpoolController

from skunlearn._runtime.interrupts import uninterrupted

__all__ = ["single_threaded"]


class single_threaded:
    """Context in which BLAS and OpenMP use one thread in this process.

    The limit is a property of the process, so nested and concurrent uses share it: the
    first to enter sets it and the last to leave restores what was before. (Limiting
    inside each job of a thread pool instead would race, and leave the limit behind.)
    One that could not leave, since its exit was interrupted at its first instruction,
    leaves when it is collected.
    """

    def __init__(self) -> None:
        self._use = object()
        self._rescue = weakref.finalize(self, _limit.leave, self._use)
        self._rescue.atexit = False

    def __enter__(self) -> None:
        try:
            with uninterrupted():
                _limit.enter(self._use)
        except BaseException:  # a signal's, held back until the limit was set
            self._leave()
            raise

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with uninterrupted():
            self._leave()

    def _leave(self) -> None:
        _limit.leave(self._use)
        self._rescue.detach()


class _Limit:
    """The limit of the process, and who uses it in which thread."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # a collection may leave in the middle of enter
        self.users: dict[object, int] = {}
        self._limit: Any = None
        self._controller: ThreadpoolController | None = None
        self._n_modules = -1

    def enter(self, use: object) -> None:
        """Count one use more, and set the limit for the first."""
        with self.lock:
            self.users[use] = threading.get_ident()
            if self._limit is None:
                self._limit = self._find_libraries().limit(limits=1)

    def leave(self, use: object) -> None:
        """Restore what was before after the last use; to leave twice does no harm."""
        with self.lock:
            was_used = self.users.pop(use, None) is not None
            if was_used and not self.users:
                self._limit.restore_original_limits()
                self._limit = None

    def keep_own(self) -> None:
        """Drop the uses of threads that a forked child has not inherited."""
        self.lock, own = threading.RLock(), threading.get_ident()
        self.users = {use: each for use, each in self.users.items() if each == own}

    def _find_libraries(self) -> ThreadpoolController:
        """Search for libraries (3 ms), again only when modules were imported since."""
        if self._controller is None or self._n_modules != len(sys.modules):
            self._controller = ThreadpoolController()
            self._n_modules = len(sys.modules)
        return self._controller


_limit = _Limit()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_limit.keep_own)

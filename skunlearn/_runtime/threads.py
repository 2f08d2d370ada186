"""One thread for numerical libraries, and one at a time for changes.

Results must not depend on how many threads BLAS and OpenMP have.
"""

import sys
import threading
from types import TracebackType

# A dependency of scikit-learn's own, of the same maintainers.
from threadpoolctl import ThreadpoolController

from skunlearn._runtime.interrupts import uninterrupted

__all__ = ["Turnstile", "single_threaded"]


class Turnstile:
    """A lock that lets one thread change an object at a time; copies get their own.

    It is used as ``with turnstile.lock``: an ``__exit__`` of our own could be
    interrupted before it lets the next thread pass.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """Make a new one of a pickle or a copy: nobody is waiting there."""
        return Turnstile, ()


class _SingleThreaded:
    """Context in which BLAS and OpenMP use one thread in this process.

    The limit is a property of the process, so nested and concurrent uses share it: the
    first to enter sets it and the last to leave restores what was before. (Limiting
    inside each job of a thread pool instead would race, and leave the limit behind.)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._controller: ThreadpoolController | None = None
        self._n_modules = -1

    def __enter__(self) -> None:
        entered = False
        try:
            with uninterrupted():
                self._enter()
                entered = True
        except BaseException:  # Ctrl-C, held back until the limit was set
            if entered:
                self._leave()
            raise

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        left = False
        try:
            with uninterrupted():
                self._leave()
                left = True
        except BaseException:  # Ctrl-C, before it could be held back or after
            if not left:
                self._leave()
            raise

    def _enter(self) -> None:
        with self._lock:
            if self._depth == 0:
                self._limit = self._find_libraries().limit(limits=1)
            self._depth += 1

    def _leave(self) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                self._limit.restore_original_limits()

    def _find_libraries(self) -> ThreadpoolController:
        """Search for libraries (3 ms), again only when modules were imported since."""
        if self._controller is None or self._n_modules != len(sys.modules):
            self._controller = ThreadpoolController()
            self._n_modules = len(sys.modules)
        return self._controller


single_threaded = _SingleThreaded()

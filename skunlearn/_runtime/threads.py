"""One thread for numerical libraries, one at a time for changes, and no signal between.

Results must not depend on how many threads BLAS and OpenMP have. Locks survive copies
and forks: each copy and each forked child has its own.
"""

import importlib
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, TypeVar
from weakref import WeakSet

from threadpoolctl import ThreadpoolController

__all__ = [
    "CopyableLock",
    "commit_gate",
    "hold_all",
    "limit_own_thread",
    "single_threaded",
    "uninterrupted",
]

_SIGNALS = tuple(sorted(signal.valid_signals()))
# What is behind the functions of `signal`, without their search for enum members:
# three changes of state must not cost a tenth of a millisecond.
_c = importlib.import_module("_signal")

_Result = TypeVar("_Result")


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back the Python handlers of signals, and run them after the block.

    They may raise, as that of Ctrl-C and those of time-outs do. Only the main thread
    runs handlers; in others there is nothing to do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[tuple[Any, ...]] = []
    diverted: list[tuple[int, Any]] = []
    try:
        for number, handler in zip(_SIGNALS, map(_c.getsignal, _SIGNALS), strict=True):
            if callable(handler):
                diverted.append((number, handler))  # first: it may be interrupted here
                _c.signal(number, lambda *arguments: held.append(arguments))
        handlers = dict(diverted)
        yield
    finally:
        try:
            _restore(diverted)
        except BaseException:  # raised by a handler that is back
            _restore(diverted)
            raise
    if held:
        with ExitStack() as stack:  # runs all of them, whatever the first ones raise
            for number, frame in reversed(held):
                stack.callback(handlers[number], number, frame)


def _restore(diverted: list[tuple[int, Any]]) -> None:
    """Give handlers back, whatever those raise that are back already."""
    raised = None
    while diverted:
        try:
            _c.signal(*diverted[-1])
            diverted.pop()
        except BaseException as error:
            raised = error
    if raised is not None:
        raise raised


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
        self._changed: list[tuple[Any, int]] = []  # libraries, with their own limits
        self._controller: ThreadpoolController | None = None
        self._n_modules = -1

    def enter(self, use: object) -> None:
        """Count one use more, and set the limit for the first."""
        with self.lock:
            self.users[use] = threading.get_ident()
            if len(self.users) == 1:
                for library in self._find_libraries().lib_controllers:
                    self._limit(library)

    def _limit(self, library: Any) -> None:
        """Limit a library, at a fifth of what it takes threadpoolctl to ask for all."""
        n_threads = library.num_threads
        if n_threads is not None and n_threads != 1:
            self._changed.append((library, n_threads))
            library.set_num_threads(1)

    def leave(self, use: object) -> None:
        """Restore what was before after the last use; to leave twice does no harm."""
        with self.lock:
            was_used = self.users.pop(use, None) is not None
            if was_used and not self.users:
                while self._changed:
                    library, n_threads = self._changed.pop()
                    library.set_num_threads(n_threads)

    def limit_own(self) -> None:
        """Set the limit where it is a property of the thread."""
        with self.lock:
            for library in self._find_libraries().lib_controllers:
                if library.user_api == "openmp":
                    library.set_num_threads(1)

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


def limit_own_thread() -> None:
    """Let OpenMP use one thread from this one, a worker in a `single_threaded` block.

    OpenMP keeps the number for each thread that starts it, and the block has set that
    of its own. The worker ends with the block: there is nothing to restore.
    """
    _limit.limit_own()


class CopyableLock:
    """A lock for one thread at a time; a copy, a pickle and a fork get their own.

    It is used as ``with lock.take(...)``, which is a lock of Python's own: its exit
    cannot be interrupted before it lets the next thread pass.
    """

    def __init__(self) -> None:
        self._lock: Any = threading.RLock()
        _locks.add(self)

    def take(self, purpose: str) -> Any:
        """Return the lock to enter.

        Raises
        ------
        RuntimeError
            If this thread holds it already, which would wait for itself.
        """
        if self._lock._is_owned():
            raise RuntimeError(
                f"{purpose} was called while this thread is still changing the same "
                "classifier: from a base estimator's fit, a callback or the handler of "
                "a signal. Call it after the change has ended."
            )
        return self._lock

    @property
    def is_taken(self) -> bool:
        """Whether a thread, this one or another, holds the lock."""
        if self._lock._is_owned():
            return True
        is_free = self._lock.acquire(blocking=False)
        if is_free:
            self._lock.release()
        return not is_free

    def renew(self) -> None:
        """Make a new lock: the thread that holds the old one is in another process."""
        self._lock = threading.RLock()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        """Make a new lock of a pickle or a copy, which no thread holds."""
        return CopyableLock, ()


_locks: WeakSet[CopyableLock] = WeakSet()
# States are swapped and rows overwritten under it, in no time. There is one, so that
# several classifiers can change together; and a fork waits for it: a child must not
# inherit rows that are half overwritten.
commit_gate: Any = threading.RLock()


def hold_all(
    locks: Sequence[CopyableLock], purpose: str, action: Callable[[], _Result]
) -> _Result:
    """Return what an action does while this thread holds some locks.

    They are taken in one order by all threads, so that two never wait for each other.
    """
    ordered = sorted(set(locks), key=id)

    def hold(i: int) -> _Result:
        if i == len(ordered):
            return action()
        with ordered[i].take(purpose):
            return hold(i + 1)

    return hold(0)


def _begin_child() -> None:
    """Renew what threads that a forked child has not inherited may have held."""
    commit_gate.release()  # acquired before the fork, by this thread
    _limit.keep_own()
    for lock in _locks:
        lock.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=commit_gate.acquire,
        after_in_parent=commit_gate.release,
        after_in_child=_begin_child,
    )

"""Who may change a classifier, and when: locks that survive copies and forks."""

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from weakref import WeakSet

__all__ = ["CopyableLock", "commit_gate", "hold_all"]

_Result = TypeVar("_Result")


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


def _renew_all() -> None:
    commit_gate.release()  # acquired before the fork, by this thread
    for lock in _locks:
        lock.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=commit_gate.acquire,
        after_in_parent=commit_gate.release,
        after_in_child=_renew_all,
    )

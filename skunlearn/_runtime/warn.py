"""Warn at the user's line, every time, and from workers too."""

import os
import pickle
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import NamedTuple

from skunlearn.exceptions import UnlearningQualityWarning

__all__ = [
    "CaughtWarning",
    "catch_if_alone",
    "catch_in_worker",
    "warn",
    "warn_again",
]

# What stands between the user's line and ours, and what starts a worker without one.
_WRAPPERS = {"imblearn", "joblib", "skunlearn", "sklearn"}
_WORKERS = {"concurrent", "multiprocessing", "threading"}


def warn(message: str, category: type[Warning] = UnlearningQualityWarning) -> None:
    """Warn at the line of the user's that led here.

    By default Python shows a text once per line. These are shown each time, since each
    request has its own answer; filters of the user's win, as for any warning.
    """
    frame = _find_caller()
    warnings.warn_explicit(
        message,
        category,
        filename=frame.f_code.co_filename,
        lineno=frame.f_lineno,
        module=frame.f_globals.get("__name__", "<string>"),
    )  # without a registry, nothing remembers that it was shown


def _find_caller() -> FrameType:
    """Return the user's frame or, in a worker, that of what called the package."""
    frames = [f for f in _iterate_frames() if _get_library(f) != "skunlearn"]
    outside = (f for f in frames if _get_library(f) not in _WRAPPERS)
    caller = next(outside, frames[0])
    return frames[0] if _get_library(caller) in _WORKERS else caller


def _iterate_frames() -> Iterator[FrameType]:
    """Yield the frames of this thread, from the inside out."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        yield frame
        frame = frame.f_back


def _get_library(frame: FrameType) -> str:
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0]


class CaughtWarning(NamedTuple):
    """A warning of a worker, on its way to the process that waits for it."""

    message: Warning
    filename: str
    lineno: int
    module: str


def catch_in_worker(
    parent: int,
) -> AbstractContextManager[list[CaughtWarning]]:
    """Collect the warnings of a block, if it runs in another process than `parent`.

    A warning that a worker process shows by itself reaches no filter, no log and no
    test of the parent's, and is shown once by each of them. Those of threads are the
    parent's already.
    """
    is_main = threading.current_thread() is threading.main_thread()
    return catch_if_alone(os.getpid() != parent and is_main)


@contextmanager
def catch_if_alone(is_alone: bool) -> Iterator[list[CaughtWarning]]:
    """Collect the warnings of a block, if no other thread of the process warns."""
    caught: list[CaughtWarning] = []
    if not is_alone:
        yield caught
        return
    log: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as log:
            yield caught
    except BaseException:  # nothing is returned that could take them along
        for warning in log:
            name, line = warning.filename, warning.lineno
            warnings.showwarning(warning.message, warning.category, name, line)
        raise
    caught.extend(map(_pack, log))


def _pack(warning: warnings.WarningMessage) -> CaughtWarning:
    message = warning.message
    try:
        message = pickle.loads(pickle.dumps(message))
    except Exception:  # a constructor of its own, or a class of nowhere
        message = UserWarning(f"{warning.category.__name__}: {message}")
    assert isinstance(message, Warning)
    module = _find_module(warning.filename)
    return CaughtWarning(message, warning.filename, warning.lineno, module)


def _find_module(filename: str) -> str:
    """Return the name of the module in a file, by which filters may know it."""
    for name, module in list(sys.modules.items()):
        if getattr(module, "__dict__", {}).get("__file__") == filename:
            return name
    return filename


def warn_again(caught: Iterable[CaughtWarning]) -> None:
    """Warn of what workers have met, as if it had been met here."""
    for message, filename, lineno, module in caught:
        if isinstance(message, UnlearningQualityWarning):
            warn(str(message), type(message))
            continue
        names = getattr(sys.modules.get(module), "__dict__", {})
        registry = names.setdefault("__warningregistry__", {})
        warnings.warn_explicit(
            message, type(message), filename, lineno, module, registry
        )

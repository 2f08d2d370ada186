"""Keep the handlers of signals out of the few lines that make a change effective."""

import importlib
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

__all__ = ["uninterrupted"]

_SIGNALS = tuple(sorted(signal.valid_signals()))
# What is behind the functions of `signal`, without their search for enum members:
# three changes of state must not cost a tenth of a millisecond.
_c = importlib.import_module("_signal")

_Handlers = list[tuple[int, Any]]


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
    diverted: _Handlers = []
    try:
        for number in _SIGNALS:
            if callable(handler := _c.getsignal(number)):
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


def _restore(diverted: _Handlers) -> None:
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

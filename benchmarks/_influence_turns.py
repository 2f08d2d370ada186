"""Alternatives of different prices, taking turns in one run.

What a call needs is prepared outside its time; a dear one has fewer turns.
"""

import copy
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
from _timing import format_seconds, time_call

__all__ = ["Arm", "copy_with", "forget_arm", "take_turns", "time_ratio"]

_DEAR = 1.0  # seconds from which a call is timed once


@dataclass
class Arm:
    """An alternative: what it took in each turn, the model it left, and which way.

    Parameters
    ----------
    prepare : callable
        Returns the call to be timed, which returns a fitted model.
    clock : callable
        Returns seconds.
    """

    prepare: Callable[[], Callable[[], Any]]
    clock: Callable[[], float] = time.perf_counter
    seconds: list[float] = field(default_factory=list)
    model: Any = None
    path: str = ""

    @property
    def median(self) -> float:
        """Return the median seconds, of all turns but the first if there are more."""
        return median(self.timed)

    @property
    def timed(self) -> list[float]:
        """Return the seconds of all turns but the first, which warms up."""
        return self.seconds[1:] or self.seconds

    def run(self) -> None:
        """Take a turn, unless the first one was so long that it says enough."""
        if self.seconds and self.seconds[0] > _DEAR:
            return
        call = self.prepare()
        results: list[Any] = []
        self.seconds.append(time_call(lambda: results.append(call()), self.clock))
        self._keep(*results)

    def _keep(self, result: Any) -> None:
        """Keep the fitted model, and not the rows that a classifier has of its own."""
        self.model = getattr(result, "estimator_", result)
        if hasattr(result, "forget_records_"):
            self.path = result.forget_records_[-1].path

    def __str__(self) -> str:
        return format_seconds(self.median)


def take_turns(arms: dict[str, Arm], repeats: int) -> None:
    """Let all arms run in turn, after one turn that warms up."""
    gc.collect()
    for _ in range(repeats + 1):
        for arm in arms.values():
            arm.run()


def time_ratio(other: Arm, ours: Arm) -> float:
    """Return how many times as long the other took: the median over neighbours."""
    if len(other.timed) != len(ours.timed):
        return other.median / ours.median
    return median(a / b for a, b in zip(other.timed, ours.timed, strict=True))


def copy_with(classifier: Any, **settings: Any) -> Any:
    """Copy a fitted classifier, to forget in other ways than it was fitted for."""
    return copy.deepcopy(classifier).set_params(**settings)


def forget_arm(classifier: Any, rows: np.ndarray, **settings: Any) -> Arm:
    """Make the arm that forgets rows in a fresh copy of a fitted classifier."""

    def prepare() -> Callable[[], Any]:
        one = copy_with(classifier, **settings)
        return lambda: one.forget(rows)

    return Arm(prepare)

"""Time alternatives side by side, and lay out what came out as rows of one table.

Machines are shared, and what is measured a minute later is measured on another one. So
alternatives take turns, and a ratio is the median of the ratios of neighbours.
"""

import os
import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from statistics import median
from typing import Any

__all__ = [
    "Comparison",
    "Row",
    "Scale",
    "compare",
    "describe_machine",
    "format_header",
    "format_seconds",
    "time_call",
]

_COLUMNS = "  {:<46}  {:<21}  {:<26}  {:>11}  {:<9}  {}"


@dataclass(frozen=True)
class Scale:
    """How much work a run may do.

    Parameters
    ----------
    quick : bool
        Whether the run is only to show that everything works.
    """

    quick: bool

    def size(self, n: int) -> int:
        """Return a number of rows: `n`, or a tenth of it."""
        return n // 10 if self.quick else n

    def repeats(self, n: int) -> int:
        """Return a number of repetitions: `n`, or at most 2."""
        return min(n, 2) if self.quick else n


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Parameters
    ----------
    case : str
        What was measured.
    ours, other : str
        What skunlearn takes or reaches, and what the alternative does.
    value : float
        The number that counts.
    unit : str
        Its unit; "x" for a ratio.
    at_most, at_least : float or None
        The target, if there is one.
    """

    case: str
    ours: str
    other: str
    value: float
    unit: str = "x"
    at_most: float | None = None
    at_least: float | None = None

    @property
    def target(self) -> str:
        """Return the target in words, or nothing."""
        if self.at_most is not None and self.at_least is not None:
            return f"{self.at_least:g}-{self.at_most:g}"
        if self.at_most is not None:
            return f"<= {self.at_most:g}"
        return "" if self.at_least is None else f">= {self.at_least:g}"

    @property
    def is_missed(self) -> bool:
        """Tell whether there is a target that is not met."""
        too_high = self.at_most is not None and self.value > self.at_most
        too_low = self.at_least is not None and self.value < self.at_least
        return too_high or too_low

    def __str__(self) -> str:
        value = f"{self.value:.3g} {self.unit}"
        verdict = "MISSED" if self.is_missed else "met" if self.target else ""
        cells = (self.case, self.ours, self.other, value, self.target, verdict)
        return _COLUMNS.format(*cells).rstrip()


@dataclass(frozen=True)
class Comparison:
    """Seconds that two alternatives took, turn by turn."""

    ours: tuple[float, ...]
    other: tuple[float, ...]

    @classmethod
    def of_turns(cls, turns: Iterable[tuple[float, float]]) -> "Comparison":
        """Compare all turns but the first, which warms up."""
        _, *timed = turns
        return cls(*zip(*timed, strict=True))

    @property
    def medians(self) -> tuple[float, float]:
        """Return the median seconds of both."""
        return median(self.ours), median(self.other)

    @property
    def ratio(self) -> float:
        """Return how many times as long ours took."""
        return median(a / b for a, b in zip(self.ours, self.other, strict=True))

    @property
    def excess(self) -> float:
        """Return how many seconds longer ours took."""
        return median(a - b for a, b in zip(self.ours, self.other, strict=True))


def time_call(
    call: Callable[[], Any], clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the seconds that a call takes."""
    start = clock()
    call()
    return clock() - start


def compare(
    ours: Callable[[], Any], other: Callable[[], Any], repeats: int
) -> Comparison:
    """Time two calls in turn."""
    turns = ((time_call(ours), time_call(other)) for _ in range(repeats + 1))
    return Comparison.of_turns(turns)


def format_seconds(seconds: float) -> str:
    """Return a duration in the unit that suits it."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} us"
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def format_header() -> str:
    """Return the names of the columns."""
    names = ("", "skunlearn", "alternative", "result", "target", "")
    return _COLUMNS.format(*names).rstrip()


def describe_machine() -> str:
    """Return the versions and the size of the machine."""
    names = ("scikit-learn", "numpy", "scipy", "joblib")
    libraries = ", ".join(f"{name} {version(name)}" for name in names)
    return (
        f"Python {platform.python_version()}, {libraries};\n{os.cpu_count()} shared "
        f"{platform.machine()} cores, BLAS and OpenMP at one thread."
    )

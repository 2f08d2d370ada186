"""The measured time of forgetting, as a function of the number of rows in a shard."""

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.isotonic import isotonic_regression
from sklearn.utils import check_random_state, shuffle

from skunlearn._runtime.threads import single_threaded
from skunlearn.sharding import ShardedUnlearningClassifier

__all__ = ["CostCurve", "measure_curve"]

_N_SIZES = 6
_SPAN = 60  # the largest sample has so many times the rows of the smallest
_SMALLEST = 50
_STEEPEST = 3.0
_LONG_TURN = 0.1  # seconds
_MOST_IN_TURN = 5


@dataclass(frozen=True)
class CostCurve:
    """Seconds to train a shard again, at a few sizes.

    Parameters
    ----------
    sizes : tuple of float
        Rows in the shard, ascending.
    seconds : tuple of float
        What training took.
    """

    sizes: tuple[float, ...]
    seconds: tuple[float, ...]

    def predict(self, n_rows: Any) -> np.ndarray:
        """Return the seconds for other numbers of rows.

        Between the sizes the curve is a power of the rows, and goes on at its ends as
        it is there. More rows never take less time.
        """
        x = np.log(self.sizes)
        y = isotonic_regression(np.log(self.seconds))
        at = np.log(np.maximum(n_rows, 1.0))
        if len(x) == 1:
            return np.exp(y[0] + at - x[0])
        slopes = np.clip(np.diff(y) / np.diff(x), 0, _STEEPEST)
        below = slopes[0] * np.minimum(at - x[0], 0)
        above = slopes[-1] * np.maximum(at - x[-1], 0)
        return np.exp(np.interp(at, x, y) + below + above)


def measure_curve(
    classifier: ShardedUnlearningClassifier,
    X: Any,
    y: Any,
    *,
    n_repeats: int,
    random_state: Any,
    last_size: float | None = None,
) -> CostCurve:
    """Measure what training a shard again takes, at a few sizes.

    A classifier of a single shard forgets its first row, so that all that a forget does
    is in the measurement. The sizes take turns.

    Parameters
    ----------
    classifier : ShardedUnlearningClassifier
        An unfitted classifier with one shard.
    X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
        Rows such as those to come. More of them give a better curve.
    y : array-like of shape (n_samples,)
        Their labels.
    n_repeats : int
        Turns of each size; the median counts.
    random_state : int, RandomState instance or None
        Determines which rows are used.
    last_size : float or None
        If given, the rows that are forgotten are of the last slice, which has this
        share of the rows.

    Returns
    -------
    CostCurve
        The curve.

    Raises
    ------
    ValueError
        If there are too few rows.
    """
    n = len(y)
    if n < _SMALLEST:
        raise ValueError(
            f"X must have at least {_SMALLEST} rows to measure the cost of training; "
            f"got {n}."
        )
    seed = check_random_state(random_state).randint(2**31)
    share = 1.0 if last_size is None else last_size
    needed = int(np.ceil(2 * _MOST_IN_TURN * (n_repeats + 1) / share))
    smallest = max(_SMALLEST, n // _SPAN, 0 if last_size is None else min(n, needed))
    sizes = np.unique(np.geomspace(smallest, n, _N_SIZES).round().astype(int))
    probes = [
        _Probe(
            clone(classifier).fit(*shuffle(X, y, n_samples=size, random_state=seed)),
            is_late=last_size is not None,
        )
        for size in sizes
    ]
    available = int(smallest * share) // (2 * _MOST_IN_TURN)  # each takes rows away
    n_turns = max(min(n_repeats, available), 1)
    with single_threaded():
        for probe in probes:
            probe.time_forget()  # warms up
        for _ in range(n_turns):  # so that a busy moment does not fall on one size
            for probe in probes:
                probe.take_turn()
    points = [np.median(probe.points, axis=0).tolist() for probe in probes]
    return CostCurve(*map(tuple, zip(*points, strict=True)))


@dataclass
class _Probe:
    """A classifier of one shard that forgets row after row, and what that took.

    Parameters
    ----------
    classifier : ShardedUnlearningClassifier
        The fitted classifier.
    is_late : bool
        Whether the rows are of the last slice.
    points : list of (int, float)
        Rows that were trained on and the seconds that it took.
    """

    classifier: ShardedUnlearningClassifier
    is_late: bool = False
    points: list[tuple[int, float]] = field(default_factory=list)

    def take_turn(self) -> None:
        """Forget a row, or a few if that takes little time."""
        spent = 0.0
        for _ in range(_MOST_IN_TURN):
            self.points.append(self.time_forget())
            spent += self.points[-1][1]
            if spent > _LONG_TURN:
                break

    def time_forget(self) -> tuple[int, float]:
        """Forget the row that the shard, or its last slice, is trained on first."""
        state = self.classifier._state
        slots, bounds = state.shards[0].slots, state.shards[0].bounds
        place = min(bounds[-2], len(slots) - 1) if self.is_late else 0
        first = np.flatnonzero(state.rows.slot_of == slots[place])
        start = time.perf_counter()
        self.classifier.forget(first)
        return len(slots) - 1, time.perf_counter() - start

"""The measured time of forgetting, as a function of the number of rows in a shard."""

import time
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from sklearn.isotonic import isotonic_regression
from sklearn.utils import check_random_state, shuffle

from skunlearn._threads import single_threaded
from skunlearn.sharding import ShardedUnlearningClassifier

__all__ = ["CostCurve", "measure_curve"]

_N_SIZES = 6
_SPAN = 60  # the largest sample has so many times the rows of the smallest
_SMALLEST = 50
_STEEPEST = 3.0
_ENOUGH = 0.2  # seconds of measurements at one size
_MOST_REPEATS = 15


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
) -> CostCurve:
    """Measure what training a shard from its first slice takes, at a few sizes.

    A classifier of a single shard forgets its first row, so that all that a forget does
    is in the measurement. What takes little time is measured more often.

    Parameters
    ----------
    classifier : ShardedUnlearningClassifier
        An unfitted classifier with one shard.
    X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
        Rows such as those to come. More of them give a better curve.
    y : array-like of shape (n_samples,)
        Their labels.
    n_repeats : int
        Rows to forget at each size, at least; the median counts.
    random_state : int, RandomState instance or None
        Determines which rows are used.

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
    smallest = max(_SMALLEST, n // _SPAN)
    sizes = np.unique(np.geomspace(smallest, n, _N_SIZES).round().astype(int))
    n_repeats = min(n_repeats, smallest // 3)  # each forgets a row
    left, seconds = [], []
    with single_threaded:
        for size in sizes:
            classifier.fit(*shuffle(X, y, n_samples=size, random_state=seed))
            _time_forget(classifier)  # warms up
            times: list[float] = []
            while len(times) < n_repeats or (
                sum(times) < _ENOUGH and len(times) < _MOST_REPEATS
            ):
                times.append(_time_forget(classifier))
            seconds.append(median(times))
            left.append(size - 1 - (len(times) + 1) / 2)  # rows, at half of the times
    return CostCurve(tuple(left), tuple(seconds))


def _time_forget(classifier: ShardedUnlearningClassifier) -> float:
    """Return the seconds to forget the row that the shard is trained on first."""
    state = classifier._state
    first = np.flatnonzero(state.rows.slot_of == state.shards[0].slots[0])
    start = time.perf_counter()
    classifier.forget(first)
    return time.perf_counter() - start

"""The measured time of forgetting, as a function of the number of rows in a shard."""

import time
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.isotonic import isotonic_regression
from sklearn.utils import check_random_state, shuffle

from skunlearn._runtime.threads import single_threaded
from skunlearn.sharding import ShardedUnlearningClassifier

__all__ = ["CostCurve", "measure_curve", "measure_overhead"]

_N_SIZES = 6
_SPAN = 60  # the largest sample has so many times the rows of the smallest
_SMALLEST = 50
_STEEPEST = 3.0
_LEAST_SHARE = 0.1  # of a request that trains one shard
_LONG_TURN = 0.1  # seconds
_MOST_IN_TURN = 5
_MANY_SHARDS = 4


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

    def less(self, seconds: float) -> "CostCurve":
        """Return the curve without what does not depend on the shard."""
        left = (max(one - seconds, _LEAST_SHARE * one) for one in self.seconds)
        return CostCurve(self.sizes, tuple(left))


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

    A classifier of a single shard, or of one for each class, forgets the first row of
    it, so that all that a forget does is in the measurement. The sizes take turns.

    Parameters
    ----------
    classifier : ShardedUnlearningClassifier
        An unfitted classifier with one shard, or one for each class.
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
    seed = check_random_state(random_state).randint(2**31)
    share = 1.0 if last_size is None else last_size
    needed = int(np.ceil(2 * _MOST_IN_TURN * (n_repeats + 1) / share))
    smallest = _find_smallest(classifier, y)
    if last_size is not None:
        smallest = max(smallest, min(n, needed))
    sizes = np.unique(np.geomspace(smallest, n, _N_SIZES).round().astype(int))
    probes = [
        _Probe(
            clone(classifier).fit(*shuffle(X, y, n_samples=size, random_state=seed)),
            is_late=last_size is not None,
        )
        for size in sizes
    ]
    _take_turns(probes, n_repeats, int(smallest * share))
    points = [np.median(probe.points, axis=0).tolist() for probe in probes]
    return CostCurve(*map(tuple, zip(*points, strict=True)))


def measure_overhead(
    classifier: ShardedUnlearningClassifier,
    X: Any,
    y: Any,
    *,
    n_repeats: int,
    random_state: Any,
) -> float:
    """Measure the seconds of a request that do not depend on how many shards it trains.

    With n replicas in n shards, a request trains n shards of all rows. The time for one
    shard and for several of them, at the smallest size, gives what is left for none.
    The arguments are those of `measure_curve`.
    """
    smallest = _find_smallest(classifier, y)
    seed = check_random_state(random_state).randint(2**31)
    rows = shuffle(X, y, n_samples=smallest, random_state=seed)
    numbers = 1, _MANY_SHARDS
    probes = [
        _Probe(clone(classifier).set_params(n_shards=n, n_replicas=n).fit(*rows))
        for n in numbers
    ]
    _take_turns(probes, n_repeats, smallest)
    one, many = (np.median(probe.points, axis=0)[1] for probe in probes)
    return max(float(_MANY_SHARDS * one - many) / (_MANY_SHARDS - 1), 0.0)


def _find_smallest(classifier: ShardedUnlearningClassifier, y: Any) -> int:
    """Return the smallest number of rows to measure."""
    n_units = len(np.unique(y)) if classifier.partition == "class" else 1
    fewest = _SMALLEST * n_units
    if len(y) < fewest:
        rows = f"{fewest} rows" + (f", {_SMALLEST} for each class," * (n_units > 1))
        raise ValueError(
            f"X must have at least {rows} to measure the cost of training; got "
            f"{len(y)}."
        )
    return max(fewest, len(y) // _SPAN)


def _take_turns(probes: list["_Probe"], n_repeats: int, n_rows: int) -> None:
    """Measure all probes in turn, so that a busy moment does not fall on one of them.

    Each request takes a row away of those that there are.
    """
    n_turns = max(min(n_repeats, n_rows // (2 * _MOST_IN_TURN)), 1)
    with single_threaded():
        for probe in probes:
            probe.time_forget()  # warms up
        for _ in range(n_turns):
            for probe in probes:
                probe.take_turn()


@dataclass
class _Probe:
    """A classifier that forgets rows of its large shards in turn, and what that took.

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

    def __post_init__(self) -> None:
        sizes = [len(shard.slots) for shard in self.classifier._state.shards]
        self.shards = cycle(np.flatnonzero(np.array(sizes) >= max(sizes) / 2))

    def take_turn(self) -> None:
        """Forget a row, or a few if that takes little time."""
        spent = 0.0
        for _ in range(_MOST_IN_TURN):
            self.points.append(self.time_forget())
            spent += self.points[-1][1]
            if spent > _LONG_TURN:
                break

    def time_forget(self) -> tuple[int, float]:
        """Forget the row that a shard, or its last slice, is trained on first."""
        state = self.classifier._state
        shard = state.shards[next(self.shards)]
        slots, bounds = shard.slots, shard.bounds
        place = min(bounds[-2], len(slots) - 1) if self.is_late else 0
        first = np.flatnonzero(state.rows.slot_of == slots[place])
        start = time.perf_counter()
        self.classifier.forget(first)
        return len(slots) - 1, time.perf_counter() - start

"""Recommend numbers of shards and slices that meet a budget."""

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import check_consistent_length

from skunlearn.costs._checks import check_choice, check_counts, check_shares
from skunlearn.costs._expected import expect_by_unit
from skunlearn.costs._settings import ShardRecommendation, ShardSettings
from skunlearn.costs._slicings import Slicing, StepTimes, find_slicings, measure_steps

__all__ = ["recommend_shards"]

_FEWEST_ROWS = 100  # in a shard, unless numbers of shards are given
_MOST_SHARDS = 1000
_LONG_TABLE = 8


def recommend_shards(
    n_samples: int,
    request_rate: float,
    max_cost: float,
    *,
    estimator: Any = None,
    X: Any = None,
    y: Any = None,
    batch: bool = True,
    n_shards: Any = None,
    n_slices: Any = 1,
    slice_sizes: Any = None,
    forget_proba: Any = None,
    n_replicas: int = 1,
    n_epochs: int = 1,
    slice_training: str = "cumulative",
    partition: str = "uniform",
    class_counts: Any = None,
    n_negatives: int | None = None,
    n_repeats: int = 3,
    random_state: Any = None,
) -> ShardRecommendation:
    """Recommend the fewest shards that keep the cost of forgetting within a budget.

    Fewer shards make constituents more accurate. Of all settings that meet the budget,
    those with the fewest shards are recommended, and among these the ones with the
    fewest slices.

    Without `estimator`, the cost is the number of rows passed to training. With
    `estimator` and a sample of rows, it is the training time in seconds, measured by
    training a single shard of several sizes. Use this for estimators whose training
    time is not proportional to the number of rows.

    Parameters
    ----------
    n_samples : int
        Number of rows to which the classifier will be fitted.
    request_rate : float
        Mean number of random rows to forget per period, such as a day.
    max_cost : float
        Maximum cost of forgetting per period: in seconds if `estimator` is given,
        otherwise in rows passed to training.
    estimator : classifier or one-class model, default=None
        The estimator to wrap. One-class models need ``partition="class"``.
    X : {array-like, sparse matrix, data frame}, default=None
        Sample of the rows; about 10 % of the rows is usually enough.
    y : array-like, default=None
        Labels of the sample.
    batch : bool, default=True
        Whether the requests of a period are processed in one batch instead of one by
        one.
    n_shards : int or sequence of int, default=None
        Candidate numbers of shards. If None, all up to 1,000 with at least 100 rows
        per shard.
    n_slices : int or sequence of int, default=1
        Candidate numbers of slices. Values above 1 are ignored if `estimator` cannot
        resume training.
    slice_sizes : sequence of float, or list of them, default=None
        Candidate sizes of slices instead of `n_slices`, such as ``(0.9, 0.1)``, or
        ``[(1.0,), (0.9, 0.1)]`` to compare them with no slices.
    forget_proba : array-like, default=None
        Relative probability of rows to be forgotten, of all rows or of a sample, as
        passed to `fit`: rows come in ascending order of it, and requests are in
        proportion. If None, requests are uniform.
    n_replicas : int, default=1
        Number of shards that each row joins.
    n_epochs : int, default=1
        Number of passes of ``partial_fit`` over each shard.
    slice_training : {"cumulative", "sequential"}, default="cumulative"
        Rows used for training at slice j: those of slices 1 to j ("cumulative"), or
        those of slice j only ("sequential").
    partition : {"uniform", "class"}, default="uniform"
        If "class", the rows of each class have `n_shards` shards of their own.
    class_counts : array-like of shape (n_classes,), default=None
        Number of rows per class, or their proportions, with ``partition="class"``. If
        None, those of `y`.
    n_negatives : int, default=None
        Number of other classes for which each row is a negative sample, with
        ``partition="class"``. If None, 1 if `estimator` is a classifier, otherwise 0.
    n_repeats : int, default=3
        Number of measurements per size, of which the median is used.
    random_state : int, RandomState instance or None, default=None
        Controls the choice of rows from the sample.

    Returns
    -------
    ShardRecommendation
        The recommended settings with their cost, and alternatives. If no settings meet
        the budget, the cheapest ones, with ``meets_budget=False``.

    Raises
    ------
    ValueError
        If a number is out of range, or only some of `estimator`, `X` and `y` are given.

    See Also
    --------
    expected_retrained_samples : Closed forms of the expected cost.
    skunlearn.metrics.retraining_cost_scorer : Cost of forgetting as a scorer for grid
        searches.

    Notes
    -----
    Seconds are those of one job under the machine's current load. What a request takes
    besides training, however many shards it trains, is measured too and counted once.
    Timings are extrapolated to shards larger than the sample. An estimator that trains
    differently on many rows, such as histogram gradient boosting above 10,000, needs a
    sample of that size.

    Examples
    --------
    >>> from skunlearn.costs import recommend_shards
    >>> print(recommend_shards(100_000, request_rate=10, max_cost=20_000))
    The fewest shards within 20,000 rows are 46.
      shards slices    rows again    share    seconds     to fit
          23      1        35,883   35.88%
    >     46      1        19,729   19.73%
          92      1        10,352   10.35%
         184      1         5,303    5.30%
    """
    check_counts(1, n_samples=n_samples, n_repeats=n_repeats, n_replicas=n_replicas)
    check_choice("slice_training", slice_training, ("cumulative", "sequential"))
    check_choice("partition", partition, ("uniform", "class"))
    _check_positive("request_rate", request_rate)
    _check_positive("max_cost", max_cost)
    if request_rate > n_samples - 1:
        raise ValueError(
            f"request_rate must be at most n_samples - 1, so that a row is left; got "
            f"request_rate={request_rate} and n_samples={n_samples}."
        )
    _check_single(n_replicas=n_replicas, n_epochs=n_epochs, n_negatives=n_negatives)
    is_measured = any(given is not None for given in (estimator, X, y))
    if is_measured and any(given is None for given in (estimator, X, y)):
        raise ValueError(
            "estimator, X and y must be given together: pass all three for a cost in "
            "seconds, or none for a cost in rows."
        )
    if partition == "class" and class_counts is None and is_measured:
        class_counts = np.unique(y, return_counts=True)[1]
    if partition == "uniform" and class_counts is not None:
        raise ValueError(
            'class_counts is for partition="class": with "uniform" all constituents '
            "see rows of all classes. Leave it out."
        )
    n_units = 1 if class_counts is None else np.size(class_counts)
    if n_negatives is None:
        n_negatives = int(n_units > 1 and is_measured and is_classifier(estimator))
    settings = {
        "n_replicas": n_replicas,
        "n_epochs": n_epochs,
        "slice_training": slice_training,
        "partition": partition,
        "n_negatives": n_negatives,
    }
    shards = _find_candidates("n_shards", n_shards, n_samples // n_units, n_replicas)
    slicings = find_slicings(n_slices, slice_sizes, estimator)
    proba = None if forget_proba is None else check_shares("forget_proba", forget_proba)
    stream = _Stream(n_samples, request_rate, batch, proba, class_counts)
    rows = [stream.expect_rows(shards, one, settings) for one in slicings]
    times: list[StepTimes | None] = [None] * len(slicings)
    if is_measured:
        check_consistent_length(X, y)
        times = [
            measure_steps(estimator, X, y, one, settings, n_repeats, random_state)
            for one in slicings
        ]
    table: list[ShardSettings] = []
    for one, expected, measured in zip(slicings, rows, times, strict=True):
        costs = _find_costs(stream, shards, one, settings, expected, measured)
        table += costs.list_settings(shards, one, settings, max_cost)
    return _choose(table, max_cost, list_all=n_shards is not None)


def _check_positive(name: str, value: Any) -> None:
    if not isinstance(value, Real) or not 0 < float(value) < np.inf:
        raise ValueError(f"{name} must be a number above 0; got {value!r}.")


def _check_single(**counts: Any) -> None:
    for name, value in counts.items():
        if np.ndim(value):
            raise ValueError(
                f"{name} must be a single number; got {value!r}. Call recommend_shards "
                "once for each."
            )


@dataclass(frozen=True)
class _Stream:
    """Rows, and the requests of a period.

    Parameters
    ----------
    n_samples : int
        Number of rows.
    rate : float
        Mean number of rows to forget.
    is_batch : bool
        Whether they are forgotten at once.
    forget_proba : ndarray or None
        How likely rows are to be among them.
    class_counts : array-like or None
        Rows of each class.
    """

    n_samples: int
    rate: float
    is_batch: bool
    forget_proba: np.ndarray | None
    class_counts: Any

    @property
    def few(self) -> int:
        """Return the whole number below the rate, or equal to it."""
        return int(np.floor(self.rate))

    @property
    def mix(self) -> np.ndarray:
        """Return how often there are `few` requests, and how often one more."""
        return np.array([self.few + 1 - self.rate, self.rate - self.few])

    @property
    def n_calls(self) -> float:
        """Return how often something is forgotten."""
        some = self.mix[0] * (self.few > 0) + self.mix[1]
        return float(some if self.is_batch else self.rate)

    def expect_rows(
        self, shards: np.ndarray, slicing: Slicing, settings: dict[str, Any]
    ) -> np.ndarray:
        """Return the rows that are trained on again, by shards, unit and step."""
        costs = expect_by_unit(
            self.n_samples,
            np.minimum([self.few, self.few + 1], self.n_samples)[:, None],
            n_shards=shards,
            n_slices=slicing.n_slices if slicing.sizes is None else 1,
            slice_sizes=slicing.sizes,
            slice_proba=slicing.find_proba(self.forget_proba),
            class_counts=self.class_counts,
            sequence=not self.is_batch,
            **settings,
        )
        return np.tensordot(self.mix, costs, axes=1)


@dataclass(frozen=True)
class _Costs:
    """What forgetting costs, by number of shards; no seconds if none are measured."""

    rows: np.ndarray
    share: np.ndarray
    seconds: np.ndarray | None = None
    fit_seconds: np.ndarray | None = None

    def list_settings(
        self,
        shards: np.ndarray,
        slicing: Slicing,
        settings: dict[str, Any],
        max_cost: float,
    ) -> list[ShardSettings]:
        """Return the settings, each with its cost."""
        cost = self.rows if self.seconds is None else self.seconds
        return [
            ShardSettings(
                n_shards=int(n_shards),
                n_slices=slicing.n_slices,
                n_samples_retrained=float(self.rows[i]),
                share=float(self.share[i]),
                seconds=None if self.seconds is None else float(self.seconds[i]),
                fit_seconds=(
                    None if self.fit_seconds is None else float(self.fit_seconds[i])
                ),
                meets_budget=bool(cost[i] <= max_cost),
                slice_sizes=slicing.sizes,
                **settings,
            )
            for i, n_shards in enumerate(shards)
        ]


def _find_costs(
    stream: _Stream,
    shards: np.ndarray,
    slicing: Slicing,
    settings: dict[str, Any],
    rows: np.ndarray,
    times: StepTimes | None,
) -> _Costs:
    """Return what the requests cost for each number of shards."""
    by_class = {**settings, "class_counts": stream.class_counts}
    everything = slicing.count_by_unit(stream.n_samples, by_class)
    total = rows.sum(axis=(-2, -1))
    share = total / everything.sum()
    if times is None:
        return _Costs(total, share)
    once = Slicing(1).count_by_unit(stream.n_samples, {**by_class, "n_epochs": 1})
    steps = times.by_step(once[:, 0] / shards[:, None]) * shards[:, None, None]
    due = np.divide(rows, everything, out=np.zeros(rows.shape), where=everything > 0)
    return _Costs(
        total,
        share,
        (due * steps).sum(axis=(-2, -1)) + stream.n_calls * times.overhead,
        steps.sum(axis=(-2, -1)),
    )


def _choose(
    table: list[ShardSettings], max_cost: float, *, list_all: bool
) -> ShardRecommendation:
    """Return the first settings within the budget, or the cheapest, and others."""
    table = sorted(table, key=lambda one: (one.n_shards, one.n_slices))
    within = [one for one in table if one.meets_budget]
    best = within[0] if within else min(table, key=_get_cost)
    others = [one for one in table if one is not best]
    if not list_all or len(others) > _LONG_TABLE:
        others = _find_neighbours(table, best)
    return ShardRecommendation(
        **vars(best), max_cost=float(max_cost), alternatives=tuple(others)
    )


def _get_cost(settings: ShardSettings) -> float:
    if settings.seconds is None:
        return settings.n_samples_retrained
    return settings.seconds


def _find_neighbours(
    table: list[ShardSettings], best: ShardSettings
) -> list[ShardSettings]:
    """Return the cheapest settings near half as many shards, and two and four times."""
    found = []
    for factor in (0.5, 1, 2, 4):
        wanted = int(best.n_shards * factor)
        alike = [one for one in table if one.n_shards == wanted and one is not best]
        found += sorted(alike, key=_get_cost)[:1]
    return found


def _find_candidates(
    name: str, value: Any, n_samples: int, n_replicas: int
) -> np.ndarray:
    """Return the distinct values to choose from, ascending."""
    if value is None:
        most = min(_MOST_SHARDS, int(n_samples) * n_replicas // _FEWEST_ROWS)
        return np.arange(n_replicas, max(most, n_replicas) + 1)
    candidates = np.unique(check_counts(1, **{name: value}))
    if not len(candidates):
        raise ValueError(f"{name} must name at least one value; got {value!r}.")
    return candidates

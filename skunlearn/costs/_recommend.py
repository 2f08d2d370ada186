"""Recommend numbers of shards and slices that meet a budget."""

from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length

from skunlearn.costs._checks import check_choice, check_counts, check_shares
from skunlearn.costs._expected import expect_by_step
from skunlearn.costs._slicings import Slicing, StepTimes, find_slicings, measure_steps

__all__ = ["ShardRecommendation", "ShardSettings", "recommend_shards"]

_FEWEST_ROWS = 100  # in a shard, unless numbers of shards are given
_MOST_SHARDS = 1000
_LONG_TABLE = 8


@dataclass(frozen=True)
class ShardSettings:
    """Settings of a sharded classifier with their expected cost of forgetting.

    Parameters
    ----------
    n_shards, n_slices : int
        Number of shards, and of slices per shard.
    n_samples_retrained : float
        Expected number of rows that the requests of a period pass to training.
    share : float
        `n_samples_retrained` as a fraction of a full retrain of this classifier.
    seconds : float or None
        Expected training time for the requests of a period, in seconds. None if no
        estimator is measured.
    fit_seconds : float or None
        Training time of all shards, in seconds. None if no estimator is measured.
    meets_budget : bool
        Whether the cost is within the budget.
    n_replicas, n_epochs : int, default=1
        Number of shards that each row joins, and of passes over each shard.
    slice_training : {"cumulative", "sequential"}, default="cumulative"
        Rows used for training at each slice.
    slice_sizes : tuple of float, default=None
        Share of the rows in each slice. None if they are equal.

    Examples
    --------
    >>> from skunlearn.costs import ShardSettings
    >>> settings = ShardSettings(8, 1, 125.0, 0.125, None, None, True, n_replicas=2)
    >>> settings.params["n_shards"], settings.params["n_replicas"]
    (8, 2)
    """

    n_shards: int
    n_slices: int
    n_samples_retrained: float
    share: float
    seconds: float | None
    fit_seconds: float | None
    meets_budget: bool
    n_replicas: int = field(default=1, kw_only=True)
    n_epochs: int = field(default=1, kw_only=True)
    slice_training: str = field(default="cumulative", kw_only=True)
    slice_sizes: tuple[float, ...] | None = field(default=None, kw_only=True)

    @property
    def params(self) -> dict[str, Any]:
        """Settings as a dict for ``set_params`` of the classifier."""
        names = ("n_shards", "n_slices", "n_replicas", "n_epochs", "slice_training")
        params = {name: getattr(self, name) for name in names}
        if self.slice_sizes is not None:
            params |= {"n_slices": 1, "slice_sizes": self.slice_sizes}
        return params


@dataclass(frozen=True)
class ShardRecommendation(ShardSettings):
    """Settings with the fewest shards that meet a budget; ``print`` shows a table.

    If no settings meet the budget, these are the cheapest ones, and ``meets_budget`` is
    False.

    Parameters
    ----------
    n_shards, n_slices : int
        Number of shards, and of slices per shard.
    n_samples_retrained : float
        Expected number of rows that the requests of a period pass to training.
    share : float
        `n_samples_retrained` as a fraction of a full retrain of this classifier.
    seconds : float or None
        Expected training time for the requests of a period, in seconds. None if no
        estimator is measured.
    fit_seconds : float or None
        Training time of all shards, in seconds. None if no estimator is measured.
    meets_budget : bool
        Whether the cost is within the budget.
    max_cost : float
        The budget, in seconds if an estimator is measured, otherwise in rows.
    alternatives : tuple of ShardSettings
        Other settings, in ascending order of `n_shards`.
    n_replicas, n_epochs : int, default=1
        Number of shards that each row joins, and of passes over each shard.
    slice_training : {"cumulative", "sequential"}, default="cumulative"
        Rows used for training at each slice.
    slice_sizes : tuple of float, default=None
        Share of the rows in each slice. None if they are equal.

    Examples
    --------
    >>> from skunlearn.costs import recommend_shards
    >>> recommendation = recommend_shards(10_000, request_rate=1, max_cost=500)
    >>> recommendation.n_shards, recommendation.meets_budget
    (20, True)
    """

    max_cost: float
    alternatives: tuple[ShardSettings, ...]

    def __str__(self) -> str:
        """Return a table of the recommended settings and the alternatives."""
        unit = "rows" if self.seconds is None else "seconds"
        budget = f"{self.max_cost:,g} {unit}"
        first = f"The fewest shards within {budget} are {self.n_shards}."
        if not self.meets_budget:
            first = f"No settings meet {budget}; the cheapest have these shards: "
            first += f"{self.n_shards}."
        mine = ShardSettings(**{name: vars(self)[name] for name in _FIELDS})
        table = sorted(
            (mine, *self.alternatives), key=lambda one: (one.n_shards, one.n_slices)
        )
        lines = [_format_line(settings, settings is mine) for settings in table]
        return "\n".join([first, _HEADER, *lines])


_FIELDS = tuple(ShardSettings.__dataclass_fields__)
_HEADER = "  shards slices    rows again    share    seconds     to fit"


def _format_line(settings: ShardSettings, is_chosen: bool) -> str:
    seconds = (
        "" if value is None else f"{value:.4g}"
        for value in (settings.seconds, settings.fit_seconds)
    )
    line = (
        f"{'>' if is_chosen else ' '} {settings.n_shards:6} {settings.n_slices:6} "
        f"{settings.n_samples_retrained:13,.0f} {settings.share:8.2%} "
    )
    return (line + " ".join(f"{text:>10}" for text in seconds)).rstrip()


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
    estimator : classifier, default=None
        The estimator to wrap.
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
    Timings assume one job and the machine's current load. They are extrapolated to
    shards larger than the sample. An estimator that trains differently on many rows,
    such as histogram gradient boosting above 10,000, needs a sample of that size.

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
    _check_positive("request_rate", request_rate)
    _check_positive("max_cost", max_cost)
    if request_rate > n_samples - 1:
        raise ValueError(
            f"request_rate must be at most n_samples - 1, so that a row is left; got "
            f"request_rate={request_rate} and n_samples={n_samples}."
        )
    settings = {
        "n_replicas": n_replicas,
        "n_epochs": n_epochs,
        "slice_training": slice_training,
    }
    shards = _find_candidates("n_shards", n_shards, n_samples, n_replicas)
    slicings = find_slicings(n_slices, slice_sizes, estimator)
    times = None
    if estimator is not None or X is not None or y is not None:
        if estimator is None or X is None or y is None:
            raise ValueError(
                "estimator, X and y must be given together: pass all three for a cost "
                "in seconds, or none for a cost in rows."
            )
        check_consistent_length(X, y)
        times = [
            measure_steps(estimator, X, y, one, settings, n_repeats, random_state)
            for one in slicings
        ]
    proba = None if forget_proba is None else check_shares("forget_proba", forget_proba)
    table = _make_table(
        n_samples,
        request_rate,
        max_cost,
        batch,
        shards,
        slicings,
        settings,
        times,
        proba,
    )
    return _choose(table, max_cost, list_all=n_shards is not None)


def _check_positive(name: str, value: Any) -> None:
    if not isinstance(value, Real) or not 0 < float(value) < np.inf:
        raise ValueError(f"{name} must be a number above 0; got {value!r}.")


def _make_table(
    n_samples: int,
    request_rate: float,
    max_cost: float,
    batch: bool,
    shards: np.ndarray,
    slicings: list[Slicing],
    settings: dict[str, Any],
    times: list[StepTimes] | None,
    forget_proba: np.ndarray | None,
) -> list[ShardSettings]:
    """Return the cost of all settings, by slices and numbers of shards."""
    few = int(np.floor(request_rate))
    # A rate between two whole numbers is sometimes the one and sometimes the other.
    mix = np.array([few + 1 - request_rate, request_rate - few])[:, None, None]
    requests = np.minimum([few, few + 1], n_samples)[:, None]
    table = []
    for i, slicing in enumerate(slicings):
        costs = expect_by_step(
            n_samples,
            requests,
            n_shards=shards,
            n_slices=slicing.n_slices if slicing.sizes is None else 1,
            slice_sizes=slicing.sizes,
            slice_proba=slicing.find_proba(forget_proba),
            sequence=not batch,
            **settings,
        )
        rows = (mix * costs).sum(axis=0)
        everything = slicing.count_by_step(n_samples, settings)
        seconds = fit_seconds = None
        if times is not None:
            per_shard = n_samples * settings["n_replicas"] / shards
            steps = times[i].by_step(per_shard) * shards[:, None]
            seconds = (rows / everything * steps).sum(axis=-1)
            fit_seconds = steps.sum(axis=-1)
        for j, n_shards in enumerate(shards):
            n_rows = float(rows[j].sum())
            cost = n_rows if seconds is None else float(seconds[j])
            table.append(
                ShardSettings(
                    n_shards=int(n_shards),
                    n_slices=slicing.n_slices,
                    n_samples_retrained=n_rows,
                    share=float(n_rows / everything.sum()),
                    seconds=None if seconds is None else cost,
                    fit_seconds=None if fit_seconds is None else float(fit_seconds[j]),
                    meets_budget=bool(cost <= max_cost),
                    slice_sizes=slicing.sizes,
                    **settings,
                )
            )
    return table


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

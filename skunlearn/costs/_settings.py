"""Settings of a sharded classifier with their expected cost, as results."""

from dataclasses import dataclass, field
from typing import Any

__all__ = ["ShardRecommendation", "ShardSettings"]


@dataclass(frozen=True)
class ShardSettings:
    """Settings of a sharded classifier with their expected cost of forgetting.

    Parameters
    ----------
    n_shards, n_slices : int
        Number of shards (of each class with ``partition="class"``), and of slices
        per shard.
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
    partition : {"uniform", "class"}, default="uniform"
        Whether the rows of each class have shards of their own.
    n_negatives : int, default=0
        Number of other classes for which each row is a negative sample.

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
    partition: str = field(default="uniform", kw_only=True)
    n_negatives: int = field(default=0, kw_only=True)

    @property
    def params(self) -> dict[str, Any]:
        """Settings as a dict for ``set_params`` of the classifier."""
        names = ("n_shards", "n_slices", "n_replicas", "n_epochs", "slice_training")
        params = {name: getattr(self, name) for name in names}
        if self.slice_sizes is not None:
            params |= {"n_slices": 1, "slice_sizes": self.slice_sizes}
        if self.partition == "class":
            params |= {"partition": "class"}
        if self.n_negatives:
            params |= {"n_negatives": self.n_negatives}
        return params


@dataclass(frozen=True)
class ShardRecommendation(ShardSettings):
    """Settings with the fewest shards that meet a budget; ``print`` shows a table.

    If no settings meet the budget, these are the cheapest ones, and ``meets_budget`` is
    False.

    Parameters
    ----------
    n_shards, n_slices : int
        Number of shards (of each class with ``partition="class"``), and of slices
        per shard.
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
    partition : {"uniform", "class"}, default="uniform"
        Whether the rows of each class have shards of their own.
    n_negatives : int, default=0
        Number of other classes for which each row is a negative sample.

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

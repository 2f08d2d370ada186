"""Ways to cut shards into slices, and what each of them takes to be trained again."""

from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from skunlearn._estimators.capabilities import find_resume
from skunlearn.costs._checks import check_counts
from skunlearn.costs._curves import CostCurve, measure_curve, measure_overhead
from skunlearn.costs._expected import count_by_unit
from skunlearn.costs._steps import find_sizes
from skunlearn.sharding import ShardedUnlearningClassifier

__all__ = ["Slicing", "StepTimes", "find_slicings", "measure_steps"]


@dataclass(frozen=True)
class Slicing:
    """A way to cut shards into slices.

    Parameters
    ----------
    n_slices : int
        Number of slices.
    sizes : tuple of float or None
        Share of the rows in each slice; None if they are equal.
    """

    n_slices: int
    sizes: tuple[float, ...] | None = None

    @property
    def shares(self) -> np.ndarray:
        """Return the share of the rows in each slice."""
        equal = [1 / self.n_slices] * self.n_slices
        return np.array(equal if self.sizes is None else self.sizes)

    def find_proba(self, forget_proba: np.ndarray | None) -> np.ndarray | None:
        """Return the share of the requests in each slice, likely rows being last."""
        if forget_proba is None:
            return None
        below = np.concatenate([[0], np.cumsum(np.sort(forget_proba))])
        ends = np.concatenate([[0], np.cumsum(self.shares)])
        at = np.interp(ends, np.linspace(0, 1, len(below)), below / below[-1])
        return np.diff(at)

    def count_by_unit(self, n_samples: int, settings: dict[str, Any]) -> np.ndarray:
        """Return the rows that training everything passes to training, by step too."""
        return count_by_unit(
            n_samples, n_slices=self.n_slices, slice_sizes=self.sizes, **settings
        )


@dataclass(frozen=True)
class StepTimes:
    """What training a shard again from its first slice takes, and from its last.

    Parameters
    ----------
    whole, last : CostCurve
        The seconds, by rows of the shard.
    weights : ndarray of shape (n_slices,)
        How long the steps take beside each other; the last one is known.
    overhead : float
        The seconds of a request besides, whatever it trains.
    """

    whole: CostCurve
    last: CostCurve
    weights: np.ndarray
    overhead: float

    def by_step(self, n_rows: np.ndarray) -> np.ndarray:
        """Return the seconds of each step, along the last axis.

        All that a shard takes besides is with the last step, which is always made.
        """
        last = self.last.predict(n_rows)[..., None]
        before = np.maximum(self.whole.predict(n_rows)[..., None] - last, 0)
        earlier = self.weights[:-1] / max(self.weights[:-1].sum(), 1e-300)
        return np.concatenate([before * earlier, last], axis=-1)


def find_slicings(n_slices: Any, slice_sizes: Any, estimator: Any) -> list[Slicing]:
    """Return the ways to cut shards that an estimator can have."""
    if slice_sizes is None:
        slices = np.unique(check_counts(1, n_slices=n_slices))
        if not len(slices):
            raise ValueError(
                f"n_slices must name at least one value; got {n_slices!r}."
            )
        found = [Slicing(int(R)) for R in slices]
    else:
        if not np.iterable(slice_sizes):
            raise ValueError(
                "slice_sizes must be shares of the rows, such as (0.9, 0.1), or a list "
                f"of such shares to choose from; got {slice_sizes!r}."
            )
        is_one = all(isinstance(share, Real) for share in slice_sizes)
        candidates = [slice_sizes] if is_one else slice_sizes
        sizes = [find_sizes(one, n_slices) for one in candidates]
        found = [Slicing(len(one), one) for one in sizes if one is not None]
        found.sort(key=lambda one: one.n_slices)
    unsliced = [one for one in found if one.n_slices == 1]
    if estimator is None or find_resume(estimator) is not None or not unsliced:
        return found  # nothing to leave out, or an error from fit that says why
    return unsliced


def measure_steps(
    estimator: Any,
    X: Any,
    y: Any,
    slicing: Slicing,
    settings: dict[str, Any],
    n_repeats: int,
    random_state: Any,
) -> StepTimes:
    """Return what a shard that is cut in some way takes to be trained again."""
    partition = settings["partition"]
    if partition == "class" and is_classifier(estimator):
        y, partition = _tell_largest(y), "uniform"  # what one model learns
    classifier = ShardedUnlearningClassifier(
        estimator,
        n_shards=1,
        n_slices=slicing.n_slices if slicing.sizes is None else 1,
        slice_sizes=slicing.sizes,
        n_epochs=settings["n_epochs"],
        slice_training=settings["slice_training"],
        partition=partition,
        random_state=0,
    )
    repeats = {"n_repeats": n_repeats, "random_state": random_state}
    overhead = measure_overhead(classifier, X, y, **repeats)
    measure = partial(measure_curve, classifier, X, y, **repeats)
    whole = last = measure().less(overhead)
    if slicing.n_slices > 1:
        last = measure(last_size=slicing.shares[-1]).less(overhead)
    settings = {**settings, "partition": "uniform", "n_negatives": 0}
    (weights,) = slicing.count_by_unit(1, settings)
    if find_resume(estimator) == "grow":
        weights = weights * slicing.shares  # so many estimators
    return StepTimes(whole, last, weights, overhead)


def _tell_largest(y: Any) -> np.ndarray:
    """Return whether rows are of the largest class."""
    classes, codes = np.unique(np.asarray(y), return_inverse=True)
    return codes == np.bincount(codes, minlength=len(classes)).argmax()

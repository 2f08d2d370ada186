"""Which training steps a shard needs: a pure function of its counts.

A shard is trained slice by slice, each step going on from the state that the step
before left (SISA, section IV.B). The schedule says for every slice on which rows the
step trains, how often, and whether it starts afresh; ``forget`` repeats the tail of it.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from skunlearn.sharding._roles.all_classes import AllClasses
from skunlearn.sharding._roles.base import Role

__all__ = [
    "Step",
    "TrainingPolicy",
    "count_passes",
    "count_samples",
    "make_schedule",
    "total_passes",
    "total_passes_by_size",
]

_ALL = -1  # labels, as a set of bits
_FUZZ = 1e-9  # halves are rounded up, whatever the last bits of sums say


@dataclass(frozen=True)
class TrainingPolicy:
    """How the constituents of one classifier are trained.

    Parameters
    ----------
    start : {"fit", "partial_fit"}
        Method that trains a fresh estimator.
    resume : {"partial_fit", "warm_start", "grow", None}
        How a trained estimator goes on; None if it cannot.
    cumulative : bool
        Whether a step goes over all slices so far rather than its own alone.
    n_slices : int
        Slices that each shard is cut into at fit.
    n_epochs : int
        Passes over a shard, in all.
    role : Role
        What labels an estimator is given.
    n_rows_full : int
        Rows that an estimator needs if it is not to be made simpler than it is.
    slice_sizes : tuple of float or None
        Share of the rows in each slice; None if they are equal.
    n_estimators : int
        Estimators of an ensemble that grows from slice to slice; 0 for others.
    """

    start: Literal["fit", "partial_fit"]
    resume: Literal["partial_fit", "warm_start", "grow"] | None
    cumulative: bool
    n_slices: int
    n_epochs: int
    role: Role = field(default_factory=AllClasses)
    n_rows_full: int = 1
    slice_sizes: tuple[float, ...] | None = None
    n_estimators: int = 0

    def find_end(self, n_steps: int) -> float:
        """Return the share of the rows in the first slices.

        A slice that came by ``partial_fit`` counts as the last one of fit does.
        """
        sizes = self.slice_sizes
        if sizes is None:
            return n_steps / self.n_slices
        n_more = max(n_steps - len(sizes), 0)
        return math.fsum(sizes[:n_steps]) + n_more * sizes[-1]

    def is_followed(self, step: "Step") -> bool:
        """Return True if an ensemble is to grow on over the rows of a step and more."""
        is_early = step.slice < self.n_slices - 1
        return self.resume == "grow" and self.cumulative and is_early

    def count_estimators(self, n_steps: int) -> int:
        """Return the estimators of an ensemble after the first slices.

        They are in proportion to the rows, but each slice adds one at least.
        """
        count = 0
        for k in range(1, n_steps + 1):
            wanted = math.floor(self.n_estimators * self.find_end(k) + 0.5 + _FUZZ)
            count = max(wanted, count + 1)
        return count


@dataclass(frozen=True)
class Step:
    """One training step of a shard.

    Parameters
    ----------
    slice : int
        Index of the slice whose checkpoint the step makes.
    kind : {"fresh", "resume", "constant"}
        Train a fresh estimator, train on from the last checkpoint, or use a
        constant answer: the only class there is, or that rows are like the only row.
    start, stop : int
        Rows of the shard to train on; for "constant" one row that shows the class.
    n_epochs : int
        Passes over them; for "constant" none.
    n_estimators : int
        Estimators that an ensemble has after the step; 0 if it does not grow.
    n_known : int or None
        Rows of the shard whose categories the estimator knows; None is up to `stop`.
    """

    slice: int
    kind: Literal["fresh", "resume", "constant"]
    start: int
    stop: int
    n_epochs: int
    n_estimators: int = 0
    n_known: int | None = None

    @property
    def n_samples(self) -> int:
        """Return the number of rows passed to training, once for every pass."""
        return (self.stop - self.start) * self.n_epochs


def count_samples(steps: Iterable[Step]) -> int:
    """Return the number of rows that steps pass to training."""
    return sum((step.stop - step.start) * step.n_epochs for step in steps)


def count_passes(policy: TrainingPolicy, index: int) -> int:
    """Return the passes that step `index` makes over its rows.

    With cumulative slices each step gets ``2 * n_epochs / (n_slices + 1)`` passes, so
    that in all as many rows are passed to training as without slices (SISA, Eq. 1).
    Fractions are rounded such that the running total is right, but no step gets less
    than one pass: its slice would be left out. With slices of other sizes the passes
    are in proportion to them.
    """
    if not policy.cumulative:
        return policy.n_epochs
    sizes = policy.slice_sizes
    if sizes is None:
        before = total_passes(index, policy.n_slices, policy.n_epochs)
        after = total_passes(index + 1, policy.n_slices, policy.n_epochs)
    else:
        before, after = (
            total_passes_by_size(policy.find_end(n), sizes, policy.n_epochs)
            for n in (index, index + 1)
        )
    return int(max(1, after - before))


def total_passes(n_steps: Any, n_slices: Any, n_epochs: Any) -> Any:
    """Return the passes that the first steps over cumulative slices share, rounded.

    The arguments are integers, or arrays of them.
    """
    denominator = n_slices + 1
    return (4 * n_steps * n_epochs + denominator) // (2 * denominator)


def total_passes_by_size(end: Any, sizes: tuple[float, ...], n_epochs: Any) -> Any:
    """Return the same for slices of the given sizes.

    Parameters
    ----------
    end : float or ndarray
        Share of the rows in the slices of the first steps.
    sizes : tuple of float
        Share of the rows in each slice.
    n_epochs : int or ndarray
        Passes over a shard, in all.
    """
    mean_end = math.fsum(np.multiply(sizes, np.cumsum(sizes)))
    return np.floor(n_epochs * end / mean_end + 0.5 + _FUZZ).astype(np.int64)


def make_schedule(
    policy: TrainingPolicy, bounds: np.ndarray, present: np.ndarray
) -> tuple[Step, ...]:
    """Return the steps that train a shard from scratch.

    Parameters
    ----------
    policy : TrainingPolicy
        How constituents are trained.
    bounds : ndarray of shape (n_slices + 1,)
        Where each slice begins and ends among the rows of the shard.
    present : ndarray of shape (n_slices, n_labels), dtype bool
        Which labels have rows in each slice.

    Returns
    -------
    tuple of Step
        At most one step a slice, in order. An empty slice has none.
    """
    role, steps = policy.role, list[Step]()
    masks, seen = _pack(present), 0  # sets of labels, as bits
    known: int | None = None  # labels of the estimator to go on from
    n_known: int | None = None
    for index, (start, stop) in enumerate(pairwise(bounds.tolist())):
        if start == stop:
            continue
        seen |= masks[index]
        if stop < role.min_rows or seen.bit_count() < role.min_labels:
            steps.append(Step(index, "constant", 0, 1, 0))
            continue
        size = policy.count_estimators(index + 1) if policy.n_estimators else 0
        own = seen if policy.cumulative else masks[index]
        n_rows = stop if policy.cumulative else stop - start
        if known is None or not _can_resume(policy, known, own, n_rows):
            n_epochs = 1 if policy.start == "fit" else count_passes(policy, index)
            steps.append(Step(index, "fresh", 0, stop, n_epochs, size))
            n_known = stop if policy.resume == "grow" else None
            if stop >= policy.n_rows_full:
                is_told = policy.start == "partial_fit"
                known = _ALL if is_told else seen
            continue
        is_counted = policy.resume == "partial_fit"
        n_epochs = count_passes(policy, index) if is_counted else 1
        first = 0 if policy.cumulative else start
        steps.append(Step(index, "resume", first, stop, n_epochs, size, n_known))
    return tuple(steps)


def _pack(present: np.ndarray) -> list[int]:
    """Return the set of labels of each slice as the bits of an integer."""
    return [int.from_bytes(line.tobytes()) for line in np.packbits(present, axis=1)]


def _can_resume(policy: TrainingPolicy, known: int, own: int, n_rows: int) -> bool:
    """Return True if an estimator of the `known` labels can go on with the `own` ones.

    ``partial_fit`` takes rows of labels that it knows. A warm start needs all of them
    again, and no fewer rows than parameters ask for, else the shapes would differ.
    """
    if policy.resume == "partial_fit":
        return not own & ~known
    return n_rows >= policy.n_rows_full and own == known

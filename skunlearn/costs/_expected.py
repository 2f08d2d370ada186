"""Expected number of rows that a stream of forget requests passes to training."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from skunlearn.costs._chances import log_miss
from skunlearn.costs._checks import (
    check_choice,
    check_counts,
    check_fraction,
    check_shares,
)
from skunlearn.costs._picks import expect_picks
from skunlearn.sharding._training.schedule import total_passes, total_passes_by_size

__all__ = [
    "count_by_step",
    "expect_by_step",
    "expected_retrained_samples",
    "find_sizes",
]


def expected_retrained_samples(
    n_samples: Any,
    n_requests: Any = 1,
    *,
    n_shards: Any = 1,
    n_slices: Any = 1,
    slice_sizes: Any = None,
    n_replicas: Any = 1,
    n_epochs: Any = 1,
    slice_training: str = "cumulative",
    partition: str = "uniform",
    class_counts: Any = None,
    n_negatives: Any = 0,
    selection: Any = None,
    slice_proba: Any = None,
    sequence: bool = False,
) -> Any:
    """Compute the expected number of rows that forgetting passes to training.

    Requests are distinct rows, drawn uniformly at random. A row counts once per pass,
    as in ``ForgetRecord.n_samples_retrained``. No classifier is trained, and time and
    memory do not depend on `n_samples`. All numbers may be arrays, which are broadcast.
    See the :ref:`user guide <cost>` for the formulas.

    Parameters
    ----------
    n_samples : int or array-like of int
        Number of rows before the first request.
    n_requests : int or array-like of int, default=1
        Number of rows to forget.
    n_shards : int or array-like of int, default=1
        Number of shards; with ``partition="class"``, per class.
    n_slices : int or array-like of int, default=1
        Number of slices per shard. With ``partition="class"``, they are the blocks of
        ARCANE.
    slice_sizes : array-like of shape (n_slices,), default=None
        Proportion of the rows in each slice, instead of `n_slices` equal ones.
    n_replicas : int or array-like of int, default=1
        Number of shards that each row joins.
    n_epochs : int or array-like of int, default=1
        Number of passes over each shard. Cumulative slices share them in proportion to
        their sizes, with at least one per slice.
    slice_training : {"cumulative", "sequential"}, default="cumulative"
        Rows used for training at slice j: those of slices 1 to j ("cumulative"), or
        those of slice j only ("sequential").
    partition : {"uniform", "class"}, default="uniform"
        If "class", the rows of each class have shards of their own.
    class_counts : array-like of shape (n_classes,), default=None
        Number of rows per class, or their proportions: `n_samples` is divided
        accordingly. Required if ``partition="class"``. Otherwise it is only used with
        `selection`, which selects rows of each class, and None means a single class.
    n_negatives : int or array-like of int, default=0
        Number of other classes for which each row is a negative sample, with
        ``partition="class"``. Use 0 for one-class models.
    selection : float or array-like of float in (0, 1], default=None
        Proportion of rows selected for training, rounded up for each class, shard and
        slice. The number of selected rows is constant: a forgotten one is replaced as
        long as there are others. If None, all rows are used.
    slice_proba : array-like of shape (n_slices,), default=None
        Proportion of the requests in each slice, for rows ordered by their probability
        to be forgotten. If None, requests are uniform over slices.
    sequence : bool, default=False
        Whether rows are forgotten one by one instead of in one batch.

    Returns
    -------
    float or ndarray
        Expected number of rows, in the broadcast shape.

    Raises
    ------
    ValueError
        If a number is out of range, or a parameter that another one requires is
        missing.

    See Also
    --------
    skunlearn.ShardedUnlearningClassifier.preview_forget : Cost of a given request.
    recommend_shards : Settings that meet a budget.

    Notes
    -----
    Rows are assigned by hash, so the sizes of shards and slices are random. The
    formulas assume that shards and slices have rows of several classes, and that no
    class disappears. Rows that pass through a growing ensemble count once per slice,
    however few estimators the slice adds: for their cost in seconds, see
    :func:`recommend_shards`.

    Examples
    --------
    >>> from skunlearn.costs import expected_retrained_samples
    >>> expected_retrained_samples(10_000, n_shards=[1, 5, 20])
    array([9999.  , 1999.8 ,  499.95])

    Twenty rows, in one batch and one after another:

    >>> batch = expected_retrained_samples(10_000, 20, n_shards=20)
    >>> stream = expected_retrained_samples(10_000, 20, n_shards=20, sequence=True)
    >>> round(batch), round(stream)
    (6402, 9990)

    Three classes, the rows of each with a model of their own:

    >>> round(expected_retrained_samples(
    ...     900, partition="class", class_counts=[600, 200, 100]
    ... ))
    455
    """
    by_step = expect_by_step(
        n_samples,
        n_requests,
        n_shards=n_shards,
        n_slices=n_slices,
        slice_sizes=slice_sizes,
        n_replicas=n_replicas,
        n_epochs=n_epochs,
        slice_training=slice_training,
        partition=partition,
        class_counts=class_counts,
        n_negatives=n_negatives,
        selection=selection,
        slice_proba=slice_proba,
        sequence=sequence,
    )
    total = by_step.sum(axis=-1)
    return total if total.ndim else float(total)


def expect_by_step(
    n_samples: Any,
    n_requests: Any,
    *,
    n_shards: Any,
    n_slices: Any,
    slice_sizes: Any,
    n_replicas: Any,
    n_epochs: Any,
    slice_training: str,
    partition: str = "uniform",
    class_counts: Any = None,
    n_negatives: Any = 0,
    selection: Any = None,
    slice_proba: Any,
    sequence: bool,
) -> np.ndarray:
    """Return the same rows by step, along the last axis."""
    check_choice("slice_training", slice_training, ("cumulative", "sequential"))
    check_choice("partition", partition, ("uniform", "class"))
    sizes = find_sizes(slice_sizes, n_slices)
    n_slices = n_slices if sizes is None else len(sizes)
    counts = check_counts(
        1,
        n_samples=n_samples,
        n_shards=n_shards,
        n_slices=n_slices,
        n_replicas=n_replicas,
        n_epochs=n_epochs,
    )
    counts += check_counts(0, n_requests=n_requests, n_negatives=n_negatives)
    fraction = check_fraction("selection", 1.0 if selection is None else selection)
    *arrays, fraction = np.broadcast_arrays(*counts, fraction)
    shape = fraction.shape
    # From here on the last axis is that of slices, the one before that of classes.
    N, S, R, r, e, K, negatives = (array[..., None, None] for array in arrays)
    _check_limits(N, K, S, r)
    is_cumulative = slice_training == "cumulative"
    steps = _make_steps(R, e, is_cumulative, sizes, slice_proba, N, K)
    classes = _count_classes(partition, class_counts, negatives)
    rows = _Rows(N, S * R / r, classes, fraction[..., None, None], negatives)
    units = _make_units(rows, by_class=partition == "class")
    count = _count_sequence if sequence else _count_batch
    trained = r * count(N.astype(float), K.astype(float), r / S, steps, units)
    by_step = trained.sum(axis=-2)
    return np.broadcast_to(by_step, (*shape, by_step.shape[-1]))


def count_by_step(
    n_samples: Any,
    n_slices: Any,
    n_epochs: Any,
    n_replicas: Any,
    slice_training: str,
    slice_sizes: tuple[float, ...] | None = None,
) -> Any:
    """Return the rows that training all shards passes to training, by step.

    The arguments are numbers or arrays that broadcast, but for the sizes of slices.
    """
    N, R, e, r = (
        np.asarray(value)[..., None]
        for value in (n_samples, n_slices, n_epochs, n_replicas)
    )
    is_cumulative = slice_training == "cumulative"
    steps = _make_steps(R, e, is_cumulative, slice_sizes, None, N, 0 * N)
    return np.asarray(r * N * steps.rows * steps.passes)


class _Steps(NamedTuple):
    """The training steps of a shard, along the last axis.

    ``rows`` is the share of the shard's rows that a step trains on, ``requests`` that
    of its requests which fall among them, ``hits`` that of those which make it
    necessary, and ``passes`` how often the step goes over its rows.
    """

    rows: np.ndarray
    requests: np.ndarray
    hits: np.ndarray
    passes: np.ndarray

    @property
    def density(self) -> np.ndarray:
        """Return how often a row of each step is requested, beside the mean row."""
        return self.requests / np.where(self.rows > 0, self.rows, 1)


class _Rows(NamedTuple):
    """Rows by class, the parts that they are dealt to, and what is picked of them."""

    n_samples: np.ndarray
    n_parts: np.ndarray
    classes: np.ndarray
    fraction: np.ndarray
    n_negatives: np.ndarray

    @property
    def negative(self) -> np.ndarray:
        """Return the probability that a row is a negative in another class's model."""
        return self.n_negatives / max(self.classes.shape[-2] - 1, 1)

    def count_picks(self, by_class: bool, retained: Any = 1.0) -> tuple[Any, Any]:
        """Return the picks of each unit: of its own class, and of the negatives."""
        settings = self.n_samples * self.classes, self.n_parts, self.fraction
        own = expect_picks(*settings, 1.0, retained)
        if not by_class:
            return own.sum(axis=-2, keepdims=True), np.zeros(1)
        against = expect_picks(*settings, self.negative, retained)
        return own, against.sum(axis=-2, keepdims=True) - against


@dataclass(frozen=True)
class _Units:
    """Models that share no rows but negatives, along the axis before the last.

    Parameters
    ----------
    own, others : ndarray
        Selected rows of a unit's own class, and of all others.
    negative : ndarray
        Probability that a row of another class is a negative in the unit.
    fraction : ndarray
        Share of the rows that is selected.
    picks : callable
        Returns the selected rows of each unit when a share of all rows is retained.
    """

    own: np.ndarray
    others: np.ndarray
    negative: np.ndarray
    fraction: np.ndarray
    picks: Callable[[np.ndarray], np.ndarray]

    @property
    def size(self) -> np.ndarray:
        """Return the expected rows of each unit."""
        return self.own + self.negative * self.others

    @property
    def n_pairs(self) -> np.ndarray:
        """Return the expected ordered pairs of rows that meet in each unit."""
        own, others, g = self.own, self.others, self.negative
        varied = self.scatter * own + self.scatter_of_others * g**2 * others
        return np.maximum(self.size**2 - varied, 0)

    @property
    def scatter(self) -> np.ndarray:
        """Return the variance of own rows in a part, beside that of chance.

        Quotas vary with the rows that they are picked from, and so by less than the
        picks would if each of them fell in a part by chance.
        """
        return self.fraction

    @property
    def scatter_of_others(self) -> np.ndarray:
        """Return the same of the rows of other classes."""
        return np.where(self.fraction < 1, self.fraction * self.negative, 1.0)

    @property
    def n_varied(self) -> np.ndarray:
        """Return how many rows would vary by chance as much as all rows do."""
        others = self.negative * self.others
        return self.scatter * self.own + self.scatter_of_others * others


def _count_batch(
    N: np.ndarray, K: np.ndarray, joins: Any, steps: _Steps, units: _Units
) -> np.ndarray:
    """Return the expected rows trained, by unit and step, for K rows in one batch.

    A step is repeated for a retained row unless all requests, drawn from the other
    rows, miss its shard up to the step. A selected row that is forgotten is replaced,
    which repeats the step for the row in its place.
    """
    is_all = units.fraction == 1
    retained = np.maximum(1 - K / N * steps.density, 0)
    trained = steps.rows * units.picks(retained)
    hit = np.minimum(joins * steps.hits, 1)
    d, e = units.scatter, units.scatter_of_others
    itself = np.minimum(units.own, d)
    other_kind = np.where(is_all & (itself == 0), units.others - 1, units.others)
    own, others = units.own - itself, np.maximum(other_kind, 0) * units.negative
    members = (
        (d * own, hit),
        (e * np.maximum(other_kind, 0), units.negative * hit),
        (np.where(is_all, 0, itself), steps.density),
        (((1 - d) * own + (1 - e) * others) * hit, np.ones(1)),
    )
    drawn_from = N - is_all
    missed = log_miss(drawn_from, members, np.minimum(K, drawn_from))
    return steps.passes * trained * -np.expm1(missed)


def _count_sequence(
    N: np.ndarray, K: np.ndarray, joins: Any, steps: _Steps, units: _Units
) -> np.ndarray:
    """Return the expected rows trained, by unit and step, for K rows one by one.

    While selected rows are replaced, request t hits each of them with the chance
    1 / (N - t). From when all rows left are selected, pairs of a forgotten and a
    retained row in the same unit are counted.
    """
    hit = joins * steps.hits
    until = np.minimum(K, N * (1 - units.fraction))
    early = units.n_pairs * hit * steps.rows + units.n_varied * steps.requests
    early = early * -np.log1p(-until / (N + 0.5))
    N, K = N - until, K - until
    left = N / (N + until) / units.fraction
    own, others, all_left = units.own * left, units.others * left, np.ones(1)
    units = replace(units, own=own, others=others, fraction=all_left)
    pairs = units.n_pairs / np.maximum(N * (N - 1), 1)
    rows = np.maximum(N * steps.rows * K - steps.requests * K * (K + 1) / 2, 0)
    return steps.passes * (early + pairs * hit * rows)


def find_sizes(slice_sizes: Any, n_slices: Any) -> tuple[float, ...] | None:
    """Return the share of the rows in each slice, or None if slices are equal."""
    if slice_sizes is None:
        return None
    if np.any(np.asarray(n_slices) != 1):
        raise ValueError(
            f"slice_sizes={slice_sizes!r} says how many slices there are; got "
            f"n_slices={n_slices} as well. Leave out one of the two."
        )
    return tuple(check_shares("slice_sizes", slice_sizes).tolist())


def _make_steps(
    R: np.ndarray,
    e: np.ndarray,
    cumulative: bool,
    sizes: tuple[float, ...] | None,
    slice_proba: Any,
    N: np.ndarray,
    K: np.ndarray,
) -> _Steps:
    """Return what the steps of a shard of R slices and e epochs are."""
    step = np.arange(R.max(initial=1))
    exists = step < R
    if sizes is None:
        rows, ends = exists / R, np.minimum(step + 1, R) / R
        shared = total_passes(step + 1, R, e) - total_passes(step, R, e)
    else:
        rows, ends = np.array(sizes), np.minimum(np.cumsum(sizes), 1)
        so_far = total_passes_by_size(ends, sizes, e)
        shared = np.diff(so_far, prepend=0, axis=-1)
    own, hits = rows, ends
    if slice_proba is not None:
        own = _check_slice_proba(slice_proba, R, rows, N, K)
        hits = np.minimum(np.cumsum(own, axis=-1), 1)
    if cumulative:
        return _Steps(ends, hits, hits, np.maximum(shared, 1) * exists)
    return _Steps(rows, own, hits, e * exists)


def _make_units(rows: _Rows, *, by_class: bool) -> _Units:
    """Return the units, each with what is picked for it."""
    own, against = rows.count_picks(by_class)
    everything = sum(rows._replace(fraction=np.ones(1)).count_picks(by_class))
    negative = rows.negative if by_class else np.zeros(1)

    def count_picks(retained: np.ndarray) -> np.ndarray:
        return sum(rows.count_picks(by_class, retained))

    share = np.where(everything > 0, own + against, 1) / np.where(
        everything > 0, everything, 1
    )
    return _Units(
        own,
        against / np.where(negative > 0, negative, 1),
        negative,
        np.where(share > 1 - 1e-12, 1.0, share),
        count_picks,
    )


def _count_classes(
    partition: str, class_counts: Any, negatives: np.ndarray
) -> np.ndarray:
    """Return the share of each class as an array of shape (n_classes, 1)."""
    if partition == "uniform":
        if negatives.any():
            raise ValueError(
                'n_negatives is for partition="class": with "uniform" all constituents '
                "see rows of all classes. Leave it out."
            )
        if class_counts is None:
            return np.ones((1, 1))
    elif class_counts is None:
        raise ValueError(
            'partition="class" needs class_counts: the number of rows of each class, '
            "or its share of all rows."
        )
    shares = check_shares("class_counts", class_counts)[:, None]
    if partition == "class" and negatives.max(initial=0) > len(shares) - 1:
        raise ValueError(
            f"n_negatives={negatives.max()} other classes for each row need more than "
            f"the {len(shares)} classes of class_counts."
        )
    return shares


def _check_limits(N: np.ndarray, K: np.ndarray, S: np.ndarray, r: np.ndarray) -> None:
    if (K > N).any():
        raise ValueError(
            "n_requests counts distinct rows, so it must not be above n_samples; got "
            f"n_requests={K.max()} and n_samples={N.min()}."
        )
    if (r > S).any():
        raise ValueError(
            f"n_replicas={r.max()} requires at least as many shards; "
            f"got n_shards={S.min()}."
        )


def _check_slice_proba(
    slice_proba: Any, R: np.ndarray, rows: np.ndarray, N: np.ndarray, K: np.ndarray
) -> np.ndarray:
    proba = check_shares("slice_proba", slice_proba)
    if np.any(len(proba) != R):
        raise ValueError(
            "slice_proba must hold one share of the requests for each slice; got "
            f"{len(proba)} of them for n_slices={R.max()}."
        )
    requests, available = np.broadcast_arrays(K * proba, N * rows)
    excess = np.argmax(requests - available)
    if requests.flat[excess] > available.flat[excess] * (1 + 1e-9):
        raise ValueError(
            f"slice_proba sends {requests.flat[excess]:g} requests to a slice of "
            f"{available.flat[excess]:g} rows. Ask for fewer requests or spread them."
        )
    return proba

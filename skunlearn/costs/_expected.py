"""Expected number of rows that a stream of forget requests passes to training."""

from dataclasses import replace
from typing import Any

import numpy as np

from skunlearn.costs._chances import log_miss
from skunlearn.costs._checks import check_choice, check_counts, check_fraction
from skunlearn.costs._steps import Steps, find_sizes, make_steps
from skunlearn.costs._units import Rows, Units, count_classes, make_units

__all__ = ["count_by_unit", "expect_by_unit", "expected_retrained_samples"]


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
    by_unit = expect_by_unit(
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
    total = by_unit.sum(axis=(-2, -1))
    return total if total.ndim else float(total)


def expect_by_unit(
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
    """Return the same rows by unit and by step, along the last two axes.

    A unit is a class with ``partition="class"``, otherwise all rows.
    """
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
    steps = make_steps(R, e, is_cumulative, sizes, slice_proba, N, K)
    classes = count_classes(partition, class_counts, negatives)
    rows = Rows(N, S * R / r, classes, fraction[..., None, None], negatives)
    units = make_units(rows, by_class=partition == "class")
    count = _count_sequence if sequence else _count_batch
    trained = r * count(N.astype(float), K.astype(float), r / S, steps, units)
    return np.broadcast_to(trained, (*shape, *trained.shape[-2:]))


def count_by_unit(
    n_samples: int,
    *,
    n_slices: int,
    slice_sizes: tuple[float, ...] | None,
    n_replicas: int,
    n_epochs: int,
    slice_training: str,
    partition: str = "uniform",
    class_counts: Any = None,
    n_negatives: int = 0,
) -> np.ndarray:
    """Return the rows that training everything passes to training, in the same shape.

    All arguments are those of a single classifier, and all rows are selected.
    """
    N, R, e, negatives = (
        np.asarray(value)[..., None, None]
        for value in (n_samples, n_slices, n_epochs, n_negatives)
    )
    is_cumulative = slice_training == "cumulative"
    steps = make_steps(R, e, is_cumulative, slice_sizes, None, N, 0 * N)
    classes = count_classes(partition, class_counts, negatives)
    rows = Rows(N, R, classes, np.ones((1, 1)), negatives)
    units = make_units(rows, by_class=partition == "class")
    return np.asarray(n_replicas * units.size * steps.rows * steps.passes)


def _count_batch(
    N: np.ndarray, K: np.ndarray, joins: Any, steps: Steps, units: Units
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
    N: np.ndarray, K: np.ndarray, joins: Any, steps: Steps, units: Units
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

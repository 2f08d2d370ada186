"""The training steps of a shard, one for each slice, along the last axis."""

from typing import Any, NamedTuple

import numpy as np

from skunlearn.costs._checks import check_shares
from skunlearn.sharding._training.schedule import total_passes, total_passes_by_size

__all__ = ["Steps", "find_sizes", "make_steps"]


class Steps(NamedTuple):
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


def make_steps(
    R: np.ndarray,
    e: np.ndarray,
    cumulative: bool,
    sizes: tuple[float, ...] | None,
    slice_proba: Any,
    N: np.ndarray,
    K: np.ndarray,
) -> Steps:
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
        return Steps(ends, hits, hits, np.maximum(shared, 1) * exists)
    return Steps(rows, own, hits, e * exists)


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

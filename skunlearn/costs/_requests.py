"""Simulated streams of forget requests."""

from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_random_state
from sklearn.utils.random import sample_without_replacement

from skunlearn._data.identities import as_ids, hash_groups
from skunlearn.costs._checks import check_counts

__all__ = ["simulate_requests"]


def simulate_requests(
    n_samples: int,
    n_requests: int,
    *,
    forget_proba: Any = None,
    groups: Any = None,
    batch_size: int | None = 1,
    random_state: Any = None,
) -> list[np.ndarray]:
    """Draw a random stream of forget requests without replacement.

    Parameters
    ----------
    n_samples : int
        Number of rows.
    n_requests : int
        Number of requests: rows or, with `groups`, groups of which all rows are
        forgotten.
    forget_proba : array-like of shape (n_samples,), default=None
        Relative probability of each row to be requested. The probability of a group is
        the maximum over its rows. If None, all are equally likely.
    groups : array-like of shape (n_samples,), default=None
        Group of each row, for example the data subject.
    batch_size : int or None, default=1
        Number of requests per batch; the last batch may have fewer. If None, all
        requests are in one batch.
    random_state : int, RandomState instance or None, default=None
        Controls the stream. Pass an int for reproducible output.

    Returns
    -------
    list of ndarray of int
        Positions of each batch, in the order of requests, to pass to ``forget``. No
        position occurs twice in the stream.

    Raises
    ------
    ValueError
        If there are fewer rows or groups with a positive probability than requests, or
        an array has the wrong length.

    Examples
    --------
    >>> from skunlearn.costs import simulate_requests
    >>> simulate_requests(1000, 5, batch_size=2, random_state=0)
    [array([684, 629]), array([559, 835]), array([192])]

    By group, two of three:

    >>> groups = ["ann", "bob", "ann", "eve", "bob"]
    >>> simulate_requests(5, 2, groups=groups, random_state=0)
    [array([3]), array([1, 4])]
    """
    check_counts(1, n_samples=n_samples, n_requests=n_requests)
    if batch_size is not None:
        check_counts(1, batch_size=batch_size)
    rng = check_random_state(random_state)
    weights = _check_weights(forget_proba, n_samples)
    if groups is None:
        chosen = _draw(n_samples, n_requests, weights, "rows", rng)
        requests = [chosen[i : i + 1] for i in range(n_requests)]
    else:
        members, weights = _gather(groups, n_samples, weights)
        chosen = _draw(len(members), n_requests, weights, "groups", rng)
        requests = [members[i] for i in chosen]
    size = n_requests if batch_size is None else int(batch_size)
    edges = [*range(0, n_requests, size), n_requests]
    return [np.concatenate(requests[start:stop]) for start, stop in pairwise(edges)]


def _draw(
    n: int, n_drawn: int, weights: np.ndarray | None, kind: str, rng: Any
) -> np.ndarray:
    """Draw distinct numbers below `n`, one after another."""
    n_possible = n if weights is None else np.count_nonzero(weights)
    if n_drawn > n_possible:
        raise ValueError(
            f"n_requests={n_drawn} is more than the {n_possible} {kind} that may be "
            "requested."
        )
    if weights is None:
        drawn = sample_without_replacement(n, n_drawn, random_state=rng)
        return np.asarray(rng.permutation(drawn), dtype=np.int64)
    # The smallest of exponential waiting times come as draws one by one would.
    possible = np.flatnonzero(weights)
    waiting = rng.exponential(size=len(possible)) / weights[possible]
    return possible[np.argsort(waiting, kind="stable")[:n_drawn]]


def _gather(
    groups: Any, n_samples: int, weights: np.ndarray | None
) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Return the positions of each group, and the weight of each."""
    ids = as_ids(groups)
    if ids.shape != (n_samples,):
        raise ValueError(
            f"groups must hold one group id for each of the {n_samples} rows; got "
            f"shape {ids.shape}."
        )
    # Equal are those that are one group to a classifier; the first ones come first.
    hashes = hash_groups(ids, key=0)
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    codes = first[inverse]
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    members = np.split(order, starts[1:])
    if weights is not None:
        weights = np.maximum.reduceat(weights[order], starts)
    return members, weights


def _check_weights(forget_proba: Any, n_samples: int) -> np.ndarray | None:
    if forget_proba is None:
        return None
    weights = check_array(
        forget_proba, ensure_2d=False, dtype=np.float64, input_name="forget_proba"
    )
    if weights.shape != (n_samples,) or weights.min() < 0:
        raise ValueError(
            f"forget_proba must hold one number for each of the {n_samples} rows, none "
            f"below 0; got shape {weights.shape} and a minimum of {weights.min():g}."
        )
    return weights

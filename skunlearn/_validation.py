"""Checks of what users pass to ``forget``: pure functions with their own messages."""

import numbers
from typing import Any

import numpy as np

from skunlearn.exceptions import ForgetIndexError

__all__ = ["check_positions"]

_EXPECTED = (
    "an integer, a sequence or array of integers, a slice, or a boolean mask over all "
    "positions"
)


def check_positions(X_idx: Any, n_positions: int) -> np.ndarray:
    """Return the positions that `X_idx` names, in any order, maybe some twice.

    Parameters
    ----------
    X_idx : int, sequence of int, array of int, slice or boolean mask
        Positions in the data first given to ``fit``. Negative integers are refused: a
        position is a name, and it must not depend on how many rows there are. Slices
        mean what they mean for a list.
    n_positions : int
        How many positions there are, forgotten ones included.

    Returns
    -------
    ndarray of int64
        The positions.

    Raises
    ------
    ForgetIndexError
        If `X_idx` is of another kind, or names a position that does not exist.
    """
    if isinstance(X_idx, slice):
        return np.arange(*X_idx.indices(n_positions), dtype=np.int64)
    positions = np.asarray(X_idx)
    if positions.ndim > 1 or (positions.ndim == 0 and positions.dtype == bool):
        raise ForgetIndexError(f"X_idx must be {_EXPECTED}; got {_describe(X_idx)}.")
    if positions.dtype == bool:
        return _check_mask(positions, n_positions)
    positions = _as_integers(positions, X_idx)
    unknown = positions[(positions < 0) | (positions >= n_positions)]
    if len(unknown):
        raise ForgetIndexError(
            f"X_idx names {len(unknown)} positions that do not exist, the first of "
            f"them {unknown[0]}. Positions count from 0 to {n_positions - 1}, as in "
            "the data given to fit, and are never renumbered."
        )
    return positions.astype(np.int64)


def _check_mask(mask: np.ndarray, n_positions: int) -> np.ndarray:
    if len(mask) != n_positions:
        raise ForgetIndexError(
            f"X_idx is a boolean mask of length {len(mask)}, but there are "
            f"{n_positions} positions (those already forgotten count on)."
        )
    return np.flatnonzero(mask)


def _as_integers(positions: np.ndarray, X_idx: Any) -> np.ndarray:
    """Return a 1-d array of integers (of dtype object where they are huge)."""
    positions = np.atleast_1d(positions)
    if len(positions) == 0 or np.issubdtype(positions.dtype, np.integer):
        return positions
    if positions.dtype == object and all(map(_is_integer, positions)):
        return positions
    raise ForgetIndexError(
        f"X_idx must be {_EXPECTED}; got {_describe(X_idx)}. Convert it first, with "
        "numpy.asarray(list(X_idx), dtype=int) for example."
    )


def _is_integer(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _describe(X_idx: Any) -> str:
    array = np.asarray(X_idx)
    kind = type(X_idx).__name__
    return f"a {kind} of dtype {array.dtype} and shape {array.shape}"

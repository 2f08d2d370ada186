"""Checks of what users pass to ``forget``: pure functions with their own messages."""

import numbers
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from skunlearn._data.habits import advise, refuse_habits
from skunlearn.exceptions import ForgetIndexError

__all__ = ["Named", "as_vector", "check_positions", "list_ids", "show"]

_EXPECTED = (
    "X_idx must be an integer, a sequence or array of integers, a slice, or a boolean "
    "mask over all positions"
)
_MAX_SHOWN = 10
_MIN_REPEATS = 10  # of each position, on average, from which integers are labels


class Named(NamedTuple):
    """The positions that a request names, in any order, maybe some twice."""

    positions: np.ndarray
    n_unknown: int = 0
    by_number: bool = False  # as single integers, which group ids may be too


def check_positions(X_idx: Any, n_positions: int, unknown: str = "raise") -> Named:
    """Return the positions that `X_idx` names.

    Parameters
    ----------
    X_idx : int, sequence of int, array of int, slice or boolean mask
        Positions in the data first given to ``fit``. Negative integers are unknown: a
        position is a name, and it must not depend on how many rows there are. Slices
        mean what they mean for a list. The labels of a series do not count.
    n_positions : int
        How many positions there are, forgotten ones included.
    unknown : {"raise", "ignore"}, default="raise"
        Whether integers that are no positions are an error, or counted.

    Returns
    -------
    Named
        The positions.

    Raises
    ------
    ForgetIndexError
        If `X_idx` is of another kind, or names a position that does not exist.
    """
    if isinstance(X_idx, slice):
        return _check_slice(X_idx, n_positions)
    refuse_habits(X_idx)
    try:
        vector = as_vector(X_idx, "X_idx")
    except (TypeError, ValueError) as error:
        raise ForgetIndexError(str(error)) from error
    if _is_mask(vector):
        return _check_mask(vector.astype(bool), n_positions)
    return _check_integers(np.atleast_1d(vector), n_positions, unknown)


def as_vector(values: Any, name: str) -> np.ndarray:
    """Return one value or a sequence of them as an array whose elements are unchanged.

    The values of a list stay what they are: numpy would make text of ``[1, "a"]`` and
    a float of ``[2**63, 1]``.

    Parameters
    ----------
    values : object
        An array, a series, a sequence, or else a single value.
    name : str
        What to call it in messages.

    Returns
    -------
    ndarray of at most one dimension
        The array; of dtype object where it holds objects.

    Raises
    ------
    TypeError
        If `values` has no order or is used up by reading, or is no array after all.
    ValueError
        If it has more dimensions, or masked elements.
    """
    if isinstance(values, (str, bytes, bytearray, np.generic)):
        return _as_objects([values]).reshape(())
    if hasattr(values, "__array__") and isinstance(values, Iterable):
        return _check_array(values, name)
    if isinstance(values, Sequence):
        return _as_objects(list(values))
    if isinstance(values, Iterable):
        raise TypeError(
            f"{name} must be a list or an array; got an object of type "
            f"{type(values).__name__}. Give a list of its elements."
        )
    return _as_objects([values]).reshape(())


def list_ids(values: Sequence[Any] | np.ndarray) -> str:
    """Return some ids for a message, the first ten if there are more."""
    shown = ", ".join(map(show, values[:_MAX_SHOWN]))
    return f"{shown}, ..." if len(values) > _MAX_SHOWN else shown


def show(value: Any) -> str:
    """Return the text of an id for a message; Python has none for huge integers."""
    if isinstance(value, int) and value.bit_length() > 64:
        return f"an integer of {value.bit_length()} bits"
    text = str(value)
    return text if len(text) <= 50 else f"{text[:50]}..."


def _as_objects(values: list[Any]) -> np.ndarray:
    """Return an array of the elements, of dtype object unless all are int or bool."""
    if len(set(map(type, values))) == 1 and type(values[0]) in (int, bool):
        array = np.array(values)
        if array.dtype.kind in "bi":  # and not a float of integers that are too large
            return array
    return np.fromiter(values, dtype=object, count=len(values))


def _check_array(values: Any, name: str) -> np.ndarray:
    """Return the values of an array or a series; the labels of a series are dropped."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(f"{name} has masked elements. Leave them out.")
    try:
        array = np.asarray(values)
    except Exception as error:
        raise TypeError(
            f"{name} of type {type(values).__name__} cannot be made an array. Give a "
            "list of its elements."
        ) from error
    if array.ndim > 1:
        raise ValueError(f"{name} must have one dimension; got shape {array.shape}.")
    return array


def _check_slice(X_idx: slice, n_positions: int) -> Named:
    try:
        return Named(np.arange(*X_idx.indices(n_positions), dtype=np.int64))
    except (TypeError, ValueError) as error:
        raise ForgetIndexError(
            f"X_idx is a slice that a list would not take: {error}."
        ) from error


def _is_mask(vector: np.ndarray) -> bool:
    if vector.dtype == object and vector.shape != () and len(vector):
        return all(isinstance(value, (bool, np.bool_)) for value in vector)
    return vector.dtype == bool and vector.shape != ()


def _check_mask(mask: np.ndarray, n_positions: int) -> Named:
    if len(mask) != n_positions:
        raise ForgetIndexError(
            f"X_idx is a boolean mask of length {len(mask)}, but there are "
            f"{n_positions} positions (those already forgotten count on)."
        )
    return Named(np.flatnonzero(mask))


def _check_integers(vector: np.ndarray, n_positions: int, unknown: str) -> Named:
    if len(vector) == 0:
        return Named(np.empty(0, dtype=np.int64))
    if not _holds_integers(vector):
        raise ForgetIndexError(
            f"{_EXPECTED}; got {_describe(vector)}. {advise(vector)}"
        )
    is_known = (vector >= 0) & (vector < n_positions)
    others = list(dict.fromkeys(vector[~is_known].tolist()))
    if others and unknown == "raise":
        raise ForgetIndexError(
            f"X_idx names {len(others)} positions that do not exist, the first of them "
            f"{list_ids(others)}. Positions count from 0 to {n_positions - 1}, as in "
            "the data given to fit, and are never renumbered. Ids of groups are passed "
            "as groups=..., and unknown='ignore' leaves unknown ones out."
        )
    positions = vector[is_known].astype(np.int64)
    _check_repeats(positions, n_positions)
    return Named(positions, len(others), by_number=True)


def _check_repeats(positions: np.ndarray, n_positions: int) -> None:
    """Refuse integers with one of few values for each row: no request is like that."""
    if len(positions) != n_positions:
        return
    n_distinct = len(np.unique(positions))
    if n_distinct * _MIN_REPEATS <= n_positions:
        raise ForgetIndexError(
            f"X_idx has one integer for each of the {n_positions} rows, but only "
            f"{n_distinct} different ones, like class labels or a mask of 0 and 1. "
            "Pass the positions of the rows to forget: numpy.flatnonzero(y == label), "
            "for example."
        )


def _holds_integers(vector: np.ndarray) -> bool:
    if vector.dtype == object:
        return all(map(_is_integer, vector))
    return vector.dtype.kind in "iu"


def _is_integer(value: Any) -> bool:
    others = (bool, np.timedelta64)  # integers by inheritance only
    return isinstance(value, numbers.Integral) and not isinstance(value, others)


def _describe(vector: np.ndarray) -> str:
    if vector.dtype != object:
        return f"elements of dtype {vector.dtype}"
    names = sorted({type(value).__name__ for value in vector})
    return f"elements of type {' and '.join(names)}"

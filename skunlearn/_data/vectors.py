"""Ids and positions as users pass them, as arrays whose elements are unchanged."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Named", "as_vector", "list_ids", "shorten", "show"]

_MAX_SHOWN = 10


class Named(NamedTuple):
    """The positions that a request names, in any order, maybe some twice."""

    positions: np.ndarray
    n_unknown: int = 0
    by_number: bool = False  # as single integers, which group ids may be too


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


def shorten(indices: np.ndarray) -> np.ndarray:
    """Return indices of rows in half the memory, where there are fewer than 2**31."""
    is_short = len(indices) <= np.iinfo(np.int32).max
    return indices.astype(np.int32) if is_short else indices

"""Let trained estimators own their arrays, and keep them as a pickle would.

An array that lies in strides becomes contiguous on its way through a pickle, and then
products with it round in another way: what a worker sends back would differ in the last
bit from what is trained on the spot. And an array that is a view keeps all of what it
was cut from, other rows included.
"""

import types
from collections.abc import Iterable
from mmap import mmap
from typing import Any

import numpy as np

__all__ = ["is_file_backed", "own_arrays"]


def own_arrays(part: Any) -> None:
    """Copy the arrays in an estimator that are strided, or views of larger ones.

    It looks into attributes, lists, tuples and dictionaries. Complexity: the number of
    parts; no array is read but those that are copied.
    """
    _own_arrays(part, {})


def _own_arrays(part: Any, seen: dict[int, Any]) -> None:
    if id(part) in seen or isinstance(part, (str, type, types.ModuleType)):
        return
    seen[id(part)] = part  # kept alive, so that no other part gets its id
    if isinstance(part, dict):
        _replace_in(part, part.items(), seen)
    elif isinstance(part, list):
        _replace_in(part, enumerate(part), seen)
    elif isinstance(part, (tuple, np.ndarray)):
        for value in part if isinstance(part, tuple) else part.flat:
            _own_arrays(value, seen)
    elif hasattr(part, "__dict__"):
        _own_arrays(vars(part), seen)


def _replace_in(container: Any, items: Iterable[Any], seen: dict[int, Any]) -> None:
    for key, value in list(items):
        if type(value) is np.ndarray and value.dtype != object:
            container[key] = _as_own(value)
        elif not isinstance(value, (str, int, float, type(None))):
            _own_arrays(value, seen)


def _as_own(array: np.ndarray) -> np.ndarray:
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        return array.copy("C")  # as pickle does
    base = array.base
    is_part = isinstance(base, np.ndarray) and base.nbytes > array.nbytes
    return array.copy("K") if is_part else array


def is_file_backed(array: np.ndarray) -> bool:
    """Return True if an array is, or is a part of, a file that is mapped to memory."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, mmap)

"""Checks of numbers that may be arrays, with messages that name the parameter."""

from typing import Any

import numpy as np

__all__ = ["check_choice", "check_counts", "check_fraction", "check_shares"]


def check_counts(smallest: int, **counts: Any) -> list[np.ndarray]:
    """Return each count as an array of whole numbers that are not below `smallest`."""
    return [_check_count(name, value, smallest) for name, value in counts.items()]


def _check_count(name: str, value: Any, smallest: int) -> np.ndarray:
    array = np.asarray(value)
    is_number = array.dtype.kind in "iuf"
    is_whole = is_number and (np.isfinite(array) & (array == np.floor(array))).all()
    if not is_whole or (array < smallest).any():
        raise ValueError(
            f"{name} must be a whole number of at least {smallest}, or an array of "
            f"them; got {value!r}."
        )
    return array.astype(np.int64)


def check_fraction(name: str, value: Any) -> np.ndarray:
    """Return shares of a whole, above 0 and up to 1, as an array."""
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or not ((array > 0) & (array <= 1)).all():
        raise ValueError(
            f"{name} must be in (0, 1], or an array of such numbers; got {value!r}."
        )
    return array.astype(np.float64)


def check_shares(name: str, value: Any) -> np.ndarray:
    """Return numbers that are not negative, scaled such that they sum to 1."""
    array = np.asarray(value)
    if (
        array.dtype.kind not in "iuf"
        or array.ndim != 1
        or not (np.isfinite(array) & (array >= 0)).all()
        or not array.any()
    ):
        raise ValueError(
            f"{name} must be a sequence of numbers that are not negative, and not all "
            f"zero; got {value!r}."
        )
    return array / array.sum()


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise ValueError unless the value is among the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {choices}; got {value!r}.")

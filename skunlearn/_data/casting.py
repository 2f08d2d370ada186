"""Values of new rows in the dtype of those before, if that changes none of them."""

from typing import Any

import numpy as np

__all__ = [
    "cast_labels",
    "cast_values",
    "check_order",
    "is_numeric_cast",
    "refuse_dtype",
    "trim_text",
    "without_text",
]


_BLOCK = 4096  # rows that are looked at together


def cast_values(values: Any, dtype: Any, name: str) -> Any:
    """Return an array, series or index in another dtype.

    The cast must be of the same kind (integers to floats, but not back) and change no
    value; floats may be rounded to fewer bits.

    Raises
    ------
    ValueError
        If there is no such cast. `name` says of what.
    """
    if values.dtype == dtype:
        return values
    if not _is_same_kind(values, dtype):
        raise refuse_dtype(name, values.dtype, dtype)
    try:
        with np.errstate(over="ignore"):
            cast = values.astype(dtype)
        if _keeps_values(values, cast):
            return cast
    except (TypeError, ValueError, OverflowError):
        pass  # a missing value has no place among integers
    raise refuse_dtype(name, values.dtype, dtype)


def cast_labels(y: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Return labels in the dtype of earlier ones; text may be longer than theirs.

    Raises
    ------
    ValueError
        If they are of another kind, such as floats where there were integers.
    """
    if y.dtype == object and held.dtype.kind == "U" and _holds_text(y):
        y = y.astype(np.str_)
    if y.dtype.kind == held.dtype.kind == "U":
        return y
    if y.dtype.kind != "U" and held.dtype == object and y.dtype != object:
        raise refuse_dtype("the array of labels y", y.dtype, held.dtype)
    return cast_values(y, held.dtype, "the array of labels y")


def trim_text(values: np.ndarray) -> np.ndarray:
    """Return text as wide as the longest; other widths tell of rows that are gone."""
    if values.dtype.kind not in "US" or not values.size:
        return values
    width = max(1, np.char.str_len(values).max())
    return values.astype(f"{values.dtype.kind}{width}", copy=False)


def without_text(values: np.ndarray, indices: np.ndarray) -> np.ndarray | None:
    """Return a narrower copy of text without some rows, None if it is not narrower."""
    if values.dtype.kind not in "US" or not values.size or not len(indices):
        return None
    width = values.dtype.itemsize // np.dtype(f"{values.dtype.kind}1").itemsize
    if width == 1 or np.char.str_len(values[indices]).max() < width:
        return None
    if _has_text_of(width, values, indices):
        return None
    shorter = values.copy()
    shorter[indices] = np.zeros((), values.dtype)
    return trim_text(shorter)


def _has_text_of(width: int, values: np.ndarray, indices: np.ndarray) -> bool:
    """Return True if other rows have text of a width; mostly the first ones tell."""
    for start in range(0, len(values), _BLOCK):
        lengths = np.char.str_len(values[start : start + _BLOCK])
        hits = np.flatnonzero((lengths == width).reshape(len(lengths), -1).any(axis=1))
        if len(np.setdiff1d(start + hits, indices)):
            return True
    return False


def _holds_text(y: np.ndarray) -> bool:
    return all(isinstance(label, str) for label in y)


def refuse_dtype(name: str, got: Any, held: Any) -> ValueError:
    """Return the error that new values cannot be had in the dtype of earlier ones."""
    return ValueError(
        f"{name} has dtype {got}, but earlier rows are of dtype {held}, and casting "
        "would change the values or their kind. Convert it, or call fit on all rows."
    )


def check_order(held: list[Any], declared: list[Any], name: str) -> None:
    """Raise ValueError unless ordered categories hold earlier ones in their order.

    Both orders must say the same of the rows that there are, or else it would depend on
    forgotten rows how the others compare.
    """
    known = set(held)
    if [value for value in declared if value in known] != held:
        raise ValueError(
            f"{name} has the ordered categories {declared}, but earlier rows have "
            f"{held}. Declare all of them, in the same order."
        )


def is_numeric_cast(new: np.dtype, held: np.dtype) -> bool:
    """Return True if numbers may be cast from one dtype to another."""
    is_numeric = new.kind in "biuf" and held.kind in "biuf"
    return is_numeric and np.can_cast(new, held, "same_kind")


def _is_same_kind(values: Any, dtype: Any) -> bool:
    if isinstance(values, np.ndarray) and dtype.kind == "O":
        return True
    new, held = (getattr(d, "numpy_dtype", d) for d in (values.dtype, dtype))  # pandas
    if new.kind in "mMUS":
        has_same_zone = getattr(new, "tz", None) == getattr(held, "tz", None)
        return new.kind == held.kind and has_same_zone
    if not isinstance(new, np.dtype) or not isinstance(held, np.dtype):
        return False
    return is_numeric_cast(new, held)


def _keeps_values(values: Any, cast: Any) -> bool:
    """Return True if a cast has kept all values, apart from the rounding of floats."""
    if cast.dtype == object:
        return True
    if cast.dtype.kind == "f":
        return bool(((abs(cast) == np.inf) == (abs(values) == np.inf)).all())
    missing = cast.isna() if hasattr(cast, "isna") else cast != cast
    return bool((cast == values)[~missing].all())

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
]


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


def trim_text(labels: np.ndarray) -> np.ndarray:
    """Return text as wide as the longest; other widths tell of labels that are gone."""
    if labels.dtype.kind != "U" or not labels.size:
        return labels
    width = max(1, np.char.str_len(labels).max())
    return labels.astype(f"U{width}", copy=False)


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

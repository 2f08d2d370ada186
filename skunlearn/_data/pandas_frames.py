"""Rows of pandas frames, without what a frame says beside them.

Columns are named by their place, since names may be of any kind and occur twice. pandas
itself is imported by the code that made the frame.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import skunlearn._data.arrow_columns as arrow
from skunlearn._data.casting import cast_values, check_order, refuse_dtype

__all__ = [
    "cast_frame",
    "is_pandas",
    "join_frames",
    "list_unordered",
    "list_values",
    "merge_values",
    "slice_rows",
    "stack_frames",
    "take_rows",
    "with_order",
    "with_own_values",
    "with_sorted_values",
    "with_values",
    "without_labels",
]


def is_pandas(X: Any) -> bool:
    """Return True if `X` is a pandas frame."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(X, pandas.DataFrame)


def without_labels(frame: Any) -> Any:
    """Return a plain frame without an index, attributes, or those of a subclass.

    Raises
    ------
    ValueError
        If columns share a name.
    """
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()].unique().tolist()
        raise ValueError(
            f"X must have unique column names; got {twice} more than once. Rename them."
        )
    frame = sys.modules["pandas"].DataFrame(frame).reset_index(drop=True)
    frame.attrs = {}
    return frame


def take_rows(frame: Any, indices: Any) -> Any:
    """Return a copy of the rows at the given places, without saying where they were."""
    rows = frame.take(indices)
    rows.index = sys.modules["pandas"].RangeIndex(len(rows))
    return rows


def slice_rows(frame: Any, start: int, stop: int) -> Any:
    """Return the rows from `start` to `stop`, without saying where they were."""
    rows = frame.iloc[start:stop]
    rows.index = sys.modules["pandas"].RangeIndex(len(rows))
    return rows


def with_own_values(frame: Any) -> Any:
    """Return the frame without categories and dictionaries of other rows."""
    own = {
        place: _change_arrow(frame.iloc[:, place], arrow.with_own_values)
        for place, dtype in enumerate(frame.dtypes)
        if _is_arrow(dtype) and not arrow.is_self_contained(dtype.pyarrow_dtype)
    }
    return with_values(_replace_columns(frame, own), list_values(frame))


def list_values(frame: Any) -> dict[int, Any]:
    """Return the dtypes of columns that have a list of values, with those they use.

    They are in the order of the frame. That of arrow is a dtype with the values.
    """
    return {
        place: _find_own_dtype(frame.iloc[:, place])
        for place, dtype in enumerate(frame.dtypes)
        if _is_categorical(dtype) or _is_dictionary(dtype)
    }


def list_unordered(frame: Any) -> dict[int, Any]:
    """Return the values that unordered columns declare, used or not."""
    return {
        place: _list_declared(frame.iloc[:, place])
        for place, dtype in enumerate(frame.dtypes)
        if (_is_categorical(dtype) and not dtype.ordered)
        or (_is_dictionary(dtype) and not _is_ordered_dictionary(dtype))
    }


def with_values(frame: Any, dtypes: dict[int, Any]) -> Any:
    """Return the frame with columns in dtypes of `list_values`, others missing.

    A column that has no list of values is left as it is.
    """
    changed = {}
    for place, dtype in dtypes.items():
        column = frame.iloc[:, place]
        if _is_categorical(column.dtype):
            changed[place] = _set_categories(column, dtype)
        elif _is_dictionary(column.dtype):
            values = dtype.categories.tolist()
            changed[place] = _change_arrow(column, arrow.with_dictionary, values)
    return _replace_columns(frame, changed)


def with_sorted_values(frame: Any) -> Any:
    """Return the frame with own values, unordered ones in an order that tells nothing.

    Else it would tell which batch of rows they came with.
    """
    frame, unordered = with_own_values(frame), list_unordered(frame)
    dtypes = list_values(frame)
    sort = {p: with_order(dtypes[p], _sort(dtypes[p].categories)) for p in unordered}
    return with_values(frame, sort)


def with_order(dtype: Any, values: Any) -> Any:
    """Return a dtype of `list_values` with its values in the order of others."""
    kind = sys.modules["pandas"].CategoricalDtype
    own = values[values.isin(dtype.categories)]
    return kind(own, ordered=dtype.ordered)


def merge_values(first: Any, second: Any) -> Any:
    """Return the values of `first`, then those of `second` that are not among them."""
    return first.append(second[~second.isin(first)])


def cast_frame(frame: Any, held: Any) -> Any:
    """Return a frame in the dtypes of another, or raise ValueError.

    Categories stay as they are declared until the frames are joined.
    """
    if list(frame.columns) != list(held.columns):
        raise ValueError(
            f"X has the columns {list(frame.columns)}, but earlier rows have "
            f"{list(held.columns)}. Give the same ones in the same order."
        )
    cast = {
        place: _cast_column(
            frame.iloc[:, place],
            held.iloc[:, place],
            f"column {frame.columns[place]!r} of X",
        )
        for place, (new, old) in enumerate(zip(frame.dtypes, held.dtypes, strict=True))
        if new != old or _is_ordered_dictionary(new)
    }
    return _replace_columns(frame, cast)


def stack_frames(frames: list[Any]) -> Any:
    """Return the rows of all frames, which have the same dtypes."""
    return sys.modules["pandas"].concat(frames, ignore_index=True)


def join_frames(first: Any, second: Any) -> Any:
    """Return the rows of `first` followed by those of `second`, in the same dtypes.

    Ordered categories are in the order of `second`, which has all of them declared.
    """
    known_first, known_second = {}, {}
    for place, dtype in enumerate(second.dtypes):
        old, new = first.iloc[:, place], second.iloc[:, place]
        if _is_categorical(dtype):
            known = _join_categories(old.cat.categories, new.cat.categories)
            known_first[place] = old.cat.set_categories(known)
            known_second[place] = new.cat.set_categories(known)
        elif _is_ordered_dictionary(dtype):
            known = _list_dictionary(new)
            known_first[place] = _change_arrow(old, arrow.with_dictionary, known)
    frames = [
        _replace_columns(first, known_first),
        _replace_columns(second, known_second),
    ]
    return with_sorted_values(sys.modules["pandas"].concat(frames, ignore_index=True))


def _replace_columns(frame: Any, columns: dict[int, Any]) -> Any:
    if columns:
        frame = frame.copy(deep=False)
        for place, column in columns.items():
            frame.isetitem(place, column.array)  # a series would be aligned
    return frame


def _is_categorical(dtype: Any) -> bool:
    return isinstance(dtype, sys.modules["pandas"].CategoricalDtype)


def _is_arrow(dtype: Any) -> bool:
    return isinstance(dtype, sys.modules["pandas"].ArrowDtype)


def _is_dictionary(dtype: Any) -> bool:
    return _is_arrow(dtype) and arrow.is_dictionary(dtype.pyarrow_dtype)


def _is_ordered_dictionary(dtype: Any) -> bool:
    return _is_arrow(dtype) and getattr(dtype.pyarrow_dtype, "ordered", False)


def _change_arrow(column: Any, change: Callable[..., Any], *arguments: Any) -> Any:
    """Return a column of arrow's with its array changed."""
    pandas = sys.modules["pandas"]
    changed = change(column.array.__arrow_array__(), *arguments)
    return pandas.Series(pandas.arrays.ArrowExtensionArray(changed), copy=False)


def _list_dictionary(column: Any) -> list[Any]:
    return arrow.list_dictionary(column.array.__arrow_array__())


def _find_own_dtype(column: Any) -> Any:
    """Return a categorical dtype of the values that a column uses, in their order."""
    kind = sys.modules["pandas"].CategoricalDtype
    if _is_categorical(column.dtype):
        known, codes = column.cat.categories, np.unique(column.cat.codes)
        return kind(known.take(codes[codes >= 0]), ordered=column.cat.ordered)
    known = _list_declared(column)
    used = arrow.list_used(column.array.__arrow_array__())
    return kind(known[known.isin(used)], ordered=_is_ordered_dictionary(column.dtype))


def _list_declared(column: Any) -> Any:
    if _is_categorical(column.dtype):
        return column.cat.categories
    return sys.modules["pandas"].Index(_list_dictionary(column), dtype=object)


def _set_categories(column: Any, dtype: Any) -> Any:
    if column.cat.ordered != dtype.ordered:
        column = column.cat.as_ordered() if dtype.ordered else column.cat.as_unordered()
    known = column.cat.categories
    if known.dtype == dtype.categories.dtype and known.equals(dtype.categories):
        return column
    return column.cat.set_categories(dtype.categories)


def _join_categories(old: Any, new: Any) -> Any:
    return new.append(old[~old.isin(new)]).astype(old.dtype)


def _sort(categories: Any) -> Any:
    if categories.is_monotonic_increasing:
        return categories
    try:
        return categories.sort_values()
    except TypeError:  # of several kinds
        keys = [(type(value).__name__, str(value)) for value in categories]
        return categories.take(sorted(range(len(keys)), key=keys.__getitem__))


def _cast_column(column: Any, held: Any, name: str) -> Any:
    """Return a column in the dtype of another, or raise ValueError."""
    if _is_categorical(column.dtype) and _is_categorical(held.dtype):
        return _cast_categories(column, held, name)
    if _is_ordered_dictionary(column.dtype) and column.dtype == held.dtype:
        check_order(_list_dictionary(held), _list_dictionary(column), name)
        return column
    return _cast(column, held.dtype, name)


def _cast_categories(column: Any, held: Any, name: str) -> Any:
    new, old = column.cat.categories, held.cat.categories
    if column.cat.ordered != held.cat.ordered:
        raise refuse_dtype(name, repr(column.dtype), repr(held.dtype))
    if new.dtype != old.dtype and len(new):
        cast = _cast(new, old.dtype, f"the categories of {name}")
        column = column.cat.rename_categories(cast)
    if column.cat.ordered:
        check_order(old.tolist(), column.cat.categories.tolist(), name)
    return column


def _cast(values: Any, dtype: Any, name: str) -> Any:
    """Return a series or index in another dtype; text may change how it is stored."""
    types = sys.modules["pandas"].api.types
    is_text = types.infer_dtype(values, skipna=True) in ("string", "empty")
    if is_text and types.is_string_dtype(dtype):  # or objects
        return values.astype(dtype)
    return cast_values(values, dtype, name)

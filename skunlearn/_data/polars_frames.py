"""Rows of polars frames, without values of other rows in shared buffers and dtypes.

polars itself is imported by the code that made the frame.
"""

import sys
from io import BytesIO
from typing import Any

from skunlearn._data.casting import check_order, is_numeric_cast, refuse_dtype
from skunlearn._data.versions import check_version

__all__ = [
    "cast_frame",
    "is_polars",
    "join_frames",
    "list_unordered",
    "list_values",
    "slice_rows",
    "stack_frames",
    "take_rows",
    "with_own_values",
    "with_sorted_values",
    "with_values",
]


def is_polars(X: Any) -> bool:
    """Return True if `X` is a polars frame."""
    polars = sys.modules.get("polars")
    if polars is None or not isinstance(X, polars.DataFrame):
        return False
    check_version("polars")
    return True


def take_rows(frame: Any, indices: Any) -> Any:
    """Return the rows at the given places."""
    return frame[indices]


def slice_rows(frame: Any, start: int, stop: int) -> Any:
    """Return the rows from `start` to `stop`."""
    return frame[start:stop]


def with_own_values(frame: Any) -> Any:
    """Rebuild all but numbers and dates: parts share the buffers of the whole.

    Enumerations are reduced to the values that occur, in their order.
    """
    own = [
        _with_own_values(frame[name])
        for name, dtype in frame.schema.items()
        if _shares_values(dtype)
    ]
    return frame.with_columns(own) if own else frame


def list_values(frame: Any) -> dict[str, Any]:
    """Return the dtypes of columns with enumerations, of the values that they use."""
    return {
        name: _find_own_dtype(frame[name])
        for name, dtype in frame.schema.items()
        if _has_enum(dtype)
    }


def list_unordered(frame: Any) -> dict[str, Any]:
    """Return nothing: enumerations have an order, and categories belong to polars."""
    return {}


def with_values(frame: Any, dtypes: dict[str, Any]) -> Any:
    """Return the frame with columns in dtypes of `list_values`, others missing."""
    cast = [
        _cast_enums(frame[name], dtype)
        for name, dtype in dtypes.items()
        if name in frame.schema
        and frame.schema[name] != dtype
        and _has_enum(frame.schema[name])
    ]
    return frame.with_columns(cast) if cast else frame


def with_sorted_values(frame: Any) -> Any:
    """Return the frame with own values: enumerations have an order."""
    return with_own_values(frame)


def cast_frame(frame: Any, held: Any) -> Any:
    """Return a frame in the dtypes of another, or raise ValueError.

    Enumerations stay as they are declared until the frames are joined.
    """
    return frame.with_columns(
        _cast_column(frame[name], held[name])
        for name, dtype in held.schema.items()
        if frame.schema[name] != dtype
    )


def stack_frames(frames: list[Any]) -> Any:
    """Return the rows of all frames, which have the same dtypes."""
    return sys.modules["polars"].concat(frames, how="vertical", rechunk=True)


def join_frames(first: Any, second: Any) -> Any:
    """Return the rows of `first` followed by those of `second`, in the same dtypes.

    Enumerations are in the order of `second`, which has all of their values declared.
    """
    first = first.cast({n: d for n, d in second.schema.items() if _is_enum(d)})
    polars = sys.modules["polars"]
    return with_own_values(polars.concat([first, second], how="vertical", rechunk=True))


def _is_enum(dtype: Any) -> bool:
    return isinstance(dtype, sys.modules["polars"].Enum)


def _cast_enums(column: Any, dtype: Any) -> Any:
    """Return a column of other enumerations; what they do not have is missing."""
    if _is_enum(dtype):
        return column.cast(dtype, strict=False)
    kind = sys.modules["polars"].Series  # casts do not reach into arrays
    return kind(column.name, column.to_list(), dtype=dtype, strict=False)


def _has_enum(dtype: Any) -> bool:
    inner = getattr(dtype, "inner", None)
    fields = [f.dtype for f in getattr(dtype, "fields", ())]
    if inner is not None:
        fields.append(inner)
    return _is_enum(dtype) or any(map(_has_enum, fields))


def _shares_values(dtype: Any) -> bool:
    """Return True if rows taken from a column share buffers with the others."""
    polars = sys.modules["polars"]
    texts = (polars.String, polars.Binary, polars.Categorical, polars.Enum)
    return dtype.is_nested() or isinstance(dtype, texts)


def _with_own_values(column: Any) -> Any:
    polars = sys.modules["polars"]
    if _is_enum(column.dtype):
        used = column.drop_nulls().unique().sort().to_list()
        return column.cast(polars.Enum(used))
    if column.dtype.is_nested():
        return polars.Series(
            column.name, column.to_list(), dtype=_find_own_dtype(column)
        )
    with BytesIO() as file:  # an old format without views, which are what is shared
        oldest = polars.CompatLevel.oldest()
        column.to_frame().write_ipc_stream(file, compat_level=oldest)
        file.seek(0)
        return polars.read_ipc_stream(file).to_series()


def _find_own_dtype(column: Any) -> Any:
    """Return the dtype of a column with reduced enumerations, however deep."""
    polars = sys.modules["polars"]
    dtype = column.dtype
    if _is_enum(dtype):
        return _with_own_values(column).dtype
    if isinstance(dtype, polars.List):
        return polars.List(_find_own_dtype(column.explode()))
    if isinstance(dtype, polars.Array):
        return polars.Array(_find_own_dtype(column.explode()), dtype.size)
    if isinstance(dtype, polars.Struct):
        fields = {f.name: column.struct.field(f.name) for f in dtype.fields}
        return polars.Struct({n: _find_own_dtype(c) for n, c in fields.items()})
    return dtype


def _cast_column(column: Any, held: Any) -> Any:
    """Return a column in the dtype of another, or raise ValueError."""
    name = f"column {column.name!r} of X"
    if _is_enum(column.dtype) and _is_enum(held.dtype):
        declared = column.dtype.categories.to_list()
        check_order(held.dtype.categories.to_list(), declared, name)
        return column
    new, old = (c.clear().to_numpy().dtype for c in (column, held))
    if is_numeric_cast(new, old):
        cast = column.cast(held.dtype, strict=False)
        if _count_misfits(cast) == _count_misfits(column):
            return cast
    raise refuse_dtype(name, column.dtype, held.dtype)


def _count_misfits(column: Any) -> int:
    """Return how many values are null or infinite, as those a cast has no place for."""
    n_infinite = column.is_infinite().sum() if column.dtype.is_float() else 0
    return column.null_count() + n_infinite

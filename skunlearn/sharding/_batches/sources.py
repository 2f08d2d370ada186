"""Where batches come from: iterables, dask data frames and parquet files."""

import os
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from skunlearn._data.containers import is_frame

__all__ = ["iterate_batches", "name_batch", "read_parquet"]

_MAX_ROWS = 1 << 16
_MAX_VALUES = 1 << 22  # read at a time: 32 MiB of numbers


def iterate_batches(
    batches: Any, target: Any, groups: Any
) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield the number of each batch, from 1 on, and its rows, labels and groups.

    What the source raises says in a note which batch it was asked for.
    """
    if target is None and groups is not None:
        raise ValueError(
            "`groups` names a column of batches that are data frames, and `target` the "
            f"column of labels; got groups={groups!r} without a target. Pass both, or "
            "batches of (X, y, groups)."
        )
    source = iter(_open(batches, target))
    for number in count(1):
        try:
            batch = next(source)
        except StopIteration:
            return
        except Exception as error:
            error.add_note(f"The iterable raised this when asked for batch {number}.")
            raise
        try:
            rows = _split(batch, target, groups)
        except Exception as error:
            name_batch(error, number)
            raise
        yield number, rows


def name_batch(error: Exception, number: int) -> None:
    """Say in a note which batch was the reason for an error."""
    error.add_note(f"This came of batch {number}, counted from 1.")


def _open(batches: Any, target: Any) -> Iterable[Any]:
    if isinstance(batches, (str, bytes, os.PathLike)):
        raise TypeError(
            "batches must be an iterable of (X, y) or (X, y, groups), or a dask data "
            "frame; got a path. For parquet files call fit_parquet."
        )
    if hasattr(batches, "to_delayed"):
        if target is None:
            raise ValueError(
                "a dask collection must be a data frame with a column of labels: pass "
                "its name as `target`."
            )
        return (partition.compute() for partition in batches.to_delayed())
    if is_frame(batches) or not isinstance(batches, Iterable):
        raise TypeError(
            "batches must be an iterable of (X, y) or (X, y, groups), or a dask data "
            f"frame; got {type(batches).__name__}. Call fit on rows that are in "
            "memory, or pass a list of batches."
        )
    return batches


def _split(batch: Any, target: Any, groups: Any) -> tuple[Any, ...]:
    """Return the rows, labels and groups of a batch."""
    if target is None:
        if isinstance(batch, (tuple, list)) and len(batch) in (2, 3):
            X, y, *others = batch
            return (X, y, others[0] if others else None)
        found = type(batch).__name__
        if isinstance(batch, (tuple, list)):
            found = f"a {found} of {len(batch)}"
        raise TypeError(
            f"each batch must be a tuple (X, y) or (X, y, groups); got {found}. If "
            "batches are data frames, name their column of labels as `target`."
        )
    if not is_frame(batch):
        raise TypeError(
            "with a `target`, each batch must be a data frame that has this column; "
            f"got {type(batch).__name__}."
        )
    names = [target] if groups is None else [target, groups]
    missing = [name for name in names if name not in batch.columns]
    if missing:
        raise ValueError(
            f"there is no column {missing[0]!r}; the columns are {list(batch.columns)}."
        )
    X = batch[[name for name in batch.columns if name not in names]]
    return X, batch[target], None if groups is None else batch[groups]


def read_parquet(path: Any) -> Iterator[Any]:
    """Yield the rows of parquet files as pandas frames of limited size.

    A column of integers in which a value is missing anywhere has floats everywhere, as
    it has where a file is read as a whole.
    """
    parquet = _import_parquet()
    files = _list_files(path)
    schema = parquet.read_schema(files[0])
    for file in files[1:]:
        other = parquet.read_schema(file)
        if not other.equals(schema):
            raise ValueError(
                f"all files must have the same columns and types; {files[0]} has\n"
                f"{schema.to_string(show_schema_metadata=False)}\nand {file} has\n"
                f"{other.to_string(show_schema_metadata=False)}"
            )
    gaps = _find_gaps(schema, [parquet.read_metadata(file) for file in files])
    n_rows = max(1, min(_MAX_ROWS, _MAX_VALUES // max(1, len(schema))))
    for place in files:
        with parquet.ParquetFile(place) as file:
            for i in range(file.num_row_groups):  # of all at once, many are decoded
                for batch in file.iter_batches(n_rows, row_groups=[i]):
                    yield _fill(batch, gaps).to_pandas()


def _import_parquet() -> Any:
    try:
        import pandas  # noqa: F401
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError(
            "fit_parquet needs the packages pyarrow and pandas. Install them with: "
            'pip install "skunlearn[parquet]"'
        ) from error
    return parquet


def _list_files(path: Any) -> list[Path]:
    """Return the files, those of a folder in the order of their names."""
    if not isinstance(path, (str, os.PathLike)):
        if not isinstance(path, Iterable) or isinstance(path, bytes):
            raise TypeError(
                "path must name a file or folder, or be a sequence of such names; got "
                f"{type(path).__name__}."
            )
        files = [file for each in path for file in _list_files(each)]
        if not files:
            raise ValueError("path must name a file or folder, or several; got none.")
        return files
    place = Path(os.path.expanduser(path))
    if not place.exists():
        raise FileNotFoundError(f"there is no file or folder {place}.")
    if not place.is_dir():
        return [place]
    names = (each.relative_to(place) for each in place.rglob("*.parquet"))
    inner = sorted(n for n in names if not any(p[0] in "_." for p in n.parts))
    if not inner:
        raise FileNotFoundError(f"{place} holds no file whose name ends in .parquet.")
    if any("=" in part for name in inner for part in name.parts[:-1]):
        raise ValueError(
            f"{place} has folders that stand for values of a column, such as "
            f"{inner[0].parent}, which are not read. Write files with all columns, or "
            "use fit_batches."
        )
    return [place / name for name in inner]


def _find_gaps(schema: Any, files: list[Any]) -> set[str]:
    """Return the columns of numpy's integers in which a value is missing anywhere."""
    dtypes = schema.empty_table().to_pandas().dtypes.items()
    integers = {
        str(name)
        for name, dtype in dtypes
        if isinstance(dtype, np.dtype) and dtype.kind in "iu"
    }
    gaps = set()
    for metadata in files:
        for group in map(metadata.row_group, range(metadata.num_row_groups)):
            for column in map(group.column, range(group.num_columns)):
                known = column.statistics
                if column.path_in_schema in integers and known and known.null_count:
                    gaps.add(column.path_in_schema)
    return gaps


def _fill(batch: Any, gaps: set[str]) -> Any:
    """Return a batch as a table, with some columns cast to floats."""
    import pyarrow as pa

    table = pa.Table.from_batches([batch])
    for name in sorted(gaps):
        place = table.schema.get_field_index(name)
        column = table.column(place).cast(pa.float64(), safe=False)
        table = table.set_column(place, name, column)
    return table

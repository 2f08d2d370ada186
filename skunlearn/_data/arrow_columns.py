"""Columns of arrow, without values of other rows in shared dictionaries and buffers.

pyarrow itself is imported by the code that made the column.
"""

import sys
from typing import Any

from skunlearn._data.versions import check_version

__all__ = [
    "is_dictionary",
    "is_self_contained",
    "list_dictionary",
    "list_used",
    "with_dictionary",
    "with_own_values",
]


def is_self_contained(dtype: Any) -> bool:
    """Return True if rows that are taken from a column have nothing of the others."""
    check_version("pyarrow")
    types = sys.modules["pyarrow"].types
    dtype = getattr(dtype, "storage_type", dtype)  # of an extension
    is_encoded = types.is_dictionary(dtype) or types.is_run_end_encoded(dtype)
    if is_encoded or types.is_union(dtype) or "_view" in str(dtype):
        return False
    fields = (dtype.field(i).type for i in range(dtype.num_fields))
    return all(map(is_self_contained, fields))


def with_own_values(column: Any) -> Any:
    """Rebuild a chunked array, with its own values only."""
    pyarrow = sys.modules["pyarrow"]
    dtype = column.type
    if not pyarrow.types.is_dictionary(dtype):
        return pyarrow.chunked_array([pyarrow.array(column.to_pylist(), dtype)])
    used = set(list_used(column))
    return with_dictionary(column, [v for v in list_dictionary(column) if v in used])


def is_dictionary(dtype: Any) -> bool:
    """Return True if a column chooses its values from a dictionary."""
    return bool(sys.modules["pyarrow"].types.is_dictionary(dtype))


def list_used(column: Any) -> list[Any]:
    """Return the values that the rows of a dictionary column have."""
    return column.cast(column.type.value_type).unique().drop_null().to_pylist()


def list_dictionary(column: Any) -> list[Any]:
    """Return the values that the rows of a dictionary column choose from."""
    chunks = column.unify_dictionaries().chunks
    return chunks[0].dictionary.to_pylist() if chunks else []


def with_dictionary(column: Any, values: list[Any]) -> Any:
    """Return a dictionary column with other values to choose from."""
    pyarrow = sys.modules["pyarrow"]
    dtype = column.type
    known = pyarrow.array(values, dtype.value_type)
    index_in = sys.modules["pyarrow.compute"].index_in
    encoded = [
        pyarrow.DictionaryArray.from_arrays(
            index_in(chunk, value_set=known).cast(dtype.index_type),
            known,
            ordered=dtype.ordered,
        )
        for chunk in column.cast(dtype.value_type).chunks
    ]
    return pyarrow.chunked_array(encoded, dtype)

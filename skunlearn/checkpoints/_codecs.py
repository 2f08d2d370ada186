"""From rows and models to bytes and back.

Numbers are in numpy's formats and frames in Arrow's, which hold data only. What these
do not hold unchanged, and all models, are pickled: reading them runs code. (joblib's
format, of earlier versions, makes two arrays of one that a model has under two names.)
"""

import codecs
import io
import pickle
from typing import Any

import joblib
import numpy as np
from scipy import sparse

from skunlearn._data.containers import is_frame

__all__ = ["decode", "encode"]

# Zip files need it. If it cannot be read when they are, Python never tries again.
codecs.lookup("cp437")


def encode(value: Any) -> tuple[str, bytes]:
    """Return the name of a format, and a value in it."""
    if isinstance(value, np.ndarray) and _is_plain(value):
        return "npy", _write(np.save, value, allow_pickle=False)
    if isinstance(value, dict) and all(map(_is_plain, value.values())):
        return "npz", _write(np.savez, **value)
    if sparse.issparse(value):
        return _encode_sparse(value)
    if is_frame(value):
        data = _encode_frame(value)
        if data is not None:
            return data
    return "pickle", pickle.dumps(value, protocol=5)


def decode(codec: str, data: bytes) -> Any:
    """Return the value that was encoded."""
    file = io.BytesIO(data)
    if codec == "npy":
        return np.load(file, allow_pickle=False)
    if codec == "npz":
        with np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    if codec == "csr":
        with np.load(file, allow_pickle=False) as arrays:
            parts = arrays["data"], arrays["indices"], arrays["indptr"]
            make = sparse.csr_array if arrays["is_array"] else sparse.csr_matrix
            return make(parts, shape=tuple(arrays["shape"].tolist()))
    if codec == "arrow":
        return _read_arrow(data)
    if codec == "polars":
        import polars

        return polars.read_ipc(file)
    return joblib.load(file) if codec == "joblib" else pickle.loads(data)


def _is_plain(value: Any) -> bool:
    return isinstance(value, np.ndarray) and not value.dtype.hasobject


def _write(save: Any, *values: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    save(file, *values, **options)
    return file.getvalue()


def _encode_sparse(X: Any) -> tuple[str, bytes]:
    arrays = {"data": X.data, "indices": X.indices, "indptr": X.indptr}
    shape, is_array = np.array(X.shape), np.array(isinstance(X, sparse.sparray))
    return "csr", _write(np.savez, **arrays, shape=shape, is_array=is_array)


def _encode_frame(frame: Any) -> tuple[str, bytes] | None:
    """Return a frame in Arrow's format, None if it would come back changed."""
    is_polars = type(frame).__module__.startswith("polars")
    codec = "polars" if is_polars else "arrow"
    try:
        data = _write(_write_polars, frame) if is_polars else _write_arrow(frame)
        other = decode(codec, data)
        is_same = _list_kinds(other) == _list_kinds(frame) and other.equals(frame)
    except Exception:  # no pyarrow, or mixed types: whatever it is, a pickle holds it
        return None
    return (codec, data) if is_same else None


def _list_kinds(frame: Any) -> list[Any]:
    """Return the type of each column, down to that of categories."""
    if type(frame).__module__.startswith("polars"):
        return list(frame.schema.items())
    kinds = [*frame.dtypes, frame.columns.dtype]
    listed = [getattr(kind, "categories", None) for kind in kinds]
    return kinds + [None if each is None else each.dtype for each in listed]


def _write_polars(file: Any, frame: Any) -> None:
    frame.write_ipc(file)


def _write_arrow(frame: Any) -> bytes:
    import pyarrow as pa

    if any(isinstance(dtype, np.dtype) and dtype.hasobject for dtype in frame.dtypes):
        raise TypeError("columns of objects")  # NaN among them would come back as None
    table = pa.Table.from_pandas(frame)
    table = table.take(np.arange(len(table)))  # a slice has the buffers of the whole
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _read_arrow(data: bytes) -> Any:
    import pyarrow as pa

    return pa.ipc.open_file(pa.BufferReader(data)).read_all().to_pandas()

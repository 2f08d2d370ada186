"""Search for traces of rows: the public function."""

import pickle
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from skunlearn._base import BaseUnlearningClassifier
from skunlearn._data.containers import take_rows
from skunlearn._runtime.warn import warn
from skunlearn.metrics._traces.needles import Needle, list_values, make_needles
from skunlearn.metrics._traces.scan import find_patterns

__all__ = ["Trace", "find_traces"]

_NEAR = 2**12  # bytes between short patterns that count together
_MAX_DEPTH = 8
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"PAR1": "parquet",
    b"\x78\x01": "zlib",
    b"\x78\x5e": "zlib",
    b"\x78\x9c": "zlib",
    b"\x78\xda": "zlib",
}


@dataclass(frozen=True)
class Trace:
    """A value of a row that was found. It does not hold the value.

    Parameters
    ----------
    row : int
        Index of the row in `X_rows`.
    column : int or str
        Index or name of the column.
    encoding : str
        How the value is stored there, such as "float64" or "utf-8".
    location : str
        The attribute of a model, the path of a file, or "bytes".
    offset : int
        Where the value begins, in the file, in the bytes, or in the pickle of the
        attribute.

    Examples
    --------
    >>> from skunlearn.metrics import find_traces
    >>> trace, = find_traces(b"name,Wilhelmina", [["Wilhelmina"]])
    >>> trace.row, trace.encoding, trace.location, trace.offset
    (0, 'utf-8', 'bytes', 5)
    """

    row: int
    column: int | str
    encoding: str
    location: str
    offset: int


def find_traces(obj: Any, X_rows: Any, *, X_retained: Any = None) -> list[Trace]:
    """Search a model, bytes or files for values of rows.

    Parameters
    ----------
    obj : object, bytes or path
        What to search: a fitted model, bytes such as a pickle, or the path of a file or
        directory (str or `os.PathLike`). All files of a directory are searched.
    X_rows : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
        The rows, as they were before they were forgotten.
    X_retained : {array-like, sparse matrix, data frame}, default=None
        Rows that are known to be in `obj`: a value that occurs in one of them is no
        trace. If None, the retained rows of a
        :class:`~skunlearn.ShardedUnlearningClassifier` or an
        :class:`~skunlearn.InfluenceUnlearningClassifier`, also at the end of a pipeline
        or chosen by a search, and none for other objects.

    Returns
    -------
    list of Trace
        What was found, and where; each value once per file or attribute and encoding.
        Empty if nothing was found.

    Raises
    ------
    FileNotFoundError
        If a path does not exist.
    TypeError
        If a model cannot be pickled.

    Warns
    -----
    UserWarning
        If bytes or a file look compressed, so that there may be more in them.

    Notes
    -----
    Numbers are looked for as float64 in either order of bytes, float32, int64, int32
    and decimal digits; texts in UTF-8, UTF-16 and UTF-32. These are the encodings in
    memory, in pickles, ``.npy``, Arrow and text files.

    Values of fewer than four significant digits or letters are in any file, and are not
    looked for. In a model whose retained rows are known, a float (with a fractional
    part) or a text that none of them has is a trace. Other values are traces if they
    have eight significant digits or letters, or if two values of one row are found.
    Patterns of less than eight bytes, such as a float32, are found by chance in large
    files, and count if another value of the row is within 4 KiB of them.

    It cannot see what is compressed or encrypted, what was scaled or rounded, or what a
    model has learned: :func:`audit_forget` is for that. The time is linear in the
    size of `obj`.

    Examples
    --------
    >>> import pickle
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skunlearn import ShardedUnlearningClassifier
    >>> from skunlearn.metrics import find_traces
    >>> X, y = load_iris(return_X_y=True)
    >>> X[7] = [5.0123, 3.4567, 1.5432, 0.2345]
    >>> classifier = ShardedUnlearningClassifier(KNeighborsClassifier(), random_state=0)
    >>> classifier.fit(X, y)
    ShardedUnlearningClassifier(estimator=KNeighborsClassifier(), random_state=0)
    >>> len(find_traces(pickle.dumps(classifier), X[[7]])) > 0
    True
    >>> find_traces(pickle.dumps(classifier.forget(7)), X[[7]])
    []
    """
    if isinstance(obj, (bytes, bytearray, memoryview)):
        needles = make_needles(X_rows, _list_known(X_retained))
        parts = iter([("bytes", np.frombuffer(obj, dtype=np.uint8))])
    elif isinstance(obj, str) or hasattr(obj, "__fspath__"):
        needles = make_needles(X_rows, _list_known(X_retained))
        parts = _open_files(Path(obj))
    else:
        return _search_model(obj, X_rows, X_retained)
    return [
        trace
        for location, data in parts
        if _warn_if_compressed(location, data)
        for trace in _search(data, needles, location, False)
    ]


def _list_known(X: Any) -> Any:
    return () if X is None else list_values(X)


def _open_files(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the path and the bytes of a file, or of all files in a directory."""
    if not path.exists():
        raise FileNotFoundError(
            f"there is no file or directory {str(path)!r}. Pass an existing path, or "
            "the bytes or the model itself."
        )
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in files:
        if file.is_file():
            size = file.stat().st_size
            empty = np.empty(0, dtype=np.uint8)
            yield str(file), np.memmap(file, np.uint8, "r") if size else empty


def _warn_if_compressed(location: str, data: np.ndarray) -> bool:
    """Say of which bytes only a part can be searched; they are searched anyway."""
    head = bytes(data[:8])
    for magic, name in _COMPRESSED.items():
        if head.startswith(magic):
            warn(
                f"{location} looks like {name}, which may be compressed: values in it "
                "cannot be found. Search what it decompresses to.",
                UserWarning,
            )
            break
    return True


# Models: their pickles, part by part


def _search_model(obj: Any, X_rows: Any, X_retained: Any) -> list[Trace]:
    known = X_retained is not None
    classifier = _find_classifier(obj)
    if X_retained is None and isinstance(classifier, BaseUnlearningClassifier):
        classifier._check_is_fitted()
        with classifier._reading() as state:
            rows = state.rows
            slots = rows.slot_of[rows.retained]
            values: Any = list_values(take_rows(rows.data.X, slots))
            known = True
    else:
        values = _list_known(X_retained)
    needles = make_needles(X_rows, values)
    return list(_descend(obj, needles, known, type(obj).__name__, 0))


def _find_classifier(obj: Any) -> Any:
    """Return the classifier at the end of pipelines, or that a search has chosen."""
    while not isinstance(obj, BaseUnlearningClassifier):
        if isinstance(obj, Pipeline):
            obj = obj.steps[-1][1]
        elif hasattr(obj, "best_estimator_"):
            obj = obj.best_estimator_
        else:
            break
    return obj


def _descend(
    obj: Any, needles: list[Needle], known: bool, path: str, depth: int
) -> Iterator[Trace]:
    """Yield traces with the innermost part of an object that has them."""
    pickled = _pickle(obj, depth)
    if pickled is None:
        return
    found = list(_search(pickled, needles, path, known))
    if not found:
        return
    mine = {(trace.row, trace.column, trace.encoding) for trace in found}
    left = [n for n in needles if (n.row, n.column, n.encoding) in mine]
    deeper: list[Trace] = []
    if depth < _MAX_DEPTH:
        for name, part in _iterate_parts(obj):
            deeper += _descend(part, left, known, path + name, depth + 1)
    yield from deeper
    seen = {(trace.row, trace.column, trace.encoding) for trace in deeper}
    for trace in found:
        if (trace.row, trace.column, trace.encoding) not in seen:
            yield trace


def _pickle(obj: Any, depth: int) -> np.ndarray | None:
    """Return the pickle of an object; a part that has none may be left out."""
    try:
        pickled = pickle.dumps(obj, protocol=5)
    except Exception as error:
        if depth > 0:
            return None
        raise TypeError(
            f"{type(obj).__name__} cannot be pickled, and so not be searched: {error}. "
            "Pass the bytes that you store of it."
        ) from error
    return np.frombuffer(pickled, dtype=np.uint8)


def _iterate_parts(obj: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(obj, dict):
        yield from ((f"[{key!r:.20}]", value) for key, value in obj.items())
    elif isinstance(obj, (list, tuple)):
        yield from ((f"[{i}]", value) for i, value in enumerate(obj))
    elif hasattr(obj, "__dict__") and not isinstance(obj, type):
        yield from ((f".{name}", value) for name, value in vars(obj).items())


# Bytes


def _search(
    data: np.ndarray, needles: list[Needle], location: str, known: bool
) -> Iterator[Trace]:
    """Yield traces in some bytes, in the order of rows and columns."""
    found: dict[int, list[int]] = defaultdict(list)
    for which, where in find_patterns(data, [n.pattern for n in needles]):
        needle, places = needles[which], where.tolist()
        if needle.needs_ends:
            places = [at for at in places if _is_whole(data, at, needle)]
        found[which] += places
    by_row: dict[int, list[tuple[Needle, list[int]]]] = defaultdict(list)
    for which in sorted(found):
        if found[which]:
            by_row[needles[which].row].append((needles[which], sorted(found[which])))
    for hits in by_row.values():
        for needle, offsets in hits:
            offset = _find_evidence(needle, offsets, hits, known)
            if offset is not None:
                yield Trace(
                    needle.row, needle.column, needle.encoding, location, offset
                )


def _is_whole(data: np.ndarray, start: int, needle: Needle) -> bool:
    """Whether a text is not a part of a longer word or number."""
    stop, unit = start + len(needle.pattern), needle.unit
    index = unit - 1 if needle.encoding.endswith("be") else 0
    before = data[start - unit + index] if start >= unit else 0
    after = data[stop + index] if stop + index < len(data) else 0
    return not (_continues(int(before)) or _continues(int(after)))


def _continues(byte: int) -> bool:
    return byte < 128 and chr(byte).isalnum()


def _find_evidence(
    needle: Needle,
    offsets: list[int],
    hits: list[tuple[Needle, list[int]]],
    known: bool,
) -> int | None:
    """Return where a value is a trace: alone, or with another one of its row."""
    if needle.is_sure and (
        needle.is_long or (known and (needle.is_float or needle.is_text))
    ):
        return offsets[0]
    if known and needle.is_text:
        return offsets[0]
    others = [(n, at) for n, at in hits if n.column != needle.column]
    if needle.is_sure and any(other.is_sure for other, _ in others):
        return offsets[0]
    near = np.sort(np.concatenate([[], *(at for _, at in others)]))
    for offset in offsets:
        i = np.searchsorted(near, [offset - _NEAR, offset + _NEAR])
        if i[0] < i[1]:
            return offset
    return None

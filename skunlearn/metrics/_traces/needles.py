"""What the values of rows look like in memory and in files."""

import math
import numbers
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from skunlearn._data.containers import is_frame

__all__ = ["Needle", "iterate_values", "list_values", "make_needles"]

_MIN_CHARACTERS = 4  # what is shorter is in any file
_MANY_CHARACTERS = 8  # what is as long is hardly in a file by chance
_SURE_BYTES = 8
_TEXTS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le")
_UNIT = {"utf-8": 1, "utf-16-le": 2, "utf-16-be": 2, "utf-32-le": 4}

Value = float | int | str


@dataclass(frozen=True)
class Needle:
    """One value of a row in one encoding.

    Parameters
    ----------
    row : int
        Index of the row.
    column : int or str
        Index or name of the column.
    encoding : str
        Name of the encoding.
    pattern : bytes
        The bytes to look for.
    unit : int
        Bytes per character of a text or of digits; 0 for a number.
    is_long : bool
        Whether the value has many digits or letters.
    is_float : bool
        Whether it is a number that is no integer.
    """

    row: int
    column: int | str
    encoding: str
    pattern: bytes
    unit: int
    is_long: bool
    is_float: bool

    @property
    def is_sure(self) -> bool:
        """Whether the pattern is too long to be found by chance."""
        return len(self.pattern) >= _SURE_BYTES

    @property
    def needs_ends(self) -> bool:
        """Whether the value must not be a part of a longer word or number."""
        return self.unit > 0 and not (self.is_text and self.is_long)

    @property
    def is_text(self) -> bool:
        """Whether the value is a text, and not the digits of a number."""
        return self.unit > 0 and not self.encoding.startswith("digits")


def iterate_values(X: Any) -> Iterator[tuple[int, int | str, Value]]:
    """Yield row, column and value of all numbers and texts that are not missing."""
    if is_frame(X):
        for name in X.columns:
            for row, value in enumerate(X[name].to_numpy()):
                yield from _normalise(row, name, value)
    elif sparse.issparse(X):
        stored = X.tocoo()
        for row, column, value in zip(*stored.coords, stored.data, strict=True):
            yield from _normalise(int(row), int(column), value)
    else:
        X = np.asarray(X, dtype=object) if isinstance(X, (list, tuple)) else X
        if X.ndim > 2 or (X.ndim < 2 and X.dtype.kind in "biuf"):
            raise ValueError(
                "rows of shape (n_rows, n_features) are required; got the shape "
                f"{X.shape}. Pass X.reshape(1, -1) for a single row."
            )
        for (row, column), value in np.ndenumerate(X if X.ndim == 2 else X[:, None]):
            yield from _normalise(row, column, value)


def _normalise(row: int, column: Any, value: Any) -> Iterator[tuple[int, Any, Value]]:
    """Yield a value as a number or text of Python's; none if it is missing."""
    if isinstance(value, (bool, np.bool_)) or value is None:
        return
    if isinstance(value, str):
        yield row, column, str(value)
    elif isinstance(value, numbers.Integral):
        yield row, column, int(value)
    elif isinstance(value, numbers.Real):
        if math.isfinite(value):
            yield row, column, float(str(value))  # float32 has digits of its own
    elif value == value:  # NaT is not
        yield row, column, str(value)


def list_values(X: Any) -> set[Value]:
    """Return the values of rows, in which a float of the same value as an int is one.

    Arrays of numbers are read as a whole: there may be many.
    """
    if isinstance(X, np.ndarray) and X.dtype.kind in "fiu":
        values = np.unique(X)
        if values.dtype == np.float32:
            return {float(str(value)) for value in values}
        return set(values.tolist())
    return {value for _, _, value in iterate_values(X)}


def make_needles(X: Any, known: Collection[Value]) -> list[Needle]:
    """Return all that is to be looked for: values that are not known otherwise."""
    return [
        Needle(row, column, encoding, pattern, unit, size >= _MANY_CHARACTERS, is_float)
        for row, column, value in iterate_values(X)
        if value not in known
        if (size := _count_characters(value)) >= _MIN_CHARACTERS
        for is_float in [isinstance(value, float) and not value.is_integer()]
        for encoding, pattern, unit in _encode(value)
    ]


def _count_characters(value: Value) -> int:
    """Return the significant digits of a number, or the letters of a text."""
    if isinstance(value, str):
        return sum(character.isalnum() for character in value)
    mantissa = repr(value).lstrip("-").partition("e")[0]
    digits = mantissa.replace(".", "").lstrip("0")
    is_whole = "." not in mantissa or mantissa.endswith(".0")
    digits = digits.removesuffix("0") if mantissa.endswith(".0") else digits
    return len(digits) if is_whole else len(digits.rstrip("0"))


def _encode(value: Value) -> Iterator[tuple[str, bytes, int]]:
    """Yield the name of each encoding, the bytes, and the bytes per character."""
    if isinstance(value, str):
        for name in _TEXTS:
            yield name, value.encode(name, "surrogatepass"), _UNIT[name]
        return
    yield from _encode_number(float(value))
    text = repr(value)
    if float(value).is_integer() and abs(value) < 2**63:
        yield from _encode_integer(int(value))
        text = str(int(value))
    for name in _TEXTS[:2]:
        yield f"digits in {name}", text.encode(name), _UNIT[name]


def _encode_number(value: float) -> Iterator[tuple[str, bytes, int]]:
    yield "float64", struct.pack("<d", value), 0
    yield "float64, big-endian (pickle)", struct.pack(">d", value), 0
    yield from _encode_in_text("float64", struct.pack("<d", value))
    if abs(value) < np.finfo(np.float32).max:
        yield "float32", struct.pack("<f", value), 0
        yield from _encode_in_text("float32", struct.pack("<f", value))


def _encode_in_text(name: str, pattern: bytes) -> Iterator[tuple[str, bytes, int]]:
    """Yield bytes as pickles of protocols 1 and 2 have them: as a text."""
    text = pattern.decode("latin-1").encode()
    if text != pattern:
        yield f"{name} as text (pickle)", text, 0


def _encode_integer(value: int) -> Iterator[tuple[str, bytes, int]]:
    yield "int64", struct.pack("<q", value), 0
    if abs(value) < 2**31:
        yield "int32 (pickle)", struct.pack("<i", value), 0
    else:
        size = value.bit_length() // 8 + 1
        if size < 8:
            pattern = value.to_bytes(size, "little", signed=True)
            yield "long (pickle)", bytes([0x8A, size]) + pattern, 0

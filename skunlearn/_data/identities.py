"""Identities of rows and their keyed hashes: pure functions of an id and a key.

The identity of a row is its group or, without groups, its position. Only hashes of it
are kept. The key is kept beside them, so a guess can be tested (a repeated request is
known by that), but there is no formula that leads from a hash back to the id.
"""

import hashlib
import struct
import sys
import uuid
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from skunlearn._data.hashing import hash_integer, hash_positions
from skunlearn._data.vectors import Named, as_vector, list_ids
from skunlearn.exceptions import ForgetIndexError

__all__ = [
    "GroupIndex",
    "as_ids",
    "find_kinds",
    "hash_groups",
    "hash_identities",
]


def hash_groups(groups: Any, key: int) -> np.ndarray:
    """Return the keyed hash of each group id.

    Parameters
    ----------
    groups : array-like of shape (n_samples,)
        Group ids, as `as_ids` takes them.
    key : int
        The 64-bit key.

    Returns
    -------
    ndarray of uint64, shape (n_samples,)
        The hashes.

    Raises
    ------
    ValueError
        If an id is missing (None, NaN, NaT, NA).
    TypeError
        If an id is of a type that cannot be one.
    """
    ids = as_ids(groups)
    if ids.dtype != object:
        return hash_positions(ids, key)
    known: dict[int | bytes, int] = {}
    hashes = np.empty(len(ids), dtype=np.uint64)
    for i, value in enumerate(ids):
        name = _name(value)
        if name not in known:
            known[name] = _hash_name(name, key)
        hashes[i] = known[name]
    return hashes


def hash_identities(
    groups: Any, n_samples: int, key: int, first_position: int = 0
) -> np.ndarray:
    """Return the keyed hash of each row's identity: its group or else its position.

    Parameters
    ----------
    groups : array-like of shape (n_samples,), or None
        Group ids; without them the positions count on from `first_position`.
    n_samples : int
        Number of rows.
    key : int
        The 64-bit key.
    first_position : int, default=0
        Position of the first row.

    Returns
    -------
    ndarray of uint64, shape (n_samples,)
        The hashes.

    Raises
    ------
    ValueError
        If there is not one id for each row, or an id is missing.
    """
    if groups is None:
        positions = np.arange(first_position, first_position + n_samples)
        return hash_positions(positions, key)
    ids = as_ids(groups)
    if ids.shape != (n_samples,):
        raise ValueError(
            f"groups must hold one group id for each of the {n_samples} rows; got "
            f"shape {ids.shape}."
        )
    return hash_groups(ids, key)


def as_ids(groups: Any) -> np.ndarray:
    """Return group ids as an array of int64 or of the objects that they are.

    Ids are integers, strings, bytes, floats, dates, times or UUIDs. Those that are
    equal are one id whatever their type and the container they come in: 1, 1.0 and
    True, or one instant in any unit of numpy, as a datetime or a timestamp of pandas.
    Times with a zone are compared in UTC and differ from all times without one. A date
    is the instant without zone at which it begins.

    Parameters
    ----------
    groups : array-like of shape (n_samples,) or a single id
        The ids.

    Returns
    -------
    ndarray of at most one dimension
        The ids, a single one in no dimension.

    Raises
    ------
    ValueError
        If there are more dimensions, or masked elements.
    TypeError
        If `groups` is a container without order, or used up by reading.
    """
    vector = as_vector(_with_zone(groups), "groups")
    kind = vector.dtype.kind
    if kind in "bi" or (kind == "u" and vector.max(initial=0) < 2**63):
        return vector.astype(np.int64)
    if kind in "mM":  # astype would make integers of nanoseconds
        objects = np.fromiter(vector.ravel(), dtype=object, count=vector.size)
        return objects.reshape(vector.shape)
    return vector.astype(object, copy=False)


def _with_zone(groups: Any) -> Any:
    """Make a list of a polars series of times: as an array they lose their zone."""
    dtype: Any = getattr(groups, "dtype", None)
    if getattr(dtype, "time_zone", None) is None:
        return groups
    if dtype.time_unit == "ns":
        raise TypeError(
            f"groups must not be of dtype {dtype}: polars hands times of a zone out in "
            'microseconds. Cast it to time_unit="us", or to an integer.'
        )
    return groups.to_list()


def _name(value: Any) -> int | bytes:
    """Return an integer of 64 bits or bytes, equal for equal ids and no others."""
    if isinstance(value, str):
        return b"s" + value.encode("utf-8", "surrogatepass")
    if isinstance(value, bytes):
        return b"b" + value
    if isinstance(value, uuid.UUID):
        return b"u" + value.bytes
    if isinstance(value, np.timedelta64):  # would pass for an integer
        raise _wrong_type(value)
    if isinstance(value, (int, np.integer, np.bool_)):
        return _name_integer(int(value))
    if _is_missing(value):
        raise ValueError(
            "groups has a missing value (None, NaN, NaT or NA), which identifies no "
            "group. Leave it out of a request; at fit, give each row without a group "
            "an id of its own."
        )
    if isinstance(value, (float, np.float32, np.float16)):
        if float(value).is_integer():
            return _name_integer(int(value))
        return b"f" + struct.pack("<d", value)
    if isinstance(value, (date, np.datetime64)):
        return _name_time(value)
    raise _wrong_type(value)


def _name_integer(value: int) -> int | bytes:
    return value if -(2**63) <= value < 2**63 else b"i%x" % value


def _name_time(value: Any) -> bytes:
    """Return the time to the second and as many decimals as it has, in UTC if zoned."""
    tag = "t"
    if isinstance(value, np.datetime64):
        text = str(value + np.timedelta64(0, "s"))  # in seconds or a finer unit
    elif isinstance(value, datetime):
        if value.utcoffset() is not None:
            tag, value = "z", _to_utc(value)
        text = value.replace(tzinfo=None).isoformat()
    else:
        text = f"{value.isoformat()}T00:00:00"
    if "." in text:
        text = text.rstrip("0").removesuffix(".")
    return (tag + text).encode()


def _to_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(
            f"groups has a time that is outside the calendar in UTC: {value}."
        ) from error


def _is_missing(value: Any) -> bool:
    if isinstance(value, (float, np.floating, date, np.datetime64)):
        return bool(value != value)
    return value is None or value is getattr(sys.modules.get("pandas"), "NA", None)


def _wrong_type(value: Any) -> TypeError:
    return TypeError(
        "groups must hold integers, strings, bytes, floats, dates, times or UUIDs; got "
        f"{type(value).__name__}. Convert it to a string, for example."
    )


def _hash_name(name: int | bytes, key: int) -> int:
    """Return the keyed hash of a name; of an integer, that of the position."""
    if isinstance(name, int):
        return hash_integer(name, key)
    digest = hashlib.blake2b(name, digest_size=8, key=key.to_bytes(8, "little"))
    return int.from_bytes(digest.digest(), "little")


def find_kinds(groups: Any) -> frozenset[str]:
    """Return what kinds of ids there are, in words."""
    ids = np.atleast_1d(as_ids(groups))
    types = {int} if ids.dtype != object else set(map(type, ids))
    return frozenset(
        name
        for name, kinds in _KINDS.items()
        if any(issubclass(each, kinds) for each in types)
    )


_KINDS: dict[str, tuple[type, ...]] = {
    "integers": (int, np.integer, np.bool_),
    "floats": (float, np.floating),
    "strings": (str,),
    "bytes": (bytes,),
    "dates or times": (date, np.datetime64),
    "UUIDs": (uuid.UUID,),
}
_NUMBERS = frozenset({"integers", "floats"})  # which may be equal


@dataclass(frozen=True, eq=False)
class GroupIndex:
    """Which positions belong to each group, whose ids are kept as keyed hashes only.

    Two groups fall together if their hashes are equal. Among a million groups that
    happens with probability 3e-8.

    Parameters
    ----------
    hashes : ndarray of uint64, shape (n_positions,)
        Hash of the group of each position.
    key : int
        The key of the hashes.
    kinds : frozenset of str
        What kinds of ids were ever given, as "strings". It says nothing of any row.
    """

    hashes: np.ndarray
    key: int
    kinds: frozenset[str] = frozenset()
    order: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", np.argsort(self.hashes, kind="stable"))

    def extend(self, hashes: np.ndarray, kinds: frozenset[str]) -> "GroupIndex":
        """Return the index with the groups of further rows."""
        hashes = np.concatenate([self.hashes, hashes])
        return GroupIndex(hashes, self.key, self.kinds | kinds)

    def find(self, groups: Any, unknown: str = "raise") -> Named:
        """Return the positions of the given groups, forgotten ones included.

        Raises
        ------
        ForgetIndexError
            If an id cannot be one, or is unknown and `unknown` is "raise".
        """
        ids, hashes = self._hash(groups)
        first, last = self._find_bounds(hashes)
        others = np.flatnonzero(first == last)
        others = others[np.sort(np.unique(hashes[others], return_index=True)[1])]
        if len(others) and unknown == "raise":
            n_groups = len(np.unique(hashes))
            raise ForgetIndexError(self._explain_unknown(ids[others], n_groups))
        return Named(self._join(first, last), len(others))

    def has_rows(self, groups: Any, is_among: np.ndarray) -> np.ndarray:
        """Return a mask of the given groups that have a row among some positions."""
        first, last = self._find_bounds(self._hash(groups)[1])
        spans = zip(first, last, strict=True)
        return np.array([is_among[self.order[a:b]].any() for a, b in spans], dtype=bool)

    def names_others(self, positions: np.ndarray) -> bool:
        """Return True if some positions, read as group ids, name other rows.

        Ids of the rows' own groups do not count, nor do groups that are named as a
        whole by their positions too.
        """
        if not self.kinds & _NUMBERS:
            return False
        hashes = hash_positions(positions, self.key)
        hashes = hashes[hashes != self.hashes[positions]]
        rows = self._join(*self._find_bounds(hashes))
        return len(rows) > 0 and not np.isin(rows, positions).all()

    def _hash(self, groups: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the ids of a request, and their hashes."""
        try:
            ids = np.atleast_1d(as_ids(groups))
            return ids, hash_groups(ids, self.key)
        except (TypeError, ValueError, OverflowError) as error:
            raise ForgetIndexError(str(error)) from error

    def _find_bounds(self, hashes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return from where to where the rows of each group stand in the order."""
        first = np.searchsorted(self.hashes, hashes, side="left", sorter=self.order)
        last = np.searchsorted(self.hashes, hashes, side="right", sorter=self.order)
        return first, last

    def _join(self, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        parts = [self.order[a:b] for a, b in zip(first, last, strict=True)]
        return np.concatenate([np.empty(0, dtype=np.int64), *parts])

    def _explain_unknown(self, ids: np.ndarray, n_groups: int) -> str:
        message = (
            f"{len(ids)} of {n_groups} groups were not among those given to fit, the "
            f"first of them {list_ids(ids)}. Use unknown='ignore' to leave unknown "
            "groups out, or has_groups to find those that have rows."
        )
        known = self.kinds | (_NUMBERS if self.kinds & _NUMBERS else frozenset())
        others = " and ".join(sorted(find_kinds(ids) - known))
        if not others:
            return message
        given = " and ".join(sorted(self.kinds))
        return f"{message} Some are {others}, but fit was given {given}: convert them."

"""Find out what a forget request means: pure functions with their own messages."""

import numbers
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from skunlearn._data.habits import advise, refuse_habits
from skunlearn._data.identities import GroupIndex
from skunlearn._data.rows import Rows
from skunlearn._data.vectors import Named, as_vector, list_ids
from skunlearn._runtime.warn import warn
from skunlearn.exceptions import ForgetIndexError

__all__ = [
    "Request",
    "check_positions",
    "refuse_labels",
    "resolve",
    "use_groups",
    "warn_of_ambiguity",
]

_EXPECTED = (
    "X_idx must be an integer, a sequence or array of integers, a slice, or a boolean "
    "mask over all positions"
)
_MIN_REPEATS = 10  # of each position, on average, from which integers are labels

_P = ParamSpec("_P")
_Self = TypeVar("_Self")
_Result = TypeVar("_Result")
_Method = Callable[Concatenate[_Self, _P], _Result]


def _tell_time() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _no_positions() -> np.ndarray:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Request:
    """A checked forget request.

    Parameters
    ----------
    positions : ndarray
        Distinct positions of the request that are still retained.
    n_requested : int
        Number of distinct positions of the request.
    n_unknown : int, default=0
        Number of distinct ids that were ignored, since there are no such rows.
    is_ambiguous : bool, default=False
        Whether positions would name other rows if they were read as ids of groups.
    requested_at : str
        When work on it began, in UTC.
    named : ndarray
        All distinct positions of the request, those already forgotten included.
    request_id : str or None
        What its sender calls it.
    """

    positions: np.ndarray
    n_requested: int
    n_unknown: int = 0
    is_ambiguous: bool = False
    requested_at: str = field(default_factory=_tell_time)
    named: np.ndarray = field(default_factory=_no_positions)
    request_id: str | None = None

    @property
    def counts(self) -> dict[str, Any]:
        """Return the fields of a record that say what was requested."""
        return {
            "n_requested": self.n_requested,
            "n_forgotten": len(self.positions),
            "n_already_forgotten": self.n_requested - len(self.positions),
            "n_unknown": self.n_unknown,
            "requested_at": self.requested_at,
            "request_id": self.request_id,
        }

    @classmethod
    def nothing(cls) -> "Request":
        """Return the empty request."""
        return cls(_no_positions(), 0)

    @classmethod
    def of(cls, positions: np.ndarray, rows: Rows, **known: Any) -> "Request":
        """Return the request that names distinct positions."""
        retained = positions[rows.retained[positions]]
        return cls(retained, len(positions), named=positions, **known)


def resolve(
    X_idx: Any, groups: Any, unknown: str, rows: Rows, index: GroupIndex | None
) -> Request:
    """Return the request that names rows by position, by group or both.

    Parameters
    ----------
    X_idx : object
        What is to be read as positions, or None.
    groups : object
        What is to be read as ids of groups, or None.
    unknown : {"raise", "ignore"}
        What to do about positions and groups that never were.
    rows : Rows
        The rows.
    index : GroupIndex or None
        Their groups, if they have any.

    Raises
    ------
    ForgetIndexError
        If the request is empty, malformed, or names what is unknown.
    """
    if not (isinstance(unknown, str) and unknown in ("raise", "ignore")):
        raise ValueError(f"unknown must be 'raise' or 'ignore'; got {unknown!r}.")
    if X_idx is None and groups is None:
        raise ForgetIndexError(
            "the request is empty: pass X_idx (positions in the X passed to fit), "
            "groups (ids as passed to fit), or both."
        )
    named, is_ambiguous = [], False
    if X_idx is not None:
        named.append(check_positions(X_idx, rows.n_positions, unknown))
    if groups is not None:
        named.append(use_groups(index).find(groups, unknown))
    elif index is not None and named[0].by_number:
        is_ambiguous = index.names_others(named[0].positions)
    positions = np.concatenate([each.positions for each in named])
    if len(positions) > 1:
        positions = np.unique(positions)
    n_unknown = sum(each.n_unknown for each in named)
    return Request.of(positions, rows, n_unknown=n_unknown, is_ambiguous=is_ambiguous)


def use_groups(index: GroupIndex | None) -> GroupIndex:
    """Return the groups that a request asks for, if there are any."""
    if index is None:
        raise ForgetIndexError(
            "groups were requested, but fit was called without groups. Forget by "
            "position (X_idx), or fit with groups."
        )
    return index


def warn_of_ambiguity(request: Request) -> None:
    """Say how integers are read that would name other rows as ids of groups."""
    if request.is_ambiguous:
        warn(
            "X_idx was read as positions of rows, but its integers are also ids of "
            "other rows' groups. If ids were meant, pass groups=... instead; masks and "
            "slices are always positions, and do not warn.",
            UserWarning,
        )


def check_positions(X_idx: Any, n_positions: int, unknown: str = "raise") -> Named:
    """Return the positions that `X_idx` names.

    Parameters
    ----------
    X_idx : int, sequence of int, array of int, slice or boolean mask
        Positions in the data first given to ``fit``. Negative integers are unknown: a
        position is a name, and it must not depend on how many rows there are. Slices
        mean what they mean for a list. The labels of a series do not count.
    n_positions : int
        How many positions there are, forgotten ones included.
    unknown : {"raise", "ignore"}, default="raise"
        Whether integers that are no positions are an error, or counted.

    Returns
    -------
    Named
        The positions.

    Raises
    ------
    ForgetIndexError
        If `X_idx` is of another kind, or names a position that does not exist.
    """
    if isinstance(X_idx, slice):
        return _check_slice(X_idx, n_positions)
    if type(X_idx) is int:
        X_idx = [X_idx]
    if type(X_idx) is list and set(map(type, X_idx)) == {int}:
        return _check_integers(np.array(X_idx), n_positions, unknown)
    refuse_habits(X_idx)
    try:
        vector = as_vector(X_idx, "X_idx")
    except (TypeError, ValueError) as error:
        raise ForgetIndexError(str(error)) from error
    if _is_mask(vector):
        return _check_mask(vector.astype(bool), n_positions)
    return _check_integers(np.atleast_1d(vector), n_positions, unknown)


def _check_slice(X_idx: slice, n_positions: int) -> Named:
    try:
        return Named(np.arange(*X_idx.indices(n_positions), dtype=np.int64))
    except (TypeError, ValueError) as error:
        raise ForgetIndexError(
            f"X_idx is a slice that a list would not take: {error}."
        ) from error


def _is_mask(vector: np.ndarray) -> bool:
    if vector.dtype == object and vector.shape != () and len(vector):
        return all(isinstance(value, (bool, np.bool_)) for value in vector)
    return vector.dtype == bool and vector.shape != ()


def _check_mask(mask: np.ndarray, n_positions: int) -> Named:
    if len(mask) != n_positions:
        raise ForgetIndexError(
            f"X_idx is a boolean mask of length {len(mask)}, but there are "
            f"{n_positions} positions (those already forgotten count on)."
        )
    return Named(np.flatnonzero(mask))


def _check_integers(vector: np.ndarray, n_positions: int, unknown: str) -> Named:
    if len(vector) == 0:
        return Named(np.empty(0, dtype=np.int64))
    if not _holds_integers(vector):
        raise ForgetIndexError(
            f"{_EXPECTED}; got {_describe(vector)}. {advise(vector)}"
        )
    is_known = (vector >= 0) & (vector < n_positions)
    others = []
    if not is_known.all():
        others = list(dict.fromkeys(vector[~is_known].tolist()))
        vector = vector[is_known]
    if others and unknown == "raise":
        raise ForgetIndexError(
            f"X_idx names {len(others)} positions that do not exist, the first of them "
            f"{list_ids(others)}. Positions count from 0 to {n_positions - 1}, as in "
            "the data given to fit, and are never renumbered. Ids of groups are passed "
            "as groups=..., and unknown='ignore' leaves unknown ones out."
        )
    positions = vector.astype(np.int64)
    _check_repeats(positions, n_positions)
    return Named(positions, len(others), by_number=True)


def _check_repeats(positions: np.ndarray, n_positions: int) -> None:
    """Refuse integers with one of few values for each row: no request is like that."""
    if len(positions) != n_positions:
        return
    n_distinct = len(np.unique(positions))
    if n_distinct * _MIN_REPEATS <= n_positions:
        raise ForgetIndexError(
            f"X_idx has one integer for each of the {n_positions} rows, but only "
            f"{n_distinct} different ones, like class labels or a mask of 0 and 1. "
            "Pass the positions of the rows to forget: numpy.flatnonzero(y == label), "
            "for example."
        )


def _holds_integers(vector: np.ndarray) -> bool:
    if vector.dtype == object:
        return all(map(_is_integer, vector))
    return vector.dtype.kind in "iu"


def _is_integer(value: Any) -> bool:
    others = (bool, np.timedelta64)  # integers by inheritance only
    return isinstance(value, numbers.Integral) and not isinstance(value, others)


def _describe(vector: np.ndarray) -> str:
    if vector.dtype != object:
        return f"elements of dtype {vector.dtype}"
    names = sorted({type(value).__name__ for value in vector})
    return f"elements of type {' and '.join(names)}"


class ForgetCallError(ForgetIndexError, TypeError):
    """Exception for arguments without names: a bad request, and a bad call."""


def refuse_labels(method: _Method[_Self, _P, _Result]) -> _Method[_Self, _P, _Result]:
    """Explain what a method takes if it is called like ``fit``, with X and y."""

    @wraps(method)
    def checked(self: _Self, /, *args: _P.args, **kwargs: _P.kwargs) -> _Result:
        if len(args) > 1:
            raise ForgetCallError(
                f"{method.__name__} takes only X_idx without its name; got {len(args)} "
                "arguments. X_idx are positions in the X passed to fit, and features "
                "or labels are not needed. Pass the rest by name, such as groups=..."
            )
        return method(self, *args, **kwargs)

    return checked

"""Find out what a forget request means."""

from typing import Any

import numpy as np

from skunlearn._data.identities import GroupIndex
from skunlearn._data.positions import check_positions
from skunlearn._data.rows import Rows
from skunlearn._records import Request
from skunlearn._runtime.warn import warn
from skunlearn.exceptions import ForgetIndexError

__all__ = ["resolve", "use_groups", "warn_of_ambiguity"]


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
    positions = np.unique(np.concatenate([each.positions for each in named]))
    retained = positions[rows.retained[positions]]
    n_unknown = sum(each.n_unknown for each in named)
    return Request(retained, len(positions), n_unknown, is_ambiguous)


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

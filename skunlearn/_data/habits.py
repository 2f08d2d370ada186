"""What users pass to ``forget`` by habit in place of positions, and what to say."""

from typing import Any

import numpy as np

from skunlearn.exceptions import ForgetIndexError

__all__ = ["advise", "refuse_habits"]


def refuse_habits(X_idx: Any) -> None:
    """Raise an error of its own for each kind of object that is no request.

    Raises
    ------
    ForgetIndexError
        If `X_idx` is an index of labels, a single bool, a text, or has rows.
    """
    if hasattr(X_idx, "get_indexer"):
        raise ForgetIndexError(
            f"X_idx is of type {type(X_idx).__name__}, an index: its labels are no "
            "positions. With the index of the frame passed to fit, "
            "index.get_indexer(X_idx) gives the positions of labels; "
            "index.isin(X_idx) is a mask."
        )
    if isinstance(X_idx, (bool, np.bool_)) or _is_bool_without_dimension(X_idx):
        raise ForgetIndexError(
            f"X_idx is {bool(X_idx)}, which is neither a position nor a mask. A mask "
            "has one bool for each position."
        )
    if isinstance(X_idx, (str, bytes, bytearray)):
        raise ForgetIndexError(
            f"X_idx is of type {type(X_idx).__name__}, and positions are integers. Ids "
            "of groups are passed as groups=..."
        )
    if _has_rows(X_idx):
        raise ForgetIndexError(
            f"X_idx has rows and columns{_describe_shape(X_idx)}, and must have one "
            "dimension: it takes no features, but the positions of the rows to forget "
            "in the X passed to fit."
        )


def _is_bool_without_dimension(X_idx: Any) -> bool:
    return isinstance(X_idx, np.ndarray) and X_idx.shape == () and X_idx.dtype == bool


def _has_rows(X_idx: Any) -> bool:
    """Return True for what is like features: frames, matrices, nested sequences."""
    shape = getattr(X_idx, "shape", None)
    if isinstance(shape, tuple):
        return len(shape) > 1
    if isinstance(X_idx, (list, tuple)):
        nested = (list, tuple)
        return any(isinstance(row, nested) or getattr(row, "ndim", 0) for row in X_idx)
    return False


def _describe_shape(X_idx: Any) -> str:
    return f" (shape {X_idx.shape})" if hasattr(X_idx, "shape") else ""


def advise(vector: np.ndarray) -> str:
    """Return what to do about elements that are no integers."""
    if vector.dtype.kind in "USTO" and all(isinstance(v, str) for v in vector):
        return (
            "If they are ids of groups, pass them as groups=...; if they are class "
            "labels, numpy.flatnonzero(y == label) gives positions."
        )
    if vector.dtype.kind == "f" or all(isinstance(v, float) for v in vector):
        return (
            "Neither features nor labels are looked up. If they are positions, convert "
            "them first: numpy.asarray(X_idx, dtype=int)."
        )
    return "Convert it first, with numpy.asarray(X_idx, dtype=int) for example."

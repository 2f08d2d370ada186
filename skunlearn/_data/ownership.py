"""Whose memory an array is in."""

from mmap import mmap
from typing import Any

import numpy as np

__all__ = ["is_file_backed"]


def is_file_backed(array: np.ndarray) -> bool:
    """Return True if an array is, or is a part of, a file that is mapped to memory."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, mmap)

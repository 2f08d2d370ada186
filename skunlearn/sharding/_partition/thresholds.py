"""Thresholds in the order of (value, hash), fixed once and applied to any rows."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Thresholds"]


@dataclass(frozen=True, eq=False)
class Thresholds:
    """Where the next part begins, in the order of values and then of hashes.

    Parameters
    ----------
    values : ndarray of shape (n_thresholds,)
        Values, ascending.
    hashes : ndarray of uint64, shape (n_thresholds,)
        Hashes, ascending where values are equal.
    """

    values: np.ndarray
    hashes: np.ndarray

    @classmethod
    def at_quantiles(cls, values: np.ndarray, sizes: np.ndarray) -> "Thresholds":
        """Cut into parts of sizes in proportion to the given ones.

        Among equal values they are shares of the space of hashes. The thresholds depend
        on the values and how many there are, not on hashes.
        """
        levels, counts = np.unique(values, return_counts=True)
        above = np.cumsum(counts)
        ends = np.cumsum(sizes)
        targets = len(values) * ends[:-1] / ends[-1]
        level = np.searchsorted(above, targets, side="right")
        level = np.minimum(level, len(levels) - 1)  # where a sum is rounded upwards
        share = (targets - (above - counts)[level]) / counts[level]
        share = np.minimum(share, np.nextafter(1, 0))
        return cls(levels[level], (share * 2.0**64).astype(np.uint64))

    def find(self, values: np.ndarray | None, hashes: np.ndarray) -> np.ndarray:
        """Return the number of the part that each row falls in.

        Without values all are taken to be equal.
        """
        if values is None:
            return np.searchsorted(self.hashes, hashes, side="right")
        parts = np.searchsorted(self.values, values, side="left")
        parts_above = np.searchsorted(self.values, values, side="right")
        tied = np.flatnonzero(parts < parts_above)
        if len(tied):
            for value in np.unique(values[tied]):
                rows = tied[values[tied] == value]
                thresholds = self.hashes[self.values == value]
                parts[rows] += np.searchsorted(thresholds, hashes[rows], side="right")
        return parts

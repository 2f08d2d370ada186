"""How many representative rows are picked, where each part rounds its own up."""

from typing import Any

import numpy as np
from scipy.special import gammaln, ndtr

__all__ = ["expect_picks"]

# Above this many rows in the mean part, rounding is half a row on average.
_MOST_ROWS = 256.0


def expect_picks(
    n_rows: Any, n_parts: Any, fraction: Any, share: Any = 1.0, retained: Any = 1.0
) -> np.ndarray:
    """Return how many rows are expected to be picked, over all parts.

    The arguments are numbers or arrays that broadcast.

    Parameters
    ----------
    n_rows : float
        Rows that are dealt to the parts by hash.
    n_parts : float
        Parts for each row: shards times slices, by the shards that a row joins.
    fraction : float
        Fraction of its rows that each part picks, rounded upwards; 1 is all.
    share : float, default=1.0
        Share of the rows that stands in the part at all, as negatives do. The quota is
        a fraction of those to be expected; where there are fewer, all are picked.
    retained : float, default=1.0
        Share of the rows that was not forgotten since the quota was fixed.
    """
    n, parts, f, s, left = np.broadcast_arrays(
        *(
            np.asarray(v, dtype=float)
            for v in (n_rows, n_parts, fraction, share, retained)
        )
    )
    quota = n * f * s
    quota = quota + np.where(parts == 1, np.ceil(quota - 1e-9) - quota, parts / 2)
    picks = np.where(f < 1, np.minimum(quota, n * s * left), n * s * left)
    small = (f < 1) & (n <= _MOST_ROWS * parts) & (n > 0) & (s > 0)
    if small.any():
        parts_of_kinds = np.stack([v[small] for v in (n, parts, f, s, left)])
        kinds, which = np.unique(parts_of_kinds, axis=1, return_inverse=True)
        picks[small] = parts[small] * _expect_in_part(*kinds[:, :, None])[which]
    return picks


def _expect_in_part(
    n: np.ndarray, parts: np.ndarray, f: np.ndarray, s: np.ndarray, left: np.ndarray
) -> np.ndarray:
    """Return the expected picks of one part, over the sizes that it may have."""
    n = np.rint(n)
    means = n / parts
    sizes = np.arange(np.max(means + 8 * np.sqrt(means)) + 2)
    picks = _expect_least(np.ceil(f * s * sizes - 1e-9), sizes, s * left)
    return (_find_chances(sizes, n, 1 / parts) * picks).sum(axis=1)


def _expect_least(quotas: np.ndarray, sizes: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return the expected minimum of the quota and of how many rows of each are there.

    Each is with probability p, and their number is taken to be normal.
    """
    mean = sizes * p
    deviation = np.sqrt(np.maximum(mean * (1 - p), 1e-30))
    z = (quotas - mean) / deviation
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return mean + (quotas - mean) * ndtr(-z) - deviation * density


def _find_chances(sizes: np.ndarray, n: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return the chance of each size of a part that each of n rows joins with p."""
    others = np.maximum(n - sizes, 0)
    ways = gammaln(n + 1) - gammaln(sizes + 1) - gammaln(others + 1)
    missed = np.log(np.maximum(1 - p, 1e-300))
    return np.where(sizes <= n, np.exp(ways + sizes * np.log(p) + others * missed), 0.0)

"""The chance that random requests miss a part of the rows, for any number of rows.

Nothing here is of the size of the data, and differences of large logarithms, which
would lose all digits for a thousand million rows, are taken by hand.
"""

import numpy as np

__all__ = ["log_miss"]


def log_miss(
    n_rows: np.ndarray,
    members: tuple[tuple[np.ndarray, np.ndarray], ...],
    n_requests: np.ndarray,
) -> np.ndarray:
    """Return the logarithm of the chance that no row of a part is requested.

    Parameters
    ----------
    n_rows : ndarray
        Rows that there are. `n_requests` distinct ones are drawn from them.
    members : tuple of (ndarray, ndarray)
        How many rows of some kind there are, and with which probability each of them
        belongs to the part, independently of the others. (Above 1 for a row that is
        drawn more often than others.)
    n_requests : ndarray
        Rows that are drawn.

    Returns
    -------
    ndarray
        The logarithm. It is exact where all rows of a kind belong to the part
        (hypergeometric) and where all rows have the same probability (geometric), and
        otherwise off by one part in `n_rows` or so.

    Notes
    -----
    A part of s rows is missed with the chance ``C(n_rows - s, n_requests) / C(n_rows,
    n_requests)``, which is close to ``z ** s`` with ``z = 1 - n_requests / n_rows``.
    The former is taken at the mean of s, and corrected by what the random size of the
    part adds to the mean of the latter.
    """
    share = np.minimum(n_requests / np.maximum(n_rows, 1), 1 - 1e-12)
    mean = sum(count * p for count, p in members)
    spread = sum(
        count * (np.log1p(-p * share) - p * np.log1p(-share)) for count, p in members
    )
    result = _log_fixed_miss(n_rows, mean, n_requests) + spread
    (count, p), *others = members
    alike = (count == n_rows) & (sum((c * q for c, q in others), 0.0) == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        geometric = np.where(n_requests == 0, 0.0, n_requests * np.log1p(-p))
    return np.where(alike, geometric, result)


def _log_fixed_miss(
    n_rows: np.ndarray, size: np.ndarray, n_requests: np.ndarray
) -> np.ndarray:
    """Return log C(n_rows - size, n_requests) - log C(n_rows, n_requests).

    It is a sum of log((x - size) / x) over the whole numbers x above n_rows -
    n_requests and up to n_rows, here the integral by the midpoint rule with its first
    correction. The terms are so arranged that they are of the size of the result.
    """
    top = n_rows + 0.5
    bottom = n_rows - n_requests + 0.5
    is_sure = size > n_rows - n_requests
    size = np.where(is_sure, 0.0, size)
    integral = (
        top * np.log1p(-size / top)
        - bottom * np.log1p(-size / bottom)
        - size * np.log1p(n_requests / (bottom - size))
    )
    correction = 1 / (bottom - size) - 1 / bottom - 1 / (top - size) + 1 / top
    return np.where(is_sure, -np.inf, integral + correction / 24)

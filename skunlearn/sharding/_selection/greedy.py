"""The greedy choice of rows that together say most: a pure function of the rows.

The picks maximise log det(K + noise * I) step by step, K being the RBF kernel matrix of
the picked rows. That is the joint entropy of a Gaussian process at these rows, up to
constants. The next pick is always the row with the largest variance conditional on the
picks before it, which a growing Cholesky factor tells.

Every number that belongs to one row comes from elementwise operations, in an order that
is fixed by the number of picks before. So not even its last bit depends on how many
rows there are, where they lie in memory, or on threads. (Products and sums by BLAS, by
``einsum`` or along an axis may depend on all of that.) Hence a row that was not picked
can go and leave no trace, and equal rows tie exactly.
"""

import numpy as np

__all__ = ["NOISE", "select_rows"]

NOISE = 1e-2  # far above rounding errors, far below the prior variance, which is 1

_ROUND = 64  # picks between two searches for the rows that are in the race
_BLOCK = 64  # terms that are added pairwise; results depend on it
_FAR = 128.0  # squared distance from which rows count as independent
_TINY = 1e-30  # less than that counts as zero: subnormal numbers are slow


def select_rows(
    features: np.ndarray,
    hashes: np.ndarray,
    n_picks: int,
    given: np.ndarray,
    *,
    length_scale: float,
) -> np.ndarray:
    """Pick rows greedily, each the least predictable from those before.

    Without a row that was not picked the result is the same. Without the one picked at
    place t it is the same before t, and goes on with what is picked from the rest when
    ``picks[:t]`` are given. Both hold bit for bit. How the rows are stored does not
    matter.

    Parameters
    ----------
    features : ndarray of float64, shape (n_samples, n_features)
        The candidates.
    hashes : ndarray of uint64, shape (n_samples,)
        Ties go to the smaller hash, and where hashes are equal to the smaller index.
    n_picks : int
        How many to pick; all if there are fewer.
    given : ndarray of float64, shape (n_given, n_features)
        Rows that were picked before, in that order.
    length_scale : float
        Length scale of the kernel.

    Returns
    -------
    ndarray of int64
        Indices of the picks, in the order in which they were picked.

    Notes
    -----
    For n candidates and m rows picked or given, complexity is at most O(n m (m + d)),
    memory O(n m). Conditional variances only shrink, so the columns of rows that cannot
    win yet are left as they are (the lazy greedy algorithm of Minoux, 1978).
    """
    n_picks = min(n_picks, len(features))
    if n_picks == 0:
        return np.empty(0, dtype=np.int64)
    order = np.argsort(hashes, kind="stable")
    race = _Race(_scale(features[order], length_scale), len(given) + n_picks)
    race.give(_scale(given, length_scale))
    return order[race.run(n_picks)]


class _Factor:
    """The Cholesky factor of the rows picked so far, in their order."""

    def __init__(self, capacity: int, n_features: int) -> None:
        self.size = 0
        self.features = np.empty((capacity, n_features))
        self.rows = np.empty((capacity, capacity))
        self.variances = np.empty(capacity)

    def append(self, columns: "_Columns", index: int) -> None:
        """Add the row that one of the columns belongs to."""
        self.features[self.size] = columns.features[:, index]
        self.rows[self.size, : self.size] = columns.rows[: self.size, index]
        self.variances[self.size] = columns.variances[index]
        self.size += 1


class _Columns:
    """Columns that some candidates would have in the factor if they were picked next.

    Parameters
    ----------
    features : ndarray of shape (n_features, n)
        Features of the candidates.
    rows : ndarray of shape (capacity, n)
        The columns; computed as far as `depth`.
    variances : ndarray of shape (n,)
        Variances conditional on the first `depth` picks.
    depth : int
        How many picks are taken into account.
    """

    def __init__(
        self, features: np.ndarray, rows: np.ndarray, variances: np.ndarray, depth: int
    ) -> None:
        self.features = features
        self.rows = rows
        self.variances = variances
        self.depth = depth

    @classmethod
    def start(cls, features: np.ndarray, capacity: int) -> "_Columns":
        """Return columns that take no pick into account yet."""
        n = features.shape[1]
        return cls(features, np.empty((capacity, n)), np.full(n, 1.0 + NOISE), 0)

    def advance(self, factor: _Factor, depth: int) -> None:
        """Take into account the picks up to `depth`."""
        for place in range(self.depth, depth):
            row = _compute_kernel(factor.features[place], self.features)
            row -= _combine(self.rows[:place], factor.rows[place, :place])
            row /= np.sqrt(factor.variances[place])
            row *= np.abs(row) >= _TINY
            self.rows[place] = row
            row *= row
            self.variances -= row
        self.depth = depth


class _Race:
    """The candidates, with all that is known of their columns, and the picks.

    Variances of candidates that are behind are bounds from above.
    """

    def __init__(self, features: np.ndarray, capacity: int) -> None:
        n_features, n = features.shape
        self.factor = _Factor(capacity, n_features)
        self.columns = _Columns.start(features, capacity)
        self.depths = np.zeros(n, dtype=np.int64)

    def give(self, features: np.ndarray) -> None:
        """Take rows as picked, in their order."""
        for first in range(0, features.shape[1], _ROUND):
            some = np.ascontiguousarray(features[:, first : first + _ROUND])
            columns = _Columns.start(some, first + _ROUND)
            for i in range(some.shape[1]):
                columns.advance(self.factor, self.factor.size)
                self.factor.append(columns, i)

    def run(self, n_picks: int) -> np.ndarray:
        """Pick the given number of candidates."""
        picks: list[np.ndarray] = []
        missing = n_picks
        while missing:
            floor = self._guess_floor()
            while not len(active := self._find_active(floor)):
                floor *= 0.9
            picks.append(self._run_round(active, floor, min(missing, _ROUND)))
            missing -= len(picks[-1])
        return np.concatenate(picks)

    def _guess_floor(self) -> float:
        """Guess the variance of the last pick of the next round from those before.

        It decides what is computed when, not what is picked.
        """
        size = self.factor.size
        if size <= _ROUND:
            return 0.0
        excess = self.factor.variances[[size - 1 - _ROUND, size - 1]] - NOISE
        before, last = np.maximum(excess, 1e-12)
        return float(NOISE + last * min(1.0, last / before))

    def _find_active(self, floor: float) -> np.ndarray:
        """Find all candidates of a variance of at least `floor`, none of them behind.

        Those that are furthest behind are brought forward first: most of them fall
        below the floor on the way.
        """
        size = self.factor.size
        while True:
            active = np.flatnonzero(self.columns.variances >= floor)
            depths = self.depths[active]
            least = depths.min(initial=size)
            if least == size:
                return active
            depth = min(least + _ROUND, depths[depths > least].min(initial=size))
            behind = active[depths == least]
            columns = self._take(behind, depth)
            columns.advance(self.factor, depth)
            self._put(behind, columns)

    def _run_round(self, active: np.ndarray, floor: float, n_picks: int) -> np.ndarray:
        """Pick among active candidates, as long as no other one can win."""
        columns = self._take(active, self.factor.size + n_picks)
        picks = []
        for _ in range(n_picks):
            columns.advance(self.factor, self.factor.size)
            best = int(np.argmax(columns.variances))  # of equals the smallest hash
            if columns.variances[best] < floor:
                break
            self.factor.append(columns, best)
            columns.variances[best] = -np.inf
            picks.append(best)
        self._put(active, columns)
        return active[picks]

    def _take(self, indices: np.ndarray, capacity: int) -> _Columns:
        """Return a copy of the columns of candidates of the same depth."""
        depth = self.depths[indices[0]]
        rows = np.empty((capacity, len(indices)))
        known = self.columns.rows[:depth]
        known.take(indices, axis=1, out=rows[:depth], mode="clip")
        features = self.columns.features.take(indices, axis=1)
        return _Columns(features, rows, self.columns.variances[indices], depth)

    def _put(self, indices: np.ndarray, columns: _Columns) -> None:
        """Write back what was computed since the columns were taken."""
        new = slice(self.depths[indices[0]], columns.depth)
        self.columns.rows[new, indices] = columns.rows[new]
        self.columns.variances[indices] = columns.variances
        self.depths[indices] = columns.depth


def _scale(features: np.ndarray, length_scale: float) -> np.ndarray:
    """Return the features by rows, in units of the length scale."""
    with np.errstate(over="ignore"):
        scaled = np.ascontiguousarray(features.T) / length_scale
    return np.clip(scaled, -1e150, 1e150)  # squares stay finite


def _compute_kernel(point: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Return the kernel between a point and each column of `features`."""
    n = features.shape[1]
    kernel = np.zeros(-(-n // 16) * 16)  # no remainder for vector instructions
    terms = features - point[:, None]
    terms *= terms
    kernel[:n] = _add_up(terms)
    is_near = kernel < _FAR
    np.minimum(kernel, _FAR, out=kernel)
    kernel *= -0.5
    np.exp(kernel, out=kernel)
    kernel *= is_near
    return kernel[:n]


def _combine(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted sum of rows, in an order fixed by their number."""
    total = np.zeros(rows.shape[1])
    buffer = np.empty((_BLOCK, rows.shape[1]))
    for first in range(0, len(rows), _BLOCK):
        block = rows[first : first + _BLOCK]
        terms = buffer[: len(block)]
        np.multiply(block, weights[first : first + _BLOCK, None], out=terms)
        total += _add_up(terms)
    return total


def _add_up(terms: np.ndarray) -> np.ndarray:
    """Return the sum of rows, which are overwritten; pairwise, hence in few calls."""
    n = len(terms)
    while n > 1:
        half = (n + 1) // 2
        terms[: n - half] += terms[half:n]
        n = half
    return terms[0]

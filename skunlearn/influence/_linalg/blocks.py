"""Products with rows that have a 1 appended for the intercept, dense or CSR.

The 1 is never stored with the rows. What goes over all rows does so in blocks that stay
in the processor's cache.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import sparse

__all__ = [
    "BlockSum",
    "Blocks",
    "add_ones",
    "compute_grams",
    "count_additions",
    "iterate_blocks",
    "multiply",
    "multiply_back",
    "multiply_forth",
    "view_rows",
]

_DENSE_VALUES = 2**17  # values in a block of dense rows
_SPARSE_ROWS = 2**15
_PART_ROWS = 128  # of a block that are summed at once where errors matter
_MAX_KEPT = 2**22  # stored values, up to which blocks are kept for a next pass
_FEW_COLUMNS = 40  # whose products fit into the processor's cache
_PRODUCT_ROWS = 512
_DENSE_SHARE = 0.1  # of stored values, above which a sparse block is made dense


def view_rows(X: Any, start: int, stop: int) -> Any:
    """Return neighbouring rows, in the same memory."""
    if not sparse.issparse(X):
        return X[start:stop]
    first, last = X.indptr[start], X.indptr[stop]
    indptr = X.indptr[start : stop + 1] - first
    parts = X.data[first:last], X.indices[first:last], indptr
    return type(X)(parts, shape=(stop - start, X.shape[1]), copy=False)


def iterate_blocks(
    X: Any, rows: np.ndarray | None, max_rows: int = _SPARSE_ROWS
) -> Iterator[tuple[Any, Any]]:
    """Yield an index and the rows there, for all rows or some.

    The index is a slice where all rows are asked for, so that dense blocks are views.
    """
    size = max(64, _DENSE_VALUES // max(X.shape[1], 1))
    size -= size % _PART_ROWS if size > _PART_ROWS else 0
    size = min(_SPARSE_ROWS if sparse.issparse(X) else size, max_rows)
    n_rows = X.shape[0] if rows is None else len(rows)
    for start in range(0, n_rows, size):
        block: Any = slice(start, min(start + size, n_rows))
        if rows is None:
            yield block, view_rows(X, block.start, block.stop)
        else:
            yield rows[block], X[rows[block]]


def add_ones(X: Any, intercept: bool) -> np.ndarray:
    """Return rows as a dense array, with the column of ones."""
    X = X.toarray() if sparse.issparse(X) else X
    return np.column_stack([X, np.ones(X.shape[0])]) if intercept else X


def multiply(X: Any, W: np.ndarray) -> np.ndarray:
    """Return X W.T; W may have one more column, for the intercept.

    Several outputs of dense rows lie one after the other in memory: what is done to all
    outputs of a row is then done to many rows at once.
    """
    n_features = X.shape[1]
    if len(W) > 2 and not sparse.issparse(X):
        Z = (W[:, :n_features] @ X.T).T
    elif len(W) == 1:
        Z = (X @ W[0, :n_features])[:, None]
    else:
        Z = X @ np.ascontiguousarray(W[:, :n_features].T)
    if W.shape[1] > n_features:
        if len(W) == 2:  # sums along so short an axis are slow
            Z[:, 0] += W[0, n_features]
            Z[:, 1] += W[1, n_features]
        else:
            Z += W[:, n_features]
    return Z


def multiply_forth(X: Any, W: np.ndarray) -> np.ndarray:
    """Return W X.T, rows last; W may have one more column, for the intercept."""
    n_features = X.shape[1]
    Z = (X @ W[:, :n_features].T).T if sparse.issparse(X) else W[:, :n_features] @ X.T
    if W.shape[1] > n_features:
        Z += W[:, n_features:]
    return Z


def multiply_back(X: Any, R: np.ndarray, intercept: bool) -> np.ndarray:
    """Return R.T X, shape (n_outputs, n_columns)."""
    G = (X.T @ R).T if sparse.issparse(X) else R.T @ X
    return _add_sums(G, R) if intercept else G


def _add_sums(G: np.ndarray, R: np.ndarray) -> np.ndarray:
    wide = np.empty((len(G), G.shape[1] + 1), G.dtype)
    wide[:, :-1] = G
    R.sum(axis=0, out=wide[:, -1])
    return wide


class Blocks:
    """Blocks of all rows, to go over several times: index, rows, and these transposed.

    Blocks of sparse rows are copies, which take time, and space. Few are kept.
    """

    def __init__(self, X: Any, max_rows: int, dtype: Any) -> None:
        self.X, self.max_rows, self.dtype = X, max_rows, dtype
        is_small = sparse.issparse(X) and X.nnz < _MAX_KEPT
        self._kept = list(self._make()) if is_small else None

    def __iter__(self) -> Iterator[tuple[Any, Any, Any]]:
        return iter(self._kept) if self._kept is not None else self._make()

    def _make(self) -> Iterator[tuple[Any, Any, Any]]:
        for index, rows in iterate_blocks(self.X, None, self.max_rows):
            rows = rows.astype(self.dtype, copy=False)
            yield index, rows, rows.T


class BlockSum:
    """A sum of R.T X over blocks of rows, with compensation, from short sums each.

    It has the shape and precision of W, the parameters. `intercept` says whether the
    last column are ones, which are not stored.
    """

    def __init__(self, W: np.ndarray, intercept: bool) -> None:
        self.intercept = intercept
        self.value, self._rest = np.zeros((2, *W.shape), W.dtype)

    def add(self, X: Any, transposed: Any, R: np.ndarray) -> None:
        """Add the product of a block."""
        if sparse.issparse(X):
            added = (transposed @ R).T
            added = _add_sums(added, R) if self.intercept else added
        else:
            added = _multiply_back_in_parts(X, R, self.intercept)
        added = added - self._rest
        before, self.value = self.value, self.value + added
        self._rest = (self.value - before) - added


def _multiply_back_in_parts(X: np.ndarray, R: np.ndarray, intercept: bool) -> Any:
    n_parts = len(R) // _PART_ROWS
    if n_parts < 2:
        return multiply_back(X, R, intercept)
    n_rows, shape = n_parts * _PART_ROWS, (n_parts, _PART_ROWS, -1)
    parts = R[:n_rows].T.reshape(-1, n_parts, _PART_ROWS).transpose(1, 0, 2)
    total = multiply_back(X[n_rows:], R[n_rows:], intercept)
    total[:, : X.shape[1]] += (parts @ X[:n_rows].reshape(shape)).sum(axis=0)
    if intercept:
        total[:, -1] += (parts @ np.ones(_PART_ROWS, R.dtype)).sum(axis=0)
    return total


def count_additions(X: Any, n_rows: int) -> int:
    """Return how many additions follow one another in these sums over a block."""
    if sparse.issparse(X):
        return n_rows
    return 2 * _PART_ROWS + n_rows // _PART_ROWS + 2


def compute_grams(X: Any, Q: np.ndarray, intercept: bool) -> np.ndarray:
    """Return X.T diag(q) X for every column q >= 0 of Q."""
    if sparse.issparse(X):
        if X.nnz < _DENSE_SHARE * X.shape[0] * X.shape[1]:
            return np.array([_compute_sparse_gram(X, q, intercept) for q in Q.T])
        X = X.toarray()
    n_features = X.shape[1]
    n_columns = n_features + intercept
    if Q.shape[1] > 1 and n_columns <= _FEW_COLUMNS:
        return _compute_grams_at_once(add_ones(X, intercept), Q)
    grams = np.empty((Q.shape[1], n_columns, n_columns))
    rooted = np.empty((len(X), n_columns))
    for gram, roots in zip(grams, np.sqrt(Q.T), strict=True):
        np.multiply(X, roots[:, None], out=rooted[:, :n_features])
        if intercept:
            rooted[:, -1] = roots
        np.matmul(rooted.T, rooted, out=gram)
    return grams


def _compute_grams_at_once(X: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """Return all grams by one product of Q with the products of columns."""
    n_rows, n_columns = X.shape
    first, second = np.triu_indices(n_columns)
    starts = np.append(0, np.cumsum(np.arange(n_columns, 0, -1)))
    products = np.empty((len(first), min(n_rows, _PRODUCT_ROWS)))
    total = np.zeros((Q.shape[1], len(first)))
    for start in range(0, n_rows, _PRODUCT_ROWS):
        columns = np.ascontiguousarray(X[start : start + _PRODUCT_ROWS].T)
        part = products[:, : columns.shape[1]]
        for i, each in enumerate(columns):
            np.multiply(each, columns[i:], out=part[starts[i] : starts[i + 1]])
        total += Q[start : start + _PRODUCT_ROWS].T @ part.T
    grams = np.empty((Q.shape[1], n_columns, n_columns))
    grams[:, first, second] = grams[:, second, first] = total
    return grams


def _compute_sparse_gram(X: Any, q: np.ndarray, intercept: bool) -> np.ndarray:
    weighted = X.multiply(q[:, None]).tocsr()
    gram = (X.T @ weighted).toarray()
    if not intercept:
        return gram
    sums = np.asarray(weighted.sum(axis=0)).ravel()
    return np.block([[gram, sums[:, None]], [sums[None, :], q.sum()]])

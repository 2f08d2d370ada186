"""Selection of representative rows, and the features by which they are compared."""

from contextlib import suppress
from numbers import Real
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_array

from skunlearn._compat import HasMethods, Interval, validate_parameter_constraints
from skunlearn._data.containers import is_frame, take_rows
from skunlearn._estimators.leakage import find_caches, find_leaks
from skunlearn._runtime.threads import single_threaded
from skunlearn.exceptions import UnsupportedEstimatorError
from skunlearn.sharding._selection.pools import Pools, count_in_pools

__all__ = ["RepresentativeSelection", "check_selection", "compute_features"]

_BLOCK = 256  # rows that are transformed together

_WHAT_TO_DO = (
    "Use a transformer that is not fitted to the rows: FunctionTransformer with "
    "constants of your own, Normalizer, HashingVectorizer, or FrozenEstimator around "
    "one that was fitted on public data."
)


class RepresentativeSelection(BaseEstimator):
    """Greedy selection of representative rows, within each class.

    Each step selects the row with the largest variance given the rows selected before,
    under a Gaussian process with an RBF kernel, so that near duplicates are left out.
    No model is fitted to the rows: a row that is not selected can be forgotten without
    training and leaves no trace in the selection. See the :ref:`user guide
    <representative_selection>`.

    Parameters
    ----------
    fraction : float
        Proportion of the rows to select, in (0, 1], rounded up to whole rows.
    transformer : transformer, default=None
        Computes the features by which rows are compared. It must not be fitted to the
        rows: a stateless transformer (`Normalizer`, `FunctionTransformer`,
        `HashingVectorizer`), a `FrozenEstimator`, or a `Pipeline`, `ColumnTransformer`
        or `FeatureUnion` of these. If None, the columns of `X` are the features; all of
        them must be numeric.
    length_scale : float, default=1.0
        Length scale of the kernel. Rows at a much smaller distance are redundant, and
        rows at three times this distance are nearly independent.

    See Also
    --------
    ShardedUnlearningClassifier : Classifier that can train on selected rows only.

    Notes
    -----
    Selecting m of n rows with d features has a time complexity of O(n m (m + d)) and
    needs O(n m) memory. Above 8,192 rows or 1,024 selected rows, rows are divided into
    pools by a hash of their identities, and each pool selects its part independently.

    Examples
    --------
    >>> import numpy as np
    >>> from skunlearn import RepresentativeSelection
    >>> X = np.array([[0.0], [0.01], [5.0], [5.01], [10.0], [2.5]])
    >>> RepresentativeSelection(fraction=0.5, length_scale=1.0).select(X)
    array([0, 4, 2])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "fraction": [Interval(Real, 0, 1, closed="right")],
        "transformer": [None, HasMethods(["fit", "transform"])],
        "length_scale": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self, fraction: float, transformer: Any = None, length_scale: float = 1.0
    ) -> None:
        self.fraction = fraction
        self.transformer = transformer
        self.length_scale = length_scale

    def select(self, X: Any) -> np.ndarray:
        """Select rows of `X` as if they were of one class in one shard.

        Use it to try parameters. A classifier selects within each class, shard and
        slice.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, n_features)
            Rows to select from.

        Returns
        -------
        ndarray of shape (n_selected,)
            Positions of the selected rows, in the order of selection. Ties are resolved
            in favor of the first row.
        """
        check_selection(self)
        features = compute_features(self, X)
        positions = np.arange(len(features), dtype=np.uint64)
        sizes = count_in_pools(self.fraction, positions)
        pools = Pools.plan(self.fraction, sizes)
        return pools.select(
            features,
            positions,
            features[:0],
            positions[:0],
            length_scale=self.length_scale,
        )


def check_selection(selection: Any) -> RepresentativeSelection | None:
    """Return a checked selection; a number stands for a selection of that share.

    Raises
    ------
    ValueError
        If a parameter is out of bounds.
    UnsupportedEstimatorError
        If the transformer would be fitted to the rows.
    """
    if selection is None:
        return None
    kinds = (Real, RepresentativeSelection)
    if isinstance(selection, bool) or not isinstance(selection, kinds):
        raise TypeError(
            "selection must be None, a float in (0, 1] or a RepresentativeSelection; "
            f"got {selection!r}."
        )
    if not isinstance(selection, RepresentativeSelection):
        selection = RepresentativeSelection(float(selection))
    validate_parameter_constraints(
        selection._parameter_constraints,
        selection.get_params(deep=False),
        caller_name=type(selection).__name__,
    )
    given = "transformer", selection.transformer
    for name, _, reason in (*find_leaks(*given), *find_caches(*given)):
        raise UnsupportedEstimatorError(
            f"{name} of RepresentativeSelection {reason}, so the selection of other "
            f"rows could depend on a forgotten row. {_WHAT_TO_DO}"
        )
    return selection


def compute_features(selection: RepresentativeSelection, X: Any) -> np.ndarray:
    """Return the features by which rows are compared, a dense array of float64.

    Rows are transformed in blocks of a fixed size, since products by BLAS may round
    differently for another number of rows; what is then left of such differences, by
    the place in the block, is removed by rounding to the precision of float32. So
    equal rows stay equal, and a row's features do not depend on the other rows.

    Raises
    ------
    ValueError
        If there are columns that are not numeric, or values that are not finite.
    UnsupportedEstimatorError
        If the transformer makes a row's features depend on other rows.
    """
    if sparse.issparse(X):
        X = X.tocsr()
    elif not is_frame(X):
        X = np.asarray(X)
    if selection.transformer is None:
        return _as_numbers(X)
    if X.shape[0] == 0:
        return np.empty((0, 0))
    with single_threaded():
        return _transform(selection.transformer, X)


def _transform(transformer: Any, X: Any) -> np.ndarray:
    n = X.shape[0]
    blocks = [
        take_rows(X, np.arange(first, first + _BLOCK) % n)
        for first in range(0, n, _BLOCK)
    ]
    # Stateless parts learn nothing here, and composed ones the names of columns.
    fitted = clone(transformer).fit(blocks[0], None)
    features = [_transform_block(fitted, block) for block in blocks]
    alone = _transform_block(fitted, take_rows(X, np.zeros(_BLOCK, dtype=np.int64)))
    if not _are_close(alone, features[0][:1]):
        raise UnsupportedEstimatorError(
            f"transformer={transformer!r} of RepresentativeSelection computes features "
            "that depend on the other rows of X, so the selection could depend on a "
            f"forgotten row. {_WHAT_TO_DO}"
        )
    return np.concatenate(features)[:n]


def _are_close(rows: np.ndarray, row: np.ndarray) -> bool:
    if rows.shape[1] != row.shape[1]:
        return False
    return np.allclose(rows, row, rtol=1e-4, atol=1e-5)


def _transform_block(transformer: Any, block: Any) -> np.ndarray:
    features = _as_numbers(transformer.transform(block))
    with np.errstate(over="ignore"):
        rounded = features.astype(np.float32).astype(np.float64)
    _check_finite(rounded, None)
    return rounded


def _as_numbers(X: Any) -> np.ndarray:
    """Return a dense array of float64, of what is numeric and finite already."""
    others = _find_other_columns(X)
    if others:
        if not is_frame(X) and X.dtype == object:
            with suppress(ValueError):  # of text, for which there is advice
                X.astype(np.float64)
        raise ValueError(
            "representative rows are selected by numeric features, but X has other "
            f"columns: {_join_names(others)}. Pass RepresentativeSelection a "
            f"transformer that encodes them. {_WHAT_TO_DO}"
        )
    names = list(X.columns) if is_frame(X) else None
    numbers = check_array(
        X.toarray() if sparse.issparse(X) else X,
        dtype=np.float64,
        ensure_all_finite=False,
        ensure_min_samples=0,
    )
    _check_finite(numbers, names)
    return numbers


def _check_finite(numbers: np.ndarray, names: list[Any] | None) -> None:
    if np.isfinite(numbers).all():
        return
    bad = np.flatnonzero(~np.isfinite(numbers).all(axis=0))
    columns = [names[i] if names else int(i) for i in bad]
    raise ValueError(
        "representative rows are selected by finite features, but there are missing or "
        f"infinite values in columns {_join_names(columns)}. Replace them by "
        "constants, for example with transformer=FunctionTransformer(numpy.nan_to_num)."
    )


def _find_other_columns(X: Any) -> list[Any]:
    """Find the columns that do not hold numbers."""
    if is_frame(X):
        dtypes = zip(X.columns, X.dtypes, strict=True)
        return [name for name, dtype in dtypes if not _is_numeric(dtype)]
    if X.dtype.kind in "biufc":
        return []
    if X.dtype.kind != "O":
        return list(range(X.shape[1])) if X.ndim == 2 else [0]
    columns = X.T if X.ndim == 2 else [X]
    return [i for i, column in enumerate(columns) if not _holds_numbers(column)]


def _is_numeric(dtype: Any) -> bool:
    """Return True if a data type of pandas or polars is one of numbers."""
    if hasattr(dtype, "is_numeric"):
        return dtype.is_numeric() or str(dtype) == "Boolean"
    return dtype.kind in "biuf"


def _holds_numbers(column: np.ndarray) -> bool:
    return all(value is None or isinstance(value, (Real, np.bool_)) for value in column)


def _join_names(names: list[Any]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"

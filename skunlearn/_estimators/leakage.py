"""What transformers before a classifier keep of the rows that they were fitted to."""

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, NamedTuple

from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import (
    PolynomialCountSketch,
    RBFSampler,
    SkewedChi2Sampler,
)
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.random_projection import GaussianRandomProjection, SparseRandomProjection
from sklearn.utils import get_tags

__all__ = ["Leak", "find_caches", "find_leaks"]

# These are fitted to the number of columns alone, with the parameters that are named.
_FITTED_TO_COLUMNS: dict[type, dict[str, Any]] = {
    PolynomialFeatures: {},
    PolynomialCountSketch: {"random_state": Integral},
    RBFSampler: {"random_state": Integral, "gamma": Real},
    SkewedChi2Sampler: {"random_state": Integral},
    GaussianRandomProjection: {"random_state": Integral, "n_components": Integral},
    SparseRandomProjection: {
        "random_state": Integral,
        "n_components": Integral,
        "density": Real,
    },
    SimpleImputer: {
        "fill_value": (Real, str),  # by default the rows decide
        "strategy": "constant",
        "keep_empty_features": True,
        "add_indicator": False,
    },
}


class Leak(NamedTuple):
    """A transformer that takes something from the rows, and what."""

    name: str
    transformer: Any
    reason: str


def find_leaks(name: str, transformer: Any) -> Iterator[Leak]:
    """Yield what in a transformer would be fitted to the rows, however deep it is.

    Frozen estimators and stateless ones would not, nor would those that need only the
    number of columns.
    """
    for path, inner in _iterate_transformers(name, transformer):
        if _has_callable_columns(inner):
            reason = "has a function that chooses columns by the rows"
            yield Leak(path, inner, reason)
        elif not _is_composed(inner) and not _is_stateless(inner):
            reason = f"is {inner!r}, which would be fitted to the rows"
            yield Leak(path, inner, reason)


def find_caches(name: str, transformer: Any) -> Iterator[Leak]:
    """Yield the pipelines that keep rows in a memory, which is a file."""
    for path, inner in _iterate_transformers(name, transformer):
        if getattr(inner, "memory", None) is not None and _is_composed(inner):
            yield Leak(path, inner, "has a memory, in which rows are kept")


def _iterate_transformers(name: str, transformer: Any) -> Iterator[tuple[str, Any]]:
    """Yield a transformer and those inside it, with names that lead there."""
    if transformer is None or isinstance(transformer, (str, FrozenEstimator)):
        return  # the strings are "passthrough" and "drop"
    if _is_composed(transformer):
        for step, inner in _list_steps(transformer):
            yield from _iterate_transformers(f"{name}[{step!r}]", inner)
    yield name, transformer


def _is_composed(transformer: Any) -> bool:
    return isinstance(transformer, (Pipeline, FeatureUnion, ColumnTransformer))


def _list_steps(transformer: Any) -> list[tuple[str, Any]]:
    if isinstance(transformer, Pipeline):
        return transformer.steps
    if isinstance(transformer, FeatureUnion):
        return transformer.transformer_list
    steps = [(name, inner) for name, inner, _ in transformer.transformers]
    return [*steps, ("remainder", transformer.remainder)]


def _has_callable_columns(transformer: Any) -> bool:
    """Return True if columns are chosen by more than their names and types."""
    return isinstance(transformer, ColumnTransformer) and any(
        callable(columns) and not isinstance(columns, make_column_selector)
        for _, _, columns in transformer.transformers
    )


def _is_stateless(transformer: Any) -> bool:
    """Return True if what a transformer does cannot depend on the rows of its fit."""
    needed = _FITTED_TO_COLUMNS.get(type(transformer))
    if needed is not None:
        params = transformer.get_params(deep=False)
        return all(_matches(params[name], value) for name, value in needed.items())
    return hasattr(transformer, "__sklearn_tags__") and (
        not get_tags(transformer).requires_fit
    )


def _matches(value: Any, wanted: Any) -> bool:
    """Return True if a parameter has a value, or one of some types."""
    if isinstance(wanted, (type, tuple)):
        return isinstance(value, wanted) and not isinstance(value, bool)
    return bool(value == wanted)

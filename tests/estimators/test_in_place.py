"""Constituents that write into the rows they are asked about: nobody else notices."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, StandardScaler
from sklearn.svm import OneClassSVM
from support import make_data, thin

from skunlearn import ShardedUnlearningClassifier

X, Y = make_data()
X = X * 10 + 50


def shift(rows):
    """Subtract the constant 40, in place."""
    rows -= 40
    return rows


def shift_a_copy(rows):
    """Subtract the constant 40."""
    return rows - 40


def add_column(frame):
    """Add a column in place, as people do."""
    frame["ratio"] = frame["a"] / frame["b"]
    return frame


def insert_column(frame):
    """Do the same to a frame of polars."""
    return frame.insert_column(0, (frame["a"] / frame["b"]).alias("ratio"))


def fit(base, rows, **params):
    """Return a fitted classifier; the rows are its own."""
    classifier = ShardedUnlearningClassifier(base, random_state=0, **params)
    return classifier.fit(rows.copy(), Y)


LAYOUTS = {
    "soft": {"n_shards": 3},
    "hard": {"n_shards": 3, "voting": "hard"},
    "one_shard": {"n_shards": 1, "voting": "hard"},
    "class": {"partition": "class", "n_shards": 2},
}
LASTS = {
    "logistic": LogisticRegression(),
    "neighbors": KNeighborsClassifier(),
    "mixture": GaussianMixture(reg_covar=0.1),
    "svm": OneClassSVM(),
}
CASES = [
    (layout, last)
    for layout in LAYOUTS
    for last in LASTS
    if layout == "class" or last in ("logistic", "neighbors")
]


@pytest.mark.parametrize(("layout", "last"), thin(CASES, 3))
@pytest.mark.parametrize("form", ["array", "fortran", "sparse", "pandas"])
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_scalers_without_a_copy(layout, last, form, n_jobs):
    """Votes are those of the scaler that copies, and X is what it was."""
    if form == "sparse" and last == "mixture":
        return
    make, scaler = {
        "array": (np.array, StandardScaler),
        "fortran": (np.asfortranarray, StandardScaler),
        "sparse": (sparse.csr_matrix, MaxAbsScaler),
        "pandas": (lambda X: pd.DataFrame(X, columns=list("abcd")), StandardScaler),
    }[form]
    rows, params = make(X), {**LAYOUTS[layout], "n_jobs": n_jobs}
    first = fit(make_pipeline(scaler(copy=False), LASTS[last]), rows, **params)
    second = fit(make_pipeline(scaler(), LASTS[last]), rows, **params)
    for method in ("predict", "predict_proba", "decision_function"):
        if hasattr(second, method):
            given = rows.copy()
            mine = getattr(first, method)(given)
            wanted = getattr(second, method)(rows)
            if method == "predict":
                assert mine.tolist() == wanted.tolist()
            else:
                np.testing.assert_allclose(mine, wanted, rtol=1e-9)
            assert abs(given - rows).sum().sum() == 0


@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_functions_that_write(voting):
    """Those of anybody are given rows to write in."""
    first, second = (
        fit(
            make_pipeline(FunctionTransformer(function), LogisticRegression()),
            X,
            n_shards=3,
            voting=voting,
        )
        for function in (shift, shift_a_copy)
    )
    rows = X.copy()
    np.testing.assert_array_equal(first.predict_proba(rows), second.predict_proba(X))
    np.testing.assert_array_equal(rows, X)


@pytest.mark.parametrize(
    ("make", "add"), [(pd.DataFrame, add_column), (pl.DataFrame, insert_column)]
)
def test_columns_that_are_added(make, add):
    """Frames keep the columns that they have."""
    frame = make(dict(zip("abcd", X.T, strict=True)))
    base = make_pipeline(FunctionTransformer(add), LogisticRegression())
    classifier = ShardedUnlearningClassifier(base, n_shards=3, voting="hard")
    assert classifier.fit(frame, Y).score(frame, Y) > 0.5
    assert list(frame.columns) == list("abcd")


def test_errors_are_their_own():
    """What is wrong with the rows is said by whoever says it."""
    classifier = fit(KNeighborsClassifier(), X, n_shards=2)
    with pytest.raises(ValueError, match="NaN"):
        classifier.predict(np.full((1, 4), np.nan))

"""What rows may come in: frames, tables, sparse matrices, and what may not."""

import time

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.tree import DecisionTreeClassifier
from support import fit_two_shards, make_data

from skunlearn._data.containers import without_labels
from skunlearn._data.rows import Batch, Erasure, Rows

X, Y = make_data()
TEXTS = [f"text {i % 3}" for i in range(60)]


@pytest.mark.parametrize(
    "columns",
    [
        [0, 1],
        [("a", 0), ("a", 1)],
        pd.MultiIndex.from_product([["a"], [0, 1]]),
        pd.CategoricalIndex(["a", "b"]),
    ],
)
def test_names_of_columns(columns):
    """They may be of any kind, but new rows have the same ones."""
    kinds = pd.Categorical.from_codes([0, 1] * 30, [1, 0])
    frame = pd.DataFrame({"x": X[:, 0], "k": kinds}).set_axis(columns, axis=1)
    base = DecisionTreeClassifier()
    classifier = fit_two_shards(frame[:40], Y[:40], base)
    classifier.partial_fit(frame[40:], Y[40:])
    assert classifier.forget([3, 50]).score(frame, Y) > 0.5
    held = classifier._state.rows.data.X
    assert list(held.columns) == list(columns)
    assert held.iloc[:, 1].dtype == "category"
    other = frame.set_axis(columns[::-1], axis=1)
    with pytest.raises(ValueError, match="same order"):
        classifier.partial_fit(other, Y)


@pytest.mark.parametrize("names", [["a", "b", "b", "b"], [0, 1, 2, 0]])
def test_doubled_names_are_refused(names):
    """No column could be named."""
    frame = pd.DataFrame(X, columns=names)
    with pytest.raises(ValueError, match="unique column names"):
        fit_two_shards(frame, Y)
    with pytest.raises(ValueError, match="unique column names"):  # if nobody else asks
        without_labels(frame)


def test_mixed_names_are_refused():
    """As scikit-learn does."""
    with pytest.raises(TypeError, match="feature names"):
        fit_two_shards(pd.DataFrame(X, columns=["a", 0, 1, 2]), Y)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            pd.DataFrame(X).add_prefix("x"),
            pl.DataFrame(X, schema=["x0", "x1", "x2", "x3"]),
        ),
        (
            pl.DataFrame(X, schema=["x0", "x1", "x2", "x3"]),
            pd.DataFrame(X).add_prefix("x"),
        ),
        (pd.DataFrame(X), X),
        (pd.DataFrame(X), sparse.csr_array(X)),
    ],
)
def test_containers_that_do_not_go_together(first, second):
    """New rows come in the form of the old ones."""
    with pytest.raises(ValueError, match="same form"):
        fit_two_shards(first, Y, DecisionTreeClassifier()).partial_fit(second, Y)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_empty_frames(make):
    """Neither no rows nor no columns, in scikit-learn's words."""
    frame = make({"a": X[:, 0]})
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        fit_two_shards(frame[:0], Y[:0])
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        fit_two_shards(frame, Y).predict(frame[:0])
    with pytest.raises(ValueError, match=r"0 feature\(s\)"):
        fit_two_shards(pd.DataFrame(index=range(60)), Y)


def test_arrow_tables_become_arrays():
    """As they do in scikit-learn."""
    table = pa.table({"a": X[:, 0], "b": X[:, 1]})
    base = DecisionTreeClassifier()
    classifier = fit_two_shards(table, Y, base).forget(3)
    assert isinstance(classifier._state.rows.data.X, np.ndarray)
    np.testing.assert_array_equal(
        classifier.forget(3).predict_proba(table),
        fit_two_shards(X[:, :2], Y, DecisionTreeClassifier())
        .forget(3)
        .predict_proba(X[:, :2]),
    )


@pytest.mark.parametrize("make", [list, tuple, np.array, pd.Series, pl.Series])
def test_one_dimension_is_refused(make):
    """As scikit-learn does, but without showing the rows; numbers by any base."""
    for base, values in (
        (DecisionTreeClassifier(), TEXTS),
        (DecisionTreeClassifier(), [4711.5] * 60),
        (None, [4711.5] * 60),
    ):
        with pytest.raises(ValueError, match="Expected 2D array") as caught:
            fit_two_shards(make(values), Y, base)
        assert "4711" not in str(caught.value)
        assert "text 0" not in str(caught.value)


def test_frames_at_fit_and_arrays_at_predict():
    """Answered alike, with scikit-learn's warnings."""
    frame = pd.DataFrame(X).add_prefix("x")
    answers = fit_two_shards(X, Y, DecisionTreeClassifier()).predict_proba(X)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        framed = fit_two_shards(frame, Y, DecisionTreeClassifier()).predict_proba(X)
    np.testing.assert_array_equal(framed, answers)
    classifier = fit_two_shards(X, Y, DecisionTreeClassifier())
    with pytest.warns(UserWarning, match="X has feature names") as caught:
        np.testing.assert_array_equal(classifier.predict_proba(frame), answers)
    assert len(caught) == 1
    with pytest.raises(ValueError, match="feature names"):
        fit_two_shards(frame, Y).predict(frame[["x0"]])


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.float32])
@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
def test_sparse_rows_of_any_make(dtype, index_dtype):
    """Unsorted and doubled entries, empty rows, wide indices: all are overwritten."""
    data = np.array([1, 1, 1, 1, 1, 1, 1], dtype=dtype)
    indices = np.array([3, 1, 3, 2, 2, 0, 1], dtype=index_dtype)
    indptr = np.array([0, 3, 3, 5, 7], dtype=index_dtype)
    matrix = sparse.csr_array((data, indices, indptr), shape=(4, 4))
    rows = Rows.in_order(Batch(matrix, np.arange(4), None), np.arange(4))
    rows.prepare_forget(np.array([0, 1, 3]), erasure := Erasure([rows.lease]))
    erasure.carry_out()
    held = rows.data.X
    assert held.dtype == dtype
    assert held.data.tolist() == [0, 0, 0, 1, 1, 0, 0]
    assert held.indices.tolist() == [0, 0, 0, 2, 2, 0, 0]
    np.testing.assert_array_equal(
        rows.take(np.array([2])).X.toarray(), matrix[[2]].toarray()
    )


def test_sparse_rows_are_forgotten_at_once():
    """Without a loop over rows."""
    n_rows = 1_000_000
    matrix = sparse.csr_array(
        (np.ones(n_rows), np.zeros(n_rows, dtype=int), np.arange(n_rows + 1))
    )
    rows = Rows.in_order(Batch(matrix, np.zeros(n_rows), None), np.arange(n_rows))
    start = time.process_time()
    rows.prepare_forget(np.arange(n_rows), erasure := Erasure([rows.lease]))
    erasure.carry_out()
    assert time.process_time() - start < 0.3
    assert not rows.data.X.data.any()

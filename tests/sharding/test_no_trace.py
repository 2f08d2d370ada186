"""Law 7: neither the object, nor its pickle, holds anything of a forgotten row."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from support import BASES, DENSITIES, RESUMABLE, make_case, make_data

from skunlearn import ShardedUnlearningClassifier

X, Y = make_data()
MARKER = 0.123456789012345  # a feature's value
LABEL = "a label that is nobody else's"
GROUP = "user-4711-whose-name-is-known"
TEXT = "a text that is nobody else's"


def find_markers(classifier, *markers):
    """Return which of the markers are in the pickle."""
    data = pickle.dumps(classifier)
    encoded = [
        np.float64(m).tobytes() if isinstance(m, float) else m.encode() for m in markers
    ]
    wide = [b"".join(bytes([c, 0, 0, 0]) for c in e) for e in encoded]  # numpy's text
    return [e in data or w in data for e, w in zip(encoded, wide, strict=True)]


@pytest.mark.parametrize("retrain", [True, False])
@pytest.mark.parametrize("base", [*BASES, "nearest"])
def test_arrays(base, retrain):
    """The values, the label and the group of a row are there, and then not."""
    data, labels = X.copy(), Y.astype(object)
    data[[7, 8]] = MARKER
    labels[[7, 8]] = LABEL
    groups = np.array([GROUP if i in (7, 8) else f"u{i}" for i in range(60)])
    n_slices = 3 if base in RESUMABLE else 1
    if base == "nearest":  # keeps rows itself, in a tree
        classifier = make_case("neighbors", "default", n_shards=2)
        classifier.set_params(estimator__algorithm="kd_tree")
    else:
        classifier = make_case(base, "default", n_shards=2, n_slices=n_slices)
    classifier.fit(data, labels, groups=groups)
    assert find_markers(classifier, MARKER, LABEL, GROUP) == [True, True, False]
    classifier.forget(groups=GROUP, retrain=retrain)
    assert find_markers(classifier, MARKER, LABEL, GROUP) == [False, False, False]
    assert MARKER not in classifier._state.rows.data.X


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")  # two equal rows
@pytest.mark.parametrize("retrain", [True, False])
@pytest.mark.parametrize(
    ("base", "params"),
    [
        ("density", {"partition": "class", "n_shards": 2}),
        ("mixture", {"partition": "class", "n_shards": 1, "n_slices": 2}),
        ("neighbors", {"partition": "class", "n_shards": 2}),
        ("neighbors", {"partition": "distribution_aware"}),
        ("neighbors", {"selection": 0.5}),
        ("density", {"partition": "class", "selection": 0.5}),
    ],
)
def test_other_partitions(base, params, retrain):
    """By class, by probability, and where only some rows are trained on."""
    data, labels = X.copy(), Y.astype(object)
    data[[7, 8]] = MARKER
    labels[[7, 8]] = LABEL
    groups = np.array([GROUP if i in (7, 8) else f"u{i}" for i in range(60)])
    proba = np.where(np.isin(np.arange(60), [7, 8]), MARKER + 1, 1) / 2
    layout = "class" if base in DENSITIES else "default"
    classifier = make_case(base, layout, **params)
    classifier.fit(data, labels, groups=groups, forget_proba=proba)
    assert find_markers(classifier, MARKER, LABEL, GROUP) == [True, True, False]
    assert find_markers(classifier, proba[7].item()) == [True]
    classifier.forget(groups=GROUP, retrain=retrain)
    assert find_markers(classifier, MARKER, LABEL, GROUP) == [False, False, False]
    if params.get("partition") != "distribution_aware":  # where it may be a threshold
        assert find_markers(classifier, proba[7].item()) == [False]


@pytest.mark.parametrize("base", ["neighbors", "svc", "logistic"])
def test_sparse_rows(base):
    """Of a CSR row neither the values nor the columns stay."""
    matrix = sparse.random_array((60, 40), density=0.2, random_state=0, format="lil")
    matrix[7] = 0
    matrix[7, [31, 33, 35]] = MARKER
    classifier = make_case(base, "default", n_shards=2).fit(matrix.tocsr(), Y)
    assert find_markers(classifier, MARKER) == [True]
    held = classifier._state.rows.data.X
    slot = classifier._state.rows.slot_of[7]
    stored = slice(held.indptr[slot], held.indptr[slot + 1])
    assert held.indices[stored].tolist() == [31, 33, 35]
    classifier.forget(7)
    assert find_markers(classifier, MARKER) == [False]
    held = classifier._state.rows.data.X
    assert not held.indices[stored].any()


def make_frame(make):
    """Return a frame with a marked row in the middle, one marker for each dtype."""
    texts = [TEXT if i == 7 else "common" for i in range(60)]
    values = np.where(np.arange(60) == 7, MARKER, X[:, 0])
    kinds = [TEXT + "'s kind" if i == 7 else "abc"[i % 3] for i in range(60)]
    return make(texts, values, kinds)


def make_pandas(texts, values, kinds):
    """Return a pandas frame whose index says who the rows are."""
    index = [GROUP if i == 7 else f"user-{i}" for i in range(60)]
    index[8:10] = ["user-eight", "user-nine"]
    columns = {"text": texts, "value": values, "kind": pd.Categorical(kinds)}
    return pd.DataFrame(columns, index=index)


def make_arrow(texts, values, kinds):
    """Return a pandas frame of arrow's dtypes."""
    frame = make_pandas(texts, values, kinds)
    return frame.astype({"text": "string[pyarrow]", "value": "float64[pyarrow]"})


def make_objects(texts, values, kinds):
    """Return a pandas frame of Python objects."""
    return make_pandas(texts, values, kinds).astype({"text": object})


def make_polars(texts, values, kinds):
    """Return a polars frame."""
    frame = pl.DataFrame({"text": texts, "value": values, "kind": kinds})
    return frame.with_columns(pl.col("kind").cast(pl.Categorical))


@pytest.mark.parametrize("make", [make_pandas, make_arrow, make_objects, make_polars])
def test_data_frames(make):
    """Text, numbers, categories, and the names in an index."""
    frame = make_frame(make)
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["text", "kind"]),
        (StandardScaler(), ["value"]),
    )
    base = make_pipeline(columns, LogisticRegression())
    classifier = ShardedUnlearningClassifier(base, n_shards=3, random_state=0)
    classifier.fit(frame, Y)
    markers = [MARKER, TEXT, TEXT + "'s kind"]
    assert find_markers(classifier, *markers) == [True] * 3
    classifier.forget(7)
    assert find_markers(classifier, *markers, GROUP) == [False] * 4
    classifier.forget([8, 9])  # which now may stand in the place of row 7
    assert find_markers(classifier, "user-eight", "user-nine") == [False] * 2
    kept = (
        frame[classifier.retained_indices_]
        if make is make_polars
        else frame.iloc[classifier.retained_indices_]
    )
    fresh = ShardedUnlearningClassifier(base, n_shards=3, random_state=0)
    fresh.fit(kept, np.delete(Y, [7, 8, 9]), groups=classifier.retained_indices_)
    np.testing.assert_array_equal(
        fresh.predict_proba(frame), classifier.predict_proba(frame)
    )


def test_rows_are_not_the_users():
    """What the user passed is neither kept nor overwritten."""
    for data in (X.copy(), sparse.csr_array(X), pd.DataFrame(X), np.asfortranarray(X)):
        labels, weight = Y.copy(), np.ones(60)
        before = pickle.dumps((data, labels, weight))
        classifier = ShardedUnlearningClassifier(random_state=0)
        classifier.fit(data, labels, sample_weight=weight).forget([1, 2])
        assert pickle.dumps((data, labels, weight)) == before


def test_values_are_overwritten_where_they_were():
    """The array that held a row does not hold it any more, copies aside."""
    data = X.copy()
    data[7] = MARKER
    classifier = ShardedUnlearningClassifier(DecisionTreeClassifier()).fit(data, Y)
    held = classifier._state.rows.data.X
    assert MARKER in held
    classifier.forget(7)
    assert classifier._state.rows.data.X is held
    assert MARKER not in held


def test_weights_are_values_too():
    """Sample weights go with their rows."""
    weight = np.ones(60)
    weight[7] = MARKER
    classifier = make_case("tree", "default").fit(X, Y, sample_weight=weight)
    assert find_markers(classifier, MARKER) == [True]
    assert find_markers(classifier.forget(7), MARKER) == [False]


def test_records_hold_counts_only():
    """A receipt can be shown to anybody."""
    classifier = make_case("tree", "default").fit(X, Y, groups=[GROUP] + ["u"] * 59)
    record = classifier.forget(groups=GROUP).forget_records_[-1]
    assert GROUP not in repr(record)
    kinds = (int, float, str, tuple, type(None))
    assert all(isinstance(value, kinds) for value in vars(record).values())

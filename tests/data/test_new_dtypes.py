"""New rows and labels come in the dtypes of those before, or not at all."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from support import (
    assert_same_classifier,
    fit_anew,
    fit_two_shards,
    make_case,
    make_data,
)

X, Y = make_data()
TEXT = "a text of many characters"
TEXTS = [f"text {i % 3}" for i in range(60)]
DAYS = np.full(60, np.datetime64("2020-01-01T00:00:00.000001", "us"))


def of_arrow(values, dtype):
    """Return a pandas column of one of arrow's dtypes."""
    array = pa.chunked_array([pa.array(values, dtype)])
    return pd.Series(pd.arrays.ArrowExtensionArray(array))


def make_ordered(kind, values, order):
    """Return a frame with an ordered column."""
    if kind == "enum":
        return pl.DataFrame({"size": pl.Series(values, dtype=pl.Enum(order))})
    column = pd.Series(pd.Categorical(values, order, ordered=True))
    if kind == "dictionary":
        column = of_arrow(pa.array(column), None)
    return column.to_frame("size")


def list_categories(classifier):
    """Return the categories of the one column that is held."""
    frame = classifier._state.rows.data.X
    if isinstance(frame, pl.DataFrame):
        return frame["size"].dtype.categories.to_list()
    if frame["size"].dtype == "category":
        assert frame["size"].cat.ordered
        return frame["size"].cat.categories.to_list()
    chunks = frame["size"].array.__arrow_array__().chunks
    assert all(chunk.type.ordered for chunk in chunks)
    return chunks[0].dictionary.to_pylist()


@pytest.mark.parametrize("kind", ["categorical", "dictionary", "enum"])
def test_order_is_kept(kind):
    """The order of categories is that declared; another one is refused."""
    first = make_ordered(kind, ["S", "XL", "S", "L"], ["XS", "S", "M", "L", "XL"])
    second = make_ordered(kind, ["L", "M", "M"], ["S", "M", "L", "XL"])
    classifier = fit_two_shards(first, [0, 1, 0, 1])
    assert list_categories(classifier) == ["S", "L", "XL"]
    for order in (["XL", "L", "S"], ["S", "L"]):
        with pytest.raises(ValueError, match="same order"):
            classifier.partial_fit(make_ordered(kind, ["S"], order), [0])
    assert list_categories(classifier) == ["S", "L", "XL"]
    classifier.partial_fit(second, [1, 0, 0])
    assert list_categories(classifier) == ["S", "M", "L", "XL"]
    assert list_categories(classifier.forget([1, 5, 6])) == ["S", "L"]


def test_unordered_categories_are_sorted():
    """So they do not tell which came first."""
    early = pd.DataFrame({"size": pd.Categorical(["b", "c"] * 5, ["c", "b", "x"])})
    late = pd.DataFrame({"size": pd.Categorical(["c", "a"] * 5, ["c", "a"])})
    labels = [0, 1] * 5
    classifier = fit_two_shards(early, labels).partial_fit(late, labels)
    assert classifier._state.rows.data.X["size"].cat.categories.tolist() == [*"abc"]
    mixed = pd.DataFrame({"size": pd.Categorical([2, "b", 10, "a"])})
    held = fit_two_shards(mixed, [0, 0, 1, 1])._state.rows.data.X
    assert held["size"].cat.categories.tolist() == [10, 2, "a", "b"]


NUMERIC = {"n": np.arange(60), "x": X[:, 0], "t": TEXTS, "d": DAYS}


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_new_rows_take_the_dtypes_of_those_before(make):
    """Numbers are cast where nothing is lost; text may be stored in another way."""
    classifier = fit_two_shards(make({**NUMERIC, "x": X[:, 0].astype("f4")}), Y)
    dtypes = list(classifier._state.rows.data.X.dtypes)
    new = make({**NUMERIC, "n": np.arange(60, dtype="i1")})
    if make is pd.DataFrame:
        new = new.astype({"t": object, "x": "Float64", "d": "datetime64[ns]"})
    classifier.partial_fit(new, Y)
    assert list(classifier._state.rows.data.X.dtypes) == dtypes


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (make(first), make(second))
        for make in (pd.DataFrame, pl.DataFrame)
        for first, second in [
            ({"n": [1, 2]}, {"n": [1.0, 2.0]}),
            ({"n": [1, 2]}, {"n": ["1", "2"]}),
            ({"n": ["1", "2"]}, {"n": [1, 2]}),
            ({"n": [True, False]}, {"n": [1, 0]}),
            ({"n": np.array([1, 2], "i1")}, {"n": [1, 300]}),
            ({"n": np.array([1, 2], "f4")}, {"n": [1.0, 1e300]}),
            ({"n": DAYS[:2]}, {"n": [1, 2]}),
        ]
    ]
    + [
        (pd.DataFrame({"n": a}), pd.DataFrame({"n": b}))
        for a, b in [
            (pd.Categorical(["a", "b"]), ["a", "b"]),
            (["a", "b"], pd.Categorical(["a", "b"])),
            (pd.Categorical(["a", "b"]), pd.Categorical(["a", "b"], ordered=True)),
            (pd.Categorical(["a", "b"]), pd.Categorical([1, 2])),
            (np.array([1, 2]), pd.array([1, None], "Int64")),
            (DAYS[:2].astype("M8[s]"), DAYS[:2]),
            (pd.array(DAYS[:2]), pd.Series(DAYS[:2]).dt.tz_localize("UTC")),
            (pd.array(["a", "b"], "string"), [None, {}]),
            (pd.array([0, 1], "Sparse[int]"), [0, 1]),
            (of_arrow(["a", "b"], pa.dictionary(pa.int8(), pa.string())), ["a", "b"]),
        ]
    ]
    + [
        (
            pl.DataFrame({"n": ["a", "b"]}, schema={"n": a}),
            pl.DataFrame({"n": ["a", "b"]}, schema={"n": b}),
        )
        for a, b in [
            (pl.String, pl.Categorical),
            (pl.Categorical, pl.String),
            (pl.Enum(["a", "b"]), pl.String),
        ]
    ],
)
def test_dtypes_that_do_not_go_together(first, second):
    """A held column never changes its dtype."""
    classifier = fit_two_shards(first, [0, 1])
    with pytest.raises(ValueError, match="dtype"):
        classifier.partial_fit(second, [0, 1])
    held = classifier._state.rows.data.X
    assert len(held) == 2
    assert list(held.dtypes) == list(first.dtypes)


def test_categories_in_another_storage():
    """Text is text, and integers of other widths are integers."""
    for first, second in [
        (pd.Index(["a", "b"], dtype=object), pd.Index(["b", "c"], dtype="str")),
        (pd.Index([1, 2]), pd.Index([2, 3], dtype="i1")),
        (pd.Index(["a", "b"]), pd.Index([], dtype=object)),
    ]:
        frames = [
            pd.DataFrame({"k": pd.Categorical([*known, None], known)})
            for known in (first, second)
        ]
        classifier = fit_two_shards(frames[0], range(len(frames[0])))
        classifier.partial_fit(frames[1], range(len(frames[1])))
        categories = classifier._state.rows.data.X["k"].cat.categories
        assert categories.dtype == first.dtype
        assert set(categories) == {*first, *second}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.array([0, 1]), np.array([0.0, 1.0])),
        (np.array([0, 1]), np.array(["0", "1"])),
        (np.array(["0", "1"]), np.array([0, 1])),
        (np.array(["0", "1"], dtype=object), np.array([0, 1])),
        (np.array([True, False]), np.array([1, 0])),
        (np.array([0, 1], dtype="i1"), np.array([0, 300])),
    ],
)
def test_labels_of_another_dtype(first, second):
    """They are refused where a cast would change them."""
    classifier = fit_two_shards(X[:2], first)
    with pytest.raises(ValueError, match="labels y has dtype"):
        classifier.partial_fit(X[:2], second)
    assert classifier.classes_.dtype == first.dtype


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.array([0, 1]), np.array([2, 1], dtype="i1")),
        (np.array([0.0, 1.0]), np.array([2, 1])),
        (np.array([0, 1]), np.array([True, False])),
        (np.array(["a", "b"]), np.array(["c", "b"], dtype=object)),
        (np.array(["a", "b"], dtype=object), np.array(["c", "b"])),
    ],
)
def test_labels_take_the_dtype_of_those_before(first, second):
    """The dtype of `classes_` stays."""
    classifier = fit_two_shards(X[:2], first).partial_fit(X[:2], second)
    assert classifier.classes_.dtype == first.dtype
    assert set(classifier.classes_) == {*first, *second}


@pytest.mark.parametrize("base", ["tree", "bayes"])
def test_longer_labels_come_and_go(base):
    """No width of text tells of them when they are gone."""
    labels = np.array([TEXT if i >= 50 else label for i, label in enumerate(Y)])
    classifier = make_case(base, "default").fit(X[:50], Y[:50])
    classifier.partial_fit(X[50:], labels[50:])
    assert TEXT in classifier.classes_
    classifier.forget([3, *range(50, 60)])
    fresh = fit_anew(classifier, X, Y)
    assert_same_classifier(classifier, fresh, X)
    for estimator in classifier.estimators_:
        assert estimator.classes_.dtype.itemsize <= 4 * 5


def test_longer_text_is_not_cut():
    """An array of text cannot hold a longer one."""
    classifier = fit_two_shards(np.array([["a"], ["b"]]), [0, 1])
    classifier.partial_fit(np.array([["c"], ["d"]], dtype="U9"), [0, 1])
    with pytest.raises(ValueError, match="dtype"):
        classifier.partial_fit(np.array([["long"], ["d"]]), [0, 1])
    with pytest.raises(ValueError, match="dtype"):
        classifier.partial_fit(np.array([[1], [2]]), [0, 1])

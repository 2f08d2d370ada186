"""Data frames: what they carry beside their rows goes too, and new rows fit the old."""

import pickle
import time

import numpy as np
import pandas as pd
import polars as pl
import polars.testing
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.tree import DecisionTreeClassifier
from support import assert_same_classifier, fit_anew, make_case, make_data

from skunlearn import ShardedUnlearningClassifier
from skunlearn._containers import without_labels
from skunlearn._rows import Batch, Rows

X, Y = make_data()
TEXT = "a text that is nobody else's"
TEXTS = [TEXT if i == 7 else f"text {i % 3}" for i in range(60)]
LISTS = [[text] for text in TEXTS]
ORDER = ["text 2", TEXT, "text 0", "text 1", "text that no row has"]
NUMBER = 123456789123456789
NUMBERS = [NUMBER if i == 7 else i for i in range(60)]
DAY = np.datetime64("1912-06-23T11:22:33.444555", "us")
DAYS = np.where(np.arange(60) == 7, DAY, np.datetime64("2020-01-01", "us"))
REAL = 0.123456789012345


class Keeper(ClassifierMixin, BaseEstimator):
    """A classifier that keeps its rows, of whatever kind, as neighbours do."""

    def fit(self, X, y):
        """Keep them."""
        self.X_, self.classes_ = X, np.unique(y)
        return self

    def predict_proba(self, X):
        """Return what does not depend on them."""
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))

    def predict(self, X):
        """Return the first class."""
        return np.repeat(self.classes_[:1], len(X))


def of_arrow(values, dtype):
    """Return a pandas column of one of arrow's dtypes."""
    array = pa.chunked_array([pa.array(values, dtype)])
    return pd.Series(pd.arrays.ArrowExtensionArray(array))


def make_masked():
    """Return nullable integers whose marked value lies beneath the mask."""
    return pd.arrays.IntegerArray(np.array(NUMBERS), np.arange(60) == 7)


def make_cells():
    """Return Python objects."""
    return np.array([{"name": text} for text in TEXTS])


dictionary = pa.dictionary(pa.int8(), pa.string())
ordered = pa.dictionary(pa.int8(), pa.string(), ordered=True)
PANDAS = {
    "str": lambda: TEXTS,
    "categorical": lambda: pd.Categorical(TEXTS),
    "ordered": lambda: pd.Categorical(TEXTS, ORDER, ordered=True),
    "arrow categories": lambda: pd.Categorical(pd.array(TEXTS, "string[pyarrow]")),
    "dates": lambda: DAYS,
    "date categories": lambda: pd.Categorical(DAYS),
    "intervals": lambda: pd.arrays.IntervalArray.from_arrays(NUMBERS, NUMBERS),
    "masked": make_masked,
    "nullable": lambda: pd.array(NUMBERS, "Int64"),
    "sparse": lambda: pd.arrays.SparseArray(np.where(np.arange(60) == 7, REAL, 0)),
    "objects": make_cells,
    "arrow text": lambda: of_arrow(TEXTS, pa.large_string()),
    "arrow lists": lambda: of_arrow(LISTS, pa.list_(pa.string())),
    "arrow views": lambda: of_arrow(LISTS, pa.list_view(pa.string())),
    "dictionary": lambda: of_arrow(TEXTS, dictionary),
    "ordered dictionary": lambda: of_arrow(TEXTS, ordered),
    "dictionaries": lambda: of_arrow(LISTS, pa.list_(dictionary)),
    "structs": lambda: of_arrow(
        [{"a": text} for text in TEXTS], pa.struct([("a", dictionary)])
    ),
}
enum = pl.Enum(ORDER)
POLARS = {
    "string": (TEXTS, pl.String),
    "binary": ([text.encode() for text in TEXTS], pl.Binary),
    "categorical": (TEXTS, pl.Categorical),
    "enum": (TEXTS, enum),
    "list": (LISTS, pl.List(pl.String)),
    "list of enum": (LISTS, pl.List(enum)),
    "array": (LISTS, pl.Array(enum, 1)),
    "struct": ([{"a": text} for text in TEXTS], pl.Struct({"a": enum})),
    "integer": (NUMBERS, pl.Int64),
    "datetime": (DAYS, pl.Datetime("us")),
}


def make_pandas(kind):
    """Return a frame with two columns of the kind, under names that are no text."""
    column = PANDAS[kind]()
    return pd.concat([pd.Series(column), pd.Series(column)], axis=1)


def make_polars(kind):
    """Return a frame with a column of the kind."""
    values, dtype = POLARS[kind]
    return pl.DataFrame({"a": pl.Series(values, dtype=dtype)})


NESTED = ("list of enum", "array", "struct")  # no new rows, unless of the same values
FRAMES = {f"pandas {kind}": (make_pandas, kind) for kind in PANDAS}
FRAMES |= {f"polars {kind}": (make_polars, kind) for kind in POLARS}
INCOMPARABLE = {f"polars {kind}" for kind in NESTED} | {"pandas arrow views"}
COMPARABLE = [name for name in FRAMES if name not in INCOMPARABLE]


def cut(frame, places):
    """Return rows of a frame of either kind."""
    places = list(places)
    return frame.iloc[places] if isinstance(frame, pd.DataFrame) else frame[places]


def has_marker(thing):
    """Tell whether a pickle has one of the markers."""
    data = pickle.dumps(thing)
    numbers = np.int64(NUMBER).tobytes(), np.float64(REAL).tobytes(), DAY.tobytes()
    return any(marker in data for marker in (TEXT.encode(), *numbers))


@pytest.mark.parametrize("name", FRAMES)
def test_no_trace(name):
    """Of no dtype anything stays, and only one shard knew what its row had."""
    make, kind = FRAMES[name]
    frame = make(kind)
    classifier = ShardedUnlearningClassifier(Keeper(), n_shards=3, random_state=0)
    classifier.fit(frame, Y)
    assert has_marker(classifier)
    assert has_marker(classifier._state.rows)
    assert "text that no row has" not in repr(classifier._state.rows.held.X.dtypes)
    assert sum(has_marker(e) for e in classifier.estimators_) == 1
    classifier.forget(7)
    assert not has_marker(classifier)
    assert has_marker(frame)


@pytest.mark.parametrize("name", FRAMES)
def test_rows_and_dtypes_stay(name):
    """What is held after forgetting and learning are the rows in their dtypes."""
    make, kind = FRAMES[name]
    frame = make(kind)
    classifier = ShardedUnlearningClassifier(DummyClassifier(), random_state=0)
    classifier.fit(cut(frame, range(40)), Y[:40])
    rest = cut(frame, range(40, 60))
    if make is make_polars and kind in NESTED:
        with pytest.raises(ValueError, match="dtype"):
            classifier.partial_fit(rest, Y[40:])
        return
    classifier.partial_fit(rest, Y[40:]).forget([7, 8])
    assert not has_marker(classifier)
    held, slots = classifier._state.rows.held.X, classifier._state.rows.slot_of
    for place in (3, 41, 59):
        if make is make_polars:
            assert held.row(slots[place]) == frame.row(place)
        else:
            assert repr(held.iloc[slots[place], 0]) == repr(frame.iloc[place, 0])
    dtypes = [str(d).partition("(")[0] for d in (held.dtypes[0], frame.dtypes[0])]
    assert dtypes[0] == dtypes[1]


@pytest.mark.parametrize("name", COMPARABLE)
def test_constituents_have_the_same_rows_as_after_a_fresh_fit(name):
    """Columns are the same down to categories and their order."""
    make, kind = FRAMES[name]
    frame = make(kind)
    classifier = ShardedUnlearningClassifier(Keeper(), n_shards=3, random_state=0)
    fresh = ShardedUnlearningClassifier(Keeper(), n_shards=3, random_state=0)
    classifier.fit(cut(frame, range(40)), Y[:40])
    classifier.partial_fit(cut(frame, range(40, 60)), Y[40:]).forget([7, 8, 41, 50])
    for start, stop in [(0, 40), (40, 60)]:
        kept = np.setdiff1d(np.arange(start, stop), [7, 8, 41, 50])
        fresh.partial_fit(cut(frame, kept), Y[kept], groups=kept)
    for mine, other in zip(classifier.estimators_, fresh.estimators_, strict=True):
        if make is make_polars:
            pl.testing.assert_frame_equal(mine.X_, other.X_)
        else:
            pd.testing.assert_frame_equal(mine.X_, other.X_)


def fit(frame, labels, base=None):
    """Return a classifier fitted on a frame."""
    base = DummyClassifier() if base is None else base
    classifier = ShardedUnlearningClassifier(base, n_shards=2, random_state=0)
    return classifier.fit(frame, labels)


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
    frame = classifier._state.rows.held.X
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
    classifier = fit(first, [0, 1, 0, 1])
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
    classifier = fit(early, labels).partial_fit(late, labels)
    assert classifier._state.rows.held.X["size"].cat.categories.tolist() == [*"abc"]
    mixed = pd.DataFrame({"size": pd.Categorical([2, "b", 10, "a"])})
    held = fit(mixed, [0, 0, 1, 1])._state.rows.held.X
    assert held["size"].cat.categories.tolist() == [10, 2, "a", "b"]


NUMERIC = {"n": np.arange(60), "x": X[:, 0], "t": TEXTS, "d": DAYS}
CATEGORY = pd.DataFrame({"k": pd.Categorical(["a", "b"] * 30)})


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_new_rows_take_the_dtypes_of_those_before(make):
    """Numbers are cast where nothing is lost; text may be stored in another way."""
    classifier = fit(make({**NUMERIC, "x": X[:, 0].astype("f4")}), Y)
    dtypes = list(classifier._state.rows.held.X.dtypes)
    new = make({**NUMERIC, "n": np.arange(60, dtype="i1")})
    if make is pd.DataFrame:
        new = new.astype({"t": object, "x": "Float64", "d": "datetime64[ns]"})
    classifier.partial_fit(new, Y)
    assert list(classifier._state.rows.held.X.dtypes) == dtypes


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
            (DAYS[:2].astype("M8[s]"), DAYS[7:9]),
            (pd.array(DAYS[:2]), pd.Series(DAYS[:2]).dt.tz_localize("UTC")),
            (np.array([1, 2], "f4"), np.array([1, 1e300])),
            (["a", "b"], [None, {}]),
            (pd.array([0, 1], "Sparse[int]"), [0, 1]),
            (of_arrow(["a", "b"], dictionary), ["a", "b"]),
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
    classifier = fit(first, [0, 1])
    with pytest.raises(ValueError, match="dtype"):
        classifier.partial_fit(second, [0, 1])
    held = classifier._state.rows.held.X
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
        classifier = fit(frames[0], range(len(frames[0])))
        classifier.partial_fit(frames[1], range(len(frames[1])))
        categories = classifier._state.rows.held.X["k"].cat.categories
        assert categories.dtype == first.dtype
        assert set(categories) == {*first, *second}


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
    classifier = fit(frame[:40], Y[:40], base).partial_fit(frame[40:], Y[40:])
    assert classifier.forget([3, 50]).score(frame, Y) > 0.5
    held = classifier._state.rows.held.X
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
        fit(frame, Y)
    with pytest.raises(ValueError, match="unique column names"):  # if nobody else asks
        without_labels(frame)


def test_mixed_names_are_refused():
    """As scikit-learn does."""
    with pytest.raises(TypeError, match="feature names"):
        fit(pd.DataFrame(X, columns=["a", 0, 1, 2]), Y)


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
        fit(first, Y, DecisionTreeClassifier()).partial_fit(second, Y)


def test_labels_beside_the_columns():
    """An index, attributes and those of a subclass are not held."""

    class Named(pd.DataFrame):
        _metadata = ("who",)

        @property
        def _constructor(self):
            return Named

    index = pd.MultiIndex.from_arrays([TEXTS, range(60)])
    frame = Named(X, index=index)
    frame.who, frame.attrs["who"] = TEXT, TEXT
    classifier = fit(frame, Y)
    assert type(classifier._state.rows.held.X) is pd.DataFrame
    assert not has_marker(classifier)
    frame = pd.DataFrame(X, index=pd.CategoricalIndex(TEXTS))
    frame.attrs["who"] = TEXT
    assert not has_marker(fit(frame, Y).partial_fit(frame, Y))


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_empty_frames(make):
    """Neither no rows nor no columns, in scikit-learn's words."""
    frame = make({"a": X[:, 0]})
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        fit(frame[:0], Y[:0])
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        fit(frame, Y).predict(frame[:0])
    with pytest.raises(ValueError, match=r"0 feature\(s\)"):
        fit(pd.DataFrame(index=range(60)), Y)


def test_arrow_tables_become_arrays():
    """As they do in scikit-learn."""
    table = pa.table({"a": X[:, 0], "b": X[:, 1]})
    classifier = fit(table, Y, DecisionTreeClassifier())
    assert isinstance(classifier._state.rows.held.X, np.ndarray)
    np.testing.assert_array_equal(
        classifier.forget(3).predict_proba(table),
        fit(X[:, :2], Y, DecisionTreeClassifier()).forget(3).predict_proba(X[:, :2]),
    )


@pytest.mark.parametrize(
    "rows", [TEXTS, np.array(TEXTS), pd.Series(TEXTS), pl.Series(TEXTS)]
)
def test_one_dimension_is_refused(rows):
    """As scikit-learn does."""
    with pytest.raises(ValueError, match="Expected"):
        fit(rows, Y)


def test_frames_at_fit_and_arrays_at_predict():
    """Answered alike, with scikit-learn's warnings."""
    frame = pd.DataFrame(X).add_prefix("x")
    answers = fit(X, Y, DecisionTreeClassifier()).predict_proba(X)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        framed = fit(frame, Y, DecisionTreeClassifier()).predict_proba(X)
    np.testing.assert_array_equal(framed, answers)
    classifier = fit(X, Y, DecisionTreeClassifier())
    with pytest.warns(UserWarning, match="X has feature names") as caught:
        np.testing.assert_array_equal(classifier.predict_proba(frame), answers)
    assert len(caught) == 1
    with pytest.raises(ValueError, match="feature names"):
        fit(frame, Y).predict(frame[["x0"]])


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
    classifier = fit(X[:2], first)
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
    classifier = fit(X[:2], first).partial_fit(X[:2], second)
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
    classifier = fit(np.array([["a"], ["b"]]), [0, 1])
    classifier.partial_fit(np.array([["c"], ["d"]], dtype="U9"), [0, 1])
    with pytest.raises(ValueError, match="dtype"):
        classifier.partial_fit(np.array([["long"], ["d"]]), [0, 1])
    with pytest.raises(ValueError, match="dtype"):
        classifier.partial_fit(np.array([[1], [2]]), [0, 1])


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.float32])
@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
def test_sparse_rows_of_any_make(dtype, index_dtype):
    """Unsorted and doubled entries, empty rows, wide indices: all are overwritten."""
    data = np.array([1, 1, 1, 1, 1, 1, 1], dtype=dtype)
    indices = np.array([3, 1, 3, 2, 2, 0, 1], dtype=index_dtype)
    indptr = np.array([0, 3, 3, 5, 7], dtype=index_dtype)
    matrix = sparse.csr_array((data, indices, indptr), shape=(4, 4))
    rows = Rows.in_order(Batch(matrix, np.arange(4), None), np.arange(4))
    rows.forget(np.array([0, 1, 3]))
    held = rows.held.X
    assert held.dtype == dtype
    assert held.data.tolist() == [0, 0, 0, 1, 1, 0, 0]
    assert held.indices.tolist() == [0, 0, 0, 2, 2, 0, 0]
    np.testing.assert_array_equal(
        rows.take(np.array([2])).X.toarray(), matrix[[2]].toarray()
    )


def test_sparse_rows_are_forgotten_at_once():
    """Without a loop over rows."""
    n_rows = 200_000
    matrix = sparse.csr_array(
        (np.ones(n_rows), np.zeros(n_rows, dtype=int), np.arange(n_rows + 1))
    )
    rows = Rows.in_order(Batch(matrix, np.zeros(n_rows), None), np.arange(n_rows))
    start = time.perf_counter()
    rows.forget(np.arange(n_rows))
    assert time.perf_counter() - start < 0.1
    assert not rows.held.X.data.any()

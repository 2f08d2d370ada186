"""Law 7 for data frames: what they carry beside their rows goes with the rows."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import polars.testing
import pyarrow as pa
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from support import fit_two_shards, make_data

from skunlearn import ShardedUnlearningClassifier

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

    def partial_fit(self, X, y, classes=None):
        """Keep those of the last slice."""
        self.X_, self.classes_ = X, np.unique(y) if classes is None else classes
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


LIST_VIEW = getattr(pa, "list_view", pa.list_)  # of pyarrow 16 and later
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
    "arrow views": lambda: of_arrow(LISTS, LIST_VIEW(pa.string())),
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
LISTED = {f"pandas {kind}" for kind in PANDAS if "categor" in kind or kind == "ordered"}
LISTED |= {"pandas dictionary", "pandas ordered dictionary"}
LISTED |= {f"polars {kind}" for kind in ("enum", *NESTED)}
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
    assert "text that no row has" not in repr(classifier._state.rows.data.X.dtypes)
    assert sum(has_marker(e) for e in classifier.estimators_) == 1
    classifier.forget(7)
    assert not has_marker(classifier)
    assert has_marker(frame)


@pytest.mark.parametrize("random_state", [0, 2])
@pytest.mark.parametrize("name", FRAMES)
def test_slices_know_their_own_rows(name, random_state):
    """No checkpoint knows what later rows had; lists of values are those so far."""
    make, kind = FRAMES[name]
    classifier = ShardedUnlearningClassifier(
        Keeper(),
        n_shards=1,
        n_slices=3,
        slice_training="sequential",
        random_state=random_state,
    )
    (shard,) = classifier.fit(make(kind), Y)._state.shards
    place = np.flatnonzero(shard.slots == classifier._state.rows.slot_of[7])
    first = np.searchsorted(shard.bounds, place[0], side="right") - 1
    knows = [has_marker(state) for state in shard.states]
    assert knows.index(True) == first
    assert sum(knows) == (3 - first if name in LISTED else 1)
    assert not has_marker(classifier.forget(7, retrain=False))


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
    held, slots = classifier._state.rows.data.X, classifier._state.rows.slot_of
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
    classifier = fit_two_shards(frame, Y)
    assert type(classifier._state.rows.data.X) is pd.DataFrame
    assert not has_marker(classifier)
    frame = pd.DataFrame(X, index=pd.CategoricalIndex(TEXTS))
    frame.attrs["who"] = TEXT
    assert not has_marker(fit_two_shards(frame, Y).partial_fit(frame, Y))

"""Columns with lists of values: codes mean at predict what they meant in training."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier
from support import assert_same_classifier, thin

from skunlearn import ShardedUnlearningClassifier
from skunlearn.sharding import RepresentativeSelection

rng = np.random.default_rng(0)
DECLARED = ["oak", "ash", "fir", "elm", "bay"]  # in no order of the alphabet
CODES = rng.integers(0, 5, 200)
CODES[CODES == 4] = 0
CODES[11] = 4  # a value that occurs once
TREES = np.array(DECLARED)[CODES]
Y = np.isin(CODES, [0, 2]).astype(int)


def make_arrow(values, declared, ordered=False):
    """Return a dictionary column of arrow's."""
    index = [declared.index(v) if v is not None else None for v in values]
    array = pa.DictionaryArray.from_arrays(
        pa.array(index, pa.int32()), pa.array(declared), ordered=ordered
    )
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([array])))


def make_categorical(kind, ordered=False):
    """Return how to make a categorical column whose values are of some kind."""

    def make(values, declared):
        known = kind(declared)
        places = [declared.index(v) if v is not None else -1 for v in values]
        return pd.Series(pd.Categorical.from_codes(places, known, ordered=ordered))

    return make


def to_dates(declared):
    """Return a date for each value, not in order."""
    days = [DECLARED.index(v) * 7 % 5 for v in declared]
    return pd.DatetimeIndex(np.datetime64("2020-01-01") + np.array(days) * 1)


def to_intervals(declared):
    """Return an interval for each value."""
    left = [DECLARED.index(v) * 7 % 5 for v in declared]
    return pd.IntervalIndex.from_arrays(left, np.array(left) + 0.5)


def to_mixed(declared):
    """Return values of several kinds, which cannot be sorted."""
    return pd.Index([(7, "a", 2.5, b"t", "b")[DECLARED.index(v)] for v in declared])


PANDAS = {
    "categorical": make_categorical(list),
    "ordered": make_categorical(list, ordered=True),
    "objects": make_categorical(lambda d: pd.Index(d, dtype=object)),
    "arrow strings": make_categorical(lambda d: pd.Index(d, dtype="string[pyarrow]")),
    "integers": make_categorical(lambda d: [len(v) * ord(v[0]) for v in d]),
    "dates": make_categorical(to_dates),
    "intervals": make_categorical(to_intervals),
    "mixed": make_categorical(to_mixed),
    "dictionary": make_arrow,
    "ordered dictionary": lambda v, d: make_arrow(v, d, ordered=True),
}
KINDS = [*PANDAS, "enum"]


def make_frame(kind, values=TREES, declared=DECLARED):
    """Return a frame with a column of a kind, and another one."""
    values = [v if v is None else str(v) for v in values]
    if kind == "enum":
        column = pl.Series(values, dtype=pl.Enum(declared))
        return pl.DataFrame({"tree": column, "size": np.arange(len(values)) % 7})
    column = PANDAS[kind](values, declared)
    return pd.DataFrame({"tree": column, "size": np.arange(len(values)) % 7})


def read_codes(frame):
    """Return the codes of the column, -1 for missing values."""
    if isinstance(frame, pl.DataFrame):
        codes = frame["tree"].to_physical().fill_null(-1)
        return codes.cast(pl.Int64, strict=False).to_numpy().reshape(-1, 1)
    if frame["tree"].dtype == "category":
        return frame["tree"].cat.codes.to_numpy().reshape(-1, 1)
    array = frame["tree"].array.__arrow_array__().combine_chunks()
    return array.indices.fill_null(-1).to_numpy(zero_copy_only=False).reshape(-1, 1)


def list_values(frame):
    """Return the values that the column declares."""
    if isinstance(frame, pl.DataFrame):
        return frame["tree"].dtype.categories.to_list()
    if frame["tree"].dtype == "category":
        return frame["tree"].cat.categories.tolist()
    array = frame["tree"].array.__arrow_array__().unify_dictionaries()
    return array.chunk(0).dictionary.to_pylist()


def cut(frame, places):
    """Return rows of a frame of either kind."""
    return frame[places] if isinstance(frame, pl.DataFrame) else frame.iloc[places]


class Reader(ClassifierMixin, BaseEstimator):
    """Fails if it is not asked with the very values that it was trained on."""

    def fit(self, X, y):
        """Keep what the column declares."""
        self.values_, self.classes_ = list_values(X), np.unique(y)
        return self

    def partial_fit(self, X, y, classes=None):
        """Keep what it declares by now."""
        before, known = getattr(self, "values_", []), getattr(self, "classes_", classes)
        self.values_, self.classes_ = list_values(X), known
        assert set(before) <= set(self.values_)
        return self

    def predict_proba(self, X):
        """Return probabilities that tell nothing."""
        assert list_values(X) == self.values_
        return np.tile([0.25, 0.75], (len(X), 1))

    def predict(self, X):
        """Return the last class."""
        assert list_values(X) == self.values_
        return np.full(len(X), self.classes_[-1])


def fit(base, frame, y=Y, **params):
    """Return a fitted classifier."""
    params = {"n_shards": 4, "random_state": 0, **params}
    return ShardedUnlearningClassifier(base, **params).fit(frame, y)


coded = make_pipeline(FunctionTransformer(read_codes), DecisionTreeClassifier())


@pytest.mark.parametrize("kind", KINDS)
def test_codes_are_those_of_the_bare_base(kind):
    """With one shard nothing is different; with more all that matters is right."""
    frame = make_frame(kind)
    expected = coded.fit(frame, Y).predict_proba(frame)
    answers = fit(coded, frame, n_shards=1).predict_proba(frame)
    np.testing.assert_array_equal(answers, expected)
    for params in ({}, {"voting": "hard"}, {"partition": "class", "n_shards": 2}):
        answers = fit(coded, frame, **params).predict(frame)
        assert np.mean(answers == Y) > 0.99


@pytest.mark.parametrize("params", [{}, {"n_slices": 3}, {"partition": "class"}])
@pytest.mark.parametrize("training", thin(["cumulative", "sequential"]))
@pytest.mark.parametrize("kind", KINDS)
def test_each_is_asked_with_the_values_of_its_training(kind, training, params):
    """After any forget, at once or later, and whatever the rows asked about declare."""
    if params.get("n_slices", 1) == 1 and training == "sequential":
        return
    frame = make_frame(kind)
    classifier = fit(Reader(), frame, slice_training=training, **params)
    classifier.forget([11, 12]).forget(range(40), retrain=False)
    asked = [frame, make_frame(kind, TREES[:30], DECLARED[::-1]), cut(frame, [0])]
    for step in ("pending", "trained", "grown"):
        if step == "trained":
            classifier.retrain()
        if step == "grown":
            classifier.partial_fit(cut(frame, range(50)), Y[:50])
        for X in asked:
            assert len(classifier.predict(X)) == len(X)
    for X in asked[:1]:
        known = {tuple(e.values_) for e in classifier.estimators_}
        order = list_values(X)
        for values in known:
            assert list(values) == [v for v in order if v in values]


@pytest.mark.parametrize("kind", KINDS)
def test_values_that_a_constituent_does_not_know_are_missing(kind):
    """And rows of them get an answer."""
    frame = make_frame(kind)
    seen = FunctionTransformer(lambda F: (read_codes(F) < 0).astype(float))
    classifier = fit(make_pipeline(seen, DummyClassifier()), frame)
    (owner,) = classifier.preview_forget(11).shards
    for shard, values in enumerate(
        s.list_values(classifier._state.rows) for s in classifier._state.shards
    ):
        assert ("bay" in repr(values) or len(list_values(frame)) > 4) or shard != owner
    strange = make_frame(kind, ["bay", None, "oak"])
    assert len(classifier.forget(11).predict(strange)) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_values_of_forgotten_rows_are_gone(kind):
    """Of a value that one row had nothing is left, nor of one that none had."""
    frame = make_frame(
        kind,
        declared=[*DECLARED[:3], "yew", *DECLARED[3:]]
        if kind not in ("dates", "intervals", "mixed")
        else DECLARED,
    )
    classifier = fit(Reader(), frame, n_slices=2)
    classifier.predict(frame)
    if kind in ("categorical", "ordered", "objects", "dictionary", "enum"):
        assert b"bay" in pickle.dumps(classifier)
        assert b"yew" not in pickle.dumps(classifier)
        assert b"bay" not in pickle.dumps(classifier.forget(11, retrain=False))
    classifier.forget(11).retrain()
    keep = classifier.retained_indices_
    fresh = ShardedUnlearningClassifier(
        Reader(), n_shards=4, n_slices=2, random_state=0
    ).fit(cut(frame, keep), Y[keep], groups=keep)
    assert_same_classifier(classifier, fresh, frame)
    for mine, other in zip(classifier.estimators_, fresh.estimators_, strict=True):
        assert mine.values_ == other.values_


BATCHES = [
    (range(0, 90), DECLARED),
    (range(90, 140), ["elm", "bay", "oak", "fir", "ash"]),
    (range(140, 200), ["fir", "ash", "elm", "oak", "bay"]),
]


def learn(classifier, kind, keep):
    """Let a classifier learn what is kept of three batches, by their declarations."""
    for rows, declared in BATCHES:
        rows = np.intersect1d(rows, keep)
        if len(rows):
            frame = make_frame(
                kind,
                TREES,
                DECLARED
                if "ordered" in kind or kind in ("enum", "dates", "intervals")
                else declared,
            )
            classifier.partial_fit(cut(frame, rows.tolist()), Y[rows], groups=rows)
    return classifier


@pytest.mark.parametrize(
    "params",
    [
        {"n_shards": 5},
        {"n_shards": 3, "n_slices": 2},
        {"n_shards": 2, "n_slices": 2, "slice_training": "sequential"},
        {"n_shards": 2, "partition": "class"},
        {"n_shards": 2, "n_replicas": 2},
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    "kind", thin(["categorical", "mixed", "dictionary", "ordered", "enum"], 2)
)
def test_batches_that_declare_other_orders(kind, params):
    """The order is a function of the rows that a constituent has, and of theirs."""
    stream = np.random.default_rng(3)

    def make():
        base = Reader() if "n_slices" in params else coded
        return ShardedUnlearningClassifier(base, random_state=0, **params)

    classifier = learn(make(), kind, np.arange(200))
    kept = np.arange(200)
    for n_gone in (1, 30, 80, 40, 44):
        gone = stream.choice(kept, n_gone, replace=False)
        kept = np.setdiff1d(kept, gone)
        classifier.forget(gone)
        fresh = learn(make(), kind, kept)
        assert_same_classifier(classifier, fresh, make_frame(kind))


@pytest.mark.parametrize("kind", ["categorical", "dictionary", "enum"])
def test_selected_rows_declare_their_own(kind):
    """Rows that were not chosen leave nothing, not even an order."""
    frame = make_frame(kind)
    columns = FunctionTransformer(read_codes)
    selection = RepresentativeSelection(0.3, transformer=columns)
    classifier = fit(Reader(), frame, n_shards=2, selection=selection)
    assert len(classifier.predict(frame)) == 200


def dummies(frame):
    """Return an indicator of each value that the column declares."""
    return pd.get_dummies(frame, columns=["tree"]).to_numpy(dtype=float)


BASES = {
    "dummies": make_pipeline(FunctionTransformer(dummies), LogisticRegression()),
    "onehot": make_pipeline(
        OneHotEncoder(handle_unknown="ignore"), LogisticRegression()
    ),
    "ordinal": make_pipeline(
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        DecisionTreeClassifier(),
    ),
    "boosting": HistGradientBoostingClassifier(
        max_iter=20, min_samples_leaf=2, categorical_features="from_dtype"
    ),
}


@pytest.mark.parametrize("kind", ["categorical", "ordered", "objects"])
@pytest.mark.parametrize("name", BASES)
def test_what_others_make_of_categories(name, kind):
    """Encoders, indicators and boosting are as right as they are bare."""
    frame = make_frame(kind)
    classifier = fit(BASES[name], frame)
    assert classifier.score(frame, Y) > 0.97
    assert classifier.forget(11).score(frame, Y) > 0.97


PLAIN = {
    "sparse": lambda: pd.arrays.SparseArray(CODES),
    "nullable": lambda: pd.array(CODES, dtype="Int64"),
    "masked": lambda: pd.array(np.where(CODES == 1, None, CODES), dtype="Float64"),
    "boolean": lambda: pd.array(CODES % 2 == 0, dtype="boolean"),
    "arrow": lambda: pd.array(CODES, dtype="int32[pyarrow]"),
    "float16": lambda: CODES.astype(np.float16),
    "dates": lambda: pd.to_datetime(CODES, unit="D"),
    "durations": lambda: pd.to_timedelta(CODES, unit="D"),
    "periods": lambda: pd.PeriodIndex.from_ordinals(CODES, freq="D").array,
}


@pytest.mark.parametrize("kind", PLAIN)
def test_other_extension_types(kind):
    """One shard answers as the bare base does."""
    frame = pd.DataFrame({"tree": PLAIN[kind](), "size": np.arange(200) % 7})

    def to_numbers(frame):
        ordinals = frame["tree"]
        if kind in ("dates", "durations", "periods"):
            ordinals = ordinals.astype("int64")
        return np.column_stack([ordinals.astype(float).fillna(-1), frame["size"]])

    base = make_pipeline(
        FunctionTransformer(to_numbers), StandardScaler(), DecisionTreeClassifier()
    )
    expected = base.set_params(decisiontreeclassifier__random_state=0).fit(frame, Y)
    answers = fit(base, frame, n_shards=1).forget(11)
    assert np.mean(answers.predict(frame) == expected.predict(frame)) > 0.99

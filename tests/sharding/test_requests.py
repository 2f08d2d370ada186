"""Ill-formed use: every case has a defined answer, and then nothing has changed."""

import contextlib
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from support import make_case, make_data

from skunlearn import ShardedUnlearningClassifier
from skunlearn.exceptions import (
    ForgetIndexError,
    NothingRetainedError,
    SkunlearnError,
    UnsupportedEstimatorError,
)

X, Y = make_data()

GOOD_REQUESTS = {
    "integer": (7, [7]),
    "numpy integer": (np.int16(7), [7]),
    "list": ([9, 7, 9], [7, 9]),
    "tuple": ((7, 9), [7, 9]),
    "range": (range(3), [0, 1, 2]),
    "unsigned array": (np.array([7, 9], dtype=np.uint8), [7, 9]),
    "objects": (np.array([7, 9], dtype=object), [7, 9]),
    "slice": (slice(50, None, 4), [50, 54, 58]),
    "slice from the end": (slice(-2, None), [58, 59]),
    "mask": (np.arange(60) == 7, [7]),
    "list of bool": ([i in (7, 9) for i in range(60)], [7, 9]),
    "series mask": (pd.Series(np.arange(60) > 57), [58, 59]),
    "empty": ([], []),
    "empty mask": (np.zeros(60, dtype=bool), []),
    "empty array": (np.array([]), []),
    "empty tuple": ((), []),
    "no dimension": (np.array(7), [7]),
    "list of numpy integers": ([np.int8(7), np.uint64(9)], [7, 9]),
    "list of numpy bool": ([np.bool_(i == 7) for i in range(60)], [7]),
    "objects as mask": (np.array([i == 7 for i in range(60)], dtype=object), [7]),
    "series by value": (pd.Series([7, 9], index=[1, 2]), [7, 9]),
    "nullable series": (pd.Series([7, 9], dtype="Int64"), [7, 9]),
    "nullable mask": (pd.Series(np.arange(60) > 57, dtype="boolean"), [58, 59]),
    "arrow": (pd.Series([7, 9], dtype="int64[pyarrow]"), [7, 9]),
    "polars": (pl.Series([7, 9]), [7, 9]),
    "polars mask": (pl.Series(np.arange(60) > 57), [58, 59]),
    "nothing masked": (np.ma.array([7, 9], mask=[False, False]), [7, 9]),
}

BAD_REQUESTS = {
    "out of range": 60,
    "index": pd.Index([7, 9]),
    "index of a range": pd.RangeIndex(3),
    "index of text": pd.Index(["7"]),
    "index of pairs": pd.MultiIndex.from_tuples([(1, 2)]),
    "index as mask": pd.Index(np.arange(60) > 57),
    "one of many out of range": [1, 2, 99],
    "huge": [2**80],
    "negative": -1,
    "float": 3.0,
    "integral floats": [1.0, 2.0],
    "nan": [np.nan],
    "none among": [None, 1],
    "string": "7",
    "strings": ["7", "9"],
    "two-dimensional": [[1, 2]],
    "short mask": np.zeros(59, dtype=bool),
    "long mask": np.zeros(61, dtype=bool),
    "bool": True,
    "set": {1, 2},
    "generator": (i for i in range(3)),
    "dates": np.array(["2026-01-01"], dtype="datetime64[D]"),
    "complex": [1j],
    "sparse": sparse.csr_array([[1, 0]]),
    "estimator": LogisticRegression(),
    "ragged": [[1, 2], [3]],
    "ragged deeper": [1, [2, [3]]],
    "slice of text": slice("a"),
    "slice of floats": slice(0.0, 2.0),
    "slice without step": slice(0, 10, 0),
    "dict": {1: 2},
    "keys": {1: 2}.keys(),
    "frozenset": frozenset([1]),
    "bool and int": [True, 2],
    "int and bool": [2, True],
    "numpy bool and int": np.array([np.bool_(True), 2], dtype=object),
    "short list of bool": [True, False],
    "one bool": [True],
    "numpy bool": np.bool_(True),
    "bool of no dimension": np.array(True),
    "none at the end": [1, None],
    "float among": [1, 2.0],
    "nan alone": np.nan,
    "float of no dimension": np.array(2.0),
    "beyond 64 bits of no dimension": 2**64,
    "without a text": [10**5000],
    "negative and huge": [-1, 2**64],
    "largest unsigned": np.array([2**64 - 1], dtype=np.uint64),
    "timedelta": [np.timedelta64(1, "s")],
    "timedeltas": np.array([1], dtype="timedelta64[s]"),
    "masked": np.ma.array([1, 2], mask=[False, True]),
    "masked constant": np.ma.masked,
    "bytes": b"7",
    "bytearray": bytearray(b"7"),
    "record": np.zeros(2, dtype=[("a", int)]),
    "missing in a series": pd.Series([1, None], dtype="Int64"),
    "missing in a mask": pd.Series([True, None] * 30, dtype="boolean"),
    "missing in polars": pl.Series([1, None]),
    "missing in a polars mask": pl.Series([True, None] * 30),
    "128 bits": pl.Series([1], dtype=pl.Int128),
    "floats in a series": pd.Series([1.0, 2.0]),
    "frame": pd.DataFrame({"a": [1]}),
    "empty in two dimensions": np.empty((0, 2), dtype=int),
}


@pytest.mark.parametrize("kind", GOOD_REQUESTS)
def test_forms_of_a_request(kind):
    """All index forms mean the same positions."""
    request, expected = GOOD_REQUESTS[kind]
    classifier = make_case("tree", "default").fit(X, Y)
    record = classifier.preview_forget(request)
    classifier.forget(request)
    assert classifier.forgotten_indices_.tolist() == expected
    assert record.n_requested == record.n_forgotten == len(expected)
    retained = np.setdiff1d(np.arange(60), expected)
    np.testing.assert_array_equal(classifier.retained_indices_, retained)


@pytest.mark.parametrize("kind", BAD_REQUESTS)
def test_bad_positions(kind):
    """Bad positions are an error that is an IndexError too."""
    classifier = make_case("tree", "default").fit(X, Y).forget(3)
    before = pickle.dumps(classifier)
    for method in (classifier.forget, classifier.preview_forget):
        with pytest.raises(ForgetIndexError, match="X_idx") as caught:
            method(BAD_REQUESTS[kind])
        assert isinstance(caught.value, (IndexError, SkunlearnError))
    assert pickle.dumps(classifier) == before


def test_nothing_named():
    """A request names something."""
    classifier = make_case("tree", "default").fit(X, Y)
    with pytest.raises(ForgetIndexError, match="X_idx"):
        classifier.forget()


element = (
    st.none()
    | st.booleans()
    | st.integers(-2, 70)
    | st.integers()
    | st.floats()
    | st.text(max_size=2)
    | st.sampled_from([np.int8(3), np.uint64(2**63), np.float32(1), np.bool_(True)])
)
anything = st.recursive(
    element,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=1), inner, max_size=2)
        | st.builds(slice, inner, inner, inner)
    ),
    max_leaves=5,
)
FITTED = make_case("tree", "default").fit(X, Y, groups=np.arange(60) // 2)


@given(anything.filter(lambda request: request is not None))
def test_a_request_is_understood_or_refused(request):
    """Nothing but integers names positions, and no error is another's."""
    with contextlib.suppress(ForgetIndexError, NothingRetainedError):
        record = FITTED.preview_forget(request)
        if not isinstance(request, slice):
            named = request if isinstance(request, (list, tuple)) else [request]
            assert all(type(v) is int or isinstance(v, np.integer) for v in named)
            assert record.n_requested == len(set(named))


@given(anything.filter(lambda request: request is not None))
def test_a_request_of_groups_is_understood_or_refused(request):
    """Nothing but integers from 0 to 29, or what equals them, names a group."""
    with contextlib.suppress(ForgetIndexError):
        record = FITTED.preview_forget(groups=request)
        named = request if isinstance(request, (list, tuple)) else [request]
        assert set(named) <= set(range(30))
        assert record.n_requested == 2 * len(set(named))


@pytest.mark.parametrize("groups", [[], (), np.array([]), pd.Series([], dtype=object)])
def test_no_group_is_a_request(groups):
    """It names nothing and forgets nothing."""
    classifier = make_case("tree", "default").fit(X, Y, groups=np.arange(60) // 6)
    record = classifier.forget(groups=groups).forget_records_[-1]
    assert (record.n_requested, record.shards) == (0, ())
    assert len(classifier.forgotten_indices_) == 0


@pytest.mark.parametrize(
    "groups",
    [
        "nobody",
        ["user-1", "nobody"],
        1,
        [1.5],
        [None],
        [[1, 2]],
        [object()],
        {"user-1"},
        {"user-1": 1},
        (name for name in ["user-1"]),
        [("user-1", 1)],
        [["user-1"], ["user-2", "user-3"]],
        np.ma.array(["user-1", "user-2"], mask=[False, True]),
        pd.Series(["user-1", None]),
        slice(3),
    ],
)
def test_unknown_groups(groups):
    """An unknown group is an error, and the known ones beside it stay."""
    names = np.array([f"user-{i // 6}" for i in range(60)])
    classifier = make_case("tree", "default").fit(X, Y, groups=names)
    before = pickle.dumps(classifier)
    with pytest.raises(ForgetIndexError):
        classifier.forget(groups=groups)
    assert pickle.dumps(classifier) == before


def test_groups_without_groups():
    """Groups can be forgotten only if there are any."""
    with pytest.raises(ForgetIndexError, match="fit was called without groups"):
        make_case("tree", "default").fit(X, Y).forget(groups=[1])


def test_equal_groups_of_other_types():
    """Group ids are looked up as a dictionary would."""
    for ids in (np.arange(60) // 6, (np.arange(60) // 6).astype(float)):
        for request in (3, [3], 3.0, np.array([3], np.uint8), pd.Series([3])):
            classifier = make_case("tree", "default").fit(X, Y, groups=ids)
            classifier.forget(groups=request)
            assert classifier.forgotten_indices_.tolist() == list(range(18, 24))
    days = pd.Series(pd.date_range("2026-01-01", periods=60))
    classifier = make_case("tree", "default").fit(X, Y, groups=days)
    for request in (days[3], days[3].to_pydatetime(), np.array(days[3:4])):
        classifier.forget(groups=request)
        assert classifier.forgotten_indices_.tolist() == [3]


@pytest.mark.parametrize(
    "groups",
    [
        [1, 2],
        np.ones((60, 2)),
        [None] * 60,
        [np.nan] * 60,
        [pd.NA] * 60,
        [{}] * 60,
        [("a", 1)] * 60,
        [["a"], *([["a", "b"]] * 59)],
        set(range(60)),
        dict.fromkeys(range(60)),
        (i for i in range(60)),
        "a" * 60,
        pd.Series([1, None] * 30, dtype="Int64"),
        pl.Series(["a", None] * 30),
        np.ma.array(np.arange(60), mask=np.arange(60) == 3),
        np.arange(60).astype("timedelta64[s]"),
    ],
)
def test_bad_groups_at_fit(groups):
    """Each row has one group, of a type with a value."""
    with pytest.raises((ValueError, TypeError), match="groups"):
        make_case("tree", "default").fit(X, Y, groups=groups)


def test_groups_of_mixed_types():
    """A list of numbers and text holds numbers and text."""
    ids = [1, "1", 1.5, b"1", 2**64] * 12
    classifier = make_case("tree", "default").fit(X, Y, groups=ids)
    np.testing.assert_array_equal(
        classifier.predict_proba(X),
        make_case("tree", "default")
        .fit(X, Y, groups=np.fromiter(ids, object, 60))
        .predict_proba(X),
    )
    for i, group in enumerate(ids[:4]):
        assert classifier.preview_forget(groups=group).n_requested == 12
        classifier.forget(groups=[group])
        assert set(classifier.forgotten_indices_ % 5) == set(range(i + 1))


@pytest.mark.parametrize(
    "proba", [np.ones(59), np.full(60, 1.5), np.full(60, -0.1), [np.nan] * 60, "high"]
)
def test_bad_forget_proba(proba):
    """Probabilities are probabilities, one for each row."""
    with pytest.raises(ValueError, match=r"forget_proba|convert string"):
        make_case("tree", "default").fit(X, Y, forget_proba=proba)


@pytest.mark.parametrize("method", ["forget", "preview_forget", "predict"])
def test_before_fit(method):
    """Nothing works before fit, and the error is scikit-learn's."""
    with pytest.raises(NotFittedError):
        getattr(ShardedUnlearningClassifier(), method)([0])
    with pytest.raises(NotFittedError):
        ShardedUnlearningClassifier().retrain()
    assert not hasattr(ShardedUnlearningClassifier(), "classes_")


@pytest.mark.parametrize("retrain", [True, False])
def test_forgetting_everything(retrain):
    """One row must stay; what was before is still there."""
    classifier = make_case("tree", "default").fit(X, Y).forget(range(30))
    before = pickle.dumps(classifier)
    with pytest.raises(NothingRetainedError, match="delete the classifier"):
        classifier.forget(range(60), retrain=retrain)
    assert pickle.dumps(classifier) == before
    assert issubclass(NothingRetainedError, ValueError)


def test_rows_of_no_weight_are_nothing_to_learn_from():
    """Forgetting all rows that count is forgetting everything."""
    weight = (np.arange(60) < 10).astype(float)
    classifier = make_case("tree", "default").fit(X, Y, sample_weight=weight)
    with pytest.raises(NothingRetainedError):
        classifier.forget(range(10))
    record = classifier.forget(range(20, 60)).forget_records_[-1]
    assert (record.n_forgotten, record.shards) == (40, ())


@pytest.mark.parametrize("n_samples", [1, 2, 5])
@pytest.mark.parametrize("n_shards", [1, 8, 200])
def test_more_shards_than_rows(n_samples, n_shards):
    """Empty shards abstain and shards of one class answer with it."""
    classifier = make_case("logistic", "default", n_shards=n_shards)
    classifier.fit(X[:n_samples], Y[:n_samples])
    assert sum(m is not None for m in classifier.estimators_) <= n_samples
    assert set(classifier.predict(X)) <= set(Y[:n_samples])
    proba = classifier.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert np.isfinite(classifier.decision_function(X)).all()


def test_missing_values_go_where_the_base_takes_them():
    """NaN is the base's affair."""
    data = X.copy()
    data[::7, 1] = np.nan
    make_case("boosting", "default").fit(data, Y).forget([0, 7]).predict(data)
    make_case("tree", "default").fit(data, Y).forget([0, 7]).predict(data)
    for base in ("logistic", "pipeline", "sgd"):
        with pytest.raises(ValueError, match="NaN"):
            make_case(base, "default").fit(data, Y)
        with pytest.raises(ValueError, match="NaN"):
            make_case(base, "default").fit(X, Y).predict(data)


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ({"n_shards": 0}, ValueError, "n_shards"),
        ({"n_shards": 2.5}, ValueError, "n_shards"),
        ({"n_slices": 0}, ValueError, "n_slices"),
        ({"n_epochs": 0}, ValueError, "n_epochs"),
        ({"voting": "median"}, ValueError, "voting"),
        ({"partition": "striped"}, ValueError, "partition"),
        ({"slice_training": "none"}, ValueError, "slice_training"),
        ({"n_shards": 2, "n_replicas": 3}, ValueError, "n_replicas=3"),
        ({"estimator": LinearRegression()}, UnsupportedEstimatorError, "classifier"),
        ({"estimator": "tree"}, ValueError, "estimator"),
        (
            {"estimator": SVC(kernel="precomputed")},
            UnsupportedEstimatorError,
            "pairwise distances",
        ),
        (
            {"estimator": DecisionTreeClassifier(), "n_slices": 2},
            UnsupportedEstimatorError,
            "SGDClassifier.*LogisticRegression.*DecisionTreeClassifier",
        ),
        (
            {"estimator": LogisticRegressionCV(), "n_slices": 2},
            UnsupportedEstimatorError,
            "LogisticRegressionCV",
        ),
        (
            {"estimator": LogisticRegression(solver="liblinear"), "n_slices": 2},
            UnsupportedEstimatorError,
            "liblinear",
        ),
        (
            {
                "estimator": make_pipeline(StandardScaler(), SVC()),
                "n_slices": 2,
            },
            UnsupportedEstimatorError,
            "Pipeline",
        ),
        ({"n_epochs": 2}, UnsupportedEstimatorError, "partial_fit"),
    ],
)
def test_bad_settings(params, error, match):
    """Settings that cannot be are refused at fit, in words."""
    with pytest.raises(error, match=match):
        ShardedUnlearningClassifier(**params).fit(X, Y)
    assert issubclass(UnsupportedEstimatorError, TypeError)


def test_weights_that_nobody_takes():
    """Weights are not dropped in silence."""
    classifier = ShardedUnlearningClassifier(KNeighborsClassifier())
    with pytest.raises(UnsupportedEstimatorError, match="does not take"):
        classifier.fit(X, Y, sample_weight=np.ones(60))
    pipeline = make_pipeline(StandardScaler(), KNeighborsClassifier())
    with pytest.raises(UnsupportedEstimatorError, match="does not take"):
        ShardedUnlearningClassifier(pipeline).fit(X, Y, sample_weight=np.ones(60))
    for bad in (np.zeros(60), -np.ones(60), np.ones(59), [np.nan] * 60):
        with pytest.raises(ValueError, match=r"[Ww]eight"):
            make_case("tree", "default").fit(X, Y, sample_weight=bad)


@pytest.mark.parametrize("y", [None, Y[:-1], np.linspace(0, 1, 60), [None] * 60])
def test_bad_labels(y):
    """Labels are checked before anything is trained."""
    with pytest.raises(ValueError, match=r"y|target|label|samples"):
        make_case("tree", "default").fit(X, y)


def test_empty_input():
    """No rows are an error, in every container."""
    for empty in (X[:0], X[:0].tolist(), pd.DataFrame(X[:0])):
        with pytest.raises(ValueError, match=r"0 sample|Expected 2D"):
            make_case("tree", "default").fit(empty, Y[:0])


@pytest.mark.parametrize(
    ("base", "name"),
    [
        (KNeighborsClassifier(), "n_neighbors"),
        (
            make_pipeline(StandardScaler(), KNeighborsClassifier()),
            "kneighborsclassifier__n_neighbors",
        ),
    ],
)
def test_fewer_rows_than_neighbours(base, name):
    """A shard of two rows has two neighbours, whatever was asked for."""
    classifier = ShardedUnlearningClassifier(base, random_state=0)
    classifier.fit(X[:20], Y[:20]).forget([1, 2]).predict(X)
    used = [
        (params[name], min(5, len(shard.slots)))
        for shard in classifier._state.shards
        if shard.estimator and name in (params := shard.estimator.get_params())
    ]
    assert all(n_neighbors == expected for n_neighbors, expected in used)
    assert min(used) < (5, 5)


@pytest.mark.parametrize(
    "name",
    [
        "classes_",
        "estimators_",
        "forget_records_",
        "forgotten_indices_",
        "n_pending_",
        "retained_indices_",
    ],
)
def test_attributes_before_fit(name):
    """They are not there, and say why."""
    classifier = ShardedUnlearningClassifier()
    assert not hasattr(classifier, name)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(classifier, name)

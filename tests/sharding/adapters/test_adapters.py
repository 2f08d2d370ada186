"""Constituents that are trained and asked in bulk answer as they do one by one."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import (
    LogisticRegression,
    Perceptron,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from skunlearn import ShardedUnlearningClassifier
from skunlearn.sharding import ConstituentAdapter, register_adapter
from skunlearn.sharding._adapters.base import ADAPTERS

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4))
Y = np.array(["ash", "elm", "oak"])[np.digitize(X[:, 0] + X[:, 1], [-0.7, 0.7])]
TREES = [
    DecisionTreeClassifier(max_depth=4),
    ExtraTreeClassifier(),
    RandomForestClassifier(3, max_depth=4),
    ExtraTreesClassifier(2, max_depth=4),
]
LINEAR = [
    LogisticRegression(),
    SGDClassifier(loss="log_loss"),
    SGDClassifier(),
    RidgeClassifier(),
    RidgeClassifier(fit_intercept=False),
    LinearSVC(),
    LinearSVC(fit_intercept=False),
    Perceptron(),
]


def fit(base, X=X, y=Y, **settings):
    """Fit six shards."""
    settings = {"n_shards": 6, "random_state": 0} | settings
    return ShardedUnlearningClassifier(base, **settings).fit(X, y)


def ask_one_by_one(classifier, X, monkeypatch):
    """Return the scores that come without any adapter."""
    with monkeypatch.context() as patch:
        patch.delitem(ADAPTERS, type(classifier._state.prototype))
        classifier._state.__dict__.pop("voters", None)
        scores = classifier._answer(X).scores
    classifier._state.__dict__.pop("voters", None)
    return scores


@pytest.mark.parametrize("base", TREES + LINEAR, ids=str)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_answers_in_bulk_are_the_mean(base, n_classes, monkeypatch):
    """Those of trees to the last bit, with any number of threads."""
    y = Y if n_classes == 3 else Y == "ash"
    classifier = fit(base, y=y)
    assert classifier._state.voters.stack is not None
    many = np.tile(X, (10, 1))
    expected = ask_one_by_one(classifier, many, monkeypatch)
    scores = classifier._answer(many).scores
    equal = np.testing.assert_array_equal
    if base in TREES:
        equal(scores, expected)
    np.testing.assert_allclose(scores, expected, rtol=1e-10, atol=1e-12)
    equal(classifier.set_params(n_jobs=2)._answer(many).scores, scores)


@pytest.mark.parametrize("base", LINEAR[:3], ids=str)
def test_blocks_of_rows_in_threads(base, monkeypatch):
    """Threads share buffers, and none meets the values of another."""
    wide = RNG.normal(size=(300, 120))
    classifier = fit(base, X=wide)
    many = RNG.normal(size=(6_000, 120))
    expected = ask_one_by_one(classifier, many, monkeypatch)
    scores = classifier._answer(many).scores
    np.testing.assert_allclose(scores, expected, rtol=1e-10, atol=1e-12)
    for n_jobs in (2, 3):
        again = classifier.set_params(n_jobs=n_jobs)._answer(many).scores
        np.testing.assert_array_equal(again, scores)


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize("value", [np.inf, np.longdouble(2) ** 2000], ids=str)
def test_values_that_become_infinite_are_refused(value):
    """Checks of rows are left out only where those at fit have found all."""
    dtype = object if value == np.inf else np.longdouble
    rows = X.astype(dtype)
    rows[7, 1] = value
    with pytest.raises(ValueError, match="infinity"):
        fit(LogisticRegression(), X=rows)


@pytest.mark.parametrize("base", [TREES[0], TREES[2]], ids=str)
def test_shards_that_lack_classes(base, monkeypatch):
    """Some trees know fewer classes, some only one and are constant."""
    y = Y.copy()
    y[np.argsort(X[:, 2])[:-2]] = "ash"
    classifier = fit(base, y=y, n_shards=8)
    n_known = {len(model.classes_) for model in classifier.estimators_}
    assert {1, 2} <= n_known
    expected = ask_one_by_one(classifier, X, monkeypatch)
    assert classifier._state.voters.stack is not None
    np.testing.assert_array_equal(classifier.predict_proba(X), expected)


@pytest.mark.parametrize("base", [TREES[0], LINEAR[0]], ids=str)
def test_rows_of_other_kinds(base, monkeypatch):
    """Frames, sparse matrices and integers are answered like arrays."""
    rows = np.round(X * 4)
    kinds = [rows.astype(np.int64), rows.astype(np.float32), sparse.csr_array(rows)]
    for each in (*kinds, pd.DataFrame(rows).add_prefix("x")):
        classifier = fit(base, each)
        expected = ask_one_by_one(classifier, each, monkeypatch)
        np.testing.assert_allclose(classifier.predict_proba(each), expected, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")  # scikit-learn's own
def test_missing_and_too_large_values_are_left_to_the_trees():
    """Trees take NaN where they can, and say what they cannot take."""
    holes = X.copy()
    holes[::3, 1] = np.nan
    classifier = fit(DecisionTreeClassifier(), holes)
    expected = np.mean([m.predict_proba(holes) for m in classifier.estimators_], axis=0)
    np.testing.assert_allclose(classifier.predict_proba(holes), expected)
    huge = X.copy()
    huge[7, 2] = 1e300
    with pytest.raises(ValueError, match="too large for dtype"):
        classifier.predict(huge)
    for tree in (DecisionTreeClassifier(), ExtraTreeClassifier(splitter="best")):
        with pytest.raises(ValueError, match="too large for dtype"):
            fit(tree, huge)


@pytest.mark.parametrize("base", [TREES[0], LINEAR[0]], ids=str)
def test_missing_values_of_frames_are_refused_or_routed(base):
    """A frame is not checked before the constituents see it."""
    frame = pd.DataFrame(X).add_prefix("x")
    classifier = fit(base, frame)
    frame = frame.mask(frame < -1.5)
    if base is LINEAR[0]:
        with pytest.raises(ValueError, match="NaN"):
            classifier.predict(frame)
    else:
        assert np.isfinite(classifier.predict_proba(frame)).all()


@pytest.mark.parametrize("base", TREES + LINEAR[:2], ids=str)
def test_training_is_the_same_with_checks(base, monkeypatch):
    """Leaving checks out changes no constituent, nor what it knows of its features."""
    lean = fit(base)
    with monkeypatch.context() as patch:
        patch.delitem(ADAPTERS, type(base))
        checked = fit(base)
    np.testing.assert_array_equal(
        ask_one_by_one(lean, X, monkeypatch), ask_one_by_one(checked, X, monkeypatch)
    )
    first, second = lean.estimators_[0], checked.estimators_[0]
    assert vars(first).keys() == vars(second).keys()
    assert first.n_features_in_ == 4


def test_parameters_are_validated_once():
    """Though constituents leave it out."""
    with pytest.raises(ValueError, match=r"'max_depth' parameter.*must be"):
        fit(DecisionTreeClassifier(max_depth=-1))


def test_adapters_of_others():
    """A third party can register one; a subclass has none of its own accord."""

    class Mine(DecisionTreeClassifier):
        pass

    assert ADAPTERS.get(type(Mine())) is None
    asked = []

    class Zeros:
        def mean_scores(self, X, weights, n_jobs):
            asked.append(len(X))
            return np.full((len(X), 3), 1 / 3) if len(X) > 1 else None

    @register_adapter(Mine)
    class MineAdapter(ConstituentAdapter):
        def prepare_rows(self, X):
            asked.append("rows")
            return X, {"check_input": True}

        def stack(self, estimators, classes, method):
            assert (method, len(estimators)) == ("predict_proba", 6)
            return Zeros()

    try:
        classifier = fit(Mine())
        assert asked == ["rows"] * 6
        assert classifier.predict_proba(X[:2]).tolist() == [[1 / 3] * 3] * 2
        assert classifier.predict_proba(X[:1]).tolist() != [[1 / 3] * 3]
        assert asked[6:] == [2, 1]
    finally:
        del ADAPTERS[Mine]
    with pytest.raises(TypeError, match="must be a class"):
        register_adapter(Mine())


@pytest.mark.parametrize("base", TREES + LINEAR, ids=str)
@pytest.mark.parametrize("settings", [{}, {"n_replicas": 2}], ids=str)
def test_rows_are_read_and_let_go(base, settings, monkeypatch):
    """Rows that lie side by side are trained on where they are, and stay what they are.

    Constituents neither write to them nor refer to them.
    """
    classifier = fit(base, **settings)
    state = classifier._state
    held = state.rows.data.X
    np.testing.assert_array_equal(held[state.rows.slot_of], X)
    is_read_only = ADAPTERS.get(type(base)).reads_only
    with monkeypatch.context() as patch:
        patch.setattr(type(ADAPTERS.get(type(base))), "reads_only", not is_read_only)
        other = fit(base, **settings)
    expected = ask_one_by_one(other, X, monkeypatch)
    np.testing.assert_array_equal(ask_one_by_one(classifier, X, monkeypatch), expected)
    for model in classifier.estimators_:
        for value in vars(model).values():
            is_array = isinstance(value, np.ndarray)
            assert not (is_array and np.shares_memory(value, held))


def test_only_neighbours_are_borrowed():
    """Rows with a gap, or in another order, are copied."""
    rows = fit(LINEAR[0], n_shards=2)._state.rows
    whole = rows.borrow(np.arange(5, 50))
    assert np.shares_memory(whole.X, rows.data.X)
    with pytest.raises(ValueError, match="read-only"):
        whole.X[0] = 1
    for slots in ([5, 7], [7, 6], [3, 5, 4, 6], []):
        part = rows.borrow(np.array(slots, dtype=int))
        assert not np.shares_memory(part.X, rows.data.X)
        np.testing.assert_array_equal(part.X, rows.data.X[slots])
    assert rows.data.X.flags.writeable

"""Law 1: after any forgets the classifier is what a fit on the rest alone gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from support import (
    BASES,
    CASES,
    RESUMABLE,
    assert_identical,
    assert_same_classifier,
    fit_anew,
    fit_in_layout,
    make_case,
    make_data,
    retrain_naively,
    thin,
)

from skunlearn import ShardedUnlearningClassifier

X, Y = make_data()


def forget_all(classifier, requests):
    """Make the requests that leave something to learn from."""
    for request in requests:
        if np.setdiff1d(classifier.retained_indices_, request).size:
            classifier.forget(request)
    return classifier


positions = st.lists(st.integers(0, len(Y) - 1), min_size=1, max_size=len(Y))
request_streams = st.lists(positions, min_size=1, max_size=4)


@pytest.mark.parametrize("base", BASES)
def test_constituents_are_plain_fits(base):
    """The oracle: the base itself, trained on each shard's retained rows."""
    classifier = make_case(base, "default", n_shards=2).fit(X, Y).forget([0, 3, 50])
    expected = retrain_naively(classifier, X, Y)
    assert_identical(classifier.estimators_, expected)


@pytest.mark.parametrize("base", [b for b in RESUMABLE if b != "logistic"])
def test_sliced_constituents_are_plain_chains(base):
    """The oracle with slices: partial_fit over slices 1..j, in order."""
    classifier = make_case(base, "cumulative").fit(X, Y).forget([0, 3, 50])
    expected = retrain_naively(classifier, X, Y)
    assert_identical(classifier.estimators_, expected)


def test_hundreds_of_shards():
    """They are kept in blocks, of which requests change some, and the sums count."""
    data, labels = make_data(900)
    classifier = make_case("bayes", "default", n_shards=300).fit(data, labels)
    before = classifier._state.shards
    ours, sums = list(before), before.n_samples_full
    forget_all(classifier, [[5], [5, 850, 17], list(range(300, 420))])
    expected = fit_anew(classifier, data, labels)
    assert_same_classifier(classifier, expected, data)
    after, other = classifier._state.shards, expected._state.shards
    assert after.n_samples_full == other.n_samples_full < sums
    assert len(after) == 300
    assert all(after[i] is shard for i, shard in enumerate(after))
    assert list(before) == ours  # a state that others read stays what it is


@pytest.mark.parametrize(("base", "layout"), thin(CASES, 4))
def test_down_to_one_class_and_one_row(base, layout):
    """Rows go one by one until one class and then one row is left."""
    rows = np.concatenate([np.flatnonzero(label == Y)[:7] for label in np.unique(Y)])
    data, labels = X[rows], Y[rows]
    classifier = make_case(base, layout).fit(data, labels)
    for position in range(len(labels) - 1):
        classifier.forget(position)
        if position % 4 == 0 or position > len(labels) - 4:
            expected = fit_anew(classifier, data, labels)
            assert_same_classifier(classifier, expected, data)
    assert classifier.classes_.tolist() == ["cedar"]
    assert classifier.predict(X[:3]).tolist() == ["cedar"] * 3


@pytest.mark.parametrize(("base", "layout"), thin(CASES, 2))
def test_a_class_that_disappears(base, layout):
    """A forgotten class leaves classes_, and no constituent was ever told of it."""
    classifier = make_case(base, layout).fit(X, Y).forget(Y == "birch")
    assert classifier.classes_.tolist() == ["ash", "cedar"]
    assert_same_classifier(classifier, fit_anew(classifier, X, Y), X)


@pytest.mark.parametrize("base", ["logistic", "forest", "sgd", "bayes", "pipeline"])
def test_sample_weight(base):
    """Weights go with their rows, zeros among them."""
    weight = np.random.default_rng(0).integers(0, 4, len(Y)).astype(float)
    classifier = make_case(base, "replicas").fit(X, Y, sample_weight=weight)
    classifier.forget([1, 2, 3, 30]).forget(np.flatnonzero(weight == 0))
    expected = fit_anew(classifier, X, Y, sample_weight=weight)
    assert_same_classifier(classifier, expected, X)


@pytest.mark.parametrize("base", ["tree", "mlp"])
def test_forget_proba_orders_a_shard(base):
    """Probabilities travel with their rows."""
    proba = np.random.default_rng(1).random(len(Y)).round(1)
    classifier = make_case(base, "default").fit(X, Y, forget_proba=proba)
    classifier.forget([5, 6, 7]).forget(Y == "ash")
    expected = fit_anew(classifier, X, Y, forget_proba=proba)
    assert_same_classifier(classifier, expected, X)
    for shard in classifier._state.shards:
        position = np.argsort(classifier._state.rows.slot_of)[shard.slots]
        assert (np.diff(proba[position]) >= 0).all()


@pytest.mark.parametrize(
    ("base", "layout", "params"),
    [
        ("sgd", "cumulative", {}),
        ("bayes", "sequential", {}),
        ("mixture", "class_slices", {}),
        ("tree", "default", {"partition": "distribution_aware"}),
        ("svc", "hard", {"partition": "distribution_aware"}),
    ],
)
@settings(max_examples=8)
@given(requests=request_streams)
def test_thresholds_of_forget_proba(base, layout, params, requests):
    """A fresh fit that is given the thresholds of the first one is the same."""
    proba = np.random.default_rng(1).random(len(Y)).round(1)
    classifier = make_case(base, layout, **params).fit(X, Y, forget_proba=proba)
    forget_all(classifier, requests)
    expected = fit_in_layout(classifier, X, Y)
    assert_same_classifier(classifier, expected, X)


def test_unequal_last_slices():
    """Rows at the end of a shard are forgotten like any other (peers lost them)."""
    data, labels = make_data(101)
    for position in range(90, 101):
        classifier = make_case("sgd", "cumulative", n_slices=7).fit(data, labels)
        classifier.forget(position)
        expected = fit_anew(classifier, data, labels)
        assert_same_classifier(classifier, expected, data)


def test_sparse_rows():
    """CSR in, CSR to the constituents, exact all the same; other formats convert."""
    matrix = sparse.random_array((80, 30), density=0.2, random_state=0, format="csr")
    labels = np.arange(80) % 3
    for convert in (sparse.csr_matrix, sparse.coo_array, sparse.csc_array):
        classifier = make_case("logistic", "default").fit(convert(matrix), labels)
        classifier.forget([3, 4, 77])
        expected = fit_anew(classifier, sparse.csr_array(matrix), labels)
        assert_same_classifier(classifier, expected, matrix)


@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.uint16, object, bool])
def test_dtypes(dtype):
    """Rows keep the dtype that they came with."""
    data = (X * 3).astype(dtype)
    classifier = make_case("tree", "default").fit(data, Y).forget(range(10))
    assert classifier._state.rows.data.X.dtype == dtype
    assert_same_classifier(classifier, fit_anew(classifier, data, Y), data)


def test_random_state_of_any_kind():
    """The root seed is drawn once, at fit, whatever random_state is."""
    for state in (None, 3, np.random.RandomState(3)):
        base = BASES["forest"]
        classifier = ShardedUnlearningClassifier(base, n_shards=2, random_state=state)
        classifier.fit(X, Y)
        key = classifier._state.layout.key
        classifier.forget([1, 2])
        assert classifier._state.layout.key == key
        assert_identical(classifier.estimators_, retrain_naively(classifier, X, Y))


def test_settings_changed_after_fit_wait_for_the_next():
    """Forget goes on with the parameters of the fit."""
    classifier = make_case("tree", "default").fit(X, Y)
    classifier.set_params(n_shards=3, estimator__max_depth=1, random_state=0)
    with pytest.warns(UserWarning, match="n_shards, random_state, estimator__max_d"):
        classifier.forget([0, 1])
    reference = make_case("tree", "default").fit(X, Y).forget([0, 1])
    assert_identical(classifier.estimators_, reference.estimators_)


def test_fit_forgets_what_was_forgotten():
    """A second fit starts from nothing."""
    classifier = make_case("tree", "default").fit(X, Y).forget([0, 1])
    classifier.fit(X[:40], Y[:40])
    assert len(classifier.forgotten_indices_) == 0
    assert classifier.forget_records_ == []
    assert len(classifier.retained_indices_) == 40

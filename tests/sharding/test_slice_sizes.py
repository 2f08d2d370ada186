"""Slices of sizes that are given: their layout, their passes, and the laws."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from support import (
    assert_same_classifier,
    fit_anew,
    fit_in_layout,
    make_case,
    make_data,
    thin,
)

from skunlearn import ShardedUnlearningClassifier
from skunlearn.exceptions import UnsupportedEstimatorError
from skunlearn.sharding._training.schedule import TrainingPolicy, count_passes

X, Y = make_data()
SIZES = (0.6, 0.25, 0.15)
LAYOUTS = {
    "cumulative": {"n_shards": 2, "slice_sizes": SIZES},
    "sequential": {
        "n_shards": 2,
        "slice_sizes": SIZES,
        "slice_training": "sequential",
        "n_replicas": 2,
    },
    "epochs": {"n_shards": 2, "slice_sizes": SIZES, "n_epochs": 4},
    "selection": {"n_shards": 1, "slice_sizes": SIZES, "selection": 0.5},
}


def make_sliced(base, layout):
    """Return an unfitted classifier with slices of the sizes above."""
    params = dict(LAYOUTS[layout])
    if base == "logistic":
        params.pop("n_epochs", None)
    return make_case(base, "default", **params)


def count_rows(classifier):
    """Return the rows in each slice, over all shards."""
    return np.sum([np.diff(s.bounds) for s in classifier._state.shards], axis=0)


@pytest.mark.parametrize("base", thin(["sgd", "logistic", "bayes"]))
@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=4)
@given(
    requests=st.lists(
        st.lists(st.integers(0, 59), min_size=1, max_size=25), min_size=1, max_size=3
    )
)
def test_streams_of_requests(base, layout, requests):
    """Laws 1, 2 and 3: as a fresh fit, in one batch or many, at what was previewed."""
    classifier = make_sliced(base, layout).fit(X, Y)
    at_once = make_sliced(base, layout).fit(X, Y).forget(np.concatenate(requests))
    for request in requests:
        preview = classifier.preview_forget(request)
        record = classifier.forget(request).forget_records_[-1]
        assert record.n_samples_retrained == preview.n_samples_retrained
    fresh = fit_in_layout if layout == "selection" else fit_anew  # quotas are fixed
    assert_same_classifier(classifier, fresh(classifier, X, Y), X)
    assert_same_classifier(classifier, at_once, X)


@pytest.mark.parametrize("base", ["logistic", "bayes"])
def test_likely_rows_come_last(base):
    """The last slice has its share of rows, those most likely to be forgotten."""
    proba = np.where(np.arange(60) % 10 == 3, 0.5, 0.1)
    classifier = make_case(base, "default", n_shards=1, slice_sizes=(0.9, 0.1))
    classifier.fit(X, Y, forget_proba=proba)
    state = classifier._state
    assert count_rows(classifier).tolist() == [54, 6]
    position = np.argsort(state.rows.slot_of)[state.shards[0].slots]
    assert (position[54:] % 10 == 3).all()
    costs = [classifier.preview_forget(i).n_slices_retrained for i in range(60)]
    np.testing.assert_array_equal(costs, np.where(proba == 0.5, 1, 2))
    classifier.forget([3, 13, 4])
    assert_same_classifier(classifier, fit_in_layout(classifier, X, Y), X)


@pytest.mark.parametrize("n", [1, 2, 4])
@pytest.mark.parametrize("base", ["logistic", "sgd"])
def test_equal_sizes_are_equal_slices(base, n):
    """Equal sizes are what n_slices gives, bit for bit."""
    params = {} if base == "logistic" or n == 1 else {"n_epochs": 3}
    by_size = make_case(base, "default", slice_sizes=[1 / n] * n, **params).fit(X, Y)
    by_number = make_case(base, "default", n_slices=n, **params).fit(X, Y)
    assert_same_classifier(by_size, by_number, X)


@given(
    weights=st.lists(st.integers(1, 50), min_size=1, max_size=12),
    n_epochs=st.integers(1, 40),
)
def test_passes_are_in_proportion(weights, n_epochs):
    """As many rows are passed as without slices, but for rounding and the floor."""
    sizes = tuple(w / sum(weights) for w in weights)
    policy = TrainingPolicy(
        "partial_fit", "partial_fit", True, len(sizes), n_epochs, slice_sizes=sizes
    )
    passes = [count_passes(policy, j) for j in range(len(sizes))]
    ends = np.cumsum(sizes)
    exact = n_epochs * np.array(sizes) / math.fsum(sizes * ends)
    assert (passes >= np.maximum(1, np.floor(exact))).all()
    assert (passes <= np.maximum(1, np.ceil(exact) + 1e-9) + 1e-9).all()
    if exact.min() >= 1:
        assert abs(np.cumsum(passes) - np.cumsum(exact)).max() <= 0.5 + 1e-6


def test_rows_that_come_later():
    """They are a new last slice, with as many passes as the last of fit."""
    classifier = make_case("sgd", "default", n_shards=1, slice_sizes=(0.8, 0.2))
    classifier.set_params(n_epochs=10).fit(X[:50], Y[:50]).partial_fit(X[50:], Y[50:])
    assert [s.n_epochs for s in classifier._state.shards[0].steps] == [10, 2, 2]
    classifier.forget([1, 55])
    assert_same_classifier(classifier, fit_in_layout(classifier, X, Y), X)


@pytest.mark.parametrize(
    "sizes", [(), 0.9, (0.9, 0.2), (1.1, -0.1), (1, 0), [[1]], "ab", (np.nan, 1)]
)
def test_sizes_that_are_none(sizes):
    """They are named, and nothing is trained."""
    classifier = ShardedUnlearningClassifier(GaussianNB(), slice_sizes=sizes)
    with pytest.raises(ValueError, match="slice_sizes"):
        classifier.fit(X, Y)


def test_both_parameters_are_an_error():
    """One of them says how many slices there are."""
    classifier = ShardedUnlearningClassifier(n_slices=2, slice_sizes=(0.5, 0.5))
    with pytest.raises(ValueError, match="n_slices=2 as well"):
        classifier.fit(X, Y)


def test_bases_that_cannot_go_on():
    """The message has the parameter that was given."""
    base = LogisticRegression(solver="liblinear")
    classifier = ShardedUnlearningClassifier(base, slice_sizes=(0.5, 0.5))
    with pytest.raises(UnsupportedEstimatorError, match=r"slice_sizes=\(0.5, 0.5\)"):
        classifier.fit(X, Y == "ash")


def test_in_a_search():
    """It is a parameter like any other, and warns if it is set after fit."""
    grid = {"slice_sizes": [None, (0.7, 0.3)]}
    search = GridSearchCV(ShardedUnlearningClassifier(GaussianNB()), grid, cv=2)
    search.fit(X, Y)
    assert clone(search.best_estimator_).slice_sizes in grid["slice_sizes"]
    fitted = search.best_estimator_.set_params(slice_sizes=(0.2, 0.8))
    with pytest.warns(UserWarning, match="slice_sizes"):
        fitted.forget(0)

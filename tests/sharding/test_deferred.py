"""Law 8: what is deferred is out at once, and exact after retrain."""

import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier
from sklearn.mixture import GaussianMixture
from sklearn.naive_bayes import GaussianNB
from support import CASES, assert_same_classifier, fit_anew, make_case, make_data, thin

from skunlearn import ShardedUnlearningClassifier

SELECTIONS = {
    "slices": (SGDClassifier(max_iter=3, tol=None), {}),
    "sequence": (GaussianNB(), {"slice_training": "sequential"}),
    "class_parts": (GaussianMixture(reg_covar=0.1), {"partition": "class"}),
}

X, Y = make_data()


def fit_selection(name):
    """Return a classifier that is trained on picks, in slices."""
    base, params = SELECTIONS[name]
    params = {"n_shards": 2, "n_slices": 3, "selection": 0.4, **params}
    return ShardedUnlearningClassifier(base, random_state=3, **params).fit(X, Y)


@pytest.mark.parametrize(("base", "layout"), thin(CASES, 3))
def test_answers_meanwhile(base, layout):
    """A touched shard answers from a checkpoint that never saw the rows, or not."""
    classifier = make_case(base, layout).fit(X, Y)
    before = classifier._state.shards
    expected = classifier.preview_forget([3, 30])
    classifier.forget([3, 30], retrain=False)
    record = classifier.forget_records_[-1]
    assert record.shards == ()
    assert record.n_samples_retrained == record.n_slices_retrained == 0
    assert record.n_forgotten == classifier.n_pending_ == 2
    slots = classifier._state.rows.slot_of[[3, 30]]
    for k, (old, new) in enumerate(zip(before, classifier._state.shards, strict=True)):
        if k not in expected.shards:
            assert new.estimator is old.estimator
            continue
        first = np.flatnonzero(np.isin(old.slots, slots))[0]
        clean = np.searchsorted(old.bounds, first, side="right") - 1
        assert new.states == old.states[:clean]
    np.testing.assert_allclose(
        classifier.predict_proba(X).sum(axis=1)
        if hasattr(classifier, "predict_proba")
        else 1,
        1,
    )
    assert set(classifier.predict(X)) <= set(Y)
    record = classifier.retrain().forget_records_[-1]
    assert record.shards == expected.shards
    assert record.n_samples_retrained == expected.n_samples_retrained
    assert record.n_requested == record.n_forgotten == 0
    assert classifier.retrain().forget_records_[-1] == record


def test_nobody_answers():
    """Where all shards abstain, the shares of the classes do."""
    classifier = make_case("tree", "default", n_shards=2).fit(X, Y)
    classifier.forget(range(40), retrain=False)
    assert classifier.estimators_ == [None, None]
    labels, counts = np.unique(Y[40:], return_counts=True)
    np.testing.assert_array_equal(classifier.classes_, labels)
    np.testing.assert_allclose(
        classifier.predict_proba(X), np.tile(counts / 20, (60, 1))
    )
    assert set(classifier.predict(X)) == {labels[counts.argmax()]}


def test_a_later_request_does_not_wait_for_an_earlier():
    """A forget trains what it touches, and leaves the rest of the debt alone."""
    classifier = make_case("tree", "default").fit(X, Y)
    shards = [classifier.preview_forget(i).shards[0] for i in range(60)]
    first = shards.index(0)
    second = shards.index(1)
    classifier.forget(first, retrain=False).forget(second)
    assert classifier.forget_records_[-1].shards == (1,)
    assert classifier.estimators_[0] is None
    assert classifier.n_pending_ == 1
    same = [i for i in range(60) if shards[i] == 0 and i != first]
    classifier.forget(same[0])
    assert classifier.n_pending_ == 0
    assert classifier.estimators_[0] is not None


def test_a_deferred_class_is_gone_at_once():
    """Nobody answers with a class that was forgotten."""
    for base in ("tree", "bayes"):
        layout = "cumulative" if base == "bayes" else "default"
        classifier = make_case(base, layout).fit(X, Y)
        classifier.forget(Y == "birch", retrain=False)
        assert "birch" not in classifier.predict(X)
        assert classifier.predict_proba(X).shape == (60, 2)


def test_what_waits_is_counted_until_nothing_waits():
    """A class that was forgotten keeps all constituents waiting that knew of it."""
    classifier = make_case("bayes", "cumulative", n_shards=4).fit(X, Y)
    rows = np.flatnonzero(Y == "birch")
    classifier.forget(rows, retrain=False)
    assert classifier.estimators_ == [None] * 4
    assert classifier.n_pending_ == len(rows)
    classifier.forget(classifier.retained_indices_[0])
    waiting = [m is None for m in classifier.estimators_]
    assert sum(waiting) == 3
    assert classifier.n_pending_ > 0
    classifier.retrain()
    assert classifier.n_pending_ == 0
    assert_same_classifier(classifier, fit_anew(classifier, X, Y), X)


def test_nothing_waits_where_nothing_is_to_train():
    """A last slice that came by partial_fit goes as a whole."""
    classifier = make_case("bayes", "cumulative", n_shards=1).fit(X[:40], Y[:40])
    classifier.partial_fit(X[40:], Y[40:]).forget(range(40, 60), retrain=False)
    assert classifier.n_pending_ == 0
    assert_same_classifier(
        classifier, make_case("bayes", "cumulative", n_shards=1).fit(X[:40], Y[:40]), X
    )


@pytest.mark.parametrize("name", ["slices", "sequence", "class_parts"])
def test_nothing_waits_where_no_pick_is_left(name):
    """The last slices of picks go as a whole, one after the other."""
    classifier = fit_selection(name)
    fresh = fit_selection(name)
    position_of = np.argsort(classifier._state.rows.slot_of)
    for shard in classifier._state.shards:
        classifier.forget(position_of[shard.selected.orders[-1]], retrain=False)
    assert classifier.n_pending_ == 0
    n_records = len(classifier.forget_records_)
    assert len(classifier.retrain().forget_records_) == n_records
    for shard in fresh._state.shards:
        fresh.forget(position_of[shard.selected.orders[-1]])
    assert_same_classifier(classifier, fresh, X)


@pytest.mark.parametrize("layout", ["cumulative", "sequential"])
def test_nothing_waits_in_an_empty_slice(layout):
    """Nor in an empty shard: there is nothing to train."""
    classifier = make_case("bayes", layout).fit(X, Y)
    fresh = make_case("bayes", layout).fit(X, Y)
    position_of = np.argsort(classifier._state.rows.slot_of)
    first, second = (position_of[shard.slots] for shard in classifier._state.shards)
    start = classifier._state.shards[1].bounds[-2]
    gone = np.concatenate([first, second[start:]])
    assert classifier.forget(gone, retrain=False).n_pending_ == 0
    assert classifier.estimators_[0] is None
    assert_same_classifier(classifier, fresh.forget(gone), X)
    n_records = len(classifier.forget_records_)
    assert len(classifier.retrain().forget_records_) == n_records

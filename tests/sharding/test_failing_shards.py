"""Shards that cannot be trained on the rows that they have left."""

import json
from dataclasses import asdict

import joblib
import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import SGDClassifier
from sklearn.naive_bayes import GaussianNB
from support import assert_same_classifier, fit_anew, make_data

from skunlearn import ShardedUnlearningClassifier
from skunlearn.exceptions import UnlearningQualityWarning

X, Y = make_data(120)
BASE = CalibratedClassifierCV(GaussianNB(), cv=3)  # needs three rows of each class


def make_case(**params):
    """Return a fitted classifier of three shards."""
    params = {"n_shards": 3, "random_state": 0, **params}
    return ShardedUnlearningClassifier(BASE, **params).fit(X, Y)


def leave_two(classifier, shards):
    """Return positions of all but two rows of a class in some shards."""
    rows = classifier._state.rows
    position_of = np.argsort(rows.slot_of)
    gone = []
    for i in shards:
        positions = position_of[classifier._state.shards[i].slots]
        gone += positions[Y[positions] == "ash"][2:].tolist()
    return gone


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_forget_changes_nothing(n_jobs):
    """Law 6, and notes that say which shard, what it has, and what to do."""
    classifier = make_case(n_jobs=n_jobs)
    before = classifier.predict_proba(X)
    with pytest.raises(ValueError, match="3 examples") as caught:
        classifier.forget(leave_two(classifier, [1]))
    notes = " ".join(caught.value.__notes__)
    n_rows = len(classifier._state.shards[1].slots) - len(leave_two(classifier, [1]))
    assert f"training shard 2 on {n_rows} rows; by class {{'ash': 2, 'birch': " in notes
    assert "retrain=False" in notes
    assert "changed nothing" in notes
    np.testing.assert_array_equal(classifier.predict_proba(X), before)
    assert classifier.forgotten_indices_.size == 0


@pytest.mark.parametrize("backend", ["sequential", "threading", "loky"])
def test_retrain_trains_what_it_can(backend):
    """The failed shard abstains and stays pending."""
    classifier = make_case()
    request = [*leave_two(classifier, [1]), *leave_two(classifier, [2])[:1]]
    classifier.forget(request, retrain=False)
    assert classifier.n_pending_ == len(request)
    with (
        joblib.parallel_config(backend, n_jobs=2),
        pytest.warns(
            UnlearningQualityWarning, match="1 shards could not .* pending: 2"
        ),
    ):
        classifier.retrain()
    record = classifier.forget_records_[-1]
    assert (record.n_failed_shards, record.shards) == (1, (2,))
    assert record.n_slices_retrained == 1
    assert json.loads(json.dumps(asdict(record)))["n_failed_shards"] == 1
    assert classifier.estimators_[1] is None
    assert classifier.n_pending_ == len(request) - 1
    assert classifier.predict_proba(X).shape == (120, 3)


def test_retrain_again():
    """It ends well when the shard has lost the class, and is then a fresh fit."""
    classifier = make_case()
    classifier.forget(leave_two(classifier, [1]), retrain=False)
    for _ in range(2):
        with pytest.warns(UnlearningQualityWarning, match="stay pending"):
            classifier.retrain()
    rows = classifier._state.rows
    slots = classifier._state.shards[1].slots
    left = np.argsort(rows.slot_of)[slots]
    classifier.forget(left[Y[left] == "ash"], retrain=False).retrain()
    assert classifier.n_pending_ == 0
    assert_same_classifier(classifier, fit_anew(classifier, X, Y), X)


def test_forget_elsewhere_while_a_shard_is_pending():
    """Only the shards of the request are trained."""
    classifier = make_case()
    classifier.forget(leave_two(classifier, [1]), retrain=False)
    classifier.forget(leave_two(classifier, [0])[:1])
    assert classifier.forget_records_[-1].shards == (0,)
    assert classifier.estimators_[1] is None


class Fragile(SGDClassifier):
    """A base that may be broken."""

    is_broken = False

    def partial_fit(self, X, y, **params):
        """Train, if it can be."""
        if self.is_broken:
            raise OSError("broken")
        return super().partial_fit(X, y, **params)


def test_a_failed_shard_is_rolled_back(monkeypatch):
    """With slices it answers from its last checkpoint that never saw the rows."""
    base = Fragile("log_loss", max_iter=2, tol=None)
    params = {"n_shards": 2, "n_slices": 3, "random_state": 0}
    classifier = ShardedUnlearningClassifier(base, **params).fit(X, Y)
    shard = classifier._state.shards[0]
    start = shard.bounds[2]
    position = np.argsort(classifier._state.rows.slot_of)[shard.slots[start]]
    kept = shard.states[1].estimator
    classifier.forget(position, retrain=False)
    monkeypatch.setattr(Fragile, "is_broken", True)
    with pytest.warns(UnlearningQualityWarning, match="OSError: broken"):
        classifier.retrain()
    assert classifier.estimators_[0] is kept
    monkeypatch.setattr(Fragile, "is_broken", False)
    assert_same_classifier(classifier.retrain(), fit_anew(classifier, X, Y), X)


def test_nothing_pending_is_no_record():
    """Neither before a request nor after it."""
    classifier = make_case().retrain().forget(3).retrain()
    assert len(classifier.forget_records_) == 1
    classifier.forget(4, retrain=False).retrain().retrain()
    assert len(classifier.forget_records_) == 3

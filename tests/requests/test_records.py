"""Records grow at no price, and what is summed over shards is kept as they change."""

import copy
import pickle

import numpy as np
from sklearn.naive_bayes import GaussianNB

from skunlearn import ForgetRecord, ShardedUnlearningClassifier
from skunlearn._base import Records

X = np.random.default_rng(0).normal(size=(400, 3))
Y = (X[:, 0] > 0).astype(int)


def make_record(n):
    """Make a record that can be told from others."""
    return ForgetRecord(n, n, 0, (), 0, 0, 0, 0.0, "exact")


def list_numbers(records):
    """Return what tells the records apart."""
    return [record.n_requested for record in records]


def test_each_has_its_own_length():
    """Two that grow from the same records do not see each other's."""
    first = Records().append(make_record(1))
    longer = first.append(make_record(2))
    other = first.append(make_record(3))
    longest = longer.append(make_record(4))
    assert longest._records is longer._records is first._records
    assert list_numbers(first) == [1]
    assert len(first) == 1
    assert list_numbers(other) == [1, 3]
    assert list_numbers(longer) == [1, 2]
    assert list_numbers(longest) == [1, 2, 4]
    assert len(longest) == 3
    for same in (copy.deepcopy(longer), pickle.loads(pickle.dumps(longer))):
        assert list_numbers(same) == [1, 2]
        assert same._records is not longer._records
        assert len(same._records) == 2


def test_copies_of_a_classifier_go_their_own_ways():
    """A copy has the records so far, and each adds to its own."""
    classifier = ShardedUnlearningClassifier(GaussianNB(), random_state=0).fit(X, Y)
    classifier.forget([0, 1])
    twin = copy.deepcopy(classifier).forget([2, 3, 4])
    classifier.forget(5)
    assert list_numbers(classifier.forget_records_) == [2, 1]
    assert list_numbers(twin.forget_records_) == [2, 3]


def test_the_cost_of_a_full_retraining_is_a_running_total():
    """It is the sum over all shards, after any requests."""
    classifier = ShardedUnlearningClassifier(
        GaussianNB(), n_shards=5, n_slices=2, random_state=0
    ).fit(X, Y)
    for request in ([3], [5, 6, 7], np.arange(100, 200), [3, 8]):
        expected = classifier.preview_forget(request).n_samples_full_retrain
        classifier.forget(request)
        shards = classifier._state.shards
        total = sum(step.n_samples for shard in shards for step in shard.steps)
        assert shards.n_samples_full == total == expected
    classifier.partial_fit(X[:7], Y[:7]).forget(401)
    shards = classifier._state.shards
    total = sum(step.n_samples for shard in shards for step in shard.steps)
    assert shards.n_samples_full == total


def test_rows_that_are_shared_know_their_readers():
    """They must not be overwritten for others."""
    rows = ShardedUnlearningClassifier(GaussianNB()).fit(X, Y)._state.rows
    other = rows.shared()
    assert not rows.readers.are_among([rows.lease])
    assert rows.readers.are_among([rows.lease, other.lease])

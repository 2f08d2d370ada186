"""Several classifiers change together or not at all, also where they share rows."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier
from support import assert_same_classifier, fit_anew

from skunlearn import InfluenceUnlearningClassifier, ShardedUnlearningClassifier
from skunlearn._pickling import VERSIONS
from skunlearn._runtime.threads import hold_all
from skunlearn.checkpoints._transaction import Transaction
from skunlearn.exceptions import ForgetIndexError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(90, 3)), RNG.integers(0, 3, 90)


def fit(base):
    """Return a fitted classifier."""
    return ShardedUnlearningClassifier(base, n_shards=3, random_state=0).fit(X, Y)


def share_rows(first, *others):
    """Let classifiers of one layout hold the rows of the first."""
    for other in others:
        state = replace(other._state, rows=first._state.rows.shared())
        other._state = state


def forget_together(classifiers, *requests):
    """Prepare all, each with its own request, and then commit all."""

    def change():
        with Transaction("forget", *classifiers) as together:
            for classifier, request in zip(classifiers, requests, strict=True):
                classifier._stage_forget(together, request, None)
            together.commit()

    hold_all([each._lock for each in classifiers], "forget", change)


def test_all_of_them():
    """Each is as if it had been told alone."""
    classifiers = [fit(GaussianNB()), fit(DecisionTreeClassifier())]
    linear = InfluenceUnlearningClassifier(LogisticRegression(), method="newton")
    forget_together([*classifiers, linear.fit(X, Y)], [1, 2], [3], [4, 5, 6])
    for classifier, n in zip(classifiers, (2, 1), strict=True):
        assert classifier.forget_records_[-1].n_forgotten == n
        assert_same_classifier(classifier, fit_anew(classifier, X, Y), X)
    assert linear.forgotten_indices_.tolist() == [4, 5, 6]


def test_none_of_them():
    """The last one is told of a row that does not exist."""
    classifiers = [fit(GaussianNB()), fit(DecisionTreeClassifier())]
    before = [pickle.dumps(each) for each in classifiers]
    with pytest.raises(ForgetIndexError) as caught:
        forget_together(classifiers, [1, 2], [90])
    assert "forget changed nothing" in caught.value.__notes__[0]
    assert [pickle.dumps(each) for each in classifiers] == before
    assert not any(each._lock.is_taken for each in classifiers)


def test_shared_rows_that_go_together():
    """Rows stay shared, and are overwritten in place."""
    classifiers = [fit(GaussianNB()), fit(DecisionTreeClassifier())]
    share_rows(*classifiers)
    held = classifiers[0]._state.rows.data.X
    forget_together(classifiers, [1, 2], [1, 2])
    assert all(each._state.rows.data.X is held for each in classifiers)
    assert not np.isin(X[1:3], held).any()
    for each in classifiers:
        assert_same_classifier(each, fit_anew(each, X, Y), X)


@pytest.mark.parametrize("which", [0, 1])
def test_shared_rows_that_one_forgets(which):
    """The other one has them still, and can train on them."""
    classifiers = [fit(GaussianNB()), fit(DecisionTreeClassifier())]
    share_rows(*classifiers)
    classifiers[which].forget([1, 2])
    other = classifiers[1 - which].forget([5])
    assert other.forgotten_indices_.tolist() == [5]
    for each in classifiers:
        assert_same_classifier(each, fit_anew(each, X, Y), X)
    held = classifiers[which]._state.rows.data.X
    assert not np.isin(X[1:3], held).any()
    assert np.isin(X[1:3], other._state.rows.data.X).all()


def test_shared_rows_of_one_that_is_gone():
    """Whoever is left overwrites in place again."""
    first, second = fit(GaussianNB()), fit(DecisionTreeClassifier())
    share_rows(first, second)
    held = second._state.rows.data.X
    del first
    assert second.forget(3)._state.rows.data.X is held


def test_copies_made_while_rows_are_shared_by_a_reader():
    """All who change together get the same copy of what they shared."""
    classifiers = [fit(GaussianNB()), fit(DecisionTreeClassifier())]
    share_rows(*classifiers)
    with classifiers[0]._reading() as state:
        forget_together(classifiers, [1], [1])
        assert np.isin(X[1], state.rows.data.X).all()
    first, second = (each._state.rows for each in classifiers)
    assert first.data.X is second.data.X is not state.rows.data.X
    forget_together(classifiers, [2], [2])
    assert classifiers[0]._state.rows.data.X is first.data.X


@pytest.mark.parametrize("key", VERSIONS)
def test_a_pickle_of_another_version(key, monkeypatch):
    """It is read, with a warning that says which versions they are."""
    classifier = fit(GaussianNB())
    with monkeypatch.context() as patch:
        patch.setitem(VERSIONS, key, "0.0.7")
        data = pickle.dumps(classifier)
    with pytest.warns(UserWarning, match=r"0\.0\.7"):
        other = pickle.loads(data)
    np.testing.assert_array_equal(other.predict(X), classifier.predict(X))
    pickle.loads(pickle.dumps(other))  # without another warning

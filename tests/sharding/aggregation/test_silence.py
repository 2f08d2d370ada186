"""A constituent that says NaN has no answer, and does not spoil those of others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import RidgeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KernelDensity
from sklearn.tree import DecisionTreeClassifier
from support import make_data

from skunlearn import ShardedUnlearningClassifier
from skunlearn.sharding._aggregation.class_scores import answer_committees

X, Y = make_data()


class Doubtful(DecisionTreeClassifier):
    """Has no answer where the first feature is positive, if its seed is even."""

    def predict_proba(self, X, check_input=True):
        """Return probabilities, or not."""
        proba = super().predict_proba(X)
        proba[(X[:, 0] > 0) & (self.random_state % 2 == 0)] = np.nan
        return proba


class DoubtfulRidge(RidgeClassifier):
    """Has no answer where the first feature is positive."""

    def decision_function(self, X):
        """Return decision values, or not."""
        values = super().decision_function(X)
        values[X[:, 0] > 0] = np.nan
        return values


def fit(base, **params):
    """Return a classifier of three constituents."""
    params = {"n_shards": 3, "random_state": 0, **params}
    return ShardedUnlearningClassifier(base, **params).fit(X, Y)


def test_soft_votes_of_the_others():
    """The mean is over those who have an answer."""
    classifier = fit(Doubtful(), n_shards=6)
    asked = [tree.predict_proba(X) for tree in classifier.estimators_]
    assert 0 < sum(np.isnan(proba).any() for proba in asked) < 6
    np.testing.assert_allclose(
        classifier.predict_proba(X), np.nanmean(asked, axis=0), atol=1e-12
    )


def test_hard_votes_of_the_others():
    """And none of those who have not."""
    classifier = fit(Doubtful(), n_shards=6, voting="hard")
    asked = [tree.predict_proba(X) for tree in classifier.estimators_]
    votes = [np.eye(3)[p.argmax(1)] for p in asked if not np.isnan(p).any()]
    is_asked = X[:, 0] > 0
    expected = (
        np.sum(votes, axis=0)
        + np.mean([p for p in asked if not np.isnan(p).any()], axis=0)
    ) / (len(votes) + 1)
    np.testing.assert_allclose(
        classifier.predict_proba(X)[is_asked], expected[is_asked], atol=1e-12
    )


@pytest.mark.parametrize("voting", ["soft", "hard"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_nobody_has_an_answer(voting, n_classes):
    """Then the shares of the classes decide, as where all abstain."""
    data, labels = make_data(n_classes=n_classes)
    classifier = ShardedUnlearningClassifier(
        DoubtfulRidge(), n_shards=3, voting=voting, random_state=0
    ).fit(data, labels)
    classes, counts = np.unique(labels, return_counts=True)
    values = classifier.decision_function(data)
    assert np.isfinite(values).all()
    chosen = classifier.predict(data)[data[:, 0] > 0]
    assert (chosen == classes[counts.argmax()]).all()
    assert len(set(classifier.predict(data))) == n_classes


@settings(max_examples=25)
@given(
    requests=st.lists(st.sets(st.integers(0, 59), min_size=5, max_size=40), max_size=4),
    selection=st.sampled_from([None, 0.4]),
    seed=st.integers(0, 50),
)
def test_bayes_after_single_rows(requests, selection, seed):
    """Its smoothing is by the variance of a slice, which is 0 for one row."""
    classifier = ShardedUnlearningClassifier(
        GaussianNB(),
        n_shards=2,
        n_slices=3,
        slice_training="sequential",
        selection=selection,
        random_state=seed,
    ).fit(X, Y)
    for request in requests:
        if np.setdiff1d(classifier.retained_indices_, list(request)).size:
            classifier.forget(list(request))
        with np.errstate(divide="ignore", invalid="ignore"):
            proba = classifier.predict_proba(X)
        np.testing.assert_allclose(proba.sum(axis=1), 1)


@pytest.mark.parametrize("kind", ["log_density", "predict_proba", "score"])
def test_a_committee_without_an_answer_abstains(kind):
    """Where it has no member, or none that gives its class a chance."""
    no_chance = 0.0 if kind == "predict_proba" else -np.inf
    answers = np.full((5, 2, 2), np.nan)
    answers[0] = [[0.2, 0.7], [0.7, 0.2]]
    if kind != "score":
        answers[1] = no_chance
    weights = np.array([1.0, 1.0])
    soft, _ = answer_committees(answers, kind, weights, "soft")
    hard, _ = answer_committees(answers, kind, weights, "hard")
    assert soft.argmax(axis=1).tolist() == hard.argmax(axis=1).tolist() == [1, 0]
    silent, _ = answer_committees(answers[1:2], kind, np.array([1.0, 3.0]), "hard")
    if kind != "score":
        np.testing.assert_allclose(silent, [[0.25, 0.75]] * 2)


def test_more_parts_than_rows_by_class():
    """A vote for the first class by those who know nothing would decide."""
    rng = np.random.default_rng(0)
    rows = np.vstack([rng.normal(0, 1, (6, 2)), rng.normal(20, 1, (6, 2))])
    labels = np.repeat(["a", "b"], 6)
    classifier = ShardedUnlearningClassifier(
        KernelDensity(), partition="class", n_shards=20, voting="hard", random_state=0
    )
    assert classifier.fit(rows, labels).score(rows, labels) == 1.0

"""Votes: the mean, the majority and its ties, missing classes, fast paths."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from support import BASES, make_data, thin

from skunlearn import ShardedUnlearningClassifier
from skunlearn.sharding._adapters.base import ADAPTERS

X, Y = make_data(200)


def fit(base, y=Y, **params):
    """Return a fitted classifier of six shards."""
    params = {"n_shards": 6, "random_state": 0, **params}
    return ShardedUnlearningClassifier(base, **params).fit(X, y)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("base", ["logistic", "tree", "forest", "bayes", "pipeline"])
def test_soft_voting_is_the_mean_of_probabilities(base, n_classes, n_jobs):
    """The fast paths compute what the plain one does."""
    y = Y if n_classes == 3 else Y == "ash"
    classifier = fit(BASES[base], y, n_jobs=n_jobs)
    expected = np.mean([m.predict_proba(X) for m in classifier.estimators_], axis=0)
    np.testing.assert_allclose(classifier.predict_proba(X), expected, rtol=1e-12)
    decision = classifier.decision_function(X) if base == "logistic" else None
    if decision is not None and n_classes == 2:
        odds = expected[:, 1] / expected[:, 0]
        np.testing.assert_allclose(decision, np.log(odds), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("base", [LinearSVC(), RidgeClassifier(), SVC()])
def test_soft_voting_without_probabilities(base, n_classes):
    """Decision values are averaged; two classes have one value."""
    y = Y if n_classes == 3 else Y == "ash"
    classifier = fit(base, y)
    assert not hasattr(classifier, "predict_proba")
    expected = np.mean([m.decision_function(X) for m in classifier.estimators_], axis=0)
    np.testing.assert_allclose(classifier.decision_function(X), expected, rtol=1e-12)
    best = expected.argmax(axis=1) if n_classes == 3 else (expected > 0).astype(int)
    np.testing.assert_array_equal(classifier.predict(X), classifier.classes_[best])


@pytest.mark.parametrize("base", ["tree", "logistic", "svc"])
def test_hard_voting_is_the_majority(base):
    """Counted by hand; ties go to the higher mean."""
    estimator = SVC(break_ties=True) if base == "svc" else BASES[base]
    classifier = fit(estimator, voting="hard", n_shards=6)
    kind = "decision_function" if base == "svc" else "predict_proba"
    labels = np.array([model.predict(X) for model in classifier.estimators_])
    votes = np.sum(labels[:, :, None] == classifier.classes_, axis=0)
    mean = np.mean([getattr(m, kind)(X) for m in classifier.estimators_], axis=0)
    tied = votes == votes.max(axis=1, keepdims=True)
    assert (tied.sum(axis=1) > 1).any()  # else the rule is not tried
    expected = np.where(tied, mean, -np.inf).argmax(axis=1)
    np.testing.assert_array_equal(classifier.predict(X), classifier.classes_[expected])
    if base != "svc":
        proba = classifier.predict_proba(X)
        np.testing.assert_allclose(proba, (votes + mean) / 7)
        log_proba = classifier.predict_log_proba(X)
        np.testing.assert_allclose(np.exp(log_proba), proba)


def test_classes_that_shards_lack():
    """A class that a shard lacks has probability 0 there, or its lowest value."""
    rare = Y.copy()
    rare[rare == "cedar"] = "ash"
    rare[5] = "cedar"
    classifier = fit(BASES["bayes"], rare)
    (owner,) = classifier.preview_forget(5).shards
    expected = np.zeros((200, 3))
    for k, model in enumerate(classifier.estimators_):
        columns = [0, 1, 2] if k == owner else [0, 1]
        expected[:, columns] += model.predict_proba(X) / 6
    np.testing.assert_allclose(classifier.predict_proba(X), expected)
    classifier = fit(LinearSVC(), rare)
    expected = np.zeros((200, 3))
    for k, model in enumerate(classifier.estimators_):
        values = model.decision_function(X)
        if k != owner:
            values = np.column_stack([-values, values, -np.abs(values)])
        expected += values / 6
    np.testing.assert_allclose(classifier.decision_function(X), expected)


def test_shards_of_one_class():
    """A constant answer: probability 1, decision value 1 against -1."""
    few = np.flatnonzero(Y == "ash")[:3].tolist() + [int(np.argmax(Y == "birch"))]
    for base in (LogisticRegression(), LinearSVC()):
        classifier = ShardedUnlearningClassifier(base, n_shards=30, random_state=1)
        classifier.fit(X[few], Y[few])
        present = [m for m in classifier.estimators_ if m is not None]
        assert len(present) < 5
        assert set(classifier.predict(X)) <= {"ash", "birch"}
        values = classifier.decision_function(X)
        assert values.shape == (200,)
        assert (values < 0).all()
    np.testing.assert_allclose(values, np.mean([-1] * (len(present) - 1) + [1]))


class OnlyPredicts(ClassifierMixin, BaseEstimator):
    """Has nothing but predict."""

    def fit(self, X, y):
        """Learn the classes and a threshold."""
        self.classes_ = np.unique(y)
        self.middle_ = np.median(X[:, 0])
        return self

    def predict(self, X):
        """Answer with the first or the last class."""
        return self.classes_[np.where(X[:, 0] > self.middle_, -1, 0)]


@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_a_base_that_only_predicts(voting):
    """Then there is nothing to average but votes."""
    classifier = fit(OnlyPredicts(), voting=voting)
    assert not hasattr(classifier, "decision_function")
    votes = np.array([m.predict(X) for m in classifier.estimators_])
    share = np.mean(votes == "cedar", axis=0)
    clear = share != 0.5
    expected = np.where(share > 0.5, "cedar", "ash")
    np.testing.assert_array_equal(classifier.predict(X)[clear], expected[clear])


def test_containers_at_prediction():
    """Lists, frames and sparse matrices are answered alike."""
    classifier = fit(LogisticRegression())
    expected = classifier.predict_proba(X)
    np.testing.assert_array_equal(classifier.predict_proba(X.tolist()), expected)
    np.testing.assert_allclose(classifier.predict_proba(sparse.coo_array(X)), expected)
    frame = pd.DataFrame(X).add_prefix("x")
    with pytest.warns(UserWarning, match="feature names"):
        answer = classifier.predict_proba(frame)
    np.testing.assert_allclose(answer, expected)
    named = ShardedUnlearningClassifier(n_shards=6, random_state=0).fit(frame, Y)
    assert named.feature_names_in_.tolist() == ["x0", "x1", "x2", "x3"]
    np.testing.assert_allclose(named.predict_proba(frame), expected)
    with pytest.raises(ValueError, match="feature names"):
        named.predict(frame[["x1", "x0", "x2", "x3"]])


def test_saturated_probabilities_have_finite_logarithms():
    """A decision value is a number even where a probability is 0."""
    classifier = fit(LogisticRegression(), Y == "ash", n_shards=1)
    assert np.isneginf(classifier.predict_log_proba(1e4 * X)).any()
    assert np.isfinite(classifier.decision_function(1e4 * X)).all()


@pytest.mark.parametrize("n_classes", [3, 4])
def test_decision_values_of_pairs(n_classes):
    """Those of pairs of classes are no decision values of classes: votes are taken."""
    data, labels = make_data(200, n_classes=n_classes)
    base = SVC(decision_function_shape="ovo")
    classifier = ShardedUnlearningClassifier(base, n_shards=1, random_state=0)
    classifier.fit(data, labels)
    expected = classifier.estimators_[0].predict(data)
    np.testing.assert_array_equal(classifier.predict(data), expected)


class Stubborn(LogisticRegression):
    """Predicts the last class always, whatever is more probable."""

    def predict(self, X):
        """Answer."""
        return np.full(X.shape[0], self.classes_[-1])


@pytest.mark.parametrize("n_jobs", thin([1, 2], 2))
@pytest.mark.parametrize(
    "base",
    [
        FixedThresholdClassifier(LogisticRegression(), threshold=0.9),
        TunedThresholdClassifierCV(LogisticRegression(), scoring="recall"),
        CalibratedClassifierCV(DecisionTreeClassifier(max_depth=2)),
        make_pipeline(Stubborn()),
        KNeighborsClassifier(2),
        GaussianNB(),
        BaggingClassifier(LogisticRegression(), n_estimators=2),
        SVC(),
        SVC(break_ties=False, decision_function_shape="ovo"),
        *(BASES[name] for name in ("tree", "forest", "boosting", "mlp")),
    ],
)
def test_a_vote_is_what_a_constituent_predicts(base, n_jobs):
    """Not the class of its highest probability."""
    classifier = fit(base, Y == "ash", voting="hard", n_shards=5, n_jobs=n_jobs)
    votes = np.mean([model.predict(X) for model in classifier.estimators_], axis=0)
    np.testing.assert_array_equal(classifier.predict(X), votes > 0.5)


@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_constituents_of_different_kinds(voting):
    """Where a search chose differently, votes are made of what all have."""
    base = GridSearchCV(
        Pipeline([("last", GaussianNB())]),
        {"last": [LinearSVC(), LogisticRegression(), GaussianNB()]},
        cv=3,
    )
    classifier = fit(base, voting=voting)
    kinds = {type(model.best_estimator_[-1]) for model in classifier.estimators_}
    assert LinearSVC in kinds
    assert len(kinds) > 1
    assert not hasattr(classifier, "predict_proba")
    assert classifier.score(X, Y) > 0.6


def test_a_base_that_can_tell_only_once_fitted():
    """A stack without a final estimator has no methods before fit."""
    base = StackingClassifier([("tree", DecisionTreeClassifier(max_depth=2))], cv=3)
    assert not hasattr(base, "predict")
    classifier = fit(base)
    expected = np.mean([m.predict_proba(X) for m in classifier.estimators_], axis=0)
    np.testing.assert_allclose(classifier.predict_proba(X), expected)
    assert not hasattr(clone(classifier), "predict_proba")
    constant = fit(base, np.full(200, "ash"))
    assert set(constant.predict(X)) == {"ash"}


def stack(models, classes):
    """Return what answers for all models at once, or None."""
    return ADAPTERS.get(type(models[0])).stack(models, classes, "predict_proba")


@pytest.mark.parametrize("multi_class", ["ovr", "multinomial"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_older_logistic_regressions_are_asked_one_by_one(multi_class, n_classes):
    """Before scikit-learn 1.8 their probabilities were not always a softmax."""
    y = Y if n_classes == 3 else Y == "ash"
    models = fit(LogisticRegression(), y).estimators_
    classes = np.unique(y)
    assert stack(models, classes) is not None
    models[3].multi_class = multi_class
    assert stack(models, classes) is None


def test_classes_against_the_rest_are_asked_one_by_one():
    """Which liblinear had, of more than two classes."""
    for y, can_stack in ((Y == "ash", True), (Y, False)):
        models = fit(LogisticRegression(), y).estimators_
        models[3].set_params(solver="liblinear")
        assert (stack(models, np.unique(y)) is not None) == can_stack

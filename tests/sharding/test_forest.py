"""A forest that forgets: its settings, its importances, and the laws."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectFromModel
from sklearn.naive_bayes import GaussianNB

from skunlearn import ShardedUnlearningClassifier
from skunlearn.sharding import make_unlearning_forest

X, Y = load_breast_cancer(return_X_y=True)


@pytest.mark.parametrize("target", ["cost", "balanced", "accuracy"])
def test_targets_order_cost(target):
    """Each has settings of its own, of which any can be replaced."""
    forest = make_unlearning_forest(target=target)
    share = forest.n_replicas / forest.n_shards
    limits = {"cost": (0, 0.03), "balanced": (0.03, 0.07), "accuracy": (0.07, 0.5)}
    low, high = limits[target]
    assert low < share <= high
    given = make_unlearning_forest(
        target=target, n_estimators=7, n_replicas=2, max_features="sqrt", max_depth=3
    )
    assert (given.n_shards, given.n_replicas) == (7, 2)
    assert (given.estimator.max_features, given.estimator.max_depth) == ("sqrt", 3)


def test_fewer_trees_keep_their_share_of_rows():
    """Replicas that are not given follow the number of trees, within what there is."""
    assert make_unlearning_forest(target="accuracy", n_estimators=20).n_replicas == 2
    assert make_unlearning_forest(n_estimators=1).n_replicas == 1
    assert make_unlearning_forest(target="cost", n_estimators=10).n_replicas == 1


def test_unknown_targets_are_refused():
    """The message says what there is."""
    with pytest.raises(
        ValueError, match="'cost', 'balanced' or 'accuracy'; got 'fast'"
    ):
        make_unlearning_forest(target="fast")


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"target": ["cost"]}, r"target must be 'cost'.*got \['cost'\]"),
        ({"n_estimators": 0}, "n_estimators == 0, must be >= 1"),
        ({"n_estimators": "10"}, "n_estimators must be an instance of .*not str"),
        ({"n_estimators": 2.5}, "n_estimators must be an instance of .*not float"),
        ({"n_replicas": -1}, "n_replicas == -1, must be >= 1"),
    ],
    ids=str,
)
def test_numbers_that_are_none(settings, match):
    """The parameter that was given is named."""
    with pytest.raises((ValueError, TypeError), match=match):
        make_unlearning_forest(**settings)


def test_forgetting_is_exact():
    """A request leaves the forest that a fit on the retained rows gives."""
    positions = np.arange(len(X))
    forest = make_unlearning_forest(n_estimators=10, random_state=0)
    forest.fit(X, Y, groups=positions).forget([3, 141, 59])
    kept = np.delete(positions, [3, 141, 59])
    fresh = clone(forest).fit(X[kept], Y[kept], groups=kept)
    for one in (forest, fresh):
        assert one.score(X, Y) > 0.9
    equal = np.testing.assert_array_equal
    equal(forest.predict_proba(X), fresh.predict_proba(X))
    equal(forest.feature_importances_, fresh.feature_importances_)


def test_importances_are_those_of_a_random_forest():
    """They are the mean, sum to 1, and find the features that a random forest finds."""
    forest = make_unlearning_forest(target="accuracy", random_state=0).fit(X, Y)
    importances = forest.feature_importances_
    expected = np.mean([t.feature_importances_ for t in forest.estimators_], axis=0)
    np.testing.assert_allclose(importances, expected)
    assert importances.sum() == pytest.approx(1)
    theirs = RandomForestClassifier(random_state=0).fit(X, Y).feature_importances_
    assert len({*importances.argsort()[-8:]} & {*theirs.argsort()[-8:]}) >= 6
    assert SelectFromModel(forest, prefit=True).transform(X).shape[1] < 15


def test_constants_and_leaves_have_no_importances():
    """Shards of one class do not count, and there may be no others."""
    y = (np.arange(len(X)) < 3).astype(int)
    forest = make_unlearning_forest(n_estimators=30, n_replicas=1, random_state=0)
    with pytest.warns(UserWarning, match="too small"):
        forest.fit(X, y)
    assert forest.feature_importances_.sum() == pytest.approx(1)
    forest.fit(X[:50], np.zeros(50))
    np.testing.assert_array_equal(forest.feature_importances_, np.zeros(30))


def test_others_have_no_importances():
    """As their constituents do not, and none has any before fit."""
    classifier = ShardedUnlearningClassifier(GaussianNB(), random_state=0)
    assert not hasattr(classifier, "feature_importances_")
    assert not hasattr(classifier.fit(X, Y), "feature_importances_")

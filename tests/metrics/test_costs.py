"""The score of cost is the mean of all previews, and sits in a grid search."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from support import CASES, make_case, make_data, thin

from skunlearn import ShardedUnlearningClassifier
from skunlearn.exceptions import UnsupportedEstimatorError
from skunlearn.metrics import retraining_cost_scorer
from skunlearn.sharding._expected_cost import expect_one_request

X, Y = make_data()


def preview_all(classifier):
    """Return the mean cost of forgetting each retained row, asked one by one."""
    return np.mean(
        [
            classifier.preview_forget(row).n_samples_retrained
            for row in classifier.retained_indices_
        ]
    )


def assert_exact(classifier):
    """Assert that the scorer says what all previews say."""
    mean = preview_all(classifier)
    assert expect_one_request(classifier._state) == pytest.approx(mean, rel=1e-12)
    full = classifier._state.n_samples_full
    assert retraining_cost_scorer(classifier, X, Y) == pytest.approx(-mean / full)


@pytest.mark.parametrize(("base", "layout"), thin(CASES, 9))
def test_mean_of_previews(base, layout):
    """After fit, forget, deferred forget and partial_fit, for all layouts."""
    classifier = make_case(base, layout).fit(X, Y)
    assert_exact(classifier)
    classifier.forget([3, 17, 40])
    assert_exact(classifier)
    classifier.partial_fit(X[:7], Y[:7])
    assert_exact(classifier)
    classifier.forget([5, 60], retrain=False)
    assert_exact(classifier)


@pytest.mark.parametrize(
    ("base", "layout"),
    thin([case for case in CASES if case[0] in ("bayes", "tree", "sgd")], 7),
)
def test_classes_of_one_row(base, layout):
    """Where the last row of a class goes, all chains that knew it are due."""
    labels = np.where(np.arange(60) < 50, Y, "other")
    labels[50:53] = ["elm", "fir", "oak"]
    assert_exact(make_case(base, layout).fit(X, labels))


def test_rows_without_weight_are_free():
    """They are in no shard, and still somebody may ask to forget them."""
    weight = np.r_[np.zeros(20), np.ones(40)]
    classifier = ShardedUnlearningClassifier(GaussianNB(), random_state=0)
    assert_exact(classifier.fit(X, Y, sample_weight=weight))


def test_nothing_to_train():
    """One class needs no training, and a single row cannot be forgotten."""
    classifier = ShardedUnlearningClassifier(GaussianNB(), random_state=0)
    assert retraining_cost_scorer(classifier.fit(X, ["a"] * 60)) == 0
    classifier.forget(np.arange(59))
    assert expect_one_request(classifier._state) == 0


@pytest.mark.parametrize(
    ("in_pipeline", "routing"),
    thin([(True, True), (False, False), (True, False), (False, True)], 4),
)
def test_grid_search(routing, in_pipeline):
    """Accuracy and cost side by side; more shards cost less."""
    model = ShardedUnlearningClassifier(SGDClassifier(max_iter=20), random_state=0)
    grid = {"n_shards": [1, 2, 4], "n_slices": [1, 3], "n_epochs": [4]}
    if in_pipeline:
        model = make_pipeline(Normalizer(), model)
        grid = {f"shardedunlearningclassifier__{key}": grid[key] for key in grid}
    scoring = {"accuracy": "accuracy", "cost": retraining_cost_scorer}
    with config_context(enable_metadata_routing=routing):
        search = GridSearchCV(
            model, grid, scoring=scoring, refit="accuracy", cv=3, error_score="raise"
        ).fit(X, Y)
    cost = search.cv_results_["mean_test_cost"].reshape(2, 3)
    assert (np.diff(cost, axis=1) > 0).all()
    assert (cost[1] > cost[0]).all()
    assert cost[0, 0] == pytest.approx(-39 / 40)
    assert "mean_test_accuracy" in search.cv_results_


def test_other_estimators():
    """They have no such cost, and the message says who has."""
    for other in (GaussianNB(), make_pipeline(Normalizer(), GaussianNB())):
        with pytest.raises(UnsupportedEstimatorError, match="ShardedUnlearningClass"):
            retraining_cost_scorer(other.fit(np.abs(X), Y), X, Y)
    with pytest.raises(NotFittedError):
        retraining_cost_scorer(ShardedUnlearningClassifier(), X, Y)


@pytest.mark.parametrize(
    ("base", "layout", "fraction"),
    thin(
        [
            ("mixture", "class_slices", 0.3),
            ("mixture", "class_slices", 1.0),
            ("tree", "replicas", 0.3),
            ("tree", "replicas", 1.0),
            ("sgd", "cumulative", 0.3),
            ("sgd", "cumulative", 1.0),
        ],
        4,
    ),
)
def test_representative_rows(base, layout, fraction):
    """Rows that were not picked cost nothing, and others go in the place of picks."""
    classifier = make_case(base, layout, selection=fraction).fit(X, Y)
    assert_exact(classifier)
    classifier.forget([3, 17, 40])
    assert_exact(classifier)
    classifier.partial_fit(X[:7], Y[:7]).forget([5, 60], retrain=False)
    assert_exact(classifier)

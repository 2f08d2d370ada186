"""Metrics see leaks where there are some, and none where there are none."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Perceptron, RidgeClassifier
from sklearn.metrics import roc_auc_score
from sklearn.multiclass import OutputCodeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skunlearn import ShardedUnlearningClassifier
from skunlearn.metrics import (
    discovery_curve,
    membership_inference_score,
    resistance_score,
    retrain_distance,
)

LEAKY = {
    "neighbour": KNeighborsClassifier(1),
    "tree": DecisionTreeClassifier(random_state=0),
}


def make_noise(n=400, n_classes=10, seed=0):
    """Labels that can only be known by heart."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 4)), rng.integers(n_classes, size=n)


def halve(X, y):
    half = len(y) // 2
    return X[:half], y[:half], X[half:], y[half:]


@pytest.mark.parametrize("attack", ["loss", "lira"])
@pytest.mark.parametrize("name", LEAKY)
def test_leaks_are_seen(name, attack):
    """Of models that know their training data by heart."""
    parts = halve(*make_noise())
    fitted = LEAKY[name].fit(*parts[:2])
    score = membership_inference_score(fitted, *parts, attack=attack, random_state=0)
    assert score.auc > 0.9
    low, high = score.auc_interval
    assert low < score.auc < high
    assert score.advantage > 0.7
    assert resistance_score(fitted, *parts) < 0.6


@pytest.mark.parametrize("attack", ["loss", "confidence", "lira"])
def test_a_constant_cannot_leak(attack):
    """Its answers are the same for all rows of the same classes."""
    X, _ = make_noise(n_classes=2)
    parts = halve(X, np.tile([0, 1], 200))
    fitted = DummyClassifier(strategy="uniform").fit(*parts[:2])
    score = membership_inference_score(fitted, *parts, attack=attack, random_state=0)
    assert score.auc_interval[0] <= 0.5 <= score.auc_interval[1]
    assert resistance_score(fitted, *parts) == pytest.approx(0.95)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_forgotten_exactly_is_as_fresh(seed):
    """Although the base knows by heart what it was trained on."""
    X, y = make_noise(seed=seed)
    classifier = ShardedUnlearningClassifier(
        DecisionTreeClassifier(), n_shards=1, random_state=seed
    ).fit(X[:300], y[:300])
    members = X[:60], y[:60]
    fresh = X[300:], y[300:]
    before = membership_inference_score(classifier, *members, *fresh, random_state=0)
    assert before.auc_interval[0] > 0.9
    after = membership_inference_score(
        classifier.forget(np.arange(60)),
        *members,
        *fresh,
        random_state=0,
        confidence_level=0.99,
    )
    assert after.auc_interval[0] <= 0.5 <= after.auc_interval[1]
    assert resistance_score(classifier, *members, *fresh) > 0.85


def test_area_is_that_of_scikit_learn():
    """With ties, and for classifiers with and without probabilities."""
    X, y = make_noise(n_classes=2)
    parts = halve(X.round(1), y)
    for fitted in (
        RandomForestClassifier(5, random_state=0).fit(*parts[:2]),
        RidgeClassifier().fit(*parts[:2]),
        LinearSVC().fit(*parts[:2]),
    ):
        score = membership_inference_score(fitted, *parts, random_state=0)
        scores = np.concatenate([score.scores_member, score.scores_fresh])
        expected = roc_auc_score(np.repeat([1, 0], 200), scores)
        assert score.auc == pytest.approx(expected)


def test_containers_labels_and_lost_classes():
    """Frames, sparse matrices and lists; a class that is unknown has no chance."""
    X, y = make_noise(n_classes=3)
    names = np.array(["a", "b", "c"])[y]
    X_member, y_member, X_fresh, y_fresh = halve(X, names)
    known = y_member != "c"
    fitted = LogisticRegression().fit(X_member[known], y_member[known])
    values = [
        membership_inference_score(
            fitted,
            kind(X_member),
            y_member,
            kind(X_fresh),
            y_fresh.tolist(),
            random_state=0,
        ).auc
        for kind in (np.asarray, sparse.coo_array, np.ndarray.tolist)
    ]
    assert values[0] == values[1] == values[2]
    frame = pd.DataFrame(X, columns=list("pqrs"))
    fitted.fit(frame[:100], names[:100])
    parts = frame[:100], names[:100], frame[200:], names[200:]
    assert membership_inference_score(fitted, *parts, attack="lira").auc > 0.4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attack": "magic"}, "attack must be one of"),
        ({"n_shadows": 1}, "n_shadows must be at least 2"),
        ({"n_bootstraps": 0}, "n_bootstraps must be"),
        ({"confidence_level": 95}, "confidence_level must be"),
        ({"X_fresh": np.empty((0, 4)), "y_fresh": []}, "at least one"),
        ({"y_fresh": [0, 1]}, "inconsistent numbers of samples"),
    ],
)
def test_wrong_arguments_are_errors(changes, message):
    names = "X_member", "y_member", "X_fresh", "y_fresh"
    arguments = dict(zip(names, halve(*make_noise(80)), strict=True))
    fitted = DummyClassifier().fit(arguments["X_member"], arguments["y_member"])
    with pytest.raises(ValueError, match=message):
        membership_inference_score(fitted, **(arguments | changes))


def test_what_is_no_classifier_is_an_error():
    parts = halve(*make_noise(80))
    with pytest.raises(TypeError, match="a fitted classifier is required"):
        resistance_score("model.pkl", *parts)
    hard = OutputCodeClassifier(LogisticRegression(), random_state=0).fit(*parts[:2])
    assert membership_inference_score(hard, *parts).auc > 0.4
    with pytest.raises(ValueError, match="has neither"):
        membership_inference_score(hard, *parts, attack="confidence")
    with pytest.raises(ValueError, match="max_fpr must be"):
        resistance_score(DummyClassifier(), *parts, max_fpr=1)


def test_distance_of_a_classifier_to_itself_is_zero():
    """In all ways; and it grows with what was changed."""
    X, y = make_noise(n_classes=2)
    fitted = LogisticRegression().fit(X, y)
    same = retrain_distance(fitted, fitted, X, y)
    assert same.label_disagreement == same.total_variation == 0.0
    assert same.margin_divergence == same.parameter_distance == 0.0
    near = LogisticRegression().fit(X[5:], y[5:])
    far = LogisticRegression().fit(X[200:], y[200:])
    steps = [retrain_distance(fitted, other, X, y) for other in (near, far)]
    for name in ("total_variation", "margin_divergence", "parameter_distance"):
        assert 0 < getattr(steps[0], name) < getattr(steps[1], name)


def test_distance_between_kinds_of_classifiers():
    """What cannot be compared is None; classes that one lacks have no probability."""
    X, y = make_noise(n_classes=3)
    full = LogisticRegression().fit(X, y)
    fewer = LogisticRegression().fit(X[y < 2], y[y < 2])
    distance = retrain_distance(full, fewer, X)
    assert distance.margin_divergence is None
    assert distance.parameter_distance is None
    own = full.predict_proba(X)
    other = np.column_stack([fewer.predict_proba(X), np.zeros(len(X))])
    expected = np.abs(own - other).sum(axis=1).mean() / 2
    assert distance.total_variation == pytest.approx(expected)
    assert retrain_distance(full, Perceptron().fit(X, y), X).total_variation is None
    with pytest.raises(ValueError, match="no classifiers"):
        retrain_distance([], full, X)


def test_divergence_of_many_classifiers_is_by_row():
    """Rows that only some classifiers know differ, in both directions of the margin."""
    X, y = make_noise(120, n_classes=2)
    rng = np.random.default_rng(0)

    def fit(rows):
        part = rng.choice(rows, 80)
        return LogisticRegression(C=100).fit(X[part], y[part])

    all_rows, retained = np.arange(120), np.arange(30, 120)
    before, after, again = (
        [fit(rows) for _ in range(12)] for rows in (all_rows, retained, retained)
    )
    forgotten = X[:30], y[:30]
    far = retrain_distance(before, after, *forgotten).margin_divergence
    near = retrain_distance(again, after, *forgotten).margin_divergence
    assert far > near


def test_discovery_of_equal_scores_is_a_line():
    """And of perfect scores the steepest curve there can be."""
    inspected, discovered = discovery_curve([True, False, False, True], np.ones(4))
    assert inspected.tolist() == discovered.tolist() == [0.0, 1.0]
    inspected, discovered = discovery_curve([0, 1, 0, 1], [0.0, 2.0, 1.0, 2.0])
    assert np.interp(0.5, inspected, discovered) == 1.0


@pytest.mark.parametrize(
    ("wrong", "scores", "message"),
    [
        ([0, 0], [1.0, 2.0], "marks no row"),
        ([0, 2], [1.0, 2.0], "mask of bool"),
        ([0, 1], [1.0, np.nan], "NaN"),
        ([0, 1, 1], [1.0, 2.0], "inconsistent"),
    ],
)
def test_wrong_arguments_of_the_curve(wrong, scores, message):
    with pytest.raises(ValueError, match=message):
        discovery_curve(wrong, scores)

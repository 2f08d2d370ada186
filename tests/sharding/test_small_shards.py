"""Warnings of shards that are too small, and of classes that leave."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.mixture import GaussianMixture
from sklearn.naive_bayes import GaussianNB
from support import make_data

from skunlearn import InfluenceUnlearningClassifier, ShardedUnlearningClassifier

CANCER, IRIS = load_breast_cancer(return_X_y=True), load_iris(return_X_y=True)
DIGITS = load_digits(return_X_y=True)
X, Y = make_data(60)


def take_rare(n_rows, n_rare):
    """Return rows of two classes, of which one is rare."""
    x = np.random.default_rng(0).normal(size=(n_rows, 2))
    return x, (np.arange(n_rows) < n_rare).astype(int)


def make_case(base=None, **params):
    """Return an unfitted classifier."""
    base = GaussianNB() if base is None else base
    return ShardedUnlearningClassifier(base, random_state=0, **params)


SENSIBLE = {
    "default": (CANCER, {}),
    "many": (CANCER, {"n_shards": 60}),
    "iris": (IRIS, {}),
    "digits": (DIGITS, {"n_shards": 20}),
    "rare": (take_rare(1000, 50), {}),
    "few rows at all": ((X, Y), {"n_shards": 40}),
    "a single class": (take_rare(200, 0), {}),
    "by class": (DIGITS, {"partition": "class", "base": GaussianMixture(1)}),
    "replicas": (IRIS, {"n_replicas": 3}),
    "slices": (CANCER, {"n_slices": 10}),
}
SENSELESS = {
    "hundreds": (CANCER, {"n_shards": 200}),
    "more shards than rows": (CANCER, {"n_shards": 5000}),
    "iris": (IRIS, {"n_shards": 75}),
    "very rare": (take_rare(1000, 5), {}),
    "by class": (take_rare(200, 20), {"partition": "class", "n_shards": 40}),
}


@pytest.mark.parametrize("name", SENSIBLE)
@pytest.mark.filterwarnings("error:.* shards are too small:UserWarning")
def test_sensible_shards(name):
    """Nothing is said."""
    (x, y), params = SENSIBLE[name]
    make_case(**params).fit(x, y)


@pytest.mark.parametrize("name", SENSELESS)
def test_senseless_shards(name):
    """Counts and the remedy are named, at the line of the user's."""
    (x, y), params = SENSELESS[name]
    with pytest.warns(UserWarning, match="shards are too small") as caught:
        make_case(**params).fit(x, y)
    (message,) = (w for w in caught if "too small" in str(w.message))
    assert f"There are {len(y)} rows, {np.bincount(y).min()} of" in str(message.message)
    assert "n_shards" in str(message.message)
    assert message.filename == __file__


@pytest.mark.parametrize(
    "classifier",
    [
        make_case(n_shards=2),
        make_case(partition="class", n_shards=2),
        InfluenceUnlearningClassifier(method="newton"),
    ],
    ids=str,
)
def test_a_class_leaves(classifier):
    """It is said once, when its last row goes, and not that a class is rare."""
    ash = np.flatnonzero(Y == "ash")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*is no longer predicted", UserWarning)
        classifier.fit(X, Y).forget(ash[1:])
    with pytest.warns(UserWarning, match="a class has lost .* 2 are left"):
        classifier.forget(ash[:1])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*is no longer predicted", UserWarning)
        with pytest.raises(UserWarning, match="1 is left") as caught:
            classifier.forget(Y == "birch")
    assert "changed nothing" in caught.value.__notes__[-1]
    assert classifier.classes_.tolist() == ["birch", "cedar"]

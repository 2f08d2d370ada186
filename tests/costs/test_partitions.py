"""The closed forms tell what the engine does, by class and with selection too."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from skunlearn import ShardedUnlearningClassifier
from skunlearn.costs import expected_retrained_samples

COUNTS = (900, 400, 200)
Y = np.repeat(np.arange(3), COUNTS)
X = np.random.default_rng(0).random((len(Y), 2))


class Density(BaseEstimator):
    """A one-class model that learns nothing, and goes on with it."""

    def partial_fit(self, X, y=None):
        """Do nothing."""
        return self

    fit = partial_fit

    def score_samples(self, X):
        """Return zeros."""
        return np.zeros(len(X))


class Constant(ClassifierMixin, BaseEstimator):
    """A classifier that learns nothing but the classes."""

    def partial_fit(self, X, y, classes=None):
        """Learn the classes."""
        self.classes_ = np.unique(y) if classes is None else classes
        return self

    def fit(self, X, y):
        """Learn the classes."""
        return self.partial_fit(X, y)

    def predict(self, X):
        """Return the first class."""
        return np.full(len(X), self.classes_[0])


CASES = [
    (Density(), {"partition": "class", "n_shards": 1}),
    (Density(), {"partition": "class", "n_shards": 3, "n_replicas": 2}),
    (Density(), {"partition": "class", "n_shards": 2, "n_slices": 3}),
    (Constant(), {"partition": "class", "n_shards": 2, "n_negatives": 1}),
    (Constant(), {"partition": "class", "n_shards": 1, "n_negatives": 2}),
    (Constant(), {"n_shards": 4, "selection": 0.3}),
    (Constant(), {"n_shards": 2, "n_slices": 3, "selection": 0.4}),
    (Density(), {"partition": "class", "n_shards": 2, "selection": 0.3}),
    (Density(), {"partition": "class", "n_shards": 1, "selection": 0.9}),
]


@pytest.mark.parametrize("k", [1, 6])
@pytest.mark.parametrize(("base", "settings"), CASES)
def test_mean_of_previews(base, settings, k):
    """Over layouts and random batches, to 3 % (and the rounding of quotas)."""
    rng = np.random.default_rng(0)
    costs = []
    for seed in range(8):
        classifier = ShardedUnlearningClassifier(base, random_state=seed, **settings)
        classifier.fit(X, Y)
        costs += [
            classifier.preview_forget(
                rng.choice(len(Y), k, replace=False)
            ).n_samples_retrained
            for _ in range(150)
        ]
    if settings.get("partition") == "class":
        settings = {"class_counts": COUNTS, **settings}
    expected = expected_retrained_samples(len(Y), k, **settings)
    error = 3 * np.std(costs) / np.sqrt(len(costs)) + 0.03 * expected
    assert np.mean(costs) == pytest.approx(expected, abs=error)

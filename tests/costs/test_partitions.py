"""The closed forms tell what the engine does, by class and with selection too."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from support import thin

from skunlearn import ShardedUnlearningClassifier
from skunlearn.costs import expected_retrained_samples
from skunlearn.costs._picks import expect_picks

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


@pytest.mark.parametrize("k", thin([6, 1]))
@pytest.mark.parametrize(("base", "settings"), thin(CASES, 3))
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


TINY = [
    {"partition": "class", "n_negatives": 1, "n_slices": 2, "selection": 0.3},
    {"partition": "class", "n_negatives": 1, "selection": 0.8},
    {"n_slices": 3, "selection": 0.37},
    {"n_slices": 3, "n_replicas": 2, "selection": 0.2},
]


@pytest.mark.thorough
@pytest.mark.parametrize("k", [10, 100])
@pytest.mark.parametrize("settings", TINY, ids=str)
def test_tiny_parts_with_selection(settings, k):
    """A few rows of each class in each part, of which quotas are rounded upwards."""
    rng = np.random.default_rng(0)
    settings = {"n_shards": 4, "slice_training": "sequential", **settings}
    y, costs = np.repeat(np.arange(3), (300, 180, 120)), []
    for seed in range(5):
        classifier = ShardedUnlearningClassifier(
            Constant(), random_state=seed, **settings
        ).fit(X[:600], y)
        for _ in range(60):
            request = rng.choice(600, k, replace=False)
            costs.append(classifier.preview_forget(request).n_samples_retrained)
    expected = expected_retrained_samples(600, k, class_counts=(5, 3, 2), **settings)
    error = 3 * np.std(costs) / np.sqrt(len(costs)) + 0.02 * expected
    assert np.mean(costs) == pytest.approx(expected, abs=error)


@pytest.mark.parametrize("fraction", [0.05, 0.37, 0.8, 1.0])
@pytest.mark.parametrize("n_parts", [1, 4, 30])
def test_expected_picks(fraction, n_parts):
    """Rows are dealt to parts, some stand in them, some are gone, and quotas rule."""
    rng, n, share, retained = np.random.default_rng(0), 150, 0.5, 0.8
    picks = []
    for _ in range(2000):
        sizes = np.bincount(rng.integers(n_parts, size=n), minlength=n_parts)
        quotas = sizes if fraction == 1 else np.ceil(fraction * share * sizes - 1e-9)
        picks.append(np.minimum(quotas, rng.binomial(sizes, share * retained)).sum())
    expected = expect_picks(n, n_parts, fraction, share, retained)
    assert expected == pytest.approx(np.mean(picks), rel=0.03)

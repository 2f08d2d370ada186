"""The registry: what is supported, what is refused, and what others add."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

from skunlearn.exceptions import UnsupportedEstimatorError
from skunlearn.influence import Objective, register_objective
from skunlearn.influence._objectives import registry as _registry
from skunlearn.influence._objectives.registry import find_objective
from skunlearn.influence._objectives.scikit_learn import LogisticObjective


class Subclass(LogisticRegression):
    """A subclass, which may minimise anything."""


REFUSED = {
    "its objective is not registered": [KNeighborsClassifier(), Subclass()],
    "an l1 penalty has no Hessian": [
        LogisticRegression(l1_ratio=1, solver="saga"),
        LogisticRegression(l1_ratio=0.5, solver="saga"),
        LogisticRegression(penalty="l1", solver="saga"),
        LinearSVC(penalty="l1"),
        SGDClassifier("log_loss", penalty="elasticnet"),
    ],
    "loss='hinge'": [SGDClassifier(), LinearSVC(loss="hinge")],
    "multi_class='crammer_singer'": [LinearSVC(multi_class="crammer_singer")],
    "early_stopping=True holds rows out": [
        SGDClassifier("log_loss", early_stopping=True)
    ],
    "positive=True bounds": [RidgeClassifier(positive=True)],
    "several labels per row": [
        RidgeClassifier().fit([[0.0], [1.0], [2.0]], [[0, 1], [1, 1], [1, 0]])
    ],
}


@pytest.mark.parametrize(
    ("estimator", "reason"), [(e, r) for r, cases in REFUSED.items() for e in cases]
)
def test_refusals(estimator, reason):
    """The reason is given, and what would work."""
    with pytest.raises(UnsupportedEstimatorError) as caught:
        find_objective(estimator)
    message = str(caught.value)
    assert reason in message
    assert "LinearSVC, LogisticRegression, RidgeClassifier, SGDClassifier" in message
    assert "ShardedUnlearningClassifier" in message


def test_multi_class_of_older_versions():
    """One-vs-rest was a choice once, and what liblinear did with three classes."""
    estimator = LogisticRegression().fit([[0.0], [1.0], [2.0]], [0, 1, 2])
    estimator.solver = "liblinear"
    with pytest.raises(UnsupportedEstimatorError, match="one class at a time"):
        find_objective(estimator)
    estimator = LogisticRegression()
    estimator.multi_class = "ovr"
    with pytest.raises(UnsupportedEstimatorError, match="multi_class='ovr'"):
        find_objective(estimator)


class Centroid:
    """A toy classifier of a third party: the mean of each class, shrunk to 0."""

    def fit(self, X, codes):
        """Average."""
        ones = np.eye(codes.max() + 1)[codes]
        self.means_ = (ones.T @ X) / (ones.sum(axis=0) + 1)[:, None]
        return self


class CentroidObjective(Objective):
    """Half the squared distance to the mean of the row's class, and to 0."""

    is_quadratic = True

    def __init__(self, estimator, X, codes, sample_weight=None):
        super().__init__(estimator, X, codes, sample_weight)
        self.shape = estimator.means_.shape
        self.n_params = estimator.means_.size

    def read(self, estimator):
        """Return the means."""
        return estimator.means_.ravel().copy()

    def write(self, estimator, theta):
        """Give the means."""
        estimator.means_ = theta.reshape(self.shape)

    def losses(self, theta, rows):
        """Halve the squared distances."""
        return (self._subtract(theta, rows) ** 2).sum(axis=1) / 2

    def row_gradients(self, theta, rows):
        """Put the differences where the class is."""
        ones = np.eye(self.shape[0])[self.codes[rows]]
        gradients = ones[:, :, None] * self._subtract(theta, rows)[:, None, :]
        return gradients.reshape(len(ones), -1)

    def row_factors(self, theta, rows):
        """Return a one for every feature of the class."""
        ones = np.repeat(np.eye(self.shape[0]), self.shape[1], axis=1)
        return ones[self.codes[rows], None, :] * np.eye(self.n_params)

    def regularizer(self, weight_sums):
        """Return ones."""
        return np.ones(self.n_params)

    def _subtract(self, theta, rows):
        return theta.reshape(self.shape)[self.codes[rows]] - self.X[rows]


@pytest.fixture
def registry(monkeypatch):
    """Keep what a test registers from other tests."""
    monkeypatch.setattr(_registry, "_objectives", dict(_registry._objectives))


@pytest.mark.usefixtures("registry")
def test_third_party():
    """The methods that need not be written work: one Newton step unlearns exactly."""
    assert register_objective(Centroid)(CentroidObjective) is CentroidObjective
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(2100, 2)), rng.integers(3, size=2100)
    estimator = Centroid().fit(X, codes)
    objective = find_objective(estimator)(estimator, X, codes)
    theta, w, v = objective.read(estimator), np.ones(2100), np.arange(6.0)
    np.testing.assert_allclose(objective.gradient(theta, w), 0, atol=1e-10)
    w[:50] = 0
    gradient, hessian = objective.gradient(theta, w), objective.hessian(theta, w)
    np.testing.assert_allclose(objective.hvp(theta, w)(v), hessian @ v)
    np.testing.assert_allclose(objective.diagonal(theta, w), np.diag(hessian))
    scores = objective.row_gradients(theta, np.arange(2100)) @ v
    np.testing.assert_allclose(objective.scores(theta, w, v), scores)
    moved = theta - np.linalg.solve(hessian, gradient)
    assert objective.value(moved, w) < objective.value(theta, w)
    objective.write(estimator, moved)
    retrained = Centroid().fit(X[50:], codes[50:])
    np.testing.assert_allclose(estimator.means_, retrained.means_, atol=1e-12)
    assert len(objective.null_space) == 0


@pytest.mark.usefixtures("registry")
def test_classes_are_registered():
    """An instance is no class; a subclass needs a line of its own."""
    with pytest.raises(TypeError, match="must be a class; got LogisticRegression"):
        register_objective(LogisticRegression())
    register_objective(Subclass)(LogisticObjective)
    assert find_objective(Subclass()) is LogisticObjective

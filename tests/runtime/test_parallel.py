"""Law 4: jobs, backends and threads do not change a bit."""

import copy
import pickle
import threading

import joblib
import numpy as np
import pytest
from sklearn import config_context, get_config
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier
from support import CASES, assert_same_classifier, make_case, make_data, thin
from threadpoolctl import threadpool_info, threadpool_limits

from skunlearn import ShardedUnlearningClassifier
from skunlearn._runtime.threads import limit_own_thread, single_threaded
from skunlearn.sharding._training import tasks

X, Y = make_data()


@pytest.mark.parametrize(("base", "layout"), thin(CASES))
def test_jobs(base, layout):
    """Two processes give what one gives, for fit and forget and predict."""
    one = make_case(base, layout).fit(X, Y).forget(range(0, 60, 9))
    two = make_case(base, layout, n_jobs=2).fit(X, Y).forget(range(0, 60, 9))
    assert_same_classifier(one, two, X)


@pytest.mark.parametrize("solver", ["full", "randomized", "arpack", "covariance_eigh"])
@pytest.mark.parametrize("is_frozen", [True, False])
def test_the_way_through_a_pickle(solver, is_frozen):
    """Arrays that a pickle would make contiguous are so at once.

    Products with them round otherwise: in the worker, or when the pickle is read.
    """
    rng = np.random.default_rng(0)
    data = rng.standard_normal((300, 64))
    labels = (data[:, 0] > 0).astype(int)
    pca = PCA(7, svd_solver=solver)
    if is_frozen:
        pca = FrozenEstimator(pca.fit(data))
        strides = pca.estimator.components_.strides
    base = make_pipeline(pca, LogisticRegression())
    one = ShardedUnlearningClassifier(base, n_shards=2, random_state=0)
    one.fit(data, labels).forget([1, 2])
    two = clone(one).set_params(n_jobs=2).fit(data, labels).forget([1, 2])
    for other in (two, pickle.loads(pickle.dumps(one)), copy.deepcopy(one)):
        assert_same_classifier(one, other, data)
    if is_frozen:
        assert pca.estimator.components_.strides == strides  # the user's are as before


class RowKeeper(ClassifierMixin, BaseEstimator):
    """Keeps the rows that it was given, as they came."""

    def partial_fit(self, X, y, classes=None):
        """Keep the rows."""
        self.classes_ = np.unique(y) if classes is None else classes
        self.rows_ = X
        return self

    fit = partial_fit

    def predict(self, X):
        """Answer with the first class."""
        return np.full(len(X), self.classes_[0])


def test_a_checkpoint_holds_no_more_than_it_was_trained_on():
    """A view would keep the rows of later slices alive."""
    classifier = ShardedUnlearningClassifier(
        RowKeeper(), n_shards=1, n_slices=3, random_state=0
    )
    for state in classifier.fit(X, Y)._state.shards[0].states:
        rows = state.estimator.rows_
        assert rows.base is None or rows.base.nbytes == rows.nbytes


@pytest.mark.parametrize("backend", ["threading", "multiprocessing", "loky"])
@pytest.mark.parametrize("base", thin(["logistic", "forest", "sgd"]))
def test_backends(backend, base):
    """Threads and processes of any kind."""
    expected = make_case(base, "replicas").fit(X, Y).forget([0, 9])
    with joblib.parallel_config(backend=backend, n_jobs=2):
        classifier = make_case(base, "replicas").fit(X, Y).forget([0, 9])
        assert_same_classifier(expected, classifier, X)


def read_threads():
    """Return the numbers of threads of the numerical libraries."""
    return [library["num_threads"] for library in threadpool_info()]


@pytest.mark.parametrize("base", [LogisticRegression(), MLPClassifier(max_iter=3)])
def test_threads_of_numerical_libraries(base):
    """At a size where these bases differ with two BLAS threads, they do not here.

    And whatever is pinned is released again.
    """
    rng = np.random.default_rng(0)
    data = rng.standard_normal((6000, 100))
    labels = (data @ rng.standard_normal(100) > 0).astype(int)
    results = []
    for n_threads in (1, 2):
        for n_jobs in (1, 2):
            with threadpool_limits(n_threads):
                before = read_threads()
                classifier = ShardedUnlearningClassifier(
                    base, n_shards=2, random_state=0, n_jobs=n_jobs
                )
                classifier.fit(data, labels).forget([0, 1])
                results.append((classifier, classifier.predict_proba(data)))
                assert read_threads() == before
    for classifier, proba in results[1:]:
        np.testing.assert_array_equal(proba, results[0][1])
        assert_same_classifier(classifier, results[0][0], data[:5])


@pytest.mark.thorough
def test_threads_are_released_by_concurrent_fits():
    """Users may run several fits in threads of their own."""
    with threadpool_limits(2):
        before = read_threads()
        joblib.Parallel(n_jobs=4, backend="threading")(
            joblib.delayed(make_case("logistic", "default").fit)(X, Y)
            for _ in range(20)
        )
        assert read_threads() == before


class ConfigReader(ClassifierMixin, BaseEstimator):
    """Keeps what configuration it was trained under."""

    def fit(self, X, y):
        """Note the configuration."""
        self.classes_ = np.unique(y)
        self.assume_finite_ = get_config()["assume_finite"]
        return self

    def predict(self, X):
        """Answer with the first class."""
        return np.full(len(X), self.classes_[0])


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_configuration_travels_to_workers(n_jobs):
    """scikit-learn's configuration holds in joblib's workers."""
    with config_context(assume_finite=True):
        classifier = ShardedUnlearningClassifier(
            ConfigReader(), n_shards=2, random_state=0, n_jobs=n_jobs
        ).fit(X, Y)
    assert all(model.assume_finite_ for model in classifier.estimators_)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("base", ["logistic", "forest", "tree"])
def test_predictions_of_many_rows(base, n_classes):
    """Threads share the rows out among them as one thread takes them in turn."""
    data, labels = make_data(5000)
    if n_classes == 2:
        labels = labels == "ash"
    classifier = make_case(base, "default").fit(data[:200], labels[:200])
    expected = classifier.predict_proba(data)
    for backend in ("loky", "threading"):
        with joblib.parallel_config(backend, n_jobs=2):
            np.testing.assert_array_equal(classifier.predict_proba(data), expected)
    again = classifier.set_params(n_jobs=2).predict_proba(data)
    np.testing.assert_array_equal(again, expected)


@pytest.mark.parametrize(
    ("base", "kind"),
    [(DecisionTreeClassifier(), "threads"), (GaussianNB(), "processes")],
    ids=str,
)
def test_jobs_are_threads_where_fits_release_the_lock(base, kind, monkeypatch):
    """Of many small shards several are sent at once; each is reported."""
    used, sizes = [], []

    class Spy(tasks.Parallel):
        def __call__(self, iterable):
            used.append(type(self._backend).__name__)
            calls = list(iterable)
            sizes.extend(len(call[1][2]) for call in calls)
            return super().__call__(calls)

    monkeypatch.setattr(tasks, "Parallel", Spy)
    classifier = ShardedUnlearningClassifier(base, n_shards=50, random_state=0)
    many = np.random.default_rng(0).normal(size=(11_000, 20))
    labels = (many[:, 0] > 0).astype(int)
    alone = clone(classifier).fit(many, labels)
    both = classifier.set_params(n_jobs=2).fit(many, labels)
    expected = {"threads": "ThreadingBackend", "processes": "LokyBackend"}
    assert used == [expected[kind]]
    assert sum(sizes) == 50
    assert max(sizes) == 3
    # So few rows of a fast base are trained on the spot.
    clone(both).fit(many[:500], labels[:500])
    assert len(used) == (1 if kind == "threads" else 2)
    proba = alone.predict_proba(many)
    np.testing.assert_array_equal(both.predict_proba(many), proba)


def test_openmp_is_limited_in_threads_of_ours():
    """It keeps its number of threads for each thread that starts it."""
    found = []

    def work():
        limit_own_thread()
        found.extend(
            each["num_threads"]
            for each in threadpool_info()
            if each["user_api"] == "openmp"
        )

    with threadpool_limits(2, "openmp"), single_threaded():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert set(found) == {1}

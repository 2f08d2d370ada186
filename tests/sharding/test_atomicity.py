"""Law 6: whatever is raised, the classifier is what it was, and says so."""

import copy
import os
import pickle
import signal
import threading
from itertools import count

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.dummy import DummyClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from support import (
    assert_identical,
    assert_same_classifier,
    fit_anew,
    interrupt_at_call,
    make_data,
)
from threadpoolctl import threadpool_info, threadpool_limits

from skunlearn import ShardedUnlearningClassifier
from skunlearn._runtime.threads import _limit, single_threaded, uninterrupted

X, Y = make_data()


class Fragile(DecisionTreeClassifier):
    """Fails at the n-th fit from now on that is made in this process."""

    fits_left = None
    error = None

    def fit(self, X, y, **arguments):
        """Fit, or fail."""
        if Fragile.fits_left is not None:
            Fragile.fits_left -= 1
            if Fragile.fits_left < 0:
                raise Fragile.error("no more")
        return super().fit(X, y, **arguments)


@pytest.fixture(autouse=True)
def robust():
    """Let nothing fail before and after a test."""
    Fragile.fits_left = None
    yield
    Fragile.fits_left = None


def fit(**params):
    """Return a fitted classifier of fragile constituents."""
    classifier = ShardedUnlearningClassifier(Fragile(), random_state=0, **params)
    return classifier.fit(X, Y, groups=np.arange(60) // 2 + 1000)


def snapshot(classifier):
    """Return all that a classifier is, apart from the classifier."""
    return pickle.loads(pickle.dumps(classifier))


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("after", [0, 1, 4])
def test_a_base_that_fails_in_the_middle(error, after):
    """Some shards were trained already, and nothing of it is seen."""
    classifier = fit().forget([5])
    before, constituents = snapshot(classifier), classifier.estimators_
    Fragile.fits_left, Fragile.error = after, error
    with pytest.raises(error, match="no more") as caught:
        classifier.forget(range(0, 60, 3))
    assert "forget changed nothing" in "".join(caught.value.__notes__)
    assert_identical(snapshot(classifier), before)
    assert all(
        a is b for a, b in zip(constituents, classifier.estimators_, strict=True)
    )
    Fragile.fits_left = None
    classifier.forget(range(0, 60, 3))
    assert_identical(
        classifier.predict_proba(X), before.forget(range(0, 60, 3)).predict_proba(X)
    )


@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame])
def test_other_methods_that_fail(container):
    """retrain and partial_fit are all or nothing too."""
    data = container(X)
    classifier = ShardedUnlearningClassifier(Fragile(), random_state=0).fit(data, Y)
    classifier.forget(range(20), retrain=False)
    before = snapshot(classifier)
    Fragile.fits_left, Fragile.error = 2, KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        classifier.retrain()
    Fragile.fits_left, Fragile.error = 2, RuntimeError
    with pytest.raises(RuntimeError):
        classifier.partial_fit(data, Y)
    assert_identical(snapshot(classifier), before)
    assert classifier.n_pending_ == 20
    with pytest.raises(ValueError, match="features"):
        classifier.partial_fit(data[:, :2] if data is X else data[[0, 1]], Y)
    assert_identical(snapshot(classifier), before)


class Exploding(DecisionTreeClassifier):
    """Ends its whole process unless it sees the value 666."""

    def fit(self, X, y, **arguments):
        """Fit, or die."""
        if 666 not in X:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(X, y, **arguments)


def test_a_worker_that_is_killed():
    """A worker process that dies in the middle of a forget."""
    data = X.copy()
    data[:, 0] = 666
    classifier = ShardedUnlearningClassifier(
        Exploding(), n_shards=4, n_jobs=2, random_state=0
    ).fit(data, Y)
    with classifier_rows(classifier, 0.0):
        before = snapshot(classifier)
        with pytest.raises(Exception, match=r"terminated|killed") as caught:
            classifier.forget(range(30))
        assert "forget changed nothing" in "".join(caught.value.__notes__)
        assert_identical(snapshot(classifier), before)


class classifier_rows:
    """Set the first feature of the rows that a classifier holds, for a while."""

    def __init__(self, classifier, value):
        self.column = classifier._state.rows.data.X[:, 0]
        self.value = value

    def __enter__(self):
        """Set it."""
        self.saved = self.column.copy()
        self.column[:] = self.value

    def __exit__(self, *error):
        """Reset it."""
        self.column[:] = self.saved


def test_an_interrupt_waits_for_the_swap():
    """Ctrl-C between the lines that make a forget effective comes after them."""
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        done.append("swapped")
    assert done == ["swapped"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_need_no_such_care():
    """Only the main thread is interrupted, and only it may set handlers."""
    done = []

    def work():
        with uninterrupted():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


def test_an_interrupt_at_any_call():
    """All or nothing, and the next request is not kept waiting."""
    fitted = ShardedUnlearningClassifier(n_shards=2, random_state=0).fit(X, Y)
    expected = {0: fitted.predict_proba(X)}
    expected[1] = copy.deepcopy(fitted).forget(3).predict_proba(X)
    for k in count(1):
        classifier = copy.deepcopy(fitted)
        made = interrupt_at_call(k, lambda c=classifier: c.forget(3))
        n_forgotten = len(classifier.forgotten_indices_)
        np.testing.assert_array_equal(
            classifier.predict_proba(X), expected[n_forgotten]
        )
        assert not classifier._lock.is_taken
        assert not _limit.users
        if not made:
            break
    assert k > 100


def test_no_memory_for_the_overwriting(monkeypatch):
    """What overwriting needs is there before anything is changed."""
    matrix = sparse.csr_array(X)
    classifier = ShardedUnlearningClassifier(DummyClassifier(), random_state=0)
    classifier.fit(matrix, Y)
    before = snapshot(classifier)

    def fail(*arguments):
        raise MemoryError("no more")

    with monkeypatch.context() as patch:
        patch.setattr(np, "repeat", fail)
        with pytest.raises(MemoryError, match="no more"):
            classifier.forget([3, 4])
    assert_identical(snapshot(classifier), before)
    assert classifier.forget([3, 4]).forgotten_indices_.tolist() == [3, 4]


@pytest.mark.parametrize("method", ["enter", "leave"])
def test_an_interrupt_leaves_no_limit_of_threads_behind(method, monkeypatch):
    """Ctrl-C while the limit is set or taken back comes after that."""
    original = getattr(type(_limit), method)

    def interrupted(self, use):
        signal.raise_signal(signal.SIGINT)
        original(self, use)

    with threadpool_limits(2):
        before = [library["num_threads"] for library in threadpool_info()]
        monkeypatch.setattr(type(_limit), method, interrupted)
        with pytest.raises(KeyboardInterrupt), single_threaded():
            pass
        after = [library["num_threads"] for library in threadpool_info()]
    assert not _limit.users
    assert after == before


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array, pd.DataFrame])
def test_rows_in_read_only_memory(convert):
    """A classifier that comes from a memory map is forgotten in all the same."""
    weight = np.ones(60)
    classifier = ShardedUnlearningClassifier(DecisionTreeClassifier(), random_state=0)
    classifier.fit(convert(X), Y, weight)
    buffers = []
    data = pickle.dumps(classifier, protocol=5, buffer_callback=buffers.append)
    frozen = [bytes(buffer.raw()) for buffer in buffers]
    mapped = pickle.loads(data, buffers=frozen).forget([3, 4])
    np.testing.assert_array_equal(
        mapped.predict_proba(X), classifier.forget([3, 4]).predict_proba(X)
    )
    assert mapped.forgotten_indices_.tolist() == [3, 4]


def test_rows_in_a_memory_map(tmp_path):
    """A classifier that joblib maps forgets and learns as any other."""
    classifier = ShardedUnlearningClassifier(DecisionTreeClassifier(), random_state=0)
    classifier.fit(X, Y)
    joblib.dump(classifier, tmp_path / "classifier.joblib")
    mapped = joblib.load(tmp_path / "classifier.joblib", mmap_mode="r")
    for each in (classifier, mapped):
        each.partial_fit(X[:9], Y[:9]).forget([3, 65])
    np.testing.assert_array_equal(mapped.predict_proba(X), classifier.predict_proba(X))


def test_threads_take_turns():
    """Requests that come at once are all carried out, whatever their order."""
    classifier = ShardedUnlearningClassifier(
        DecisionTreeClassifier(), random_state=0
    ).fit(X, Y)
    threads = [
        threading.Thread(target=classifier.forget, args=([i],)) for i in range(30)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert classifier.forgotten_indices_.tolist() == list(range(30))
    assert_same_classifier(classifier, fit_anew(classifier, X, Y), X)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, snapshot])
def test_copies_go_their_own_way(duplicate):
    """What one of two copies forgets the other one still has."""
    classifier = fit()
    other = duplicate(classifier)
    expected = other.predict_proba(X)
    classifier.forget(range(20))
    np.testing.assert_array_equal(other.predict_proba(X), expected)
    other.forget([20, 21])
    assert_same_classifier(other, fit().forget([20, 21]), X)


def test_a_refit_that_fails():
    """The old fit stays, with the features that it saw."""
    classifier = fit()
    before = snapshot(classifier)
    Fragile.fits_left, Fragile.error = 2, RuntimeError
    with pytest.raises(RuntimeError):
        classifier.fit(pd.DataFrame(X[:, :2], columns=["a", "b"]), Y)
    Fragile.fits_left = None
    assert classifier.n_features_in_ == 4
    assert not hasattr(classifier, "feature_names_in_")
    assert_identical(snapshot(classifier), before)


def test_parameters_set_after_fit():
    """A fitted classifier answers as it was fitted until the next fit."""
    classifier = fit()
    expected = classifier.predict_proba(X)
    classifier.set_params(estimator=SVC(), n_shards=2)
    np.testing.assert_array_equal(classifier.predict_proba(X), expected)
    assert not hasattr(classifier.fit(X, Y), "predict_proba")

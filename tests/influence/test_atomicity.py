"""Law 6: whatever is raised, the classifier is what it was, and says so."""

import copy
import pickle
import threading
import warnings
from itertools import count

import joblib
import numpy as np
import pandas as pd
import pytest
from influence_cases import (
    METHODS,
    assert_unchanged,
    copy_of,
    fit_anew,
    get_vector,
    make_case,
    make_data,
    snapshot,
)
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from support import assert_identical, interrupt_at_call

from skunlearn import InfluenceUnlearningClassifier
from skunlearn._data.rows import Rows
from skunlearn._runtime.threads import _limit
from skunlearn.exceptions import UnlearningQualityWarning
from skunlearn.influence import register_objective
from skunlearn.influence._objectives.registry import _objectives
from skunlearn.influence._objectives.scikit_learn import LogisticObjective

# What influence says of its single steps.
IGNORED = "ignore:the distance to the retrained"
pytestmark = pytest.mark.filterwarnings(IGNORED)

X, Y = make_data()


class Fragile(LogisticRegression):
    """Fails at the n-th fit from now on, or in the n-th part of its objective."""

    left = None
    error = RuntimeError

    @classmethod
    def step(cls):
        """Count, and fail in time."""
        if cls.left is not None:
            cls.left -= 1
            if cls.left < 0:
                raise cls.error("no more")

    def fit(self, X, y, **arguments):
        """Fit, or fail."""
        Fragile.step()
        return super().fit(X, y, **arguments)


class FragileObjective(LogisticObjective):
    """Fails in whatever method is called at the time."""

    def __getattribute__(self, name):
        """Count the uses of public methods."""
        value = super().__getattribute__(name)
        if callable(value) and not name.startswith("_"):
            Fragile.step()
        return value

    @classmethod
    def check(cls, estimator):
        """Take any."""


@pytest.fixture(autouse=True)
def robust():
    """Let nothing fail before and after a test."""
    Fragile.left = None
    register_objective(Fragile)(FragileObjective)
    yield
    Fragile.left = None
    del _objectives[Fragile]


def fit(**params):
    """Return a fitted classifier on a fragile base."""
    params = {"method": "newton", "random_state": 7, **params}
    return InfluenceUnlearningClassifier(Fragile(), **params).fit(X, Y)


REQUESTS = {"rows": range(0, 30, 3), "class": np.flatnonzero(Y == "cedar")}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("method", METHODS)
def test_an_objective_that_fails_anywhere(method, kind, error):
    """Wherever in a forget it happens, nothing has changed, and it is said."""
    classifier = fit(method=method).forget([5])
    before, expected = snapshot(classifier), classifier.predict_proba(X)
    for after in (0, 1, 2, 4, 7, 13, 34):
        again = copy_of(classifier)  # with nothing computed already, either
        theta = get_vector(again)
        Fragile.left, Fragile.error = after, error
        try:
            copy_of(classifier).forget(REQUESTS[kind])
        except error:
            pass
        else:
            break
        Fragile.left = after
        with pytest.raises(error, match="no more") as caught:
            again.forget(REQUESTS[kind])
        Fragile.left = None
        assert "forget changed nothing" in "".join(caught.value.__notes__)
        assert get_vector(again) is theta
        assert again.predict_proba(X).tobytes() == expected.tobytes()
        assert_unchanged(again, before)
    Fragile.left = None
    assert after > 3
    classifier.forget(REQUESTS[kind])
    before.forget(REQUESTS[kind])
    np.testing.assert_allclose(get_vector(classifier), get_vector(before), atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_warnings_that_are_errors(method):
    """A warning that is raised is as any error."""
    base = LogisticRegression(C=np.inf)
    classifier = InfluenceUnlearningClassifier(base, method=method, n_steps=1)
    classifier.set_params(random_state=7).fit(X, Y)
    before, expected = snapshot(classifier), classifier.predict_proba(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnlearningQualityWarning)
        with pytest.raises(UnlearningQualityWarning, match=r"param|steps") as caught:
            classifier.forget(range(60))
    assert "forget changed nothing" in "".join(caught.value.__notes__)
    assert classifier.predict_proba(X).tobytes() == expected.tobytes()
    assert_unchanged(classifier, before)


@pytest.mark.parametrize("method", METHODS)
def test_a_refit_that_fails(method):
    """The old fit stays, with the features and the receipts that it had."""
    classifier = fit(method=method).forget([5])
    before = snapshot(classifier)
    for left in (0, 1, 5):
        Fragile.left, Fragile.error = left, RuntimeError
        with pytest.raises(RuntimeError, match="no more") as caught:
            classifier.fit(pd.DataFrame(X[:, :2], columns=["a", "b"]), Y)
        assert "fit changed nothing" in "".join(caught.value.__notes__)
        Fragile.left = None
        assert classifier.n_features_in_ == 3
        assert not hasattr(classifier, "feature_names_in_")
        assert classifier.forgotten_indices_.tolist() == [5]
        assert_unchanged(classifier, before)


@pytest.mark.parametrize("method", ["newton", "puma"])
def test_an_interrupt_at_any_call(method):
    """All or nothing, and the next request is not kept waiting."""
    fitted = make_case(method=method).fit(X[:30], Y[:30])
    expected = {0: fitted.predict_proba(X)}
    expected[1] = copy_of(fitted).forget(3).predict_proba(X)
    for k in count(1, 7):
        classifier = copy_of(fitted)
        made = interrupt_at_call(k, lambda c=classifier: c.forget(3))
        n_forgotten = len(classifier.forgotten_indices_)
        np.testing.assert_array_equal(
            classifier.predict_proba(X), expected[n_forgotten]
        )
        assert not classifier._lock.is_taken
        assert not _limit.users
        if not made:
            break
    assert k > 50


def test_no_memory_for_the_overwriting(monkeypatch):
    """What overwriting needs is there before anything is changed."""
    classifier = make_case().fit(sparse.csr_array(X), Y)
    before = snapshot(classifier)

    def fail(*arguments):
        raise MemoryError("no more")

    with monkeypatch.context() as patch:
        patch.setattr(Rows, "prepare_forget", fail)
        with pytest.raises(MemoryError, match="no more"):
            classifier.forget([3, 4])
    assert_unchanged(classifier, before)
    assert classifier.forget([3, 4]).forgotten_indices_.tolist() == [3, 4]


DUPLICATES = [copy.copy, copy.deepcopy, snapshot, lambda c: joblib_copy(c)]


def joblib_copy(classifier):
    """Return what joblib makes of it, with rows that cannot be written to."""
    buffers = []
    data = pickle.dumps(classifier, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=[bytes(buffer.raw()) for buffer in buffers])


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("duplicate", DUPLICATES)
def test_copies_go_their_own_way(duplicate, method, as_sparse):
    """In the middle of a stream: what one forgets, the other one still has."""
    rows = sparse.csr_array(X) if as_sparse else X
    weight = np.linspace(0.5, 2, 90)
    classifier = make_case(method=method).fit(rows, Y, weight).forget([50, 51])
    other, again = duplicate(classifier), copy_of(classifier)
    expected = other.predict_proba(X)
    classifier.forget(range(20)).forget([60])
    assert other.predict_proba(X).tobytes() == expected.tobytes()
    other.forget([20, 21]).forget(30)
    again.forget([20, 21]).forget(30)
    assert get_vector(other).tobytes() == get_vector(again).tobytes()
    np.testing.assert_array_equal(other.weights_, again.weights_)
    assert other.forgotten_indices_.tolist() == [20, 21, 30, 50, 51]
    for name in ("contributions", "leave_one_out_loss", "self_influence"):
        assert_identical(getattr(other, name)(), getattr(again, name)())
    assert other.gradient_residual_ == again.gradient_residual_


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_rows_in_a_memory_map(method, as_sparse, tmp_path):
    """A classifier that joblib maps forgets as any other, classes too."""
    rows = sparse.csr_array(X) if as_sparse else X
    classifier = make_case(method=method).fit(rows, Y, np.linspace(0.5, 2, 90))
    classifier.forget([50])
    joblib.dump(classifier, tmp_path / "classifier.joblib")
    mapped = joblib.load(tmp_path / "classifier.joblib", mmap_mode="r")
    for request in ([3], range(5, 12), Y == "cedar", [60, 61]):
        for each in (classifier, mapped):
            each.forget(request)
        assert get_vector(mapped).tobytes() == get_vector(classifier).tobytes()
    on_disk = joblib.load(tmp_path / "classifier.joblib")
    assert on_disk.forgotten_indices_.tolist() == [50]


def test_threads_take_turns():
    """Requests that come at once are all carried out, whatever their order."""
    classifier = make_case().fit(X, Y)
    threads = [
        threading.Thread(target=classifier.forget, args=([i, 89 - i],))
        for i in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(classifier.forgotten_indices_) == 40
    assert len(classifier.forget_records_) == 20
    fresh = fit_anew(classifier, X, Y)
    np.testing.assert_allclose(get_vector(classifier), get_vector(fresh), atol=1e-6)


def test_one_thread_asks_while_another_forgets():
    """Answers are those before a request or after it, and never in between."""
    classifier = make_case().fit(X, Y)
    expected, stream = {classifier.predict_proba(X).tobytes()}, copy_of(classifier)
    for i in range(15):
        expected.add(stream.forget(i).predict_proba(X).tobytes())
    seen = set()

    def ask():
        while len(classifier.forgotten_indices_) < 15:
            seen.add(classifier.predict_proba(X).tobytes())

    thread = threading.Thread(target=ask)
    thread.start()
    for i in range(15):
        classifier.forget(i)
    thread.join()
    assert seen <= expected

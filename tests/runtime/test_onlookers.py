"""Whoever looks on while a classifier changes sees it wholly before or wholly after."""

import copy
import gc
import os
import pickle
import signal
import threading
import time

import numpy as np
import pytest
from scipy import sparse
from sklearn import get_config, set_config
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KernelDensity
from sklearn.tree import DecisionTreeClassifier
from support import Expired, assert_same_classifier, fit_anew, interrupt_at_call, thin
from threadpoolctl import threadpool_info, threadpool_limits

from skunlearn import InfluenceUnlearningClassifier, ShardedUnlearningClassifier
from skunlearn._runtime.threads import _limit, single_threaded, uninterrupted
from skunlearn.influence._objectives.registry import _objectives
from skunlearn.model_selection import UnlearningSearchCV

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(300, 3)), RNG.integers(0, 3, 300)
GONE = range(50)


@pytest.fixture(autouse=True)
def configuration():
    """Restore what signals leave in scikit-learn's contexts, and spare the GC."""
    before = get_config()
    gc.disable()  # a signal during a callback of it is lost, with a warning
    yield
    gc.enable()
    gc.collect()
    set_config(**before)


def run(function, *arguments):
    """Start a thread."""
    thread = threading.Thread(target=function, args=arguments)
    thread.start()
    return thread


class Meanwhile:
    """Lets another thread forget in the middle of what the main thread does."""

    action = None

    @classmethod
    def happens(cls):
        """Carry out the action of the other thread, once, and wait for its end."""
        action, cls.action = cls.action, None
        if action is not None:
            run(action).join()


class Tree(DecisionTreeClassifier):
    """A constituent during whose pickling something happens."""

    def __getstate__(self):
        """Return the state, after a while."""
        if hasattr(self, "tree_"):
            Meanwhile.happens()
        return super().__getstate__()


class Logistic(LogisticRegression):
    """The same for the other classifier."""

    def __getstate__(self):
        """Return the state, after a while."""
        if hasattr(self, "coef_"):
            Meanwhile.happens()
        return super().__getstate__()


DUPLICATES = {
    "pickle": lambda classifier: pickle.loads(pickle.dumps(classifier)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


@pytest.mark.parametrize("duplicate", DUPLICATES)
@pytest.mark.parametrize("convert", thin([np.asarray, sparse.csr_array], 2))
@pytest.mark.parametrize("weight", [None, RNG.uniform(0.5, 2, 300)])
def test_a_copy_is_made_while_another_thread_forgets(duplicate, convert, weight):
    """The copy is the classifier before the request, and can be told it again."""
    rows = convert(X)
    classifier = ShardedUnlearningClassifier(Tree(), n_shards=4, random_state=0)
    classifier.fit(rows, Y, weight)
    before = classifier.predict_proba(X)
    Meanwhile.action = lambda: classifier.forget(GONE)
    twin = DUPLICATES[duplicate](classifier)
    assert len(classifier.forgotten_indices_) == 50
    assert len(twin.forgotten_indices_) == len(twin.forget_records_) == 0
    np.testing.assert_array_equal(twin.predict_proba(X), before)
    twin.forget(GONE)
    weights = {} if weight is None else {"sample_weight": weight}
    for each in (classifier, twin):
        assert_same_classifier(each, fit_anew(each, rows, Y, **weights), X)
    held = twin._state.rows.data.X
    assert not np.any((held.toarray() if sparse.issparse(held) else held) == X[0, 0])


@pytest.mark.parametrize("duplicate", DUPLICATES)
def test_a_copy_of_the_other_classifier(duplicate, monkeypatch):
    """Its bound is true of the rows that the copy calls retained."""
    monkeypatch.setitem(_objectives, Logistic, _objectives[LogisticRegression])
    classifier = InfluenceUnlearningClassifier(Logistic(), exact=False, tol=1e-9)
    before = classifier.fit(X, Y).estimator_.coef_
    Meanwhile.action = lambda: classifier.forget(GONE)
    twin = DUPLICATES[duplicate](classifier)
    assert len(classifier.forgotten_indices_) == 50
    assert len(twin.forgotten_indices_) == 0
    np.testing.assert_array_equal(twin.estimator_.coef_, before)
    assert (twin.weights_ == 1).all()
    assert twin.gradient_residual_ < 1e-8
    twin.forget(GONE)
    np.testing.assert_array_equal(twin.estimator_.coef_, classifier.estimator_.coef_)


@pytest.mark.parametrize("duplicate", DUPLICATES)
def test_a_copy_of_a_search(duplicate):
    """All of its classifiers are those before the request, and can be told it again."""
    base = ShardedUnlearningClassifier(Tree(), random_state=0)
    grid = {"n_shards": [2, 3]}
    search = UnlearningSearchCV(base, grid, cv=2, random_state=0).fit(X, Y)
    held = search._state.rows.data.X
    Meanwhile.action = lambda: search.forget(GONE)
    twin = DUPLICATES[duplicate](search)
    assert len(search.forgotten_indices_) == 50
    assert len(twin.forgotten_indices_) == len(twin.forget_records_) == 0
    np.testing.assert_array_equal(held[:50], X[:50])
    twin.forget(GONE)
    for mine, its in zip(search._state.fitted, twin._state.fitted, strict=True):
        assert_same_classifier(mine.classifier, its.classifier, X)
    assert_same_classifier(search.best_estimator_, twin.best_estimator_, X)
    for each in (search, twin):
        assert not np.any(X[0, 0] == each._state.rows.data.X)


def test_rows_are_overwritten_in_place_again_when_nobody_reads_them():
    """A lease ends with the copy that held it: no request copies rows after that."""
    classifier = ShardedUnlearningClassifier(GaussianNB(), random_state=0).fit(X, Y)
    pickle.dumps(classifier)
    copy.deepcopy(classifier)
    held = classifier._state.rows.data
    classifier.forget(0)
    assert classifier._state.rows.data.X is held.X
    with classifier._reading() as state:
        rows = state.rows.data.X.copy()
        classifier.forget(1)
        np.testing.assert_array_equal(state.rows.data.X, rows)
    assert classifier._state.rows.data.X is not held.X


class Slow(KernelDensity):
    """A model of one class that takes its time."""

    def score_samples(self, X):
        """Return scores, after a while."""
        Meanwhile.happens()
        return super().score_samples(X)


@pytest.mark.parametrize("n_shards", [1, 2])
def test_an_answer_is_that_before_or_after(n_shards):
    """Densities, weighed by classes whose rows go meanwhile."""
    classifier = ShardedUnlearningClassifier(
        Slow(), partition="class", n_shards=n_shards, random_state=0
    ).fit(X, Y, RNG.uniform(0.5, 2, 300))
    gone = np.flatnonzero(Y == 1)[:60]
    before = classifier.predict_proba(X)
    Meanwhile.action = lambda: classifier.forget(gone)
    np.testing.assert_array_equal(classifier.predict_proba(X), before)
    after = classifier.predict_proba(X)
    assert not np.array_equal(after, before)
    assert_same_classifier(
        classifier,
        fit_anew(classifier, X, Y, sample_weight=classifier_weight(classifier)),
        X,
    )


def classifier_weight(classifier):
    """Return the weights that a classifier was given, 0 for forgotten rows."""
    rows = classifier._state.rows
    return rows.data.sample_weight[rows.slot_of]


class Sleepy(GaussianNB):
    """A base whose fit in one thread takes a while."""

    thread, pause = None, 0.3

    def fit(self, X, y, sample_weight=None):
        """Fit, after a while."""
        if threading.current_thread() is Sleepy.thread:
            time.sleep(Sleepy.pause)
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize("first", ["forget", "fit"])
def test_fit_takes_its_turn(first):
    """What ends last is what holds, with the features that it saw."""
    classifier = ShardedUnlearningClassifier(Sleepy(), n_shards=2, random_state=0)
    classifier.fit(X, Y)
    actions = {
        "forget": lambda: classifier.forget(5),
        "fit": lambda: classifier.fit(X[:30, :2], Y[:30]),
    }
    second = {"forget": "fit", "fit": "forget"}[first]
    Sleepy.thread = threading.Thread(target=actions[first])
    Sleepy.thread.start()
    time.sleep(0.1)
    assert classifier.predict(X[:2]).shape == (2,)  # answers as before meanwhile
    actions[second]()
    Sleepy.thread.join()
    assert classifier.n_features_in_ == 2
    assert classifier.predict(X[:2, :2]).shape == (2,)
    assert len(classifier.retained_indices_) == (30 if first == "forget" else 29)


@pytest.fixture
def alarm():
    """Let SIGALRM raise, as time-outs do."""

    def expire(*arguments):
        raise Expired

    before = signal.signal(signal.SIGALRM, expire)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def count_threads():
    """Return how many threads each numerical library uses."""
    return [library["num_threads"] for library in threadpool_info()]


CLASSIFIERS = {
    "sharded": ShardedUnlearningClassifier(GaussianNB(), n_shards=2, random_state=0),
    "newton": InfluenceUnlearningClassifier(LogisticRegression(), method="newton"),
}


@pytest.mark.parametrize("number", [signal.SIGALRM, signal.SIGINT])
@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_a_signal_at_any_call_changes_nothing_else(kind, number, alarm):
    """Neither BLAS threads, nor Ctrl-C, nor who may change the classifier next."""
    fitted = CLASSIFIERS[kind].fit(X[:60], Y[:60])
    expected = [fitted.predict_proba(X)]
    expected.append(copy.deepcopy(fitted).forget(1).predict_proba(X))
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGALRM)
    with threadpool_limits(2):
        before, made, k = count_threads(), True, 0
        while made:
            k, twin = k + 1 + k // 20, copy.deepcopy(fitted)
            made = interrupt_at_call(k, lambda twin=twin: twin.forget(1), number)
            assert count_threads() == before
            assert not twin._lock.is_taken
            n_forgotten = len(twin.forgotten_indices_)
            np.testing.assert_array_equal(twin.predict_proba(X), expected[n_forgotten])
            assert handlers == (
                signal.getsignal(signal.SIGINT),
                signal.getsignal(signal.SIGALRM),
            )
    assert k > 50


def test_all_handlers_wait(alarm):
    """Those of several signals run after the block, each once."""
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda *arguments: seen.append("usr1"))
    try:
        with pytest.raises(Expired), uninterrupted():  # noqa: PT012
            signal.raise_signal(signal.SIGUSR1)
            signal.raise_signal(signal.SIGALRM)
            assert seen == []
        assert seen == ["usr1"]
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_timeouts_at_any_time(alarm):
    """A hundred requests, each with an alarm that goes off somewhere."""
    classifier = ShardedUnlearningClassifier(GaussianNB(), n_shards=2, random_state=0)
    classifier.fit(X, Y)
    handler = signal.getsignal(signal.SIGINT)
    for i in range(100):
        try:
            signal.setitimer(signal.ITIMER_REAL, 1e-5 + 2e-5 * i)
            classifier.forget(i)
            time.sleep(0.01)
        except Expired:
            pass
        assert signal.getsignal(signal.SIGINT) is handler
        assert not _limit.users
        assert not classifier._lock.is_taken
    classifier.forget(range(100))
    assert_same_classifier(classifier, fit_anew(classifier, X, Y), X)


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_hundreds_of_signals_at_any_time(kind, alarm):
    """Time-outs and Ctrl-C hit requests at random instants, not at calls alone."""
    fitted = CLASSIFIERS[kind].fit(X[:60], Y[:60])
    start = time.perf_counter()
    after = copy.deepcopy(fitted).forget(1).predict_proba(X)
    expected = [fitted.predict_proba(X), after]
    longest = 2 * (time.perf_counter() - start)
    handler, rng = signal.getsignal(signal.SIGINT), np.random.default_rng(0)
    signal.signal(signal.SIGUSR1, handler)  # raises KeyboardInterrupt, by default
    seen = [0, 0]
    for i in range(1000):
        twin = copy.deepcopy(fitted)
        delay = rng.uniform(1e-6, longest)
        try:
            if i % 2:
                threading.Timer(delay, signal.raise_signal, [signal.SIGUSR1]).start()
            else:
                signal.setitimer(signal.ITIMER_REAL, delay)
            twin.forget(1)
            time.sleep(2 * longest)
        except (Expired, KeyboardInterrupt):
            pass
        n_forgotten = len(twin.forgotten_indices_)
        np.testing.assert_array_equal(twin.predict_proba(X), expected[n_forgotten])
        assert signal.getsignal(signal.SIGINT) is handler
        assert not _limit.users
        assert not twin._lock.is_taken
        seen[n_forgotten] += 1
    assert min(seen) > 50
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)


class Reentrant(DummyClassifier):
    """A base whose fit calls back."""

    call = None

    def fit(self, X, y, sample_weight=None):
        """Fit, and call back once."""
        call, Reentrant.call = Reentrant.call, None
        if call is not None:
            call()
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize(
    "method", ["forget", "preview_forget", "fit", "partial_fit", "retrain"]
)
def test_a_call_from_inside_is_refused(method):
    """It would wait for itself; what is under way is undone as for any error."""
    classifier = ShardedUnlearningClassifier(Reentrant(), n_shards=2, random_state=0)
    classifier.fit(X, Y)
    arguments = {"fit": (X, Y), "partial_fit": (X, Y), "retrain": ()}.get(method, (7,))
    Reentrant.call = lambda: getattr(classifier, method)(*arguments)
    with pytest.raises(RuntimeError, match=rf"{method} was called while"):
        classifier.forget(1)
    assert classifier.forget(1).forgotten_indices_.tolist() == [1]


def test_answers_from_inside():
    """Who only looks is not kept waiting."""
    classifier = ShardedUnlearningClassifier(Reentrant(), n_shards=2, random_state=0)
    classifier.fit(X, Y)
    seen = []
    Reentrant.call = lambda: seen.extend(
        [
            classifier.predict(X).shape,
            classifier.forgotten_indices_.tolist(),
            copy.deepcopy(classifier).forget(3).forgotten_indices_.tolist(),
        ]
    )
    classifier.forget(1)
    assert seen == [(300,), [], [3]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("kind", ["sharded", "influence"])
def test_a_forked_child_is_not_kept_waiting(kind):
    """Locks that another thread held at the fork are new in the child."""
    classifier = ShardedUnlearningClassifier(Sleepy(), n_shards=2, random_state=0)
    if kind == "influence":
        classifier = InfluenceUnlearningClassifier(method="newton")
    classifier.fit(X, Y)
    Sleepy.thread = threading.Thread(target=classifier.forget, args=(range(9),))
    with classifier._lock.take("test") if kind == "influence" else single_threaded():
        Sleepy.thread.start()
        time.sleep(0.1)
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            classifier.predict(X)
            classifier.forget(200)
            os._exit(len(classifier.forgotten_indices_))
    _, status = os.waitpid(child, 0)
    Sleepy.thread.join()
    assert os.waitstatus_to_exitcode(status) == 1

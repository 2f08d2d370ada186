"""Progress of fit and forget: scikit-learn's callbacks, and lines in print."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from support import make_case, make_data

from skunlearn.model_selection import UnlearningSearchCV

callback = pytest.importorskip("sklearn.callback")

X, Y = make_data()


class Listener:
    """A callback that notes the end of each task."""

    def __init__(self):
        self.tasks = []
        self.teardowns = 0

    def setup(self, estimator, context):
        """Begin."""

    def on_fit_task_begin(self, estimator, context):
        """Do nothing yet."""

    def on_fit_task_end(self, estimator, context):
        """Note the task."""
        self.tasks.append(context.task_name)

    def teardown(self, estimator, context):
        """End."""
        self.teardowns += 1


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_callbacks_hear_of_every_shard(n_jobs):
    """Of fit, forget, retrain and partial_fit."""
    listener = Listener()
    classifier = make_case("tree", "default", n_shards=4, n_jobs=n_jobs)
    classifier.set_callbacks(listener)
    calls = {
        "fit": lambda: classifier.fit(X, Y),
        "forget": lambda: classifier.forget(range(0, 60, 7)),
        "partial_fit": lambda: classifier.partial_fit(X[:20], Y[:20]),
        "retrain": lambda: classifier.forget(range(9), retrain=False).retrain(),
    }
    for name, call in calls.items():
        listener.tasks.clear()
        call()
        assert listener.tasks[-1] == name
        assert set(listener.tasks[:-1]) - {"forget"} == {"shard"}
        assert listener.tasks.count("shard") <= 4
    assert listener.teardowns == 5


def test_a_failing_forget_is_torn_down():
    """Callbacks are let go whatever happens."""
    listener = Listener()
    classifier = make_case("tree", "default").set_callbacks(listener).fit(X, Y)
    with pytest.raises(IndexError):
        classifier.forget(99)
    assert "_callback_fit_ctx" not in vars(classifier)
    classifier.forget(9)
    assert listener.tasks[-1] == "forget"


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_callbacks_of_a_search(n_jobs):
    """They hear of every candidate and fold, also of a forget that fails."""
    listener = Listener()
    base = make_case("tree", "default")
    grid = {"n_shards": [2, 3]}
    search = UnlearningSearchCV(base, grid, cv=2, n_jobs=n_jobs, random_state=0)
    search.set_callbacks(listener).fit(X, Y)
    assert listener.tasks == ["candidate"] * 4 + ["fit"]
    for request, expected in (([1, 2], ["candidate"] * 4 + ["forget"]), (999, [])):
        listener.tasks.clear()
        if expected:
            search.forget(request)
        else:
            with pytest.raises(IndexError):
                search.forget(request)
        assert listener.tasks == expected
        assert "_callback_fit_ctx" not in vars(search)
    assert listener.teardowns == 2  # the last request was refused before any work


def test_progress_bar(capsys):
    """scikit-learn's own bar, for fit and for forget."""
    pytest.importorskip("rich")
    classifier = make_case("tree", "default").set_callbacks(callback.ProgressBar())
    classifier.fit(X, Y)
    classifier.forget([1, 2, 3])
    shown = capsys.readouterr().out
    assert "fit" in shown
    assert "100%" in shown


def test_progress_bar_of_a_search(capsys):
    """Bars of an outer search hang together with ours."""
    pytest.importorskip("rich")
    search = GridSearchCV(make_case("tree", "default"), {"n_shards": [2, 3]}, cv=2)
    search.set_callbacks(callback.ProgressBar()).fit(X, Y)
    assert "ShardedUnlearningClassifier - fit" in capsys.readouterr().out
    assert search.best_estimator_.forget([1]).forgotten_indices_.tolist() == [1]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_verbose(n_jobs, capsys):
    """A line for each shard, in scikit-learn's form; silence by default."""
    classifier = make_case("tree", "default", n_shards=3, n_jobs=n_jobs, verbose=1)
    classifier.fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("[ShardedUnlearningClassifier] ") for line in lines)
    assert all("total=" in line for line in lines)
    classifier.forget(3)
    assert "forget" in capsys.readouterr().out
    classifier.set_params(verbose=0).forget(4)
    assert capsys.readouterr().out == ""


def test_representations():
    """Text, HTML, clone and pickle of a fitted classifier."""
    classifier = make_case("tree", "default").fit(X, Y).forget(3)
    assert "DecisionTreeClassifier" in repr(classifier)
    assert "DecisionTreeClassifier" in classifier._repr_html_()
    assert not hasattr(clone(classifier), "classes_")
    again = pickle.loads(pickle.dumps(classifier)).forget(4)
    expected = classifier.forget(4)
    np.testing.assert_array_equal(again.predict_proba(X), expected.predict_proba(X))

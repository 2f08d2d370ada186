"""Warnings point at the user's line, are shown every time, and come home from workers.

Scripts run in processes of their own, with the filters that Python has by default:
those of pytest would show everything, everywhere.
"""

import re
import subprocess
import sys
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skunlearn import InfluenceUnlearningClassifier, ShardedUnlearningClassifier
from skunlearn._runtime.warn import catch_in_worker, warn
from skunlearn.exceptions import UnlearningQualityWarning

# A line that warns ends in a comment that says how often.
SCRIPT = """
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skunlearn import InfluenceUnlearningClassifier, ShardedUnlearningClassifier

X, y = make_classification(60, random_state=0)
base = LogisticRegression()

def forget(classifier, rows):
    return classifier.forget(rows)  # 3

if __name__ == "__main__":
    bold = InfluenceUnlearningClassifier(base, method="newton", n_steps=1)
    bold.fit(X, y)
    for start in (0, 15, 30):
        forget(bold, range(start, start + 15))
    scaled = InfluenceUnlearningClassifier(make_pipeline(StandardScaler(), base))
    scaled.fit(X, y)  # 1
    make_pipeline(scaled).fit(X, y)  # 1
    cross_validate(scaled, X, y, cv=2)  # 2
    GridSearchCV(scaled, {"tol": [1e-3]}, cv=2).fit(X, y)  # 3
    for n_jobs in (1, 2):
        sharded = ShardedUnlearningClassifier(scaled, n_shards=3, n_jobs=n_jobs)
        sharded.fit(X, y)  # 6
    cross_validate(scaled, X, y, cv=2, n_jobs=2)
"""


def run(tmp_path, *options):
    """Run the script, and return where it is and what was warned of at which lines."""
    path = tmp_path / "user_script.py"
    path.write_text(SCRIPT)
    command = [sys.executable, *options, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    pattern = r"^(.*):(\d+): UnlearningQualityWarning"
    return str(path), re.findall(pattern, done.stderr, re.M)


def test_script_sees_each_warning_at_its_own_line(tmp_path):
    """As often as it is given: three requests, three folds, three shards.

    In the worker of a search no line of the user's is on the stack, and what called
    the package is named.
    """
    path, shown = run(tmp_path)
    ends = [line.rpartition("# ")[2] for line in SCRIPT.splitlines()]
    expected = {i: int(end) for i, end in enumerate(ends, 1) if end.isdigit()}
    assert len(expected) == 6
    lines = [int(line) for file, line in shown if file == path]
    assert {line: lines.count(line) for line in lines} == expected
    others = [file for file, _ in shown if file != path]
    assert ["sklearn" in Path(file).parts for file in others] == [True, True]


@pytest.mark.thorough
def test_option_silences(tmp_path):
    """A user's filters win, in workers too."""
    assert run(tmp_path, "-W", "ignore")[1] == []


@pytest.fixture
def X_y():
    return make_classification(60, random_state=0)


def list_warnings(caught):
    return [(w.category, str(w.message), w.filename, w.lineno) for w in caught]


def make_fitted_pipeline():
    return make_pipeline(StandardScaler(), LogisticRegression())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda base: base,
        lambda base: make_pipeline(FunctionTransformer(), base),
        lambda base: GridSearchCV(base, {"tol": [1e-3]}, cv=2),
    ],
    ids=["alone", "pipeline", "search"],
)
def test_filters_by_module_know_the_user(X_y, wrap):
    """A warning belongs to the module of the line at which it points."""
    estimator = wrap(InfluenceUnlearningClassifier(make_fitted_pipeline()))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=re.escape(__name__))
        estimator.fit(*X_y)


def test_any_category():
    with pytest.warns(FutureWarning, match="soon") as caught:
        warn("soon", FutureWarning)
    assert caught[0].filename == __file__


class Odd(UserWarning):
    """A warning that cannot be pickled: its constructor takes no message."""

    def __init__(self, *, text):
        super().__init__()
        self.text = text

    def __str__(self):
        return self.text


class Talker(ClassifierMixin, BaseEstimator):
    """A classifier that warns at fit, in several ways, and fails if asked to."""

    def __init__(self, fails=False):
        self.fails = fails

    def fit(self, X, y):
        """Warn twice, and learn nothing."""
        self.classes_ = np.unique(y)
        for _ in range(2):
            warnings.warn("twice the same", RuntimeWarning, stacklevel=1)
        if self.fails:
            raise ValueError("no more")
        return self

    def predict(self, X):
        """Return the first class."""
        return np.repeat(self.classes_[:1], len(X))


@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
@pytest.mark.parametrize("action", ["always", "default", "ignore"])
def test_workers_warn_as_one_process_does(X_y, backend, action):
    """Neither lost nor doubled, with the same places, whatever runs the training."""

    def collect(n_jobs):
        classifier = ShardedUnlearningClassifier(Talker(), n_shards=3, n_jobs=n_jobs)
        with (
            warnings.catch_warnings(record=True) as caught,
            joblib.parallel_backend(backend),
        ):
            warnings.simplefilter(action, RuntimeWarning)
            classifier.fit(*X_y)
        return list_warnings(caught)

    expected = collect(1)
    assert len(expected) == {"always": 6, "default": 1, "ignore": 0}[action]
    found = collect(2)
    if (backend, action) == ("threading", "default"):
        found = found[:1]  # scikit-learn resets what was shown with every task
    assert found == expected


def test_error_filters_reach_workers(X_y):
    """And a failure there changes nothing."""
    classifier = ShardedUnlearningClassifier(Talker(), n_shards=2, n_jobs=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="twice"):
            classifier.fit(*X_y)
    assert not hasattr(classifier, "classes_")


def test_warnings_of_a_failing_worker_are_shown_there():
    """Nothing comes back from it that could bring them."""
    with (
        pytest.warns(RuntimeWarning, match="twice the same"),
        pytest.raises(ValueError, match="no more"),
        catch_in_worker(parent=-1),
    ):
        Talker(fails=True).fit(None, [0])


def test_warnings_that_cannot_travel_go_as_text():
    """A class without a way back must not break the training."""
    with warnings.catch_warnings(), catch_in_worker(parent=-1) as caught:
        warnings.simplefilter("default")
        warnings.warn(Odd(text="as it is"), stacklevel=1)
        warn("of ours")
    assert [type(w.message) for w in caught] == [UserWarning, UnlearningQualityWarning]
    assert str(caught[0].message) == "Odd: as it is"
    assert caught[0].module == __name__


def test_search_warns_at_the_line_of_the_call(X_y):
    """Of every fold, and of the refit."""
    classifier = InfluenceUnlearningClassifier(make_fitted_pipeline())
    with pytest.warns(UnlearningQualityWarning) as caught:
        cross_val_score(classifier, *X_y, cv=3)
    assert len({w.lineno for w in caught}) == 1
    assert [w.filename for w in caught] == [__file__] * 3

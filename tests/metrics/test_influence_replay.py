"""Fits again find what an influence classifier was not made to forget."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from skunlearn import InfluenceUnlearningClassifier
from skunlearn.metrics import audit_forget

N = 400
CASES = {
    "logistic": (LogisticRegression(), {}),
    "ridge": (RidgeClassifier(), {}),
    "balanced": (LogisticRegression(class_weight="balanced"), {}),
    "sgd": (SGDClassifier(loss="log_loss", random_state=0), {}),
    "squared_hinge": (LinearSVC(), {}),
    "patched": (LogisticRegression(), {"exact": False}),
    "puma": (LogisticRegression(), {"method": "puma"}),
    "linear_puma": (LogisticRegression(), {"method": "puma", "eta": 0.5}),
    "influence": (LogisticRegression(), {"method": "influence"}),
    "gradients": (LogisticRegression(), {"solver": "cg"}),
    "certified": (LogisticRegression(), {"certify": (1, 1e-4)}),
    "pipeline": (make_pipeline(FunctionTransformer(), LogisticRegression()), {}),
}
CHEAP = ("logistic", "patched", "puma")

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning")


def fit(name, seed, **params):
    """Return a fitted classifier, and its data; every other one has weights."""
    base, settings = CASES[name]
    n_classes = 2 if name == "influence" else 2 + seed % 2  # more have no bound there
    X, y = make_classification(
        N, 6, n_informative=4, flip_y=0.2, n_classes=n_classes, random_state=seed
    )
    rng = np.random.default_rng(seed)
    weight = rng.integers(0, 3, N).astype(float) if seed % 4 > 1 else None
    classifier = InfluenceUnlearningClassifier(base, random_state=seed, **settings)
    return classifier.set_params(**params).fit(X, y, weight), X, y


def audit(classifier, X, y, rows):
    data = X[rows], y[rows], X[:1], y[:1]
    return audit_forget(classifier, *data, X_idx=rows, method="replay")


def choose(seed):
    rng = np.random.default_rng(seed)
    return np.sort(rng.choice(N, rng.integers(4, 9), replace=False))


def do_nothing(classifier, rows):
    """The request was lost."""


def miss_one_row(classifier, rows):
    """The request was cut short."""
    classifier.forget(rows[:-1])


def drop_without_fitting(classifier, rows):
    """The rows are gone, and the parameters are what they were."""
    before = classifier._state.optimum
    classifier.forget(rows)
    state = classifier._state
    optimum = before.with_rows(state.training)
    classifier._state = replace(state, optimum=optimum, base=None, w=state.plain.w)


def tamper_with_coefficients(classifier, rows):
    """Somebody has changed what is answered with."""
    classifier.forget(rows)
    classifier._state.optimum.estimator.coef_ *= 1.0001


def tamper_with_parameters(classifier, rows):
    """Somebody has changed all that is known of the parameters."""
    optimum = classifier.forget(rows)._state.optimum
    theta = optimum.theta + 0.1
    estimator = copy.deepcopy(optimum.estimator)
    optimum.objective.write(estimator, theta)
    optimum = replace(optimum, theta=theta, estimator=estimator)
    classifier._state = replace(classifier._state, optimum=optimum)


def keep_a_weight(classifier, rows):
    """A row still counts."""
    state = classifier.forget(rows)._state
    slots = state.rows.slot_of[rows]
    state.w[slots[slots < state.n_training]] = 1.0


MUTANTS = [
    do_nothing,
    miss_one_row,
    drop_without_fitting,
    tamper_with_coefficients,
    tamper_with_parameters,
    keep_a_weight,
]


def check(name, seed):
    """Assert that an honest forget passes, and that no mutant does."""
    classifier, X, y = fit(name, seed)
    rows = choose(seed)
    honest = copy.deepcopy(classifier).forget(rows[:2]).forget(rows)
    report = audit(honest, X, y, rows)
    assert not report.flagged, report
    assert report.power == 1.0 if honest.exact_ else math.isnan(report.power)
    for mutant in MUTANTS:
        wrong = copy.deepcopy(classifier)
        mutant(wrong, rows)
        assert audit(wrong, X, y, rows).flagged, mutant.__name__


@pytest.mark.parametrize("name", CHEAP)
def test_replay_finds_mutants(name):
    check(name, 2)


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", CASES)
def test_replay_finds_mutants_of_every_kind(name, seed):
    check(name, seed)


def test_replay_is_of_the_last_bit():
    """Where parameters are exact."""
    classifier, X, y = fit("logistic", 0)
    rows = choose(0)
    classifier.forget(rows)
    coef = classifier._state.optimum.estimator.coef_
    coef[0, 0] = np.nextafter(coef[0, 0], np.inf)
    assert audit(classifier, X, y, rows).flagged


@pytest.mark.parametrize("name", CHEAP)
def test_replay_after_a_class_is_lost(name):
    """Also of rows without weight; settings may have changed since."""
    classifier, X, y = fit(name, 3)
    rows = np.flatnonzero(y == 1)
    classifier.forget(rows)
    assert not audit(classifier, X, y, rows).flagged
    before = classifier.coef_.copy()
    assert not audit(classifier.set_params(exact=False), X, y, rows).flagged
    np.testing.assert_array_equal(classifier.coef_, before)
    assert not audit(classifier.forget([int(rows[0])]), X, y, rows).flagged


def test_replay_says_what_is_wrong():
    """In words, and in numbers where they are within a bound."""
    classifier, X, y = fit("patched", 0)
    rows = np.arange(3)
    assert "3 of 3 rows are retained" in str(audit(classifier, X, y, rows))
    assert "within the bound" in str(audit(classifier.forget(rows), X, y, rows))
    classifier._state.w[:3] = 1
    assert "weights_ has other values" in str(audit(classifier, X, y, rows))


def test_replay_without_a_bound_has_no_power():
    """And says so."""
    X, y = make_classification(N, random_state=0)
    X[:, 1] = X[:, 0]
    base = LogisticRegression(C=np.inf)
    classifier = InfluenceUnlearningClassifier(base).fit(X, y).forget([1, 2])
    report = audit(classifier, X, y, np.array([1, 2]))
    assert not report.flagged
    assert report.power == 0.0
    assert "No bound is known" in str(report)

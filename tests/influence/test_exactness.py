"""Laws 1, 3, 4 and 7 where `exact_` is True: nothing depends on what was forgotten."""

import copy
import pickle
import warnings
from collections import Counter

import numpy as np
import pytest
from influence_cases import ESTIMATORS, make_data
from influence_support import make_rows
from scipy import sparse
from scipy.optimize import least_squares
from scipy.special import expit
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.preprocessing import scale
from sklearn.svm import LinearSVC

from skunlearn import InfluenceUnlearningClassifier
from skunlearn.exceptions import UnlearningQualityWarning, UnsupportedEstimatorError
from skunlearn.influence import _optimum

EXACT = [
    name for name in ESTIMATORS if name not in ("free", "svc", "sgd_hinge", "sgd_huber")
]
ANSWERS = "predict", "predict_proba", "predict_log_proba", "decision_function"


def assert_same_answers(classifier, fresh, X):
    """Compare all that classifiers answer, bit for bit."""
    for name in ("classes_", "coef_", "intercept_"):
        first = getattr(classifier.estimator_, name, None)
        np.testing.assert_array_equal(first, getattr(fresh.estimator_, name, None))
    for name in ANSWERS:
        if hasattr(fresh, name):
            first = getattr(classifier, name)(X)
            np.testing.assert_array_equal(first, getattr(fresh, name)(X))


def assert_same_state(classifier, fresh):
    """Compare what is kept: the same up to the last digits of sums."""
    first, second = (each._state.optimum for each in (classifier, fresh))
    assert first.local is second.local is None
    for name in ("bound", "hessian_bound", "n_steps"):
        assert getattr(first, name) == getattr(second, name)
    np.testing.assert_array_equal(first.reference.theta, second.reference.theta)
    for name in ("hessians", "grams"):
        sums, others = (getattr(each.reference, name) for each in (first, second))
        size = np.abs(others).max()
        np.testing.assert_allclose(sums, others, rtol=1e-9, atol=1e-9 * size)
    names = set(vars(first.estimator)) - {"coef_", "intercept_", "loss_function_"}
    for name in names:
        value = getattr(first.estimator, name)
        if isinstance(value, (int, float, np.ndarray)):
            np.testing.assert_array_equal(value, getattr(second.estimator, name), name)


def fit_fresh(classifier, X, y, weight=None, groups=None):
    """Return a fit on the retained rows."""
    keep = classifier.retained_indices_
    weight, groups = (None if v is None else v[keep] for v in (weight, groups))
    return clone(classifier).fit(X[keep], y[keep], weight, groups=groups)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("as_sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("name", EXACT)
def test_any_requests(name, as_sparse, weighted):
    """After each of some requests the classifier is a fresh fit."""
    rng = np.random.default_rng(len(name))
    X, y = make_data(ESTIMATORS[name][1], n_rows=80)
    X = sparse.csr_array(X * (rng.random(X.shape) < 0.6)) if as_sparse else X
    weight = rng.choice([0, 0.5, 1.0, 3.7], len(y)) if weighted else None
    groups = rng.integers(40, size=len(y)).astype(str)
    classifier = InfluenceUnlearningClassifier(ESTIMATORS[name][0])
    classifier.fit(X, y, weight, groups=groups)
    for request in (
        {"X_idx": [3, 17]},
        {"groups": groups[5]},
        {"X_idx": np.arange(20)},
    ):
        classifier.forget(**request)
        fresh = fit_fresh(classifier, X, y, weight, groups)
        assert classifier.exact_ is fresh.exact_ is True
        assert classifier.forget_records_[-1].kind == "exact"
        assert_same_answers(classifier, fresh, X)
        assert_same_state(classifier, fresh)


def test_order_and_batches_do_not_matter():
    """Law 3, with defaults, raw columns and a row that pulls the most."""
    X, y = load_breast_cancer(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(y))[:60]
    whole = InfluenceUnlearningClassifier().fit(X, y)
    parts = pickle.loads(pickle.dumps(whole))
    whole.forget(rows)
    for part in np.array_split(rows[::-1], 7):
        parts.forget(part)
    assert whole.exact_
    assert parts.exact_
    assert_same_answers(whole, parts, X)
    assert_same_answers(whole, fit_fresh(whole, X, y), X)


def test_a_class_goes():
    """The refit to the classes that are left is exact as well."""
    X, y = load_wine(return_X_y=True)
    classifier = InfluenceUnlearningClassifier().fit(X, y).forget(y == 1).forget([0, 1])
    assert classifier.exact_
    assert_same_answers(classifier, fit_fresh(classifier, X, y), X)
    classifier.forget(y == 0)
    assert classifier.exact_
    assert classifier.forget_records_[-1].kind == "exact"


def test_class_weights_of_all_rows_go():
    """SGDClassifier notes the weights of balanced classes: those of forgotten rows."""
    X, y = load_wine(return_X_y=True)
    base = SGDClassifier("log_loss", class_weight="balanced", random_state=0)
    classifier = InfluenceUnlearningClassifier(base).fit(scale(X), y)
    classifier.forget(np.flatnonzero(y == 1)[:20])
    assert_same_state(classifier, fit_fresh(classifier, scale(X), y))


@pytest.mark.parametrize(
    "base", [LogisticRegression(), SGDClassifier("log_loss")], ids=str
)
def test_weights_of_all_sizes(base):
    """Rows of tiny weights bend the objective no more than they are long."""
    X, y = load_wine(return_X_y=True)
    X, rng = scale(X)[:, :4], np.random.default_rng(0)
    weight = 10 ** rng.uniform(-8, 8, len(y))
    classifier = InfluenceUnlearningClassifier(base).fit(X, y, weight)
    for rows in ([3, 17], np.arange(40, 60), weight > 1e7):
        classifier.forget(rows)
        fresh = fit_fresh(classifier, X, y, weight)
        assert classifier.exact_ is fresh.exact_ is True
        assert_same_answers(classifier, fresh, X)


@pytest.mark.parametrize("size", [1, 1e3, 1e6])
def test_columns_of_any_scale(size):
    """The grid is as fine as the rows are long: rounding changes no probability."""
    X, y = load_wine(return_X_y=True)
    X = scale(X) * np.r_[size, np.ones(X.shape[1] - 1)]
    classifier = InfluenceUnlearningClassifier().fit(X, y)
    patched = InfluenceUnlearningClassifier(exact=False).fit(X, y)
    assert classifier.exact_
    assert classifier.forget(0).forget_records_[-1].hessian_bound < 0.01
    first, second = (each.predict_proba(X) for each in (classifier, patched.forget(0)))
    np.testing.assert_allclose(first, second, atol=1e-4)


def test_an_outlier():
    """Where the first step leads far away, the optimum is found all the same."""
    X, y = load_breast_cancer(return_X_y=True)
    X = scale(X)
    X[7] *= 1e3
    classifier = InfluenceUnlearningClassifier().fit(X, y).forget(7)
    assert classifier.exact_
    assert_same_answers(classifier, fit_fresh(classifier, X, y), X)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_the_way_of_a_fit_does_not_matter(n_classes, weighted, monkeypatch):
    """Fits of many rows begin near the optimum of a part, and end where others end."""
    X, y = make_rows(4000, 4, n_classes, seed=5)
    weight = np.random.default_rng(0).choice([0, 1, 2.5], 4000) if weighted else None
    base = LogisticRegression(class_weight="balanced", max_iter=1000)
    slow = InfluenceUnlearningClassifier(base).fit(X, y, weight)
    plain = InfluenceUnlearningClassifier(base, exact=False).fit(X, y, weight)
    parts = []
    approach = _optimum.approach
    monkeypatch.setattr(_optimum, "_MIN_ROWS_IN_PART", 100)
    monkeypatch.setattr(_optimum, "_MIN_ROWS_OF_CLASS", 5)
    monkeypatch.setattr(_optimum, "_MIN_ROWS_PER_PARAM", 20)
    monkeypatch.setattr(
        _optimum, "approach", lambda *args: parts.append(args) or approach(*args)
    )
    fast = InfluenceUnlearningClassifier(base).fit(X, y, weight)
    assert len(parts) == 1
    assert fast.exact_
    assert_same_answers(fast, slow, X)
    assert_same_state(fast, slow)
    other = InfluenceUnlearningClassifier(base, exact=False).fit(X, y, weight)
    apart = other._state.optimum.theta - plain._state.optimum.theta
    assert np.linalg.norm(apart) <= other.distance_bound_ + plain.distance_bound_


def draw_base(rng):
    """Draw a classifier whose optimum can be exact, and its number of classes."""
    weights = None if rng.random() < 0.5 else "balanced"
    weights = {0: 3.0, 1: 0.1} if rng.random() < 0.2 else weights
    size, free = 10 ** rng.uniform(-4, 4), bool(rng.random() < 0.7)
    kind, n_classes = rng.integers(4), rng.integers(2, 5)
    if kind == 0:
        base = RidgeClassifier(1 / size, fit_intercept=free)
    elif kind == 1:
        alpha = 10 ** rng.uniform(-4, 0)
        base = SGDClassifier("log_loss", alpha=alpha, fit_intercept=free, max_iter=5)
    elif kind == 2:
        base, n_classes = LogisticRegression(C=size, solver="liblinear"), 2
    else:
        base = LogisticRegression(C=size, fit_intercept=free)
    return base.set_params(class_weight=weights), int(n_classes)


def draw_rows(rng, n_classes):
    """Draw rows with columns of any scale, that may be sparse, shifted or collinear."""
    X, codes = make_rows(rng.integers(40, 200), rng.integers(1, 7), n_classes, rng)
    if rng.random() < 0.3:
        X = X * 10 ** rng.uniform(-3, 3, X.shape[1])
    if rng.random() < 0.2:
        X = X + 10 * np.abs(X).max(0) * rng.random(X.shape[1])
    if rng.random() < 0.2:
        X = np.column_stack([X, X @ rng.normal(size=X.shape[1])])
    if rng.random() < 0.3:
        X = sparse.csr_array(X * (rng.random(X.shape) < 0.4))
    weight = rng.choice([0, 0.1, 1, 7.3], len(codes)) if rng.random() < 0.3 else None
    return X, codes, weight


def count_requests(seed, n_requests=4):
    """Compare fits with random requests; return what became of them."""
    rng, counts = np.random.default_rng(seed), Counter()
    base, n_classes = draw_base(rng)
    X, y, weight = draw_rows(rng, n_classes)
    groups = rng.integers(len(y) // 2, size=len(y)).astype(str)
    n_jobs = int(rng.integers(1, 3))
    classifier = InfluenceUnlearningClassifier(base, n_jobs=n_jobs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier.fit(X, y, weight, groups=groups)
        for _ in range(n_requests):
            there = classifier.retained_indices_
            rows = rng.choice(there, rng.integers(1, max(2, len(there) // 8)))
            if rng.random() < 0.3:
                classifier.forget(groups=np.unique(groups[rows]))
            else:
                classifier.forget(rows)
            fresh = fit_fresh(classifier, X, y, weight, groups)
            if classifier.exact_ and fresh.exact_:
                assert_same_answers(classifier, fresh, X)
            counts["exact"] += classifier.exact_ and fresh.exact_
            counts["requests"] += 1
    return counts


@pytest.mark.parametrize("seed", range(12))
def test_random_requests(seed):
    """Law 1 on problems of all kinds."""
    counts = count_requests(seed)
    assert counts["exact"] == counts["requests"]


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(12, 150))
def test_more_random_requests(seed):
    """The same, on more of them."""
    count_requests(seed)


@pytest.mark.exhaustive
@pytest.mark.parametrize("first", range(1000, 3500, 100))
def test_ten_thousand_requests(first, monkeypatch):
    """Law 1 on 400 requests each; prints how many searches needed more digits."""
    from skunlearn.influence._solvers import exact

    counts, original = Counter(), exact._Search._refine

    def refine(self, theta):
        counts["refined"] += 1
        return original(self, theta)

    monkeypatch.setattr(exact._Search, "_refine", refine)
    for seed in range(first, first + 100):
        counts += count_requests(seed)
    print(f"\n{dict(counts)}")
    assert counts["exact"] > 0.99 * counts["requests"]


def test_digits_that_were_lost_tell_little():
    """What rounding may have done is counted in steps too large to tell of a row."""
    X, y = load_wine(return_X_y=True)
    X = scale(X)[:, :4]
    X[3] *= 3
    classifier = InfluenceUnlearningClassifier().fit(X, y)
    states = [copy.deepcopy(classifier).forget(row)._state for row in range(30)]
    assert {state.optimum.reference.lost for state in states} <= {1, 16, 64}
    for row in range(30):  # until sums are formed anew
        classifier.forget(row)
    assert_same_answers(classifier, fit_fresh(classifier, X, y), X)


# Where it does not hold


def test_out_of_scope():
    """Objectives without one smooth optimum are patched, and say so."""
    X, y = load_breast_cancer(return_X_y=True)
    X = scale(X)
    for base in (LinearSVC(), SGDClassifier("modified_huber", random_state=0)):
        assert not InfluenceUnlearningClassifier(base).fit(X, y).forget(3).exact_
        with pytest.raises(UnsupportedEstimatorError, match="exact=True needs one opt"):
            InfluenceUnlearningClassifier(base, exact=True).fit(X, y)


@pytest.mark.parametrize(
    "params",
    [{"n_steps": 1}, {"certify": (1.0, 1e-5)}, {"solver": "cg"}, {"method": "puma"}],
    ids=str,
)
def test_settings_that_cannot_be_exact(params):
    """They are named, whether set before fit or after it."""
    X, y = load_breast_cancer(return_X_y=True)
    X = scale(X)
    name = next(iter(params))
    classifier = InfluenceUnlearningClassifier(exact=True, **params)
    with pytest.raises(ValueError, match=f"exact=True needs .*{name}"):
        classifier.fit(X, y)
    assert not classifier.set_params(exact="auto").fit(X, y).exact_


def test_settings_between_requests():
    """What was patched becomes exact with the next request, and the reverse."""
    X, y = load_breast_cancer(return_X_y=True)
    X = scale(X)
    classifier = InfluenceUnlearningClassifier(exact=False).fit(X, y).forget(3)
    assert not classifier.exact_
    assert classifier.set_params(exact="auto").forget(4).exact_
    assert_same_answers(classifier, fit_fresh(classifier, X, y), X)
    assert not classifier.set_params(exact=False).forget(5).exact_
    with pytest.raises(ValueError, match="exact=True needs n_steps"):
        classifier.set_params(exact=True, n_steps=2).forget(6)
    assert classifier.forgotten_indices_.tolist() == [3, 4, 5]


def test_what_rounding_hides():
    """Columns that depend on others, hardly penalised, are warned about."""
    X, y = load_breast_cancer(return_X_y=True)
    X = np.column_stack([scale(X), scale(X)[:, 0] * (1 + 1e-12)])
    with pytest.warns(UnlearningQualityWarning, match="parameters are not exact"):
        classifier = InfluenceUnlearningClassifier(LogisticRegression(C=1e13)).fit(X, y)
    assert classifier.exact_ is False


# What the numbers that are kept can be solved for


def attack(exact):
    """Solve what is kept for a forgotten row, as whoever holds the others can.

    The Hessian tells where it was formed. If that is where parameters were, the
    gradient of the retained rows there is that of the row, with the opposite sign.
    """
    X, y = load_breast_cancer(return_X_y=True)
    X = scale(X)
    classifier = (
        InfluenceUnlearningClassifier(exact=exact, tol=1e-8).fit(X, y).forget(42)
    )
    optimum = pickle.loads(pickle.dumps(classifier))._state.optimum
    H = (optimum.reference or optimum.local).hessians[0]
    keep = classifier.retained_indices_
    Z, targets = np.column_stack([X[keep], np.ones(len(keep))]), y[keep]

    def gap(theta):
        p = expit(Z @ theta)
        K = Z.T @ ((p * (1 - p))[:, None] * Z) - H
        return (K / np.abs(H).max()).ravel()

    tight = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15}
    formed_at = least_squares(gap, optimum.theta, **tight).x
    penalty = np.append(np.ones(X.shape[1]), 0)
    gradient = -(Z.T @ (expit(Z @ formed_at) - targets) + penalty * formed_at)
    error = np.abs(gradient[:-1] / gradient[-1] - X[42]).max()
    return error / np.abs(X[42]).max(), formed_at, optimum


def test_the_row_cannot_be_solved_for():
    """Only the reference point comes back, which the retained rows tell anyway."""
    error, formed_at, optimum = attack(exact="auto")
    assert error > 0.5
    np.testing.assert_allclose(formed_at, optimum.reference.theta, atol=1e-4)
    error, _, _ = attack(exact=False)
    assert error < 1e-3

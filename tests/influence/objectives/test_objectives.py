"""Objectives: derivatives, the scale that scikit-learn gives them, and their sums."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from influence_support import (
    BASES,
    CASES,
    CONVERGENT,
    draw_problem,
    make_objective,
    make_rows,
)
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.svm import LinearSVC

from skunlearn.influence import Objective


def differentiate(function, x, step=1e-5):
    """Return central differences, one row for each element of x."""
    steps = step * np.eye(len(x))
    return np.array([(function(x + s) - function(x - s)) / (2 * step) for s in steps])


def assert_near(actual, desired, tol=1e-6):
    """Compare relative to the largest element."""
    np.testing.assert_allclose(
        actual, desired, atol=tol * (1 + np.abs(desired).max(initial=0))
    )


@given(draw_problem())
def test_derivatives(problem):
    """Gradient, Hessian, its products and diagonal, and scores are what they say."""
    objective, theta, w, v = problem
    gradient, hessian = objective.gradient(theta, w), objective.hessian(theta, w)
    assert_near(gradient, differentiate(lambda t: objective.value(t, w), theta))
    assert_near(hessian, differentiate(lambda t: objective.gradient(t, w), theta))
    assert_near(objective.hvp(theta, w)(v), hessian @ v, 1e-12)
    assert_near(objective.diagonal(theta, w), np.diag(hessian), 1e-12)
    slopes = differentiate(lambda u: objective.gradient(theta, u) @ v, w)
    assert_near(objective.scores(theta, w, v), slopes)
    assert_near(objective.null_space @ hessian, 0 * objective.null_space, 1e-12)


@given(draw_problem())
def test_sums_are_those_of_rows(problem):
    """What is fast for all rows is what a row's own derivatives add up to."""
    objective, theta, w, v = problem
    rows = np.arange(objective.n_rows)[::2]
    for name in ("gradients_by_group", "hessians_by_group"):
        plain, fast = getattr(Objective, name), getattr(objective, name)
        for some in (None, rows, rows[:0]):
            assert_near(fast(theta, w, some), plain(objective, theta, w, some), 1e-12)
    for name in ("gradient", "hessian", "diagonal"):
        plain, fast = getattr(Objective, name), getattr(objective, name)
        assert_near(fast(theta, w), plain(objective, theta, w), 1e-12)
    plain = Objective.hvp(objective, theta, w)(v)
    assert_near(objective.hvp(theta, w)(v), plain, 1e-12)
    if objective.balance is None:
        plain = Objective.value(objective, theta, w)
        assert objective.value(theta, w) == pytest.approx(plain, rel=1e-12)
    if objective.balance is None and not objective.spec.penalty_per_row:
        plain = Objective.scores(objective, theta, w, v)
        assert_near(objective.scores(theta, w, v), plain, 1e-12)


@given(draw_problem(), st.integers(1, 5))
def test_removal_is_a_downdate(problem, n_removed):
    """Rank-k factors, and sums over the removed rows, give the Hessian without them."""
    objective, theta, w, _ = problem
    rows = np.arange(n_removed)
    rest = w.copy()
    rest[rows] = 0
    weight_sums = objective.weight_sums(w) - objective.weight_sums(w, rows)
    assert_near(weight_sums, objective.weight_sums(rest), 1e-12)

    sums = objective.hessians_by_group(theta, w)
    factors = np.sqrt(w[rows, None, None]) * objective.row_factors(theta, rows)
    added = np.zeros_like(sums)
    for group, factor in zip(objective.groups_of_rows[rows], factors, strict=True):
        added[group] += factor.T @ factor
    assert_near(objective.hessians_by_group(theta, w, rows), added, 1e-12)
    hessian = objective.join_hessians(sums - added, weight_sums)
    assert_near(hessian, objective.hessian(theta, rest), 1e-11)

    gradients = objective.gradients_by_group(theta, w)
    gradients -= objective.gradients_by_group(theta, w, rows)
    gradient = objective.join_gradients(gradients, weight_sums, theta)
    assert_near(gradient, objective.gradient(theta, rest), 1e-11)


@given(draw_problem(sparse_too=False))
def test_csr_is_dense(problem):
    """The two kinds of rows give the same."""
    dense, theta, w, v = problem
    X = sparse.csr_matrix(dense.X)
    csr = type(dense)(dense.estimator, X, dense.codes, dense.sample_weight)
    rows = np.array([0, 2])
    for name in ("value", "gradient", "hessian", "diagonal"):
        args = theta, w
        assert_near(getattr(csr, name)(*args), getattr(dense, name)(*args), 1e-12)
    for name in ("losses", "row_gradients", "row_factors"):
        args = theta, rows
        assert_near(getattr(csr, name)(*args), getattr(dense, name)(*args), 1e-12)
    assert_near(csr.scores(theta, w, v), dense.scores(theta, w, v), 1e-12)


def test_blocks_add_up(monkeypatch):
    """Rows in several blocks, of any kind, give what one block gives."""
    X, codes = make_rows(200, 4, 3)
    estimator = LogisticRegression().fit(X, codes)
    for kind in (np.asarray, sparse.csr_matrix):
        objective = make_objective(estimator, kind(X), codes)
        theta, w = objective.read(estimator), np.ones(200)
        whole = objective.gradient(theta, w), objective.hessian(theta, w)
        with monkeypatch.context() as patch:
            patch.setattr("skunlearn.influence._linalg.blocks._DENSE_VALUES", 1)
            patch.setattr("skunlearn.influence._linalg.blocks._SPARSE_ROWS", 7)
            patch.setattr("skunlearn.influence._linalg.blocks._DENSE_SHARE", np.inf)
            parts = objective.gradient(theta, w), objective.hessian(theta, w)
        for one, other in zip(whole, parts, strict=True):
            assert_near(one, other, 1e-12)


@pytest.mark.parametrize("class_weight", [None, "balanced", "given"])
@pytest.mark.parametrize(("name", "n_classes"), CONVERGENT)
def test_optimum_of_scikit_learn(name, n_classes, class_weight):
    """The gradient vanishes where scikit-learn ends, with weights and without."""
    X, codes = make_rows(80, 4, n_classes, seed=n_classes)
    if class_weight == "given":
        class_weight = dict.fromkeys(range(n_classes), 0.7) | {0: 3.0}
    for weight in (None, np.random.default_rng(0).uniform(0.5, 2, 80)):
        estimator = clone(BASES[name]).set_params(class_weight=class_weight)
        estimator.fit(X, codes, sample_weight=weight)
        objective = make_objective(estimator, X, codes, weight)
        theta, w = objective.read(estimator), np.ones(80)
        start = np.linalg.norm(objective.gradient(np.zeros_like(theta), w))
        assert np.linalg.norm(objective.gradient(theta, w)) < 1e-6 * start


@pytest.mark.parametrize("weight", [None, np.random.default_rng(0).uniform(0.5, 2, 60)])
@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge"])
def test_optimum_of_mean_losses(loss, weight):
    """SGD's objective is that of another classifier, with C = 1 / (alpha n)."""
    X, codes = make_rows(60, 3, 2)
    C = 1 / (0.05 * 60)
    twin = (
        LogisticRegression(C=C, solver="newton-cholesky", tol=1e-12)
        if loss == "log_loss"
        else LinearSVC(C=C, fit_intercept=False, tol=1e-12, dual=False)
    ).fit(X, codes, sample_weight=weight)
    params = {"alpha": 0.05, "fit_intercept": twin.fit_intercept, "max_iter": 1}
    estimator = SGDClassifier(loss, tol=None, **params).fit(X, codes)
    objective = make_objective(estimator, X, codes, weight)
    assert_near(objective.gradient(objective.read(twin), np.ones(60)), 0, 1e-6)


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 3.0}])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", ["sgd_hinge", "sgd_huber"])
def test_where_sgd_ends(name, n_classes, class_weight):
    """Ever smaller steps end where the gradient is small, however classes weigh."""
    X, codes = make_rows(60, 3, n_classes)
    estimator = clone(BASES[name]).set_params(class_weight=class_weight, random_state=0)
    estimator.set_params(learning_rate="adaptive", eta0=0.01, tol=1e-7, max_iter=10**4)
    estimator.fit(X, codes)
    objective = make_objective(estimator, X, codes)
    theta, w = objective.read(estimator), np.ones(60)
    start = np.linalg.norm(objective.gradient(np.zeros_like(theta), w))
    assert np.linalg.norm(objective.gradient(theta, w)) < 0.02 * start


@pytest.mark.parametrize(("name", "n_classes"), CASES)
def test_write_reverses_read(name, n_classes):
    """Shapes and dtypes stay, and the arrays are new."""
    X, codes = make_rows(40, 3, n_classes)
    estimator = clone(BASES[name]).fit(X, codes)
    before = estimator.decision_function(X)
    objective = make_objective(estimator, X, codes)
    theta, coef = objective.read(estimator), estimator.coef_
    Z = objective._multiply(slice(None), theta)
    np.testing.assert_allclose(Z.squeeze(), before, atol=1e-12)
    objective.write(estimator, 2 * theta)
    assert estimator.coef_ is not coef
    assert estimator.coef_.shape == coef.shape
    np.testing.assert_allclose(estimator.decision_function(X), 2 * before)
    np.testing.assert_array_equal(objective.read(estimator), 2 * theta)


def test_write_keeps_single_precision():
    """A model of float32 stays one."""
    X, codes = make_rows(40, 3, 2)
    estimator = LogisticRegression().fit(X.astype(np.float32), codes)
    objective = make_objective(estimator, X, codes)
    objective.write(estimator, np.ones(4))
    assert estimator.coef_.dtype == estimator.intercept_.dtype == np.float32


def test_write_overwrites_averages():
    """What SGD averaged was trained on the same rows."""
    X, codes = make_rows(40, 3, 3)
    estimator = SGDClassifier("log_loss", average=True).fit(X, codes)
    objective = make_objective(estimator, X, codes)
    objective.write(estimator, np.full(12, 7.0))
    for name in ("_average_coef", "_standard_coef", "_standard_intercept"):
        assert (getattr(estimator, name) == 7).all()


def test_classes_without_rows_do_not_count():
    """Balanced classes are those that are there."""
    X, codes = make_rows(60, 3, 3)
    estimator = LogisticRegression(class_weight="balanced").fit(X, codes)
    objective = make_objective(estimator, X, codes)
    w = (codes != 1).astype(float)
    scales = objective.scales(objective.weight_sums(w))
    counts = np.bincount(codes)
    expected = (counts[0] + counts[2]) / (2 * counts)
    np.testing.assert_allclose(scales[:, 0], expected * [1, 0, 1])
    theta, v = objective.read(estimator), np.ones(objective.n_params)
    assert np.isfinite(objective.gradient(theta, w)).all()
    assert np.isfinite(objective.scores(theta, w, v)[codes != 1]).all()


@pytest.mark.parametrize(
    "X",
    [np.ones((2, 1), np.float32), sparse.csc_matrix(np.eye(2)), [[1.0], [2.0]]],
)
def test_rows_are_taken_as_they_are(X):
    """They are never copied, so they have to be of the right kind."""
    estimator = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(TypeError, match="must be an array or a CSR matrix of float64"):
        make_objective(estimator, X, np.array([0, 1]))

"""Solvers: they end at the optimum, or say that they do not."""

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
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier

from skunlearn.influence._linalg.cholesky import factorise, factorise_somehow
from skunlearn.influence._linalg.conjugate_gradients import conjugate_gradients
from skunlearn.influence._solvers.newton import polish


def make_hessian(n, seed=0, scale=1.0):
    """Return a positive definite matrix, its columns of scales up to `scale`."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(2 * n, n)) * np.geomspace(1, scale, n)
    return A.T @ A


@given(st.integers(1, 8), st.integers(0, 99), st.sampled_from([1, 1e4, 1e9]))
def test_factor_solves(n, seed, scale):
    """To rounding, whatever the scale of columns, for one or more right sides."""
    hessian = make_hessian(n, seed, scale)
    before, units = hessian.copy(), np.geomspace(1, scale, n)[:, None]
    x = np.random.default_rng(seed).normal(size=(n, 3)) / units
    factor = factorise(hessian)
    solved = factor.solve(hessian @ x)
    np.testing.assert_allclose(solved * units, x * units, rtol=0, atol=1e-10)
    np.testing.assert_allclose(factor.solve(hessian @ x[:, 0]), solved[:, 0])
    np.testing.assert_array_equal(hessian, before)


def test_factor_leaves_the_null_space():
    """The solution of least norm, though the matrix itself has no factor."""
    N = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 2)))[0].T
    P = np.eye(6) - N.T @ N
    hessian = P @ make_hessian(6) @ P
    with pytest.raises(np.linalg.LinAlgError, match="the Hessian is singular"):
        factorise(hessian)
    b = np.arange(6.0)
    x = factorise(hessian, N).solve(b)
    np.testing.assert_allclose(x, np.linalg.pinv(hessian) @ b, atol=1e-10)


def test_damping_and_jitter():
    """One is absolute, the other relative; the least jitter that works is told."""
    hessian, b = make_hessian(4, scale=1e3), np.ones(4)
    damped = np.linalg.solve(hessian + 2 * np.eye(4), b)
    np.testing.assert_allclose(factorise(hessian, damping=2.0).solve(b), damped)
    jittered = np.linalg.solve(hessian + 0.5 * np.diag(np.diag(hessian)), b)
    np.testing.assert_allclose(factorise(hessian, jitter=0.5).solve(b), jittered)
    none = np.zeros((0, 4))
    assert factorise_somehow(hessian, none)[1] == 0
    factor, jitter = factorise_somehow(np.ones((4, 4)), none)
    assert 0 < jitter < 1e-8
    np.testing.assert_allclose(factor.solve(b), 1 / 4, rtol=1e-4)
    with pytest.raises(np.linalg.LinAlgError):
        factorise_somehow(np.full((4, 4), np.nan), none)


@given(draw_problem())
def test_conjugate_gradients_agree_with_the_factor(problem):
    """Both give the Newton step, if with some damping."""
    objective, theta, w, _ = problem
    hessian, gradient = objective.hessian(theta, w), objective.gradient(theta, w)
    factor = factorise(hessian, objective.null_space, damping=0.1)
    solution = conjugate_gradients(
        objective.hvp(theta, w),
        gradient,
        diagonal=objective.diagonal(theta, w),
        null_space=objective.null_space,
        damping=0.1,
        tol=1e-10,
    )
    assert solution.status == "converged"
    assert solution.relative_residual < 1e-9
    step = factor.solve(gradient)
    size = np.linalg.norm(step)
    np.testing.assert_allclose(solution.x, step, rtol=0, atol=1e-6 * (1 + size))


def test_conjugate_gradients_say_where_they_end():
    """Converged, or too few iterations, or a matrix that is not definite."""
    hessian, b = make_hessian(30, scale=1e3), np.ones(30)
    plain = conjugate_gradients(hessian.__matmul__, b, max_iter=20)
    assert (plain.status, plain.n_iter) == ("max_iter", 20)
    residual = np.linalg.norm(b - hessian @ plain.x) / np.linalg.norm(b)
    assert plain.relative_residual == pytest.approx(residual)
    diagonal = np.diag(hessian)
    better = conjugate_gradients(hessian.__matmul__, b, diagonal=diagonal)
    assert better.status == "converged"
    assert better.n_iter <= 60

    nothing = conjugate_gradients(hessian.__matmul__, 0 * b)
    assert (nothing.status, nothing.n_iter) == ("converged", 0)
    bent = conjugate_gradients((np.diag([1.0, -1.0])).__matmul__, np.array([2.0, 1.0]))
    assert bent.status == "negative_curvature"
    bent = conjugate_gradients(lambda v: -v, np.ones(2))
    assert (bent.status, bent.relative_residual) == ("negative_curvature", 1.0)
    damped = conjugate_gradients(lambda v: -v, np.ones(2), damping=2.0)
    np.testing.assert_allclose(damped.x, 1)


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize(("name", "n_classes"), CONVERGENT)
def test_polish_ends_at_scikit_learns_optimum(name, n_classes, class_weight, solver):
    """From a coarse fit on all rows to a tight one on those that stay."""
    X, codes = make_rows(120, 4, n_classes, seed=n_classes)
    tight = clone(BASES[name]).set_params(class_weight=class_weight)
    coarse = clone(tight)
    if "ridge" not in name:
        coarse.set_params(tol=1e-2)
    coarse.fit(X, codes)
    tight.fit(X[10:], codes[10:])
    objective = make_objective(coarse, X, codes)
    w = np.ones(120)
    w[:10] = 0
    start = objective.read(coarse)
    before = start.copy()
    polished = polish(objective, start, w, solver=solver, tol=1e-9)
    assert polished.status == "converged"
    assert polished.gradient_norm <= 1e-9
    assert polished.jitter == 0
    assert polished.n_steps <= (2 if name.startswith("ridge") else 12)
    np.testing.assert_array_equal(start, before)
    objective.write(coarse, polished.theta)
    reference = make_objective(tight, X[10:], codes[10:])
    theta = polish(reference, reference.read(tight), w[10:], tol=1e-11).theta
    assert np.linalg.norm(theta - reference.read(tight)) < 1e-5  # liblinear's own tol
    tolerance = 1e-5 if "svc" in name or "liblinear" in name else 1e-8
    scores = tight.decision_function(X)
    np.testing.assert_allclose(coarse.decision_function(X), scores, atol=tolerance)
    reference.write(tight, theta)
    scores = tight.decision_function(X)
    np.testing.assert_allclose(coarse.decision_function(X), scores, atol=1e-8)


@given(draw_problem(names=[n for n, k in CASES if k == 3 and "free" not in n]))
def test_polish_never_ends_elsewhere(problem):
    """From anywhere, with any weights: the gradient is as small as it says."""
    objective, theta, w, _ = problem
    polished = polish(objective, 3 * theta, w, tol=1e-7)
    norm = np.linalg.norm(objective.gradient(polished.theta, w))
    assert polished.status == "converged"
    assert polished.gradient_norm == norm <= 1e-7
    assert objective.value(polished.theta, w) <= objective.value(theta, w) + 1e-9


def test_polish_starts_where_nothing_is_to_do():
    """At the optimum no step is taken."""
    X, codes = make_rows(50, 3, 2)
    estimator = RidgeClassifier().fit(X, codes)
    objective = make_objective(estimator, X, codes)
    polished = polish(objective, objective.read(estimator), np.ones(50))
    assert (polished.status, polished.n_steps) == ("converged", 0)


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_separable_classes_have_no_optimum(solver):
    """However small the gradient gets."""
    X, codes = np.array([[-2.0], [-1.0], [1.0], [2.0]]), np.array([0, 0, 1, 1])
    estimator = LogisticRegression(C=np.inf, max_iter=3).fit(X, codes)
    objective = make_objective(estimator, X, codes)
    polished = polish(objective, np.zeros(2), np.ones(4), solver=solver, max_steps=30)
    assert polished.status != "converged"
    assert polished.gradient_norm < 1e-8
    assert polished.step_norm > 0.1


def test_dependent_columns_without_a_penalty():
    """The optimum is not unique: one of them is found, and jitter tells."""
    X, codes = make_rows(80, 2, 2)
    X = np.column_stack([X, X[:, 0], np.zeros(80)])
    estimator = LogisticRegression(C=np.inf).fit(X, codes)
    objective = make_objective(estimator, X, codes)
    polished = polish(objective, np.zeros(5), np.ones(80))
    assert polished.status == "converged"
    assert polished.jitter > 0
    twin = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-12)
    twin.fit(X[:, :2], codes)
    objective.write(estimator, polished.theta)
    scores = twin.decision_function(X[:, :2])
    np.testing.assert_allclose(estimator.decision_function(X), scores, atol=1e-6)


def test_columns_of_any_scale():
    """Where rounding ends it, what is left is short."""
    X, codes = make_rows(200, 3, 3)
    X = X * [1e-6, 1.0, 1e6]
    estimator = LogisticRegression(max_iter=5).fit(X, codes)
    objective = make_objective(estimator, X, codes)
    polished = polish(objective, np.zeros(12), np.ones(200), tol=1e-8)
    assert polished.status in ("converged", "stalled")
    if polished.status == "stalled":
        assert polished.step_norm < 1e-8 * np.linalg.norm(polished.theta)


def test_wide_rows():
    """Without a Hessian, softmax on sparse rows of many columns."""
    rng = np.random.default_rng(0)
    X = sparse.random_array((300, 2000), density=0.01, random_state=rng, format="csr")
    codes = rng.integers(4, size=300)
    estimator = LogisticRegression(max_iter=5).fit(X, codes)
    objective = make_objective(estimator, X, codes)
    theta = objective.read(estimator)
    polished = polish(objective, theta, np.ones(300), solver="cg", tol=1e-9)
    assert polished.status == "converged"
    assert polished.relative_residual <= 1e-3
    tight = LogisticRegression(tol=1e-10, max_iter=10000).fit(X, codes)
    assert np.linalg.norm(polished.theta - objective.read(tight)) < 1e-5


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_rounding_is_told_from_failure(solver):
    """Where more is asked for than numbers can give, what is left is short."""
    X, codes = make_rows(100, 3, 3)
    objective = make_objective(LogisticRegression().fit(X, codes), X, codes)
    polished = polish(objective, np.zeros(12), np.ones(100), solver=solver, tol=0)
    assert polished.status == "stalled"
    assert polished.gradient_norm < 1e-12
    assert polished.step_norm < 1e-12


@pytest.mark.parametrize("solver", ["cholesky", "cg"])
def test_steps_without_curvature_go_downhill(solver):
    """All rows lie where modified Huber is straight, and nothing is penalised."""
    X, codes = np.array([[1.0], [2.0], [-1.0]]), np.array([1, 1, 0])
    estimator = SGDClassifier("modified_huber", penalty=None).fit(X, codes)
    objective = make_objective(estimator, X, codes)
    start = np.array([-9.0, 0.0])
    polished = polish(objective, start, np.ones(3), solver=solver)
    assert objective.value(start, np.ones(3)) > 100
    assert objective.value(polished.theta, np.ones(3)) == 0
    assert polished.status == "converged"


def test_too_few_steps_are_told():
    """And directions that were not solved for."""
    X, codes = make_rows(100, 6, 3)
    objective = make_objective(LogisticRegression().fit(X, codes), X, codes)
    polished = polish(objective, np.zeros(21), np.ones(100), max_steps=1)
    assert (polished.status, polished.n_steps) == ("max_steps", 1)
    polished = polish(objective, np.zeros(21), np.ones(100), solver="cg", max_iter=2)
    assert polished.relative_residual > 1e-2

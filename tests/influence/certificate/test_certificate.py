"""Law 10: bounds are never violated, and what is told of an approximation is true."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from influence_reference import Long, Written, measure, read
from influence_support import draw_problem, make_rows
from scipy import sparse
from scipy.linalg import eigh
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.preprocessing import scale
from sklearn.svm import LinearSVC

from skunlearn import InfluenceUnlearningClassifier
from skunlearn.exceptions import UnlearningQualityWarning
from skunlearn.influence._certificate.bounds import bound_distance, bound_mean_change
from skunlearn.influence._certificate.local_model import LocalModel

SMOOTH = ["logistic", "logistic_origin", "logistic_liblinear", "sgd_log"]


# What is local without rows, against the rows


def assert_true(local, w):
    """Compare what is said of sums, curvature and the optimum with the rows."""
    objective, theta = local.objective, local.theta
    if local.jitter > 0:
        return
    N = np.eye(len(theta)) - objective.null_space.T @ objective.null_space
    basis = np.linalg.svd(N)[0][:, : len(theta) - len(objective.null_space)]
    known = basis.T @ local.hessian @ basis
    true = basis.T @ objective.hessian(theta, w) @ basis
    shares = eigh(true, known, eigvals_only=True)
    assert shares[0] >= 1 - local.low - 1e-7
    assert shares[-1] <= 1 + local.up + 1e-7
    error = basis.T @ (objective.gradient(theta, w) - local.gradient)
    error = np.sqrt(max(error @ np.linalg.solve(known, error), 0))
    size = np.linalg.norm(np.linalg.solve(known, basis.T @ local.gradient))
    assert error <= local.gradient_error + 1e-7 * (1 + size)
    inverse = np.linalg.pinv(N @ local.hessian @ N, rcond=1e-13, hermitian=True)
    max_norm = objective.max_hessian_norm(inverse) / 2 ** (1 / 8)  # it is rounded up
    assert max_norm <= local.max_norm * (1 + 1e-6)


@settings(max_examples=60)
@given(draw_problem(SMOOTH), st.lists(st.sampled_from("wmr"), max_size=6), st.data())
def test_what_is_tracked_is_true(problem, moves, data):
    """Without rows, after moves and with new weights, in any order."""
    objective, theta, w, v = problem
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    R = objective.compute_self_concordance()
    local = LocalModel.measure(objective, 0.1 * theta, w, R)
    for move in moves:
        there = np.flatnonzero(w)
        if move == "w" and len(there) > 4:
            rows = rng.choice(there, 2, replace=False)
            rest = np.where(np.isin(np.arange(len(w)), rows), 0, w)
            if (np.bincount(objective.codes, rest) > 0).all():
                local, w = local.without(w, rows), rest
        elif move == "m":
            v = rng.normal(size=len(theta))
            v -= objective.null_space.T @ (objective.null_space @ v)
            local = local.moved(rng.choice([0.01, 0.1]) * v / R)
        elif move == "r":
            changes = rng.uniform(-0.5, 0.5, len(w))
            w = w * (1 + changes)
            gradient = objective.gradient(local.theta, w)
            local = local.reweighted(changes, w, gradient)
        assert_true(local, w)


def test_bounds_of_one_parameter():
    """Thousands of optima of logistic losses at once, and the case that is sharp."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20000, 5)) * 10.0 ** rng.uniform(-2, 2, (20000, 1))
    weight = 10.0 ** rng.uniform(-3, 3, x.shape)
    mu = 10.0 ** rng.uniform(-3, 3, len(x))

    def derive(t):
        q = 1 / (1 + np.exp(np.clip(x * t[:, None], -500, 500)))
        slope = mu * t - (weight * x * q).sum(axis=1)
        return slope, mu + (weight * x**2 * q * (1 - q)).sum(axis=1)

    low, high = -(weight * abs(x)).sum(1) / mu, (weight * abs(x)).sum(1) / mu
    for _ in range(200):
        middle = (low + high) / 2
        is_low = derive(middle)[0] < 0
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    t = high + rng.normal(size=len(x)) * 10.0 ** rng.uniform(-6, 1, len(x))
    slope, h = derive(t)
    R = abs(x).max(axis=1)
    cases = zip(abs(slope) / np.sqrt(h), h, R / np.sqrt(h), strict=True)
    bounds = np.array([bound_distance(*case) for case in cases])
    finite = np.isfinite(bounds)
    assert finite.mean() > 0.3
    distance = abs(t - high)
    assert (distance <= bounds * (1 + 1e-9) + 1e-12 * (1 + abs(t))).all()
    assert np.median(bounds[finite] / distance[finite]) < 1.5
    m = 0.7  # h exp(-t), whose slope falls as slowly as it may
    assert bound_distance(2 * (1 - np.exp(-m)) / 2**0.5, 2.0, 1 / 2**0.5) == (
        pytest.approx(m)
    )


@given(st.floats(0, 0.9), st.floats(0, 3), st.floats(1e-6, 5), st.floats(-1, 1))
def test_bound_of_mean_change(low, up, r, slope):
    """A mean over any course of curvature that is within the limits."""
    t = (np.arange(1000) + 0.5) / 1000
    bound = bound_mean_change(low, up, r)
    for start in (1 - low, 1 + up):
        mean = (start * np.exp(slope * r * t)).mean()
        assert abs(mean - 1) <= bound + 1e-5


# What the classifier says, against optima of what scikit-learn writes


def make_base(kind, C, intercept):
    """Return a classifier that is penalised as C says, or not at all."""
    alpha = {"max_iter": 5, "tol": None, "alpha": min(0.05 / C, 1)}
    return {
        "logistic": LogisticRegression(C=C),
        "liblinear": LogisticRegression(C=C, solver="liblinear", intercept_scaling=2),
        "free": LogisticRegression(C=np.inf),
        "ridge": RidgeClassifier(alpha=1 / C),
        "svc": LinearSVC(C=C, dual=False, intercept_scaling=2),
        "log_loss": SGDClassifier("log_loss", **alpha),
        "modified_huber": SGDClassifier("modified_huber", **alpha),
        "squared_hinge": SGDClassifier("squared_hinge", **alpha),
    }[kind].set_params(fit_intercept=intercept)


KINDS = ["logistic", "liblinear", "free", "ridge", "svc"]
KINDS += ["log_loss", "modified_huber", "squared_hinge"]


def make_wild(rng, kind):
    """Return rows of wild scales, with outliers; codes, and weights or None."""
    n_classes = 2 if kind == "liblinear" else rng.integers(2, 5)
    n, d = rng.integers(3 * n_classes, 60), rng.integers(1, 7)
    X, codes = make_rows(n, d, n_classes, rng)
    if rng.random() < 0.3:
        X = X * 10.0 ** rng.uniform(-3, 3, d)
    if rng.random() < 0.3:
        X[rng.integers(n)] *= 10.0 ** rng.uniform(0, 3)
    return X, codes, rng.uniform(0.1, 3, n) if rng.random() < 0.3 else None


def draw_requests(rng, classifier, codes):
    """Yield requests for a few rows each that leave all classes there."""
    left = rng.permutation(classifier.retained_indices_)
    for _ in range(rng.integers(1, 5)):
        n = rng.integers(1, 4) if rng.random() < 0.7 else len(left) // 4
        w = classifier.weights_
        w[left[:n]] = 0
        if n == 0 or len(np.unique(codes[w > 0])) <= codes.max():
            return
        yield left[:n]
        left = left[n:]


@pytest.mark.filterwarnings("ignore::skunlearn.exceptions.UnlearningQualityWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_bounds_are_never_violated(kind):
    """Whatever the base, its weights, the method, the steps and the requests."""
    for seed in range(12):
        check_bounds(kind, seed)


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore::skunlearn.exceptions.UnlearningQualityWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_bounds_of_thousands_of_problems(kind):
    """The same for as many seeds as make ten thousand requests and more."""
    for seed in range(400, 1400):
        check_bounds(kind, seed)


@pytest.mark.filterwarnings("ignore::skunlearn.exceptions.UnlearningQualityWarning")
@pytest.mark.parametrize("seed", [67, 85, 199, 248, 258, 285, 332])
def test_bounds_near_separable_data(seed):
    """Where the probabilities of an optimum are too close to 1 for doubles."""
    check_bounds("logistic", seed)


def check_bounds(kind, seed):
    """Compare with an optimum in extended precision, after each of some requests."""
    rng = np.random.default_rng(seed)
    X, codes, weight = make_wild(rng, kind)
    base = make_base(kind, 10.0 ** rng.uniform(-3, 4), rng.random() < 0.7)
    base.class_weight = [None, "balanced", {0: 3.0, 1: 0.5}][rng.integers(3)]
    classifier = InfluenceUnlearningClassifier(
        base,
        method=rng.choice(["newton", "puma", "influence"]),
        n_steps=[1, 2, "auto"][rng.integers(3)],
        solver="cg" if rng.random() < 0.2 else "auto",
        validation_fraction=0.2,
        random_state=seed,
    ).fit(X, codes, weight)
    for request in draw_requests(rng, classifier, codes):
        distance = measure(classifier.forget(request), X, codes, weight)
        bound = classifier.distance_bound_
        assert bound == np.inf if distance is None else distance <= bound
        w, theta = classifier.weights_, read(classifier).astype(Long)
        written = Written(classifier.estimator_, X, codes, w, weight)
        residual = np.linalg.norm(written.gradient(theta).astype(float))
        rounding = 1e-13 * float(abs(written.A).sum() * abs(X).max() ** 2)
        assert abs(classifier.gradient_residual_ - residual) <= 1e-6 * residual + (
            rounding * (1 + np.linalg.norm(theta.astype(float)))
        )


# What is promised on data that behave


def make_classifier(base, **params):
    """Return a classifier that forgets by Newton steps."""
    params = {"exact": False, "tol": 1e-9, **params}
    return InfluenceUnlearningClassifier(base, method="newton", **params)


TAME = {
    "logistic": LogisticRegression(),
    "liblinear": LogisticRegression(C=0.3, solver="liblinear"),
    "ridge": RidgeClassifier(),
    "svc": LinearSVC(C=0.1, dual=False),
    "log_loss": SGDClassifier("log_loss", alpha=0.01, tol=None, max_iter=5),
    "modified_huber": SGDClassifier("modified_huber", alpha=0.1, tol=None, max_iter=5),
    "squared_hinge": SGDClassifier("squared_hinge", alpha=0.1, tol=None, max_iter=5),
}


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("kind", TAME)
def test_auto_reaches_tol(kind, class_weight):
    """The bound is no more than asked for, and not without reason."""
    X, codes = make_rows(300, 4, 2 if kind == "liblinear" else 3, seed=1)
    base = TAME[kind].set_params(class_weight=class_weight)
    classifier = make_classifier(base).fit(X, codes)
    for request in (0, [1, 2, 3], np.arange(10, 60)):
        classifier.forget(request)
        goal = 1e-8 * max(1, np.linalg.norm(read(classifier).astype(float)))
        rounding = classifier._state.optimum.local.rounding
        assert measure(classifier, X, codes) <= classifier.distance_bound_
        assert classifier.distance_bound_ <= goal + rounding
    base.set_params(class_weight=None)


def test_one_step_is_bounded_closely():
    """Within a factor of 100, in the median, while the bound is above rounding."""
    ratios = []
    for seed in range(10):
        X, codes = make_rows(500, 4, 2, seed)
        classifier = make_classifier(None, n_steps=1).fit(X, codes)
        classifier.forget(np.random.default_rng(seed).permutation(500)[:5])
        assert classifier.forget_records_[-1].path == "patch"
        bound = classifier.distance_bound_
        ratios.append(bound / measure(classifier, X, codes))
        assert bound < 0.1 * np.linalg.norm(read(classifier))
    assert 1 <= min(ratios) < np.median(ratios) < 100


def test_an_outlier_makes_newton_diverge():
    """Then the classifier is fitted anew, says so, and is right."""
    X, codes = load_breast_cancer(return_X_y=True)
    X = scale(X)
    base = LogisticRegression(C=100.0, solver="newton-cholesky")
    decision = make_classifier(base).fit(X, codes).decision_function(X)
    worst = int(np.where(codes == 1, decision, -decision).argmin())
    for n_steps in ("auto", 1):
        classifier = make_classifier(base, n_steps=n_steps).fit(X, codes)
        with pytest.warns(UnlearningQualityWarning, match="diverged or did not"):
            classifier.forget(worst)
        assert classifier.forget_records_[-1].path == "refit"
        assert measure(classifier, X, codes) <= classifier.distance_bound_ < 1e-6


def test_digits_take_more_than_a_step():
    """Without 7 % of the rows, of most classes, one step is 4 % of the way short."""
    X, codes = load_digits(return_X_y=True)
    X, rows = X[:800] / 16, np.random.default_rng(0).permutation(800)[:56]
    classifier = make_classifier(None).fit(X, codes[:800])
    before = read(classifier)
    classifier.forget(rows)
    theta = read(classifier)
    record = classifier.forget_records_[-1]
    assert record.path == "polish"
    assert record.distance_bound <= 1e-7
    fresh = make_classifier(None)
    fresh.fit(np.delete(X, rows, axis=0), np.delete(codes[:800], rows))
    near = classifier.distance_bound_ + fresh.distance_bound_
    assert np.linalg.norm(theta - read(fresh)) <= near
    once = make_classifier(None, n_steps=1).fit(X, codes[:800])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnlearningQualityWarning)
        once.forget(rows)
    error = np.linalg.norm(read(once) - theta) / np.linalg.norm(before - theta)
    assert 0.01 < error < 0.2


@pytest.mark.parametrize("kind", TAME)
def test_many_requests_do_not_drift(kind):
    """After 200 of a row each, decisions are those of a fresh fit."""
    X, codes = make_rows(400, 3, 2 if kind == "liblinear" else 3, seed=2)
    classifier = make_classifier(TAME[kind]).fit(X, codes)
    bounds = []
    for row in range(200):
        bounds.append(classifier.forget(row).distance_bound_)
    fresh = make_classifier(TAME[kind]).fit(X[200:], codes[200:])
    apart = classifier.decision_function(X) - fresh.decision_function(X)
    assert abs(apart).max() < 1e-6
    assert measure(classifier, X, codes) <= bounds[-1] < 1e-6
    assert max(bounds) < 1e-6


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_ridge_takes_one_step(class_weight):
    """It is quadratic: whatever goes, one step ends at the optimum."""
    X, codes = make_rows(100, 5, 3, seed=3)
    base = RidgeClassifier(class_weight=class_weight)
    classifier = make_classifier(base, n_steps=1).fit(X, codes)
    for request in (0, np.arange(20), np.arange(20, 70)):
        classifier.forget(request)
        error = measure(classifier, X, codes) / np.linalg.norm(read(classifier))
        assert error <= 1e-12
        assert classifier.forget_records_[-1].path == "patch"


@pytest.mark.parametrize("alpha", [1.0, 1e-3])
def test_far_rows_take_digits_with_them(alpha):
    """Where most of the known sums goes, rounding is part of the bound."""
    X, codes = make_rows(60, 3, 2)
    X[:, 2] = X[:, 0] + 1e-4 * X[:, 2]
    X[:4] *= 60
    classifier = make_classifier(RidgeClassifier(alpha=alpha)).fit(X, codes)
    for request in ([0, 1], [2], [3]):
        classifier.forget(request)
        assert measure(classifier, X, codes) <= classifier.distance_bound_


def test_balanced_classes_weigh_all_rows_anew():
    """Without half of a class, the other half counts twice."""
    X, codes = make_rows(200, 3, 3, seed=4)
    base = LogisticRegression(class_weight="balanced", tol=1e-10, max_iter=1000)
    rows = np.flatnonzero(codes == 2)[::2]
    classifier = make_classifier(base).fit(X, codes).forget(rows)
    base.fit(np.delete(X, rows, axis=0), np.delete(codes, rows))
    np.testing.assert_allclose(classifier.estimator_.coef_, base.coef_, atol=1e-4)
    fixed = make_classifier(LogisticRegression()).fit(X, codes).forget(rows)
    assert abs(fixed.estimator_.coef_ - base.coef_).max() > 1e-2


def test_penalty_of_a_mean_loss():
    """Rows that go take their share of SGD's penalty along: C = 1 / (alpha n)."""
    X, codes = make_rows(200, 3, 2, seed=5)
    base = SGDClassifier("log_loss", alpha=0.05, tol=None, max_iter=5)
    classifier = make_classifier(base).fit(X, codes).forget(range(100))
    same = LogisticRegression(C=1 / (0.05 * 100), tol=1e-10, solver="newton-cholesky")
    coef = same.fit(X[100:], codes[100:]).coef_
    np.testing.assert_allclose(classifier.estimator_.coef_, coef, atol=1e-7)


def test_softmax_keeps_out_of_its_null_direction():
    """The same for all classes is never added to intercepts, nor to what is free."""
    X, codes = make_rows(200, 2, 3, seed=6)
    for C in (1.0, np.inf):
        classifier = make_classifier(LogisticRegression(C=C)).fit(X, codes)
        for row in range(20):
            classifier.forget(row)
        estimator = classifier.estimator_
        np.testing.assert_allclose(estimator.intercept_.sum(), 0, atol=1e-12)
        np.testing.assert_allclose(estimator.coef_.sum(axis=0), 0, atol=1e-12)
        assert measure(classifier, X, codes) <= classifier.distance_bound_ < 1e-6


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
def test_wide_softmax(container):
    """Without a Hessian of 2,404 parameters, the error is bounded all the same."""
    rng = np.random.default_rng(7)
    codes = rng.integers(4, size=200)
    X = rng.normal(size=(200, 600)) * (rng.random((200, 600)) < 0.1)
    classifier = make_classifier(None).fit(container(X), codes)
    assert classifier._state.optimum.local is None
    classifier.forget(range(10))
    fresh = make_classifier(None, tol=1e-11).fit(container(X[10:]), codes[10:])
    apart = np.linalg.norm(read(classifier) - read(fresh))
    assert apart <= classifier.distance_bound_ + fresh.distance_bound_
    assert classifier.distance_bound_ < 1e-7


@pytest.mark.parametrize("kind", TAME)
def test_solvers_agree(kind):
    """With a Hessian or by conjugate gradients, to the same optimum."""
    X, codes = make_rows(150, 4, 2 if kind == "liblinear" else 3, seed=8)
    ends = []
    for solver in ("cg", "cholesky"):
        classifier = make_classifier(TAME[kind], solver=solver).fit(X, codes)
        ends.append(read(classifier.forget(range(15))))
        assert classifier.distance_bound_ < 1e-6
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-7)


def test_integer_parameters():
    """C=1 is 1.0."""
    X, codes = make_rows(50, 2, 2)
    for base in (LogisticRegression(C=1), LinearSVC(C=1), RidgeClassifier(alpha=1)):
        assert make_classifier(base).fit(X, codes).forget(0).distance_bound_ < 1e-6


def test_more_is_subtracted_than_there_is():
    """A Hessian that is known to be indefinite vouches for nothing, and is no error."""
    X, codes = make_rows(40, 2, 2, seed=9)
    classifier = make_classifier(None).fit(X, codes)
    objective = classifier._state.optimum.objective
    local = classifier._state.optimum.local.moved(np.full(3, 0.01))
    worn = local.without(np.full(40, 1e4), np.arange(10))
    assert worn.needs_refresh
    assert worn.bound() == np.inf
    w = np.ones(40)
    anew = worn.remeasured(local.theta, w)
    np.testing.assert_allclose(anew.hessian, objective.hessian(local.theta, w))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.filterwarnings("ignore::skunlearn.exceptions.UnlearningQualityWarning")
def test_no_bound_without_an_optimum(n_classes):
    """Separable classes without a penalty: slopes keep their digits, far out too."""
    for seed in range(5):
        X, codes = make_rows(30, 3, n_classes, seed)
        X += 12 * np.eye(3)[codes]
        classifier = make_classifier(LogisticRegression(C=np.inf)).fit(X, codes)
        assert classifier.distance_bound_ == np.inf

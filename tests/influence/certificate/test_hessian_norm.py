"""Patches, measured in the norm of the Hessian: standard errors of the parameters."""

import numpy as np
import pytest
from influence_cases import get_vector
from influence_support import make_rows
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.svm import LinearSVC

from skunlearn import InfluenceUnlearningClassifier

BASES = [
    LogisticRegression(),
    LogisticRegression(C=100.0),
    LogisticRegression(class_weight="balanced"),
    RidgeClassifier(),
    LinearSVC(dual=False),
]


def find_distance(classifier, tight, mean_weight):
    """Return the distance of two classifiers in the norm of the Hessian."""
    optimum = classifier._state.optimum
    v = optimum.theta - get_vector(tight)
    H = optimum.objective.hessian(get_vector(tight), classifier._state.w)
    return float(np.sqrt(v @ H @ v / mean_weight))


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("base", BASES, ids=str)
def test_bounds_hold_and_are_within_tol(base, weighted):
    """The distance is below the bound, and the bound below `tol`, at each request."""
    X, codes = make_rows(2000, 4, 2, seed=3)
    weight = np.random.default_rng(0).uniform(1, 9, 2000) if weighted else None
    coarse = InfluenceUnlearningClassifier(base, exact=False).fit(X, codes, weight)
    tight = InfluenceUnlearningClassifier(base, exact=False, tol=1e-10)
    tight.fit(X, codes, weight)
    mean = getattr(base, "C", 1.0) * (1.0 if weight is None else weight.mean())
    for rows in np.array_split(np.random.default_rng(1).permutation(2000)[:60], 20):
        before = get_vector(coarse)
        coarse.forget(rows)
        tight.forget(rows)
        record, distance = (
            coarse.forget_records_[-1],
            find_distance(coarse, tight, mean),
        )
        assert distance <= 1.01 * record.hessian_bound + 1e-9
        assert coarse.hessian_bound_ == record.hessian_bound <= 0.01
        assert np.linalg.norm(get_vector(coarse) - get_vector(tight)) <= (
            coarse.distance_bound_ + tight.distance_bound_
        )
        move = coarse._state.optimum.local.find_length(get_vector(coarse) - before)
        assert move / np.sqrt(mean) == pytest.approx(record.move, rel=0.15)


def test_patches_need_no_pass():
    """Under `tol`, most requests are patches; and the norm does not depend on C."""
    X, codes = make_rows(20_000, 4, 2, seed=3)
    records = []
    for C in (1.0, 1e4):
        base = LogisticRegression(C=C, fit_intercept=False)
        classifier = InfluenceUnlearningClassifier(base, exact=False).fit(X, codes)
        for row in range(20):
            classifier.forget(row)
        records.append(classifier.forget_records_)
    assert {record.path for record in records[0]} == {"patch"}
    moves = np.array([[record.move for record in each] for each in records])
    np.testing.assert_allclose(moves[0], moves[1], rtol=0.2)


def test_steps_of_a_way_that_turns():
    """The bound goes by how far the way leads, which is less than its length."""
    X, codes = make_rows(20_000, 4, 2, seed=3)
    coarse = InfluenceUnlearningClassifier(exact=False).fit(X, codes)
    n_polished = 0
    for rows in np.random.default_rng(0).permutation(20_000)[:2_000].reshape(200, 10):
        coarse.forget(rows)
        n_polished += coarse.forget_records_[-1].path != "patch"
    assert sum(record.move for record in coarse.forget_records_) > 8
    assert 1 <= n_polished <= 12  # after every .3 of the length they would be 27
    tight = clone(coarse).set_params(tol=1e-10)
    keep = coarse.retained_indices_
    distance = find_distance(coarse, tight.fit(X[keep], codes[keep]), 1.0)
    assert distance <= min(coarse.hessian_bound_, 1e-3)


@pytest.mark.parametrize("named", [False, True], ids=["sample", "class"])
def test_units_are_of_the_rows_that_stay(named):
    """The mean weight that is divided out does not count rows that go."""
    X, codes = make_rows(400, 4, 2, seed=3)
    base = RidgeClassifier(class_weight={0: 1.0, 1: 50.0} if named else None)
    factors = np.where(codes == 1, 50.0, 1.0)
    weight = None if named else factors
    coarse = InfluenceUnlearningClassifier(base, exact=False, damping=1.0, n_steps=1)
    tight = InfluenceUnlearningClassifier(base, exact=False, tol=1e-10)
    coarse.fit(X, codes, weight).forget(np.flatnonzero(codes == 1)[:120])
    tight.fit(X, codes, weight).forget(np.flatnonzero(codes == 1)[:120])
    mean = float(factors[coarse.retained_indices_].mean())
    distance = find_distance(coarse, tight, mean)
    assert 0 < distance <= coarse.hessian_bound_ * (1 + 1e-9)


def refine_ridge(theta, Z, targets, penalty):
    """Return the optimum of a ridge classifier in extended precision."""
    H = 2 * Z.T @ Z + np.diag(penalty)
    theta, Z = theta.astype(np.longdouble), Z.astype(np.longdouble)
    for _ in range(20):
        gradient = 2 * Z.T @ (Z @ theta - targets) + penalty * theta
        theta = theta - np.linalg.solve(H, gradient.astype(float))
    return theta


@pytest.mark.parametrize("seed", range(5))
def test_rounding_of_columns_that_depend_on_others(seed):
    """What cancels makes errors larger, and the bound with them."""
    rng = np.random.default_rng(seed)
    X, codes = make_rows(60, 3, 2, seed)
    X = np.column_stack([X, X[:, 0] + 1e-5 * rng.normal(size=60)]) + 1e3
    base = RidgeClassifier(1e-6)
    classifier = InfluenceUnlearningClassifier(base, exact=False, tol=1e-12)
    classifier.fit(X, codes).forget([3, 17])
    keep, theta = classifier.retained_indices_, get_vector(classifier)
    Z, targets = np.column_stack([X[keep], np.ones(58)]), 2.0 * codes[keep] - 1
    penalty = np.array([2e-6] * 4 + [0.0])
    v = refine_ridge(theta, Z, targets, penalty) - theta
    distance = np.sqrt(2 * ((Z @ v) ** 2).sum() + (penalty * v**2).sum())
    assert 0 < distance <= classifier.hessian_bound_ < 0.1

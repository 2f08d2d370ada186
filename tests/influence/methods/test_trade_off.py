"""Parameters on the path of a trade-off, and the least weights for parameters."""

from itertools import product

import numpy as np
import pytest
from influence_reference import fit_quietly
from influence_support import BASES, make_objective, make_rows
from scipy.optimize import minimize
from sklearn.base import clone

from skunlearn import InfluenceUnlearningClassifier
from skunlearn.influence._methods.goals import Goals
from skunlearn.influence._methods.least_weights import Metric, find_weights
from skunlearn.influence._methods.trade_off import choose_parameters


def make_goals(max_reabsorption, seed=0, criterion="log_loss"):
    """Return what a removal of helpful rows has to weigh up, and a metric for it."""
    X, codes = make_rows(500, 3, 3, seed)
    X, X_val, codes, codes_val = X[:250], X[250:], codes[:250], codes[250:]
    classifier = InfluenceUnlearningClassifier(method="puma", criterion=criterion)
    classifier.fit(X, codes, X_val=X_val, y_val=codes_val)
    rows = np.argsort(classifier.contributions())[-20:]
    before = classifier._state
    classifier.set_params(method="newton", exact=False).forget(rows)
    objective = make_objective(before.estimator, X, codes)
    thetas = before.optimum.theta, classifier._state.optimum.theta
    goals = Goals.measure(
        objective,
        before.find_validation(),
        rows,
        before.criterion_start,
        *thetas,
        max_reabsorption,
    )
    w = (~np.isin(np.arange(250), rows)).astype(float)
    local = classifier._state.optimum.local
    return goals, thetas[1], w, Metric.measure(objective, thetas[1], w, local)


@pytest.mark.parametrize("criterion", ["log_loss", "accuracy"])
@pytest.mark.parametrize("cap", [0.1, 0.5, 1.0])
def test_no_nearer_parameters_do_as_much(cap, criterion):
    """In the metric, of all that hold the criterion as well and keep as much."""
    goals, origin, _, metric = make_goals(cap, criterion=criterion)
    found = choose_parameters(goals, origin, metric.spread)
    held, kept = goals.criterion(found), goals.loss(found)
    assert goals.harm > 0
    assert held < goals.retrained
    if cap < 1:
        assert kept >= goals.least_loss - 1e-3 * goals.rise
    spread = np.column_stack([metric.spread(q) for q in np.eye(len(origin))])
    values, vectors = np.linalg.eigh((spread + spread.T) / 2)
    there = values > 1e-10 * values[-1]
    root = vectors[:, there] * np.sqrt(values[there])  # coordinates of norm |x|

    def slack(y, value, gradient, sign):
        theta = origin + root @ y
        return sign * value(theta), sign * (root.T @ gradient(theta))

    limits = [(goals.criterion, goals.criterion_gradient, -1, held)]
    limits += [(goals.loss, goals.loss_gradient, 1, kept)] if cap < 1 else []
    constraints = [
        {
            "type": "ineq",
            "fun": lambda y, v=v, g=g, s=s, at=at: slack(y, v, g, s)[0] - s * at,
            "jac": lambda y, v=v, g=g, s=s: slack(y, v, g, s)[1],
        }
        for v, g, s, at in limits
    ]
    start = np.linalg.lstsq(root, found - origin)[0]
    best = minimize(
        lambda y: (y @ y / 2, y),
        start,
        jac=True,
        method="SLSQP",
        constraints=constraints,
    )
    assert best.success
    assert start @ start / 2 <= 1.02 * best.fun


@pytest.mark.parametrize("max_weight", [0.01, 0.3, 3.0])
def test_weights_as_a_general_solver_finds(max_weight):
    """Within their box, for parameters that ask for much."""
    goals, origin, w, metric = make_goals(0.5)
    theta = choose_parameters(goals, origin, metric.spread)
    theta = origin + 3 * (theta - origin)
    found = find_weights(goals.objective, theta, w, metric, max_weight)
    kept = np.flatnonzero(w)
    G = goals.objective.row_gradients(theta, kept)
    start = goals.objective.gradient(theta, w)
    best = minimize(
        lambda x: (x @ x / 2, x),
        found.changes[kept],
        jac=True,
        bounds=[(-1, max_weight)] * len(kept),
        constraints={
            "type": "eq",
            "fun": lambda x: (start + x @ G - found.gradient)[:-1],
            "jac": lambda x: G.T[:-1],
        },
        method="SLSQP",
    )
    changes = found.changes[kept]
    assert ((changes >= -1) & (changes <= max_weight)).all()
    np.testing.assert_allclose(
        goals.objective.gradient(theta, w * (1 + found.changes)),
        found.gradient,
        atol=1e-9,
    )
    assert best.success
    assert changes @ changes / 2 <= 1.01 * best.fun
    assert found.residual <= 0.01


def test_a_box_that_is_in_the_way():
    """What cannot be reached is left, said, and no bound is passed for it."""
    goals, origin, w, metric = make_goals(0.5)
    theta = choose_parameters(goals, origin, metric.spread)
    theta = origin + 100 * (theta - origin)
    found = find_weights(goals.objective, theta, w, metric, 0.1)
    assert found.residual > 0.1
    assert ((found.changes >= -1) & (found.changes <= 0.1)).all()
    gradient = goals.objective.gradient(theta, w * (1 + found.changes))
    np.testing.assert_allclose(gradient, found.gradient, atol=1e-9)


def test_weight_gradients_are_derivatives():
    """Of the gradient by weights: scales of classes and penalties included."""
    X, codes = make_rows(30, 3, 3)
    rng = np.random.default_rng(0)
    weight = rng.uniform(0.5, 2, 30)
    for name, class_weight in product(BASES, [None, "balanced", {0: 3, 1: 1, 2: 1}]):
        if "liblinear" in name:
            continue
        base = clone(BASES[name]).set_params(class_weight=class_weight)
        objective = make_objective(fit_quietly(base, X, codes), X, codes, weight)
        theta, w = rng.normal(size=objective.n_params), rng.uniform(0.5, 2, 30)
        found = objective.weight_gradients(theta, w, np.arange(30))
        for row in (0, 7):
            step = 1e-6 * (np.arange(30) == row)
            ends = [objective.gradient(theta, w + s * step) for s in (1, -1)]
            np.testing.assert_allclose(
                found[row], (ends[0] - ends[1]) / 2e-6, atol=1e-6
            )
        v = rng.normal(size=objective.n_params)
        np.testing.assert_allclose(found @ v, objective.scores(theta, w, v), atol=1e-9)

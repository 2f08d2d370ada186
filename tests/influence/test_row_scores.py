"""Scores of rows: what leaving them out would do, and which of them are mislabelled."""

import numpy as np
import pytest
from influence_reference import Convex, Written, read
from influence_support import make_rows
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from skunlearn import InfluenceUnlearningClassifier


@pytest.fixture(scope="module")
def data():
    """Return the convex test."""
    return Convex()


@pytest.fixture(scope="module")
def classifier(data):
    """Return a classifier fitted to it."""
    fitted = InfluenceUnlearningClassifier(data.base)
    return fitted.fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val)


def make_newton(base):
    """Return a classifier that holds no rows out."""
    return InfluenceUnlearningClassifier(base, method="newton", exact=False, tol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("base", "n_classes", "tol"),
    [
        (LogisticRegression(), 2, 0.03),
        (LogisticRegression(C=0.1, class_weight={0: 2.0}), 3, 0.03),
        (RidgeClassifier(), 2, 1e-10),
        (RidgeClassifier(fit_intercept=False), 3, 1e-10),
    ],
)
def test_leave_one_out_loss(base, n_classes, tol, weighted):
    """It is that of true optima without the row: all but exact, or quite for ridge."""
    X, codes = make_rows(60, 3, n_classes, seed=0)
    weight = np.random.default_rng(0).uniform(0.5, 2, 60) if weighted else None
    classifier = make_newton(base).fit(X, codes, weight)
    objective, theta = classifier._state.optimum.objective, read(classifier)
    losses = np.empty(60)
    for row in range(60):
        w = np.ones(60)
        w[row] = 0
        optimum = Written(base.fit(X, codes), X, codes, w, weight).optimise(theta)
        optimum = optimum.astype(float).ravel()
        own = np.array([row])
        losses[row] = (objective.losses(optimum, own) / objective._weigh(None)(own))[
            0, 0
        ]
    np.testing.assert_allclose(classifier.leave_one_out_loss(), losses, rtol=tol)


def test_self_influence():
    """What its own loss would rise without a row: to first order in all else."""
    X, codes = make_rows(300, 3, 2, seed=1)
    classifier = make_newton(LogisticRegression(C=0.1)).fit(X, codes)
    objective, theta = classifier._state.optimum.objective, read(classifier).ravel()
    rows = np.arange(0, 300, 10)
    own = classifier.self_influence()[rows]
    rise = 0.1 * classifier.leave_one_out_loss()[rows] - objective.losses(theta, rows)
    np.testing.assert_allclose(own, rise, rtol=0.1)
    H = objective.hessian(theta, np.ones(300))
    G = objective.row_gradients(theta, rows)
    np.testing.assert_allclose(own, (G @ np.linalg.inv(H) * G).sum(1), rtol=1e-9)


def test_mislabelled_rows_are_found(data, classifier):
    """All three find them; contributions to a criterion on clean rows as well."""
    wrong = np.isin(np.arange(data.n_rows), data.flipped)
    scores = {
        "contributions": -classifier.contributions(),
        "self_influence": classifier.self_influence(),
        "leave_one_out_loss": classifier.leave_one_out_loss(),
    }
    areas = {name: roc_auc_score(wrong, score) for name, score in scores.items()}
    assert areas["contributions"] > 0.98
    assert areas["self_influence"] > 0.995
    assert areas["leave_one_out_loss"] > 0.995
    for score in scores.values():
        first = np.argsort(score)[::-1][: len(data.flipped)]
        assert wrong[first].mean() > 0.9


def test_leave_one_out_is_as_good_as_cross_validation(data, classifier):
    """With no refit, it finds what losses by cross-validation find."""
    wrong = np.isin(np.arange(data.n_rows), data.flipped)
    P = cross_val_predict(
        clone(data.base), data.X, data.y, method="predict_proba", cv=5
    )
    crossed = roc_auc_score(wrong, -P[np.arange(data.n_rows), data.y])
    assert roc_auc_score(wrong, classifier.leave_one_out_loss()) > crossed - 0.001


def test_a_criterion_on_rows_that_are_trained_on_says_less(data, classifier):
    """Held-out rows with wrong labels among them are worse than clean ones."""
    noisy = InfluenceUnlearningClassifier(data.base, method="newton")
    wrong = np.isin(np.arange(data.n_rows), data.flipped)
    areas = [
        roc_auc_score(wrong, -m.contributions())
        for m in (noisy.fit(data.X, data.y), classifier)
    ]
    assert areas[0] < areas[1] - 0.05


@pytest.mark.parametrize("name", ["self_influence", "leave_one_out_loss"])
def test_n_jobs_does_not_matter(classifier, name):
    """Blocks of rows are scored by threads, to the same bits."""
    one = getattr(classifier, name)()
    classifier.set_params(n_jobs=3)
    np.testing.assert_array_equal(getattr(classifier, name)(), one)
    classifier.set_params(n_jobs=None)


def test_rows_that_are_gone_are_not_scored():
    """Scores are for retained rows in their order, as if others had not been there."""
    X, codes = make_rows(60, 3, 2, seed=2)
    classifier = make_newton(None).fit(X, codes).forget(range(10))
    fresh = make_newton(None).fit(X[10:], codes[10:])
    for name in ("contributions", "self_influence", "leave_one_out_loss"):
        scores, others = getattr(classifier, name)(), getattr(fresh, name)()
        np.testing.assert_allclose(scores, others, rtol=1e-5, atol=1e-8)

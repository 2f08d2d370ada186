"""What tests of influence share: linear classifiers, and small problems for them."""

import warnings

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.svm import LinearSVC

from skunlearn.influence._objectives.registry import find_objective

# With tolerances that scikit-learn's solvers can just reach.
BASES = {
    "logistic": LogisticRegression(solver="newton-cholesky", tol=1e-10),
    "logistic_free": LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10),
    "logistic_origin": LogisticRegression(
        C=0.1, fit_intercept=False, solver="newton-cholesky", tol=1e-10
    ),
    "logistic_liblinear": LogisticRegression(
        solver="liblinear", intercept_scaling=3, tol=1e-10, max_iter=1000
    ),
    "ridge": RidgeClassifier(),
    "ridge_origin": RidgeClassifier(alpha=3.0, fit_intercept=False),
    "svc": LinearSVC(C=0.3, intercept_scaling=2, tol=1e-9, dual=False),
    "svc_origin": LinearSVC(fit_intercept=False, tol=1e-9, dual=False),
    "sgd_log": SGDClassifier("log_loss", alpha=0.1, max_iter=5, tol=None),
    "sgd_hinge": SGDClassifier("squared_hinge", alpha=0.05, max_iter=5, tol=None),
    "sgd_huber": SGDClassifier("modified_huber", alpha=0.1, max_iter=5, tol=None),
    "sgd_free": SGDClassifier("log_loss", penalty=None, max_iter=5, tol=None),
}

CASES = [(n, k) for n in BASES for k in (2, 3) if k == 2 or "liblinear" not in n]
CONVERGENT = [(n, k) for n, k in CASES if not n.startswith("sgd")]


def make_rows(n_rows, n_features, n_classes, seed=0):
    """Return rows of overlapping classes, and codes: each class has two or more."""
    rng = np.random.default_rng(seed)
    codes = np.concatenate(
        [np.tile(range(n_classes), 2), rng.integers(n_classes, size=n_rows)]
    )[:n_rows]
    centres = rng.normal(size=(n_classes, n_features))
    return centres[codes] + rng.normal(size=(n_rows, n_features)), codes


def make_objective(estimator, X, codes, sample_weight=None):
    """Return the objective of a fitted estimator."""
    return find_objective(estimator)(estimator, X, codes, sample_weight)


@st.composite
def draw_estimator(draw, names, n_classes):
    """Draw a classifier that takes so many classes, with class weights or without."""
    names = [n for n in names if (n, min(n_classes, 3)) in CASES]
    estimator = clone(BASES[draw(st.sampled_from(names))])
    weights = dict.fromkeys(range(n_classes), 0.7) | {0: 3.0}
    class_weight = draw(st.sampled_from([None, "balanced", weights]))
    return estimator.set_params(class_weight=class_weight)


@st.composite
def draw_problem(draw, names=tuple(BASES), sparse_too=True):
    """Draw an objective, and parameters, row weights and a direction for it."""
    n_classes = draw(st.integers(2, 4))
    n_rows, n_features = draw(st.integers(10, 20)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    X, codes = make_rows(n_rows, n_features, n_classes, rng)
    estimator = draw(draw_estimator(names, n_classes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # only what can be read off shapes is used
        estimator.fit(X, codes)
    if sparse_too and draw(st.booleans()):
        X = sparse.csr_matrix(
            X * (rng.random(X.shape) < draw(st.sampled_from([0.05, 1])))
        )
    weight = rng.uniform(0.5, 2, n_rows) if draw(st.booleans()) else None
    objective = make_objective(estimator, X, codes, weight)
    objective.estimator = estimator  # for tests alone
    theta, v = rng.normal(size=(2, objective.n_params))
    Z = objective._multiply(slice(None), theta)
    assume((abs(abs(Z) - 1) > 1e-3).all())  # there second derivatives jump
    return objective, theta, rng.uniform(0.5, 2, n_rows), v

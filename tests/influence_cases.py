"""What tests of InfluenceUnlearningClassifier share: configurations and oracles."""

import copy
import pickle

import numpy as np
from influence_support import BASES, make_rows
from scipy import sparse
from sklearn.base import clone
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from support import assert_identical

from skunlearn import InfluenceUnlearningClassifier

NAMES = np.array(["ash", "birch", "cedar", "doum"])

# Every base that is supported, with the number of classes that it is tried on.
ESTIMATORS = {
    "binary": (BASES["logistic"], 2),
    "multinomial": (BASES["logistic"], 3),
    "free": (BASES["logistic_free"], 3),
    "origin": (BASES["logistic_origin"], 3),
    "balanced": (clone(BASES["logistic"]).set_params(class_weight="balanced"), 3),
    "weighted": (
        clone(BASES["logistic"]).set_params(class_weight={"ash": 3.0, "birch": 0.5}),
        2,
    ),
    "liblinear": (BASES["logistic_liblinear"], 2),
    "ridge": (BASES["ridge"], 3),
    "ridge_balanced": (clone(BASES["ridge"]).set_params(class_weight="balanced"), 2),
    "svc": (BASES["svc"], 3),
    "sgd_log": (BASES["sgd_log"], 3),
    "sgd_hinge": (BASES["sgd_hinge"], 2),
    "sgd_huber": (BASES["sgd_huber"], 3),
    "pipeline": (make_pipeline(FunctionTransformer(), BASES["logistic"]), 3),
}
METHODS = ("newton", "influence", "puma")


def make_data(n_classes=3, n_rows=90, seed=0):
    """Return rows of overlapping classes, with some wrong labels, and their names."""
    X, codes = make_rows(n_rows, 3, n_classes, seed)
    codes[::9] = (codes[::9] + 1) % n_classes
    return X, NAMES[codes]


def make_case(name="multinomial", **params):
    """Return an unfitted classifier on one of ESTIMATORS."""
    params = {
        "method": "newton",
        "exact": False,
        "tol": 1e-9,
        "random_state": 7,
        **params,
    }
    return InfluenceUnlearningClassifier(clone(ESTIMATORS[name][0]), **params)


def fit_case(name="multinomial", *, as_sparse=False, weighted=False, **params):
    """Return a fitted classifier and what it was fitted to, the weights included."""
    X, y = make_data(ESTIMATORS[name][1])
    weight = np.random.default_rng(1).uniform(0.5, 2, len(y)) if weighted else None
    rows = sparse.csr_array(X) if as_sparse else X
    return make_case(name, **params).fit(rows, y, weight), rows, y, weight


def fit_anew(classifier, X, y, weight=None):
    """Return a fresh fit, to the optimum, with the weights that rows have now."""
    weights = classifier.weights_
    keep = np.flatnonzero(weights)
    weights = weights[keep] if weight is None else (weights * weight)[keep]
    fresh = clone(classifier).set_params(method="newton")
    return fresh.fit(X[keep], y[keep], weights)


def fit_base(classifier, X, y, weight=None):
    """Return scikit-learn's own fit of the base on what a classifier has retained."""
    keep = classifier.retained_indices_
    base, named = clone(classifier.estimator), {}
    if weight is not None:
        name = f"{base.steps[-1][0]}__" if isinstance(base, Pipeline) else ""
        named = {f"{name}sample_weight": weight[keep]}
    return base.fit(X[keep], y[keep], **named)


def get_vector(classifier):
    """Return coefficients and intercepts in one vector."""
    return classifier._state.optimum.theta


def snapshot(classifier):
    """Return all that a classifier is, apart from the classifier."""
    return pickle.loads(pickle.dumps(classifier))


def assert_unchanged(classifier, before):
    """Assert that a classifier is still what a snapshot says, bit for bit."""
    assert_identical(snapshot(classifier), snapshot(before))


def copy_of(classifier):
    """Return a copy that goes its own way."""
    return copy.deepcopy(classifier)

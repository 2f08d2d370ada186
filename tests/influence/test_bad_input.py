"""Ill-formed use of the influence classifier: every case has a defined answer."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from influence_cases import (
    ESTIMATORS,
    NAMES,
    fit_anew,
    get_vector,
    make_case,
    make_data,
    snapshot,
)
from scipy import sparse
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from support import assert_identical

from skunlearn import InfluenceUnlearningClassifier
from skunlearn.exceptions import UnlearningQualityWarning, UnsupportedEstimatorError

X, Y = make_data()


class Subclass(LogisticRegression):
    """It may minimise something else."""


UNSUPPORTED = {
    "forest": RandomForestClassifier(),
    "svc": SVC(),
    "search": LogisticRegressionCV(),
    "subclass": Subclass(),
    "perceptron": Perceptron(),
    "pipeline": make_pipeline(StandardScaler(), SVC()),
    "l1": LogisticRegression(l1_ratio=1, solver="saga"),
    "elastic net": LogisticRegression(l1_ratio=0.5, solver="saga"),
    "l1 of svc": LinearSVC(penalty="l1"),
    "hinge": LinearSVC(loss="hinge"),
    "joint": LinearSVC(multi_class="crammer_singer"),
    "sgd hinge": SGDClassifier(),
    "sgd l1": SGDClassifier("log_loss", penalty="l1"),
    "sgd elastic net": SGDClassifier("log_loss", penalty="elasticnet"),
    "sgd early stopping": SGDClassifier("log_loss", early_stopping=True),
    "positive": RidgeClassifier(positive=True),
    "alphas": RidgeClassifier(alpha=np.array([1.0, 2.0, 3.0])),
}


@pytest.mark.parametrize("kind", UNSUPPORTED)
@pytest.mark.parametrize("wrapped", [False, True])
def test_unsupported_estimators(kind, wrapped):
    """The message says what is supported, and what takes any classifier."""
    estimator = UNSUPPORTED[kind]
    if wrapped:
        estimator = make_pipeline("passthrough", estimator)
    classifier = InfluenceUnlearningClassifier(estimator)
    names = ("LogisticRegression", "RidgeClassifier", "LinearSVC", "SGDClassifier")
    with pytest.raises(UnsupportedEstimatorError) as caught:
        classifier.fit(X, Y)
    assert all(n in str(caught.value) for n in (*names, "ShardedUnlearningClassifier"))
    assert not hasattr(classifier, "n_features_in_")


def test_liblinear_of_three_classes():
    """Where scikit-learn fits one class at a time, or refuses to, there is an error."""
    base = LogisticRegression(solver="liblinear")
    with pytest.raises((ValueError, UnsupportedEstimatorError)):
        InfluenceUnlearningClassifier(base).fit(X, Y)


class Half:
    """Lacks a method of a criterion."""

    def value(self, decision, y):
        """Return nothing of interest."""
        return 0.0


@pytest.mark.parametrize(
    "params",
    [
        {"estimator": "logistic"},
        {"method": "magic"},
        {"criterion": "auc"},
        {"criterion": Half()},
        {"criterion": None},
        {"validation_fraction": 1.0},
        {"validation_fraction": -0.1},
        {"validation_fraction": 0},
        {"hessian": "none"},
        {"eta": 0},
        {"eta": "none"},
        {"max_weight": -1},
        {"max_reabsorption": -0.1},
        {"certify": 0.1},
        {"certify": (0.1,)},
        {"certify": (0.0, 0.1)},
        {"certify": (0.1, 1.0)},
        {"certify": (0.1, 0.0)},
        {"certify": (np.nan, 0.1)},
        {"certify": ("a", 0.1)},
        {"noise_scale": 0},
        {"solver": "lbfgs"},
        {"damping": -1.0},
        {"damping": np.nan},
        {"tol": -1.0},
        {"tol": np.nan},
        {"max_iter": 0},
        {"n_steps": 0},
        {"n_steps": 1.5},
        {"n_jobs": 0.5},
        {"random_state": "now"},
    ],
)
def test_bad_parameters(params):
    """A bad parameter is named at fit, and then nothing is fitted."""
    classifier = InfluenceUnlearningClassifier(method="puma").set_params(**params)
    with pytest.raises((ValueError, TypeError), match=next(iter(params))):
        classifier.fit(X, Y)
    assert not hasattr(classifier, "classes_")
    assert not hasattr(classifier, "n_features_in_")


# Rows for the criterion


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"X_val": X}, "must be given together"),
        ({"y_val": Y}, "must be given together"),
        ({"X_val": X, "y_val": Y[:-1]}, "inconsistent numbers"),
        ({"X_val": X[:, :2], "y_val": Y}, "features"),
        ({"X_val": np.column_stack([X, X]), "y_val": Y}, "features"),
        ({"X_val": X[0], "y_val": Y[:1]}, "1D array"),
        ({"X_val": X * np.nan, "y_val": Y}, "NaN"),
        ({"X_val": X[:0], "y_val": Y[:0]}, "0 sample"),
        ({"X_val": X, "y_val": np.full(90, "oak")}, "y_val has labels .*oak"),
        ({"X_val": X, "y_val": np.arange(90)}, "y_val has labels"),
        ({"X_val": X, "y_val": np.ones((90, 2))}, "1d array"),
        ({"X_val": "rows", "y_val": Y}, "array|convert"),
    ],
)
@pytest.mark.parametrize("name", ["multinomial", "pipeline"])
def test_bad_rows_for_the_criterion(name, given, match):
    """They are checked at fit, and not at the first forget."""
    classifier = make_case(name, method="puma", validation_fraction=0)
    with pytest.raises((ValueError, TypeError), match=match) as caught:
        classifier.fit(X, Y, **given)
    assert "fit changed nothing" in "".join(caught.value.__notes__)
    assert not hasattr(classifier, "classes_")


def test_rows_for_the_criterion_in_other_columns():
    """Names of features count for them too."""
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    classifier = make_case(method="puma")
    with pytest.raises(ValueError, match="feature names"):
        classifier.fit(frame, Y, X_val=frame[["b", "a", "c"]], y_val=Y)


def test_rows_for_the_criterion_lift_the_need_to_hold_out():
    """With X_val and y_val all rows are trained on; without, some have to be held."""
    classifier = make_case(method="puma", validation_fraction=0)
    with pytest.raises(ValueError, match="validation_fraction"):
        classifier.fit(X, Y)
    classifier.fit(X, Y, X_val=sparse.csr_array(X), y_val=Y).forget(3)
    assert classifier.weights_[3] == 0
    assert np.count_nonzero(classifier.weights_) == 89
    for method in ("newton", "influence"):
        assert make_case(method=method).fit(X, Y).weights_.all()


class Criterion:
    """Something to do with decisions, right or wrong."""

    def __init__(self, value=None, gradient=None):
        self._value = value or (lambda z, y: float(z[:, 0].mean()))
        self._gradient = gradient or (lambda z, y: np.eye(3)[[0] * len(z)] / len(z))

    def value(self, decision, y):
        """Return the criterion."""
        return self._value(decision, y)

    def gradient(self, decision, y):
        """Return its derivatives."""
        return self._gradient(decision, y)


def test_a_criterion_gets_labels_and_decisions():
    """It sees what a user of the classifier would see."""
    seen = []
    criterion = Criterion(lambda z, y: float(seen.append((z.shape, set(y))) or z.sum()))
    make_case(method="puma", criterion=criterion).fit(X, Y).forget(range(5))
    assert all(shape[1] == 3 and labels <= set(NAMES) for shape, labels in seen)
    assert len(seen) >= 2


def _fail(*args):
    raise RuntimeError("no criterion today")


@pytest.mark.parametrize(
    ("criterion", "error"),
    [
        (Criterion(gradient=lambda z, y: np.ones(len(y))), ValueError),
        (Criterion(gradient=lambda z, y: np.ones((3, len(y)))), ValueError),
        (Criterion(gradient=lambda z, y: 1.0), ValueError),
        (Criterion(gradient=lambda z, y: "steep"), ValueError),
        (Criterion(gradient=lambda z, y: np.full(z.shape, np.nan)), ValueError),
        (Criterion(value=lambda z, y: np.nan), ValueError),
        (Criterion(value=lambda z, y: "good"), ValueError),
        (Criterion(value=_fail), RuntimeError),
        (Criterion(gradient=_fail), RuntimeError),
    ],
)
def test_bad_criteria(criterion, error):
    """What a criterion returns is checked, at fit and at each forget."""
    classifier = make_case(method="puma", criterion=criterion)
    with pytest.raises(error, match=r"criterion|could not convert"):
        classifier.fit(X, Y)
    assert not hasattr(classifier, "classes_")
    classifier.set_params(criterion=Criterion()).fit(X, Y)
    harmful = np.argsort(classifier.contributions())[-3:]
    vars(classifier._state.criterion).update(vars(criterion))
    theta = get_vector(classifier).copy()
    for call in (classifier.forget, classifier.preview_forget):
        with pytest.raises(error, match=r"criterion|could not convert"):
            call(harmful)
    assert not len(classifier.forgotten_indices_)
    assert get_vector(classifier).tobytes() == theta.tobytes()


# Rows


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["multinomial", "ridge", "pipeline"])
def test_missing_and_infinite_values(name, value):
    """They are refused, in rows, weights and at predict."""
    bad = X.copy()
    bad[5, 1] = value
    weight = np.ones(90)
    weight[5] = value
    for rows in (bad, sparse.csr_array(bad)):
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            make_case(name).fit(rows, Y)
    with pytest.raises(ValueError, match=r"NaN|infinity|egative"):
        make_case(name).fit(X, Y, weight)
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        make_case(name).fit(X, Y).predict(bad)


@pytest.mark.parametrize(
    ("rows", "y", "match"),
    [
        (X[:0], Y[:0], "0 sample"),
        (X[:, :0], Y, "0 feature"),
        (X[0], Y[:1], "1D array"),
        (X, Y[:-1], "inconsistent numbers"),
        (X, None, "y"),
        (X, X[:, 0], "continuous"),
        (X, np.column_stack([Y, Y]), "1d array|shape"),
        (X, np.full(90, "ash"), "one class"),
        (X[:1], Y[:1], "one class"),
        (X, np.where(np.arange(90) > 3, 1.0, np.nan), "NaN"),
        (X[:, :, None], Y, "dim 3"),
        (X.astype(str) + "x", Y, "convert"),
        (X * 1j, Y, "omplex"),
    ],
)
@pytest.mark.parametrize("name", ["multinomial", "pipeline"])
def test_bad_rows(name, rows, y, match):
    """Rows and labels are checked as scikit-learn does it."""
    for method in ("newton", "puma"):
        with pytest.raises((ValueError, TypeError), match=match):
            make_case(name, method=method).fit(rows, y)


@pytest.mark.parametrize(
    "weight", [np.ones(89), -np.ones(90), np.zeros(90), np.ones((90, 2)), "heavy"]
)
def test_bad_weights(weight):
    """Weights are numbers that are not negative, and not all zero."""
    with pytest.raises(ValueError, match=r"sample_weight|Sample weights|could not"):
        make_case().fit(X, Y, weight)


@pytest.mark.parametrize("method", ["newton", "puma"])
@pytest.mark.parametrize("name", ["binary", "ridge", "svc", "sgd_log"])
def test_very_few_rows(name, method):
    """Two rows, one of each class, are enough to start with."""
    rows, y = np.array([[0.0, 1.0], [1.0, 0.0], [0.9, 0.2]]), NAMES[[0, 1, 1]]
    classifier = make_case(name, method=method)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnlearningQualityWarning)  # none to hold out
        classifier.fit(rows[:2], y[:2])
    assert classifier.predict(rows[:2]).tolist() == ["ash", "birch"]
    classifier.forget(0)
    assert classifier.predict(rows).tolist() == ["birch"] * 3


@pytest.mark.parametrize("name", ["multinomial", "pipeline"])
def test_wrong_rows_at_predict(name):
    """The number of features is that of fit."""
    classifier = make_case(name).fit(X, Y).forget(3)
    for method in ("predict", "predict_proba", "decision_function"):
        call = getattr(classifier, method)
        for bad in (X[:, :2], X[0], sparse.csr_array(X[:, :2])):
            with pytest.raises(ValueError, match=r"features|1D array"):
                call(bad)
    with pytest.raises(ValueError, match="features"):
        classifier.score(X[:, :2], Y)


def test_names_of_features():
    """They are those of fit, and stay so after a forget."""
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    for name in ("multinomial", "pipeline"):
        classifier = make_case(name).fit(frame, Y).forget(3)
        assert classifier.feature_names_in_.tolist() == ["a", "b", "c"]
        np.testing.assert_array_equal(
            classifier.predict(frame), make_case(name).fit(X, Y).forget(3).predict(X)
        )
        with pytest.raises(ValueError, match="feature names"):
            classifier.predict(frame.rename(columns={"a": "z"}))
    classifier.fit(X, Y)
    assert not hasattr(classifier, "feature_names_in_")


# Objectives without a good optimum


def make_separable(n_classes=2):
    """Return classes that a plane tells apart."""
    X, y = make_data(n_classes)
    return X + 10 * np.eye(3)[np.searchsorted(NAMES, y)], y


UNPENALISED = {
    "logistic": LogisticRegression(C=np.inf),
    "newton": LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10),
    "sgd_log": SGDClassifier("log_loss", penalty=None, random_state=0),
    "sgd_hinge": SGDClassifier("squared_hinge", penalty=None, random_state=0),
    "sgd_huber": SGDClassifier("modified_huber", penalty=None, random_state=0),
}


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", UNPENALISED)
def test_separable_classes_without_a_penalty(name, n_classes):
    """There is no optimum, or no single one, and fit says so."""
    rows, y = make_separable(n_classes)
    classifier = InfluenceUnlearningClassifier(UNPENALISED[name], method="newton")
    with pytest.warns(UnlearningQualityWarning, match="no finite optimum|not unique"):
        classifier.fit(rows, y)
    assert classifier.score(rows, y) == 1
    assert classifier.distance_bound_ == np.inf


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", ["logistic", "newton", "sgd_log"])
def test_separable_classes_by_conjugate_gradients(name, n_classes):
    """Nor do products with Hessians find an optimum that is not there."""
    rows, y = make_separable(n_classes)
    classifier = InfluenceUnlearningClassifier(
        UNPENALISED[name], method="newton", solver="cg"
    )
    with pytest.warns(UnlearningQualityWarning, match="no finite optimum"):
        classifier.fit(rows, y)


UNBOUNDED = r"no finite optimum|not unique|cannot be bounded"


@pytest.mark.filterwarnings("ignore::skunlearn.exceptions.UnlearningQualityWarning")
@pytest.mark.parametrize("make", [make_data, make_separable])
@pytest.mark.parametrize("solver", ["cholesky", "cg"])
@pytest.mark.parametrize("name", ["binary", "free", "svc", *UNPENALISED])
def test_fit_warns_if_and_only_if_there_is_no_bound(name, solver, make):
    """Silence means a bound: with any loss, penalty and solver."""
    base = clone(UNPENALISED[name] if name in UNPENALISED else ESTIMATORS[name][0])
    classifier = InfluenceUnlearningClassifier(base, method="newton", solver=solver)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        classifier.fit(*make(3))
    warned = any(re.search(UNBOUNDED, str(w.message)) for w in caught)
    assert warned == (not np.isfinite(classifier.distance_bound_))


@pytest.mark.parametrize(
    ("n_gone", "params", "advice"),
    [
        (40, {"method": "newton", "n_steps": 1}, "Set n_steps='auto'"),
        (60, {"method": "influence"}, "Set method='newton'"),
        (60, {"method": "influence", "n_steps": 1}, "Set method='newton'"),
        (60, {"method": "newton", "solver": "cg"}, "solver='cholesky'"),
        (60, {"method": "newton", "solver": "cg", "n_steps": 1}, "solver='cholesky'"),
    ],
)
def test_advice_is_never_what_was_done_already(n_gone, params, advice):
    """Where a forget has no bound, the warning names what would give one."""
    classifier = InfluenceUnlearningClassifier(LogisticRegression(C=np.inf), **params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnlearningQualityWarning)
        classifier.fit(X, Y)
    with pytest.warns(UnlearningQualityWarning, match=advice):
        classifier.forget(range(n_gone))
    assert classifier.distance_bound_ == np.inf


def test_classes_that_become_separable():
    """A forget that takes the optimum away says so."""
    rows, y = make_separable()
    rows, y = np.vstack([rows, rows[:4]]), np.append(y, y[:4][::-1])
    assert (y[:4] != y[90:]).sum() > 1
    base = LogisticRegression(C=np.inf)
    classifier = InfluenceUnlearningClassifier(base, method="newton").fit(rows, y)
    assert np.isfinite(classifier.distance_bound_)
    with pytest.warns(UnlearningQualityWarning) as caught:
        classifier.forget(range(90, 94))
    assert any("no finite optimum" in str(w.message) for w in caught)
    assert classifier.distance_bound_ == np.inf


@pytest.mark.filterwarnings("ignore:.*singular")  # of a base's solver
@pytest.mark.parametrize("name", ESTIMATORS)
def test_columns_that_depend_on_each_other(name):
    """With a penalty all is well; without one it is said that the optimum is no one."""
    rows, y = make_data(ESTIMATORS[name][1])
    rows = np.column_stack([rows, rows[:, 0], np.zeros(90), rows.sum(axis=1)])
    classifier = make_case(name)
    if name != "free":
        classifier.fit(rows, y).forget(range(20))
        fresh = fit_anew(classifier, rows, y)
        np.testing.assert_allclose(get_vector(classifier), get_vector(fresh), atol=1e-5)
        return
    with pytest.warns(UnlearningQualityWarning, match="not unique"):
        classifier.fit(rows, y)
    assert classifier.distance_bound_ == np.inf
    with pytest.warns(UnlearningQualityWarning, match="cannot be bounded"):
        classifier.forget(range(20))


@pytest.mark.filterwarnings("ignore:.*ill-conditioned")  # of a base's solver
@pytest.mark.parametrize("name", ["binary", "multinomial", "ridge", "svc", "free"])
def test_columns_of_all_scales(name):
    """From 1e-6 to 1e6, predictions are those of training anew."""
    rows, y = make_data(ESTIMATORS[name][1])
    rows = rows * [1e-6, 1.0, 1e6]
    classifier = make_case(name).fit(rows, y)
    classifier.forget([3]).forget(range(10, 30))
    fresh = fit_anew(classifier, rows, y)
    method = "decision_function" if name in ("ridge", "svc") else "predict_proba"
    ask = getattr(classifier, method), getattr(fresh, method)
    np.testing.assert_allclose(ask[0](rows), ask[1](rows), atol=1e-5)


@pytest.mark.parametrize("method", ["newton", "puma"])
def test_an_outlier(method):
    """A row that is a million times larger than others goes without a trace."""
    rows = X.copy()
    rows[4] *= 1e6
    classifier = make_case(method=method, random_state=1).fit(rows, Y)
    assert classifier.weights_[4] == 1
    _forget_loudly(classifier, 4)
    fresh = fit_anew(classifier, rows, Y)
    np.testing.assert_allclose(
        classifier.decision_function(X[:4]), fresh.decision_function(X[:4]), atol=1e-4
    )


def _forget_loudly(classifier, position):
    """Forget a row; a warning may say that the classifier was refitted."""
    try:
        before = snapshot(classifier)
        classifier.forget(position)
    except UnlearningQualityWarning as warning:
        assert "refitted" in str(warning)  # noqa: PT017
        assert_identical(get_vector(before), get_vector(classifier))
        with pytest.warns(UnlearningQualityWarning, match="refitted"):
            classifier.forget(position)


@pytest.mark.parametrize(
    "params", [{}, {"solver": "cg"}, {"certify": (1.0, 1e-3), "noise_scale": 10.0}]
)
@pytest.mark.parametrize("name", ["binary", "multinomial", "origin", "ridge", "svc"])
def test_an_optimum_is_found(name, params):
    """Fit ends where the gradient is nothing, noise in the objective or not."""
    rows, y = make_data(ESTIMATORS[name][1])
    classifier = make_case(name, **params).fit(rows, y)
    assert classifier.gradient_residual_ < 1e-6
    assert np.isfinite(classifier.distance_bound_)


@pytest.mark.parametrize("as_frame", [False, True])
def test_transformers_that_learn(as_frame):
    """Fit says which of them have seen the rows, and stateless ones are passed by."""
    rows = pd.DataFrame(X, columns=["a", "b", "c"]) if as_frame else X
    steps = FunctionTransformer(), StandardScaler(), LogisticRegression()
    classifier = InfluenceUnlearningClassifier(make_pipeline(*steps), method="newton")
    with pytest.warns(
        UnlearningQualityWarning, match=r"forgotten: StandardScaler will still"
    ):
        classifier.fit(rows, Y)
    classifier.forget(range(5))
    assert not hasattr(classifier.estimator[-1], "classes_")
    before = clone(classifier.estimator[1]).fit(X)
    np.testing.assert_allclose(classifier.estimator_[1].mean_, before.mean_)

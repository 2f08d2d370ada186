"""Laws of heads: those of linear models, on the features that a network has learnt."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from network_cases import (
    NETWORKS,
    fit_case,
    get_features,
    get_head,
    make_case,
    make_data,
    make_perceptron,
)
from scipy.special import softmax
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from support import assert_identical, thin

from skunlearn import InfluenceUnlearningClassifier, ShardedUnlearningClassifier
from skunlearn._estimators.skorch_nets import find_net
from skunlearn.exceptions import UnlearningQualityWarning, UnsupportedEstimatorError
from skunlearn.metrics import audit_forget

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

REQUESTS = st.lists(st.sets(st.integers(0, 89), max_size=12), max_size=3)


@pytest.mark.parametrize("name", thin(NETWORKS))
@settings(max_examples=3)
@given(requests=REQUESTS)
def test_head_is_that_of_a_fresh_fit(name, requests):
    """Bit for bit, after any requests, where the features of both are the same."""
    classifier, X, y = fit_case(name)
    for request in requests:
        classifier.forget(sorted(request))
    keep = classifier.retained_indices_
    fresh = make_case(name).fit(X[keep], y[keep])
    assert classifier.exact_
    assert_identical(get_head(classifier), get_head(fresh))
    assert_identical(classifier.predict_proba(X), fresh.predict_proba(X))
    assert_identical(classifier.predict(X), fresh.predict(X))


@pytest.mark.parametrize("name", ["perceptron", "softmax", "logits", "two_outputs"])
def test_classes_that_disappear_leave_the_network(name):
    """The head is then that of the classes left, down to a single one."""
    classifier, X, y = fit_case(name)
    for lost in sorted(set(y))[:-1]:
        with pytest.warns(UserWarning, match="lost its last row"):
            classifier.forget(y == lost)
        keep = classifier.retained_indices_
        np.testing.assert_array_equal(classifier.classes_, np.unique(y[keep]))
        if len(classifier.classes_) == 1:
            break
        outputs = getattr(get_head(classifier), "outputs", None)
        fresh = make_case(name).fit(X[keep], y[keep])
        assert_identical(get_head(classifier).coef_, get_head(fresh).coef_)
        proba = classifier.predict_proba(X)
        np.testing.assert_allclose(proba, fresh.predict_proba(X), rtol=1e-5)
        if outputs is not None:  # and the net has the old number of them
            whole = classifier.estimator_.predict_proba(X.astype(np.float32))
            np.testing.assert_allclose(whole[:, list(outputs)], proba, atol=1e-6)
    assert set(classifier.predict(X)) == {max(y.tolist())}


@pytest.mark.parametrize("name", NETWORKS)
def test_estimator_gives_the_answers(name):
    """It is a net of the kind that was given, and the head's logits are its own."""
    classifier, X, _ = fit_case(name)
    classifier.forget(range(7))
    net = classifier.estimator_
    assert type(net) is type(classifier.estimator)
    own = net.predict_proba(X.astype(np.float32) if find_net(net) is not None else X)
    np.testing.assert_allclose(classifier.predict_proba(X), own, rtol=1e-5)
    objective, theta = (getattr(classifier._state.optimum, n) for n in HELD)
    Z = objective.decision_function(theta, get_features(classifier, X))
    Z = np.column_stack([0 * Z, Z]) if Z.ndim == 1 else Z
    np.testing.assert_allclose(own, softmax(Z, axis=1), rtol=1e-4, atol=1e-7)


HELD = ("objective", "theta")


@pytest.mark.parametrize("name", ["perceptron", "binary_perceptron", "small_batches"])
def test_head_is_optimum_of_the_network_with_its_weight_decay(name):
    """The penalised loss of scikit-learn is flat there, in weights and biases."""
    classifier, X, y = fit_case(name)
    classifier.forget(range(7))
    net, keep = classifier.estimator_, classifier.retained_indices_
    batch = 90 if net.batch_size == "auto" else net.batch_size
    n_steps = len(keep) if net.batch_size == "auto" else batch

    def measure():
        decay = net.alpha / 2 / (n_steps if batch == 90 else batch)
        return log_loss(y[keep], net.predict_proba(X[keep])) + decay * np.sum(
            net.coefs_[-1] ** 2
        )

    for values in (net.coefs_[-1], net.intercepts_[-1]):
        for place in np.ndindex(values.shape):
            slope, value = 0.0, values[place]
            for sign in (1, -1):
                values[place] = value + sign * 1e-4
                slope += sign * measure() / 2e-4
            values[place] = value
            assert abs(slope) < 1e-4


def test_head_is_logistic_regression_of_features():
    """Where batches are whole, C is the inverse of alpha."""
    classifier, X, y = fit_case(exact=False, tol=1e-9)
    classifier.forget(range(20))
    keep = classifier.retained_indices_
    reference = LogisticRegression(C=50, solver="newton-cholesky", tol=1e-12)
    reference.fit(get_features(classifier, X[keep]), y[keep])
    head = get_head(classifier)
    distance = np.hypot(
        np.linalg.norm(head.coef_ - reference.coef_),
        np.linalg.norm(head.intercept_ - reference.intercept_),
    )
    assert distance <= classifier.distance_bound_ + 1e-9 < 1e-6


def test_contributions_predict_what_removal_does():
    """They are the first order of the criterion's change, with other rows for it."""
    X, y = make_data(3, 300)
    X, y, X_val, y_val = X[:200], y[:200], X[200:], y[200:]
    classifier = make_case(exact=False).fit(X, y, X_val=X_val, y_val=y_val)
    rows = np.arange(0, 200, 12)
    before = log_loss(y_val, classifier.predict_proba(X_val))
    changes = [
        log_loss(y_val, pickle.loads(whole).forget(row).predict_proba(X_val)) - before
        for whole in [pickle.dumps(classifier)]
        for row in rows
    ]
    found = classifier.contributions()[rows]
    assert np.corrcoef(found, changes)[0, 1] > 0.99
    assert len(classifier.self_influence()) == len(classifier.leave_one_out_loss())


def test_puma_and_certify_work_on_heads():
    """As on linear models; the warning says what the certificate does not cover."""
    classifier, _, y = fit_case(method="puma")
    record = classifier.forget(range(9)).forget_records_[-1]
    assert record.criterion_change_retrained is not None
    with pytest.warns(UnlearningQualityWarning, match="covers its head alone"):
        fit_case(certify=(1.0, 1e-4))
    assert len(classifier.predict(make_data()[0])) == len(y)


@pytest.mark.parametrize("name", ["perceptron", "net_in_pipeline"])
def test_groups_pickles_and_records(name):
    """Groups go together, pickles go on alike, and no record calls a network exact."""
    X, y = make_data()
    groups = [f"user-{i // 3}" for i in range(90)]
    classifier = make_case(name).fit(X, y, groups=groups)
    twin = pickle.loads(pickle.dumps(classifier))
    for each in (classifier, twin):
        each.forget(groups=["user-3", "user-17"])
    assert classifier.forget_records_[-1].kind == "approximate"
    assert classifier.forget_records_[-1].n_forgotten == 6
    assert_identical(twin.predict_proba(X), classifier.predict_proba(X))
    again = pickle.loads(pickle.dumps(classifier))
    assert_identical(again.predict_proba(X), classifier.predict_proba(X))


@pytest.mark.parametrize("name", ["perceptron", "softmax"])
def test_no_features_of_forgotten_rows_are_kept(name):
    """Nor the rows themselves, which are not needed any more after fit."""
    classifier, X, _ = fit_case(name)
    H = get_features(classifier, X)
    kept = pickle.dumps(classifier)
    assert all(row.tobytes() in kept for row in H)
    assert not any(row.tobytes() in kept for row in (*X, *X.astype(np.float32)))
    left = pickle.dumps(classifier.forget(range(20)))
    assert not any(row.tobytes() in left for row in H[:20])


@pytest.mark.parametrize("name", ["perceptron", "softmax"])
def test_no_name_of_a_class_that_disappears_is_kept(name):
    """Nor in the layers, which have their outputs from the head."""
    classifier, _, y = fit_case(name)
    text = np.array(["birch"]).tobytes()
    assert text in pickle.dumps(classifier)
    with pytest.warns(UserWarning, match="lost its last row"):
        classifier.forget(y == "birch")
    assert text not in pickle.dumps(classifier)


def test_layers_that_are_trained_are_left_alone():
    """A network that has learnt keeps its layers, and the patch is that of its head."""
    X, y = make_data(3, 200)
    base = MLPClassifier((8,), max_iter=30, random_state=0)
    classifier = InfluenceUnlearningClassifier(base, scope="head").fit(X, y)
    bare = clone(base).fit(X, y)
    assert classifier.score(X, y) > bare.score(X, y) - 0.05
    classifier.forget(range(40))
    net = classifier.estimator_
    assert_identical(net.coefs_[0], bare.coefs_[0])
    assert not (net.coefs_[1] == bare.coefs_[1]).any()
    before = net.coefs_[1].copy()
    net.partial_fit(X, y)
    assert not (net.coefs_[1] == before).any()
    assert np.isfinite(net.loss_)


@pytest.mark.parametrize("scope", ["head", "all"])
def test_training_is_seeded(scope):
    """By the classifier, where the network has no seed of its own."""
    X, y = make_data(3, 50)
    base = MLPClassifier((4,), max_iter=3)
    fits = [
        InfluenceUnlearningClassifier(base, scope=scope, random_state=seed).fit(X, y)
        for seed in (0, 0, 1)
    ]
    first, second, other = (each.predict_proba(X) for each in fits)
    assert_identical(first, second)
    assert not (first == other).any()
    assert fits[0].estimator_.random_state is None
    generator = np.random.RandomState(0)
    base.set_params(random_state=generator)
    for each in fits[:2]:  # draws from a copy, each time
        each.set_params(estimator=base).fit(X, y)
    first, second = (each.predict_proba(X) for each in fits[:2])
    assert_identical(first, second)
    assert generator.rand() == np.random.RandomState(0).rand()


def test_user_is_told_that_features_saw_the_rows():
    """Unless the scope was chosen; audits say it, too."""
    X, y = make_data()
    with pytest.warns(UnlearningQualityWarning, match="still contain information"):
        classifier = make_case(scope="auto").fit(X, y)
    report = audit_forget(
        classifier.forget(range(9)), X[:9], y[:9], X, y, X_idx=range(9), method="replay"
    )
    assert not report.flagged
    assert any("features saw all rows" in each for each in report.findings)


def test_weights_count_for_layers_and_head():
    """Rows of weight 0 are no rows, for the features neither."""
    X, y = make_data()
    weight = np.repeat([1.0, 0.0, 2.0], 30)
    base = MLPClassifier((4,), solver="lbfgs", max_iter=5, random_state=0)
    weighted = InfluenceUnlearningClassifier(base, scope="head").fit(X, y, weight)
    fresh = InfluenceUnlearningClassifier(base, scope="head")
    there = weight > 0
    fresh.fit(X[there], y[there], weight[there])
    assert_identical(weighted.predict_proba(X), fresh.predict_proba(X))


def test_exactness_that_cannot_be_is_refused():
    """A head too large for a Hessian is no linear model of another kind."""
    X, y = make_data()
    with pytest.raises(ValueError, match="solver='cholesky'"):
        make_case(exact=True, solver="cg").fit(X, y)
    with pytest.raises(UnsupportedEstimatorError, match="MLPClassifier"):
        InfluenceUnlearningClassifier(ShardedUnlearningClassifier()).fit(X, y)


def test_no_weight_decay_means_a_small_one():
    """So that the head has an optimum, whatever the features."""
    X, y = make_data()
    classifier = InfluenceUnlearningClassifier(make_perceptron(alpha=0), scope="head")
    classifier.fit(X, y)
    assert classifier.exact_
    assert classifier._state.prototype.penalty == 1e-4

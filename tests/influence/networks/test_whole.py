"""All layers of a network: derivatives, what a step does, and what is said of it."""

import pickle
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest
import torch
from network_cases import (
    BINARY,
    LOGITS,
    Module,
    make_data,
    make_net,
    make_perceptron,
)
from scipy import sparse
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from support import assert_identical

from skunlearn import InfluenceUnlearningClassifier
from skunlearn.exceptions import UnlearningQualityWarning, UnsupportedEstimatorError
from skunlearn.influence._networks import layers

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

NETWORKS = {
    "perceptron": (lambda: make_perceptron(activation="tanh"), 3),
    "small_batches": (lambda: make_perceptron(activation="logistic", batch_size=20), 2),
    "softmax": (lambda: make_net(optimizer__weight_decay=0.01), 3),
    "weighted": (
        lambda: make_net(criterion__weight=torch.arange(1.0, 4.0), **LOGITS),
        3,
    ),
    "two_outputs": (lambda: make_net(module__n_outputs=2), 2),
    "one_output": (lambda: make_net(**BINARY), 2),
}


@pytest.fixture
def doubles():
    """Let new nets have 64 bits, so that differences are accurate."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def fit_case(name, **params):
    """Return a fitted classifier and what it was fitted to."""
    make, n_classes = NETWORKS[name]
    X, y = make_data(n_classes)
    params = {"scope": "all", "random_state": 3, **params}
    return InfluenceUnlearningClassifier(make(), **params).fit(X, y), X, y


@pytest.mark.parametrize("name", NETWORKS)
def test_derivatives_are_those_of_differences(name, doubles):
    """Of the objective, the rows' losses and the decision values."""
    classifier, X, _ = fit_case(name)
    objective, theta = (
        classifier._state.optimum.objective,
        classifier._state.optimum.theta,
    )
    rng = np.random.default_rng(0)
    w, v = rng.uniform(0.5, 2, len(X)), rng.normal(size=len(theta))
    ends = [theta + sign * 1e-5 * v for sign in (1, -1)]
    slope = np.subtract(*(objective.value(end, w) for end in ends)) / 2e-5
    np.testing.assert_allclose(objective.gradient(theta, w) @ v, slope, rtol=1e-6)
    rows = np.arange(len(X))
    losses = np.subtract(*(objective.losses(end, rows) for end in ends)) / 2e-5
    decay = objective.decay * theta if objective.decay_per_row else 0 * theta
    found = objective.scores(theta, w, v)
    np.testing.assert_allclose(found - v @ decay, losses, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(
        objective.row_gradients(theta, rows) @ v, losses, rtol=1e-5, atol=1e-8
    )
    decision = objective.decision_function(theta, X)
    R = rng.normal(size=decision.shape)
    values = [(R * objective.decision_function(end, X)).sum() for end in ends]
    slope = (values[0] - values[1]) / 2e-5
    np.testing.assert_allclose(
        objective.decision_vjp(theta, X, R) @ v, slope, rtol=1e-6
    )


@pytest.mark.parametrize("name", ["perceptron", "softmax", "one_output"])
def test_products_are_those_of_the_gauss_newton_matrix(name, doubles):
    """That of the rows' factors, plus weight decay and damping: positive definite."""
    classifier, X, _ = fit_case(name)
    objective, theta = (
        classifier._state.optimum.objective,
        classifier._state.optimum.theta,
    )
    w = np.random.default_rng(0).uniform(0.5, 2, len(X))
    F = objective.row_factors(theta, np.arange(len(X)))
    G = np.einsum("n,nrd,nre->de", w, F, F)
    G[np.diag_indices_from(G)] += objective.regularizer(objective.weight_sums(w))
    multiply = objective.hvp(theta, w)
    columns = [multiply(each) for each in np.eye(len(theta))[::7]]
    rest = np.array(columns) - G[::7]
    expected = 0.03 * w.sum() * np.eye(len(theta))[::7]
    np.testing.assert_allclose(rest, expected, atol=1e-8 * abs(G).max())


def make_trained(**params):
    """Return a network that has been trained to an optimum, nearly."""
    base = MLPClassifier(
        (5,), activation="tanh", alpha=10.0, solver="lbfgs", max_iter=2000, tol=1e-9,
        random_state=0,
    )  # fmt: skip
    params = {"scope": "all", "random_state": 0, **params}
    return InfluenceUnlearningClassifier(base, **params)


@pytest.mark.parametrize("method", ["newton", "influence", "puma"])
def test_step_goes_towards_the_retrained_network(method):
    """Where training has ended at an optimum, and is tried from the same start."""
    X, y = make_data(3, 300)
    classifier = make_trained(method=method).fit(X, y, X_val=X[:50], y_val=y[:50])
    gone = np.arange(100, 130)
    keep = np.setdiff1d(np.arange(300), gone)
    before = classifier.predict_proba(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnlearningQualityWarning)
        record = classifier.forget(gone).forget_records_[-1]
    retrained = make_trained().fit(X[keep], y[keep]).predict_proba(X)
    after = classifier.predict_proba(X)
    limit = 0.9 if method == "puma" else 0.6
    assert abs(after - retrained).mean() < limit * abs(before - retrained).mean()
    assert record.kind == "approximate"
    assert record.path == "patch"
    assert record.gradient_residual == classifier.gradient_residual_
    assert np.isinf([classifier.distance_bound_, classifier.hessian_bound_]).all()
    assert not classifier.exact_


def test_puma_holds_the_criterion_better():
    """When helpful rows go, and their weights are made from scratch each time."""
    X, y = make_data(3, 400)
    X, y, X_val, y_val = X[:200], y[:200], X[200:], y[200:]
    puma = make_trained(method="puma").fit(X, y, X_val=X_val, y_val=y_val)
    helpful = np.argsort(-puma.contributions())[:20]
    plain = make_trained().fit(X, y).forget(helpful)
    record = puma.forget(helpful).forget_records_[-1]
    losses = [log_loss(y_val, each.predict_proba(X_val)) for each in (puma, plain)]
    assert losses[0] < losses[1]
    assert record.criterion_change_actual < record.criterion_change_retrained
    assert record.removal_kept > 0.5
    assert (puma.weights_[helpful] == 0).all()
    assert ((puma.weights_ >= 0) & (puma.weights_ <= 2)).all()
    fresh = np.setdiff1d(np.arange(200), helpful)[:1]
    puma.set_params(method="newton")
    with pytest.warns(UnlearningQualityWarning, match="did not bring the network"):
        puma.forget(fresh)  # after so many, a step for one does not help
    assert set(puma.weights_) == {0.0, 1.0}


def test_contributions_predict_what_removal_does():
    """They are of all rows, in one pass once the criterion's direction is known."""
    X, y = make_data(3, 400)
    X, y, X_val, y_val = X[:200], y[:200], X[200:], y[200:]
    classifier = make_trained().fit(X, y, X_val=X_val, y_val=y_val)
    found, rows = classifier.contributions(), np.arange(0, 200, 15)
    before = log_loss(y_val, classifier.predict_proba(X_val))
    whole = pickle.dumps(classifier)
    changes = [
        log_loss(y_val, pickle.loads(whole).forget(row).predict_proba(X_val)) - before
        for row in rows
    ]
    assert np.corrcoef(found[rows], changes)[0, 1] > 0.95
    with pytest.raises(ValueError, match="scope='head'"):
        classifier.self_influence()


class Normalised(Module):
    """With statistics of batches."""

    def __init__(self, is_soft):
        super().__init__(is_soft=is_soft)
        self.norm = torch.nn.BatchNorm1d(3)

    def forward(self, X):
        """Return logits."""
        return super().forward(self.norm(X))


def test_statistics_of_batches_are_those_of_retained_rows():
    """A net of skorch keeps its precision, works on, and leaves no old parameters."""
    X, y = make_data()
    net = make_net(**LOGITS).set_params(module=Normalised, lr=0.1, max_epochs=3)
    classifier = InfluenceUnlearningClassifier(net, scope="all", random_state=0)
    old = classifier.fit(X, y).estimator_.module_.hidden.weight.detach().numpy().copy()
    X, y = np.delete(X, [0, 5], axis=0), np.delete(y, [0, 5])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnlearningQualityWarning)
        classifier.forget([0, 5])
    net, rows = classifier.estimator_, X.astype(np.float32)
    norm = net.module_.norm
    np.testing.assert_allclose(
        norm.running_mean, rows.mean(axis=0), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(norm.running_var, rows.var(axis=0, ddof=1), rtol=1e-4)
    assert norm.momentum == 0.1
    assert net.module_.hidden.weight.dtype == torch.float32
    np.testing.assert_allclose(
        classifier.predict_proba(X), net.predict_proba(rows), rtol=1e-5
    )
    left = pickle.dumps(classifier)
    assert old.tobytes() not in left
    assert net.module_.hidden.weight.detach().numpy().tobytes() in left
    again = pickle.loads(left)
    assert_identical(again.predict_proba(X), classifier.predict_proba(X))
    net.partial_fit(rows, np.searchsorted(classifier.classes_, y))


def test_no_batch_is_too_small_for_statistics(monkeypatch):
    """One row has no variance, and a few rows count no more than many."""
    X, y = make_data()
    net = make_net(**LOGITS).set_params(module=Normalised, batch_size=30)
    classifier = InfluenceUnlearningClassifier(net, scope="all", random_state=0)
    monkeypatch.setattr(layers, "_BLOCK_ROWS", 79)  # and 80 are left
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnlearningQualityWarning)
        norm = classifier.fit(X, y).forget(range(10)).estimator_.module_.norm
    np.testing.assert_allclose(norm.running_mean, X[10:].mean(axis=0), atol=1e-5)


class Frozen(Module):
    """With a layer that is not trained, and outputs that no class has."""

    def __init__(self, is_soft):
        super().__init__(5, is_soft)
        self.hidden.requires_grad_(False)


@pytest.mark.parametrize("scope", ["head", "all"])
def test_layers_that_are_not_trained_stay(scope):
    """As outputs without a class are never an answer."""
    X, y = make_data()
    net = make_net(**LOGITS).set_params(module=Frozen)
    classifier = InfluenceUnlearningClassifier(net, scope=scope, random_state=0)
    before = classifier.fit(X, y).estimator_.module_.hidden.weight.clone()
    assert classifier.predict_proba(X).shape == (90, 3)
    best = classifier.predict_proba(X).argmax(axis=1)
    np.testing.assert_array_equal(classifier.predict(X), classifier.classes_[best])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnlearningQualityWarning)
        module = classifier.forget(range(10)).estimator_.module_
    assert torch.equal(module.hidden.weight, before)
    assert not module.hidden.weight.requires_grad


def test_sparse_rows_are_refused():
    """With what to do."""
    X, y = make_data()
    with pytest.raises(TypeError, match="no sparse rows"):
        make_trained().fit(sparse.csr_array(X), y)
    assert not make_trained().__sklearn_tags__().input_tags.sparse
    assert make_trained(scope="head").__sklearn_tags__().input_tags.sparse


def test_lost_classes_are_retrained():
    """There is no way to patch an output away."""
    X, y = make_data(3, 150)
    classifier = make_trained().fit(X, y)
    with pytest.warns(UserWarning, match="lost its last row"):
        classifier.forget(y == "ash")
    assert classifier.forget_records_[-1].path == "refit"
    keep = classifier.retained_indices_
    fresh = make_trained().fit(X[keep], y[keep])
    assert_identical(classifier.predict_proba(X), fresh.predict_proba(X))


@pytest.mark.parametrize("is_instance", [False, True])
def test_classes_keep_their_weights(is_instance):
    """When others leave, and outputs with them."""
    X, y = make_data()
    weight = torch.arange(1.0, 5.0)
    params = {**LOGITS, "module__n_outputs": 4, "criterion__weight": weight}
    if is_instance:
        del params["criterion__weight"]
        params["criterion"] = torch.nn.CrossEntropyLoss(weight)
    net = make_net(**params)
    classifier = InfluenceUnlearningClassifier(net, scope="all").fit(X, y)
    with pytest.warns(UserWarning, match="lost its last row"):
        classifier.forget(y == "birch")
    criterion = classifier.estimator_.criterion_
    assert criterion.weight.tolist() == [1, 3, 2, 4]
    np.testing.assert_array_equal(
        classifier._state.optimum.objective.class_factors, [1, 3]
    )


@pytest.mark.parametrize(
    "params", [{"exact": True}, {"certify": (1.0, 1e-4)}], ids=["exact", "certify"]
)
def test_guarantees_are_refused_by_name(params):
    """At fit; and exactness later, too."""
    X, y = make_data()
    with pytest.raises(ValueError, match=f"{next(iter(params))}.* scope='all'"):
        make_trained(**params).fit(X, y)
    if "exact" in params:
        classifier = make_trained().fit(X, y).set_params(exact=True)
        with pytest.raises((ValueError, UnsupportedEstimatorError), match="exact=True"):
            classifier.forget(0)


@pytest.mark.thorough
def test_missing_extra_is_named():
    """With what installs it, while heads of perceptrons do without."""
    program = """
        import sys
        class Missing:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in ("torch", "skorch"):
                    raise ModuleNotFoundError(name)
        sys.meta_path.insert(0, Missing())
        from sklearn.datasets import load_iris
        from sklearn.neural_network import MLPClassifier
        from skunlearn import InfluenceUnlearningClassifier
        X, y = load_iris(return_X_y=True)
        net = MLPClassifier((5,), solver="lbfgs", max_iter=50, random_state=0)
        classifier = InfluenceUnlearningClassifier(net, scope="head").fit(X, y)
        print(classifier.forget([7, 42]).exact_)
        try:
            classifier.set_params(scope="all").fit(X, y)
        except ImportError as error:
            print(error)
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("True\n")
    assert 'pip install "skunlearn[neural]"' in done.stdout

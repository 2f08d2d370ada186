"""Nets of skorch: what is patched is a net that works on, and bad nets are refused."""

import copy
import pickle
import warnings
from typing import ClassVar

import numpy as np
import pytest
import skorch
import torch
from network_cases import (
    BINARY,
    LOGITS,
    Module,
    fit_case,
    get_features,
    get_head,
    make_data,
    make_net,
)
from scipy import sparse
from support import assert_identical

from skunlearn import InfluenceUnlearningClassifier
from skunlearn.exceptions import UnlearningQualityWarning, UnsupportedEstimatorError


def fit(net, X, y, **params):
    """Fit a classifier of a net."""
    params = {"scope": "head", "random_state": 0, **params}
    return InfluenceUnlearningClassifier(net, **params).fit(X, y)


@pytest.mark.parametrize("name", ["softmax", "logits", "two_outputs", "one_output"])
def test_last_layer_is_at_the_optimum_of_the_net(name):
    """The gradient of its loss with weight decay, by torch, vanishes there."""
    classifier, X, y = fit_case(name, exact=False, tol=1e-9)
    classifier.forget(range(9))
    net, keep = classifier.estimator_, classifier.retained_indices_
    codes = np.searchsorted(classifier.classes_, y[keep])
    is_binary = isinstance(net, skorch.NeuralNetBinaryClassifier)
    target = torch.as_tensor(codes).to(torch.float32 if is_binary else torch.int64)
    net.module_.eval()
    output = net.infer(torch.as_tensor(X[keep], dtype=torch.float32))
    net.get_loss(output, target).backward()
    decay = net.optimizer_.param_groups[0]["weight_decay"]
    layer = net.module_.last
    assert layer.weight.dtype == torch.float32
    for values, factor in ((layer.weight, decay or 1e-4), (layer.bias, decay)):
        slope = (values.grad + factor * values).detach()
        np.testing.assert_allclose(slope, 0, atol=2e-6)


def test_weights_of_classes_count():
    """Those of the criterion are those of the head."""
    X, y = make_data()
    weight = torch.tensor([1.0, 3.0, 0.5])
    weighted = fit(make_net(criterion__weight=weight, **LOGITS), X, y)
    assert get_head(weighted).class_weight == {"ash": 1.0, "birch": 3.0, "cedar": 0.5}
    plain = fit(make_net(**LOGITS), X, y)
    more, less = (c.predict_proba(X)[:, 1].mean() for c in (weighted, plain))
    assert more > less + 0.1
    X, y = make_data(2)
    net = make_net(**BINARY, criterion__pos_weight=torch.tensor(4.0))
    assert get_head(fit(net, X, y)).class_weight == {"ash": 1.0, "birch": 4.0}


def test_patched_net_works_on(tmp_path):
    """Its parameters are saved and loaded, it learns on, and its copies are alike."""
    classifier, X, y = fit_case("logits")
    classifier.forget(range(9))
    rows, codes = X.astype(np.float32), np.searchsorted(classifier.classes_, y)
    net = classifier.estimator_
    net.save_params(f_params=tmp_path / "params.pt")
    other = make_net(**LOGITS).initialize()
    other.load_params(f_params=tmp_path / "params.pt")
    assert_identical(other.predict_proba(rows), net.predict_proba(rows))
    for twin in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert_identical(twin.predict_proba(rows), net.predict_proba(rows))
    before, frozen = net.predict_proba(rows), get_features(classifier, X)
    net.set_params(lr=0.1).partial_fit(rows, codes)
    assert not (net.predict_proba(rows) == before).any()
    assert len(net.history) == 1
    assert_identical(get_features(classifier, X), frozen)


class Normalised(Module):
    """With statistics of batches."""

    def __init__(self, is_soft):
        super().__init__(is_soft=is_soft)
        self.norm = torch.nn.BatchNorm1d(3)

    def forward(self, X):
        """Return logits."""
        return super().forward(self.norm(X))


def test_training_is_seeded_and_features_are_frozen():
    """Dropout is off, statistics of batches stay, and the process draws as before."""
    X, y = make_data()
    net = make_net(**LOGITS, batch_size=16)
    net.set_params(module=Normalised, lr=0.1, max_epochs=3)
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    first, second = (fit(net, X, y) for _ in range(2))
    assert torch.rand(1) == expected
    H = get_features(first, X)
    assert_identical(H, get_features(first, X))
    assert_identical(H, get_features(second, X))
    statistics = first.estimator_.module_.norm.running_mean
    assert statistics.any()
    assert torch.equal(statistics, first.forget(3).estimator_.module_.norm.running_mean)
    assert_identical(H, get_features(first, X))


class Recorder(skorch.callbacks.Callback):
    """Remembers, outside of the net, what training leaves to be forgotten."""

    seen: ClassVar[list] = []

    def on_train_end(self, net, **_):
        """Record the last layer and the moments of the optimizer."""
        moments = net.optimizer_.state.values()
        values = [net.module_.last.weight, *(each["exp_avg"] for each in moments)]
        self.seen[:] = [each.detach().numpy().tobytes() for each in values]


@pytest.mark.parametrize("scope", ["head", "all"])
def test_nothing_of_training_is_left_in_callbacks(scope):
    """A schedule refers to the optimizer, which refers to the old parameters."""
    X, y = make_data()
    step = torch.optim.lr_scheduler.StepLR
    schedule = skorch.callbacks.LRScheduler(step, step_size=1)
    net = make_net(optimizer=torch.optim.Adam, callbacks=[schedule, Recorder()])
    classifier = fit(net.set_params(lr=0.1, max_epochs=3), X, y, scope=scope)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnlearningQualityWarning)
        classifier.forget(range(9))
    whole = pickle.dumps(classifier)
    assert len(Recorder.seen) == 5
    assert not any(each in whole for each in Recorder.seen)
    codes = np.searchsorted(classifier.classes_, y)
    classifier.estimator_.partial_fit(X.astype(np.float32), codes)


def test_nets_of_64_bits():
    """The default dtype of torch is that of rows and layers."""
    torch.set_default_dtype(torch.float64)
    try:
        classifier, X, _ = fit_case("softmax")
        proba = classifier.estimator_.predict_proba(X)
    finally:
        torch.set_default_dtype(torch.float32)
    assert proba.dtype == np.float64
    np.testing.assert_allclose(classifier.predict_proba(X), proba, rtol=1e-12)


class Scaled(Module):
    """What it returns are not the logits of its last layer."""

    def forward(self, X):
        """Return logits of another temperature."""
        return torch.softmax(2 * self.last(torch.tanh(self.hidden(X))), dim=-1)


REFUSED = {
    "instance": ({"module": Module()}, "Give the class instead"),
    "temperature": ({"module": Scaled}, "does not end in a Linear layer"),
    "few outputs": ({"module__n_outputs": 2}, "2 outputs, but there are 3 classes"),
    "loss": ({"criterion": torch.nn.MultiMarginLoss}, "NLLLoss or CrossEntropyLoss"),
    "smoothing": ({**LOGITS, "criterion__label_smoothing": 0.1}, "label_smoothing=0"),
    "sum": ({"criterion__reduction": "sum"}, "reduction='mean'"),
    "regression": ({"kind": skorch.NeuralNetRegressor}, "no classifier"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_other_nets_are_refused(reason):
    """Before anything is trained, and with what to do."""
    params, message = REFUSED[reason]
    net = make_net(**{**params, "max_epochs": 10**9})
    with pytest.raises(UnsupportedEstimatorError, match=message):
        fit(net, *make_data())


def test_other_input_is_refused():
    """Weights, sparse rows, and rows that are held out."""
    X, y = make_data()
    net = make_net()
    with pytest.raises(ValueError, match="Repeat rows"):
        InfluenceUnlearningClassifier(net, scope="head").fit(X, y, np.ones(90))
    with pytest.raises(TypeError, match="dense"):
        fit(net, sparse.csr_array(X), y)
    with pytest.warns(UnlearningQualityWarning, match="train_split=None"):
        fit(make_net(train_split=skorch.dataset.ValidSplit(3)), X, y)

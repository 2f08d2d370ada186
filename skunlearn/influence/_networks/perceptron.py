"""The network of scikit-learn, without torch."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import clone
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.extmath import safe_sparse_dot

from skunlearn._data.rows import Batch
from skunlearn.influence._linalg.blocks import iterate_blocks
from skunlearn.influence._networks.base import Network, Trained
from skunlearn.influence._networks.head import DEFAULT_DECAY, Head
from skunlearn.influence._networks.layers import Layers, import_torch

__all__ = ["Perceptron"]

_BLOCK_ROWS = 4096  # which pass through the layers at once
_AUTO_BATCH = 200  # of batch_size="auto"
_ACTIVATIONS: dict[str, Any] = {
    "identity": lambda Z: Z,
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda Z: np.maximum(Z, 0),
}
_MODULES = {
    "identity": "Identity",
    "logistic": "Sigmoid",
    "tanh": "Tanh",
    "relu": "ReLU",
}


class Perceptron(Network):
    """A trained MLPClassifier."""

    @classmethod
    def check(cls, estimator: Any) -> None:
        """Accept all parameters."""

    @classmethod
    def train(
        cls, estimator: Any, rows: Batch, classes: np.ndarray, seed: int
    ) -> "Perceptron":
        """Train a clone."""
        net = _train(estimator, rows, classes, seed)
        return cls(_take_head_off(net), _make_head(net, len(rows.y)))

    def transform(self, X: Any) -> Any:
        """Return the activations of the last hidden layer."""
        if not self.net.coefs_:
            return X
        blocks = iterate_blocks(X, None, _BLOCK_ROWS)
        return np.concatenate([self._transform(block) for _, block in blocks])

    def _transform(self, X: Any) -> Any:
        activate = _ACTIVATIONS[self.net.activation]
        for coef, intercept in zip(self.net.coefs_, self.net.intercepts_, strict=True):
            X = activate(safe_sparse_dot(X, coef) + intercept)
        return X

    def with_head(self, head: Head) -> Any:
        """Return a copy whose last layer is the head, with an output for each class."""
        net, n_classes = copy.copy(self.net), len(head.classes_)
        weights, biases = head.spread(n_classes)
        net.coefs_ = [*(coef.copy() for coef in net.coefs_), weights.T.copy()]
        net.intercepts_ = [*(b.copy() for b in net.intercepts_), biases.copy()]
        net.classes_ = head.classes_
        net._label_binarizer = LabelBinarizer().fit(head.classes_)
        net.n_outputs_ = len(weights)
        net.out_activation_ = "logistic" if n_classes == 2 else "softmax"
        return net

    # All layers

    @classmethod
    def train_whole(
        cls, estimator: Any, rows: Batch, classes: np.ndarray, seed: int
    ) -> Trained:
        """Train a clone, and make a module of it."""
        nn = import_torch().nn
        net, parts = _forget_training(_train(estimator, rows, classes, seed)), []
        for coef in net.coefs_:
            activate = getattr(nn, _MODULES[net.activation])()
            parts += [nn.Linear(*coef.shape).double(), activate]
        pairs = list(zip(net.coefs_, net.intercepts_, strict=True))
        theta = np.concatenate([np.append(coef.T, b) for coef, b in pairs])
        layers = Layers(nn.Sequential(*parts[:-1])).with_parameters(theta)
        decay, is_per_row = _find_decay(net, len(rows.y))
        counted = [np.append(np.ones(coef.size), 0 * b) for coef, b in pairs]
        return Trained(net, layers, decay * np.concatenate(counted), is_per_row)

    @classmethod
    def relayer(cls, trained: Trained, layers: Layers) -> Trained:
        """Return a copy of a network with other layers."""
        net = copy.copy(trained.net)
        arrays = [each.detach().numpy().copy() for each in layers.module.parameters()]
        net.coefs_ = [weight.T.copy() for weight in arrays[::2]]
        net.intercepts_ = arrays[1::2]
        return replace(trained, net=net, layers=layers)


def _train(estimator: Any, rows: Batch, classes: np.ndarray, seed: int) -> Any:
    """Return a trained clone; the seed is for those that have none of their own."""
    net = clone(estimator)
    own = net.random_state
    net.set_params(random_state=seed if own is None else own)
    net.fit(rows.X, classes[rows.y], rows.sample_weight)
    return net.set_params(random_state=own)


def _make_head(net: Any, n_rows: int) -> Head:
    """Return the head with weight decay, or a small one."""
    decay, is_per_row = _find_decay(net, n_rows)
    if not decay:
        return Head(DEFAULT_DECAY, penalty_per_row=True)
    return Head(decay, penalty_per_row=is_per_row)


def _find_decay(net: Any, n_rows: int) -> tuple[float, bool]:
    """Return the weight decay beside the sum of losses, and whether it is per row.

    A network adds it to the mean loss of each batch, divided by the size of the batch.
    """
    size = _AUTO_BATCH if net.batch_size == "auto" else net.batch_size
    if net.solver == "lbfgs" or size >= n_rows:
        return net.alpha, False
    return net.alpha / size, True


def _take_head_off(net: Any) -> Any:
    """Return a copy without the last layer, its classes and what training has left."""
    net = _forget_training(net)
    del net.classes_, net._label_binarizer
    net.coefs_, net.intercepts_ = net.coefs_[:-1], net.intercepts_[:-1]
    return net


def _forget_training(net: Any) -> Any:
    """Return a copy without what training has left beside the parameters."""
    net = copy.copy(net)
    for name in ("_optimizer", "_best_coefs", "_best_intercepts", "loss_"):
        vars(net).pop(name, None)
    if hasattr(net, "loss_curve_"):
        net.loss_curve_, net._no_improvement_count = [], 0
        net.best_loss_ = None if net.early_stopping else np.inf
    if getattr(net, "validation_scores_", None):
        net.validation_scores_, net.best_validation_score_ = [], -np.inf
    return net

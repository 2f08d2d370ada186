"""The network of scikit-learn, without torch."""

import copy
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import clone
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.extmath import safe_sparse_dot

from skunlearn._data.rows import Batch
from skunlearn.influence._linalg.blocks import iterate_blocks
from skunlearn.influence._networks.base import Network
from skunlearn.influence._networks.head import DEFAULT_DECAY, Head

__all__ = ["Perceptron"]

_BLOCK_ROWS = 4096  # which pass through the layers at once
_AUTO_BATCH = 200  # of batch_size="auto"
_ACTIVATIONS: dict[str, Any] = {
    "identity": lambda Z: Z,
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda Z: np.maximum(Z, 0),
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
        """Train a clone, which has its own seed."""
        net = clone(estimator).fit(rows.X, classes[rows.y], rows.sample_weight)
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


def _make_head(net: Any, n_rows: int) -> Head:
    """Return the head with weight decay as the network counts it.

    That adds it to the mean loss of each batch, divided by the size of the batch.
    """
    if not net.alpha:
        return Head(DEFAULT_DECAY, penalty_per_row=True)
    size = _AUTO_BATCH if net.batch_size == "auto" else net.batch_size
    if net.solver == "lbfgs" or size >= n_rows:
        return Head(net.alpha)
    return Head(net.alpha / size, penalty_per_row=True)


def _take_head_off(net: Any) -> Any:
    """Return a copy without the last layer and all that training has left elsewhere."""
    net = copy.copy(net)
    net.coefs_, net.intercepts_ = net.coefs_[:-1], net.intercepts_[:-1]
    for name in ("_optimizer", "_best_coefs", "_best_intercepts", "loss_"):
        vars(net).pop(name, None)
    if hasattr(net, "loss_curve_"):
        net.loss_curve_, net._no_improvement_count = [], 0
        net.best_loss_ = None if net.early_stopping else np.inf
    if getattr(net, "validation_scores_", None):
        net.validation_scores_, net.best_validation_score_ = [], -np.inf
    return net

"""Nets of skorch. Neither skorch nor torch is imported: a net has come with both."""

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.utils import check_array

from skunlearn._data.rows import Batch
from skunlearn._estimators.skorch_nets import (
    NetClassifier,
    check_net,
    find_dtype,
    seeded,
)
from skunlearn.exceptions import UnsupportedEstimatorError
from skunlearn.influence._networks.base import Network, Trained
from skunlearn.influence._networks.head import DEFAULT_DECAY, Head
from skunlearn.influence._networks.layers import Layers

__all__ = ["SkorchNetwork"]

_SPLIT = (
    ": the layers are not trained on them, and a predefined split keeps rows that "
    "forget cannot reach"
)
_LOSSES = {
    "NeuralNetClassifier": ("NLLLoss", "CrossEntropyLoss"),
    "NeuralNetBinaryClassifier": ("BCEWithLogitsLoss", "BCELoss"),
}
_LINKS = {"NLLLoss": "softmax", "BCELoss": "sigmoid"}
_N_PROBED = 16  # rows on which the last layer is looked for


class SkorchNetwork(Network):
    """A trained NeuralNetClassifier or NeuralNetBinaryClassifier.

    Parameters
    ----------
    net : NeuralNetClassifier
        The trained net, with nothing left of its last layer and its optimizer.
    head : Head
        The unfitted head.
    path : str
        The name of the last layer in the module.
    """

    def __init__(self, net: Any, head: Head, path: str) -> None:
        super().__init__(net, head)
        self.path = path

    @classmethod
    def check(cls, estimator: Any) -> None:
        """Refuse instances of modules, and losses other than the log loss."""
        check_net(estimator, _SPLIT)
        losses = _find_losses(estimator)
        criterion = estimator.criterion
        kind = criterion if isinstance(criterion, type) else type(criterion)
        if kind not in losses:
            names = " or ".join(each.__name__ for each in losses)
            raise UnsupportedEstimatorError(
                f"criterion={kind.__name__} is not the log loss that the last layer is "
                f"fitted by. Use {names}, or ShardedUnlearningClassifier."
            )

    @classmethod
    def train(
        cls, estimator: Any, rows: Batch, classes: np.ndarray, seed: int
    ) -> "SkorchNetwork":
        """Train a clone with seeded generators."""
        X = _check_rows(rows)
        with seeded(seed):
            blank = clone(estimator).initialize()
            proba = blank.predict_proba(X[:_N_PROBED])
            _check_outputs(proba, len(classes))
            path = _find_last_layer(blank, X[:_N_PROBED])
        head = _make_head(blank, blank.module_.get_submodule(path), classes)
        net = _train(estimator, X, rows.y, classes, seed)
        return cls(net, head, path)._with_layer(None)

    def transform(self, X: Any) -> np.ndarray:
        """Return the input of the last layer, without dropout, batch by batch."""
        X = _check_dense(X, find_dtype(self.net))
        layer = self.net.module_.get_submodule(self.path)
        with seeded(None), _recording(layer) as calls:  # iterators draw, for nothing
            for _ in self.net.forward_iter(X):
                pass
        return np.concatenate([H.numpy() for H, _ in calls]).astype(np.float64)

    def with_head(self, head: Head) -> Any:
        """Return a copy whose last layer has new parameters of the same dtype."""
        return self._with_layer(head).net

    def _with_layer(self, head: Head | None) -> "SkorchNetwork":
        """Return a copy with a fitted head, or zeros, and with a new optimizer."""
        torch, net = sys.modules["torch"], copy.copy(self.net)
        net.module_ = copy.deepcopy(net.module_)
        layer = net.module_.get_submodule(self.path)
        parts = (0.0, 0.0) if head is None else head.spread(layer.out_features)
        with torch.no_grad():
            for name, value in zip(("weight", "bias"), parts, strict=True):
                if getattr(layer, name) is not None:
                    tensor = getattr(layer, name)
                    tensor.copy_(torch.as_tensor(value).expand_as(tensor))
        return SkorchNetwork(_forget_training(net), self.head, self.path)

    @classmethod
    def ask(
        cls, net: Any, classes: np.ndarray, outputs: Any, method: str, X: Any
    ) -> np.ndarray:
        """Return probabilities of the classes that outputs stand for, or labels."""
        X = _check_dense(X, find_dtype(net))
        is_binary = isinstance(net, sys.modules["skorch"].NeuralNetBinaryClassifier)
        if method == "predict" and is_binary:  # which has a threshold
            return classes[np.asarray(net.predict(X), dtype=np.intp)]
        outputs = range(len(classes)) if outputs is None else outputs
        proba = np.asarray(net.predict_proba(X), dtype=float)[:, list(outputs)]
        if method == "predict":
            return classes[proba.argmax(axis=1)]
        return proba / proba.sum(axis=1, keepdims=True)

    # All layers

    @classmethod
    def train_whole(
        cls, estimator: Any, rows: Batch, classes: np.ndarray, seed: int
    ) -> Trained:
        """Train a clone with seeded generators."""
        X = _check_rows(rows)
        with seeded(seed):
            blank = clone(estimator).initialize()
            _check_outputs(blank.predict_proba(X[:_N_PROBED]), len(classes))
        weight = _find_class_weight(blank.criterion_, classes)
        net = _forget_training(_train(estimator, X, rows.y, classes, seed))
        link = _LINKS.get(type(net.criterion_).__name__, "logits")
        layers = Layers(net.module_, link)
        decays = [
            np.full(each.numel(), _find_decay(net, each))
            for each in layers.trained.values()
        ]
        return Trained(net, layers, np.concatenate(decays), True, weight)

    @classmethod
    def without_classes(cls, estimator: Any, there: np.ndarray) -> Any:
        """Return a clone whose criterion has the weights of some classes first."""
        of_instance = getattr(estimator.criterion, "weight", None)
        weight = getattr(estimator, "criterion__weight", of_instance)
        if weight is None:
            return estimator
        is_left = np.zeros(len(weight), dtype=bool)
        is_left[: len(there)] = there
        weight = weight[np.argsort(~is_left, kind="stable")]
        return clone(estimator).set_params(criterion__weight=weight)

    @classmethod
    def relayer(cls, trained: Trained, layers: Layers) -> Trained:
        """Return a copy of a net with other layers."""
        net = copy.copy(trained.net)
        net.module_ = layers.module
        return replace(trained, net=_forget_training(net), layers=layers)


def _train(
    estimator: Any, X: np.ndarray, codes: np.ndarray, classes: np.ndarray, seed: int
) -> Any:
    wrapped = NetClassifier(estimator, seed)
    return wrapped.partial_fit(X, classes[codes], classes).estimator_


def _forget_training(net: Any) -> Any:
    """Give a net a new optimizer and history: the old ones have seen the rows.

    Callbacks have, too: that of a schedule keeps the old optimizer.
    """
    net.callbacks = clone(net.callbacks, safe=False)
    net.initialize_callbacks().initialize_optimizer()
    net.history_ = type(net.history_)()
    return net


def _check_rows(rows: Batch) -> np.ndarray:
    if rows.sample_weight is not None:
        raise ValueError(
            "nets of skorch take no sample_weight. Repeat rows, or give classes "
            "weights with criterion__weight."
        )
    return _check_dense(rows.X, find_dtype(None))


def _check_dense(X: Any, dtype: np.dtype) -> np.ndarray:
    return check_array(X, dtype=dtype)


def _check_outputs(proba: np.ndarray, n_classes: int) -> None:
    if proba.ndim != 2 or proba.shape[1] < n_classes:
        raise UnsupportedEstimatorError(
            f"the net has {proba.shape[-1]} outputs, but there are {n_classes} "
            "classes. Give its last layer one output for each."
        )


def _find_losses(estimator: Any) -> tuple[type, ...]:
    """Return the losses whose last layer is a logistic regression."""
    skorch, nn = sys.modules["skorch"], sys.modules["torch"].nn
    for kind, losses in _LOSSES.items():
        if isinstance(estimator, getattr(skorch, kind)):
            return tuple(getattr(nn, name) for name in losses)
    raise UnsupportedEstimatorError(
        f"{type(estimator).__name__} is no classifier. Use {' or '.join(_LOSSES)}, or "
        "ShardedUnlearningClassifier."
    )


@contextmanager
def _recording(layer: Any) -> Iterator[list[Any]]:
    """Record the inputs and outputs of a layer, on the CPU."""
    calls: list[Any] = []
    hook = layer.register_forward_hook(
        lambda _, inputs, output: calls.append(
            (inputs[0].detach().cpu(), output.detach().cpu())
        )
    )
    try:
        yield calls
    finally:
        hook.remove()


def _find_last_layer(net: Any, X: np.ndarray) -> str:
    """Return the name of the linear layer that gives the logits of a net.

    Raises
    ------
    UnsupportedEstimatorError
        If the output of the net is not that of one linear layer.
    """
    linear, calls = sys.modules["torch"].nn.Linear, []
    hooks = [
        layer.register_forward_hook(
            lambda _, inputs, output, path=path: calls.append((path, output))
        )
        for path, layer in net.module_.named_modules()
        if isinstance(layer, linear)
    ]
    proba = net.predict_proba(X)
    for hook in hooks:
        hook.remove()
    path = calls[-1][0] if calls else ""
    outputs = [output.detach().cpu().numpy() for each, output in calls if each == path]
    if not outputs or not _gives(np.concatenate(outputs), proba):
        raise UnsupportedEstimatorError(
            "the module does not end in a Linear layer, alone or followed by softmax, "
            "log-softmax or sigmoid as its criterion expects. Let it end in one, use "
            "scope='all', or ShardedUnlearningClassifier."
        )
    return path


def _gives(logits: np.ndarray, proba: np.ndarray) -> bool:
    """Whether probabilities are those of logits."""
    if logits.ndim != 2 or len(logits) != len(proba):
        return False
    if logits.shape[1] == 1:
        p = expit(logits[:, 0].astype(float))
        expected = np.column_stack([1 - p, p])
    else:
        expected = softmax(logits.astype(float), axis=1)
    return proba.shape == expected.shape and np.allclose(proba, expected, atol=1e-4)


def _make_head(net: Any, layer: Any, classes: np.ndarray) -> Head:
    """Return the head with the weight decay of the optimizer, beside a mean loss."""
    has_bias = layer.bias is not None
    decay = _find_decay(net, layer.weight)
    is_binary = layer.out_features == 1
    return Head(
        decay or DEFAULT_DECAY,
        intercept_penalty=_find_decay(net, layer.bias) if has_bias else 0.0,
        penalty_per_row=True,
        fit_intercept=has_bias,
        class_weight=_find_class_weight(net.criterion_, classes),
        outputs=None if is_binary else tuple(range(len(classes))),
    )


def _find_decay(net: Any, parameter: Any) -> float:
    """Return the weight decay of a parameter."""
    for group in net.optimizer_.param_groups:
        if any(each is parameter for each in group["params"]):
            return float(group.get("weight_decay", 0.0))
    return 0.0


def _find_class_weight(criterion: Any, classes: np.ndarray) -> dict[Any, float] | None:
    """Return the weights of classes in a criterion.

    Raises
    ------
    UnsupportedEstimatorError
        If the criterion is a sum, smooths labels, or has weights of other kinds.
    """
    smoothing = getattr(criterion, "label_smoothing", 0.0)
    weight = criterion.weight
    of_elements = "BCE" in type(criterion).__name__ and weight is not None
    if smoothing or criterion.reduction != "mean" or of_elements:
        raise UnsupportedEstimatorError(
            f"criterion={criterion!r} is not the mean log loss that the last layer is "
            "fitted by. Use label_smoothing=0, reduction='mean', and pos_weight in "
            "place of weight for a single output."
        )
    positive = getattr(criterion, "pos_weight", None)
    if positive is not None:
        return {classes[0]: 1.0, classes[1]: float(positive)}
    if weight is None:
        return None
    return dict(zip(classes.tolist(), weight.tolist(), strict=False))

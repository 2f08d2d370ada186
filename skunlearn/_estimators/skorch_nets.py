"""Let a skorch net train in shards as any scikit-learn classifier does.

A bare net wants 32-bit floats and the codes 0, 1, ... of *all* classes, and draws from
the random generator of the whole process. Neither skorch nor torch is imported here: a
net can only have come from a program that has.
"""

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import (
    AbstractContextManager,
    contextmanager,
    nullcontext,
    redirect_stdout,
)
from contextvars import ContextVar
from typing import Any, TextIO, cast

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.pipeline import Pipeline

from skunlearn._data.containers import is_frame
from skunlearn._data.versions import check_version
from skunlearn._runtime.warn import warn
from skunlearn.exceptions import UnsupportedEstimatorError

__all__ = [
    "NetClassifier",
    "check_net",
    "find_dtype",
    "find_net",
    "is_bound_to_process",
    "is_net",
    "seeded",
    "training_shard",
]

_CONSEQUENCE = (
    " of each shard, other ones after a forget, and a predefined split keeps rows that "
    "forget cannot reach: unlearning is not exact"
)
_global_generators = threading.Lock()
_shard: ContextVar[int | None] = ContextVar("shard", default=None)


def is_net(part: Any) -> bool:
    """Return True if a part of an estimator is a skorch net."""
    skorch = sys.modules.get("skorch")
    return skorch is not None and isinstance(part, skorch.NeuralNet)


def find_net(estimator: Any) -> Any:
    """Return the skorch net that `estimator` is or ends in, or None."""
    if isinstance(estimator, Pipeline):
        return find_net(estimator.steps[-1][1])
    return estimator if is_net(estimator) else None


def check_net(net: Any, consequence: str = _CONSEQUENCE) -> None:
    """Refuse nets that cannot be trained from scratch; warn of rows held out."""
    for library in ("torch", "skorch"):
        check_version(library)
    if isinstance(net.module, sys.modules["torch"].nn.Module):
        raise UnsupportedEstimatorError(
            "the net was built on an instance of a module, and every copy would start "
            "from that instance's weights, trained or not. Give the class instead: "
            f"NeuralNetClassifier({type(net.module).__name__}, module__...=...)."
        )
    if net.train_split is not None:
        warn(
            f"train_split={net.train_split!r} holds out rows{consequence}. "
            "Use train_split=None."
        )


def is_bound_to_process(part: Any) -> bool:
    """Whether a part is a net whose results other processes could not send back.

    torch pickles a trained net by itself, and finds no class there that a script, a
    notebook or a function has defined.
    """
    return is_net(part) and _holds_local_class(part.get_params(deep=False))


def _holds_local_class(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_local_class(inner) for inner in value.values())
    if isinstance(value, (list, tuple)):
        return any(_holds_local_class(inner) for inner in value)
    kind = value if hasattr(value, "__qualname__") else type(value)
    return kind.__module__ == "__main__" or "<locals>" in kind.__qualname__


class NetClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """A skorch net (or a pipeline that ends in one) with scikit-learn's manners.

    Parameters
    ----------
    estimator : NeuralNetClassifier or Pipeline
        The net; a clone of it is trained.
    random_state : int, default=None
        Seed of the generators of torch and numpy while it trains.
    """

    def __init__(self, estimator: Any, random_state: int | None = None) -> None:
        self.estimator = estimator
        self.random_state = random_state

    def partial_fit(
        self, X: Any, y: np.ndarray, classes: np.ndarray | None = None
    ) -> "NetClassifier":
        """Train for ``max_epochs`` more epochs; the first call needs `classes`."""
        with seeded(self.random_state), _naming_output():
            if classes is not None:
                self.classes_ = classes
            if hasattr(self, "estimator_"):
                _mend_optimizer(self.estimator_)
            else:
                self.estimator_: Any = clone(self.estimator)
            train = getattr(self.estimator_, "partial_fit", self.estimator_.fit)
            train(self._convert(X), self._encode(y))
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class; outputs without a class are ignored."""
        proba = np.asarray(self.estimator_.predict_proba(self._convert(X)), dtype=float)
        n_classes = len(self.classes_)
        if proba.shape[1] < n_classes:
            raise UnsupportedEstimatorError(
                f"the net has {proba.shape[1]} outputs, but there are {n_classes} "
                "classes. Give its last layer one output for each."
            )
        proba = proba[:, :n_classes]
        return proba / proba.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def _convert(self, X: Any) -> Any:
        dtype = find_dtype(find_net(getattr(self, "estimator_", None)))
        if is_frame(X):
            is_pipeline = isinstance(self.estimator, Pipeline)
            return X if is_pipeline else X.to_numpy().astype(dtype)
        return np.array(X, dtype=dtype)

    def _encode(self, y: np.ndarray) -> np.ndarray:
        codes = np.searchsorted(self.classes_, y)
        binary = sys.modules["skorch"].NeuralNetBinaryClassifier
        is_binary = isinstance(find_net(self.estimator), binary)
        return codes.astype(np.float32 if is_binary else np.int64)


def find_dtype(net: Any) -> np.dtype:
    """Return the dtype of a net's parameters, and before it has any, of new ones."""
    dtype = sys.modules["torch"].get_default_dtype()
    if hasattr(net, "module_"):
        parameters = net.module_.parameters()
        dtype = next((each.dtype for each in parameters), dtype)
    return np.dtype(str(dtype).removeprefix("torch."))


def _mend_optimizer(net: Any) -> None:
    """Give a copied net an optimiser that has all its attributes.

    A copy of an optimiser is made of its state alone; LBFGS, for one, has more.
    """
    copied = net.optimizer_
    whole = net.initialize_optimizer().optimizer_
    lost = {n for n in set(vars(whole)) - set(vars(copied)) if "_warned" not in n}
    if lost:
        whole.load_state_dict(copied.state_dict())
    else:
        net.optimizer_ = copied


class _NamedOutput(io.TextIOBase):
    """A stream that says at the start of each line which shard it is about."""

    def __init__(self, stream: Any, shard: int) -> None:
        self.stream, self.name, self.starts_line = stream, f"[shard {shard + 1}] ", True

    def write(self, text: str) -> int:
        """Write text, with the name before each line."""
        for line in text.splitlines(keepends=True):
            self.stream.write(self.name + line if self.starts_line else line)
            self.starts_line = line.endswith("\n")
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        self.stream.flush()


@contextmanager
def training_shard(shard: int) -> Iterator[None]:
    """Let nets say in the tables that they print which shard they train on."""
    token = _shard.set(shard)
    try:
        yield
    finally:
        _shard.reset(token)


def _naming_output() -> AbstractContextManager[Any]:
    """Return what names the shard in all that is printed; one net at a time."""
    shard = _shard.get()
    if shard is None:
        return nullcontext()
    return redirect_stdout(cast(TextIO, _NamedOutput(sys.stdout, shard)))


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Seed the process-wide generators for a while, one net at a time."""
    torch = sys.modules["torch"]
    with _global_generators, torch.random.fork_rng():
        before = np.random.get_state()  # noqa: NPY002
        try:
            if seed is not None:
                torch.manual_seed(seed)
                np.random.seed(seed)  # noqa: NPY002
            yield
        finally:
            np.random.set_state(before)  # noqa: NPY002

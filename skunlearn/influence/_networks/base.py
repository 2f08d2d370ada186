"""A trained network whose layers are frozen, but for the last."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from skunlearn._data.rows import Batch
from skunlearn.influence._networks.head import Head
from skunlearn.influence._networks.layers import Layers

__all__ = ["Network", "Trained"]


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network with all of its layers.

    Parameters
    ----------
    net : estimator
        The network, with nothing left of its optimizer.
    layers : Layers
        Its logits as a function of its parameters.
    decay : ndarray of shape (n_params,)
        Weight decay of each parameter.
    decay_per_row : bool
        Whether it is multiplied by the number of rows.
    class_weight : dict or None
        Weights of the losses of classes.
    """

    net: Any
    layers: Layers
    decay: np.ndarray
    decay_per_row: bool
    class_weight: dict[Any, float] | None = None


class Network(ABC):
    """A trained network without its head, and the head to fit in its place.

    Parameters
    ----------
    net : estimator
        The trained estimator, with nothing left of its last layer and its optimizer.
    head : Head
        The unfitted head.
    """

    def __init__(self, net: Any, head: Head) -> None:
        self.net, self.head = net, head

    @classmethod
    @abstractmethod
    def check(cls, estimator: Any) -> None:
        """Refuse estimators that cannot be trained again from their parameters."""

    @classmethod
    @abstractmethod
    def train(
        cls, estimator: Any, rows: Batch, classes: np.ndarray, seed: int
    ) -> "Network":
        """Train a clone of an estimator on some rows, and take its head off."""

    @abstractmethod
    def transform(self, X: Any) -> Any:
        """Return the input of the last layer, float64: one row for each of `X`."""

    @abstractmethod
    def with_head(self, head: Head) -> Any:
        """Return a copy of the network that ends in a fitted head."""

    @classmethod
    def ask(
        cls, net: Any, classes: np.ndarray, outputs: Any, method: str, X: Any
    ) -> np.ndarray:
        """Return the answer of a network, whose outputs stand for some classes."""
        return getattr(net, method)(X)

    # All layers

    @classmethod
    @abstractmethod
    def train_whole(
        cls, estimator: Any, rows: Batch, classes: np.ndarray, seed: int
    ) -> Trained:
        """Train a clone of an estimator on some rows."""

    @classmethod
    def without_classes(cls, estimator: Any, there: np.ndarray) -> Any:
        """Return an unfitted network whose first outputs are for some classes."""
        return estimator

    @classmethod
    @abstractmethod
    def relayer(cls, trained: Trained, layers: Layers) -> Trained:
        """Return a copy of a network with other layers."""

    @classmethod
    def write(cls, trained: Trained, theta: np.ndarray) -> Trained:
        """Return a copy of a network with other parameters."""
        return cls.relayer(trained, trained.layers.with_parameters(theta))

    @classmethod
    def restate(cls, trained: Trained, X: np.ndarray, rows: np.ndarray) -> Trained:
        """Return a network with the statistics of batches of some rows, if any."""
        layers = trained.layers.with_statistics(X, rows)
        return trained if layers is trained.layers else cls.relayer(trained, layers)

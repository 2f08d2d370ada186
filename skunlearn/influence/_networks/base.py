"""A trained network whose layers are frozen, but for the last."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from skunlearn._data.rows import Batch
from skunlearn.influence._networks.head import Head

__all__ = ["Network"]


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

    def ask(self, net: Any, head: Head, method: str, X: Any) -> np.ndarray:
        """Return the answer of a network that ends in a head."""
        return getattr(net, method)(X)

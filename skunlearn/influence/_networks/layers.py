"""The logits of a module as a function of all of its parameters, in one vector."""

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["Layers", "import_torch"]

_BLOCK_ROWS = 1024  # which pass through the layers at once, so that memory is bounded


def import_torch() -> Any:
    """Import torch, or say how to install it."""
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "scope='all' needs torch, which is not installed. Install it with: "
            'pip install "skunlearn[neural]"'
        ) from error
    return torch


class Layers:
    """A module without its training: logits, and their derivatives by parameters.

    Parameters
    ----------
    module : torch.nn.Module
        The module. It is evaluated without dropout, with fixed statistics of batches.
    link : {"logits", "softmax", "sigmoid"}
        What it returns.
    """

    def __init__(self, module: Any, link: str = "logits") -> None:
        self.module, self.link = module, link

    @property
    def trained(self) -> dict[str, Any]:
        """Return the parameters by name, without those that training leaves alone."""
        named = self.module.named_parameters()
        return {name: each for name, each in named if each.requires_grad}

    def read(self) -> np.ndarray:
        """Return all parameters in one vector, float64."""
        parts = [each.detach().cpu().numpy() for each in self.trained.values()]
        return np.concatenate([part.ravel() for part in parts]).astype(float)

    def with_parameters(self, theta: np.ndarray) -> "Layers":
        """Return a copy with other parameters, in the precision of the module."""
        torch, module = import_torch(), copy.deepcopy(self.module)
        with torch.no_grad():
            for name, value in self._split(theta).items():
                module.get_parameter(name).copy_(value)
        return Layers(module, self.link)

    def with_statistics(self, X: np.ndarray, rows: np.ndarray) -> "Layers":
        """Return a copy with the statistics of batches of some rows, if it has any."""
        torch = import_torch()
        module = copy.deepcopy(self.module)
        kind = torch.nn.modules.batchnorm._BatchNorm
        norms = [each for each in module.modules() if isinstance(each, kind)]
        norms = [each for each in norms if each.track_running_stats]
        if not norms:
            return self
        momenta = [each.momentum for each in norms]
        for each in norms:
            each.reset_running_stats()
            each.train().momentum = None  # the mean over all batches
        n_blocks = -(-len(rows) // _BLOCK_ROWS)
        with torch.no_grad():  # all blocks count alike, so that none is to be small
            for block in np.array_split(rows, n_blocks):
                module(self.convert(X[block]))
        for each, momentum in zip(norms, momenta, strict=True):
            each.eval().momentum = momentum
        return Layers(module, self.link)

    def compute(self, theta: np.ndarray, X: np.ndarray) -> np.ndarray:
        """Return logits, shape (n_rows, n_outputs), float64."""
        torch, params = import_torch(), self._split(theta)
        with torch.no_grad():
            parts = [self._to_array(self._call(params, b)) for b in _iterate_blocks(X)]
        return np.concatenate(parts)

    def push(
        self, theta: np.ndarray, X: np.ndarray, v: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the logits of a block of rows and how they change along v."""
        torch, X = import_torch(), self.convert(X)
        tangents = self._split(theta), self._split(v)
        with warnings.catch_warnings():  # torch uses what it has deprecated itself
            warnings.simplefilter("ignore", DeprecationWarning)
            Z, changes = torch.func.jvp(
                lambda params: self._call(params, X), tangents[:1], tangents[1:]
            )
        return self._to_array(Z), self._to_array(changes)

    def pull(self, theta: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, Any]:
        """Return the logits of a block of rows and the function that pulls back.

        It maps R of their shape to the gradient of ``(R * logits).sum()``.
        """
        torch, params, X = import_torch(), self._split(theta), self.convert(X)
        Z, pull_back = torch.func.vjp(lambda params: self._call(params, X), params)

        def pull(R: np.ndarray) -> np.ndarray:
            (parts,) = pull_back(torch.as_tensor(R).to(Z))
            return np.concatenate(
                [self._to_array(each).ravel() for each in parts.values()]
            )

        return self._to_array(Z), pull

    def _call(self, params: dict[str, Any], X: np.ndarray) -> Any:
        torch = import_torch()
        fixed = dict(self.module.named_buffers())
        self.module.eval()
        Z = torch.func.functional_call(self.module, (params, fixed), (self.convert(X),))
        Z = Z[0] if isinstance(Z, tuple) else Z
        if self.link != "logits":
            eps = torch.finfo(Z.dtype).eps
            Z = torch.log(Z + eps) if self.link == "softmax" else torch.logit(Z, eps)
        return Z.reshape(len(X), -1)

    def convert(self, X: Any) -> Any:
        """Return rows as the module takes them; rows that are so already are kept."""
        return import_torch().as_tensor(X).to(next(self.module.parameters()))

    def _split(self, theta: np.ndarray) -> dict[str, Any]:
        """Return a vector as parameters by name."""
        named = self.trained
        sizes = [each.numel() for each in named.values()]
        parts = self.convert(theta).split(sizes)
        pairs = zip(named.items(), parts, strict=True)
        return {name: part.view(each.shape) for (name, each), part in pairs}

    def _to_array(self, tensor: Any) -> np.ndarray:
        return tensor.detach().cpu().numpy().astype(float)


def _iterate_blocks(X: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(X), _BLOCK_ROWS):
        yield X[start : start + _BLOCK_ROWS]

"""Rows of a task that stay in the files of a store until a worker reads them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skunlearn._data.blocks import Blocks
from skunlearn._data.containers import stack_rows, take_rows, with_own_values
from skunlearn._data.rows import Batch
from skunlearn.checkpoints._blobs import Blob, Blobs, StoredBlock

__all__ = ["FIT_PARAM", "StoredRows", "make_batch"]

FIT_PARAM = "fit_param:"  # before the names of keywords for fit


def make_batch(X: Any, values: dict[str, np.ndarray]) -> Batch:
    """Return rows: their features, and what else is known of them, by name."""
    params = {
        name.removeprefix(FIT_PARAM): each
        for name, each in values.items()
        if name.startswith(FIT_PARAM)
    }
    weight, proba = values.get("sample_weight"), values.get("forget_proba")
    return Batch(X, values["y"], weight, proba, params)


@dataclass(frozen=True, eq=False)
class _Part:
    """Some rows of a file.

    Parameters
    ----------
    blobs : Blobs
        Where the files are.
    features, values : Blob
        The files of the features, and of what else is known.
    picked : ndarray
        Which of their rows; or which not, if they are fewer.
    is_rest : bool
        Whether the rows are the ones that `picked` leaves.
    """

    blobs: Blobs
    features: Blob
    values: Blob
    picked: np.ndarray
    is_rest: bool

    @classmethod
    def of_block(cls, block: StoredBlock, places: np.ndarray) -> "_Part":
        """Return rows of a block, by where they are in it."""
        n_rows = len(block.slots)
        files = block._blobs, block.blob, block.values
        if 2 * len(places) > n_rows and (np.diff(places) > 0).all():
            return cls(*files, np.delete(np.arange(n_rows), places), True)
        return cls(*files, places, False)

    def load(self) -> tuple[Any, dict[str, np.ndarray]]:
        """Return the features, and the other values."""
        X, values = self.blobs.map(self.features), self.blobs.read(self.values)
        picked = self.picked
        if self.is_rest:
            picked = np.delete(np.arange(X.shape[0]), picked)
        return take_rows(X, picked), {k: v.take(picked, 0) for k, v in values.items()}


@dataclass(frozen=True, eq=False)
class StoredRows:
    """Where the rows of a task are.

    Parameters
    ----------
    parts : tuple of _Part
        The rows in each file.
    places : ndarray or None
        Where each of them belongs in the task, if that is another order.
    y : ndarray or None
        Their labels in this task, where those of the files are others.
    """

    parts: tuple[_Part, ...]
    places: np.ndarray | None
    y: np.ndarray | None

    @classmethod
    def find(
        cls, X: Any, slots: np.ndarray, y: np.ndarray | None
    ) -> "StoredRows | None":
        """Return where the rows at some slots are, or None if not all are in files."""
        if not (isinstance(X, Blocks) and len(slots)):
            return None
        found = X.locate(slots)
        parts = tuple(
            _Part.of_block(block, places)
            for block, places, _ in found
            if isinstance(block, StoredBlock)
        )
        if len(parts) < len(found):
            return None
        order = np.concatenate([mine for _, _, mine in found])
        is_in_order = np.array_equal(order, np.arange(len(order)))
        return cls(parts, None if is_in_order else order, y)

    def load(self) -> Batch:
        """Return the rows.

        Raises
        ------
        CheckpointCorruptedError
            If a file is not there, or not as it was written.
        """
        parts, others = zip(*(part.load() for part in self.parts), strict=True)
        X = stack_rows(list(parts))
        values = {k: np.concatenate([each[k] for each in others]) for k in others[0]}
        if self.places is not None:
            order = np.argsort(self.places)
            X = take_rows(X, order)
            values = {k: v.take(order, axis=0) for k, v in values.items()}
        X = with_own_values(X)
        return make_batch(X, values if self.y is None else values | {"y": self.y})

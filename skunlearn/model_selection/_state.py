"""All that a fitted search knows beside its results."""

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from skunlearn._base import Records
from skunlearn._data.hashing import draw
from skunlearn._data.identities import GroupIndex
from skunlearn._data.rows import Batch, Rows
from skunlearn._records import ForgetRecord

__all__ = ["Fold", "State", "TestRows", "draw_folds"]

_FOLDS = 0x666F6C64  # streams of random numbers
_BLOCKS = 0x626C6F63
_N_BLOCKS = 4  # of a fold; a request has all constituents predict those that it touches


@dataclass(frozen=True, eq=False)
class Fold:
    """A candidate fitted to all rows but those of one fold.

    Parameters
    ----------
    candidate : int
        Index of the candidate.
    fold : int
        The fold whose rows are left out.
    classifier : ShardedUnlearningClassifier
        The classifier, whose positions are those of the search without the fold.
    fit_time : float
        How long it took to fit, in seconds.
    replies : dict
        What its constituents say of the rows of the fold, once a request has asked.
    """

    candidate: int
    fold: int
    classifier: Any
    fit_time: float
    replies: dict[Any, Any] = field(default_factory=dict)

    def list_replies(self, touched: np.ndarray) -> dict[Any, Any]:
        """Return the replies about blocks other than those that a request touches."""
        blocks = set(touched.tolist())
        return {k: v for k, v in self.replies.items() if k[-1] not in blocks}


class TestRows(NamedTuple):
    """Rows to be predicted, and where blocks of them begin and end."""

    rows: Batch
    bounds: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class State:
    """A fitted search.

    Parameters
    ----------
    rows : Rows
        The rows, in order of positions.
    groups : GroupIndex or None
        The groups of rows, if there are any.
    identities : ndarray of int64, shape (n_positions,)
        Keyed hash of the identity of each row, which all classifiers take for its
        group: so none of them needs to know the groups.
    folds : ndarray of shape (n_positions,)
        Fold of each row.
    candidates : tuple of dict
        The parameters to choose from.
    key : int
        The key of hashes and seeds.
    fitted : tuple of Fold
        All candidates without each fold, in order of candidates.
    best_positions : ndarray or None
        Positions of the rows that the best estimator was fitted to.
    records : Records
        What was forgotten so far, and at what cost.
    """

    rows: Rows
    groups: GroupIndex | None
    identities: np.ndarray
    folds: np.ndarray
    candidates: tuple[dict[str, Any], ...]
    key: int
    fitted: tuple[Fold, ...] = ()
    best_positions: np.ndarray | None = None
    records: Records = field(default_factory=Records)

    def find_training(self, fold: int) -> np.ndarray:
        """Return the positions that the classifiers without a fold have."""
        return np.flatnonzero(self.folds != fold)

    def find_places(self, fold: int, positions: np.ndarray) -> np.ndarray:
        """Return where positions are among those of the classifiers without a fold."""
        training = positions[self.folds[positions] != fold]
        return np.searchsorted(self.find_training(fold), training)

    def list_folds(self, retained: np.ndarray) -> list[int]:
        """Return the folds that have rows."""
        return [int(fold) for fold in np.unique(self.folds[retained])]

    def take_fold(self, fold: int, retained: np.ndarray) -> "TestRows":
        """Return the rows of a fold, in order of blocks and then of positions."""
        positions = np.flatnonzero(retained & (self.folds == fold))
        blocks = self.find_blocks(positions)
        positions = positions[np.argsort(blocks, kind="stable")]
        bounds = np.bincount(blocks, minlength=_N_BLOCKS).cumsum()
        return TestRows(self.rows.take(positions), (0, *bounds.tolist()))

    def find_blocks(self, positions: np.ndarray) -> np.ndarray:
        """Return the block in its fold of each row, which its identity decides."""
        return draw(self.identities[positions].view(np.uint64), _BLOCKS, _N_BLOCKS)

    def with_record(self, record: ForgetRecord) -> "State":
        """Return the state with one more record."""
        return replace(self, records=self.records.append(record))


def draw_folds(hashes: np.ndarray, n_folds: int) -> np.ndarray:
    """Return the fold of each row by the hash of its identity alone.

    Raises
    ------
    ValueError
        If all rows are in one fold.
    """
    folds = draw(hashes, _FOLDS, n_folds)
    if len(np.unique(folds)) < 2:
        raise ValueError(
            f"all rows (n_samples={len(folds)}) are in one of the cv={n_folds} folds, "
            "as rows of one group are, so that no row is left to train on. Pass more "
            "rows or more groups."
        )
    return folds

"""What one forget request was and what it cost."""

from dataclasses import dataclass

import numpy as np

__all__ = ["ForgetRecord", "Request"]


@dataclass(frozen=True)
class ForgetRecord:
    """Receipt of one call of ``forget``, or of ``retrain``.

    It holds counts and indices of constituents only: never a row, a label, a
    position or the id of a group. ``dataclasses.asdict`` makes it ready for JSON.

    Parameters
    ----------
    n_requested : int
        Distinct positions that the request named.
    n_forgotten : int
        Positions that were retained before the request and are not any more.
    n_already_forgotten : int
        Requested positions that had been forgotten before.
    shards : tuple of int
        Indices into ``estimators_`` of the constituents that were trained (where a
        single class or no row at all was left: replaced).
    n_slices_retrained : int
        Training steps made, over all shards.
    n_samples_retrained : int
        Rows passed to training, once for every pass over them.
    n_samples_full_retrain : int
        Rows that fitting everything anew on the retained rows would pass to training.
    seconds : float
        Wall-clock time of the call.
    kind : {"exact", "approximate"}
        Which guarantee the result has.
    selection_seconds : float
        Part of `seconds` that went into selecting representative rows, added up over
        the shards (in parallel, it may be more than the whole).
    path : {"patch", "polish", "refit"}, default=None
        How parameters were changed: by a step from what was known, by further steps
        with true gradients, or by fitting anew. This and all that follows is None for
        exact unlearning.
    gradient_residual : float, default=None
        Norm of the retained objective's gradient; None where it was not computed.
    distance_bound : float, default=None
        Bound of the distance between the parameters and the retrained ones, as far as
        the request had to know it; infinity is none.
    eta : float, default=None
        Share of its step that PUMA took.
    criterion_change_predicted, criterion_change_actual : float, default=None
        What the criterion was to change by that step, and what it did by all steps.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skunlearn import ShardedUnlearningClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = ShardedUnlearningClassifier(n_shards=4, random_state=0)
    >>> record = classifier.fit(X, y).forget([3, 4]).forget_records_[-1]
    >>> record.n_forgotten, record.kind
    (2, 'exact')
    >>> record.n_samples_retrained < record.n_samples_full_retrain
    True
    """

    n_requested: int
    n_forgotten: int
    n_already_forgotten: int
    shards: tuple[int, ...]
    n_slices_retrained: int
    n_samples_retrained: int
    n_samples_full_retrain: int
    seconds: float
    kind: str
    selection_seconds: float = 0.0
    path: str | None = None
    gradient_residual: float | None = None
    distance_bound: float | None = None
    eta: float | None = None
    criterion_change_predicted: float | None = None
    criterion_change_actual: float | None = None


@dataclass(frozen=True)
class Request:
    """A checked forget request.

    Parameters
    ----------
    positions : ndarray
        Distinct positions that are to be forgotten and still retained.
    n_requested : int
        Distinct positions that were named.
    """

    positions: np.ndarray
    n_requested: int

    @property
    def n_already_forgotten(self) -> int:
        """Return how many of the named positions had been forgotten before."""
        return self.n_requested - len(self.positions)

    @classmethod
    def nothing(cls) -> "Request":
        """Return the request that names no position."""
        return cls(np.empty(0, dtype=np.int64), 0)

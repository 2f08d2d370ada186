"""Records of forget requests: what was requested, and the cost."""

from dataclasses import dataclass

import numpy as np

__all__ = ["ForgetRecord", "Request"]


@dataclass(frozen=True)
class ForgetRecord:
    """Record of one call of ``forget`` or ``retrain``.

    A record holds counts, times, norms and indices of shards, but no row, label,
    position or group id. Convert it for JSON with ``dataclasses.asdict``.

    Parameters
    ----------
    n_requested : int
        Number of distinct positions in the request.
    n_forgotten : int
        Number of these positions that the request has forgotten.
    n_already_forgotten : int
        Number of these positions that were forgotten before the request.
    shards : tuple of int
        Indices into ``estimators_`` of the constituents that were retrained, or
        replaced because their shard has a single class or no row left.
    n_slices_retrained : int
        Number of training steps, over all shards.
    n_samples_retrained : int
        Number of rows passed to training, counted once per pass.
    n_samples_full_retrain : int
        Number of rows that a fit on the retained rows would pass to training.
    seconds : float
        Wall-clock time of the call, in seconds.
    kind : {"exact", "approximate"}
        Guarantee of the result.
    selection_seconds : float, default=0.0
        Time spent on selecting representative rows, in seconds, summed over shards. In
        parallel it may exceed `seconds`.
    n_failed_shards : int, default=0
        Number of shards that ``retrain`` could not train and has left pending.
    path : {"patch", "polish", "refit"}, default=None
        How the parameters were updated: by one step computed from stored statistics
        ("patch"), by further steps with gradients computed on the retained rows
        ("polish"), or by a new fit ("refit"). This and the following fields are None
        for exact unlearning.
    gradient_residual : float, default=None
        Gradient norm of the objective on the retained rows. None if not computed.
    distance_bound : float, default=None
        Bound of the distance between the parameters and those of a classifier
        retrained on the retained rows, as far as the request needed it; infinity means
        that no bound is known.
    eta : float, default=None
        Step size of the PUMA step.
    criterion_change_predicted, criterion_change_actual : float, default=None
        Change of the criterion predicted for the PUMA step, and its actual change over
        all steps.

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
    n_failed_shards: int = 0
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
        Distinct positions of the request that are still retained.
    n_requested : int
        Number of distinct positions of the request.
    n_already_forgotten : int
        How many of them were forgotten before.
    """

    positions: np.ndarray
    n_requested: int
    n_already_forgotten: int

    @classmethod
    def nothing(cls) -> "Request":
        """Return the empty request."""
        return cls(np.empty(0, dtype=np.int64), 0, 0)

"""Records of forget requests: what was requested, and the cost."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

__all__ = ["ForgetRecord", "make_history"]


@dataclass(frozen=True)
class ForgetRecord:
    """Record of one call of ``forget`` or ``retrain``.

    A record holds counts, times, norms and indices of shards, but no row, label,
    position or group id. Convert it for JSON with ``dataclasses.asdict``; ``str`` makes
    a sentence of it.

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
    n_unknown : int, default=0
        Number of distinct positions and groups of the request that were never known,
        and ignored because of ``unknown="ignore"``.
    requested_at : str, default=None
        Time at which work on the request began, in UTC and ISO 8601 format.
    request_id : str, default=None
        Name of the request. Not used yet.
    selection_seconds : float, default=0.0
        Time spent on selecting representative rows, in seconds, summed over shards. In
        parallel it may exceed `seconds`.
    n_failed_shards : int, default=0
        Number of shards that ``retrain`` could not train and has left pending.
    path : {"patch", "polish", "refit"}, default=None
        How the parameters were updated: by one step computed from stored statistics
        ("patch"), by further steps with gradients computed on the retained rows
        ("polish"), or by a new fit ("refit"). This and the following fields are None
        for sharded unlearning.
    gradient_residual : float, default=None
        Gradient norm of the objective on the retained rows. None if not computed.
    distance_bound : float, default=None
        Bound of the distance between the parameters and those of a classifier
        retrained on the retained rows, as far as the request needed it; infinity means
        that no bound is known.
    hessian_bound : float, default=None
        The same distance in the norm of the Hessian, with factors of the losses divided
        by their mean; for logistic regression in standard errors. If the parameters
        are exact, it is the reach of a cell of their grid, wherever the optimum is.
    move : float, default=None
        Length of the move of the parameters in that norm, rounded up to two digits. A
        bound above it says little. None if no Hessian is known.
    eta : float, default=None
        Share of the way from the retrained parameters to those that PUMA has chosen,
        or of its linear step; 0 if no row was reweighted. This and the following fields
        are None for other methods.
    weights_changed : float, default=None
        Proportion of the retained training rows that PUMA has reweighted.
    criterion_change_actual : float, default=None
        Change of the criterion since `fit`.
    criterion_change_retrained : float, default=None
        The same for the parameters without reweighting.
    removal_kept : float, default=None
        Increase of the mean loss on the forget set, as a proportion of the increase
        without reweighting. None if that did not increase it, or if a class lost all of
        its rows.

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
    n_unknown: int = 0
    requested_at: str | None = field(default=None, compare=False)
    request_id: str | None = None
    selection_seconds: float = 0.0
    n_failed_shards: int = 0
    path: str | None = None
    gradient_residual: float | None = None
    distance_bound: float | None = None
    hessian_bound: float | None = None
    move: float | None = None
    eta: float | None = None
    weights_changed: float | None = None
    criterion_change_actual: float | None = None
    criterion_change_retrained: float | None = None
    removal_kept: float | None = None

    def __str__(self) -> str:
        """Return one sentence for people."""
        if self._is_of_retrain:
            text = f"Retrained {self._describe_shards()}"
        else:
            text = f"{self._describe_request()}{self._describe_work()}"
        text += f" in {_show_seconds(self.seconds)}"
        if self.n_failed_shards:
            text += f"; {_count(self.n_failed_shards, 'shard')} could not be trained"
        return f"{text}."

    @property
    def _is_of_retrain(self) -> bool:
        is_request = self.n_requested or self.n_unknown
        return not is_request and bool(self.shards or self.n_failed_shards)

    def _describe_request(self) -> str:
        """Return what was forgotten, and what was asked for in vain."""
        others = []
        if self.n_already_forgotten:
            verb = "was" if self.n_already_forgotten == 1 else "were"
            others.append(f"{self.n_already_forgotten:,} {verb} already forgotten")
        if self.n_unknown:
            others.append(f"{self.n_unknown:,} unknown")
        notes = f" ({', '.join(others)})" if others else ""
        return f"Forgot {_count(self.n_forgotten, 'row')}{notes}"

    def _describe_work(self) -> str:
        """Return how it was done."""
        if not self.n_forgotten:
            return ""
        if self.path is not None:
            return f" {_PATHS.get(self.path, 'by updating the parameters')}"
        if not self.shards:
            return " without training"
        return f" by retraining {self._describe_shards()}"

    def _describe_shards(self) -> str:
        return (
            f"{_count(len(self.shards), 'shard')}: {self.n_samples_retrained:,} of "
            f"{_count(self.n_samples_full_retrain, 'row')}"
        )


_PATHS = {
    "patch": "by one step of the parameters",
    "polish": "by several steps of the parameters",
    "refit": "by a new fit to the retained rows",
}


def make_history(records: Sequence[ForgetRecord]) -> Any:
    """Return records as a frame where pandas is installed, else as dictionaries."""
    rows = [asdict(record) for record in records]
    try:
        import pandas as pd
    except ImportError:
        return rows
    return pd.DataFrame(rows, columns=[each.name for each in fields(ForgetRecord)])


def _count(n: int, noun: str) -> str:
    return f"1 {noun}" if n == 1 else f"{n:,} {noun}s"


def _show_seconds(seconds: float) -> str:
    return f"{seconds:,.2f} s" if seconds >= 0.1 else f"{max(seconds, 1e-4):.1g} s"

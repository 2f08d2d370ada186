"""All that a fitted influence classifier is, as one value that is swapped at once."""

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from skunlearn._base import Records
from skunlearn._data.identities import GroupIndex
from skunlearn._data.rows import Batch, Erasure, Rows
from skunlearn._pickling import FieldsOnly
from skunlearn._records import ForgetRecord
from skunlearn._requests import Request
from skunlearn.influence._certificate.local_model import LocalModel
from skunlearn.influence._certificate.privacy_budget import Budget
from skunlearn.influence._criteria import Criterion, Validation
from skunlearn.influence._linalg.blocks import view_rows
from skunlearn.influence._networks.base import Network
from skunlearn.influence._networks.head import Head
from skunlearn.influence._networks.whole import WholeNetwork
from skunlearn.influence._settings import Settings
from skunlearn.influence._solvers.newton import Point
from skunlearn.influence._solvers.optimum import Optimum
from skunlearn.influence._solvers.refine import bound_in_hessian, bound_measured

__all__ = ["Change", "Measured", "Reach", "State", "view_batch"]

_CERTIFIED_TOL = 1e-8  # in the norm of the Hessian, where a residual is spent
_MIN_GOAL, _MAX_GOAL = 1e-12, 1e-2  # of parameters near which sums are rounded
_MAX_SCORE_RTOL = 0.02  # share of the Hessian by which scores of rows may be off


@dataclass(frozen=True, eq=False)
class State(FieldsOnly):
    """A fitted classifier and its rows.

    The first slots of the rows are for training, the others for the criterion.

    Parameters
    ----------
    prototype : classifier
        Unfitted estimator, which is cloned to refit.
    transformers : Pipeline or None
        What stands before the classifier, fitted and frozen.
    network : Network or None
        The frozen layers of a network, of which the classifier is the last one.
    optimum : Optimum
        The classifier, its objective and parameters.
    rows : Rows
        The rows, as transformers and network made them, with codes for labels.
    held_out : ndarray
        Positions of the rows that are held out, in order of their slots.
    w : ndarray of shape (n_training,)
        Weight of the row in each training slot; 0 is for rows that are forgotten, and
        for those that never had a weight.
    counts : ndarray of shape (n_classes,)
        Training rows of each class that have a weight.
    classes : ndarray of shape (n_classes,)
        The label of each code.
    criterion : Criterion
        What method="puma" leaves unchanged.
    given : Validation or None
        The rows for it that were given to ``fit``.
    settings : Settings
        How to forget.
    key : int
        Key of the hashes of groups.
    groups : GroupIndex or None
        Which rows belong to each group.
    budget : Budget or None
        What certified removal may spend.
    base : Optimum or None
        The optimum for weights of 1, where `optimum` is for others ("puma").
    criterion_start : float or None
        The criterion that "puma" holds; None if it is not known yet.
    """

    prototype: Any
    transformers: Pipeline | None
    network: Network | None
    optimum: Optimum
    rows: Rows
    held_out: np.ndarray
    w: np.ndarray
    counts: np.ndarray
    classes: np.ndarray
    criterion: Criterion
    given: Validation | None
    settings: Settings
    key: int
    groups: GroupIndex | None
    budget: Budget | None
    base: Optimum | None = None
    criterion_start: float | None = None
    records: Records = field(default_factory=Records)

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields, with the rows once: those of the objective are a view."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        base = None if self.base is None else self.base.with_rows(None)
        return values | {"optimum": self.optimum.with_rows(None), "base": base}

    def __setstate__(self, values: dict[str, Any]) -> None:
        """Let the objective refer to the rows again."""
        vars(self).update(values)
        vars(self).update(self._refer_to(self.training))

    def _refer_to(self, rows: Batch) -> dict[str, Any]:
        """Return both optima with objectives that refer to rows elsewhere."""
        base = None if self.base is None else self.base.with_rows(rows)
        return {"optimum": self.optimum.with_rows(rows), "base": base}

    @property
    def n_training(self) -> int:
        """Return the number of slots for training."""
        return len(self.w)

    @cached_property
    def training(self) -> Batch:
        """Return the training rows, which are referred to."""
        return view_batch(self.rows.data, 0, self.n_training)

    @cached_property
    def estimator(self) -> Any:
        """Return the fitted classifier with the transformers before it."""
        if self.transformers is None:
            return self.final
        pipeline = copy.copy(self.transformers)
        name = pipeline.steps[-1][0]
        pipeline.steps = [*pipeline.steps[:-1], (name, self.final)]
        return pipeline

    @cached_property
    def final(self) -> Any:
        """Return the fitted classifier; a network ends in what was found for it."""
        fitted = self.optimum.estimator
        if isinstance(fitted, WholeNetwork):
            return fitted.net
        if self.network is None or not isinstance(fitted, Head):  # but a constant
            return fitted
        return self.network.with_head(fitted)

    @property
    def described(self) -> Any:
        """Return what has the methods of the classifier, whatever classes are left."""
        return self.prototype if self.network is None else self.network.net

    def ask(self, method: str, X: Any) -> np.ndarray:
        """Return the classifier's answer to rows as transformers make them."""
        fitted = self.optimum.estimator
        if self.network is None or not isinstance(fitted, Head):
            return getattr(fitted, method)(X)
        classes, outputs = fitted.classes_, fitted.outputs
        return self.network.ask(self.final, classes, outputs, method, X)

    @cached_property
    def gradient_residual(self) -> float:
        """Return the norm of the gradient of what is minimised, in a pass."""
        objective, theta = self.optimum.objective, self.optimum.theta
        return float(np.linalg.norm(objective.gradient(theta, self.w)))

    @cached_property
    def _bounds(self) -> tuple[float, float]:
        """Return bounds of the distance to the optimum, in a pass if need be.

        The first is of the Euclidean distance, the second in the norm of the Hessian.
        """
        optimum, local = self.optimum, self.optimum.local
        known = optimum.bound, optimum.hessian_bound
        if local is None or local.gradient_error == 0:
            return known
        objective, theta, w, R = optimum.objective, optimum.theta, self.w, optimum.R
        local = local.with_gradients(theta, objective.gradients_by_group(theta, w))
        norm = float(np.linalg.norm(local.gradient))
        point = Point(theta, np.nan, local.gradient, norm)
        bound = bound_measured(objective, point, local, w, R)
        if not np.isfinite(bound):
            local = local.remeasured(theta, w)
            bound = bound_measured(objective, point, local, w, R)
        distance = bound_in_hessian(objective, point, local, w, R, bound)
        distance /= float(np.sqrt(objective.mean_weight(w)))
        return min(bound + local.rounding, known[0]), min(distance, known[1])

    @property
    def distance_bound(self) -> float:
        """Return the bound of the Euclidean distance to the optimum."""
        return self._bounds[0]

    @property
    def hessian_bound(self) -> float:
        """Return the bound of the distance in the norm of the Hessian, as tracked."""
        if self.optimum.is_exact and len(self.optimum.theta):
            return self._distance_in_cell
        known = self.optimum.hessian_bound
        return known if np.isfinite(known) else self._bounds[1]

    @cached_property
    def _distance_in_cell(self) -> float:
        """Return a bound that is shorter than the reach of a cell of the grid."""
        objective, local = self.optimum.objective, self.sharpened.optimum.local
        assert local is not None
        unit = float(np.sqrt(objective.mean_weight(self.w)))
        return min(self.optimum.hessian_bound, local.bound_in_hessian() / unit)

    @property
    def sharpened(self) -> "State":
        """Return this with the Hessian at the parameters, if that known is another."""
        optimum, local = self.optimum, self.optimum.local
        if optimum.is_exact and local is None and len(optimum.theta):
            objective, theta = optimum.objective, optimum.theta
            R = objective.compute_self_concordance()
            local = LocalModel.measure(objective, theta, self.w, R)
            return replace(self, optimum=replace(optimum, R=R, local=local))
        if local is None or local.low + local.up <= _MAX_SCORE_RTOL:
            return self
        local = local.remeasured(optimum.theta, self.w)
        return replace(self, optimum=replace(optimum, local=local))

    @property
    def plain(self) -> "State":
        """Return this without the weights of "puma": the optimum for weights of 1."""
        if self.base is None:
            return self
        slots = self.rows.slot_of[self.rows.retained]
        w = np.zeros(self.n_training)
        w[slots[slots < self.n_training]] = 1.0
        weight = self.training.sample_weight
        if weight is not None:
            w[weight == 0] = 0.0
        return replace(self, optimum=self.base, base=None, w=w)

    def weights_without(self, rows: np.ndarray) -> np.ndarray:
        """Return the weights, which are 0 for some rows."""
        w = self.w.copy()
        w[rows] = 0
        return w

    def subtract(self, rows: np.ndarray) -> LocalModel:
        """Return what is known without some rows, by subtraction if that is the less.

        `counts` are those without them already.
        """
        optimum, goal = self.optimum, self.settings.goal
        assert optimum.local is not None
        goal = _CERTIFIED_TOL if self.budget is not None else goal
        goal = min(max(goal, _MIN_GOAL), _MAX_GOAL)
        reach = math.sqrt(goal * optimum.objective.mean_weight(self.w)) / 4
        if len(rows) < self.counts.sum():
            local = optimum.local.rounded(reach).without(self.w, rows)
            if not local.needs_refresh:
                return local
        w = self.weights_without(rows)
        local = LocalModel.measure(optimum.objective, optimum.theta, w, optimum.R)
        return local.rounded(reach)

    def find_poor_classes(self, w: np.ndarray) -> np.ndarray:
        """Return a mask of the classes whose rows have none of some weights."""
        if w.all():
            return np.zeros(len(self.classes), dtype=bool)
        return np.bincount(self.training.y, w, minlength=len(self.classes)) <= 0

    def find_validation(
        self, gone: Any = (), codes: np.ndarray | None = None
    ) -> Validation | None:
        """Return the rows of the criterion; None where there are none.

        Rows whose class is gone do not count, nor those in slots that are about to go,
        nor those of other classes than some `codes`. Without rows held out or given,
        they are those that the classifier is trained on.
        """
        found = self._find_validation(gone)
        if found is None or codes is None or len(codes) == len(self.classes):
            return found
        inside = np.flatnonzero(np.isin(found.codes, codes))
        return found.select(inside) if len(inside) else None

    def _find_validation(self, gone: Any) -> Validation | None:
        if self.given is not None:
            return self.given.within(self.classes)
        if len(self.held_out):
            batch = view_batch(self.rows.data, self.n_training, self.rows.n_positions)
            kept = self.rows.retained[self.held_out] & (batch.y >= 0)
        else:
            batch, kept = self.training, self.w > 0
        gone = np.asarray(gone, dtype=np.int64) - self.rows.n_positions + len(kept)
        kept[gone[gone >= 0]] = False
        whole = Validation(self.criterion, batch.X, batch.y, self.classes)
        if kept.all():
            return whole
        return whole.select(np.flatnonzero(kept)) if kept.any() else None

    def without_rows(self, positions: np.ndarray, erasure: Erasure) -> "State":
        """Return the state with rows and weights that are to be overwritten.

        Its objective refers to these rows: they may have been copied.
        """
        rows = self.rows.prepare_forget(positions, erasure)
        w, slots = erasure.own(self.w, self.rows.readers), rows.slot_of[positions]
        erasure.overwrite(w, slots[slots < len(w)])
        state = replace(self, rows=rows, w=w)
        if _is_same(self.optimum.objective.X, rows.data.X):
            return state
        return replace(state, **state._refer_to(state.training))

    def with_record(self, record: ForgetRecord) -> "State":
        """Return this with one more receipt."""
        return replace(self, records=self.records.append(record))


@dataclass(frozen=True)
class Measured:
    """What PUMA has done, measured: the fields of the record that are its own."""

    eta: float
    weights_changed: float
    criterion_change_actual: float
    criterion_change_retrained: float
    removal_kept: float | None


@dataclass(frozen=True)
class Change:
    """A state without some rows, and how it came about: the outcome of a request.

    The weights may still be those before: the rows that go are overwritten when all
    else is done.

    Parameters
    ----------
    state : State
        The state.
    path : {"patch", "polish", "refit"}
        One step of the parameters, several, or a new fit.
    move : float, default=None
        How far the parameters were moved, in the norm of the Hessian, rounded: more
        digits tell of the rows.
    measured : Measured, default=None
        What PUMA has done.
    """

    state: State
    path: str
    move: float | None = None
    measured: Measured | None = None

    @property
    def gradient_norm(self) -> float | None:
        """The norm of the true gradient; None where it was not computed."""
        norm = self.state.optimum.gradient_norm
        return None if math.isnan(norm) else norm

    @property
    def bound_unavailable(self) -> bool:
        """Whether true gradients could not bound the distance to the optimum."""
        optimum = self.state.optimum
        is_open = optimum.local is not None and optimum.local.gradient_error > 0
        return not is_open and not np.isfinite(optimum.bound)

    @property
    def is_exact(self) -> bool:
        """Whether nothing but the retained rows decides on the classifier."""
        return self.state.optimum.is_exact and self.state.network is None

    def make_record(self, request: Request, seconds: float) -> ForgetRecord:
        """Return the record of the request that was the reason for it."""
        n_training = int(self.state.counts.sum())
        return ForgetRecord(
            **request.counts,
            shards=(),
            n_slices_retrained=0,
            n_samples_retrained=n_training if self.path == "refit" else 0,
            n_samples_full_retrain=n_training,
            seconds=seconds,
            kind="exact" if self.is_exact else "approximate",
            path=self.path,
            gradient_residual=self.gradient_norm,
            distance_bound=self.state.optimum.bound,
            hessian_bound=self.state.optimum.hessian_bound,
            move=self.move,
            **({} if self.measured is None else asdict(self.measured)),
        )


Reach = Callable[..., Change | None]  # goes to an optimum, by a patch or a polish


def _is_same(X: object, Y: object) -> bool:
    """Return True if two arrays or matrices are in the same memory."""
    X, Y = getattr(X, "data", X), getattr(Y, "data", Y)
    if isinstance(X, memoryview) or isinstance(Y, memoryview):
        X, Y = np.asarray(X), np.asarray(Y)
    return np.may_share_memory(X, Y)  # one is a copy of all, or of nothing


def view_batch(batch: Batch, start: int, stop: int) -> Batch:
    """Return neighbouring rows, in the same memory."""
    weight = batch.sample_weight
    weight = None if weight is None else weight[start:stop]
    return Batch(view_rows(batch.X, start, stop), batch.y[start:stop], weight)

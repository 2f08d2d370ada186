"""How a state goes over into another: steps that leave what there was as it is."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np

from skunlearn._records import ForgetRecord
from skunlearn._requests import Request
from skunlearn.influence._certificate.grid import round_up
from skunlearn.influence._certificate.local_model import LocalModel
from skunlearn.influence._optimum import write_copy
from skunlearn.influence._solvers.newton import evaluate
from skunlearn.influence._solvers.refine import MAX_STEPS, Update, patch, settle
from skunlearn.influence._state import State

__all__ = [
    "Change",
    "Measured",
    "finish",
    "make_patch",
    "make_steps",
    "reweighted",
    "subtract",
    "without_rows",
]

_CERTIFIED_GOAL = 1e-8  # where a residual is spent
_MIN_GOAL, _MAX_GOAL = 1e-12, 1e-2


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
    """A state without some rows, and how it came about.

    The weights may still be those before: the rows that go are overwritten when all
    else is done.
    """

    state: State
    path: str
    gradient_norm: float | None = None
    move: float | None = None
    measured: Measured | None = None

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
            move=None if self.move is None else round_up(self.move),
            **({} if self.measured is None else asdict(self.measured)),
        )


def without_rows(w: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return weights that are 0 for some rows."""
    w = w.copy()
    w[rows] = 0
    return w


def subtract(state: State, rows: np.ndarray) -> LocalModel:
    """Return what is known without some rows, by subtraction if that is the less."""
    local, reach = state.optimum.local, _find_reach(state)
    assert local is not None
    if len(rows) < state.counts.sum():
        local = local.rounded(reach).without(state.w, rows)
        if not local.needs_refresh:
            return local
    optimum, w = state.optimum, without_rows(state.w, rows)
    local = LocalModel.measure(optimum.objective, optimum.theta, w, optimum.R)
    return local.rounded(reach)


def _find_reach(state: State) -> float:
    """Return how far rounding may go in the norm of the Hessian, for what is asked."""
    goal = _CERTIFIED_GOAL if state.budget is not None else state.settings.goal
    goal = min(max(goal, _MIN_GOAL), _MAX_GOAL)
    return math.sqrt(goal * state.optimum.objective.mean_weight(state.w)) / 4


def reweighted(
    local: LocalModel, changes: np.ndarray, w: np.ndarray, gradient: np.ndarray
) -> LocalModel:
    """Return what is known after weights have changed, with the gradient for them."""
    objective, theta = local.objective, local.theta
    sums = objective.weight_sums(w)
    if len(local.gradients) > 1:
        gradients = objective.gradients_by_group(theta, w)
    else:
        rest = objective.regularizer_gradient(theta, sums)
        gradients = (gradient - rest) / objective.scales(sums)
    return local.reweighted(changes, w, gradients)


def make_patch(
    state: State, local: LocalModel, step: np.ndarray, weigh: Callable[[], np.ndarray]
) -> Change:
    """Make a step from what is known, and others if no bound holds for it."""
    settings = state.settings
    if state.budget is not None and settings.n_steps == "auto":
        settings = replace(settings, n_steps=1)  # the residual decides on more
    objective = local.objective
    w = weigh() if objective.has_unlike_rows else state.w  # which is a copy less
    unit = objective.mean_weight(w)
    return finish(state, patch(local, step, weigh, settings, unit), unit)


def make_steps(state: State, theta: np.ndarray, w: np.ndarray, n_made: int) -> Change:
    """Make steps with true gradients alone, where `n_made` were made already."""
    optimum, settings = state.optimum, state.settings
    n_more = MAX_STEPS if settings.n_steps == "auto" else settings.n_steps - n_made
    point = evaluate(optimum.objective, theta, w)
    update = settle(optimum.objective, point, None, w, settings, optimum.R, n_more)
    return finish(state, update, optimum.objective.mean_weight(w))


def finish(state: State, update: Update, unit: float) -> Change:
    """Give the parameters to a new estimator; `unit` is the mean weight of rows."""
    optimum = state.optimum
    norm = np.nan if update.gradient_norm is None else update.gradient_norm
    new = replace(
        optimum,
        theta=update.theta,
        local=update.local,
        bound=np.inf if update.failed else update.bound,
        hessian_bound=np.inf if update.failed else update.hessian_bound,
        gradient_norm=norm,
        estimator=write_copy(optimum, update.theta),
        is_exact=False,
        reference=None,
    )
    path, move = "failed" if update.failed else update.path, None
    if update.local is not None:
        length = update.local.find_length(update.theta - optimum.theta)
        move = length / math.sqrt(unit)
    return Change(replace(state, optimum=new), path, update.gradient_norm, move)

"""How a state goes over into another: steps that leave what there was as it is."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from skunlearn._records import ForgetRecord
from skunlearn._requests import Request
from skunlearn.influence._certificate.local_model import LocalModel
from skunlearn.influence._optimum import write_copy
from skunlearn.influence._solvers.newton import evaluate
from skunlearn.influence._solvers.refine import MAX_STEPS, Update, patch, settle
from skunlearn.influence._state import State

__all__ = [
    "Change",
    "Trial",
    "finish",
    "make_patch",
    "make_steps",
    "subtract",
    "without_rows",
]


@dataclass(frozen=True)
class Trial:
    """How far PUMA went, and what it predicted that to do to the criterion."""

    eta: float
    predicted: float


@dataclass(frozen=True)
class Change:
    """A state without some rows, and how it came about.

    The weights may still be those before: the rows that go are overwritten when all
    else is done.
    """

    state: State
    path: str
    gradient_norm: float | None = None
    trial: Trial | None = None
    criterion_change: float = math.nan

    @property
    def bound_unavailable(self) -> bool:
        """Whether true gradients could not bound the distance to the optimum."""
        optimum = self.state.optimum
        is_open = optimum.local is not None and optimum.local.gradient_error > 0
        return not is_open and not np.isfinite(optimum.bound)

    def make_record(self, request: Request, seconds: float) -> ForgetRecord:
        """Return the record of the request that was the reason for it."""
        n_training, trial = int(self.state.counts.sum()), self.trial
        return ForgetRecord(
            **request.counts,
            shards=(),
            n_slices_retrained=0,
            n_samples_retrained=n_training if self.path == "refit" else 0,
            n_samples_full_retrain=n_training,
            seconds=seconds,
            kind="exact" if self.state.optimum.is_exact else "approximate",
            path=self.path,
            gradient_residual=self.gradient_norm,
            distance_bound=self.state.optimum.bound,
            eta=None if trial is None else trial.eta,
            criterion_change_predicted=None if trial is None else trial.predicted,
            criterion_change_actual=None if trial is None else self.criterion_change,
        )


def without_rows(w: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return weights that are 0 for some rows."""
    w = w.copy()
    w[rows] = 0
    return w


def subtract(state: State, rows: np.ndarray) -> LocalModel:
    """Return what is known without some rows, by subtraction if that is the less."""
    local = state.optimum.local
    assert local is not None
    if len(rows) < state.counts.sum():
        local = local.without(state.w, rows)
        if not local.needs_refresh:
            return local
    optimum, w = state.optimum, without_rows(state.w, rows)
    return LocalModel.measure(optimum.objective, optimum.theta, w, optimum.R)


def make_patch(
    state: State, local: LocalModel, step: np.ndarray, weigh: Callable[[], np.ndarray]
) -> Change:
    """Make a step from what is known, and others if no bound holds for it."""
    settings = state.settings
    if state.budget is not None and settings.n_steps == "auto":
        settings = replace(settings, n_steps=1)  # the residual decides on more
    return finish(state, patch(local, step, weigh, settings))


def make_steps(state: State, theta: np.ndarray, w: np.ndarray, n_made: int) -> Change:
    """Make steps with true gradients alone, where `n_made` were made already."""
    optimum, settings = state.optimum, state.settings
    n_more = MAX_STEPS if settings.n_steps == "auto" else settings.n_steps - n_made
    point = evaluate(optimum.objective, theta, w)
    update = settle(optimum.objective, point, None, w, settings, optimum.R, n_more)
    return finish(state, update)


def finish(state: State, update: Update) -> Change:
    """Give the parameters to a new estimator."""
    optimum = state.optimum
    norm = np.nan if update.gradient_norm is None else update.gradient_norm
    new = replace(
        optimum,
        theta=update.theta,
        local=update.local,
        bound=np.inf if update.failed else update.bound,
        gradient_norm=norm,
        estimator=write_copy(optimum, update.theta),
        is_exact=False,
        reference=None,
    )
    path = "failed" if update.failed else update.path
    return Change(replace(state, optimum=new), path, update.gradient_norm)

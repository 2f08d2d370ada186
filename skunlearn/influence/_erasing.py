"""What is left to do when all has been computed: overwrite rows, and tell of it."""

from dataclasses import replace

import numpy as np

from skunlearn._data.rows import Erasure
from skunlearn._records import ForgetRecord, Request
from skunlearn.influence._methods.transitions import Change
from skunlearn.influence._state import State

__all__ = ["erase", "make_record"]


def erase(before: State, after: State, positions: np.ndarray) -> tuple[State, Erasure]:
    """Return a state that holds on to no forgotten row, once the erasure is done."""
    rows, erasure = after.rows.prepare_forget(positions)
    after = replace(after, rows=rows)
    if after.w is before.w:
        w = after.w if after.w.flags.writeable else after.w.copy()
        slots = rows.slot_of[positions]
        erasure = Erasure((*erasure.targets, (w, slots[slots < len(w)])))
        after = replace(after, w=w)
    return _rebind(after), erasure


def _rebind(state: State) -> State:
    """Let the objective refer to the rows of the state, if these were copied."""
    objective, training = state.optimum.objective, state.training
    if _is_same(objective.X, training.X):
        return state
    return replace(state, optimum=state.optimum.with_rows(training))


def _is_same(X: object, Y: object) -> bool:
    """Return True if two arrays or matrices are in the same memory."""
    X, Y = getattr(X, "data", X), getattr(Y, "data", Y)
    if isinstance(X, memoryview) or isinstance(Y, memoryview):
        X, Y = np.asarray(X), np.asarray(Y)
    return np.shares_memory(X, Y)


def make_record(change: Change, request: Request, seconds: float) -> ForgetRecord:
    """Return the receipt of a forget."""
    state, trial = change.state, change.trial
    n_training = int(state.counts.sum())
    is_refit = change.path == "refit"
    return ForgetRecord(
        n_requested=request.n_requested,
        n_forgotten=len(request.positions),
        n_already_forgotten=request.n_already_forgotten,
        shards=(),
        n_slices_retrained=0,
        n_samples_retrained=n_training if is_refit else 0,
        n_samples_full_retrain=n_training,
        seconds=seconds,
        kind="approximate",
        path=change.path,
        gradient_residual=change.gradient_norm,
        distance_bound=state.optimum.bound,
        eta=None if trial is None else trial.eta,
        criterion_change_predicted=None if trial is None else trial.predicted,
        criterion_change_actual=None if trial is None else change.criterion_change,
    )

"""Fit an influence classifier again on its retained rows, and compare."""

import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from skunlearn._data.containers import take_rows
from skunlearn._data.rows import Batch
from skunlearn._requests import check_positions
from skunlearn._runtime.threads import single_threaded
from skunlearn.influence._optimum import find_optimum
from skunlearn.influence._solvers.optimum import Optimum
from skunlearn.influence._state import State
from skunlearn.metrics._audit.identical import are_identical
from skunlearn.metrics._audit.report import AuditReport, conclude_replay, tell_retained

__all__ = ["replay_influence"]

_HEAD_ALONE = "Only the head of the network is judged: its features saw all rows"
_READ_RTOL = 1e-12  # what writing parameters and reading them may lose


def replay_influence(classifier: Any, X_idx: Any) -> AuditReport:
    """Audit rows of an influence classifier: are they gone, and from its parameters?"""
    with classifier._reading() as state, single_threaded():
        positions = check_positions(X_idx, state.rows.n_positions).positions
        wrong = [*tell_retained(state.rows, positions), *_check_weights(state)]
        notes = [] if state.network is None else [_HEAD_ALONE]
        power = 1.0
        for each in (state, state.plain) if state.base is not None else (state,):
            if each.optimum.is_exact:
                wrong += _check_identity(each)
            else:
                found, note, bound = _check_distance(each)
                wrong, notes = wrong + found, notes + note
                power = math.nan if math.isfinite(bound) and power else 0.0
    return conclude_replay(len(positions), wrong, notes, power)


def _find_counted(state: State) -> np.ndarray:
    """Return a mask of the training slots of retained rows that have a weight."""
    counted = np.zeros(state.n_training, dtype=bool)
    slots = state.rows.slot_of[state.rows.retained]
    counted[slots[slots < len(counted)]] = True
    weight = state.training.sample_weight
    return counted if weight is None else counted & (weight > 0)


def _check_weights(state: State) -> list[str]:
    """Say whether weights and classes are not those of the retained rows."""
    counted, found = _find_counted(state), []
    usual = state.base is not None or (state.w[counted] == 1).all()
    if state.w[~counted].any() or not usual or (state.w < 0).any():
        found.append("weights_ has other values than those of the retained rows")
    codes = state.training.y[counted]
    counts = np.bincount(codes, minlength=len(state.classes))
    if not np.array_equal(counts, state.counts) or not counts.all():
        found.append("classes_ has other classes than those of the retained rows")
    return found


def _fit_again(state: State, exact: bool) -> Optimum:
    """Return a fresh fit on the retained rows, and on nothing else."""
    slots = np.flatnonzero(_find_counted(state))
    held, w = state.training, np.maximum(state.w[slots], 0)
    weight = None if held.sample_weight is None else held.sample_weight[slots]
    codes = held.y[slots]
    there = np.unique(codes)
    rows = Batch(take_rows(held.X, slots), np.searchsorted(there, codes), weight)
    settings = replace(state.settings, exact=False)
    if exact:  # whatever was set since
        settings = replace(settings, exact="auto", method="newton", n_steps="auto")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return find_optimum(
            state.prototype, rows, w, state.classes[there], settings, state.budget
        )


def _check_identity(state: State) -> list[str]:
    mine, again = state.optimum, _fit_again(state, exact=True)
    if are_identical(
        (mine.theta, mine.estimator, state.classes),
        (again.theta, again.estimator, again.estimator.classes_),
    ):
        return []
    return ["the parameters are not those that a fit on the retained rows gives"]


def _check_distance(state: State) -> tuple[list[str], list[str], float]:
    """Return what is wrong, what else is to be said, and the bound of the distance."""
    mine, again = state.optimum, _fit_again(state, exact=False)
    if mine.theta.shape != again.theta.shape:
        return ["the parameters are those of other classes"], [], 0.0
    slack = _READ_RTOL * float(np.linalg.norm(again.theta))
    shown = mine.objective.read(mine.estimator)
    if not np.linalg.norm(shown - mine.theta) <= slack:
        return ["estimator_ has other parameters than were found for it"], [], 0.0
    move = mine.theta - again.theta
    distance = float(np.linalg.norm(move))
    bound = mine.bound if math.isfinite(mine.bound) else state.distance_bound
    words = f"{distance:.2g} from those of a fit on the retained rows"
    if _is_beyond(state, again, move) or distance > bound + again.bound + slack:
        return [f"the parameters are {words}, beyond their bound"], [], bound
    if not math.isfinite(bound + again.bound):
        return [], ["No bound is known: parameters cannot be judged"], math.inf
    return [], [f"The parameters are {words}, within the bound {bound:.2g}"], bound


def _is_beyond(state: State, again: Optimum, move: np.ndarray) -> bool:
    """Whether a move is longer than is stated for it, in the norm of the Hessian.

    That bound was found when rows were forgotten, the other one may be later.
    """
    mine, local = state.optimum, again.local
    stated = mine.hessian_bound + again.hessian_bound
    if local is None or not math.isfinite(stated * again.R):
        return False
    length = local.find_length(move) / math.sqrt(mine.objective.mean_weight(state.w))
    # It may be of the Hessian at either end, which differ by this factor at most.
    return length > stated * math.exp(again.R * float(np.linalg.norm(move)) / 2)

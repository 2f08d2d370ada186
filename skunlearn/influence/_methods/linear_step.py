"""The linear step of PUMA: reweight to first order, then a step of a given share.

G. Wu, M. Hashemi, C. Srinivasa, "PUMA: Performance Unchanged Model Augmentation for
Training Data Removal", AAAI 2022, :arxiv:`2203.00846`.
"""

from dataclasses import replace

import numpy as np

from skunlearn._runtime.warn import warn
from skunlearn.influence._certificate.local_model import LocalModel
from skunlearn.influence._criteria import Validation
from skunlearn.influence._methods.reweighting import reweight
from skunlearn.influence._solvers.refine import ihvp
from skunlearn.influence._state import Change, Reach, State

__all__ = ["make_linear_step"]


def make_linear_step(
    state: State,
    rows: np.ndarray,
    validation: Validation,
    start: float,
    eta: float,
    reach: Reach,
) -> Change | None:
    """Reweight the retained rows, and make a share `eta` of the Newton step.

    Parameters
    ----------
    state : State
        The state before the request, without weights of earlier ones.
    rows : ndarray
        The rows to forget.
    validation : Validation
        The criterion and its rows.
    start : float
        The criterion that is to be held.
    eta : float
        The share of the step.
    reach : callable
        Makes the step and goes to the optimum for the new weights.

    Returns
    -------
    Change or None
        The outcome; None if it leads nowhere, or, with a warning, if a class would
        have no weight left.
    """
    objective, theta = state.optimum.objective, state.optimum.theta
    settings, known = state.settings, state.optimum.local
    after = None if known is None else state.subtract(rows)
    is_original = settings.hessian == "original"
    changes = _plan(state, rows, validation, start, known if is_original else after)
    w = state.w * (1 + changes)
    w[rows] = 0
    if state.find_poor_classes(w).any():
        warn(
            "holding the criterion would reduce all weights of a class to 0, so the "
            "retained rows are not reweighted. Set eta='auto', use more rows for the "
            "criterion, or reduce max_reabsorption."
        )
        return None
    gradient = objective.gradient(theta, w)
    if after is not None:
        after = after.reweighted(changes, w, gradient)
    was, local = (state.w, known) if is_original else (w, after)
    step = -eta * ihvp(objective, theta, was, local, gradient, settings)
    return reach(replace(state, w=w), after, step)


def _plan(
    state: State,
    rows: np.ndarray,
    validation: Validation,
    start: float,
    known: LocalModel | None,
) -> np.ndarray:
    """Return the least changes of weights that hold the criterion to first order."""
    objective, theta = state.optimum.objective, state.optimum.theta
    w, settings = state.w, state.settings
    scales = objective.scales(objective.weight_sums(w))[objective.groups_of_rows[rows]]
    gradients = w[rows, None] * scales * objective.row_gradients(theta, rows)
    slopes = [validation.gradient(objective, theta), gradients.sum(axis=0)]
    v = ihvp(objective, theta, w, known, np.transpose(slopes), settings)
    contributions, returns = w * objective.scores(theta, w, v).T
    wanted = validation.value(objective, theta) - start
    wanted += float(contributions[rows].sum())
    returned = float(returns[rows].sum())
    contributions[rows] = returns[rows] = 0
    return reweight(
        contributions,
        wanted,
        returns=returns,
        returned=returned,
        max_weight=settings.max_weight,
        max_reabsorption=settings.max_reabsorption,
    ).changes

"""PUMA: removals that leave a criterion unchanged, by weighing retained rows anew.

G. Wu, M. Hashemi, C. Srinivasa, "PUMA: Performance Unchanged Model Augmentation for
Training Data Removal", AAAI 2022, :arxiv:`2203.00846`. What the paper leaves open is as
the user guide says.
"""

from dataclasses import dataclass, replace

import numpy as np

from skunlearn._runtime.warn import warn
from skunlearn.influence._certificate.local_model import Tracked
from skunlearn.influence._linalg.conjugate_gradients import conjugate_gradients
from skunlearn.influence._methods.reweighting import Reweighting, reweight
from skunlearn.influence._objectives.base import Objective
from skunlearn.influence._settings import Settings
from skunlearn.influence._solvers.refine import solve_with

__all__ = [
    "Trial",
    "apply_inverse",
    "find_multipliers",
    "plan_weights",
    "reweighted",
]

_UNSOLVED = 0.01  # share of the right-hand side that may be left


def apply_inverse(
    objective: Objective,
    theta: np.ndarray,
    w: np.ndarray,
    tracked: Tracked | None,
    v: np.ndarray,
    settings: Settings,
) -> np.ndarray:
    """Return the inverse Hessian times v, or the columns of v."""
    if tracked is not None:
        return -solve_with(tracked, v, settings.damping)
    if v.ndim == 2:
        each = [apply_inverse(objective, theta, w, None, u, settings) for u in v.T]
        return np.column_stack(each)
    solution = conjugate_gradients(
        objective.product(theta, w),
        v,
        diagonal=objective.diagonal(theta, w),
        null_space=objective.null_space,
        damping=settings.damping,
        tol=1e-6,
        max_iter=settings.max_iter,
    )
    if solution.relative_residual > _UNSOLVED:
        warn(
            "conjugate gradients have not solved for what rows do to the criterion: a "
            f"residual of {solution.relative_residual:.0%} is left. Raise max_iter, or "
            "set damping."
        )
    return solution.x


def plan_weights(
    contributions: np.ndarray,
    returns: np.ndarray | None,
    rows: np.ndarray,
    settings: Settings,
) -> Reweighting:
    """Return how to change the weights of all rows, 0 for those that are to go.

    Parameters
    ----------
    contributions : ndarray of shape (n_rows,)
        What removing each row does to the criterion. It is overwritten.
    returns : ndarray of shape (n_rows,), or None
        How much of the removal a double weight of each row puts back. It is
        overwritten.
    rows : ndarray
        The rows that are to go.
    settings : Settings
        The limits of the changes.
    """
    wanted = float(contributions[rows].sum())
    returned = 0.0
    if returns is not None:
        returned = float(returns[rows].sum())
        returns[rows] = 0
    contributions[rows] = 0
    return reweight(
        contributions,
        wanted,
        returns=returns,
        returned=returned,
        max_weight=settings.max_weight,
        l1_penalty=settings.l1_penalty,
        max_reabsorption=settings.max_reabsorption,
    )


def reweighted(
    tracked: Tracked, changes: np.ndarray, w: np.ndarray, pull: np.ndarray | None
) -> Tracked:
    """Return what is known after weights have changed.

    The Hessian stays as it is known: no row's part of it changes by more than the
    extremes of the changes. `pull` is the sum of the changes of gradients; without it,
    these are formed anew.
    """
    least, most = min(float(changes.min()), 0.0), max(float(changes.max()), 0.0)
    tracked = tracked.with_totals(tracked.objective.totals(w))
    if pull is None:
        sums = tracked.objective.stratum_gradients(tracked.theta, w)
        tracked = tracked.with_gradients(tracked.theta, sums)
    else:
        tracked = replace(tracked, gradients=tracked.gradients + pull)
    return replace(
        tracked,
        low=1 - (1 - tracked.low) * (1 + least),
        up=(1 + tracked.up) * (1 + most) - 1,
    )


def find_multipliers(changes: np.ndarray, slopes: np.ndarray) -> np.ndarray | None:
    """Return m with ``changes = m @ slopes``; None where no such m is found."""
    grams = slopes @ slopes.T
    if not np.linalg.cond(grams) < 1e12:
        return None
    multipliers = np.linalg.solve(grams, slopes @ changes)
    rest = changes - multipliers @ slopes
    return multipliers if rest @ rest <= 1e-24 * (changes @ changes) else None


@dataclass(frozen=True)
class Trial:
    """How far PUMA went, and what it predicted that to do to the criterion."""

    eta: float
    predicted: float

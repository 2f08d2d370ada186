"""Steps to the point of a grid that is next to the optimum, whatever the way."""

import copy
import math
from dataclasses import replace
from typing import Any

import numpy as np

from skunlearn._runtime.warn import warn
from skunlearn.influence._certificate.enclosure import (
    Enclosure,
    Rounding,
    bound_rate,
    enclose,
    measure_rate,
)
from skunlearn.influence._certificate.grid import bound_rounding, round_up
from skunlearn.influence._certificate.privacy_budget import Budget
from skunlearn.influence._certificate.reference import Local, Reference, Weighted
from skunlearn.influence._objectives.base import Objective
from skunlearn.influence._objectives.linear import LinearObjective
from skunlearn.influence._objectives.linear_sums import (
    GradientSum,
    GradientSums,
    allows_exact,
    sum_removed,
    sum_weights,
)
from skunlearn.influence._objectives.registry import make_unsupported
from skunlearn.influence._settings import Settings
from skunlearn.influence._solvers.newton import polish
from skunlearn.influence._solvers.optimum import Optimum

__all__ = [
    "choose_solver",
    "is_exact_wanted",
    "round_optimum",
    "round_without",
    "warn_of_rounding",
]

_MAX_DENSE_PARAMS = 2000  # a Hessian of 32 MB

_MAX_PASSES = 40
_MIN_PROGRESS = 0.5  # by which a step has to make the next one shorter
_MAX_CHANGE = 1.0  # of margins, up to which a Hessian is of use
_MAX_CELLS = 50  # of the grid, within which gradients follow from curvatures
_MAX_MORE_CHANGE = 0.02  # of margins, that is not worth a look at the rows
_MAX_FORMED = 3
_MAX_REFINEMENTS = 3


def round_optimum(
    optimum: Optimum,
    weighted: Weighted,
    reference: Reference | None = None,
    step: np.ndarray | None = None,
) -> tuple[Optimum, float] | None:
    """Return the point of the grid next to the optimum; None if it is not certain.

    Parameters
    ----------
    optimum : Optimum
        Where to begin.
    weighted : Weighted
        The weights of the retained rows.
    reference : Reference, default=None
        What is known of these rows.
    step : ndarray of shape (n_params,), default=None
        Gradient of what was removed; the first step, which needs no pass, follows it.

    Returns
    -------
    optimum : Optimum
        The point, with all that is exact and no more: a function of the retained rows.
    move : float
        How far it is from where the steps began, in the norm of the Hessian, rounded.
    """
    objective, start = optimum.objective, optimum.theta
    assert isinstance(objective, LinearObjective)
    if reference is None:
        reference = Reference.measure(objective, start, weighted)
    local = reference.at(objective, weighted)
    if local is None or (spacing := local.spacing) is None:
        return None
    theta = start if step is None else start + local.factor.solve(step)
    point = _Search(objective, weighted, local).run(theta, start)
    if point is None:
        return None
    estimator = _write_copy(optimum, point)
    move = round_up(local.measure(point - start) / math.sqrt(local.grams.mean))
    found = replace(
        optimum,
        estimator=estimator,
        theta=point,
        local=None,
        R=math.nan,
        bound=float(np.linalg.norm(spacing)) / 2,
        gradient_norm=math.nan,
        n_steps=0,
        hessian_bound=bound_rounding(objective, local.grams, spacing, weighted.sums),
        is_exact=True,
        reference=reference.moved(objective, point, weighted, local.grams),
    )
    return found, move


def _write_copy(optimum: Optimum, theta: np.ndarray) -> Any:
    """Return a copy of the estimator that does not say how many steps were made.

    That depends on rows that are forgotten.
    """
    estimator = copy.copy(optimum.estimator)
    optimum.objective.write(estimator, theta)
    for name in "n_iter_", "t_":
        if getattr(estimator, name, None) is not None:
            setattr(estimator, name, 0 * getattr(estimator, name) + 1)
    return estimator


def round_without(
    optimum: Optimum, w: np.ndarray, rows: np.ndarray
) -> tuple[Optimum, float] | None:
    """Return what `round_optimum` does, without some rows; a warning says if hidden.

    `w` are the weights with the rows.
    """
    objective, theta, known = optimum.objective, optimum.theta, optimum.reference
    assert isinstance(objective, LinearObjective)
    left = w.copy()
    left[rows] = 0
    weighted, found = Weighted.measure(objective, left), None
    if known is not None and len(rows) < weighted.sums[0]:
        known = known.without(objective, w, rows)
    else:
        known = None
    if known is not None:
        step = sum_removed(objective, theta, w, weighted.sums, rows)
        found = round_optimum(optimum, weighted, known, step)
    if found is None:  # nothing was known, or subtraction has lost digits
        found = round_optimum(optimum, weighted)
    if found is None:
        warn_of_rounding()
    return found


def warn_of_rounding() -> None:
    """Say that parameters are not exact, and what would help."""
    warn(
        "the parameters are not exact: rounding hides to which point of the grid the "
        "optimum belongs. Scale the features, drop those that depend on others, or "
        "increase the l2 penalty."
    )


def choose_solver(solver: str, n_params: int) -> str:
    """Return which solver "auto" is: the one without Hessians where they are large."""
    if solver != "auto":
        return solver
    return "cholesky" if n_params <= _MAX_DENSE_PARAMS else "cg"


def is_exact_wanted(
    estimator: Any, objective: Objective, settings: Settings, budget: Budget | None
) -> bool:
    """Whether parameters are to be exact.

    Raises
    ------
    ValueError, UnsupportedEstimatorError
        If they have to be, and cannot.
    """
    if not settings.exact:
        return False
    reason = _find_obstacle(objective, settings, budget)
    is_supported = not objective.n_params or allows_exact(objective)
    if settings.exact != "auto" and reason is not None:
        raise ValueError(f"exact=True needs {reason}. Set that, or exact='auto'.")
    if settings.exact != "auto" and not is_supported:
        raise make_unsupported(
            estimator,
            "exact=True needs one optimum of a smooth objective: LogisticRegression or "
            "SGDClassifier(loss='log_loss') with an l2 penalty, RidgeClassifier, or "
            "the head of a network (scope='head')",
        )
    return reason is None and is_supported


def _find_obstacle(
    objective: Objective, settings: Settings, budget: Budget | None
) -> str | None:
    """Return which parameter would have to be another one."""
    if settings.method != "newton":
        return f"method='newton'; got method={settings.method!r}"
    if budget is not None:
        return "certify=None, since the noise of certify is not of the rows"
    if settings.n_steps != "auto":
        return f"n_steps='auto'; got n_steps={settings.n_steps!r}"
    if choose_solver(settings.solver, objective.n_params) != "cholesky":
        return (
            f"a Hessian: solver='cholesky'; got solver={settings.solver!r} with "
            f"{objective.n_params:,} parameters"
        )
    return None


class _Search:
    """The way to the point of the grid in whose cell the optimum is for certain."""

    def __init__(
        self, objective: LinearObjective, weighted: Weighted, local: Local
    ) -> None:
        self.objective, self.weighted, self.local = objective, weighted, local
        self.gradients = GradientSums(objective, weighted.w, weighted.sums)
        self.rounding = Rounding.measure(self.gradients, local)
        self.n_passes, self.n_formed = 0, 0
        self.found: GradientSum | None = None
        self.rate, self.is_measured = bound_rate(objective, local), False

    def run(self, theta: np.ndarray, start: np.ndarray) -> np.ndarray | None:
        """Make steps until the cell is certain, or nothing makes it more certain."""
        theta, last = self._project(theta), math.inf
        while self.n_passes < _MAX_PASSES:
            enclosure = self._enclose(theta)
            if enclosure.point is not None:
                return enclosure.point
            if enclosure.is_settled:
                return self._refine(theta + enclosure.step)
            is_near = enclosure.change <= _MAX_CHANGE
            if is_near and enclosure.size < _MIN_PROGRESS * last:
                theta = theta + enclosure.step
                last = enclosure.size + enclosure.missed
                continue
            if is_near and not self.is_measured:
                self.rate, self.is_measured = self._measure_rate(), True
                continue
            if self.n_formed == 1:
                theta = self._polish(start)
            if self.n_formed == _MAX_FORMED or not self._form(theta):
                return None
            last = math.inf
        return None

    def _enclose(self, theta: np.ndarray) -> Enclosure:
        self.n_passes += 1
        found = self._sum(theta)
        enclosure = enclose(found, self.local, self.rounding, self.rate)
        if found.move is None:
            self.found = found
        elif enclosure.missed > enclosure.size:
            self._forget_curvatures()
        return enclosure

    def _sum(self, theta: np.ndarray) -> GradientSum:
        """Sum gradients; after a short move, from the curvatures that are known."""
        local, found = self.local, self.found
        if found is None or not found.change < _MAX_CHANGE:
            return self.gradients.find(theta, theta - local.theta)
        v = theta - found.theta
        size = local.measure(v)
        if found.curvatures is not None and size < _MAX_CELLS * local.cell:
            return self.gradients.follow(found, v)
        more = self.rate * size
        is_short = more < _MAX_MORE_CHANGE
        return self.gradients.find(
            theta, found.change + more if is_short else theta - local.theta
        )

    def _forget_curvatures(self) -> None:
        """Compute slopes anew from now on."""
        assert self.found is not None
        self.found = replace(self.found, curvatures=None)

    def _measure_rate(self) -> float:
        return min(self.rate, measure_rate(self.objective, self.local))

    def _refine(self, theta: np.ndarray) -> np.ndarray | None:
        """Go on with more digits, where there are any on this machine."""
        if not np.finfo(np.longdouble).eps < 1e-2 * np.finfo(float).eps:
            return None
        self._forget_curvatures()
        sums = sum_weights(self.objective, self.weighted.w, np.longdouble)
        self.gradients = GradientSums(self.objective, self.weighted.w, sums)
        self.rounding = Rounding.measure(self.gradients, self.local)
        for _ in range(_MAX_REFINEMENTS):
            enclosure = self._enclose(theta)
            if enclosure.point is not None:
                return enclosure.point
            theta = theta + enclosure.step
            # A Hessian of where the optimum is not makes errors several times larger.
            if enclosure.change > _MAX_MORE_CHANGE:
                if not self._form(theta):
                    return None
                self.rate = self._measure_rate()
        return None

    def _polish(self, theta: np.ndarray) -> np.ndarray:
        """Go to the optimum with a line search at each step."""
        polished = polish(self.objective, theta, self.weighted.w, tol=0.0)
        return self._project(polished.theta)

    def _project(self, theta: np.ndarray) -> np.ndarray:
        """Leave out what the optimum has no part in."""
        N = self.local.factor.null_space
        return theta - N.T @ (N @ theta)

    def _form(self, theta: np.ndarray) -> bool:
        """Form the Hessian where the parameters are."""
        self.n_formed += 1
        local = self.local.formed_at(theta, self.weighted)
        if local is None:
            return False
        self.local, self.found = local, None
        self.rate, self.is_measured = bound_rate(self.objective, local), False
        return True

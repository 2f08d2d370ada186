"""Steps to the point of a grid that is next to the optimum, whatever the way."""

import math
from dataclasses import dataclass, replace

import numpy as np

from skunlearn.influence._certificate.enclosure import (
    Enclosure,
    Rounding,
    bound_rate,
    enclose,
    measure_rate,
)
from skunlearn.influence._certificate.grid import bound_rounding
from skunlearn.influence._certificate.reference import Local, Reference, Weighted
from skunlearn.influence._objectives.linear import LinearObjective
from skunlearn.influence._objectives.linear_sums import GradientSums, sum_weights
from skunlearn.influence._solvers.newton import polish

__all__ = ["Rounded", "round_optimum"]

_MAX_PASSES = 40
_MIN_PROGRESS = 0.5  # by which a step has to make the next one shorter
_MAX_CHANGE = 1.0  # of margins, up to which a Hessian is of use
_MAX_MORE_CHANGE = 0.02  # of margins, that is not worth a look at the rows
_MAX_FORMED = 3
_MAX_REFINEMENTS = 3


@dataclass(frozen=True)
class Rounded:
    """The point of the grid, and what is known of it.

    Parameters
    ----------
    theta : ndarray of shape (n_params,)
        The point.
    spacing : ndarray of shape (n_params,)
        The grid.
    reference : Reference
        What is to be kept of the rows.
    distance : float
        How far the optimum can be from the point, in the norm of the Hessian. It is a
        function of the retained rows.
    move : float
        How far the point is from where the steps began, in that norm.
    n_passes : int
        Passes over the rows for gradients.
    is_refined : bool
        Whether these did not suffice in double precision.
    """

    theta: np.ndarray
    spacing: np.ndarray
    reference: Reference
    distance: float
    move: float
    n_passes: int
    is_refined: bool


def round_optimum(
    objective: LinearObjective,
    start: np.ndarray,
    weighted: Weighted,
    reference: Reference | None,
    step: np.ndarray | None = None,
) -> Rounded | None:
    """Return the point of the grid next to the optimum; None if it is not certain.

    Parameters
    ----------
    objective : LinearObjective
        The objective.
    start : ndarray of shape (n_params,)
        Where to begin.
    weighted : Weighted
        The weights of the retained rows.
    reference : Reference or None
        What is known of these rows.
    step : ndarray of shape (n_params,), default=None
        Gradient of what was removed; the first step, which needs no pass, follows it.
    """
    if reference is None:
        reference = Reference.measure(objective, start, weighted)
    local = reference.at(objective, weighted)
    if local is None or local.spacing is None:
        return None
    search = _Search(objective, weighted, local)
    theta = start if step is None else start + local.factor.solve(step)
    enclosure = search.run(theta, start)
    if enclosure is None:
        return None
    point = enclosure.round(local.spacing)
    assert point is not None
    return Rounded(
        point,
        local.spacing,
        reference.moved(objective, point, weighted),
        bound_rounding(objective, local.grams, local.spacing, weighted.sums),
        local.measure(point - start) / math.sqrt(local.grams.mean),
        search.n_passes,
        search.is_refined,
    )


class _Search:
    """The way to an enclosure of the optimum that lies in one cell of the grid."""

    def __init__(
        self, objective: LinearObjective, weighted: Weighted, local: Local
    ) -> None:
        self.objective, self.weighted, self.local = objective, weighted, local
        self.gradients = GradientSums(objective, weighted.w, weighted.sums)
        self.rounding = Rounding.measure(self.gradients, local)
        self.n_passes, self.n_formed, self.is_refined = 0, 0, False
        self.last: Enclosure | None = None
        self.rate, self.is_measured = bound_rate(objective, local), False

    def run(self, theta: np.ndarray, start: np.ndarray) -> Enclosure | None:
        """Make steps until the cell is certain, or nothing makes it more certain."""
        theta, last = self._project(theta), math.inf
        while self.n_passes < _MAX_PASSES:
            enclosure = self._enclose(theta)
            if self._is_certain(enclosure):
                return enclosure
            if enclosure.is_settled:
                return self._refine(theta + enclosure.step)
            is_near = enclosure.change <= _MAX_CHANGE
            if is_near and enclosure.size < _MIN_PROGRESS * last:
                theta, last = theta + enclosure.step, enclosure.size
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

    def _is_certain(self, enclosure: Enclosure) -> bool:
        spacing = self.local.spacing
        return spacing is not None and enclosure.round(spacing) is not None

    def _enclose(self, theta: np.ndarray) -> Enclosure:
        self.n_passes += 1
        local, change = self.local, self._bound_change(theta)
        v = theta - local.theta if change is None else None
        found = self.gradients.find(theta, v)
        if change is not None:
            found = replace(found, change=change)
        self.last = enclose(theta, found, local, self.rounding, self.rate)
        return self.last

    def _measure_rate(self) -> float:
        return min(self.rate, measure_rate(self.objective, self.local))

    def _bound_change(self, theta: np.ndarray) -> float | None:
        """Bound the change of margins after a short step without a look at the rows."""
        if self.last is None or not self.last.change < _MAX_CHANGE:
            return None
        more = self.rate * self.local.measure(theta - self.last.theta)
        return self.last.change + more if more < _MAX_MORE_CHANGE else None

    def _refine(self, theta: np.ndarray) -> Enclosure | None:
        """Go on with more digits, where there are any on this machine."""
        if not np.finfo(np.longdouble).eps < 1e-2 * np.finfo(float).eps:
            return None
        self.is_refined = True
        sums = sum_weights(self.objective, self.weighted.w, np.longdouble)
        self.gradients = GradientSums(self.objective, self.weighted.w, sums)
        self.rounding = Rounding.measure(self.gradients, self.local)
        for _ in range(_MAX_REFINEMENTS):
            enclosure = self._enclose(theta)
            if self._is_certain(enclosure):
                return enclosure
            theta = theta + enclosure.step
        return None

    def _polish(self, theta: np.ndarray) -> np.ndarray:
        """Go to the optimum with a line search at each step."""
        polished = polish(self.objective, theta, self.weighted.w, tol=0.0)
        return self._project(polished.theta)

    def _project(self, theta: np.ndarray) -> np.ndarray:
        """Leave out what does not change the objective: it is not determined."""
        N = self.objective.null_space
        return theta - N.T @ (N @ theta)

    def _form(self, theta: np.ndarray) -> bool:
        """Form the Hessian where the parameters are."""
        self.n_formed += 1
        local = self.local.formed_at(self.objective, theta, self.weighted)
        if local is None:
            return False
        self.local, self.last = local, None
        self.rate, self.is_measured = bound_rate(self.objective, local), False
        return True

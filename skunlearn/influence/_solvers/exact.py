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
from skunlearn.influence._objectives.linear_sums import (
    GradientSum,
    GradientSums,
    sum_weights,
)
from skunlearn.influence._solvers.newton import polish

__all__ = ["Rounded", "round_optimum"]

_MAX_PASSES = 40
_MIN_PROGRESS = 0.5  # by which a step has to make the next one shorter
_MAX_CHANGE = 1.0  # of margins, up to which a Hessian is of use
_MAX_CELLS = 50  # of the grid, within which gradients follow from curvatures
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
        self.found: GradientSum | None = None
        self.rate, self.is_measured = bound_rate(objective, local), False

    @property
    def cell(self) -> float:
        """Return the length of the shortest way from a point of the grid to another."""
        spacing = self.local.spacing
        return 0.0 if spacing is None else float((spacing / self.local.lengths).min())

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

    def _is_certain(self, enclosure: Enclosure) -> bool:
        spacing = self.local.spacing
        return spacing is not None and enclosure.round(spacing) is not None

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
        if found.curvatures is not None and size < _MAX_CELLS * self.cell:
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

    def _refine(self, theta: np.ndarray) -> Enclosure | None:
        """Go on with more digits, where there are any on this machine."""
        if not np.finfo(np.longdouble).eps < 1e-2 * np.finfo(float).eps:
            return None
        self.is_refined = True
        self._forget_curvatures()
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
        local = self.local.formed_at(theta, self.weighted)
        if local is None:
            return False
        self.local, self.found = local, None
        self.rate, self.is_measured = bound_rate(self.objective, local), False
        return True

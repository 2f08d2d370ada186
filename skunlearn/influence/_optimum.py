"""Fit a classifier, and go on to the true optimum of its objective."""

import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from skunlearn._data.rows import Batch
from skunlearn._runtime.warn import warn
from skunlearn.influence._certificate.local_model import LocalModel
from skunlearn.influence._certificate.privacy_budget import Budget
from skunlearn.influence._certificate.reference import Weighted
from skunlearn.influence._networks.whole import NetworkObjective
from skunlearn.influence._objectives.base import Objective
from skunlearn.influence._objectives.constant import ConstantObjective
from skunlearn.influence._objectives.linear_sums import allows_exact
from skunlearn.influence._objectives.registry import find_objective
from skunlearn.influence._settings import Settings
from skunlearn.influence._solvers.exact import (
    choose_solver,
    is_exact_wanted,
    round_optimum,
    warn_of_rounding,
)
from skunlearn.influence._solvers.newton import (
    Point,
    Polished,
    approach,
    polish,
)
from skunlearn.influence._solvers.optimum import Optimum
from skunlearn.influence._solvers.refine import (
    bound_in_hessian,
    bound_measured,
    estimate_rounding,
)

__all__ = ["explain_no_bound", "find_optimum"]

_MAX_START = 1e50  # size of parameters that no optimum is near
_GRADIENT_TOL = 1e-8
_MAX_HESSIAN_RTOL = 1e-3  # by which the Hessian at the optimum may differ
_MIN_PARTS = 20
_MIN_ROWS_IN_PART, _MIN_ROWS_OF_CLASS = 2500, 50
_MIN_ROWS_PER_PARAM = 100
_LAST_STEP_RTOL = 1e-6  # share of the parameters' norm that a last step may have left


def find_optimum(
    prototype: Any,
    rows: Batch,
    w: np.ndarray,
    classes: np.ndarray,
    settings: Settings,
    budget: Budget | None = None,
) -> Optimum:
    """Fit a clone to some rows, and make Newton steps until nothing is left to gain.

    Parameters
    ----------
    prototype : classifier
        What to clone.
    rows : Batch
        The rows, with codes for labels.
    w : ndarray of shape (n_rows,)
        Their weights; rows of weight 0 are left out.
    classes : ndarray of shape (n_classes,)
        The label of each code.
    settings : Settings
        The solver, "auto" included, and how far to go.
    budget : Budget, default=None
        What draws the linear part of the objective that certified removal needs.

    Returns
    -------
    Optimum
        The classifier. A warning says where there is no optimum, or it was not found.
    """
    part = _choose_part(prototype, rows, w, classes)
    estimator = _fit(prototype, rows, w, classes, part)
    make = ConstantObjective if len(classes) == 1 else find_objective(estimator)
    objective = make(estimator, rows.X, rows.y, rows.sample_weight)
    if budget is not None:
        noise, N = budget.draw_linear_term(objective.n_params), objective.null_space
        # What never changes the objective must not be perturbed: no optimum would be.
        objective.linear_term = noise - N.T @ (N @ noise)
    if isinstance(objective, NetworkObjective):
        return _take_as_trained(estimator, objective, w)
    start = objective.read(estimator)
    start -= objective.null_space.T @ (objective.null_space @ start)
    if not np.abs(start).max(initial=0) < _MAX_START:  # SGD can diverge
        start = np.zeros_like(start)
    if part is not None:
        start = approach(objective, start, w, part)
    is_exact = is_exact_wanted(estimator, objective, settings, budget)
    exact = _make_exact(estimator, objective, start, w) if is_exact else None
    if exact is not None:
        return exact
    solver = choose_solver(settings.solver, objective.n_params)
    polished = _polish(objective, start, w, solver, settings)
    if not _is_there(polished):  # SGD can end where everything is flat
        again = _polish(objective, np.zeros_like(start), w, solver, settings)
        polished = again if _is_there(again) else polished
    theta = polished.theta
    objective.write(estimator, theta)
    if is_exact:
        exact = _make_exact(estimator, objective, theta, w)
        if exact is not None:
            return exact
        warn_of_rounding()
    R = objective.compute_self_concordance()
    is_formed = solver == "cholesky" and len(theta) > 0  # not where one class is left
    local = _know(objective, polished, w, R) if is_formed else None
    norm = polished.gradient_norm
    gradient = polished.gradient if local is None else local.gradient
    point = Point(theta, np.nan, gradient, norm)
    bound = bound_measured(objective, point, local, w, R)
    if local is None:
        bound += estimate_rounding(objective, point, w)
    elif np.isfinite(bound):
        bound += local.rounding
    bound = bound if _is_there(polished) else np.inf
    distance = bound_in_hessian(objective, point, local, w, R, bound)
    distance /= math.sqrt(objective.mean_weight(w))
    n_steps = polished.n_steps
    optimum = Optimum(
        estimator, objective, theta, local, R, bound, norm, n_steps, distance
    )
    _warn(polished, optimum, w)
    if budget is not None and not norm <= budget.allowed:
        warn(
            f"nothing is certified: the gradient norm after fit is {norm:.2g}, and at "
            f"most {budget.allowed:.2g} is certified. Increase noise_scale or epsilon."
        )
    return optimum


def _know(
    objective: Objective, polished: Polished, w: np.ndarray, R: float
) -> LocalModel:
    """Return what is known at the optimum, by the last Hessian if that is near."""
    theta, formed = polished.theta, polished.formed
    if formed is not None:
        local = LocalModel.about(objective, formed.theta, formed.hessians, w, R)
        local = local.moved(theta - formed.theta)
        if local.low + local.up < _MAX_HESSIAN_RTOL and not local.jitter:
            return local.with_gradient(theta, w, polished.gradient)
    return LocalModel.measure(objective, theta, w, R)


def _take_as_trained(
    estimator: Any, objective: NetworkObjective, w: np.ndarray
) -> Optimum:
    """Return a network as it is, which no number of steps makes an optimum."""
    theta = objective.read(estimator)
    norm = float(np.linalg.norm(objective.gradient(theta, w)))
    return Optimum(estimator, objective, theta, None, math.inf, math.inf, norm, 0)


def _make_exact(
    estimator: Any, objective: Objective, theta: np.ndarray, w: np.ndarray
) -> Optimum | None:
    """Return the optimum rounded to its grid; None if it is hidden."""
    start = Optimum(estimator, objective, theta, None, math.nan, 0.0, math.nan, 0)
    if not len(theta):
        return replace(start, hessian_bound=0.0, is_exact=True)
    assert allows_exact(objective)
    found = round_optimum(start, Weighted.measure(objective, w))
    return None if found is None else found[0]


def _choose_part(
    prototype: Any, rows: Batch, w: np.ndarray, classes: np.ndarray
) -> np.ndarray | None:
    """Return some of many rows, near whose optimum steps can begin; None for all."""
    if type(prototype) is not LogisticRegression:
        return None
    n_rows, n_features = rows.X.shape
    n_params = (n_features + 1) * (len(classes) if len(classes) > 2 else 1)
    size = max(n_rows // _MIN_PARTS, _MIN_ROWS_PER_PARAM * n_params)
    if n_rows < _MIN_PARTS * _MIN_ROWS_IN_PART or size > n_rows // 4:
        return None
    ends = np.linspace(0, n_rows, size + 1).astype(np.int64)
    part = np.random.default_rng(0).integers(ends[:-1], ends[1:])
    part = part[w[part] > 0]
    n_of_class = np.bincount(rows.y[part], minlength=len(classes))
    return part if n_of_class.min() >= _MIN_ROWS_OF_CLASS else None


def _fit(
    prototype: Any,
    rows: Batch,
    w: np.ndarray,
    classes: np.ndarray,
    part: np.ndarray | None,
) -> Any:
    """Fit a clone; it need not converge, since Newton steps follow.

    Rows of a part stand for all, so that each counts as often as there are parts.
    """
    n_inside = np.count_nonzero(w)
    share = 1.0 if part is None else len(part) / n_inside
    if part is None and n_inside < len(w):
        part = np.flatnonzero(w)
    X, codes, weight = rows.X, rows.y, rows.sample_weight
    if part is not None:
        X, codes, w = X[part], codes[part], w[part]
        weight = None if weight is None else weight[part]
    if (w != 1).any() or share < 1:
        weight = w / share if weight is None else w / share * weight
    if len(classes) == 1:
        return DummyClassifier().fit(X, classes[codes])
    named = {} if weight is None else {"sample_weight": weight}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return clone(prototype).fit(X, classes[codes], **named)


def _polish(
    objective: Objective, theta: np.ndarray, w: np.ndarray, solver: Any, settings: Any
) -> Polished:
    return polish(
        objective,
        theta,
        w,
        solver=solver,
        damping=settings.damping,
        tol=_GRADIENT_TOL,
        max_iter=settings.max_iter,
    )


def _is_there(polished: Polished) -> bool:
    """Return True if Newton steps have ended at an optimum."""
    size = max(1.0, float(np.linalg.norm(polished.theta)))
    return (
        polished.status == "converged" or polished.step_norm <= _LAST_STEP_RTOL * size
    )


def _warn(polished: Polished, optimum: Optimum, w: np.ndarray) -> None:
    """Warn where Newton steps have not ended at an optimum that can be bounded."""
    is_bounded = bool(np.isfinite(optimum.bound))
    if not _is_there(polished):
        hint = " Or increase max_iter." if optimum.local is None else ""
        warn(
            "no optimum was found: the last Newton step has length "
            f"{polished.step_norm:.2g}, and the gradient norm is "
            f"{polished.gradient_norm:.2g}. If classes are separable and nothing is "
            "penalised, the objective has no finite optimum: add an l2 penalty (a "
            f"finite C, or alpha).{hint} Until then no distance can be bounded."
        )
    elif polished.jitter > 1e-9 or (polished.jitter and not is_bounded):
        warn(
            f"{_explain_jitter(polished.jitter)} The optimum is not unique and the "
            "distance to it cannot be bounded. Add an l2 penalty, drop such features, "
            "or set damping."
        )
    elif not is_bounded:
        reason = explain_no_bound(optimum, w) or (
            "the objective is almost flat there. If classes are separable, add an l2 "
            "penalty (a finite C, or alpha); otherwise scale the columns."
        )
        warn(f"the distance to the optimum cannot be bounded: {reason}")


def explain_no_bound(optimum: Optimum, w: np.ndarray) -> str | None:
    """Return why no number of steps gives a bound; None if more of them might."""
    objective, local = optimum.objective, optimum.local
    if local is not None and 0 < local.jitter < np.inf:
        jitter = _explain_jitter(local.jitter)
        return f"{jitter} Add an l2 penalty, or drop such features."
    if objective.curvature_floor(optimum.theta, w) > 0:
        return None
    if local is None:
        return (
            "solver='cg' forms no Hessian, so that the bound needs a large enough l2 "
            "penalty. Without one, separable classes have no finite "
            "optimum. Add a penalty (a finite C, or alpha), or use solver='cholesky'."
        )
    if not np.isfinite(optimum.R):
        return (
            "the second derivative of the loss is discontinuous, or no bound of its "
            "change is known, so that the bound needs a large enough l2 penalty. Add "
            "one, or let your Objective define compute_self_concordance."
        )
    return None


def _explain_jitter(jitter: float) -> str:
    return (
        "the Hessian is singular: features are linearly dependent and not penalised "
        f"({jitter:.0e} of its diagonal was added)."
    )

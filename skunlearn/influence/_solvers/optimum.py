"""A fitted classifier at the optimum of its objective."""

import copy
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skunlearn._data.rows import Batch
from skunlearn._pickling import FieldsOnly
from skunlearn.influence._certificate.local_model import LocalModel
from skunlearn.influence._certificate.reference import Reference
from skunlearn.influence._objectives.base import Objective

__all__ = ["Optimum"]


@dataclass(frozen=True)
class Optimum(FieldsOnly):
    """A fitted classifier at the optimum of its objective, and what is known there.

    Where it is exact, parameters are rounded, the reference is what is known, and no
    local model is kept.
    """

    estimator: Any
    objective: Objective
    theta: np.ndarray
    local: LocalModel | None
    R: float
    bound: float
    gradient_norm: float
    n_steps: int
    hessian_bound: float = math.inf
    is_exact: bool = False
    reference: Reference | None = None

    def at(
        self,
        theta: np.ndarray,
        local: LocalModel | None,
        bound: float,
        hessian_bound: float,
        gradient_norm: float = math.nan,
    ) -> "Optimum":
        """Return this at other parameters, which are not exact."""
        return self.evolved(
            estimator=self.write_copy(theta),
            theta=theta,
            local=local,
            bound=bound,
            gradient_norm=gradient_norm,
            hessian_bound=hessian_bound,
            is_exact=False,
            reference=None,
        )

    def write_copy(self, theta: np.ndarray) -> Any:
        """Return a copy of the estimator with other parameters."""
        estimator = copy.copy(self.estimator)
        self.objective.write(estimator, theta)
        return estimator

    def with_rows(self, rows: Batch | None) -> "Optimum":
        """Return this with an objective that refers to rows elsewhere, or to none."""
        objective: Any = copy.copy(self.objective)
        names = "X", "y", "sample_weight"
        parts = [None if rows is None else getattr(rows, name) for name in names]
        objective.X, objective.codes, objective.sample_weight = parts
        local = self.local
        if local is not None:
            local = replace(local, objective=objective)
        return replace(self, objective=objective, local=local)

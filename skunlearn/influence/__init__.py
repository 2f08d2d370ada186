"""Approximate unlearning: what rows did to a differentiable model, and undoing it."""

import skunlearn.influence._classifiers  # noqa: F401 (they register themselves)
from skunlearn.influence._objective import Objective
from skunlearn.influence._registry import register_objective

__all__ = ["Objective", "register_objective"]

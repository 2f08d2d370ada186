"""Approximate unlearning: what rows did to a differentiable model, and undoing it."""

import skunlearn.influence._classifiers  # noqa: F401 (they register themselves)
from skunlearn.influence._classifier import InfluenceUnlearningClassifier
from skunlearn.influence._objective import Objective
from skunlearn.influence._registry import register_objective

__all__ = ["InfluenceUnlearningClassifier", "Objective", "register_objective"]

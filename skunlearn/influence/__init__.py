"""Approximate unlearning of models with a differentiable objective."""

import skunlearn.influence._objectives.scikit_learn  # noqa: F401 (they register themselves)
from skunlearn.influence._classifier import InfluenceUnlearningClassifier
from skunlearn.influence._objectives.base import Objective
from skunlearn.influence._objectives.registry import register_objective

__all__ = ["InfluenceUnlearningClassifier", "Objective", "register_objective"]


def __dir__() -> list[str]:
    return __all__

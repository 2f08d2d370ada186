"""Metrics of unlearning."""

from skunlearn.metrics._costs import retraining_cost_scorer

__all__ = ["retraining_cost_scorer"]


def __dir__() -> list[str]:
    return __all__

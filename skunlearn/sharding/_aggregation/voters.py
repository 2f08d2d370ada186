"""The constituents that vote, and what is found out about them once."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier

from skunlearn.sharding._adapters.base import ADAPTERS, Stack
from skunlearn.sharding._aggregation.votes import ScoreKind, find_score_kind

__all__ = ["Voters"]


@dataclass(frozen=True, eq=False)
class Voters:
    """The constituents that there are.

    Parameters
    ----------
    estimators : list of estimator
        The fitted constituents.
    shards : list of int
        The shard of each.
    values : list
        The values of columns that each of them knows, if rows are data frames.
    weights : ndarray of shape (n_estimators,)
        What the vote of each counts.
    prototype : estimator
        What they are clones of.
    classes : ndarray of shape (n_classes,)
        All classes.
    """

    estimators: list[Any]
    shards: list[int]
    values: list[Any]
    weights: np.ndarray
    prototype: Any
    classes: np.ndarray

    @cached_property
    def kind(self) -> ScoreKind:
        """Return what the votes of all can be made of."""
        return find_score_kind(self.estimators, self.prototype)

    @cached_property
    def stack(self) -> Stack | None:
        """Return what answers for all at once, None if they are asked one by one."""
        adapter, kind = ADAPTERS.get(type(self.prototype)), self.kind
        own = type(self.prototype), DummyClassifier
        if adapter is None or kind == "predict":
            return None
        if any(type(estimator) not in own for estimator in self.estimators):
            return None
        return adapter.stack(self.estimators, self.classes, kind)

    @cached_property
    def methods(self) -> set[str]:
        """Return the methods that all are known to have: those asked for so far."""
        return set()

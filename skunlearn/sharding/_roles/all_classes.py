"""Each constituent learns all classes, and all of them vote (SISA)."""

from typing import Any

import numpy as np

from skunlearn.sharding._aggregation.votes import (
    ScoreKind,
    aggregate,
    find_judges,
    find_score_kind,
)
from skunlearn.sharding._roles.base import ClassChange, Fitted, Role, Shards

__all__ = ["AllClasses"]


class AllClasses(Role):
    """Classifiers of all classes, as far as their shards have them."""

    def on_classes_changed(self, change: ClassChange[Shards]) -> Shards:
        """Return all shards, with their rows counted by the new classes."""
        return change.relabel()

    def aggregate(
        self, fitted: Fitted, X: Any, voting: str, n_jobs: int | None
    ) -> tuple[np.ndarray, ScoreKind]:
        """Return the votes; where none has an answer, the shares of the classes."""
        voters = [voter for voter in fitted.estimators if voter is not None]
        kind = find_score_kind(find_judges(voters, fitted.prototype))
        shares = fitted.class_counts / fitted.class_counts.sum()
        if not voters:
            return np.tile(shares, (X.shape[0], 1)), kind
        weights = fitted.vote_weights
        scores = aggregate(voters, X, fitted.classes, kind, voting, n_jobs, weights)
        is_silent = np.isnan(scores).any(axis=1)
        scores[is_silent] = shares
        return scores, kind

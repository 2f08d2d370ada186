"""Each constituent learns all classes, and all of them vote (SISA)."""

import numpy as np

from skunlearn.sharding._aggregation.panel import Panel
from skunlearn.sharding._aggregation.votes import (
    ScoreKind,
    aggregate,
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
        self, fitted: Fitted, panel: Panel, voting: str
    ) -> tuple[np.ndarray, ScoreKind]:
        """Return the votes; where none has an answer, the shares of the classes."""
        kind = find_score_kind(panel.estimators, fitted.prototype)
        shares = fitted.class_counts / fitted.class_counts.sum()
        if not panel.estimators:
            return np.tile(shares, (panel.X.shape[0], 1)), kind
        weights = fitted.vote_weights
        scores = aggregate(panel, fitted.classes, kind, voting, weights)
        is_silent = np.isnan(scores).any(axis=1)
        panel.check_silence(is_silent)
        scores[is_silent] = shares
        return scores, kind

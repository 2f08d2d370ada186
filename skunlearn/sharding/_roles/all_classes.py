"""Each constituent learns all classes, and all of them vote (SISA)."""

import numpy as np

from skunlearn.sharding._aggregation.panel import Panel
from skunlearn.sharding._aggregation.voters import Voters
from skunlearn.sharding._aggregation.votes import ScoreKind, aggregate
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
        voters = fitted.voters
        kind, scores = voters.kind, _ask_at_once(voters, panel, voting)
        if scores is None and panel.estimators:
            classes, weights = fitted.classes, voters.weights
            scores = aggregate(panel, classes, kind, voting, weights)
        if scores is not None and not np.isnan(scores.sum()):  # as it almost always is
            return scores, kind
        shares = fitted.class_counts / fitted.class_counts.sum()
        if scores is None:
            return np.tile(shares, (panel.X.shape[0], 1)), kind
        is_silent = np.isnan(scores).any(axis=1)
        panel.check_silence(is_silent)
        scores[is_silent] = shares
        return scores, kind


def _ask_at_once(voters: Voters, panel: Panel, voting: str) -> np.ndarray | None:
    """Return the mean scores of all, None if they are to be asked one by one.

    That is so with replies that are known already, which would be given again.
    """
    is_mean = voting == "soft" and panel.replies is None
    stack = voters.stack if is_mean and panel.estimators else None
    if stack is None:
        return None
    return stack.mean_scores(panel.X, voters.weights, panel.n_jobs)

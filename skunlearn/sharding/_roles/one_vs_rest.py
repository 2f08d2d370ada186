"""Each constituent learns its own class, 1, against rows of others, 0."""

from typing import ClassVar

import numpy as np

from skunlearn.sharding._aggregation.class_scores import (
    answer_committees,
    correct_prior,
    form_committees,
    score_shards,
)
from skunlearn.sharding._aggregation.panel import Panel
from skunlearn.sharding._aggregation.votes import ScoreKind
from skunlearn.sharding._roles.base import ClassChange, Fitted, Role, Shards

__all__ = ["OneVsRest"]


class OneVsRest(Role):
    """Classifiers of one class against others, with the prior corrected."""

    has_negatives: ClassVar[bool] = True

    def n_labels(self, n_classes: int) -> int:
        """Return 2."""
        return 2

    def labels(self, codes: np.ndarray, own: int | None) -> np.ndarray:
        """Return 1 for rows of the shard's own class, 0 for others."""
        return (codes == own).astype(np.int64)

    def known_labels(self, classes: np.ndarray) -> np.ndarray:
        """Return 0 and 1."""
        return np.arange(2)

    def on_classes_changed(self, change: ClassChange[Shards]) -> Shards:
        """Return shards of all rows, which stand against other classes now."""
        return change.lay_out_again()

    def aggregate(
        self, fitted: Fitted, panel: Panel, voting: str
    ) -> tuple[np.ndarray, ScoreKind]:
        """Return the scores that each class has from its own constituents."""
        kind = fitted.voters.kind
        scores = score_shards(panel, kind, fitted.n_shards)
        if kind == "predict_proba":
            for i, n_against, n_rest in fitted.count_negatives():
                scores[i] = correct_prior(scores[i], n_against, n_rest)
        committees = form_committees(scores, len(fitted.classes))
        return answer_committees(committees, kind, fitted.class_weights, voting)

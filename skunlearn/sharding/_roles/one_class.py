"""Each constituent is a model of one class, and scores it (ARCANE)."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from skunlearn._data.rows import Batch
from skunlearn._estimators.one_class import (
    check_scores,
    is_log_density,
    is_stand_in,
    make_stand_in,
)
from skunlearn.sharding._aggregation.class_scores import (
    ClassScoreKind,
    answer_committees,
    form_committees,
    score_shards,
)
from skunlearn.sharding._aggregation.panel import Panel
from skunlearn.sharding._aggregation.votes import ScoreKind, find_judges
from skunlearn.sharding._roles.base import ClassChange, Fitted, Role, Shards

__all__ = ["OneClass"]


class OneClass(Role):
    """Models of one class each, which never see another."""

    is_supervised: ClassVar[bool] = False
    min_labels: ClassVar[int] = 1
    min_rows: ClassVar[int] = 2

    def n_labels(self, n_classes: int) -> int:
        """Return 1."""
        return 1

    def labels(self, codes: np.ndarray, own: int | None) -> np.ndarray:
        """Return 0 for all rows."""
        return np.zeros(len(codes), dtype=np.int64)

    def known_labels(self, classes: np.ndarray) -> None:
        """Return None: there are no labels."""

    def constant(self, prototype: Any, rows: Batch) -> Any:
        """Return a spherical Gaussian around the row."""
        return make_stand_in(prototype, rows.X)

    def train(
        self, fit: Callable[[Any], Any], state: Any, prototype: Any, rows: Batch
    ) -> tuple[Any, str | None]:
        """Return a model, or a spherical Gaussian and why there is no more.

        There is no telling in general how many rows a model needs, least of all one
        behind other steps: it is tried.
        """
        try:
            model = fit(None if is_stand_in(state) else state)
            check_scores(model, rows.X)
        except ValueError as error:
            try:
                return make_stand_in(prototype, rows.X), str(error)
            except (TypeError, ValueError):
                raise error from None  # no matter of too few rows
        return model, None

    def on_classes_changed(self, change: ClassChange[Shards]) -> Shards:
        """Return the shards of the classes that stay, and empty ones of new classes."""
        return change.keep()

    def aggregate(
        self, fitted: Fitted, panel: Panel, voting: str
    ) -> tuple[np.ndarray, ScoreKind]:
        """Return the scores that each class has from its own constituents."""
        judges = find_judges(panel.estimators, fitted.prototype)
        is_density = all(map(is_log_density, judges))
        kind: ClassScoreKind = "log_density" if is_density else "score"
        scores = score_shards(panel, kind, fitted.n_shards)
        committees = form_committees(scores, len(fitted.classes))
        return answer_committees(committees, kind, fitted.class_weights, voting)

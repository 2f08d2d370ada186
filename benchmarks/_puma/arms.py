"""The ways to forget that are compared, and the median of what they reach."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
from _influence_table import format_cells
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression

from _puma.sets import Split
from skunlearn import InfluenceUnlearningClassifier, ShardedUnlearningClassifier

__all__ = [
    "Retraining",
    "fit_arms",
    "format_table",
    "make_model",
    "measure_loss",
    "take_medians",
]


def make_model(split: Split) -> LogisticRegression:
    """Return the model that all ways start from."""
    return LogisticRegression(C=split.C, max_iter=5_000)


class Retraining(ClassifierMixin, BaseEstimator):
    """What people do today: train again, perhaps on the rows of the criterion as well.

    Parameters
    ----------
    estimator : classifier
        What is trained.
    more : tuple of X and y, or None
        Further rows to train on.
    """

    def __init__(self, estimator: Any, more: Any = None) -> None:
        self.estimator = estimator
        self.more = more

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Train on all rows."""
        self._rows = X, y
        self._is_kept = np.ones(len(y), dtype=bool)
        return self.forget([])

    def forget(self, rows: Any) -> Self:
        """Train without some rows, and without those of earlier requests."""
        self._is_kept[rows] = False
        X, y = (part[self._is_kept] for part in self._rows)
        if self.more is not None:
            X, y = np.vstack([X, self.more[0]]), np.concatenate([y, self.more[1]])
        self.estimator_ = clone(self.estimator).fit(X, y)
        self.classes_ = self.estimator_.classes_
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return labels."""
        return self.estimator_.predict(X)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities."""
        return self.estimator_.predict_proba(X)


def fit_arms(
    split: Split,
    model: Any = None,
    *,
    n_shards: int = 8,
    with_val: bool = True,
    **settings: Any,
) -> dict[str, Any]:
    """Fit a classifier for each way to forget.

    Parameters
    ----------
    split : Split
        The rows.
    model : classifier or None
        What all ways start from, a logistic regression if None.
    n_shards : int
        Number of shards of "sharded".
    with_val : bool
        Whether one of the ways is to train on the rows of the criterion as well.
    **settings : dict
        Further parameters of InfluenceUnlearningClassifier.
    """
    model = make_model(split) if model is None else model
    arms: dict[str, Any] = {"retrained": Retraining(model).fit(split.X, split.y)}
    for method in ("newton", "influence", "puma"):
        ours = InfluenceUnlearningClassifier(
            model, method=method, random_state=0, **settings
        )
        ours.fit(split.X, split.y, X_val=split.X_val, y_val=split.y_val)
        arms[method] = ours
    sharded = ShardedUnlearningClassifier(model, n_shards=n_shards, random_state=0)
    arms["sharded"] = sharded.fit(split.X, split.y)
    if with_val:
        more = Retraining(model, (split.X_val, split.y_val))
        arms["retrained with val"] = more.fit(split.X, split.y)
    return arms


def measure_loss(model: Any, X: np.ndarray, y: np.ndarray) -> float:
    """Return the mean log loss, also where a class has lost all of its rows."""
    is_own = np.asarray(model.classes_) == y[:, None]
    own = np.where(is_own, model.predict_proba(X), 0).sum(axis=1)
    return float(-np.log(np.maximum(own, 1e-12)).mean())


def take_medians(
    draws: Sequence[Mapping[str, Sequence[float]]],
) -> dict[str, np.ndarray]:
    """Return the median over draws of each number of each way."""
    return {way: np.median([draw[way] for draw in draws], axis=0) for way in draws[0]}


def format_table(
    title: str,
    header: Sequence[str],
    rows: Mapping[str, Sequence[float]],
    formats: Sequence[str] | str = "{:.1%}",
    width: int = 10,
) -> Iterator[str]:
    """Yield the lines of a table, a row for each way."""
    widths = (34, *[width] * len(header))
    if isinstance(formats, str):
        formats = [formats] * len(header)
    yield "\n" + format_cells((title, *header), widths)
    for way, numbers in rows.items():
        cells = [each.format(x) for each, x in zip(formats, numbers, strict=True)]
        yield format_cells((way, *cells), widths)

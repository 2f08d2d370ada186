"""Data for the benchmark of forests: a census, flights, and ten classes."""

from dataclasses import dataclass
from typing import Any

import _data
import numpy as np
import pandas as pd
from _timing import Scale
from sklearn.datasets import make_classification
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from skunlearn import datasets

__all__ = ["Split", "load_census", "load_flights", "make_many_classes"]

_FRONT = ((50, 2, 0.2), (50, 3, 0.3), (50, 3, 0.4), (80, 4, 0.4), (100, 20, 0.3))
_ADULT_TRAIN = 32_561  # the part of the census that others measure on


@dataclass(frozen=True)
class Split:
    """Rows to train and to test on.

    Parameters
    ----------
    name : str
        What the data are.
    X, X_test, y, y_test : ndarray
        The rows and their classes.
    groups : ndarray or None
        The user of each row, if rows have users.
    targets : tuple of (str, float, tuple)
        What is to be met at once: in words, the accuracy as a difference to that of
        the random forest if it is at most 0, and how many times faster than its refit
        a fit, a row and 1 % must be.
    """

    name: str
    X: np.ndarray
    X_test: np.ndarray
    y: np.ndarray
    y_test: np.ndarray
    groups: np.ndarray | None = None
    targets: tuple[tuple[str, float, tuple[float, float, float]], ...] = ()

    @property
    def many_classes(self) -> dict[str, Any]:
        """Return settings for many classes: half of the rows for each tree."""
        sizes = {"n_estimators": 100, "n_replicas": 50}
        return {**sizes, "max_features": 0.3, "splitter": "random"}

    @property
    def front(self) -> tuple[tuple[int, int, float], ...]:
        """Return settings to try: trees, replicas, share of features."""
        return _FRONT


def load_census(scale: Scale) -> Split:
    """Return the census, each category as a column."""
    X, income = datasets.load_census(return_X_y=True)
    X = pd.get_dummies(X, dtype=float).fillna(0).to_numpy()[:_ADULT_TRAIN]
    y = (income == ">50K").to_numpy().astype(int)[:_ADULT_TRAIN]
    n = scale.size(len(y))
    parts = train_test_split(X[:n], y[:n], test_size=0.2, random_state=0)
    targets = (
        ("accuracy .853, fit 3x, row 180x, 1 % 4x", 0.853, (3, 180, 4)),
        ("accuracy .8575, row 90x, 1 % 3x", 0.8575, (0, 90, 3)),
    )
    return Split("census", *parts, targets=targets)


def load_flights(scale: Scale) -> Split | None:
    """Return the flights, and the aircraft of each; None if they are not installed.

    No aircraft is on both sides of the split.
    """
    loaded = _data.load_flights()
    if loaded is None:
        return None
    flights, y = loaded
    texts = ["carrier", "origin", "dest"]
    numbers = [
        "month", "day", "sched_dep_time", "dep_delay", "sched_arr_time", "flight",
        "distance", "hour", "minute",
    ]  # fmt: skip
    codes = [pd.factorize(flights[name], sort=True)[0] for name in texts]
    X = np.column_stack([flights[numbers].to_numpy(float), *codes])
    groups = flights["tailnum"].to_numpy(str)
    n = scale.size(len(y))
    X, y, groups = X[:n], y[:n], groups[:n]
    split = GroupShuffleSplit(1, test_size=0.2, random_state=0)
    train, test = next(split.split(X, y, groups))
    return Split("flights", X[train], X[test], y[train], y[test], groups[train])


def make_many_classes(scale: Scale) -> Split:
    """Return rows of ten classes."""
    X, y = make_classification(
        scale.size(20_000),
        20,
        n_informative=12,
        n_classes=10,
        n_clusters_per_class=2,
        random_state=0,
    )
    parts = train_test_split(X, y, test_size=0.25, random_state=0)
    targets = (("within 1 point of the forest, row 5x", -0.01, (0, 5, 0)),)
    return Split("ten classes", *parts, targets=targets)

"""The alternatives that the ARCANE benchmark compares, and how they are measured."""

import inspect
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from _arcane_data import DataSet
from sklearn.ensemble import RandomForestClassifier
from sklearn.mixture import GaussianMixture

from skunlearn import ShardedUnlearningClassifier

__all__ = ["Cost", "forget", "make_arms", "make_mixture", "takes_selection"]


@dataclass(frozen=True)
class Cost:
    """What some requests came to, in all.

    Parameters
    ----------
    n_requests : int
        The requests.
    n_samples : int
        Rows passed to training.
    seconds : float
        Seconds, those of selecting rows included.
    """

    n_requests: int
    n_samples: int
    seconds: float

    @property
    def mean(self) -> tuple[float, float]:
        """Return the rows and the seconds of one request."""
        return self.n_samples / self.n_requests, self.seconds / self.n_requests


def forget(classifier: Any, stream: Iterable[np.ndarray]) -> Cost:
    """Answer requests one after another, and count what was really trained."""
    before = len(classifier.forget_records_)
    start = time.perf_counter()
    for positions in stream:
        classifier.forget(positions)
    seconds = time.perf_counter() - start
    records = classifier.forget_records_[before:]
    return Cost(len(records), sum(r.n_samples_retrained for r in records), seconds)


def takes_selection() -> bool:
    """Tell whether the classifier can be told to train on representative rows."""
    return "selection" in inspect.signature(ShardedUnlearningClassifier).parameters


def make_mixture(data: DataSet, **settings: Any) -> ShardedUnlearningClassifier:
    """Return a mixture for each class."""
    mixture = GaussianMixture(data.n_components, reg_covar=data.reg_covar)
    settings = {"n_shards": data.n_parts, "random_state": 0} | settings
    return ShardedUnlearningClassifier(mixture, partition="class", **settings)


def make_arms(data: DataSet) -> dict[str, ShardedUnlearningClassifier]:
    """Return naive retraining, SISA and ARCANE, unfitted, by name."""
    forest = RandomForestClassifier(data.n_trees)
    arms = {
        "naive: forest": (forest, {"n_shards": 1}),
        "SISA: forests": (forest, {"n_shards": data.n_constituents}),
        "ARCANE: forests": (forest, {"n_shards": data.n_parts, "partition": "class"}),
    }
    classifiers = {
        name: ShardedUnlearningClassifier(base, random_state=0, **settings)
        for name, (base, settings) in arms.items()
    }
    return classifiers | {"ARCANE: mixtures": make_mixture(data)}

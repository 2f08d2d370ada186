"""A partition is one class: what it needs is asked of it, and the laws hold for it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from support import assert_same_classifier, fit_anew, make_data

from skunlearn import ShardedUnlearningClassifier
from skunlearn._compat import StrOptions
from skunlearn.sharding._partition.base import Partition
from skunlearn.sharding._partition.registry import PARTITIONS

X, Y = make_data()


@dataclass(frozen=True)
class Halves(Partition):
    """Two shards, by the last bit of the hash."""

    allows_replicas: ClassVar[bool] = False

    @classmethod
    def from_rows(cls, wanted, traits):
        """Return the partition, whatever the rows."""
        return cls()

    def count_shards(self, n_classes):
        """Return 2."""
        return 2

    def find_shards(self, traits):
        """Return the shard of each row."""
        return (traits.hashes & np.uint64(1)).astype(np.int64)[:, None]


@dataclass(frozen=True)
class LikelyOrNot(Halves):
    """Two shards, by the probability to be forgotten."""

    needs_forget_proba: ClassVar[bool] = True

    def find_shards(self, traits):
        """Return the shard of each row."""
        return (traits.forget_proba > 0.5).astype(np.int64)[:, None]


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    for name, kind in {"halves": Halves, "likely_or_not": LikelyOrNot}.items():
        monkeypatch.setitem(PARTITIONS, name, kind)
    constraints = ShardedUnlearningClassifier._parameter_constraints
    monkeypatch.setitem(constraints, "partition", [StrOptions(set(PARTITIONS))])


def make(partition, estimator=None, **params):
    """Return a classifier whose rows are spread by a partition of ours."""
    return ShardedUnlearningClassifier(
        estimator or LogisticRegression(),
        partition=partition,
        random_state=0,
        **params,
    )


def test_a_new_partition_forgets_exactly():
    """It says where rows belong, and all else follows."""
    classifier = make("halves").fit(X, Y)
    assert len(classifier.estimators_) == 2
    record = classifier.forget([3]).forget_records_[-1]
    assert len(record.shards) == 1
    assert_same_classifier(classifier, fit_anew(classifier, X, Y), X)


def test_what_it_does_not_allow_is_refused_in_its_name():
    """The message names it, and what to use instead."""
    with pytest.raises(ValueError, match="partition='halves' puts each row into one"):
        make("halves", n_replicas=2).fit(X, Y)
    with pytest.raises(TypeError, match="one class need partition='class'"):
        make("halves", GaussianMixture()).fit(X, Y)


def test_what_it_needs_is_asked_for():
    """Probabilities must be there, at fit and later."""
    proba = np.linspace(0, 1, len(Y))
    with pytest.raises(ValueError, match="partition='likely_or_not' assigns rows"):
        make("likely_or_not").fit(X, Y)
    classifier = make("likely_or_not").fit(X, Y, forget_proba=proba)
    with pytest.raises(ValueError, match="pass forget_proba"):
        classifier.partial_fit(X[:3], Y[:3])
    sizes = [len(shard.slots) for shard in classifier._state.shards]
    assert sizes == [(proba <= 0.5).sum(), (proba > 0.5).sum()]

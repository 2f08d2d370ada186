"""Exact unlearning by constituents trained on isolated shards."""

from skunlearn.sharding._classifier import ShardedUnlearningClassifier
from skunlearn.sharding._selection.representative import RepresentativeSelection

__all__ = ["RepresentativeSelection", "ShardedUnlearningClassifier"]


def __dir__() -> list[str]:
    return __all__

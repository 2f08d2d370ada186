"""Exact unlearning by constituents trained on isolated shards."""

import skunlearn._estimators.growing_ensembles
import skunlearn.sharding._adapters.linear
import skunlearn.sharding._adapters.trees  # noqa: F401 (they register themselves)
from skunlearn._estimators.growing import GrowingEnsemble, register_growing_ensemble
from skunlearn.sharding._adapters.base import ConstituentAdapter, register_adapter
from skunlearn.sharding._classifier import ShardedUnlearningClassifier
from skunlearn.sharding._forest import make_unlearning_forest
from skunlearn.sharding._selection.representative import RepresentativeSelection

__all__ = [
    "ConstituentAdapter",
    "GrowingEnsemble",
    "RepresentativeSelection",
    "ShardedUnlearningClassifier",
    "make_unlearning_forest",
    "register_adapter",
    "register_growing_ensemble",
]


def __dir__() -> list[str]:
    return __all__

"""The partitions by name, and how what a user asks for becomes a layout."""

from dataclasses import dataclass

import numpy as np

from skunlearn.sharding._partition.base import Partition, RowTraits
from skunlearn.sharding._partition.by_class import ByClass
from skunlearn.sharding._partition.distribution_aware import DistributionAware
from skunlearn.sharding._partition.layout import Layout
from skunlearn.sharding._partition.thresholds import Thresholds
from skunlearn.sharding._partition.uniform import Uniform

__all__ = ["PARTITIONS", "PartitionSpec", "find_partitions"]

# By the value of the parameter. An entry says itself what it needs and allows.
PARTITIONS: dict[str, type[Partition]] = {
    "uniform": Uniform,
    "class": ByClass,
    "distribution_aware": DistributionAware,
}


def find_partitions(ability: str) -> list[str]:
    """Return the names of partitions of which a class attribute is true."""
    return [name for name, kind in PARTITIONS.items() if getattr(kind, ability)]


@dataclass(frozen=True)
class PartitionSpec:
    """What a user asks for, to be fixed to a layout by the first rows.

    Parameters
    ----------
    key : int
        Key of all hashes, 64 bits.
    partition : str
        How rows are spread, by name.
    n_shards, n_slices, n_replicas, n_negatives : int
        As the classifier takes them; no negatives where estimators see one class.
    slice_sizes : tuple of float or None
        Share of the rows in each slice; None if they are equal.
    """

    key: int
    partition: str
    n_shards: int
    n_slices: int
    n_replicas: int
    n_negatives: int
    slice_sizes: tuple[float, ...] | None = None

    def fix(self, traits: RowTraits) -> Layout:
        """Return the layout; thresholds come from counts and probabilities alone.

        Slices are cut by hash or, with probabilities to be forgotten, at their
        quantiles, so that rows that are likely to go come last.
        """
        proba, sizes = traits.forget_proba, self.slice_sizes
        thresholds = Thresholds.at_quantiles(
            np.zeros(1) if proba is None else proba,
            np.ones(self.n_slices) if sizes is None else np.array(sizes),
        )
        partition = PARTITIONS[self.partition].from_rows(self, traits)
        return Layout(self.key, partition, thresholds)

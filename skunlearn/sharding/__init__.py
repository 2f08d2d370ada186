"""Exact unlearning: constituents that are trained on isolated shards."""

from skunlearn.sharding._classifier import ShardedUnlearningClassifier

__all__ = ["ShardedUnlearningClassifier"]

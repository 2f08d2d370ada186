"""Cost of forgetting: expected costs, recommended settings, simulated requests."""

from skunlearn.costs._expected import expected_retrained_samples
from skunlearn.costs._recommend import recommend_shards
from skunlearn.costs._requests import simulate_requests
from skunlearn.costs._settings import ShardRecommendation, ShardSettings

__all__ = [
    "ShardRecommendation",
    "ShardSettings",
    "expected_retrained_samples",
    "recommend_shards",
    "simulate_requests",
]


def __dir__() -> list[str]:
    return __all__

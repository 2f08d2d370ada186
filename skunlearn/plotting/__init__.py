"""Pictures of unlearning, in the manner of scikit-learn's displays."""

from skunlearn.plotting._contributions import ContributionDisplay
from skunlearn.plotting._costs import ForgetCostDisplay
from skunlearn.plotting._discovery import DiscoveryCurveDisplay
from skunlearn.plotting._membership import MembershipDisplay
from skunlearn.plotting._shard_map import ShardMapDisplay
from skunlearn.plotting._tradeoff import RemovalTradeoffDisplay

__all__ = [
    "ContributionDisplay",
    "DiscoveryCurveDisplay",
    "ForgetCostDisplay",
    "MembershipDisplay",
    "RemovalTradeoffDisplay",
    "ShardMapDisplay",
]


def __dir__() -> list[str]:
    return __all__

"""Machine unlearning for scikit-learn classifiers."""

from importlib.metadata import version

from skunlearn._records import ForgetRecord
from skunlearn.influence import InfluenceUnlearningClassifier
from skunlearn.sharding import RepresentativeSelection, ShardedUnlearningClassifier

__version__ = version("skunlearn")

__all__ = [
    "ForgetRecord",
    "InfluenceUnlearningClassifier",
    "RepresentativeSelection",
    "ShardedUnlearningClassifier",
    "__version__",
]

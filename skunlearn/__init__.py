"""Machine unlearning for scikit-learn classifiers."""

from importlib.metadata import version

from skunlearn._records import ForgetRecord
from skunlearn.sharding import ShardedUnlearningClassifier

__version__ = version("skunlearn")

__all__ = ["ForgetRecord", "ShardedUnlearningClassifier", "__version__"]

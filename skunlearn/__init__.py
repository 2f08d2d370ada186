"""Machine unlearning for scikit-learn classifiers."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

from skunlearn import checkpoints, exceptions, influence, sharding
from skunlearn._records import ForgetRecord
from skunlearn.influence import InfluenceUnlearningClassifier
from skunlearn.sharding import RepresentativeSelection, ShardedUnlearningClassifier

if TYPE_CHECKING:
    from skunlearn import costs, datasets, metrics, model_selection, pipeline, plotting

__version__ = version("skunlearn")

__all__ = [
    "ForgetRecord",
    "InfluenceUnlearningClassifier",
    "RepresentativeSelection",
    "ShardedUnlearningClassifier",
    "__version__",
    "checkpoints",
    "costs",
    "datasets",
    "exceptions",
    "influence",
    "metrics",
    "model_selection",
    "pipeline",
    "plotting",
    "sharding",
]


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # which would take any name for a module

    def __getattr__(name):
        """Import a public module when it is first used."""
        if name in __all__:
            return import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""What estimators can do, as far as scikit-learn's tags do not tell."""

from dataclasses import dataclass
from typing import Any

from sklearn.base import is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.multiclass import OneVsOneClassifier
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.semi_supervised import (
    LabelPropagation,
    LabelSpreading,
    SelfTrainingClassifier,
)
from sklearn.utils import get_tags

from skunlearn._estimators.growing import find_growing, find_growing_obstacle
from skunlearn._estimators.nested import Path, find_part, iterate_inner, iterate_parts

__all__ = [
    "InputTags",
    "accepts_items",
    "accepts_sparse",
    "allows_nan",
    "copy_tags",
    "find_input_tags",
    "find_obstacle",
    "find_resume",
    "find_row_limits",
    "find_rows_needed",
    "is_semi_supervised",
]

_PASS_NAN_ON = (
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

_SEMI_SUPERVISED = (LabelPropagation, LabelSpreading, SelfTrainingClassifier)

_LIMITED: tuple[tuple[Any, str, int], ...] = (
    (KNeighborsClassifier, "n_neighbors", 0),
    (LocalOutlierFactor, "n_neighbors", 1),
    ((GaussianMixture, BayesianGaussianMixture), "n_components", 0),
)


@dataclass(frozen=True)
class InputTags:
    """What rows an estimator takes, asked once.

    Parameters
    ----------
    name : str
        Name of the estimator's class.
    sparse : bool
        Whether it may take sparse matrices.
    allow_nan : bool
        Whether it may take missing or infinite values.
    items : bool
        Whether it may take texts or dictionaries, rows of one dimension.
    is_semi_supervised : bool
        Whether -1 stands for no label.
    """

    name: str
    sparse: bool
    allow_nan: bool
    items: bool
    is_semi_supervised: bool


def find_input_tags(estimator: Any) -> InputTags:
    """Find what rows an estimator takes."""
    return InputTags(
        name=type(estimator).__name__,
        sparse=accepts_sparse(estimator),
        allow_nan=allows_nan(estimator),
        items=accepts_items(estimator),
        is_semi_supervised=is_semi_supervised(estimator),
    )


def accepts_items(estimator: Any) -> bool:
    """Return True if an estimator may take rows that are texts or dictionaries."""
    if isinstance(estimator, Pipeline):
        return all(map(accepts_items, _find_first_steps(estimator)[:1]))
    tags, library = get_tags(estimator), type(estimator).__module__.partition(".")[0]
    takes = tags.input_tags.string or tags.input_tags.dict or tags.no_validation
    if takes or library != "sklearn":
        return True
    return any(accepts_items(inner) for inner in iterate_inner(estimator))


def accepts_sparse(estimator: Any) -> bool:
    """Return True if an estimator may take sparse matrices; others refuse them.

    What a pipeline takes is for its first step to say.
    """
    if isinstance(estimator, Pipeline):
        return all(map(accepts_sparse, _find_first_steps(estimator)[:1]))
    tags = get_tags(estimator)
    return bool(tags.input_tags.sparse or tags.no_validation)


def allows_nan(estimator: Any) -> bool:
    """Return True if an estimator may take missing or infinite values in an array.

    Then it judges by itself. Scalers pass them on; any other step of a pipeline that
    takes them may be there to remove them. Of the estimators inside another one is
    enough: where not all of them take such values, they will say so. Tags of other
    libraries are often those that scikit-learn has by default, and say little.
    """
    if isinstance(estimator, Pipeline):
        return all(map(allows_nan, _find_first_steps(estimator)))
    if isinstance(estimator, (ColumnTransformer, FeatureUnion)):
        return True
    tags, library = get_tags(estimator), type(estimator).__module__.partition(".")[0]
    if tags.input_tags.allow_nan or tags.no_validation or library != "sklearn":
        return True
    return any(allows_nan(inner) for inner in iterate_inner(estimator))


def _find_first_steps(pipeline: Pipeline) -> list[Any]:
    """Return the steps up to the first that may remove missing values."""
    steps = [s for _, s in pipeline.steps if s not in (None, "passthrough")]
    n_passing = 0
    while n_passing < len(steps) and isinstance(steps[n_passing], _PASS_NAN_ON):
        n_passing += 1
    return steps[: n_passing + 1]


def find_resume(estimator: Any) -> Any:
    """Find how an estimator goes on training.

    Ensembles grow: they add estimators to those that there are. Of the others without
    ``partial_fit`` only mixtures and logistic regression go on from what they have, and
    liblinear ignores ``warm_start``.
    """
    if hasattr(estimator, "partial_fit"):
        lacks_pairs = isinstance(estimator, OneVsOneClassifier)  # as a slice may
        return None if lacks_pairs or find_obstacle(estimator) else "partial_fit"
    if isinstance(estimator, (GaussianMixture, BayesianGaussianMixture)):
        return "warm_start"
    if (
        isinstance(estimator, LogisticRegression)
        and "warm_start" in estimator.get_params()  # LogisticRegressionCV has it not
        and estimator.solver != "liblinear"
    ):
        return "warm_start"
    is_growing = find_growing(estimator) is not None
    return "grow" if is_growing and find_obstacle(estimator) is None else None


def is_semi_supervised(estimator: Any) -> bool:
    """Return True if an estimator, or a part of it, takes -1 for no label."""
    return any(
        isinstance(part, _SEMI_SUPERVISED) for _, part in iterate_parts(estimator)
    )


def find_obstacle(estimator: Any) -> str | None:
    """Return the parameter with which an estimator that can go on would not."""
    if not hasattr(estimator, "partial_fit"):
        return find_growing_obstacle(estimator)
    for _, part in iterate_parts(estimator):
        if getattr(part, "early_stopping", None) is True:
            return "early_stopping=True"
        if getattr(part, "class_weight", None) == "balanced":
            return "class_weight='balanced'"
    return None


def find_rows_needed(estimator: Any) -> int:
    """Find how many rows a model needs to be as large as it should be.

    One-class models need two, as there is nothing to learn from one row alone.
    """
    limits = find_row_limits(estimator)
    least = 1 if is_classifier(estimator) else 2
    needed = (
        find_part(estimator, path).get_params()[name] + n for path, name, n in limits
    )
    return max([least, *needed])


def find_row_limits(estimator: Any) -> tuple[tuple[Path, str, int], ...]:
    """Find the parameters that fail above the number of rows.

    Each comes with the path to the part that has it, and how many rows are to spare.
    """
    return tuple(
        (path, name, spare)
        for path, part in iterate_parts(estimator)
        for kinds, name, spare in _LIMITED
        if isinstance(part, kinds)
    )


def copy_tags(tags: Any, estimator: Any) -> Any:
    """Return the tags of a classifier that wraps an estimator, with those of both."""
    base = get_tags(estimator)
    tags.input_tags.sparse = accepts_sparse(estimator)
    tags.input_tags.positive_only = base.input_tags.positive_only
    tags.input_tags.allow_nan = allows_nan(estimator)
    if base.classifier_tags is not None:
        tags.classifier_tags.multi_class = base.classifier_tags.multi_class
        tags.classifier_tags.poor_score = base.classifier_tags.poor_score
    return tags

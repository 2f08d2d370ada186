"""What must be known of a wrapped estimator before it can be trained in shards."""

import copy
from typing import Any, Literal

from sklearn.base import clone, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
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
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from skunlearn._compat import _routing_enabled
from skunlearn._memory import own_arrays
from skunlearn.exceptions import UnsupportedEstimatorError
from skunlearn.sharding._nets import NetClassifier, check_net, find_net
from skunlearn.sharding._schedule import Regime
from skunlearn.sharding._training import Recipe

__all__ = ["allows_nan", "check_weights", "make_recipe"]

_PASS_NAN_ON = (
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)


def make_recipe(
    estimator: Any,
    *,
    root_seed: int,
    n_slices: int,
    cumulative: bool,
    n_epochs: int,
    by_class: bool = False,
) -> Recipe:
    """Say how constituents of the given kind are made and trained.

    Raises
    ------
    UnsupportedEstimatorError
        If the estimator cannot do what the settings ask for.
    """
    if get_tags(estimator).input_tags.pairwise:
        raise UnsupportedEstimatorError(
            f"{estimator!r} takes distances or a kernel between rows as its features; "
            "rows cannot be forgotten by leaving them out. Give it the features."
        )
    if isinstance(estimator, FrozenEstimator):
        raise UnsupportedEstimatorError(
            "a FrozenEstimator is never trained, so it can never forget. Wrap the "
            "estimator itself."
        )
    net = find_net(estimator)
    prototype = copy.deepcopy(clone(estimator))  # clone shares frozen parts with it
    own_arrays(prototype)
    if net is not None:
        check_net(net)
        prototype = NetClassifier(prototype)
    resume = _find_resume(estimator)
    if n_slices > 1 and resume is None:
        raise UnsupportedEstimatorError(_explain_resume(estimator, n_slices))
    if n_epochs > 1 and resume != "partial_fit":
        raise UnsupportedEstimatorError(
            f"n_epochs={n_epochs} counts calls of partial_fit, which "
            f"{type(estimator).__name__} has not. Use n_epochs=1."
        )
    by_passes = resume == "partial_fit" and (n_slices > 1 or n_epochs > 1)
    regime = Regime(
        start="partial_fit" if net is not None or by_passes else "fit",
        resume=resume,
        cumulative=cumulative,
        n_slices=n_slices,
        n_epochs=n_epochs,
        learns=_find_learns(estimator, by_class),
        n_rows_full=_find_rows_needed(estimator),
    )
    return Recipe(
        prototype=prototype,
        regime=regime,
        root_seed=root_seed,
        seed_names=_find_seed_names(prototype),
        weight_name=_find_weight_name(prototype, regime.start),
        row_limits=_find_row_limits(prototype),
        shared=_find_frozen(prototype),
    )


def check_weights(recipe: Recipe, estimator: Any) -> None:
    """Raise UnsupportedEstimatorError if there is nobody to give weights to."""
    if recipe.weight_name is None:
        raise UnsupportedEstimatorError(
            f"sample_weight was given, but {type(estimator).__name__} does not take it "
            f"in {recipe.regime.start}. Leave the weights out, or wrap an estimator "
            "that does."
        )


def allows_nan(estimator: Any) -> bool:
    """Tell whether an estimator takes missing values in an array.

    scikit-learn's tags do not tell of pipelines. Scalers pass missing values on; any
    other step that takes them may be there to remove them, and is believed to.
    """
    if isinstance(estimator, (ColumnTransformer, FeatureUnion)):
        return True
    if not isinstance(estimator, Pipeline):
        return bool(get_tags(estimator).input_tags.allow_nan)
    for _, step in estimator.steps:
        if step in (None, "passthrough"):
            continue
        if not allows_nan(step):
            return False
        if not isinstance(step, _PASS_NAN_ON):
            return True
    return True


def _find_resume(estimator: Any) -> Any:
    """Find how an estimator goes on training.

    Most estimators with ``warm_start`` add trees to those that have seen the forgotten
    rows; of scikit-learn's only logistic regression goes on from its coefficients
    without ``partial_fit``, and liblinear ignores the parameter.
    """
    if hasattr(estimator, "partial_fit"):
        return "partial_fit"
    if isinstance(estimator, (GaussianMixture, BayesianGaussianMixture)):
        return "warm_start"
    if (
        isinstance(estimator, LogisticRegression)
        and "warm_start" in estimator.get_params()  # LogisticRegressionCV has it not
        and estimator.solver != "liblinear"
    ):
        return "warm_start"
    return None


def _explain_resume(estimator: Any, n_slices: int) -> str:
    return (
        f"n_slices={n_slices} needs an estimator that can go on training from a "
        "checkpoint: one with partial_fit (SGDClassifier, GaussianNB, MLPClassifier, "
        "Perceptron, a skorch net, ...) or LogisticRegression with a solver other than "
        f"'liblinear'. Got {estimator!r}, which cannot; use n_slices=1."
    )


def _find_seed_names(prototype: Any) -> tuple[str, ...]:
    if isinstance(prototype, NetClassifier):
        return ("random_state",)
    names = prototype.get_params(deep=True)
    return tuple(
        name
        for name in sorted(names)
        if name == "random_state" or name.endswith("__random_state")
    )


def _find_weight_name(estimator: Any, method: str) -> str | None:
    if isinstance(estimator, Pipeline):
        if _routing_enabled():
            return "sample_weight"  # the steps have said who is to get it
        name, last = estimator.steps[-1]
        inner = _find_weight_name(last, "fit")
        return None if inner is None else f"{name}__{inner}"
    if not has_fit_parameter(estimator, "sample_weight"):
        return None
    return "sample_weight"


def _find_learns(
    estimator: Any, by_class: bool
) -> Literal["classes", "class_or_rest", "one_class"]:
    if not by_class:
        return "classes"
    return "class_or_rest" if is_classifier(estimator) else "one_class"


def _find_rows_needed(estimator: Any) -> int:
    """Find how many rows a model needs to be as large as it should be."""
    limits = _find_row_limits(estimator)
    return max((estimator.get_params()[name] + n for name, n in limits), default=1)


def _find_row_limits(estimator: Any) -> tuple[tuple[str, int], ...]:
    """Find the parameters that fail above the number of rows, with what to spare."""
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        return tuple((f"{name}__{n}", spare) for n, spare in _find_row_limits(last))
    if isinstance(estimator, KNeighborsClassifier):
        return (("n_neighbors", 0),)
    if isinstance(estimator, LocalOutlierFactor):
        return (("n_neighbors", 1),)
    if isinstance(estimator, (GaussianMixture, BayesianGaussianMixture)):
        return (("n_components", 0),)
    return ()


def _find_frozen(prototype: Any) -> tuple[Any, ...]:
    parts = prototype.get_params(deep=True).values()
    return tuple(part for part in parts if isinstance(part, FrozenEstimator))

"""How constituents are made and trained: what is known of the wrapped estimator."""

import copy
import types
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cache
from os import PathLike
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags

from skunlearn._compat import BaseSearchCV, validate_parameter_constraints
from skunlearn._estimators.capabilities import (
    InputTags,
    find_input_tags,
    find_obstacle,
    find_resume,
    find_row_limits,
    find_rows_needed,
    is_semi_supervised,
)
from skunlearn._estimators.class_settings import (
    ClassSetting,
    check_class_settings,
    cut_to_classes,
    find_class_settings,
)
from skunlearn._estimators.coded_classifier import CodedClassifier, needs_codes
from skunlearn._estimators.growing import find_growing, find_size
from skunlearn._estimators.nested import Path, find_part, iterate_parts
from skunlearn._estimators.objectives import find_multiclass, make_binary
from skunlearn._estimators.sample_weight import find_weight_name
from skunlearn._estimators.seeding import find_seed_paths, plant_seeds
from skunlearn._estimators.skorch_nets import (
    NetClassifier,
    check_net,
    find_net,
    is_bound_to_process,
    is_net,
    training_shard,
)
from skunlearn._runtime.warn import warn
from skunlearn.exceptions import UnsupportedEstimatorError
from skunlearn.sharding._adapters.base import ADAPTERS
from skunlearn.sharding._roles.all_classes import AllClasses
from skunlearn.sharding._roles.base import Role
from skunlearn.sharding._roles.one_class import OneClass
from skunlearn.sharding._roles.one_vs_rest import OneVsRest
from skunlearn.sharding._selection.representative import RepresentativeSelection
from skunlearn.sharding._training.schedule import TrainingPolicy

__all__ = ["Recipe", "check_weights", "make_recipe", "own_arrays"]

_IMMUTABLE = frozenset((bool, int, float, str, type(None)))


@dataclass(frozen=True, eq=False)
class Recipe:
    """How to make a constituent, whatever the shard.

    Parameters
    ----------
    prototype : estimator
        An unfitted clone of the wrapped estimator.
    policy : TrainingPolicy
        How it is trained.
    root_seed : int
        Seed from which those of every shard, slice and pass derive.
    seed_paths : tuple of tuple
        Where randomness is inside `prototype`.
    weight_name : str or None
        The argument of fit that takes sample weights.
    row_limits : tuple of (path, str, int)
        Parameters of parts that must not exceed the number of rows less the given one:
        of neighbours, or components.
    shared : tuple
        Frozen parts of `prototype`, which copies have in common.
    selection : RepresentativeSelection or None
        Which rows to train on; None is all of them.
    input_tags : InputTags
        What rows `prototype` takes.
    has_nets : bool
        Whether there are skorch nets in `prototype`.
    is_bound_to_process : bool
        Whether other processes could train but not send back what they have trained.
    class_settings : tuple of ClassSetting
        Parameters of parts that speak of classes, of which a shard may lack some.
    multiclass : tuple of path
        Parts whose objective is not defined for two classes.
    fit_params : dict
        Keywords that fit hands on to all constituents.
    """

    prototype: Any
    policy: TrainingPolicy
    root_seed: int
    seed_paths: tuple[Path, ...]
    weight_name: str | None
    row_limits: tuple[tuple[Path, str, int], ...]
    shared: tuple[Any, ...]
    selection: RepresentativeSelection | None
    input_tags: InputTags
    has_nets: bool
    is_bound_to_process: bool = False
    class_settings: tuple[ClassSetting, ...] = ()
    multiclass: tuple[Path, ...] = ()
    fit_params: dict[str, Any] = field(default_factory=dict)

    def start(self) -> Any:
        """Return an unfitted estimator."""
        return self.copy(self.prototype)

    def copy(self, estimator: Any) -> Any:
        """Return a copy with its own random and optimiser state."""
        memo: dict[int, Any] = {id(part): part for part in self.shared}
        kind: type = type(estimator)
        if not _is_plain(kind):
            return copy.deepcopy(estimator, memo)
        twin: Any = object.__new__(kind)
        memo[id(estimator)] = twin
        attributes = vars(twin)
        for name, value in vars(estimator).items():  # as deepcopy does, but directly
            if type(value) in _IMMUTABLE:
                attributes[name] = value
            elif type(value) is np.ndarray and value.dtype.kind in "biuf":
                if id(value) not in memo:
                    memo[id(value)] = value.copy("K")
                attributes[name] = memo[id(value)]
            else:
                attributes[name] = copy.deepcopy(value, memo)
        return twin

    def training(self, shard: int, X: Any) -> AbstractContextManager[Any]:
        """Return the context in which a shard is trained on rows of a container."""
        if self.has_nets:
            return training_shard(shard)
        adapter = ADAPTERS.get(type(self.prototype))
        if adapter is None or not adapter.skips_validation:
            return nullcontext()
        is_checked = adapter._keeps_floats and not self.input_tags.allow_nan
        return config_context(
            skip_parameter_validation=True,
            assume_finite=is_checked and _holds_floats(X),
        )

    def limit_to_rows(self, estimator: Any, n_rows: int) -> None:
        """Let an estimator do with as many neighbours or components as there can be."""
        for path, name, spare in self.row_limits:
            part, limit = find_part(estimator, path), max(n_rows - spare, 1)
            if part.get_params()[name] > limit:
                part.set_params(**{name: limit})

    def limit_to_classes(
        self, estimator: Any, classes: np.ndarray, present: np.ndarray
    ) -> None:
        """Let the settings of an estimator speak of the present classes alone."""
        if self.class_settings:
            cut_to_classes(estimator, self.class_settings, classes, present)
        if len(present) == 2:
            make_binary(estimator, self.multiclass)

    def check_classes(self, classes: np.ndarray) -> None:
        """Refuse settings that do not fit the classes, or warn of them."""
        check_class_settings(self.prototype, self.class_settings, classes)

    def with_classes(self, before: np.ndarray, after: np.ndarray) -> "Recipe":
        """Return the recipe for other classes.

        Raises
        ------
        ValueError
            If there are new ones, for which a setting has no value.
        """
        settings = tuple(s for s in self.class_settings if s.is_relative)
        if not settings:
            return self
        if not np.isin(after, before).all():
            names = ", ".join(sorted({setting.name for setting in settings}))
            raise ValueError(
                f"y has new classes, for which {names} has no value. Call fit on all "
                "rows, with a value for each class."
            )
        prototype = self.copy(self.prototype)
        raw = tuple(replace(s, is_prior=False, to_code=s.by_code) for s in settings)
        cut_to_classes(prototype, raw, before, after)
        settings = tuple(replace(s, is_cut=True) for s in self.class_settings)
        return replace(self, prototype=prototype, class_settings=settings)

    def seed(self, estimator: Any, *where: int) -> None:
        """Seed an estimator for the given shard, slice and pass."""
        plant_seeds(estimator, self.seed_paths, self.root_seed, *where)


def _holds_floats(X: Any) -> bool:
    """Return True if rows that were finite when they came are so in float64."""
    return isinstance(X, np.ndarray) and X.dtype.kind in "biuf" and X.itemsize <= 8


@cache
def _is_plain(kind: type) -> bool:
    """Return True if instances are their attributes, with no way of their own to copy.

    scikit-learn's way adds its version to a pickle, and takes it off again.
    """
    return (
        kind.__module__.startswith("sklearn.")
        and issubclass(kind, BaseEstimator)
        and not hasattr(kind, "__deepcopy__")
        and all(
            getattr(kind, name) is getattr(BaseEstimator, name)
            for name in ("__getstate__", "__setstate__", "__reduce_ex__", "__reduce__")
        )
    )


def make_recipe(
    estimator: Any,
    *,
    root_seed: int,
    n_slices: int,
    slice_sizes: tuple[float, ...] | None,
    cumulative: bool,
    n_epochs: int,
    by_class: bool,
    selection: RepresentativeSelection | None,
) -> Recipe:
    """Say how constituents of the given kind are made and trained.

    Raises
    ------
    UnsupportedEstimatorError
        If the estimator cannot do what the settings ask for.
    """
    _check_kind(estimator)
    net = find_net(estimator)
    prototype = copy.deepcopy(clone(estimator))  # clone shares frozen parts with it
    own_arrays(prototype)
    _drop_caches(prototype)
    if net is not None:
        check_net(net)
        prototype = NetClassifier(prototype)
    else:
        _check_inner_nets(prototype)
    if needs_codes(estimator) and not (by_class or is_semi_supervised(estimator)):
        prototype = CodedClassifier(prototype)
    resume = find_resume(estimator)
    if resume == "grow" and n_slices == 1:
        resume = None  # rows that come later are no reason for more estimators
    is_growing = resume == "grow"
    if n_slices > 1 and resume is None:
        named = f"{n_slices=}" if slice_sizes is None else f"{slice_sizes=}"
        raise UnsupportedEstimatorError(_explain_slices(estimator, named))
    if n_epochs > 1 and resume != "partial_fit":
        raise UnsupportedEstimatorError(_explain_epochs(estimator, n_epochs))
    by_passes = resume == "partial_fit" and (n_slices > 1 or n_epochs > 1)
    policy = TrainingPolicy(
        start="partial_fit" if net is not None or by_passes else "fit",
        resume=resume,
        cumulative=cumulative,
        n_slices=n_slices,
        n_epochs=n_epochs,
        role=_find_role(estimator, by_class),
        n_rows_full=find_rows_needed(estimator),
        slice_sizes=slice_sizes,
        n_estimators=find_size(estimator) if is_growing else 0,
    )
    parts = [part for _, part in iterate_parts(prototype)]
    given = prototype.estimator if isinstance(prototype, CodedClassifier) else prototype
    return Recipe(
        prototype=prototype,
        policy=policy,
        root_seed=root_seed,
        seed_paths=find_seed_paths(prototype),
        weight_name=find_weight_name(given, policy.start),
        row_limits=find_row_limits(prototype),
        shared=tuple(part for part in parts if isinstance(part, FrozenEstimator)),
        selection=selection,
        input_tags=find_input_tags(prototype),
        has_nets=net is not None or any(map(is_net, parts)),
        is_bound_to_process=any(is_bound_to_process(part) for part in parts),
        class_settings=_find_class_settings(prototype, by_class),
        multiclass=find_multiclass(prototype),
    )


def check_weights(recipe: Recipe, estimator: Any) -> None:
    """Raise UnsupportedEstimatorError if sample weights cannot be passed on."""
    if recipe.weight_name is None:
        raise UnsupportedEstimatorError(
            f"sample_weight was given, but {type(estimator).__name__} does not take it "
            f"in {recipe.policy.start}, or does not hand it to all that it trains. "
            "Leave the weights out, or wrap an estimator that does. For some "
            "meta-estimators it is enough to enable metadata routing and to call "
            "set_fit_request(sample_weight=True) on the estimators inside."
        )


def _check_kind(estimator: Any) -> None:
    """Refuse what cannot forget, or cannot answer."""
    if get_tags(estimator).input_tags.pairwise:
        raise UnsupportedEstimatorError(
            f"{estimator!r} takes pairwise distances or a precomputed kernel, of which "
            "single rows cannot be left out. Use one that takes the features."
        )
    if isinstance(estimator, FrozenEstimator):
        raise UnsupportedEstimatorError(
            "a FrozenEstimator is never trained, so it cannot forget. Wrap the "
            "estimator inside it."
        )
    _check_params(estimator)
    if isinstance(estimator, BaseSearchCV) and not estimator.refit:
        raise UnsupportedEstimatorError(
            f"{estimator!r} has no classifier to predict with. Set refit=True."
        )


def _check_params(estimator: Any) -> None:
    """Check parameters that constituents, whose validation is skipped, do not check."""
    adapter = ADAPTERS.get(type(estimator))
    constraints = getattr(estimator, "_parameter_constraints", None)
    if adapter is not None and adapter.skips_validation and constraints is not None:
        validate_parameter_constraints(
            constraints,
            estimator.get_params(deep=False),
            caller_name=type(estimator).__name__,
        )


def _find_role(estimator: Any, by_class: bool) -> Role:
    if not by_class:
        return AllClasses()
    return OneVsRest() if is_classifier(estimator) else OneClass()


def _find_class_settings(prototype: Any, by_class: bool) -> tuple[ClassSetting, ...]:
    settings = find_class_settings(prototype)
    if settings and by_class:
        names = ", ".join(sorted({setting.name for setting in settings}))
        raise UnsupportedEstimatorError(
            f"{names} refers to all classes, but with partition='class' an estimator "
            "separates one class, labelled 1, from others, labelled 0. Leave it out, "
            "or pass sample_weight."
        )
    return settings


def _drop_caches(prototype: Any) -> None:
    """Let no part keep transformed rows on disk; results are the same without."""
    for _, part in list(iterate_parts(prototype)):
        memory = getattr(part, "memory", None)
        if isinstance(memory, (str, PathLike)) or hasattr(memory, "cache"):
            part.set_params(memory=None)


def _check_inner_nets(prototype: Any) -> None:
    """Warn of nets whose randomness is out of reach."""
    if any(is_net(part) for _, part in iterate_parts(prototype)):
        warn(
            f"a net inside {type(prototype).__name__} cannot be seeded, so retraining "
            "is not bit for bit the same as a fresh fit. Wrap the net itself, or a "
            "pipeline that ends in it."
        )


def _explain_slices(estimator: Any, named: str) -> str:
    obstacle = find_obstacle(estimator)
    if obstacle is not None and find_growing(estimator) is not None:
        return (
            f"{named} divides the estimators of an ensemble among slices, which "
            f"{estimator!r} refuses with {obstacle}. Leave that parameter out, or use "
            "n_slices=1."
        )
    if obstacle is not None:
        return (
            f"{named} trains by partial_fit, which {estimator!r} refuses "
            f"with {obstacle}. Set that parameter otherwise, or use n_slices=1."
        )
    return (
        f"{named} needs an estimator that can go on training from a "
        "checkpoint: one with partial_fit (SGDClassifier, GaussianNB, MLPClassifier, "
        "Perceptron, a skorch net, ...), LogisticRegression with a solver other than "
        "'liblinear', a forest, bagging or gradient boosting (scikit-learn, LightGBM, "
        "XGBoost, CatBoost) or, with partition='class', a GaussianMixture. Got "
        f"{estimator!r}, which cannot; use n_slices=1. What another ensemble needs is "
        "said by skunlearn.sharding.register_growing_ensemble."
    )


def _explain_epochs(estimator: Any, n_epochs: int) -> str:
    name, obstacle = type(estimator).__name__, find_obstacle(estimator)
    why = (
        f"with which {name} cannot go on training"
        if obstacle is None
        else f"which {name} refuses with {obstacle}"
    )
    return f"n_epochs={n_epochs} counts calls of partial_fit, {why}. Use n_epochs=1."


def own_arrays(part: Any) -> None:
    """Copy the arrays in an estimator that are strided, or views of larger ones.

    A strided array becomes contiguous on its way through a pickle, and then products
    with it round in another way: what a worker sends back would differ in the last bit
    from what is trained on the spot. And a view keeps all of what it was cut from,
    other rows included. Attributes, lists, tuples and dictionaries are looked into.
    """
    _own_arrays(part, {})


def _own_arrays(part: Any, seen: dict[int, Any]) -> None:
    if id(part) in seen or isinstance(part, (str, type, types.ModuleType)):
        return
    seen[id(part)] = part  # kept alive, so that no other part gets its id
    if isinstance(part, dict):
        _replace_in(part, part.items(), seen)
    elif isinstance(part, list):
        _replace_in(part, enumerate(part), seen)
    elif isinstance(part, (tuple, np.ndarray)):
        for value in part if isinstance(part, tuple) else part.flat:
            _own_arrays(value, seen)
    elif hasattr(part, "__dict__"):
        _own_arrays(vars(part), seen)


def _replace_in(container: Any, items: Iterable[Any], seen: dict[int, Any]) -> None:
    for key, value in list(items):
        kind = type(value)
        if kind is np.ndarray and value.dtype.kind != "O":
            container[key] = _as_own(value)
        elif kind not in _IMMUTABLE:
            _own_arrays(value, seen)


def _as_own(array: np.ndarray) -> np.ndarray:
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        return array.copy("C")  # as pickle does
    base = array.base
    is_part = isinstance(base, np.ndarray) and base.nbytes > array.nbytes
    return array.copy("K") if is_part else array

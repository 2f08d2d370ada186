"""Settings of an estimator that speak of classes, and shards that lack some of them.

Weights by class, priors and targets of samplers are given for all classes. Before an
estimator is trained on rows that lack some, they are cut down to those that are there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.multiclass import (
    OneVsOneClassifier,
    OneVsRestClassifier,
    OutputCodeClassifier,
)

from skunlearn._estimators.coded_classifier import CodedClassifier
from skunlearn._estimators.nested import Path, find_part, iterate_direct
from skunlearn._runtime.warn import warn

__all__ = [
    "ClassSetting",
    "check_class_settings",
    "cut_to_classes",
    "find_class_settings",
]

_BY_CLASS = ("class_weight", "sampling_strategy")  # may be dictionaries
_PRIORS = ("class_prior", "priors")  # in the order of the classes, of sum 1

# These train what they hold on labels of their own: on 0 and 1, or on codes.
_SPLITTING = (OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier)
_CODING = (BaggingClassifier, StackingClassifier, VotingClassifier)
_CODING_ITSELF = (HistGradientBoostingClassifier,)


@dataclass(frozen=True)
class ClassSetting:
    """A parameter that speaks of classes.

    Parameters
    ----------
    path : tuple
        The path to the part of the estimator that has it.
    name : str
        Its name.
    is_prior : bool
        Whether it has sum 1.
    by_code : bool
        Whether keys are codes: the places of the classes in their order.
    to_code : bool
        Whether that is what they must be when the part is trained.
    is_cut : bool, default=False
        Whether classes that it was given for are gone.
    """

    path: Path
    name: str
    is_prior: bool
    by_code: bool
    to_code: bool
    is_cut: bool = False

    @property
    def is_relative(self) -> bool:
        """Whether it means other classes when the list of classes changes."""
        return self.is_prior or self.by_code

    def cut(self, value: Any, classes: list[Any], present: list[int]) -> Any:
        """Return a value for some of the classes."""
        if not isinstance(value, dict):
            chosen = np.asarray(value)[present]
            if self.is_prior and (self.is_cut or len(present) < len(classes)):
                chosen = chosen / chosen.sum()
            return chosen if isinstance(value, np.ndarray) else chosen.tolist()
        keys = range(len(classes)) if self.by_code else classes
        names = range(len(present)) if self.to_code else (classes[i] for i in present)
        pairs = zip(names, present, strict=True)
        return {name: value[keys[i]] for name, i in pairs if keys[i] in value}


def find_class_settings(estimator: Any) -> tuple[ClassSetting, ...]:
    """Find the parameters that speak of the classes that an estimator is given."""
    return tuple(_iterate_settings(estimator, (), by_code=False, to_code=False))


def _iterate_settings(
    part: Any, path: Path, *, by_code: bool, to_code: bool
) -> Iterator[ClassSetting]:
    if hasattr(part, "get_params"):
        params = part.get_params(deep=False)
        codes = isinstance(part, _CODING_ITSELF)
        for name in (*_BY_CLASS, *_PRIORS):
            value = params.get(name)
            is_list = value is not None and not isinstance(value, str)  # "uniform"
            is_prior = name in _PRIORS and is_list
            if is_prior or isinstance(value, dict):
                keys = by_code or codes, to_code or codes
                yield ClassSetting(path, name, is_prior, *keys)
    if isinstance(part, _SPLITTING):
        return
    to_code = to_code or isinstance(part, (*_CODING, CodedClassifier))
    by_code = by_code or isinstance(part, _CODING)
    for key, inner in iterate_direct(part):
        if hasattr(inner, "get_params") or isinstance(inner, (list, tuple)):
            where = (*path, key)
            yield from _iterate_settings(inner, where, by_code=by_code, to_code=to_code)


def cut_to_classes(
    estimator: Any,
    settings: tuple[ClassSetting, ...],
    classes: np.ndarray,
    present: np.ndarray,
) -> None:
    """Let an estimator's settings speak of the classes that are there, in place.

    Parameters
    ----------
    estimator : estimator
        An unfitted estimator.
    settings : tuple of ClassSetting
        What `find_class_settings` has found in one of the same parameters.
    classes : ndarray of shape (n_classes,)
        The classes that they are given for.
    present : ndarray
        Those of them that are there, ascending.
    """
    codes = np.searchsorted(classes, present).tolist()
    for setting in settings:
        part = find_part(estimator, setting.path)
        value = part.get_params(deep=False)[setting.name]
        cut = setting.cut(value, classes.tolist(), codes)
        part.set_params(**{setting.name: cut})


def check_class_settings(
    estimator: Any, settings: tuple[ClassSetting, ...], classes: np.ndarray
) -> None:
    """Refuse settings that do not fit the classes of y, or warn of them."""
    known = classes.tolist()
    for setting in settings:
        value = find_part(estimator, setting.path).get_params(deep=False)[setting.name]
        if not isinstance(value, dict):
            if len(value) != len(known):
                raise ValueError(
                    f"{setting.name} has {len(value)} values for {len(known)} classes. "
                    "Give one value for each class, in their order."
                )
        elif not setting.by_code:
            n_unknown = sum(key not in known for key in value)
            if n_unknown:
                warn(
                    f"{setting.name} names {n_unknown} classes that y lacks; they are "
                    "ignored.",
                    UserWarning,
                )

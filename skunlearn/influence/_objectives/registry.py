"""Which objective belongs to which classifier."""

from collections.abc import Callable
from typing import Any, TypeVar

from skunlearn.exceptions import UnsupportedEstimatorError
from skunlearn.influence._objectives.base import Objective

__all__ = ["find_objective", "make_unsupported", "register_objective"]

_Class = TypeVar("_Class", bound=type[Objective])
_objectives: dict[type, type[Objective]] = {}


def register_objective(estimator_class: type) -> Callable[[_Class], _Class]:
    """Register the objective of a class of estimators; use it as a decorator.

    It counts for this class alone: a subclass may minimise something else, and has to
    be registered by itself. An objective registered later takes the place of an earlier
    one.

    Parameters
    ----------
    estimator_class : type
        The class of the estimators.

    Returns
    -------
    callable
        Takes a subclass of :class:`Objective`, and returns it.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skunlearn.influence import register_objective
    >>> from skunlearn.influence._objectives.registry import find_objective
    >>> class Mine(LogisticRegression):
    ...     pass
    >>> decorate = register_objective(Mine)
    >>> decorate(find_objective(LogisticRegression())).__name__
    'LogisticObjective'
    """
    if not isinstance(estimator_class, type):
        raise TypeError(
            f"estimator_class must be a class; got {estimator_class!r}. Give the class "
            "of the estimators, not one of them."
        )

    def register(objective: _Class) -> _Class:
        _objectives[estimator_class] = objective
        return objective

    return register


def find_objective(estimator: Any) -> type[Objective]:
    """Return the class of an estimator's objective.

    Raises
    ------
    UnsupportedEstimatorError
        If there is none, or not for the estimator's parameters.
    """
    objective = _objectives.get(type(estimator))
    if objective is None:
        raise make_unsupported(estimator, "its objective is not known")
    objective.check(estimator)
    return objective


def make_unsupported(estimator: Any, reason: str) -> UnsupportedEstimatorError:
    """Return the error for an estimator, which says what would work instead."""
    names = ", ".join(sorted(cls.__name__ for cls in _objectives))
    return UnsupportedEstimatorError(
        f"the influence of rows on {estimator!r} cannot be computed: {reason}. "
        f"Supported are {names} with a penalty that has a Hessian (l2 or none), and "
        "what register_objective was told of. ShardedUnlearningClassifier takes any "
        "classifier."
    )

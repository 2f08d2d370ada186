"""Registry of the objectives of classifiers."""

from collections.abc import Callable
from typing import Any, TypeVar

from skunlearn.exceptions import UnsupportedEstimatorError
from skunlearn.influence._objectives.base import Objective

__all__ = ["find_objective", "make_unsupported", "register_objective"]

_Class = TypeVar("_Class", bound=type[Objective])
_objectives: dict[type, type[Objective]] = {}


def register_objective(estimator_class: type) -> Callable[[_Class], _Class]:
    """Register the objective of an estimator class, as a class decorator.

    An objective is registered for this class only: a subclass may minimise another
    objective and must be registered separately. Registering a class again replaces its
    objective.

    Parameters
    ----------
    estimator_class : type
        The class of the estimators that minimise the objective.

    Returns
    -------
    callable
        Decorator that registers a subclass of :class:`Objective` and returns it.

    Raises
    ------
    TypeError
        If `estimator_class` is not a class.

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
            f"estimator_class must be a class; got {estimator_class!r}. Pass the class "
            "of the estimators, not an instance."
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
        If none is registered, or it does not support the estimator's parameters.
    """
    objective = _objectives.get(type(estimator))
    if objective is None:
        raise make_unsupported(estimator, "its objective is not registered")
    objective.check(estimator)
    return objective


def make_unsupported(estimator: Any, reason: str) -> UnsupportedEstimatorError:
    """Return the error for an estimator, with the supported ones."""
    linear = [cls for cls in _objectives if not cls.__module__.startswith("skunlearn.")]
    names = ", ".join(sorted(cls.__name__ for cls in linear))
    return UnsupportedEstimatorError(
        f"the influence of rows on {estimator!r} cannot be computed: {reason}. "
        f"Supported are {names} with an l2 penalty or none, MLPClassifier, and "
        "NeuralNetClassifier and NeuralNetBinaryClassifier of skorch. Register the "
        "objective of another estimator with register_objective, or use "
        "ShardedUnlearningClassifier, which takes any classifier."
    )

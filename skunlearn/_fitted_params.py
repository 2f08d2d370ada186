"""Which parameters have been set since ``fit``, although they only count there."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

__all__ = ["FittedParams"]


class FittedParams:
    """The parameters with which a classifier was fitted, nested ones included.

    It refers to the values that the classifier and its parts have, and copies none.

    Parameters
    ----------
    classifier : classifier
        The classifier.
    later : collection of str
        Names of its parameters that take effect when they are set.
    """

    def __init__(self, classifier: Any, later: Collection[str]) -> None:
        own = _find_values(classifier)
        self._own = {name: v for name, v in own.items() if name not in later}
        self._parts = [
            (f"{path}__", part, _find_values(part))
            for path, part in classifier.get_params().items()
            if _has_params(part) and path.partition("__")[0] not in later
        ]

    def find_changed(self, classifier: Any) -> list[str]:
        """Return the names of the parameters that have another value now."""
        owners = [("", classifier, self._own), *self._parts]
        return [
            path + name
            for path, owner, values in owners
            for name, value in values.items()
            if not _is_equal(vars(owner).get(name, value), value)
        ]


def _has_params(value: Any) -> bool:
    return hasattr(value, "get_params") and not isinstance(value, type)


def _find_values(owner: Any) -> dict[str, Any]:
    """Return the parameters that are attributes: to look at these costs nothing."""
    values = getattr(owner, "__dict__", {})
    names = owner.get_params(deep=False)
    return {name: values[name] for name in names if name in values}


def _is_equal(first: Any, second: Any) -> bool:
    """Return True if two values of a parameter mean the same."""
    if first is second:
        return True
    if _has_params(first) or isinstance(first, (list, tuple, Mapping)):
        if type(first) is not type(second):
            return False
        return _have_equal_items(_get_items(first), _get_items(second))
    try:
        return bool(np.all(first == second)) and np.shape(first) == np.shape(second)
    except Exception:  # whatever it is, it has no value to compare
        return False


def _get_items(value: Any) -> Mapping[Any, Any]:
    if _has_params(value):
        value = value.get_params(deep=False)
    return value if isinstance(value, Mapping) else dict(enumerate(value))


def _have_equal_items(first: Mapping[Any, Any], second: Mapping[Any, Any]) -> bool:
    return first.keys() == second.keys() and all(
        _is_equal(value, second[name]) for name, value in first.items()
    )

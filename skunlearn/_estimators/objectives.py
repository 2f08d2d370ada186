"""Objectives of boosting libraries that are not defined for two classes."""

from typing import Any

from skunlearn._estimators.nested import Path, find_part, iterate_parts

__all__ = ["find_multiclass", "make_binary"]

_BINARY = {"xgboost": "binary:logistic", "lightgbm": "binary"}
_PREFIXES = ("multi", "softmax", "ova", "ovr")  # with the other names that they have


def find_multiclass(estimator: Any) -> tuple[Path, ...]:
    """Return the paths to boosting models whose objective asks for many classes."""
    parts = iterate_parts(estimator)
    return tuple(p for p, part in parts if _find_binary(part) and _is_multiclass(part))


def make_binary(estimator: Any, paths: tuple[Path, ...]) -> None:
    """Give models the objective that stands for theirs with two classes, in place."""
    for path in paths:
        part = find_part(estimator, path)
        params: dict[str, Any] = {"objective": _find_binary(part)}
        if "num_class" in part.get_params():
            params["num_class"] = 1
        part.set_params(**params)


def _find_binary(part: Any) -> str | None:
    """Return the objective for two classes in the library that a part is from."""
    if not hasattr(part, "get_params"):
        return None
    libraries = (cls.__module__.partition(".")[0] for cls in type(part).__mro__)
    return next((_BINARY[name] for name in libraries if name in _BINARY), None)


def _is_multiclass(part: Any) -> bool:
    params = part.get_params()
    objective = params.get("objective")
    named = isinstance(objective, str) and objective.startswith(_PREFIXES)
    return named or "num_class" in params

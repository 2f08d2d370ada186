"""The parts of an estimator: what it holds in its parameters, however deep."""

from collections.abc import Iterator
from typing import Any

from sklearn.frozen import FrozenEstimator

from skunlearn._estimators.skorch_nets import is_net

__all__ = ["Path", "find_part", "iterate_direct", "iterate_inner", "iterate_parts"]

Path = tuple[Any, ...]

_PLAIN = (bool, int, float, complex, str, bytes, type, type(None))


def iterate_parts(part: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield a part and all parts inside it, each with the path that leads there.

    Parts are estimators, splitters, kernels, generators and whatever else is no plain
    value. Parameters, lists, tuples and dictionaries are looked into; frozen estimators
    and nets are not.
    """
    yield path, part
    for key, inner in iterate_direct(part):
        yield from iterate_parts(inner, (*path, key))


def iterate_inner(part: Any) -> Iterator[Any]:
    """Yield the estimators inside a part that are not inside another one of them."""
    for _, inner in iterate_direct(part):
        if hasattr(inner, "fit"):
            yield inner
        else:
            yield from iterate_inner(inner)


def find_part(part: Any, path: Path) -> Any:
    """Return the part that a path leads to, in an estimator of the same parameters."""
    for key in path:
        if isinstance(part, (list, tuple, dict)):
            part = part[key]
        else:
            part = part.get_params(deep=False)[key]
    return part


def iterate_direct(part: Any) -> Iterator[tuple[Any, Any]]:
    """Yield what a part holds that is no plain value, each with its key."""
    items: Any = ()
    if isinstance(part, (list, tuple)):
        items = enumerate(part)
    elif isinstance(part, dict):
        items = part.items()
    elif hasattr(part, "get_params") and not _is_closed(part):
        items = sorted(part.get_params(deep=False).items())
    return ((key, inner) for key, inner in items if not isinstance(inner, _PLAIN))


def _is_closed(part: Any) -> bool:
    return isinstance(part, FrozenEstimator) or is_net(part)

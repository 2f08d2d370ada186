"""Reach all the randomness inside an estimator, and seed it.

It is not in the parameters of estimators alone: a splitter that shuffles has some, and
so have estimators in the lists of a search.
"""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skunlearn._data.hashing import derive_seed
from skunlearn._estimators.nested import Path, find_part, iterate_parts

__all__ = ["find_seed_paths", "plant_seeds"]


def find_seed_paths(prototype: Any) -> tuple[Path, ...]:
    """Return the paths to all parts that have a random state or are one."""
    return tuple(
        path
        for path, part in iterate_parts(prototype)
        if path[-1:] != ("random_state",) and _is_random(part)
    )


def plant_seeds(
    estimator: Any, paths: tuple[Path, ...], root_seed: int, *where: int
) -> None:
    """Seed the parts at the given paths.

    Parameters
    ----------
    estimator : estimator
        An estimator, the parts of which are changed in place.
    paths : tuple of tuple
        What `find_seed_paths` has found in one of the same parameters.
    root_seed : int
        Seed from which all others derive.
    *where : int
        Shard, slice and pass.
    """
    for i, path in enumerate(paths):
        part = find_part(estimator, path) if path else estimator
        _plant(part, derive_seed(root_seed, *where, i))


def _is_random(part: Any) -> bool:
    if isinstance(part, (np.random.RandomState, np.random.Generator)):
        return True
    if hasattr(part, "get_params"):
        return "random_state" in part.get_params(deep=False)
    return hasattr(part, "random_state")


def _plant(part: Any, seed: int) -> None:
    if isinstance(part, np.random.RandomState):
        part.seed(seed)
    elif isinstance(part, np.random.Generator):
        bits = part.bit_generator
        bits.state = type(bits)(seed).state
    elif hasattr(part, "set_params") and not _has_plain_parameters(part):
        part.set_params(random_state=seed)
    else:
        part.random_state = seed


def _has_plain_parameters(estimator: Any) -> bool:
    """Return True if set_params would do no more than set an attribute, but slowly."""
    return type(estimator).set_params is BaseEstimator.set_params

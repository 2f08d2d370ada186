"""Find out whether sample weights given to an estimator reach what is trained.

Meta-estimators take them in many ways, and some ignore them silently.
"""

from inspect import signature
from typing import Any

from sklearn.base import is_classifier
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_selection import RFE, RFECV
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import MetadataRouter, get_routing_for_object

from skunlearn._compat import BaseSearchCV, _routing_enabled
from skunlearn._estimators.nested import iterate_inner

__all__ = ["find_weight_name"]

_NAME = "sample_weight"


def find_weight_name(estimator: Any, method: str) -> str | None:
    """Return the argument of a method that takes weights to where they count, or None.

    Parameters
    ----------
    estimator : estimator
        A classifier of any kind.
    method : {"fit", "partial_fit"}
        The method that trains it.
    """
    if _routing_enabled():
        routing = _find_routing(estimator)
        if routing is None:
            return None
        if isinstance(routing, MetadataRouter):
            return _NAME if _is_routed(estimator, method) else None
    return _find_unrouted(estimator, method)


def _is_routed(estimator: Any, method: str) -> bool:
    """Return True if any of the estimators inside has requested weights."""
    if _draws_by_weight(estimator):
        return True
    return any(_requests(inner, method) for inner in iterate_inner(estimator))


def _requests(estimator: Any, method: str) -> bool:
    routing = _find_routing(estimator)
    return routing is not None and bool(routing.consumes(method, (_NAME,)))


def _find_routing(estimator: Any) -> Any:
    """Return what scikit-learn would route to an estimator; None if it cannot tell.

    AdaBoostClassifier then refuses weights, and EllipticEnvelope trips over itself.
    """
    try:
        return get_routing_for_object(estimator)
    except (NotImplementedError, ValueError):
        return None


def _find_unrouted(estimator: Any, method: str) -> str | None:
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        inner = find_weight_name(last, method)
        return None if inner is None else f"{name}__{inner}"
    if isinstance(estimator, BaseSearchCV) or _eliminates(estimator):
        return find_weight_name(estimator.estimator, method)
    if isinstance(estimator, (VotingClassifier, StackingClassifier)):
        return _NAME if _all_take_weights(estimator) else None
    if _NAME not in signature(getattr(estimator, method)).parameters:
        return None
    is_taken = _draws_by_weight(estimator) or _all_take_weights(estimator)
    return _NAME if is_taken else None


def _eliminates(estimator: Any) -> bool:
    return isinstance(estimator, RFE) and not isinstance(estimator, RFECV)


def _draws_by_weight(estimator: Any) -> bool:
    """Return True if rows are drawn by their weights, which the base need not take."""
    return isinstance(estimator, BaggingClassifier)


def _all_take_weights(estimator: Any) -> bool:
    """Return True if all classifiers inside that are trained take weights."""
    return all(
        find_weight_name(inner, "fit") == _NAME
        for inner in iterate_inner(estimator)
        if is_classifier(inner) and not isinstance(inner, FrozenEstimator)
    )

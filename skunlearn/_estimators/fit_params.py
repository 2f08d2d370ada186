"""Keywords of the wrapped estimator's own fit: what is handed on, and what is cut."""

import copy
from inspect import Parameter, signature
from typing import Any

import numpy as np
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)

from skunlearn._compat import _routing_enabled
from skunlearn._data.containers import take_rows
from skunlearn.exceptions import UnsupportedEstimatorError

__all__ = ["check_fit_params", "cut_fit_params", "make_router", "route", "split_by_row"]


_EVALUATION = ("eval_set", "eval_X", "eval_y")  # rows that are not trained on


def make_router(classifier: Any, estimator: Any) -> MetadataRouter:
    """Return what metadata a classifier takes for itself and hands on to its base."""
    router = MetadataRouter(owner=classifier).add_self_request(classifier)
    try:
        mapping = MethodMapping().add(caller="fit", callee="fit")
        return router.add(estimator=estimator, method_mapping=mapping)
    except (NotImplementedError, ValueError):  # some estimators cannot tell theirs
        return router


def route(classifier: Any, params: dict[str, Any]) -> dict[str, Any]:
    """Return those keywords that the base has requested; without routing, all."""
    if not params or not _routing_enabled():
        return params
    return dict(process_routing(classifier, "fit", **params).estimator.fit)


def check_fit_params(estimator: Any, params: dict[str, Any], method: str) -> None:
    """Refuse keywords that an estimator would not take.

    Parameters
    ----------
    estimator : estimator
        The base.
    params : dict
        The keywords.
    method : {"fit", "partial_fit"}
        How it is trained.
    """
    if params and method == "partial_fit":
        raise UnsupportedEstimatorError(
            f"fit was given {', '.join(params)} to hand on to the fit of the estimator,"
            f" but {type(estimator).__name__} is trained by partial_fit here. Leave "
            "them out or, unless it is a net, use n_slices=1 and n_epochs=1."
        )
    known = signature(estimator.fit).parameters
    takes_all = any(p.kind == Parameter.VAR_KEYWORD for p in known.values())
    for name in params:
        if not takes_all and name not in known:
            raise TypeError(
                f"{type(estimator).__name__}.fit() got an unexpected keyword argument "
                f"{name!r}"
            )


def split_by_row(
    params: dict[str, Any], n_rows: int
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return keywords with one value for each row, as arrays, and copies of all others.

    What has another length is no matter of rows, as in scikit-learn.
    """
    by_row = {
        name: np.array(value)
        for name, value in params.items()
        if not name.endswith(_EVALUATION) and _has_length(value, n_rows)
    }
    others = {k: copy.deepcopy(v) for k, v in params.items() if k not in by_row}
    return by_row, others


def _has_length(value: Any, n_rows: int) -> bool:
    if isinstance(value, (str, bytes, dict, tuple)):
        return False
    shape = getattr(value, "shape", None)
    if shape is not None:
        return len(shape) > 0 and shape[0] == n_rows
    return isinstance(value, list) and len(value) == n_rows


def cut_fit_params(params: dict[str, Any], present: np.ndarray) -> dict[str, Any]:
    """Return copies of keywords for a shard that has some of the classes.

    Rows of other classes are left out of an evaluation set: the base would refuse them.
    """
    return {
        name: _cut_pairs(value, present)
        if name.endswith("eval_set")
        else copy.deepcopy(value)
        for name, value in params.items()
    }


def _cut_pairs(value: Any, present: np.ndarray) -> Any:
    if isinstance(value, list):
        return [_cut_pairs(pair, present) for pair in value]
    if not (isinstance(value, tuple) and len(value) == 2):
        return value
    X, y = value
    is_known = np.isin(np.asarray(y), present)
    if is_known.all() or not is_known.any():
        return value
    kept = np.flatnonzero(is_known)
    X = X if hasattr(X, "shape") else np.asarray(X)
    return take_rows(X, kept), np.asarray(y)[kept]

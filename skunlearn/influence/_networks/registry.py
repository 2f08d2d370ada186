"""Which network an estimator is, if any."""

from typing import Any

from sklearn.neural_network import MLPClassifier

from skunlearn._estimators.skorch_nets import is_net
from skunlearn._runtime.warn import warn
from skunlearn.influence._networks.base import Network
from skunlearn.influence._networks.perceptron import Perceptron
from skunlearn.influence._networks.skorch_network import SkorchNetwork
from skunlearn.influence._objectives.registry import find_objective

__all__ = ["check_estimator", "find_network"]


def find_network(estimator: Any) -> type[Network] | None:
    """Return the kind of network that an estimator is; None if it is none."""
    if type(estimator) is MLPClassifier:
        return Perceptron
    return SkorchNetwork if is_net(estimator) else None


def check_estimator(
    estimator: Any, scope: str, certify: tuple[float, float] | None, exact: Any
) -> None:
    """Check that the influence of rows on an estimator can be computed.

    Raises
    ------
    UnsupportedEstimatorError
        If it is no network, and no objective is registered for it, or if its parameters
        are not supported.
    ValueError
        If all layers are to be updated, with a guarantee that there is for the head.
    """
    network = find_network(estimator)
    if network is None:
        find_objective(estimator)
        return
    network.check(estimator)
    if scope == "all":
        wanted = "certify" if certify is not None else "exact=True"
        if certify is not None or exact not in ("auto", False):
            raise ValueError(
                f"{wanted} is not possible with scope='all': a network is not the "
                f"optimum of a convex objective. Use scope='head', or leave {wanted} "
                "out; ShardedUnlearningClassifier forgets exactly, in all layers."
            )
        return
    if scope == "auto" or certify is not None:
        certified = "" if certify is None else ", and certify covers its head alone"
        warn(
            f"forget updates the last layer of {type(estimator).__name__} alone: the "
            "layers before it stay as they are, fitted to all rows, and still contain "
            f"information from forgotten rows{certified}. Set scope='head' if that is "
            "what you want. ShardedUnlearningClassifier forgets exactly, in all layers."
        )

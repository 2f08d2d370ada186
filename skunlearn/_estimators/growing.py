"""Ensembles that go on training: estimators are added to those that there are."""

import copy
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import process_routing

from skunlearn._compat import _routing_enabled
from skunlearn._estimators.coded_classifier import CodedClassifier
from skunlearn.exceptions import UnsupportedEstimatorError

__all__ = [
    "GrowingEnsemble",
    "check_growing_params",
    "find_growing",
    "find_growing_obstacle",
    "find_size",
    "grow",
    "register_growing_ensemble",
    "remember",
    "set_size",
]


class GrowingEnsemble:
    """How the ensembles of a class go on training by further estimators.

    With slices, the estimators of such an ensemble are divided among the slices: those
    of slice j are trained on the rows of slices 1 to j, and added to the ones before.
    A subclass says how, registered by :func:`register_growing_ensemble`. By default an
    ensemble grows by ``warm_start`` and keeps its estimators in ``estimators_``.

    Attributes
    ----------
    size : str
        Name of the parameter for the number of estimators.
    default_size : int
        Number of estimators if that parameter is None or missing.
    model_argument : str or None
        Argument of ``fit`` that takes a trained ensemble to go on from. `size` then
        counts the added estimators only. If None, the ensemble has ``warm_start``.
    refused : tuple of str
        Parameters with which the ensemble cannot grow unless they are None or False,
        such as those for early stopping.

    See Also
    --------
    register_growing_ensemble : Register how an ensemble grows.

    Examples
    --------
    >>> from sklearn.ensemble import ExtraTreesClassifier
    >>> from skunlearn.sharding import GrowingEnsemble
    >>> trees = ExtraTreesClassifier(3).fit([[0], [1], [2]], [0, 1, 1])
    >>> growing = GrowingEnsemble()
    >>> growing.count(trees), growing.find_size(ExtraTreesClassifier())
    (3, 100)
    """

    size: ClassVar[str] = "n_estimators"
    default_size: ClassVar[int] = 100
    model_argument: ClassVar[str | None] = None
    refused: ClassVar[tuple[str, ...]] = ()

    def find_obstacle(self, estimator: Any) -> str | None:
        """Find a parameter with which an ensemble cannot grow.

        Parameters
        ----------
        estimator : estimator
            An unfitted ensemble.

        Returns
        -------
        str or None
            The parameter and its value, or None if there is no obstacle.
        """
        params = estimator.get_params(deep=False)
        for name in self.refused:
            value = params.get(name)
            if value is not None and value is not False:
                return f"{name}={value!r}"
        return None

    def find_size(self, estimator: Any) -> int:
        """Find how many estimators an ensemble should have.

        Parameters
        ----------
        estimator : estimator
            An unfitted ensemble.

        Returns
        -------
        int
            The number of estimators.
        """
        size = estimator.get_params(deep=False).get(self.size)
        return self.default_size if size is None else size

    def set_size(self, estimator: Any, n_estimators: int) -> None:
        """Set how many estimators the next fit trains.

        Parameters
        ----------
        estimator : estimator
            An unfitted ensemble, changed in place.
        n_estimators : int
            The number of estimators.
        """
        estimator.set_params(**{self.size: n_estimators})

    def count(self, estimator: Any) -> int:
        """Count the estimators of a fitted ensemble.

        Parameters
        ----------
        estimator : estimator
            A fitted ensemble.

        Returns
        -------
        int
            The number of estimators.
        """
        return len(estimator.estimators_)

    def list_members(self, estimator: Any) -> Iterable[Any]:
        """List the trained parts that do not change when an ensemble grows.

        Copies have them in common.

        Parameters
        ----------
        estimator : estimator
            A fitted ensemble that grows by ``warm_start``.

        Returns
        -------
        iterable
            The parts.
        """
        return estimator.estimators_

    def grow(
        self,
        estimator: Any,
        fitted: Any,
        n_estimators: int,
        X: Any,
        y: Any,
        **fit_params: Any,
    ) -> Any:
        """Add estimators, trained on the given rows, to those of a fitted ensemble.

        Parameters
        ----------
        estimator : estimator
            An unfitted ensemble with the seed for this step, which may be changed.
        fitted : estimator
            The fitted ensemble, which must not be changed.
        n_estimators : int
            Number of estimators to have afterwards.
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            The rows.
        y : array-like of shape (n_samples,)
            Labels. They have the classes that `fitted` has.
        **fit_params : dict
            Further arguments of ``fit``.

        Returns
        -------
        estimator
            The ensemble with all estimators.
        """
        n_known = self.count(fitted)
        n_estimators = max(n_estimators, n_known + 1)
        if self.model_argument is not None:
            self.set_size(estimator, n_estimators - n_known)
            fit_params[self.model_argument] = fitted
            return estimator.fit(X, y, **fit_params)
        shared = {id(part): part for part in self.list_members(fitted)}
        grown = copy.deepcopy(fitted, shared)
        self.set_size(estimator, n_estimators)
        params = estimator.get_params(deep=False)
        grown.set_params(**params | {"warm_start": True}).fit(X, y, **fit_params)
        return grown.set_params(**params)

    def remember(self, estimator: Any, X: Any) -> None:
        """Keep in a fitted ensemble what saves time when it grows.

        The rows are then those of the next ones to be trained on that come first. By
        default nothing is kept.

        Parameters
        ----------
        estimator : estimator
            A fitted ensemble, changed in place.
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            The rows that it was trained on.
        """


_Class = TypeVar("_Class", bound=type[GrowingEnsemble])
_growing: dict[type | str, GrowingEnsemble] = {}

# What stops training early, or starts it from a model that has seen any rows.
_REFUSED_IN_FIT = (
    "callbacks",
    "early_stopping_rounds",
    "init_model",
    "monitor",
    "save_snapshot",
    "use_best_model",
    "xgb_model",
    "X_val",
)


def register_growing_ensemble(
    estimator_class: type | str,
) -> Callable[[_Class], _Class]:
    """Register how an ensemble goes on training, as a class decorator.

    It holds for this class only: a subclass may train in another way and must be
    registered separately. Registering a class again replaces what was said of it.

    Parameters
    ----------
    estimator_class : type or str
        The class of the ensembles, or its module and name such as
        ``"lightgbm.sklearn.LGBMClassifier"`` if it is not to be imported.

    Returns
    -------
    callable
        Decorator that registers a subclass of :class:`GrowingEnsemble` and returns it.

    Raises
    ------
    TypeError
        If `estimator_class` is neither a class nor a text.

    Examples
    --------
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from skunlearn import ShardedUnlearningClassifier
    >>> from skunlearn.sharding import GrowingEnsemble, register_growing_ensemble
    >>> class MyForest(RandomForestClassifier):
    ...     pass
    >>> @register_growing_ensemble(MyForest)
    ... class MyForestGrows(GrowingEnsemble):
    ...     refused = ("oob_score",)
    >>> X, y = [[0], [1], [2], [3]] * 10, [0, 1, 1, 0] * 10
    >>> classifier = ShardedUnlearningClassifier(
    ...     MyForest(), n_shards=1, slice_sizes=(0.8, 0.2), random_state=0
    ... ).fit(X, y)
    >>> [len(forest.estimators_) for forest in classifier.estimators_]
    [100]
    """
    if not isinstance(estimator_class, (type, str)):
        raise TypeError(
            f"estimator_class must be a class, or its module and name; got "
            f"{estimator_class!r}. Pass the class of the ensembles, not an instance."
        )

    def register(growing: _Class) -> _Class:
        _growing[estimator_class] = growing()
        return growing

    return register


def find_growing(estimator: Any) -> GrowingEnsemble | None:
    """Return how an ensemble, or that at the end of a pipeline, grows, if it does."""
    kind = type(_find_last(estimator))
    named = f"{kind.__module__}.{kind.__qualname__}"
    return _growing.get(kind, _growing.get(named))


def set_size(estimator: Any, n_estimators: int) -> None:
    """Set how many estimators an unfitted ensemble trains, wherever it is."""
    _get(estimator).set_size(_find_last(estimator), n_estimators)


def find_size(estimator: Any) -> int:
    """Return how many estimators an ensemble should have."""
    return _get(estimator).find_size(_find_last(estimator))


def find_growing_obstacle(estimator: Any) -> str | None:
    """Return the parameter with which an ensemble that can grow would not."""
    growing = find_growing(estimator)
    return None if growing is None else growing.find_obstacle(_find_last(estimator))


def check_growing_params(estimator: Any, params: Iterable[str]) -> None:
    """Refuse keywords of fit with which an ensemble does not grow as it should."""
    refused = [p for p in params if p.rpartition("__")[2] in _REFUSED_IN_FIT]
    if refused:
        raise UnsupportedEstimatorError(
            f"fit was given {', '.join(refused)}, but with slices an ensemble has as "
            "many estimators in each as its share, trained on the rows of the slices "
            f"so far. Leave it out, or use {type(estimator).__name__} without slices."
        )


def grow(
    estimator: Any,
    fitted: Any,
    n_estimators: int,
    X: Any,
    y: np.ndarray,
    fit_params: dict[str, Any],
) -> Any:
    """Return a fitted estimator whose ensemble has grown; it is not changed itself.

    Other steps of a pipeline stay as they were fitted: what they do to a row is what
    the estimators that there are were trained for.
    """
    if isinstance(estimator, CodedClassifier):
        codes, fit_params = fitted.encode(y, fit_params)
        inner = estimator.estimator, fitted.estimator_
        return fitted.with_fitted(grow(*inner, n_estimators, X, codes, fit_params))
    if isinstance(estimator, Pipeline):
        name, last = estimator.steps[-1]
        if len(fitted.steps) > 1:
            X = fitted[:-1].transform(X)
        fit_params = _find_own(estimator, name, fit_params)
        inner = last, fitted.steps[-1][1]
        grown = copy.copy(fitted)
        last = grow(*inner, n_estimators, X, y, fit_params)
        grown.steps = [*fitted.steps[:-1], (name, last)]
        return grown
    growing = _get(estimator)
    return growing.grow(estimator, fitted, n_estimators, X, y, **fit_params)


def remember(estimator: Any, X: Any) -> None:
    """Keep in a fitted ensemble what saves time when it grows over the same rows."""
    growing = _growing.get(type(estimator))
    if growing is not None:  # rows of a pipeline would have to be transformed again
        growing.remember(estimator, X)


def _find_own(
    pipeline: Pipeline, name: str, fit_params: dict[str, Any]
) -> dict[str, Any]:
    """Return those keywords of a pipeline's fit that are for its last step."""
    if not fit_params:
        return fit_params
    if _routing_enabled():
        return dict(process_routing(pipeline, "fit", **fit_params)[name].fit)
    split = {key: key.partition("__") for key in fit_params}
    return {split[k][2]: v for k, v in fit_params.items() if split[k][0] == name}


def _find_last(estimator: Any) -> Any:
    """Return the estimator inside one that leaves the training to its last step."""
    if isinstance(estimator, CodedClassifier):
        return _find_last(estimator.estimator)
    if type(estimator) is Pipeline and not getattr(estimator, "transform_input", None):
        return _find_last(estimator.steps[-1][1])
    return estimator


def _get(estimator: Any) -> GrowingEnsemble:
    growing = find_growing(estimator)
    assert growing is not None
    return growing

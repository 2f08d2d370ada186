"""The protocol of adapters, and their registry."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils import gen_batches

__all__ = [
    "ADAPTERS",
    "ConstituentAdapter",
    "Stack",
    "iterate_columns",
    "map_blocks",
    "register_adapter",
]

_Class = TypeVar("_Class", bound="type[ConstituentAdapter]")


class Stack(Protocol):
    """Fitted constituents in a form that answers for all of them at once."""

    def mean_scores(
        self, X: Any, weights: np.ndarray, n_jobs: int | None
    ) -> np.ndarray | None:
        """Return the weighted mean of the scores, None if `X` is of another kind.

        Parameters
        ----------
        X : {array, CSR matrix, data frame} of shape (n_samples, n_features)
            Checked rows.
        weights : ndarray of shape (n_estimators,)
            What each constituent counts.
        n_jobs : int or None
            Number of threads, on which the result must not depend.

        Returns
        -------
        ndarray of shape (n_samples, n_classes) or None
            The mean scores.
        """


class ConstituentAdapter:
    """How constituents of one estimator class are trained and asked in bulk.

    :class:`~skunlearn.ShardedUnlearningClassifier` trains and asks any estimator by its
    public methods, each of which checks its input. An adapter says where that can be
    left out. It changes how fast constituents are, but not what they learn; a subclass
    overrides what it knows better, and is registered with :func:`register_adapter`.

    Attributes
    ----------
    reads_only : bool, default=False
        Whether training neither changes the rows nor keeps a reference to them. They
        are then passed as a read-only view where they lie side by side, not copied.
    skips_validation : bool, default=False
        Whether parameters are validated once instead of at each ``fit``, by
        scikit-learn's ``skip_parameter_validation``. Arrays of numbers that were found
        finite are not checked again either, by its ``assume_finite``.
    releases_gil : bool, default=False
        Whether ``fit`` and ``partial_fit`` spend most of their time without Python's
        global lock and use nothing that threads share, such as global random numbers.
        Jobs are then threads, which need no copies of rows, rather than processes.
    """

    reads_only: ClassVar[bool] = False
    skips_validation: ClassVar[bool] = False
    releases_gil: ClassVar[bool] = False

    _prepares_rows: ClassVar[bool] = False
    _keeps_floats: ClassVar[bool] = False  # float32 has no room for large float64

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Note whether there are rows to prepare."""
        super().__init_subclass__(**kwargs)
        cls._prepares_rows = cls.prepare_rows is not ConstituentAdapter.prepare_rows

    def prepare_rows(self, X: Any) -> tuple[Any, dict[str, Any]]:
        """Return rows to train on, and arguments of ``fit`` that are allowed for them.

        Parameters
        ----------
        X : {array, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows of one training step.

        Returns
        -------
        X : {array, sparse matrix, data frame}
            The same rows, possibly converted to what ``fit`` would convert them to.
        arguments : dict
            Keywords such as ``{"check_input": False}``.
        """
        return X, {}

    def stack(
        self, estimators: list[Any], classes: np.ndarray, method: str
    ) -> Stack | None:
        """Return an object that answers for all constituents, if there can be one.

        Parameters
        ----------
        estimators : list of estimator
            Fitted constituents of the registered class, or constant ones: fitted
            instances of ``sklearn.dummy.DummyClassifier``.
        classes : ndarray of shape (n_classes,)
            All classes; a constituent may lack some.
        method : {"predict_proba", "decision_function"}
            The method of which the mean is wanted.

        Returns
        -------
        object or None
            An object with a method ``mean_scores(X, weights, n_jobs)``, which returns
            an array of shape (n_samples, n_classes), or None for rows that it does not
            support. None if constituents are to be asked one by one.
        """
        return None


ADAPTERS: dict[type, ConstituentAdapter] = {}


def register_adapter(estimator_class: type) -> Callable[[_Class], _Class]:
    """Register the adapter of an estimator class, as a class decorator.

    An adapter is registered for this class only, not for subclasses, which may do
    something else. Registering a class again replaces its adapter.

    Parameters
    ----------
    estimator_class : type
        The class of the constituents.

    Returns
    -------
    callable
        Decorator that registers a subclass of :class:`ConstituentAdapter` and returns
        it.

    Raises
    ------
    TypeError
        If `estimator_class` is not a class.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skunlearn.sharding import ConstituentAdapter, register_adapter
    >>> class Mine(LogisticRegression):
    ...     pass
    >>> @register_adapter(Mine)
    ... class MineAdapter(ConstituentAdapter):
    ...     skips_validation = True
    """
    if not isinstance(estimator_class, type):
        raise TypeError(
            f"estimator_class must be a class; got {estimator_class!r}. Pass the class "
            "of the estimators, not an instance."
        )

    def register(adapter: _Class) -> _Class:
        ADAPTERS[estimator_class] = adapter()
        return adapter

    return register


def iterate_columns(
    estimators: list[Any], classes: np.ndarray
) -> Iterator[tuple[Any, Any]]:
    """Yield each estimator and the columns of its classes among all."""
    for estimator in estimators:
        known = estimator.classes_
        if len(known) == len(classes):
            yield estimator, slice(None)
        else:
            yield estimator, np.searchsorted(classes, known)


def map_blocks(
    call: Callable[[slice], None], n_samples: int, size: int, n_jobs: int | None
) -> None:
    """Call a function for blocks of neighbouring rows, in threads if there are jobs."""
    if n_samples <= size:
        call(slice(0, n_samples))
        return
    blocks = gen_batches(n_samples, size)
    n_threads = effective_n_jobs(n_jobs)
    if n_threads == 1:
        list(map(call, blocks))
    else:  # joblib's threads take longer to start than this takes in all
        with ThreadPoolExecutor(n_threads) as threads:
            list(threads.map(call, blocks))

"""What all classifiers that forget have in common.

Think twice before adding to this class: both kinds of unlearning must need it.
"""

import copy
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, Protocol, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from skunlearn._compat import CallbackSupportMixin, _message_with_time
from skunlearn._data.rows import Erasure, Lease, Rows
from skunlearn._pickling import VERSIONS, check_versions
from skunlearn._records import ForgetRecord, make_history
from skunlearn._requests import Request, resolve, use_groups, warn_of_ambiguity
from skunlearn._runtime.threads import CopyableLock, commit_gate
from skunlearn._runtime.warn import warn
from skunlearn.checkpoints._transaction import Transaction

__all__ = ["BaseUnlearningClassifier", "Removal"]


class Removal(Protocol):
    """What a request is going to make of a state, or has made of it."""

    @property
    def state(self) -> Any:
        """The state without the rows, which are not overwritten yet."""

    def make_record(self, request: Request, seconds: float) -> ForgetRecord:
        """Return the record of the request."""


class BaseUnlearningClassifier(
    MetaEstimatorMixin, ClassifierMixin, CallbackSupportMixin, BaseEstimator
):
    """Base of the classifiers that forget: requests, and what is left of the rows.

    A forget resolves what is named, *prepares* the removal (which tells its cost),
    *applies* it (which takes the time), and commits and records it in one step. A
    subclass gives `_prepare` and, where there is more to do, `_apply`. Its fitted
    ``_state`` has the fields ``rows``, ``groups`` and ``records``, and the method
    ``without_rows``.
    """

    estimator: Any
    verbose: int | bool
    _state: Any
    _fitted_params: "FittedParams"
    _effective_later: frozenset[str]  # parameters that take effect after fit too
    _session: Any = None  # of a store on disk, where there is one

    # Requests

    def _forget(self, X_idx: Any, groups: Any, unknown: str, **options: Any) -> Self:
        """Forget rows, as a whole or not at all."""
        self._check_is_fitted()
        self._warn_of_unused_params()
        with self._lock.take("forget"):
            if self._session is not None:
                self._begin_change()
            with Transaction("forget", self) as change:
                self._stage_forget(change, X_idx, groups, unknown, **options)
                change.commit()
        return self

    def _begin_change(self) -> None:
        """Make sure that changes can be made, before one begins."""

    def _stage_forget(
        self,
        change: Transaction,
        X_idx: Any,
        groups: Any,
        unknown: str = "raise",
        **options: Any,
    ) -> None:
        """Do all of a forget but its commit, which other classifiers may share."""
        state = self._state
        request = resolve(X_idx, groups, unknown, state.rows, state.groups)
        warn_of_ambiguity(request)
        removal = self._stage_removal(change, request, **options)
        _warn_of_lost_classes(self._state, removal.state)

    def _stage_removal(
        self, change: Transaction, request: Request, **options: Any
    ) -> Removal:
        """Do all of what a checked request asks for but its commit."""
        request_id = options.pop("request_id", None)
        if request_id is not None:
            request = replace(request, request_id=request_id)
        if self._session is not None:
            return self._stage_in_store(change, request, **options)
        removal = self._apply(self._prepare(request, **options))
        change.stage(self, partial(_conclude, removal, request, change.start))
        return removal

    def _stage_in_store(
        self, change: Transaction, request: Request, **options: Any
    ) -> Removal:
        """Do it where the state is in a store."""
        raise NotImplementedError

    def _preview(self, X_idx: Any, groups: Any, unknown: str) -> ForgetRecord:
        """Return the record that a forget would make."""
        self._check_is_fitted()
        self._warn_of_unused_params()
        with self._lock.take("preview_forget"):
            start, state = time.perf_counter(), self._state
            request = resolve(X_idx, groups, unknown, state.rows, state.groups)
            removal = self._prepare(request)
            return removal.make_record(request, time.perf_counter() - start)

    def _prepare(self, request: Request, **options: Any) -> Any:
        """Return what `_apply` is to do, which can make a record already."""
        raise NotImplementedError

    def _apply(self, removal: Any) -> Removal:
        """Return the outcome of what was prepared."""
        return removal

    # Groups

    def has_groups(self, groups: Any) -> np.ndarray:
        """Return a mask of the groups that have retained rows.

        Parameters
        ----------
        groups : group id or sequence of group ids
            Groups, which may be unknown.

        Returns
        -------
        ndarray of bool, shape (n_groups,)
            True for each group of which a row is retained; False for groups that are
            unknown or entirely forgotten.

        Raises
        ------
        ForgetIndexError
            If an id is missing or of a type that cannot be one, or `fit` was called
            without groups.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skunlearn import ShardedUnlearningClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> customers = [f"customer-{i // 3}" for i in range(150)]
        >>> classifier = ShardedUnlearningClassifier(random_state=0)
        >>> classifier = classifier.fit(X, y, groups=customers)
        >>> classifier.has_groups(["customer-7", "customer-77"])
        array([ True, False])
        """
        self._check_is_fitted()
        with self._reading() as state:
            return use_groups(state.groups).has_rows(groups, state.rows.retained)

    def find_positions(self, groups: Any) -> np.ndarray:
        """Return the positions of the retained rows of some groups.

        Parameters
        ----------
        groups : group id or sequence of group ids
            Groups as passed to `fit`.

        Returns
        -------
        ndarray of int, shape (n_rows,)
            The positions, in ascending order. A group that is entirely forgotten has
            none.

        Raises
        ------
        ForgetIndexError
            If a group is unknown, as for `forget`, or `fit` was called without groups.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skunlearn import ShardedUnlearningClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> customers = [f"customer-{i // 3}" for i in range(150)]
        >>> classifier = ShardedUnlearningClassifier(random_state=0)
        >>> classifier = classifier.fit(X, y, groups=customers)
        >>> classifier.find_positions("customer-7")
        array([21, 22, 23])
        """
        self._check_is_fitted()
        with self._reading() as state:
            positions = np.unique(use_groups(state.groups).find(groups).positions)
            return positions[state.rows.retained[positions]]

    # What is known after fit

    @property
    def forgotten_indices_(self) -> np.ndarray:
        """Positions of the forgotten rows, in ascending order."""
        self._check_is_fitted()
        with commit_gate:
            return np.flatnonzero(~self._rows.retained)

    @property
    def retained_indices_(self) -> np.ndarray:
        """Positions of the retained rows, in ascending order."""
        self._check_is_fitted()
        with commit_gate:
            return np.flatnonzero(self._rows.retained)

    @property
    def forget_records_(self) -> list[ForgetRecord]:
        """One record per call of `forget` or `retrain`."""
        self._check_is_fitted()
        return list(self._state.records)

    def forget_history(self) -> Any:
        """Return all records as a table.

        Returns
        -------
        DataFrame or list of dict
            One row per record, in order, with the fields of `ForgetRecord`: a pandas
            DataFrame if pandas is installed, else a list of dictionaries.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skunlearn import ShardedUnlearningClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> classifier = ShardedUnlearningClassifier(random_state=0).fit(X, y)
        >>> history = classifier.forget([7, 42]).forget(3).forget_history()
        >>> history[["n_requested", "n_forgotten", "kind"]]
           n_requested  n_forgotten   kind
        0            2            2  exact
        1            1            1  exact
        """
        return make_history(self.forget_records_)

    @property
    def _rows(self) -> Rows:
        return self._state.rows

    def _get_estimator(self) -> Any:
        return LogisticRegression() if self.estimator is None else self.estimator

    def _check_is_fitted(self) -> None:
        """Raise NotFittedError before fit; scikit-learn's check alone asks for tags."""
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)
        if self._session is not None:
            self._follow_store()

    def _follow_store(self) -> bool:
        """Read what others have changed in the store since, and tell if they have."""
        raise NotImplementedError

    def _warn_of_unused_params(self) -> None:
        """Say which parameters were set since fit to no effect."""
        fitted = getattr(self, "_fitted_params", None)
        names = [] if fitted is None else fitted.find_changed(self)
        if names:
            warn(
                f"parameters that only fit uses were set after it: {', '.join(names)}. "
                "They have no effect on the fitted classifier. Call fit again, or set "
                "the values that it was fitted with.",
                UserWarning,
            )

    def __sklearn_is_fitted__(self) -> bool:
        """Return True if the classifier is fitted."""
        return hasattr(self, "_state")

    # Turns, and views that stay what they are while another thread forgets

    @property
    def _lock(self) -> CopyableLock:
        """The lock of changes to the classifier."""
        if "_change_lock" not in vars(self):
            self.__dict__.setdefault("_change_lock", CopyableLock())
        return vars(self)["_change_lock"]

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        """Yield the state, whose rows are not overwritten during the block."""
        with commit_gate:
            state = self._state
            lease = state.rows.readers.add(Lease())
        yield state
        del lease

    def _as_it_is(self) -> Self:
        """Return a classifier with the attributes that this one has at this moment."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        return twin

    def _get_fit_attributes(self) -> dict[str, Any]:
        """Return the parameters, and what validation has noted of the features."""
        names = "n_features_in_", "feature_names_in_"
        noted = {name: getattr(self, name, None) for name in names}
        return noted | {"_fitted_params": FittedParams(self, self._effective_later)}

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle or a copy is made of, and of which versions it is.

        It holds a lease on the rows: it is read when this method has returned.
        """
        with commit_gate:
            values = vars(self) | VERSIONS
            if self.__sklearn_is_fitted__():
                values["_lease"] = self._rows.readers.add(Lease())
        values.pop("_change_lock", None)
        return values

    def __setstate__(self, values: dict[str, Any]) -> None:
        """Take over what a pickle or a copy has, with a warning of other versions."""
        values = check_versions(values, type(self).__name__)
        values.pop("_lease", None)
        self.__dict__.update(values)

    def __copy__(self) -> Self:
        """Copy all: a shallow copy would lose the rows that the original forgets."""
        return copy.deepcopy(self)

    def _say(self, message: str, seconds: float) -> None:
        """Print one line of progress as scikit-learn does, if `verbose` is set."""
        if self.verbose:
            print(_message_with_time(type(self).__name__, message, seconds))


def _warn_of_lost_classes(before: Any, after: Any) -> None:
    """Say if a class is gone: what belongs to it is answered with another one."""
    n_left = len(after.classes)
    n_lost = len(before.classes) - n_left
    if n_lost > 0:
        which = "a class" if n_lost == 1 else f"each of {n_lost} classes"
        warn(
            f"{which} has lost its last row and is no longer predicted; "
            f"{n_left} {'is' if n_left == 1 else 'are'} left.",
            UserWarning,
        )


def _conclude(
    removal: Removal, request: Request, start: float, erasure: Erasure
) -> Any:
    """Return the state without the rows of a request, and with its record."""
    state = removal.state.without_rows(request.positions, erasure)
    record = removal.make_record(request, time.perf_counter() - start)
    return state.with_record(record)


class Records:
    """Records in the order of requests, to which one is added at constant cost.

    Records that were extended from the same ones share memory. Each has its own length,
    and all but the longest are copied before they are extended again.

    Parameters
    ----------
    records : iterable of ForgetRecord
        The first records.
    """

    def __init__(self, records: Iterable[ForgetRecord] = ()) -> None:
        self._records = list(records)
        self._length = len(self._records)

    def append(self, record: ForgetRecord) -> "Records":
        """Return these records and one more."""
        longer = Records()
        is_longest = len(self._records) == self._length
        longer._records = self._records if is_longest else list(self)
        longer._records.append(record)
        longer._length = self._length + 1
        return longer

    def __len__(self) -> int:
        """Return the number of records."""
        return self._length

    def __iter__(self) -> Iterator[ForgetRecord]:
        """Iterate over the records."""
        return islice(self._records, self._length)

    def __reduce__(self) -> tuple[Any, ...]:
        """Make a copy or a pickle of these records, without those that came later."""
        return Records, (list(self),)


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
        is_same = (first == second) | ((first != first) & (second != second))  # as NaN
        return bool(np.all(is_same)) and np.shape(first) == np.shape(second)
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

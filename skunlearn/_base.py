"""What all classifiers that forget have in common.

Think twice before adding to this class: both kinds of unlearning must need it.
"""

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.utils.validation import check_is_fitted

from skunlearn._compat import CallbackSupportMixin, _message_with_time
from skunlearn._data.identities import GroupIndex
from skunlearn._data.positions import check_positions
from skunlearn._data.rows import Erasure, Rows
from skunlearn._records import Request
from skunlearn._runtime.interrupts import uninterrupted
from skunlearn.exceptions import ForgetIndexError

__all__ = ["BaseUnlearningClassifier", "all_or_nothing"]


class BaseUnlearningClassifier(
    MetaEstimatorMixin, ClassifierMixin, CallbackSupportMixin, BaseEstimator
):
    """Base of the classifiers that forget: requests, and what is left of the rows.

    A subclass says in ``_rows`` where its rows are, and in ``_group_index`` which of
    them belong to a group, with the key of its hashes.
    """

    verbose: int | bool
    _state: Any

    @property
    def _rows(self) -> Rows:
        raise NotImplementedError

    @property
    def forgotten_indices_(self) -> np.ndarray:
        """Positions of the forgotten rows, in ascending order."""
        self._check_is_fitted()
        return np.flatnonzero(~self._rows.retained)

    @property
    def retained_indices_(self) -> np.ndarray:
        """Positions of the retained rows, in ascending order."""
        self._check_is_fitted()
        return np.flatnonzero(self._rows.retained)

    def __copy__(self) -> Self:
        """Copy all: a shallow copy would lose the rows that the original forgets."""
        return copy.deepcopy(self)

    def _check_is_fitted(self) -> None:
        """Raise NotFittedError before fit; scikit-learn's check alone asks for tags."""
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)

    def __sklearn_is_fitted__(self) -> bool:
        raise NotImplementedError

    @property
    def _group_index(self) -> tuple[GroupIndex | None, int]:
        raise NotImplementedError

    def _find_groups(self, groups: Any) -> np.ndarray:
        """Return the positions of some groups."""
        index, key = self._group_index
        if index is None:
            raise ForgetIndexError(
                "groups were requested, but fit was called without groups. Forget by "
                "position (X_idx), or fit with groups."
            )
        return index.find(groups, key)

    def _resolve(self, X_idx: Any, groups: Any) -> Request:
        """Return the positions that a request names, by index, by group or both."""
        if X_idx is None and groups is None:
            raise ForgetIndexError(
                "the request is empty: pass X_idx (positions in the X passed to fit), "
                "groups (ids as passed to fit), or both."
            )
        named = []
        if X_idx is not None:
            named.append(check_positions(X_idx, self._rows.n_positions))
        if groups is not None:
            named.append(self._find_groups(groups))
        positions = np.unique(np.concatenate(named))
        retained = positions[self._rows.retained[positions]]
        return Request(retained, len(positions))

    def _replace_state(self, state: Any, erasure: Erasure) -> None:
        """Swap references and overwrite what is forgotten: nothing here can fail."""
        with uninterrupted():
            self._state = state
            try:
                erasure.carry_out()
            except BaseException:  # raised by somebody's handler of another signal
                erasure.carry_out()
                raise

    def _say(self, message: str, seconds: float) -> None:
        """Print one line of progress as scikit-learn does, if `verbose` is set."""
        if self.verbose:
            print(_message_with_time(type(self).__name__, message, seconds))


@contextmanager
def all_or_nothing(classifier: Any, method: str) -> Iterator[float]:
    """Undo what a failed block did to a classifier, and say that nothing has changed.

    Yields the time at which the block began. Attributes are put back; what they refer
    to must not have been changed in place.
    """
    before = dict(vars(classifier))
    try:
        yield time.perf_counter()
    except BaseException as error:
        for name in set(vars(classifier)) - set(before):
            delattr(classifier, name)
        vars(classifier).update(before)
        error.add_note(
            f"{method} changed nothing: the classifier is what it was before the call."
        )
        raise

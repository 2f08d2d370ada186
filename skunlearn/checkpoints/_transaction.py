"""A change of classifiers that is made as a whole or not at all."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

from skunlearn._data.rows import Erasure
from skunlearn._runtime.threads import commit_gate, uninterrupted

__all__ = ["Participant", "Transaction"]


class Participant(Protocol):
    """What changes together with classifiers, such as a store on disk."""

    def commit(self) -> None:
        """Make the change, or raise if it cannot be made."""

    def conclude(self) -> None:
        """Remove what was before, when all have changed."""

    def abort(self, error: BaseException) -> None:
        """Take back what was prepared."""


class Transaction:
    """A change of one classifier, or of several that change together.

    What can fail is done before the commit, and nothing of it is seen outside: new
    states are *staged*. The commit swaps states and overwrites rows. An exception
    before that says in a note that nothing has changed.

    Parameters
    ----------
    method : str
        What is called, for the note.
    *classifiers : BaseUnlearningClassifier
        The classifiers, of which the calling thread holds the locks.

    Attributes
    ----------
    start : float
        When it began, in seconds of ``time.perf_counter``.
    """

    def __init__(self, method: str, *classifiers: Any) -> None:
        self.start = time.perf_counter()
        self._method = method
        self._before = [(each, dict(vars(each))) for each in classifiers]
        self._staged: list[tuple[Any, Callable[[Erasure], Any], dict[str, Any]]] = []
        self._participants: list[Participant] = []
        self._is_committed = False

    def __enter__(self) -> "Transaction":
        return self

    def stage(
        self,
        classifier: Any,
        make_state: Callable[[Erasure], Any],
        **attributes: Any,
    ) -> None:
        """Plan to give a classifier another state.

        Parameters
        ----------
        classifier : BaseUnlearningClassifier
            The classifier.
        make_state : callable
            Returns the state, and adds to an erasure what is to be overwritten in
            arrays that it shares with the old one. It is called at the commit, when
            no other thread can begin to read these arrays.
        **attributes : object
            Other attributes to set, or to delete if None.
        """
        self._staged.append((classifier, make_state, attributes))

    def join(self, participant: Participant) -> None:
        """Let something take part in the commit, or in the rolling back."""
        self._participants.append(participant)

    def commit(self) -> None:
        """Swap all staged states at once, and overwrite what they leave behind."""
        with commit_gate:
            olds = [
                each._state for each, _, _ in self._staged if hasattr(each, "_state")
            ]
            erasure = Erasure(old.rows.lease for old in olds)
            changes = [
                (each, {"_state": make_state(erasure), **attributes})
                for each, make_state, attributes in self._staged
            ]
            with uninterrupted():
                for participant in self._participants:
                    participant.commit()
                for classifier, attributes in changes:
                    _set_attributes(classifier, attributes)
                erasure.carry_out()
                self._is_committed = True
        for participant in self._participants:
            participant.conclude()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None and not self._is_committed:
            self._roll_back()
            for participant in reversed(self._participants):
                participant.abort(error)
            error.add_note(
                f"{self._method} changed nothing: the classifier is what it was before "
                "the call."
            )

    def _roll_back(self) -> None:
        """Take back what callbacks and validation have noted on the classifiers."""
        for classifier, before in self._before:
            absent = dict.fromkeys(set(vars(classifier)) - set(before))
            params = classifier.get_params(deep=False)  # may be set at any time
            known = {k: value for k, value in before.items() if k not in params}
            _set_attributes(classifier, known | absent)


def _set_attributes(classifier: Any, attributes: dict[str, Any]) -> None:
    """Set attributes in one step, so that no thread sees only some; delete Nones."""
    vars(classifier).update({k: v for k, v in attributes.items() if v is not None})
    for name in (k for k, v in attributes.items() if v is None):
        vars(classifier).pop(name, None)

"""Constituents that are asked about the same rows, each in the form that it knows.

A constituent may raise for rows that others have learnt the likes of: it abstains
there. The rows are found by bisection, so that nothing is paid where nothing is raised.
"""

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Generic, TypeVar

import numpy as np
from joblib.parallel import get_active_backend
from sklearn.utils.parallel import Parallel, delayed

from skunlearn._data.containers import view_rows, with_values

__all__ = ["Panel", "Question", "Replies"]

_REFUSALS = (IndexError, KeyError, ValueError)

Reply = TypeVar("Reply", np.ndarray, tuple[np.ndarray, np.ndarray])


@dataclass(frozen=True)
class Question(Generic[Reply]):
    """What to compute of each constituent.

    Parameters
    ----------
    compute : callable
        Takes a constituent and rows, and returns an array with a line for each row, or
        a pair of them. NaN in the last one is an abstention.
    abstain : callable
        Returns the same for a number of rows without an answer.
    """

    compute: Callable[[Any, Any], Reply]
    abstain: Callable[[int], Reply]


@dataclass(frozen=True, eq=False)
class Replies:
    """What constituents replied about blocks of rows, for when others have changed.

    A block is asked about as a whole: a product of fewer rows rounds otherwise.

    Parameters
    ----------
    X : {array, sparse matrix, data frame} of shape (n_samples, n_features)
        The rows.
    bounds : tuple of int
        Where blocks begin, and where the last one ends.
    known : dict
        Replies from before, each with the constituent that gave it; keys end in the
        number of the block.
    used : dict
        All replies that were asked for since, those that were known included.
    """

    X: Any
    bounds: tuple[int, ...]
    known: dict[Any, Any] = field(default_factory=dict)
    used: dict[Any, Any] = field(default_factory=dict)

    def recall(
        self,
        estimator: Any,
        question: Question[Reply],
        compute: Callable[[int, int], Reply],
    ) -> Any:
        """Return what a constituent replied, or replies now, to a question."""
        asked: tuple[int, bytes] = id(estimator), pickle.dumps(question.compute)
        replies = []
        for block, (start, stop) in enumerate(pairwise(self.bounds)):
            if start == stop:
                continue
            known, reply = self.known.get((*asked, block), (None, None))
            if known is not estimator:
                reply = compute(start, stop)
            self.used[*asked, block] = estimator, reply
            replies.append(reply)
        return _join(replies)


@dataclass(frozen=True, eq=False)
class Panel:
    """Constituents and the rows that they are asked about.

    Parameters
    ----------
    estimators : list of estimator
        The fitted constituents.
    shards : list of int
        The shard of each.
    X : {array, sparse matrix, data frame} of shape (n_samples, n_features)
        The rows.
    values : list
        The values of columns that each of them knows, if `X` is a data frame.
    find_own : callable
        Returns a row that the i-th constituent was trained on.
    n_jobs : int or None
        Number of threads.
    replies : Replies or None
        What is known already of these rows.
    errors : list of Exception
        What was raised so far, if anything.
    """

    estimators: list[Any]
    shards: list[int]
    X: Any
    values: list[Any]
    find_own: Callable[[int], Any]
    n_jobs: int | None = None
    replies: Replies | None = None
    errors: list[Exception] = field(default_factory=list)

    def ask(self, question: Question[Reply]) -> Iterator[Reply]:
        """Yield the replies in order, so that sums are reproducible."""
        numbers = range(len(self.estimators))
        if self._count_threads() == 1:
            return (self._ask_one(i, question) for i in numbers)
        threads = Parallel(
            n_jobs=self.n_jobs, require="sharedmem", return_as="generator"
        )
        return threads(delayed(self._ask_one)(i, question) for i in numbers)

    def _count_threads(self) -> int:
        """Return how many there are in this process, wherever joblib's workers are."""
        backend, n_jobs = get_active_backend(require="sharedmem")
        n_jobs = n_jobs if self.n_jobs is None else self.n_jobs
        return int(backend.effective_n_jobs(n_jobs))

    def check_silence(self, is_silent: Any) -> None:
        """Raise the first error if it has left a row without any answer."""
        if self.errors and np.any(is_silent):
            raise self.errors[0]

    def _ask_one(self, i: int, question: Question[Reply]) -> Reply:
        try:
            if self.replies is None:
                return self._compute(i, self.X, question)
            return self.replies.recall(
                self.estimators[i],
                question,
                lambda *part: self._compute(i, view_rows(self.X, *part), question),
            )
        except _REFUSALS as error:
            error.add_note(
                f"It was raised by the constituent of shard {self.shards[i]}."
            )
            self.errors.append(error)
            if len(self.estimators) == 1:
                raise
            if not self._answers(i, self.find_own(i), question):
                return question.abstain(self.X.shape[0])
            return _join(list(self._ask_in_parts(i, 0, self.X.shape[0], question)))

    def _compute(self, i: int, rows: Any, question: Question[Reply]) -> Reply:
        return question.compute(self.estimators[i], with_values(rows, self.values[i]))

    def _ask_in_parts(
        self, i: int, start: int, stop: int, question: Question[Reply]
    ) -> Iterator[Reply]:
        """Yield the replies for the halves of rows that were refused as a whole."""
        if stop - start == 1:
            self._check_that_others_answer(i, start, question)
            yield question.abstain(1)
            return
        middle = (start + stop) // 2
        for first, last in ((start, middle), (middle, stop)):
            try:
                yield self._compute(i, view_rows(self.X, first, last), question)
            except _REFUSALS:
                yield from self._ask_in_parts(i, first, last, question)

    def _check_that_others_answer(
        self, i: int, row: int, question: Question[Any]
    ) -> None:
        """Raise the first error at the first row on which all abstain."""
        others = (j for j in range(len(self.estimators)) if j != i)
        rows = view_rows(self.X, row, row + 1)
        if not any(self._answers(j, rows, question) for j in others):
            raise self.errors[0]

    def _answers(self, i: int, rows: Any, question: Question[Any]) -> bool:
        try:
            reply = self._compute(i, rows, question)
        except _REFUSALS:
            return False
        return not np.isnan(reply[-1] if isinstance(reply, tuple) else reply).any()


def _join(replies: list[Any]) -> Any:
    if isinstance(replies[0], tuple):
        return tuple(np.concatenate(parts) for parts in zip(*replies, strict=True))
    return np.concatenate(replies)

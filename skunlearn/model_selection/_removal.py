"""What a request does to one of many classifiers, and the cost for all of them."""

import time
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np

from skunlearn._data.rows import Erasure, Rows
from skunlearn._records import ForgetRecord
from skunlearn._requests import Request
from skunlearn.checkpoints._transaction import Transaction

__all__ = ["SharedRemoval", "add_up", "make_fit_record", "preview"]


class SharedRemoval:
    """A removal from rows of which many classifiers hold views.

    Parameters
    ----------
    change : Transaction
        What all of them are staged in.
    rows : Rows
        All rows, as they are before.
    positions : ndarray
        The positions that are to be forgotten.
    """

    def __init__(self, change: Transaction, rows: Rows, positions: np.ndarray) -> None:
        self._change = change
        self._readers = rows.readers
        self.prepare = cache(partial(rows.prepare_forget, positions))

    def stage(self, classifier: Any, places: np.ndarray) -> tuple[Any, ForgetRecord]:
        """Stage the removal, and return the classifier as it will be, and the cost."""
        future = classifier._as_it_is()
        retained = classifier._rows.retained  # it may have forgotten alone
        places = places[retained[places]]
        if not len(places):
            conclude = partial(self._conclude, future._state, places)
            self._change.stage(classifier, conclude)
            return future, preview(classifier, places)
        request = Request(places, len(places))
        removal = classifier._apply(classifier._prepare(request))
        future._state = removal.state
        seconds = time.perf_counter() - self._change.start
        record = removal.make_record(request, seconds)
        state = removal.state.with_record(record)
        self._change.stage(classifier, partial(self._conclude, state, places))
        return future, record

    def _conclude(self, state: Any, places: np.ndarray, erasure: Erasure) -> Any:
        if state.rows.readers is self._readers:
            rows = state.rows.follow(self.prepare(erasure), places)
            return replace(state, rows=rows)
        return state.without_rows(places, erasure) if len(places) else state


def preview(classifier: Any, places: np.ndarray) -> ForgetRecord:
    """Return what it would cost to forget the rows at some places."""
    request = Request(places, len(places))
    record: ForgetRecord = classifier._prepare(request).make_record(request, 0.0)
    return record


def make_fit_record(classifier: Any) -> ForgetRecord:
    """Return the cost of a classifier that was fitted from scratch."""
    empty = preview(classifier, np.empty(0, dtype=np.int64))
    n_samples = empty.n_samples_full_retrain
    n_slices = sum(shard.estimator is not None for shard in classifier._state.shards)
    return replace(empty, n_samples_retrained=n_samples, n_slices_retrained=n_slices)


def add_up(
    records: list[ForgetRecord], request: Request, seconds: float
) -> ForgetRecord:
    """Return one record of a request for all classifiers."""
    return ForgetRecord(
        **request.counts,
        shards=(),
        n_slices_retrained=sum(each.n_slices_retrained for each in records),
        n_samples_retrained=sum(each.n_samples_retrained for each in records),
        n_samples_full_retrain=sum(each.n_samples_full_retrain for each in records),
        seconds=seconds,
        kind="exact",
        selection_seconds=sum(each.selection_seconds for each in records),
    )

"""What a request does to one of many classifiers, and the cost for all of them."""

from dataclasses import replace
from typing import Any

import numpy as np

from skunlearn._records import ForgetRecord
from skunlearn._requests import Request
from skunlearn.checkpoints._transaction import Transaction

__all__ = ["add_up", "make_fit_record", "preview", "stage"]


def stage(
    change: Transaction, classifier: Any, places: np.ndarray
) -> tuple[Any, ForgetRecord]:
    """Stage a removal, and return the classifier as it will be, and the cost."""
    future = classifier._as_it_is()
    places = places[classifier._rows.retained[places]]  # it may have forgotten alone
    request = Request(places, len(places))
    if not len(places):
        return future, preview(classifier, places)
    removal = classifier._stage_removal(change, request)
    future._state = removal.state
    return future, removal.make_record(request, 0.0)


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

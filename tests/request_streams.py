"""One experiment for the laws of requests: a stream of them, against a fresh fit.

`Stream` has a classifier and knows what it ought to be. `walk` takes every kind of step
once, and hypothesis takes them in any order. `check` is what holds after each step.
"""

import copy
import pickle
from itertools import pairwise

import numpy as np
from sklearn.base import clone
from support import assert_same_classifier, fit_in_layout, make_case, make_data

N = 90
FIRST = 50  # rows that are given to fit
X, Y = make_data(N)
# Groups of different sizes, with rows in several batches.
GROUPS = np.array([f"user-{i % (37 if i % 3 else 7)}" for i in range(N)])
COPIES = {
    "pickle": lambda classifier: pickle.loads(pickle.dumps(classifier)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def replay(classifier, X, y, cuts, identities=None):
    """Return a fresh classifier given, batch by batch, what another has retained."""
    keep = classifier.retained_indices_
    identities = np.arange(len(y)) if identities is None else identities
    fresh = clone(classifier)
    for start, stop in pairwise(cuts):
        rows = keep[(keep >= start) & (keep < stop)]
        if len(rows):
            fresh.partial_fit(X[rows], y[rows], groups=identities[rows])
    return fresh


class Stream:
    """A classifier in the middle of a stream of requests.

    Parameters
    ----------
    base, layout : str
        One of `support.CASES`.
    grouped : bool
        Whether rows are known by their groups, or else by their positions.
    """

    def __init__(self, base, layout, *, grouped=False):
        self.identities = GROUPS if grouped else np.arange(N)
        self.grouped = grouped
        self.classifier = make_case(base, layout)
        self.n_seen, self.forgotten, self.left_behind = 0, set(), []
        self._learn(self.classifier.fit, FIRST)

    def add(self, n_rows):
        """Learn the next rows, if there are any."""
        if self.n_seen < N:
            self._learn(self.classifier.partial_fit, n_rows)

    def _learn(self, method, n_rows):
        new = slice(self.n_seen, min(self.n_seen + n_rows, N))
        groups = {"groups": GROUPS[new]} if self.grouped else {}
        method(X[new], Y[new], **groups)
        self.n_seen = new.stop

    def find_request(self, rows):
        """Return a request for rows, and the positions that it is about.

        Of rows that have not come yet it is about those that came before.
        """
        rows = np.unique(np.asarray(rows) % self.n_seen)
        if not self.grouped:
            return {"X_idx": rows}, rows
        ids = np.unique(GROUPS[rows])
        positions = np.flatnonzero(np.isin(GROUPS[: self.n_seen], ids))
        return {"groups": ids}, positions

    def forget(self, rows, *, retrain=True):
        """Forget rows as a preview has promised, unless nothing would be left."""
        request, positions = self.find_request(rows)
        if not np.setdiff1d(self.classifier.retained_indices_, positions).size:
            return
        state, before = self.classifier._state, self.classifier.estimators_
        promised = self.classifier.preview_forget(**request)
        assert self.classifier._state is state
        self.classifier.forget(**request, retrain=retrain)
        record = self.classifier.forget_records_[-1]
        new = set(positions.tolist()) - self.forgotten
        assert record.n_requested == len(positions)
        assert record.n_forgotten == promised.n_forgotten == len(new)
        assert record.n_already_forgotten == len(positions) - len(new)
        self.forgotten |= new
        after = self.classifier.estimators_
        if len(after) == len(before):  # by class, those of a class go with it
            for k, (old, current) in enumerate(zip(before, after, strict=True)):
                assert old is current or k in promised.shards
        if retrain:
            for name in ("shards", "n_slices_retrained", "n_samples_retrained"):
                assert getattr(record, name) == getattr(promised, name)
        else:
            assert record.shards == ()

    def forget_class(self, row):
        """Forget all rows of a row's class."""
        self.forget(np.flatnonzero(Y[: self.n_seen] == Y[row]))

    def forget_last_batch(self):
        """Forget the rows that came last."""
        self.forget(np.arange(self.classifier._state.batches[-1], self.n_seen))

    def retrain(self):
        """Train what waits; positions wait exactly if there is something to train."""
        n_pending = self.classifier.n_pending_
        n_records = len(self.classifier.forget_records_)
        self.classifier.retrain()
        new = self.classifier.forget_records_[n_records:]
        assert any(record.shards for record in new) == (n_pending > 0)
        assert self.classifier.n_pending_ == 0

    def go_on_with_a_copy(self, kind):
        """Leave the classifier behind, for a copy of it."""
        before = self.classifier.predict(X), self.classifier.retained_indices_
        self.left_behind.append((self.classifier, *before))
        del self.left_behind[:-2]
        self.classifier = COPIES[kind](self.classifier)

    def check(self):
        """Assert that the classifier is what it ought to be."""
        classifier = self.classifier
        assert classifier.forgotten_indices_.tolist() == sorted(self.forgotten)
        assert set(classifier.predict(X)) <= set(classifier.classes_)
        self._find_traces()
        if classifier.n_pending_:
            classifier = copy.deepcopy(classifier).retrain()
        assert_same_classifier(classifier, self._fit_anew(), X)
        for other, answers, retained in self.left_behind:
            np.testing.assert_array_equal(other.predict(X), answers)
            np.testing.assert_array_equal(other.retained_indices_, retained)
            slots = other._state.rows.slot_of[retained]
            np.testing.assert_array_equal(other._state.rows.data.X[slots], X[retained])

    def _fit_anew(self):
        """Return what a fresh fit gives, and then the same batches."""
        identities = self.identities[: self.n_seen]
        rows = X[: self.n_seen], Y[: self.n_seen]
        if (self.classifier.retained_indices_ < FIRST).any():
            cuts = [*self.classifier._state.batches, self.n_seen]
            return replay(self.classifier, *rows, cuts, identities)
        return fit_in_layout(self.classifier, *rows, identities=identities)

    def _find_traces(self):
        """Assert that no value of a forgotten row is left, nor any group's id."""
        data = pickle.dumps(self.classifier)
        kept = [i for i in self.forgotten if X[i, 0].tobytes() in data]
        assert kept == []
        assert b"user-" not in data

    def walk(self):
        """Take every kind of step once, and check in the middle and at the end."""
        self.forget([3])
        self.forget([3, 9, 30, 31, 44], retrain=False)
        self.go_on_with_a_copy("pickle")
        self.add(20)
        self.forget([1, 55, 60])
        self.check()
        self.go_on_with_a_copy("copy")
        self.forget(range(0, 40, 3), retrain=False)
        self.go_on_with_a_copy("deepcopy")
        self.retrain()
        self.forget_class(5)
        self.add(20)
        self.forget_last_batch()
        self.forget(range(40, 60))
        self.check()

"""Forgetting the wrong rows: what is no request is refused in its own words."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.naive_bayes import GaussianNB

from skunlearn import InfluenceUnlearningClassifier, ShardedUnlearningClassifier
from skunlearn.exceptions import ForgetIndexError

N = 60
RNG = np.random.default_rng(3)
X = RNG.normal(size=(N, 3)) + np.arange(N)[:, None] % 2
Y = np.arange(N) % 2
CLASSIFIERS = {
    "sharded": ShardedUnlearningClassifier(GaussianNB(), n_shards=3, random_state=0),
    "influence": InfluenceUnlearningClassifier(method="newton"),
}


def fit(name, groups=None):
    """Return a classifier that was fitted to the rows."""
    params = CLASSIFIERS[name].get_params(deep=False)
    return type(CLASSIFIERS[name])(**params).fit(X, Y, groups=groups)


FITTED = {name: fit(name) for name in CLASSIFIERS}
FRAME = pd.DataFrame(X, columns=["a", "b", "c"], index=RNG.permutation(N) + 1000)

# What is passed by habit, and a word of what to do instead.
HABITS = {
    "index": (FRAME.index[:3], "get_indexer"),
    "index of a range": (pd.RangeIndex(3), "get_indexer"),
    "index as a mask": (pd.Index(Y == 1), "get_indexer"),
    "dates": (pd.date_range("2026-01-01", periods=2), "get_indexer"),
    "pairs": (pd.MultiIndex.from_tuples([(0, 1)]), "get_indexer"),
    "features": (X[:2], r"shape \(2, 3\).* no features"),
    "one row": (X[:1], "no features"),
    "frame": (FRAME.iloc[:2], r"shape \(2, 3\).* no features"),
    "frame of polars": (pl.DataFrame(X[:2]), r"shape \(2, 3\).* no features"),
    "sparse": (sparse.csr_array(X[:2]), "no features"),
    "sparse matrix": (sparse.csr_matrix(X[:2]), "no features"),
    "lists": (X[:2].tolist(), "no features"),
    "tuples": ([tuple(row) for row in X[:2]], "no features"),
    "list of rows": (list(X[:2]), "no features"),
    "values of a row": (X[0], "Neither features nor labels"),
    "list of floats": (X[0].tolist(), "Neither features nor labels"),
    "labels": (Y, "2 different ones, like class labels"),
    "list of labels": (Y.tolist(), "like class labels"),
    "series of labels": (pd.Series(Y), "like class labels"),
    "integers as a mask": ((np.arange(N) < 9).astype(int), "a mask of 0 and 1"),
    "texts as labels": (np.array(["no", "yes"])[Y], "numpy.flatnonzero"),
    "texts": (["c1", "c2"], "groups="),
    "series of texts": (pd.Series(["c1", "c2"]), "groups="),
    "text": ("c1", "groups="),
    "bytes": (b"c1", "groups="),
    "bool": (True, "neither a position nor a mask"),
    "numpy bool": (np.bool_(False), "neither a position nor a mask"),
    "array of one bool": (np.array(True), "neither a position nor a mask"),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("habit", HABITS)
def test_habits(name, habit):
    """Each has its message, which prints no row, and nothing has changed."""
    request, match = HABITS[habit]
    classifier = FITTED[name]
    before = pickle.dumps(classifier)
    for method in (classifier.forget, classifier.preview_forget):
        for unknown in ("raise", "ignore"):
            with pytest.raises(ForgetIndexError, match=match) as caught:
                method(request, unknown=unknown)
            assert str(X[0, 0])[:6] not in str(caught.value)
    assert pickle.dumps(classifier) == before


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("arguments", [(X[:2], Y[:2]), ([1], Y), ([1], 7), (1, 2, 3)])
def test_arguments_without_names(name, arguments):
    """As for `fit`, or a group without its name: it is a TypeError too."""
    for method in (FITTED[name].forget, FITTED[name].preview_forget):
        for error in (TypeError, ForgetIndexError):
            with pytest.raises(error, match="takes only X_idx without its name"):
                method(*arguments)


@pytest.mark.parametrize("n", [2, 9, 60])
def test_repeats_are_no_labels(n):
    """A queue may deliver all its positions twice, or one of few rows often."""
    rows, codes = X[:n], Y[:n]
    classifier = ShardedUnlearningClassifier(GaussianNB(), random_state=0)
    classifier.fit(rows, codes)
    for request in ([0] * (n // 2), [*range(n // 2)] * 2, [0] * 2 * n):
        record = classifier.preview_forget(request)
        assert record.n_requested == len(set(request))


# Integers by position that are ids of groups too

MIXED_UP = {
    "customers": (np.arange(N) // 3, [12]),
    "customers from 20 on": (np.arange(N) // 3 + 20, [25, 30]),
    "one of them": (np.arange(N) // 3 + 20, [0, 25]),
    "floats": (np.arange(N) // 3 + 20.0, 25),
    "shuffled": (np.roll(np.arange(N), 1), [5]),
    "objects": ((np.arange(N) // 3).astype(object), np.array([12], dtype=object)),
    "range": (np.arange(N) // 3 + 20, range(30, 33)),
    "series": (np.arange(N) // 3 + 20, pd.Series([30, 31])),
}
CLEAR = {
    "own group": (np.arange(N) // 2, [0]),
    "own group in turns": (np.arange(N) % 20, [3, 7, 41]),
    "no groups": (None, [12]),
    "texts": ([str(i // 3) for i in range(N)], [12]),
    "positions as groups": (np.arange(N), [12, 13]),
    "not among the ids": (np.arange(N) + 1000, [12]),
    "all of a group": (np.arange(N) // 2 * 2, [4, 5]),
    "swapped": (np.arange(N) ^ 1, [4, 5]),
    "slice": (np.arange(N) // 3, slice(12, 14)),
    "mask": (np.arange(N) // 3, np.arange(N) == 12),
    "nothing": (np.arange(N) // 3, []),
    "both": (np.arange(N) // 3, None),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("case", MIXED_UP)
def test_positions_that_are_ids_of_others(name, case):
    """A warning says that they were read as positions; as an error it stops all."""
    groups, request = MIXED_UP[case]
    classifier = fit(name, groups)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match=r"positions of rows.* pass groups="):
            classifier.forget(request)
    assert len(classifier.forgotten_indices_) == 0
    with pytest.warns(UserWarning, match="read as positions") as caught:
        classifier.forget(request)
    assert [warning.filename for warning in caught] == [__file__]
    assert classifier.forgotten_indices_.tolist() == np.atleast_1d(request).tolist()
    classifier.preview_forget(request)  # which changes nothing, and is silent


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("case", CLEAR)
def test_positions_that_name_no_others(name, case):
    """They are forgotten in silence."""
    groups, request = CLEAR[case]
    classifier = fit(name, groups)
    if case == "both":
        classifier.forget([12], groups=[2])
    else:
        classifier.forget(request)


@given(st.data())
def test_a_warning_means_other_rows(data):
    """It comes exactly if integers, read as ids that their rows do not have, do."""
    ids = data.draw(st.lists(st.integers(0, 12), min_size=12, max_size=12))
    request = data.draw(st.lists(st.integers(0, 11), min_size=1, max_size=4))
    classifier = ShardedUnlearningClassifier(GaussianNB(), n_shards=2, random_state=0)
    classifier.fit(X[:12], Y[:12], groups=ids)
    wrong = {i for i in request if ids[i] != i}
    others = {i for i in range(12) if ids[i] in wrong} - set(request)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        classifier.forget(request, retrain=False)
    assert any("read as positions" in str(w.message) for w in caught) == bool(others)

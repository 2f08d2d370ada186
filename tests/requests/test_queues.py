"""Deletion queues: unknown ids, who is there, and what was done when."""

import datetime as dt
import json
import pickle
import re
import subprocess
import sys
import uuid
from dataclasses import asdict, fields

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError
from sklearn.naive_bayes import GaussianNB

from skunlearn import (
    ForgetRecord,
    InfluenceUnlearningClassifier,
    ShardedUnlearningClassifier,
)
from skunlearn.exceptions import ForgetIndexError, NothingRetainedError

N = 60
RNG = np.random.default_rng(4)
X = RNG.normal(size=(N, 3)) + np.arange(N)[:, None] % 2
Y = np.arange(N) % 2
CUSTOMERS = np.arange(N) // 3 + 100
NAMES = np.array([f"c{i // 3}" for i in range(N)])
DAY = dt.datetime(2026, 1, 1)
BASES = {
    "sharded": lambda: ShardedUnlearningClassifier(
        GaussianNB(), n_shards=3, random_state=0
    ),
    "influence": lambda: InfluenceUnlearningClassifier(method="newton"),
}
# Ids of six rows each, an id that none of them has, and the kind of all of them.
KINDS = {
    "integers": ([int(i) for i in range(10)], 10),
    "floats": ([i + 0.5 for i in range(10)], 0.25),
    "strings": ([str(i) for i in range(10)], "10"),
    "bytes": ([b"%d" % i for i in range(10)], b"10"),
    "dates or times": ([DAY + dt.timedelta(i) for i in range(10)], DAY.replace(2020)),
    "UUIDs": ([uuid.UUID(int=i) for i in range(10)], uuid.UUID(int=10)),
}
CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "array": lambda ids: np.fromiter(ids, dtype=object, count=len(ids)),
    "series": lambda ids: pd.Series(ids, index=np.arange(len(ids)) + 5),
    "index": pd.Index,
}
each_class = pytest.mark.parametrize("name", BASES)


def fit(name, groups=None):
    """Return a classifier that was fitted to the rows."""
    return BASES[name]().fit(X, Y, groups=groups)


@each_class
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_unknown_groups_are_counted(name, kind, container):
    """And the others forgotten, in all kinds of ids and containers."""
    ids, other = KINDS[kind]
    classifier = fit(name, [ids[i // 6] for i in range(N)])
    request = CONTAINERS[container]([ids[2], other, ids[4], other])
    before = pickle.dumps(classifier)
    with pytest.raises(ForgetIndexError, match=r"1 of 3 groups .*unknown='ignore'"):
        classifier.forget(groups=request)
    assert pickle.dumps(classifier) == before
    preview = classifier.preview_forget(groups=request, unknown="ignore")
    assert pickle.dumps(classifier) == before
    record = classifier.forget(groups=request, unknown="ignore").forget_records_[-1]
    for each in (preview, record):
        assert (each.n_requested, each.n_forgotten, each.n_unknown) == (12, 12, 1)
    assert classifier.has_groups(request).tolist() == [False] * 4
    again = classifier.forget(groups=request, unknown="ignore").forget_records_[-1]
    assert (again.n_already_forgotten, again.n_unknown) == (12, 1)
    classifier.forget(groups=CONTAINERS[container]([other]), unknown="ignore")
    assert classifier.forget_records_[-1].n_unknown == 1
    assert len(classifier.forgotten_indices_) == 12


@each_class
def test_nothing_but_unknown(name):
    """It is a request like any other, and leaves what there is."""
    classifier = fit(name, NAMES)
    before = classifier.predict_proba(X)
    classifier.forget([N, -1, N], groups="c99", unknown="ignore")
    record = classifier.forget_records_[-1]
    assert (record.n_requested, record.n_forgotten, record.n_unknown) == (0, 0, 3)
    np.testing.assert_array_equal(classifier.predict_proba(X), before)


POSITIONS = {
    "list": [5, N, 7, -1, N, 2**70],
    "array": np.array([5, N, 7, -1, N, N + 1]),
    "objects": np.array([5, N, 7, -1, N, 2**70], dtype=object),
    "unsigned": np.array([5, N, 7, 2**64 - 1, 2**64 - 1, 99], dtype=np.uint64),
    "series": pd.Series([5, N, 7, -1, N, 99]),
    "polars": pl.Series([5, N, 7, -1, N, 99]),
}


@each_class
@pytest.mark.parametrize("form", POSITIONS)
def test_unknown_positions_are_counted(name, form):
    """Negative ones too: -1 is what get_indexer has for an unknown label."""
    classifier = fit(name)
    with pytest.raises(ForgetIndexError, match="3 positions that do not exist"):
        classifier.forget(POSITIONS[form])
    record = classifier.forget(POSITIONS[form], unknown="ignore").forget_records_[-1]
    assert (record.n_requested, record.n_unknown) == (2, 3)
    assert classifier.forgotten_indices_.tolist() == [5, 7]


@given(
    st.lists(st.integers(-3, N + 3), max_size=8),
    st.lists(st.integers(95, 125), max_size=8),
)
def test_a_queue_is_cut_down(positions, ids):
    """Ignoring the unknown is to ask for the others, and to count it."""
    classifier = TWINS[0]
    known = [i for i in positions if 0 <= i < N]
    there = [i for i in ids if i in set(CUSTOMERS)]
    record = classifier.preview_forget(positions, groups=ids, unknown="ignore")
    expected = TWINS[1].preview_forget(known, groups=there)
    assert record.shards == expected.shards
    assert record.n_requested == expected.n_requested
    n_unknown = len(set(positions) - set(known)) + len(set(ids) - set(there))
    assert (record.n_unknown, expected.n_unknown) == (n_unknown, 0)


TWINS = [fit("sharded", CUSTOMERS), fit("sharded", CUSTOMERS)]

MALFORMED = [
    {"X_idx": [1.0]},
    {"X_idx": np.zeros(N - 1, dtype=bool)},
    {"X_idx": [1, None]},
    {"X_idx": {1}},
    {"groups": [None]},
    {"groups": ["c1", np.nan]},
    {"groups": [("c1", 1)]},
    {"groups": {"c1"}},
    {"groups": [["c1"]]},
    {},
]


@each_class
@pytest.mark.parametrize("request_", MALFORMED, ids=str)
def test_what_is_malformed_is_not_ignored(name, request_):
    """It would be a fault of the queue, not an old id."""
    classifier = fit(name, NAMES)
    for method in (classifier.forget, classifier.preview_forget):
        with pytest.raises(ForgetIndexError):
            method(**request_, unknown="ignore")
    with pytest.raises(ForgetIndexError, match="fit was called without groups"):
        fit(name).forget(groups=["c1"], unknown="ignore")
    assert classifier.forget_records_ == []


@each_class
@pytest.mark.parametrize("unknown", ["warn", None, True, ["ignore"], "Ignore"])
def test_bad_values_of_unknown(name, unknown):
    """The message has both values, and nothing is forgotten."""
    classifier = fit(name, NAMES)
    for method in (classifier.forget, classifier.preview_forget):
        with pytest.raises(ValueError, match="'raise' or 'ignore'; got"):
            method([1], unknown=unknown)
    assert len(classifier.forgotten_indices_) == 0


@each_class
def test_unknown_ids_are_named(name):
    """Up to ten of them, each once."""
    classifier = fit(name, NAMES)
    queue = ["c1", "x0", "x0", *[f"x{i}" for i in range(12)]]
    with pytest.raises(ForgetIndexError) as caught:
        classifier.forget(groups=queue)
    message = str(caught.value)
    assert message.startswith("12 of 13 groups were not among those given to fit")
    assert all(f"x{i}, " in message for i in range(10))
    assert "x10" not in message
    assert "c1" not in message
    with pytest.raises(ForgetIndexError) as caught:
        classifier.forget(range(N - 1, N + 12))
    assert all(f" {N + i}, " in str(caught.value) for i in range(10))
    assert str(N + 10) not in str(caught.value)
    with pytest.raises(ForgetIndexError) as caught:
        classifier.forget(groups="long " * 1000)
    assert len(str(caught.value)) < 400


@each_class
@pytest.mark.parametrize("given_kind", KINDS)
@pytest.mark.parametrize("other_kind", KINDS)
def test_kinds_of_ids(name, given_kind, other_kind):
    """Where they differ, both are named; numbers of two types can be equal."""
    ids, (others, unknown) = KINDS[given_kind][0], KINDS[other_kind]
    classifier = fit(name, [ids[i // 6] for i in range(N)])
    request = [ids[3], unknown, *others[:2]]
    numbers = {"integers", "floats"}
    if given_kind == other_kind or {given_kind, other_kind} == numbers:
        request, hint = [unknown], None
    else:
        hint = f"Some are {other_kind}, but fit was given {given_kind}: convert them."
    with pytest.raises(ForgetIndexError) as caught:
        classifier.forget(groups=request)
    assert ("convert" in str(caught.value)) == (hint is not None)
    assert hint is None or hint in str(caught.value)


def test_kinds_of_later_rows():
    """Those of `partial_fit` count too, mixed ones as well."""
    classifier = fit("sharded", CUSTOMERS)
    classifier.partial_fit(X[:3], Y[:3], groups=["a", "b", b"c"])
    with pytest.raises(ForgetIndexError, match="Some are UUIDs, but fit was given "):
        classifier.forget(groups=["q", uuid.UUID(int=1)])
    with pytest.raises(ForgetIndexError) as caught:
        classifier.forget(groups=["q", 7, b"z"])
    assert "convert" not in str(caught.value)


# Who is there


@each_class
@pytest.mark.parametrize("kind", KINDS)
def test_who_is_there(name, kind):
    """`has_groups` and `find_positions` say what a forget would find."""
    ids, other = KINDS[kind]
    classifier = fit(name, [ids[i // 6] for i in range(N)])
    request = [ids[7], other, ids[1]]
    has = classifier.has_groups(request)
    assert isinstance(has, np.ndarray)
    assert (has.dtype, has.tolist()) == (bool, [True, False, True])
    expected = [*range(6, 12), *range(42, 48)]
    positions = classifier.find_positions([ids[7], ids[1], ids[7]])
    assert (positions.dtype.kind, positions.tolist()) == ("i", expected)
    classifier.forget(slice(6, 7)).forget(groups=ids[7])
    assert classifier.has_groups(request).tolist() == [False, False, True]
    assert classifier.find_positions([ids[7], ids[1]]).tolist() == expected[1:6]
    assert classifier.has_groups(ids[1]).tolist() == [True]
    assert classifier.find_positions(ids[7]).tolist() == []
    assert classifier.has_groups([]).tolist() == []
    assert classifier.has_groups([]).dtype == bool
    assert classifier.find_positions([]).tolist() == []
    with pytest.raises(ForgetIndexError, match="1 of 2 groups"):
        classifier.find_positions([ids[1], other])


@each_class
def test_queries_of_nobody(name):
    """What is no group is an error, as are groups where there are none."""
    classifier = fit(name, NAMES)
    for method in (classifier.has_groups, classifier.find_positions):
        for bad in ([None], {"c1"}, [("c1",)], np.ones((2, 2)), None):
            with pytest.raises(ForgetIndexError, match="groups"):
                method(bad)
    for method in ("has_groups", "find_positions"):
        with pytest.raises(ForgetIndexError, match="without groups"):
            getattr(fit(name), method)(["c1"])
        with pytest.raises(NotFittedError):
            getattr(BASES[name](), method)(["c1"])


@each_class
@given(data=st.data())
def test_queries_and_requests_agree(name, data):
    """After any requests, what is found is what would be forgotten."""
    classifier = fit(name, CUSTOMERS)
    gone = data.draw(st.lists(st.sampled_from(range(N)), max_size=30, unique=True))
    classifier.forget(np.isin(np.arange(N), gone))
    request = data.draw(st.lists(st.integers(98, 122), max_size=5))
    keep = classifier.retained_indices_
    has = [any(CUSTOMERS[keep] == i) for i in request]
    assert classifier.has_groups(request).tolist() == has
    known = [i for i in request if i in CUSTOMERS]
    found = classifier.find_positions(known)
    assert found.tolist() == keep[np.isin(CUSTOMERS[keep], known)].tolist()
    record = classifier.preview_forget(groups=request, unknown="ignore")
    assert record.n_forgotten == len(found)


# Records


@each_class
def test_when(name):
    """In UTC, from before the work to after it, for each call alone."""
    start = dt.datetime.now(dt.UTC) - dt.timedelta(milliseconds=1)
    classifier = fit(name).forget(1).forget(1)
    times = [
        dt.datetime.fromisoformat(record.requested_at)
        for record in classifier.forget_records_
    ]
    assert start <= times[0] <= times[1] <= dt.datetime.now(dt.UTC)
    assert {time.utcoffset() for time in times} == {dt.timedelta(0)}


def make_record(**values):
    """Return a record of three rows."""
    counts = {
        "n_requested": 4,
        "n_forgotten": 3,
        "n_already_forgotten": 1,
        "n_unknown": 2,
        "shards": (0, 5),
        "n_slices_retrained": 2,
        "n_samples_retrained": 120,
        "n_samples_full_retrain": 5000,
        "seconds": 0.0214,
        "kind": "exact",
    }
    return ForgetRecord(**counts | values)


NOTHING = {"n_forgotten": 0, "shards": (), "n_slices_retrained": 0}
PATCH = {"shards": (), "kind": "approximate", "n_unknown": 0, "n_already_forgotten": 0}
SENTENCES = {
    "Forgot 3 rows (1 was already forgotten, 2 unknown) by retraining 2 shards: "
    "120 of 5,000 rows in 0.02 s.": {},
    "Forgot 1 row by retraining 1 shard: 120 of 5,000 rows in 1,234.50 s.": {
        "n_forgotten": 1,
        "n_already_forgotten": 0,
        "n_unknown": 0,
        "shards": (3,),
        "seconds": 1234.5,
    },
    "Forgot 3 rows (2 unknown) without training in 0.02 s.": {
        "shards": (),
        "n_already_forgotten": 0,
    },
    "Forgot 0 rows (4 were already forgotten) in 0.0001 s.": {
        **NOTHING,
        "n_already_forgotten": 4,
        "n_unknown": 0,
        "seconds": 1e-9,
    },
    "Retrained 2 shards: 120 of 5,000 rows in 0.02 s; 1 shard could not be trained.": {
        "n_requested": 0,
        "n_forgotten": 0,
        "n_already_forgotten": 0,
        "n_unknown": 0,
        "n_failed_shards": 1,
    },
    "Retrained 0 shards: 0 of 5,000 rows in 0.02 s; 2 shards could not be trained.": {
        **NOTHING,
        "n_requested": 0,
        "n_already_forgotten": 0,
        "n_samples_retrained": 0,
        "n_unknown": 0,
        "n_failed_shards": 2,
    },
    "Forgot 3 rows by one step of the parameters in 0.02 s.": {
        **PATCH,
        "path": "patch",
    },
    "Forgot 3 rows by several steps of the parameters in 0.02 s.": {
        **PATCH,
        "path": "polish",
    },
    "Forgot 3 rows by a new fit to the retained rows in 0.02 s.": {
        **PATCH,
        "path": "refit",
    },
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_sentences(sentence):
    """A record reads as one sentence; its repr has all fields."""
    record = make_record(**SENTENCES[sentence])
    assert str(record) == sentence
    assert f"{record!r}".startswith("ForgetRecord(n_requested=")


def test_sentences_of_real_records():
    """A deferred forget, what it is completed by, and a request in vain."""
    classifier = fit("sharded").forget([1, 2], retrain=False).retrain().forget(1)
    texts = list(map(str, classifier.forget_records_))
    assert texts[0].startswith("Forgot 2 rows without training in ")
    assert re.match(r"Retrained \d shards?: \d+ of 58 rows in .* s\.", texts[1])
    assert texts[2].startswith("Forgot 0 rows (1 was already forgotten) in ")


@each_class
def test_history(name):
    """All records as a frame, of which JSON can be made."""
    classifier = fit(name, NAMES)
    columns = [each.name for each in fields(ForgetRecord)]
    assert classifier.forget_history().columns.tolist() == columns
    assert len(classifier.forget_history()) == 0
    classifier.forget([1, 2]).forget([1], groups=["c9", "x"], unknown="ignore")
    with pytest.raises(NothingRetainedError):
        classifier.forget(slice(None))
    history = classifier.forget_history()
    assert history.columns.tolist() == columns
    assert history["n_requested"].tolist() == [2, 4]
    assert history["n_unknown"].tolist() == [0, 1]
    for record, row in zip(
        classifier.forget_records_, history.to_dict("records"), strict=True
    ):
        assert row["shards"] == record.shards
        assert json.loads(json.dumps(asdict(record)))["seconds"] == row["seconds"]
        assert "c9" not in str(asdict(record))
    assert pickle.loads(pickle.dumps(classifier)).forget_history().equals(history)
    with pytest.raises(NotFittedError):
        BASES[name]().forget_history()


def test_history_without_pandas():
    """It is a list of dictionaries."""
    code = """
import sys
from sklearn.datasets import load_iris
from skunlearn import ShardedUnlearningClassifier
classifier = ShardedUnlearningClassifier().fit(*load_iris(return_X_y=True)).forget(3)
sys.modules["pandas"] = None
print([row["n_forgotten"] for row in classifier.forget_history()])
"""
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "[1]\n"


def test_old_records():
    """A pickle of a record without the later fields has their defaults."""
    record = make_record()
    for name in ("n_unknown", "requested_at", "request_id", "n_failed_shards"):
        record.__dict__.pop(name)
    old = pickle.loads(pickle.dumps(record))
    assert (old.n_unknown, old.requested_at, old.n_failed_shards) == (0, None, 0)

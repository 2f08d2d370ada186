"""A process that dies at any moment loses nothing and brings nothing back.

The process is killed, with the signal that cannot be handled, before one of its calls
that write, rename or remove; or after some time. Then the store is opened.
"""

import os
import signal
import time
from functools import partial

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB
from support import assert_same_classifier, make_data

from skunlearn import ShardedUnlearningClassifier
from skunlearn.checkpoints import DirectoryStore, verify_ledger
from skunlearn.exceptions import SkunlearnError

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*are too small"),
    pytest.mark.filterwarnings("ignore:.*use of fork"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork"),
]

X, Y = make_data(60)
FIRST = 50  # the rows that fit is given
CALLS = ("fsync", "replace", "unlink", "write")


def make_store(folder, is_encrypted):
    """Return the store of a run."""
    if not is_encrypted:
        return DirectoryStore(folder / "store", ledger_head=folder / "head")
    return DirectoryStore(folder / "store", encrypt=True, key_file=folder / "keys")


def make_classifier(store=None):
    """Return an unfitted classifier."""
    return ShardedUnlearningClassifier(
        GaussianNB(), n_shards=2, n_slices=2, random_state=0, checkpoint_store=store
    )


def act(classifier, acknowledge):
    """Make one change of each kind, and say which ones are acknowledged."""
    classifier.forget([1, 2])
    acknowledge("forgotten", 1, 2)
    classifier.forget([3], retrain=False)
    acknowledge("forgotten", 3)
    classifier.retrain()
    classifier.enqueue([5, 6])
    acknowledge("queued", 5, 6)
    classifier.enqueue([7])
    acknowledge("queued", 7)
    classifier.process_queue()
    acknowledge("forgotten", 5, 6, 7)
    classifier.partial_fit(X[FIRST:], Y[FIRST:])
    acknowledge("added")
    classifier.forget([FIRST, 8])
    acknowledge("forgotten", FIRST, 8)


def die_at_call(k):
    """Let this process be killed before the k-th call that changes a file."""
    left = [k]

    def count(original, *arguments, **options):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)

    for name in CALLS:
        setattr(os, name, partial(count, getattr(os, name)))


def run_until_killed(task, k, seconds):
    """Run a task in a child until it is killed; return what it has acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        write = os.write
        try:
            os.close(reading)
            if k is not None:
                die_at_call(k)
            task(
                lambda *words: write(writing, f"{' '.join(map(str, words))}\n".encode())
            )
        finally:
            os._exit(0)
    os.close(writing)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reading) as file:
        lines = [line.split() for line in file]
    os.waitpid(child, 0)
    named = {"forgotten": set(), "queued": set(), "added": False, "fitted": False}
    for word, *positions in lines:
        if positions:
            named[word] |= set(map(int, positions))
        else:
            named[word] = True
    return named


def draw_moment(rng, n_calls, duration):
    """Return a number of calls or a time, and None for the other."""
    if rng.integers(4):
        return int(rng.integers(1, n_calls)), None
    return None, float(rng.uniform(0, duration))


def check(store, named):
    """Assert that an opened store has all that was acknowledged, and law 1."""
    classifier = ShardedUnlearningClassifier.open(store)
    forgotten = set(classifier.forgotten_indices_.tolist())
    assert named["forgotten"] <= forgotten <= {1, 2, 3, 5, 6, 7, 8, FIRST}
    n_positions = len(forgotten) + len(classifier.retained_indices_)
    assert n_positions in ([len(X)] if named["added"] else [FIRST, len(X)])
    classifier.process_queue()
    forgotten = set(classifier.forgotten_indices_.tolist())
    assert named["queued"] <= forgotten
    classifier.retrain()
    fresh = make_classifier().fit(X[:FIRST], Y[:FIRST])
    if n_positions > FIRST:
        fresh.partial_fit(X[FIRST:], Y[FIRST:])
    fresh.forget(sorted(forgotten))
    assert_same_classifier(classifier, fresh, X)
    assert verify_ledger(store)
    referenced = classifier._session.list_names()
    on_disk = set(os.listdir(store.path)) - {"lock", "manifest.json", "ledger.jsonl"}
    assert on_disk == referenced
    found = [path for path in store.path.iterdir() if has_trace(path, forgotten)]
    assert store.encrypt or found == []


def has_trace(path, forgotten):
    """Return True if a file holds a value of a forgotten row."""
    data = path.read_bytes()
    return any(X[i, 0].tobytes() in data for i in forgotten)


def try_changes(tmp_path, seed):
    """Kill a process that changes a store, open it, and go on."""
    rng = np.random.default_rng(seed)
    store = make_store(tmp_path, seed % 3 == 0)
    classifier = make_classifier(store).fit(X[:FIRST], Y[:FIRST])
    store.close()
    del classifier

    def task(acknowledge):
        act(ShardedUnlearningClassifier.open(store), acknowledge)

    check(store, run_until_killed(task, *draw_moment(rng, 280, 0.5)))


def try_fit(tmp_path, seed):
    """Kill a process that fits; what is there opens, or can be fitted again."""
    rng = np.random.default_rng(seed)
    store = make_store(tmp_path, seed % 3 == 0)

    def task(acknowledge):
        make_classifier(store).fit(X[:FIRST], Y[:FIRST])
        acknowledge("fitted")

    named = run_until_killed(task, *draw_moment(rng, 64, 0.1))
    try:
        ShardedUnlearningClassifier.open(store)
    except SkunlearnError:
        assert not named["fitted"]
        make_classifier(store).fit(X[:FIRST], Y[:FIRST])
    check(store, named)


def try_opening(tmp_path, seed):
    """Kill a process that opens a store which a process has left when it died."""
    rng = np.random.default_rng(seed)
    store = make_store(tmp_path, seed % 3 == 0)
    classifier = make_classifier(store).fit(X[:FIRST], Y[:FIRST])
    store.close()
    del classifier

    def change(acknowledge):
        act(ShardedUnlearningClassifier.open(store), acknowledge)

    def open_it(acknowledge):
        ShardedUnlearningClassifier.open(store)

    named = run_until_killed(change, int(rng.integers(1, 280)), None)
    for _ in range(3):
        run_until_killed(open_it, int(rng.integers(1, 40)), None)
    check(store, named)


TRIALS = {"changes": try_changes, "fit": try_fit, "opening": try_opening}
FEW = [("changes", seed) for seed in range(15)] + [("fit", 3), ("fit", 4)]
FEW += [("opening", seed) for seed in range(3)]


@pytest.mark.parametrize(("trial", "seed"), FEW)
def test_kills(trial, seed, tmp_path):
    """At some moments."""
    TRIALS[trial](tmp_path, seed)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(100, 350))
@pytest.mark.parametrize("trial", TRIALS)
def test_many_kills(trial, seed, tmp_path):
    """At many moments."""
    TRIALS[trial](tmp_path, seed)

"""The ledger, receipts, queues, restored backups, and what no file holds any more."""

import json
import os
import pickle
import shutil
import threading
import time

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from support import assert_same_classifier, make_data

from skunlearn import ShardedUnlearningClassifier
from skunlearn.checkpoints import DirectoryStore, verify_ledger, verify_receipt
from skunlearn.checkpoints._ledger import expand, shorten
from skunlearn.exceptions import (
    CheckpointCorruptedError,
    ForgetIndexError,
    NothingRetainedError,
    SkunlearnError,
)

X, Y = make_data(60)
GROUPS = np.array([f"user-{i // 2}" for i in range(60)])
OPEN = ShardedUnlearningClassifier.open


def fit(store, base=None, **params):
    """Return a classifier in a store."""
    params = {"n_shards": 2, "random_state": 0, **params}
    classifier = ShardedUnlearningClassifier(
        GaussianNB() if base is None else base, checkpoint_store=store, **params
    )
    return classifier.fit(X, Y, groups=GROUPS)


def read(path):
    """Return the entries of a ledger."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines(tmp_path):
    """A request, then its completion; positions and no ids or values."""
    classifier = fit(tmp_path / "store")
    classifier.forget([3, 4, 5, 9], groups="user-7", request_id="case 12")
    classifier.forget(3, retrain=False).retrain()
    entries = read(tmp_path / "store" / "ledger.jsonl")
    kinds = ["fit", "request", "completed", "request", "completed"]
    assert [entry["type"] for entry in entries] == kinds
    assert entries[1]["positions"] == [[3, 5], 9, [14, 15]]
    assert entries[1]["request_id"] == "case 12"
    assert entries[2]["request"] == 1
    assert entries[2]["record"]["n_forgotten"] == 6
    assert entries[2]["versions"]["numpy"] == np.__version__
    assert len({entry["models"] for entry in entries if "models" in entry}) == 3
    assert b"user-" not in (tmp_path / "store" / "ledger.jsonl").read_bytes()
    assert verify_ledger(tmp_path / "store")


@pytest.mark.parametrize(
    "positions", [[], [3], [3, 4], [0, 2, 4], [1, 2, 3, 7, 9, 10], list(range(99))]
)
def test_positions_are_shortened(positions):
    """And come back."""
    assert expand(shorten(np.array(positions, dtype=np.int64))).tolist() == positions


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Return a folder with a store that has a copy of its ledger, and that copy."""
    folder = tmp_path_factory.mktemp("stored")
    store = DirectoryStore(folder / "store", ledger_head=folder / "head")
    fit(store).forget([1, 2]).forget(5).forget(groups="user-20")
    store.close()
    return folder


@pytest.mark.parametrize("change", ["hole", "edit", "insertion", "truncation", "swap"])
@pytest.mark.parametrize("place", [1, 3, 6])
def test_changes_are_found(change, place, tmp_path, stored):
    """Wherever the ledger was changed, if its copy was not."""
    folder = tmp_path / "changed"
    shutil.copytree(stored, folder)
    store = DirectoryStore(folder / "store", ledger_head=folder / "head")
    assert verify_ledger(store)
    path = folder / "store" / "ledger.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    if change == "hole":
        del lines[place]
    elif change == "edit":
        lines[place] = lines[place].replace(b'"n_unknown":0', b'"n_unknown":1')
    elif change == "insertion":
        lines.insert(place, lines[place])
    elif change == "truncation":
        del lines[place:]
    else:
        lines[place], lines[place - 1] = lines[place - 1], lines[place]
    path.write_bytes(b"".join(lines))
    report = verify_ledger(store)
    assert not report
    assert report.problems
    assert str(report).startswith("wrong: ")
    own = verify_ledger(folder / "store")  # without the copy
    assert not own or (change == "truncation" and place == 6)


def test_model_digests_need_a_nonce(tmp_path):
    """The same state has another digest after each change."""
    classifier = fit(tmp_path / "store").forget(1).forget(1).forget(1)
    entries = read(tmp_path / "store" / "ledger.jsonl")
    digests = [entry["models"] for entry in entries if "models" in entry]
    assert len(set(digests)) == 4
    nonce = classifier._session.manifest["nonce"]
    others = (tmp_path / "store" / "ledger.jsonl").read_text()
    assert nonce not in others


# Receipts


def test_receipts(tmp_path):
    """The ledger confirms them, and says nothing of the ids."""
    store, receipt = tmp_path / "store", tmp_path / "receipt.json"
    classifier = fit(store)
    classifier.forget(groups=["user-7", "user-9"], receipt=receipt, request_id="r1")
    assert receipt.stat().st_size <= 2 * 2048
    assert receipt.stat().st_mode & 0o777 == 0o600
    content = json.loads(receipt.read_text())
    assert [each["group"] for each in content["groups"]] == ["user-7", "user-9"]
    report = verify_receipt(receipt, store)
    assert report, str(report)
    assert verify_receipt(str(receipt), DirectoryStore(store))
    for path in store.iterdir():
        data = path.read_bytes()
        assert b"user-7" not in data
        assert content["groups"][0]["nonce"].encode() not in data
    with pytest.raises(FileExistsError, match="exists already"):
        classifier.forget(groups="user-3", receipt=receipt)
    with pytest.raises(FileNotFoundError, match="no folder"):
        classifier.forget(groups="user-3", receipt=tmp_path / "no" / "receipt")
    assert len(classifier.forgotten_indices_) == 4
    classifier.forget(groups="user-3", receipt=tmp_path / "second.json")
    assert (tmp_path / "second.json").stat().st_size <= 2048


@pytest.mark.parametrize("part", ["group", "nonce", "commitment", "line", "store"])
def test_forged_receipts(part, tmp_path):
    """Whatever is changed, the ledger does not confirm it."""
    store, receipt = tmp_path / "store", tmp_path / "receipt.json"
    fit(store).forget(groups="user-7", receipt=receipt)
    content = json.loads(receipt.read_text())
    if part in ("line", "store"):
        content[part] = 0 if part == "line" else "another"
    else:
        content["groups"][0][part] = "user-8"
    receipt.write_text(json.dumps(content))
    assert not verify_receipt(receipt, store)
    receipt.write_text("[]")
    with pytest.raises(ValueError, match="is not a receipt"):
        verify_receipt(receipt, store)


def test_receipts_of_requests_that_fail(tmp_path):
    """There are none."""
    classifier = fit(tmp_path / "store")
    for call in (
        lambda path: classifier.forget(groups="nobody", receipt=path),
        lambda path: classifier.forget(range(60), receipt=path),
    ):
        with pytest.raises((ForgetIndexError, NothingRetainedError)):
            call(tmp_path / "receipt")
        assert not (tmp_path / "receipt").exists()


# Backups that are restored


@pytest.mark.parametrize("reopened", [False, True])
def test_a_restored_backup(reopened, tmp_path):
    """It is refused, and can forget again what it lacks."""
    store = DirectoryStore(tmp_path / "store", ledger_head=tmp_path / "head")
    fit(store).forget([1, 2])
    store.close()
    shutil.copytree(store.path, tmp_path / "backup")
    classifier = OPEN(store).forget(7, request_id="case 7").forget(groups="user-20")
    classifier.enqueue([50])
    expected = classifier.forgotten_indices_.tolist()
    del classifier
    store.close()
    shutil.rmtree(store.path)
    shutil.copytree(tmp_path / "backup", store.path)
    for _ in range(2):
        with pytest.raises(SkunlearnError, match=r"restored backup.*case 7"):
            OPEN(store)
    assert not verify_ledger(store)
    again = OPEN(store, reforget=True)
    assert again.forgotten_indices_.tolist() == expected
    assert verify_ledger(store)
    if reopened:
        del again
        store.close()
        again = OPEN(store)
    again.process_queue()
    assert_same_classifier(again, fit(None).forget([*expected, 50]), X)
    assert verify_ledger(store)


def test_a_restored_state_beside_its_ledger(tmp_path):
    """Without a copy of the ledger, the ledger itself tells."""
    classifier = fit(tmp_path / "store").forget([1, 2])
    shutil.copytree(tmp_path / "store", tmp_path / "backup")
    classifier.forget(7)
    del classifier
    newer = (tmp_path / "store" / "ledger.jsonl").read_bytes()
    (tmp_path / "backup" / "ledger.jsonl").write_bytes(newer)
    with pytest.raises(SkunlearnError, match="older than its ledger"):
        OPEN(tmp_path / "backup")
    assert OPEN(tmp_path / "backup", reforget=True).forgotten_indices_[-1] == 7


def test_backups_that_cannot_forget_again(tmp_path):
    """Those that are encrypted, and those that lack rows that came later."""
    stores = [
        DirectoryStore(tmp_path / "a", ledger_head=tmp_path / "head"),
        DirectoryStore(
            tmp_path / "b", encrypt=True, key_file=tmp_path / "k", ledger_head="h"
        ),
    ]
    stores[1].ledger_head = tmp_path / "head-b"
    for store, change, message in (
        (stores[0], lambda c: c.partial_fit(X, Y, groups=GROUPS), "a partial_fit"),
        (stores[1], lambda c: c.forget(1), "are destroyed"),
    ):
        classifier = fit(store)
        shutil.copytree(store.path, tmp_path / "backup")
        change(classifier)
        del classifier
        store.close()
        shutil.rmtree(store.path)
        shutil.move(tmp_path / "backup", store.path)
        with pytest.raises(SkunlearnError, match="restored backup"):
            OPEN(store)
        with pytest.raises(SkunlearnError, match=message):
            OPEN(store, reforget=True)


def test_the_copy_of_another_ledger(tmp_path, stored):
    """It is refused, at fit and at opening."""
    head = tmp_path / "head"
    shutil.copy(stored / "head", head)
    with pytest.raises(SkunlearnError, match="another store's ledger"):
        fit(DirectoryStore(tmp_path / "store", ledger_head=head))
    fit(tmp_path / "store")
    with pytest.raises(SkunlearnError, match="is not the copy"):
        OPEN(DirectoryStore(tmp_path / "store", ledger_head=head))
    new = DirectoryStore(tmp_path / "store", ledger_head=tmp_path / "new")
    OPEN(new).forget(1)  # a copy that begins later gets all lines
    assert verify_ledger(new)


# Queues


def test_queues(tmp_path):
    """Requests wait, survive, and are forgotten in one batch."""
    classifier = fit(tmp_path / "store")
    classifier.enqueue([1, 2]).enqueue(groups="user-7").enqueue(2, unknown="ignore")
    classifier.enqueue([3, 99], unknown="ignore")
    with pytest.raises(ForgetIndexError):
        classifier.enqueue(99)
    assert classifier.forgotten_indices_.tolist() == []
    del classifier
    classifier = OPEN(tmp_path / "store")
    record = classifier.process_queue().forget_records_[-1]
    assert (record.n_requested, record.n_forgotten, record.n_unknown) == (5, 5, 1)
    assert_same_classifier(classifier, fit(None).forget([1, 2, 3, 14, 15]), X)
    n_records = len(classifier.forget_records_)
    assert len(classifier.process_queue().forget_records_) == n_records
    classifier.enqueue(1).process_queue()
    assert classifier.forget_records_[-1].n_already_forgotten == 1


def test_a_queue_that_cannot_be_processed(tmp_path):
    """It stays as it is."""
    classifier = fit(tmp_path / "store").enqueue(range(60))
    with pytest.raises(NothingRetainedError):
        classifier.process_queue()
    assert len(classifier._session.find_queue()) == 1
    assert classifier.forget(1).forgotten_indices_.tolist() == [1]


def test_threads_share_an_fsync(tmp_path, monkeypatch):
    """Requests that come while one is written are written together."""
    classifier = fit(tmp_path / "store")
    calls, original = [], os.fsync

    def slow(descriptor):
        calls.append(descriptor)
        time.sleep(0.02)
        original(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    threads = [
        threading.Thread(target=classifier.enqueue, args=(i,)) for i in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) < 20
    assert len(classifier._session.find_queue()) == 40
    assert verify_ledger(tmp_path / "store")


# What no file holds


def find_traces(folder, rows):
    """Return the files that hold a value of some rows, or the id of a group."""
    wanted = [value.tobytes() for row in rows for value in row] + [b"user-"]
    return [
        path.name
        for path in folder.rglob("*")
        if path.is_file() and any(each in path.read_bytes() for each in wanted)
    ]


@pytest.mark.parametrize("retrain", [True, False])
def test_no_file_holds_what_is_forgotten(retrain, tmp_path):
    """Neither a row nor a model that keeps rows, nor an id."""
    classifier = fit(tmp_path / "store", KNeighborsClassifier())
    assert find_traces(tmp_path, X[[14, 15]])
    classifier.forget(groups="user-7", retrain=retrain)
    assert find_traces(tmp_path, X[[14, 15]]) == []
    classifier.enqueue(groups="user-8").process_queue()
    assert find_traces(tmp_path, X[[16, 17]]) == []


@pytest.mark.parametrize(
    "n_forgets", [10, pytest.param(100, marks=pytest.mark.thorough)]
)
def test_snapshots_of_an_encrypted_store(n_forgets, tmp_path):
    """With the keys of today, no snapshot of any earlier day says who was forgotten."""
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(300, 3)), rng.integers(0, 2, 300)
    store = DirectoryStore(tmp_path / "s", encrypt=True, key_file=tmp_path / "keys")
    classifier = ShardedUnlearningClassifier(
        KNeighborsClassifier(), n_shards=4, random_state=0, checkpoint_store=store
    ).fit(rows, labels)
    for i in range(n_forgets):
        shutil.copytree(store.path, tmp_path / "snapshots" / str(i))
        classifier.forget(i)
    forgotten = rows[:n_forgets]
    assert find_traces(tmp_path / "snapshots", forgotten) == []
    keys = json.loads((tmp_path / "keys").read_text())["keys"]
    assert set(keys) == classifier._session.list_names()
    for i in range(n_forgets):
        names = set(os.listdir(tmp_path / "snapshots" / str(i)))
        readable = names & set(keys)
        classifier._session.folder.path = tmp_path / "snapshots" / str(i)
        for blob in find_blobs(tmp_path / "snapshots" / str(i)):
            if blob.file in readable:
                data = pickle.dumps(classifier._session.blobs.read(blob))
                assert not any(row.tobytes() in data for row in forgotten[i:])
            else:
                with pytest.raises(CheckpointCorruptedError, match="is not in the key"):
                    classifier._session.blobs.read(blob)


def find_blobs(folder):
    """Return the files that a manifest names."""
    from skunlearn.checkpoints._blobs import Blob, iterate_files

    manifest = json.loads((folder / "manifest.json").read_bytes())["manifest"]
    return list(map(Blob.from_json, iterate_files(manifest["content"])))


def test_lost_keys(tmp_path):
    """Without the key file, or with another one, a store is not opened."""
    store = DirectoryStore(tmp_path / "s", encrypt=True, key_file=tmp_path / "keys")
    fit(store)
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600
    keys = (tmp_path / "keys").read_bytes()
    for content, message in (
        (None, "there is no key file"),
        (keys[:-20], "is damaged"),
        (keys.replace(b'"store": "', b'"store": "x'), "that of another store"),
    ):
        (tmp_path / "keys").unlink(missing_ok=True)
        if content is not None:
            (tmp_path / "keys").write_bytes(content)
        with pytest.raises(SkunlearnError, match=message):
            OPEN(store)
    (tmp_path / "keys").write_bytes(keys)
    with pytest.raises(SkunlearnError, match="is encrypted"):
        OPEN(tmp_path / "s")
    with pytest.raises(SkunlearnError, match="belongs to another store"):
        fit(DirectoryStore(tmp_path / "t", encrypt=True, key_file=tmp_path / "keys"))
    OPEN(store).forget(1)

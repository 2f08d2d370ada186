"""Disks that fail, files that are damaged: clear errors, and nothing half done."""

import gc
import json
import os
import resource
import shutil
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB
from support import BASES, assert_same_classifier, make_case, make_data, thin

from skunlearn import ShardedUnlearningClassifier
from skunlearn._pickling import with_defaults
from skunlearn.checkpoints import DirectoryStore, audit, verify_ledger
from skunlearn.checkpoints._files import do_all
from skunlearn.exceptions import (
    CheckpointCorruptedError,
    NothingRetainedError,
    SkunlearnError,
)
from skunlearn.sharding._storage import _read_record

X, Y = make_data(60)


def fit(store, **params):
    """Return a classifier in a store."""
    params = {"n_shards": 2, "n_slices": 2, "random_state": 0, **params}
    return ShardedUnlearningClassifier(
        GaussianNB(), checkpoint_store=store, **params
    ).fit(X, Y)


def list_content(path):
    """Return the names and the bytes of all files but the ledger, which grows."""
    names = sorted(set(os.listdir(path)) - {"ledger.jsonl"})
    return {name: (path / name).read_bytes() for name in names}


def assert_unchanged(classifier, folder, before):
    """Assert that a failed forget has changed nothing, and can be made again."""
    assert list_content(folder) == before
    assert classifier.forgotten_indices_.tolist() == []
    assert_same_classifier(classifier, fit(None), X)


@pytest.fixture
def full_disk():
    """Return a function that lets no file grow beyond some bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [10, 600, 1500, 4000])
def test_no_space(size, tmp_path, full_disk):
    """Wherever space runs out, the classifier and the store stay as they were."""
    classifier = fit(tmp_path / "store")
    before = list_content(tmp_path / "store")
    full_disk(size)
    with pytest.raises(OSError, match="File too large") as caught:
        classifier.forget([1, 2])
    full_disk(resource.RLIM_INFINITY)
    *others, note = caught.value.__notes__
    assert "forget changed nothing" in note
    if others:  # not even this fitted into the ledger
        assert "finished when the store is opened again" in others[0]
        del classifier, caught
        gc.collect()
        opened = ShardedUnlearningClassifier.open(tmp_path / "store")
        assert opened.forgotten_indices_.tolist() == [1, 2]
        return
    assert_unchanged(classifier, tmp_path / "store", before)
    classifier.forget([1, 2])
    assert_same_classifier(classifier, fit(None).forget([1, 2]), X)
    assert verify_ledger(tmp_path / "store")


def test_no_space_for_a_fit(tmp_path, full_disk):
    """The directory can be used again."""
    full_disk(1000)
    with pytest.raises(OSError, match="File too large"):
        fit(tmp_path / "store")
    full_disk(resource.RLIM_INFINITY)
    assert fit(tmp_path / "store").forget(1).forgotten_indices_.tolist() == [1]


@pytest.mark.thorough
@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize("call", ["partial_fit", "process_queue", "retrain"])
def test_no_space_for_other_changes(call, is_encrypted, tmp_path, full_disk):
    """Wherever space runs out, nothing has changed, or opening finishes it."""
    is_retrained = call == "retrain"
    for size in range(50, 6000, 700):
        folder = tmp_path / str(size)
        folder.mkdir()
        files = {"ledger_head": folder / "head"}
        if is_encrypted:
            files |= {"encrypt": True, "key_file": folder / "keys"}
        store = DirectoryStore(folder / "store", **files)
        classifier, expected = fit(store), fit(None)
        for each in (classifier, expected):
            each.forget(1, retrain=not is_retrained)
        classifier.enqueue([2, 3])
        arguments = (X[:9], Y[:9]) if call == "partial_fit" else ()
        full_disk(size)
        try:
            getattr(classifier, call)(*arguments)
        except OSError:
            pass
        finally:
            full_disk(resource.RLIM_INFINITY)
        store.close()
        opened = ShardedUnlearningClassifier.open(store)
        if len(opened.retained_indices_) > len(X):
            expected.partial_fit(X[:9], Y[:9])
        opened.process_queue().retrain()
        assert_same_classifier(opened, expected.forget([2, 3]).retrain(), X)
        assert verify_ledger(store)


@pytest.fixture
def folder_of_a_user(tmp_path):
    """Return a folder of a user who may not do everything, who runs the test."""
    if os.geteuid() != 0:
        yield tmp_path
        return
    nobody = 65534
    folder = Path(tempfile.mkdtemp())
    os.chown(folder, nobody, nobody)
    os.seteuid(nobody)
    try:
        yield folder
    finally:
        os.seteuid(0)
        shutil.rmtree(folder)


def test_a_directory_that_cannot_be_written(folder_of_a_user):
    """Predictions work; changes are errors, and change nothing."""
    path = folder_of_a_user / "store"
    classifier = fit(path)
    before = list_content(path)
    path.chmod(0o500)
    for change, arguments in (
        (classifier.forget, [[1, 2]]),
        (classifier.partial_fit, [X, Y]),
    ):
        with pytest.raises(PermissionError):
            change(*arguments)
    assert classifier.predict(X).shape == (60,)
    path.chmod(0o700)
    assert list_content(path) == before
    assert len(classifier.retained_indices_) == 60
    del classifier, change
    gc.collect()
    opened = ShardedUnlearningClassifier.open(path)
    assert verify_ledger(path)
    expected = fit(None).forget(opened.forgotten_indices_).forget([1, 2])
    assert_same_classifier(opened.forget([1, 2]), expected, X)


def fail_at(monkeypatch, name, k):
    """Let the k-th call of a function of the system fail, and all after it."""
    original, left = getattr(os, name), [k]

    def call(*arguments):
        left[0] -= 1
        if left[0] <= 0:
            raise OSError(5, "Input/output error")
        return original(*arguments)

    monkeypatch.setattr(os, name, call)


@pytest.mark.parametrize("k", thin([*range(1, 4), *range(9, 16)], 2))
def test_fsync_fails(k, tmp_path, monkeypatch):
    """Nobody knows what is on disk: the handle takes nothing more, a new one does."""
    store = DirectoryStore(tmp_path / "store", ledger_head=tmp_path / "head")
    classifier = fit(store)
    with monkeypatch.context() as patch:
        fail_at(patch, "fsync", k)
        with pytest.raises(OSError, match="Input/output error"):
            classifier.forget([1, 2])
    with pytest.raises(
        SkunlearnError, match="takes no changes since a write has failed"
    ):
        classifier.forget([1, 2])
    assert classifier.predict(X).shape == (60,)
    is_acknowledged = k > 2  # one for the ledger, one for its copy
    store.close()
    opened = ShardedUnlearningClassifier.open(store)
    assert opened.forgotten_indices_.tolist() == ([1, 2] if is_acknowledged else [])
    opened.forget([1, 2])
    assert_same_classifier(opened, fit(None).forget([1, 2]), X)
    assert verify_ledger(store)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_rename_fails(k, tmp_path, monkeypatch):
    """Nothing has changed, on disk or in memory."""
    classifier = fit(tmp_path / "store")
    before = list_content(tmp_path / "store")
    with monkeypatch.context() as patch:
        fail_at(patch, "replace", k)
        with pytest.raises(OSError, match="Input/output error"):
            classifier.forget([1, 2])
    assert_unchanged(classifier, tmp_path / "store", before)
    assert_same_classifier(classifier.forget(1), fit(None).forget(1), X)


def test_training_fails(tmp_path):
    """The ledger says that the request has failed, and opening does not repeat it."""
    classifier = fit(tmp_path / "store")
    with pytest.raises(NothingRetainedError):
        classifier.forget(range(60))
    before = list_content(tmp_path / "store")
    with pytest.raises(ZeroDivisionError):
        fail_training(classifier)
    assert_unchanged(classifier, tmp_path / "store", before)
    lines = [line.entry for line in classifier._session.ledger.lines]
    assert lines[-1] | {"type": "failed", "error": "ZeroDivisionError"} == lines[-1]
    assert sum(line["type"] == "request" for line in lines) == 1
    del classifier
    opened = ShardedUnlearningClassifier.open(tmp_path / "store")
    assert opened.forgotten_indices_.tolist() == []


def fail_training(classifier):
    """Let training fail in the middle of a request."""
    original = GaussianNB.partial_fit
    GaussianNB.partial_fit = lambda *arguments, **options: 1 // 0
    try:
        classifier.forget(1)
    finally:
        GaussianNB.partial_fit = original


def damage(path, how):
    """Damage a file."""
    data = bytearray(path.read_bytes())
    if how == "flipped":
        data[len(data) // 2] ^= 64
        path.write_bytes(data)
    elif how == "truncated":
        path.write_bytes(data[: len(data) // 3])
    else:
        path.unlink()


def use(path):
    """Open a store, and use all of its files."""
    store = DirectoryStore(path)
    classifier = ShardedUnlearningClassifier.open(store)
    try:
        classifier.predict(X)
        for shard in classifier._state.shards:
            classifier._state.rows.take(shard.slots)
            assert all(state.estimator is not None for state in shard.states)
    finally:
        store.close()


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Return the folder of a store that has forgotten."""
    folder = tmp_path_factory.mktemp("stored") / "store"
    fit(folder).forget([1, 2])
    use(folder)
    return folder


@pytest.mark.parametrize("how", ["flipped", "truncated", "missing"])
@pytest.mark.parametrize(
    "kind",
    [
        "state",
        *thin(["settings", "rows", "shards", "ledger.jsonl", "manifest.json"], 2),
    ],
)
def test_damaged_files(kind, how, tmp_path, stored):
    """An error names the file, and says what to do."""
    folder = tmp_path / "store"
    shutil.copytree(stored, folder)
    content = json.loads((folder / "manifest.json").read_bytes())["manifest"]["content"]
    for name in find_names(content.get(kind, kind)):
        kept = (folder / name).read_bytes()
        damage(folder / name, how)
        error = SkunlearnError if how == "missing" else CheckpointCorruptedError
        with pytest.raises(error) as caught:
            use(folder)
        is_named = kind == "manifest.json" and how == "missing"
        assert name in str(caught.value) or is_named
        assert "estore" in str(caught.value) or is_named
        (folder / name).write_bytes(kept)
    use(folder)


def find_names(value):
    """Return the names of files somewhere in the content of a manifest."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict) and "file" in value:
        return [value["file"]]
    parts = value.values() if isinstance(value, dict) else value
    nested = [p for p in parts if isinstance(p, (dict, list))]
    return sorted({name for part in nested for name in find_names(part)})


@pytest.mark.parametrize("name", ["../stolen", "/etc/passwd", "x" * 32 + ".npy"])
def test_manifests_that_lead_elsewhere(name, tmp_path, stored):
    """Only files of the store are read."""
    from skunlearn.checkpoints._manifest import encode_manifest

    folder = tmp_path / "store"
    shutil.copytree(stored, folder)
    manifest = json.loads((folder / "manifest.json").read_bytes())["manifest"]
    manifest["content"]["state"]["file"] = name
    (folder / "manifest.json").write_bytes(encode_manifest(manifest))
    with pytest.raises(CheckpointCorruptedError, match="that no store has written"):
        ShardedUnlearningClassifier.open(folder)


def test_later_protocols(tmp_path, stored):
    """A store of a version that does not exist yet is refused."""
    from skunlearn.checkpoints._manifest import encode_manifest

    folder = tmp_path / "store"
    shutil.copytree(stored, folder)
    manifest = json.loads((folder / "manifest.json").read_bytes())["manifest"]
    (folder / "manifest.json").write_bytes(encode_manifest(manifest | {"protocol": 99}))
    with pytest.raises(SkunlearnError, match="made by a later version"):
        ShardedUnlearningClassifier.open(folder)


def test_arrays_hold_no_code(tmp_path, stored):
    """A pickle in the place of an array is not loaded, even if the digest fits."""
    import hashlib

    from skunlearn.checkpoints._manifest import encode_manifest

    folder = tmp_path / "store"
    shutil.copytree(stored, folder)
    manifest = json.loads((folder / "manifest.json").read_bytes())["manifest"]
    for each in manifest["content"]["rows"]:
        path = folder / each["features"]["file"]
        with path.open("wb") as file:
            np.save(file, np.array([print], dtype=object), allow_pickle=True)
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        each["features"] |= {"sha256": digest, "size": len(data)}
    (folder / "manifest.json").write_bytes(encode_manifest(manifest))
    with pytest.raises(ValueError, match="allow_pickle"):
        ShardedUnlearningClassifier.open(folder).forget(5)


def test_audits(tmp_path, stored):
    """A replay gives what is stored; a model that was changed is found."""
    from skunlearn.checkpoints._manifest import encode_manifest

    report = audit(stored)
    assert report
    assert "copies" in report.not_covered[-1]
    assert audit(stored, shards=1)
    with pytest.raises(IndexError, match="among 0 to 1"):
        audit(stored, shards=[0, 2])
    folder = tmp_path / "store"
    shutil.copytree(stored, folder)
    manifest = json.loads((folder / "manifest.json").read_bytes())["manifest"]
    shards = manifest["content"]["shards"]
    shards[0]["slices"][0] = shards[1]["slices"][0]  # the model of another shard
    (folder / "manifest.json").write_bytes(encode_manifest(manifest))
    report = audit(folder)
    assert not report
    assert "shard 0 is not what training gives" in str(report)
    assert "not those of the last change" in str(report)
    assert audit(folder, shards=1).checked[-1].startswith("shard 1 is what")


@pytest.mark.parametrize(
    "base",
    [
        "forest",
        *(pytest.param(b, marks=pytest.mark.thorough) for b in BASES if b != "forest"),
    ],
)
def test_audits_of_all_bases(base, tmp_path):
    """After forgetting, in the process that has trained and from the files alone."""
    store = DirectoryStore(tmp_path / "store")
    classifier = make_case(base, "default", n_shards=2, checkpoint_store=store)
    classifier.fit(X, Y).forget([1, 2]).predict(X)
    assert audit(store), str(audit(store))


def test_audits_of_deferred_training(tmp_path):
    """What is not trained yet is not compared."""
    fit(tmp_path / "store").forget([1, 2], retrain=False)
    assert audit(tmp_path / "store")


def make_kept(folder):
    """Return the classifier whose store is kept among the tests, made again."""
    rows, labels = np.arange(60.0).reshape(30, 2) % 7, np.arange(30) % 2
    groups = [f"g{i // 2}" for i in range(30)]
    classifier = ShardedUnlearningClassifier(
        GaussianNB(), n_shards=2, n_slices=2, random_state=0, checkpoint_store=folder
    ).fit(rows, labels, groups=groups)
    classifier.forget(groups="g3", request_id="the first")
    return classifier.forget(9, retrain=False)


@pytest.mark.filterwarnings("ignore:Trying to unpickle estimator")
def test_protocol_1(tmp_path):
    """A store that an earlier version has made opens, and forgets."""
    shutil.copytree(Path(__file__).parent / "protocol_1", tmp_path / "store")
    opened = ShardedUnlearningClassifier.open(tmp_path / "store")
    fresh = make_kept(None)
    assert opened.forgotten_indices_.tolist() == [6, 7, 9]
    assert [r.request_id for r in opened.forget_records_] == ["the first", None]
    rows = np.arange(60.0).reshape(30, 2) % 7
    for each in (opened, fresh):
        each.forget(groups="g4").retrain().partial_fit(
            rows, np.arange(30) % 2, groups=list("abcde" * 6)
        )
    np.testing.assert_array_equal(opened.predict_proba(rows), fresh.predict_proba(rows))
    assert verify_ledger(tmp_path / "store")


def test_fields_that_came_later(tmp_path):
    """A pickle that lacks some gets their defaults; a ledger may have others."""
    record = fit(None).forget(1).forget_records_[0]
    values = vars(record) | {"shards": list(record.shards), "of_another_version": 1}
    assert _read_record(values) == record
    state = fit(None)._state
    shard = state.shards[0]
    del vars(shard)["pending"]
    assert with_defaults(shard).pending.size == 0
    assert with_defaults(shard) is shard


def test_no_write_goes_on_after_an_interrupt(monkeypatch):
    """Not even in the thread whose start was interrupted, which no pool waits for."""
    start, begun, ended = threading.Thread.start, [], []

    def interrupted(thread):
        start(thread)
        if begun:
            raise KeyboardInterrupt
        time.sleep(0.05)

    def write():
        begun.append(1)
        time.sleep(0.1)
        ended.append(1)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        do_all([write] * 8)
    n_begun, n_ended = len(begun), len(ended)
    time.sleep(0.3)
    assert len(begun) == len(ended) == n_begun == n_ended

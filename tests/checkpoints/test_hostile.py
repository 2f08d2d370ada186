"""Files in wrong places, forged receipts, and what processes leave behind."""

import json
import os
import pickle
import shutil
import signal

import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from support import make_data

from skunlearn import ShardedUnlearningClassifier
from skunlearn.checkpoints import DirectoryStore, audit, verify_ledger, verify_receipt
from skunlearn.exceptions import CheckpointCorruptedError, SkunlearnError

X, Y = make_data(60)
GROUPS = np.array([f"user-{i}" for i in range(60)])
OPEN = ShardedUnlearningClassifier.open


def fit(store, base=None):
    """Return a classifier in a store."""
    return ShardedUnlearningClassifier(
        GaussianNB() if base is None else base,
        n_shards=2,
        random_state=0,
        checkpoint_store=store,
    ).fit(X, Y, groups=GROUPS)


def find_traces(folder, row):
    """Return the files that hold a row."""
    return [p.name for p in folder.iterdir() if X[row].tobytes() in p.read_bytes()]


# Places


@pytest.mark.parametrize("name", ["key_file", "ledger_head"])
def test_files_that_are_in_the_store_by_another_way(name, tmp_path):
    """A link to the directory is the directory."""
    (tmp_path / "link").symlink_to(tmp_path / "store")
    with pytest.raises(ValueError, match="must be outside of the store"):
        DirectoryStore(
            tmp_path / "store",
            **{"encrypt": name == "key_file", name: tmp_path / "link" / "file"},
        )


def test_one_file_for_two():
    """The copy of the ledger would be written over the keys."""
    with pytest.raises(ValueError, match="must be two files"):
        DirectoryStore("store", encrypt=True, key_file="file", ledger_head="file")


def test_no_path():
    """It would be the folder of the process."""
    with pytest.raises(ValueError, match="got an empty one"):
        fit("")


@pytest.mark.parametrize("name", ["key_file", "ledger_head"])
def test_files_in_folders_that_are_missing(name, tmp_path):
    """They are found out before anything is trained or written."""
    path, is_key = tmp_path / "store", name == "key_file"
    for place, error in ((tmp_path / "no" / "f", FileNotFoundError),) + (
        (tmp_path, IsADirectoryError),
    ):
        store = DirectoryStore(path, **{"encrypt": is_key, name: place})
        with pytest.raises(error, match=name):
            fit(store)
        assert not path.exists()


@pytest.mark.parametrize("content", [b"my notes", b"one\ntwo\n", b"[]\n"])
def test_a_head_that_is_something_else(content, tmp_path):
    """It is left alone, at fit and at opening."""
    store = DirectoryStore(tmp_path / "store", ledger_head=tmp_path / "notes")
    (tmp_path / "notes").write_bytes(content)
    with pytest.raises(SkunlearnError, match="holds something else"):
        fit(store)
    assert (tmp_path / "notes").read_bytes() == content


def test_a_head_of_a_fit_that_has_died(tmp_path):
    """Wherever in its first line that was, the next fit begins anew."""
    store = DirectoryStore(tmp_path / "store", ledger_head=tmp_path / "head")
    fit(store)
    line = (tmp_path / "head").read_bytes()
    for size in (0, 3, 40, 200, len(line)):
        (tmp_path / "store" / "manifest.json").unlink()
        (tmp_path / "head").write_bytes(line[:size])
        store.close()
        fit(store)
        assert verify_ledger(store)


@pytest.mark.parametrize("reforget", [False, True])
def test_a_head_with_a_damaged_end(reforget, tmp_path):
    """It is named, and does not spoil the ledger of the store."""
    store = DirectoryStore(tmp_path / "store", ledger_head=tmp_path / "head")
    fit(store).forget(1)
    with (tmp_path / "head").open("ab") as file:
        file.write(b'{"n":3}\n')
    with pytest.raises(CheckpointCorruptedError, match=r"copy of the ledger.*line 3"):
        OPEN(store, reforget=reforget)
    assert OPEN(tmp_path / "store").forgotten_indices_.tolist() == [1]


@pytest.mark.parametrize("call", ["forget", "enqueue"])
@pytest.mark.parametrize("is_moved", [False, True])
def test_a_backup_that_is_restored_under_a_writer(is_moved, call, tmp_path):
    """The writer notices, whether the directory or its files are other ones."""
    store = DirectoryStore(tmp_path / "store", ledger_head=tmp_path / "head")
    classifier = fit(store)
    shutil.copytree(store.path, tmp_path / "backup")
    classifier.forget(1)
    if is_moved:
        store.path.rename(tmp_path / "old")
        (tmp_path / "backup").rename(store.path)
    else:
        shutil.copytree(tmp_path / "backup", store.path, dirs_exist_ok=True)
    with pytest.raises(SkunlearnError, match="restored backup"):
        getattr(classifier, call)(2)
    del classifier
    store.close()
    opened = OPEN(store, reforget=True)
    assert opened.forgotten_indices_.tolist() == [1]
    assert verify_ledger(store)


@pytest.mark.parametrize("has_head", [True, False])
def test_a_backup_that_is_restored_under_a_reader(has_head, tmp_path):
    """Nor does one who only reads answer from a state that knows more."""
    head = {"ledger_head": tmp_path / "head"} if has_head else {}
    store = DirectoryStore(tmp_path / "store", **head)
    classifier = fit(store)
    shutil.copytree(store.path, tmp_path / "backup")
    pickled = pickle.dumps(classifier.forget(1, request_id="case 1"))
    reader = pickle.loads(pickled)
    del classifier
    store.close()
    if not has_head:  # then the ledger itself can tell, if it was not restored
        shutil.copy(store.path / "ledger.jsonl", tmp_path / "backup")
    shutil.copytree(tmp_path / "backup", store.path, dirs_exist_ok=True)
    for read in (
        lambda: reader.predict(X),
        lambda: pickle.loads(pickled),
        lambda: audit(store),
    ):
        with pytest.raises(SkunlearnError, match=r"restored backup.*case 1"):
            read()
    OPEN(store, reforget=True)
    assert reader.forgotten_indices_.tolist() == [1]


def test_a_directory_that_is_gone(tmp_path):
    """An error says so, and no other directory is made in its place."""
    classifier = fit(tmp_path / "store")
    (tmp_path / "store").rename(tmp_path / "other")
    for call in (classifier.forget, classifier.enqueue):
        with pytest.raises(SkunlearnError, match="there is no store"):
            call(2)
    assert len(OPEN(tmp_path / "other").forgotten_indices_) == 0
    assert not (tmp_path / "store").exists()


# What is in no file


@pytest.mark.parametrize("is_linked", [False, True])
def test_receipts_in_the_store(is_linked, tmp_path):
    """They hold ids in the clear, so they are refused, and nothing is forgotten."""
    classifier = fit(tmp_path / "store")
    (tmp_path / "link").symlink_to(tmp_path / "store")
    folder = tmp_path / ("link" if is_linked else "store")
    with pytest.raises(ValueError, match="a receipt holds ids in the clear"):
        classifier.forget(groups="user-3", receipt=folder / "receipt")
    assert len(classifier.forgotten_indices_) == 0
    assert len(classifier._session.ledger.lines) == 1


def test_a_base_that_was_fitted_before(tmp_path):
    """What it has learned elsewhere does not come into the store."""
    classifier = fit(tmp_path / "store", KNeighborsClassifier().fit(X, Y)).forget(3)
    assert find_traces(tmp_path / "store", 3) == []
    del classifier
    assert find_traces(tmp_path / "store", 3) == []
    opened = OPEN(tmp_path / "store")
    assert not hasattr(opened.estimator, "classes_")


@pytest.mark.filterwarnings("ignore:.*use of fork")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")
def test_keys_that_were_being_saved(tmp_path):
    """A process that dies leaves no copy of keys that are then destroyed."""
    store = DirectoryStore(tmp_path / "s", encrypt=True, key_file=tmp_path / "keys")
    other = tmp_path / ".new-keys-2-0123456789abcdef"  # not that of this store
    other.write_text("other")
    fit(store)
    child = os.fork()
    if child == 0:
        try:
            classifier = OPEN(store)
            os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
            classifier._session.blobs.keys.save()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert len(list(tmp_path.glob(".new-keys-*"))) == 2
    OPEN(store).forget(3)
    assert list(tmp_path.glob(".new-keys-*")) == [other]


def test_files_that_cannot_be_removed(tmp_path, monkeypatch):
    """The error says that they are there still, until the store is opened again."""
    store = DirectoryStore(tmp_path / "store")
    classifier = fit(store, KNeighborsClassifier())

    def fail(*arguments, **options):
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", fail)
        with pytest.raises(OSError, match="Read-only") as caught:
            classifier.forget(3)
    assert caught.value.__notes__[0].startswith("The change is made")
    assert classifier.forgotten_indices_.tolist() == [3]
    assert find_traces(tmp_path / "store", 3)
    with pytest.raises(SkunlearnError, match="takes no changes"):
        classifier.forget(4)
    store.close()
    assert classifier.forget(4).forgotten_indices_.tolist() == [3, 4]
    assert find_traces(tmp_path / "store", 3) == []
    assert verify_ledger(store)


# Reports


def forge(receipt, **changes):
    """Change a receipt."""
    content = json.loads(receipt.read_text()) | changes
    receipt.write_text(json.dumps(content))


def test_receipts_that_were_forged(tmp_path):
    """They name lines that are no requests, or lack what a receipt has."""
    store, receipt = tmp_path / "store", tmp_path / "receipt"
    classifier = fit(store).forget(groups="user-3", receipt=receipt)
    lines = classifier._session.ledger.lines
    groups = json.loads(receipt.read_text())["groups"]
    for number in (0, 2, -1, -2, -3, 99):
        line = lines[number] if number < 3 else lines[0]
        forge(receipt, line=number, line_sha256=line.sha256)
        report = verify_receipt(receipt, store)
        assert not report
        assert "is not that request" in str(report)
    without = [{k: v for k, v in groups[0].items() if k != "nonce"}]
    for other in (without, "abc", [1], None):
        forge(receipt, groups=other)
        with pytest.raises(ValueError, match="is not a receipt"):
            verify_receipt(receipt, store)


def test_what_an_audit_does_not_cover(tmp_path):
    """It is no finding: neither right nor wrong."""
    fit(tmp_path / "store")
    report = audit(tmp_path / "store", shards=np.array([1]))
    lines = str(report).splitlines()
    kinds = [line.partition(":")[0] for line in lines]
    assert kinds == ["right"] * 5 + ["not covered"] * 3
    assert "hyper-parameters" in report.not_covered[1]
    assert verify_ledger(tmp_path / "store").not_covered == ()
    for shards in ("a", [1.0], True):
        with pytest.raises(TypeError, match="must be integers"):
            audit(tmp_path / "store", shards=shards)

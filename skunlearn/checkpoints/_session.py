"""A store that is in use: its manifest, its lock, and its way from state to state.

The manifest names all files of the state. To rename a new one over it is the moment at
which a change is made. Files of the state to come are written before, those of the
state that was are removed after it, and whatever a process leaves behind when it dies
is removed by the next one that opens the store.
"""

import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from skunlearn.checkpoints._blobs import Blobs, iterate_files
from skunlearn.checkpoints._directory import DirectoryStore
from skunlearn.checkpoints._files import Folder, WriteLock
from skunlearn.checkpoints._keys import KeyFile
from skunlearn.checkpoints._ledger import (
    LEDGER,
    Ledger,
    Line,
    begin_first,
    expand,
    find_break,
    read_lines,
)
from skunlearn.checkpoints._manifest import (
    LOCK,
    MANIFEST,
    encode_manifest,
    read_manifest,
    stamp,
)
from skunlearn.exceptions import CheckpointCorruptedError, SkunlearnError

__all__ = ["Session"]


class Session:
    """A store in use, by the one process that may change it or by a reader.

    Parameters
    ----------
    store : DirectoryStore
        The store.
    identity : str
        What tells it from other stores.
    lock : WriteLock or None
        The lock of the writer.
    """

    def __init__(
        self, store: DirectoryStore, identity: str, lock: WriteLock | None
    ) -> None:
        self.store = store
        self.identity = identity
        self.folder = Folder(store.path)
        path = store.key_file
        keys = None if path is None else KeyFile(path, identity)
        self.blobs = Blobs(self.folder, keys)
        self.manifest: dict[str, Any] = {}
        self._named = self.manifest  # the one whose files are these
        self._names: set[str] = set()
        self.saved: Any = None  # what is in which file, for the one who saves states
        self._lock = lock
        self._stamp: Any = None
        self.last_commit = 0
        self._ledger: Ledger | None = None
        store._sessions.add(self)

    # How a session begins and ends

    @classmethod
    def create(cls, store: DirectoryStore) -> "Session":
        """Begin a store in a directory that holds none.

        Raises
        ------
        SkunlearnError
            If it holds one, or other files.
        """
        path = store.path
        _check_places(store)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        names = os.listdir(path)
        if MANIFEST in names:
            raise SkunlearnError(
                f"{path} holds a store already, which fit does not overwrite. Open it "
                "with ShardedUnlearningClassifier.open, remove the directory, or name "
                "another one. Copies of a classifier, as searches make them, need "
                "stores of their own."
            )
        if names and LOCK not in names:
            raise SkunlearnError(
                f"{path} holds files, but no store. Name a new or empty directory."
            )
        lock = _take_lock(store)
        path.chmod(0o700)
        identity = lock.read() or secrets.token_hex(16)
        lock.write(identity)
        session = cls(store, identity, lock)
        with session.releasing_on_error():
            if session.blobs.keys is not None:
                session.blobs.keys.check_free()
                session.blobs.keys.sweep()
            session._check_head_is_free()
            strays = session.list_strays()  # of a fit that has died
            session.folder.remove([LEDGER, *strays])
            session._ledger = Ledger(session.folder, identity, store.ledger_head)
        return session

    @classmethod
    def open(cls, store: DirectoryStore, *, write: bool) -> "Session":
        """Open a store, for changes or as a reader.

        Raises
        ------
        SkunlearnError
            If there is none, it is in use, or it was made in another way.
        CheckpointCorruptedError
            If its manifest or its ledger is damaged.
        """
        manifest = read_manifest(store)  # also before the lock, which makes a file
        _check_places(store)
        lock = _take_lock(store) if write else None
        session = cls(store, manifest["store"], lock)
        with session.releasing_on_error():
            session._read()
        return session

    @property
    def is_writer(self) -> bool:
        """Whether this process may change the store."""
        return self._lock is not None and self._lock.is_held

    @property
    def is_current(self) -> bool:
        """Whether this process may change the store, and it is the one that it knows.

        It is another one if a backup was restored in its place.
        """
        path = self.store.path
        is_mine = self._lock is not None and self._lock.guards(path / LOCK)
        return is_mine and self._stamp == stamp(path)

    def write_manifest(
        self, manifest: dict[str, Any], saved: Any, names: set[str]
    ) -> None:
        """Let a manifest name the files of another state: the moment of a change."""
        self.folder.write(MANIFEST, encode_manifest(manifest))
        self._stamp = stamp(self.store.path)
        self.folder.sync()
        self.manifest = self._named = manifest
        self._names = names
        self.saved = saved
        self.last_commit = manifest["commit"]

    def release(self) -> None:
        """Let another process change the store."""
        if self._lock is not None:
            self._lock.release()

    @contextmanager
    def releasing_on_error(self) -> Iterator[None]:
        """Release the lock if an exception is raised, even if its traceback is kept."""
        try:
            yield
        except BaseException:
            self.release()
            raise

    # A new session takes part in the transaction of the fit that it is made for.

    def commit(self) -> None:
        """Do nothing: the lock stays."""

    def conclude(self) -> None:
        """Do nothing: the lock stays."""

    def abort(self, error: BaseException) -> None:
        """Let the next fit have the directory."""
        self.release()

    def become_writer(self) -> bool:
        """Take the lock, and return True if the state is to be read again.

        Raises
        ------
        SkunlearnError
            If another process has it, or there is no store any more.
        """
        if self.is_writer:
            self.folder.check()
            if self.is_current:
                return False
            self.release()
        read_manifest(self.store)
        self._lock = _take_lock(self.store)
        self.folder.fault = None
        self._read()
        return True

    def follow(self) -> bool:
        """Return True if a writer has changed the store since it was read last."""
        if self.is_writer or self._stamp == stamp(self.store.path):
            return False
        self._read()
        return True

    def _read(self) -> None:
        """Read what the store says of itself."""
        head = self.store.ledger_head  # before the ledger, which is written first
        copied = [] if head is None else read_lines(head)[0]
        for _ in range(10):
            self._stamp = stamp(self.store.path)
            self.manifest = read_manifest(self.store)
            if self.blobs.keys is not None:
                self.blobs.keys.read()
            if self._stamp == stamp(self.store.path):  # else a writer was at work
                break
        self._ledger = Ledger(
            self.folder,
            self.identity,
            self.store.ledger_head if self.is_writer else None,
        )
        if self.is_writer:
            self._ledger.cut_torn()
        n, last = self.manifest["ledger"]
        lines = self._ledger.lines
        if n > len(lines) or (n and lines[n - 1].sha256 != last):
            raise CheckpointCorruptedError(
                f"the ledger {self.folder.path / LEDGER} lacks lines that the manifest "
                "knows. Restore it from a copy (ledger_head, if there is one)."
            )
        if not self.is_writer and self._stamp == stamp(self.store.path):
            self._refuse_older(copied[len(lines) :])

    def _refuse_older(self, missing: list[bytes]) -> None:
        """Raise SkunlearnError if what a reader has read is older than its ledger."""
        if missing:
            raise self._refuse(missing)
        undone = self.find_undone()
        if undone:
            raise self._refuse_undone(undone)

    def _refuse_undone(self, undone: list[Line]) -> SkunlearnError:
        lines = self.ledger.lines
        asked = [lines[line.entry.get("request", line.number)] for line in undone]
        return _explain_older(self.store, [line.entry for line in asked])

    @property
    def ledger(self) -> Ledger:
        """Return the ledger."""
        assert self._ledger is not None
        return self._ledger

    @property
    def content(self) -> dict[str, Any]:
        """Return which files hold the state."""
        return self.manifest.get("content", {})

    def list_names(self) -> set[str]:
        """Return the names of these files."""
        if self._named is not self.manifest:
            self._named = self.manifest
            self._names = {each["file"] for each in iterate_files(self.content)}
        return self._names

    def list_strays(self) -> list[str]:
        """Return the names of files that a process has left behind."""
        others = set(os.listdir(self.folder.path)) - self.list_names()
        return sorted(name for name in others if Blobs.is_ours(name))

    # What the ledger says

    def find_pending(self) -> list[Line]:
        """Return the requests that were acknowledged, and neither done nor refused."""
        closed = {line.entry.get("request") for line in self.ledger.lines}
        return [
            line
            for line in self.ledger.lines
            if line.entry["type"] == "request" and line.number not in closed
        ]

    def find_queue(self) -> list[Line]:
        """Return the requests that wait to be processed."""
        after = self.manifest["queue"]
        return [
            line
            for line in self.ledger.lines
            if line.entry["type"] == "enqueued" and line.number >= after
        ]

    def find_undone(self) -> list[Line]:
        """Return what was done after the state that the manifest is of."""
        commit = self.manifest["commit"]
        return [x for x in self.ledger.lines if x.entry.get("commit", 0) > commit]

    # What is to be done before a store that was opened can be used

    def recover(self, *, reforget: bool) -> np.ndarray:
        """Finish what a process has left undone, and check what was restored.

        Returns
        -------
        ndarray
            Positions that the directory knows again, and that are to be forgotten.

        Raises
        ------
        SkunlearnError
            If the directory is older than its ledger, and not to `reforget`.
        """
        self._catch_up(reforget)
        last = self.manifest["last"]
        commits = {line.entry.get("commit", 0) for line in self.ledger.lines}
        if last["commit"] not in commits:
            self.ledger.append(last)
        self.last_commit = max({last["commit"], *commits})
        undone = self.find_undone()
        positions = np.empty(0, dtype=np.int64)
        if undone:
            positions = self._find_resurrected(undone, reforget)
        strays = self.list_strays()
        if strays:
            self.folder.remove(strays)
            self.folder.sync()
        if self.blobs.keys is not None:
            self.blobs.keys.sweep()
            self.blobs.keys.keep(self.list_names())
        return positions

    def _catch_up(self, reforget: bool) -> None:
        """Compare the ledger with its copy outside of the store."""
        head, ledger = self.store.ledger_head, self.ledger
        if head is None:
            return
        own, copied = ledger.raws, ledger.copied
        n_common = min(len(own), len(copied))
        if own[:n_common] != copied[:n_common]:
            raise SkunlearnError(
                f"{head} is not the copy of this store's ledger: they differ. Name the "
                "file that was used with this store before."
            )
        _, fault = find_break(copied, self.identity)
        if fault is not None:
            raise CheckpointCorruptedError(
                f"ledger_head {head}, the copy of the ledger, is damaged: {fault}. "
                "Restore it or, if no backup of the store was restored since, name a "
                "new file."
            )
        if len(own) > len(copied):
            ledger.write_raw(own[n_common:], [head])
        elif len(copied) > len(own):
            if not reforget:
                raise self._refuse(copied[n_common:])
            ledger.write_raw(copied[n_common:], [self.folder.path / LEDGER])
            self._ledger = Ledger(self.folder, self.identity, head)

    def _refuse(self, missing: Iterable[bytes]) -> SkunlearnError:
        entries = [json.loads(raw) for raw in missing]
        return _explain_older(self.store, entries)

    def _find_resurrected(self, undone: list[Line], reforget: bool) -> np.ndarray:
        if not reforget:
            raise self._refuse_undone(undone)
        if self.store.encrypt:
            raise SkunlearnError(
                f"the store at {self.store.path} is older than its ledger, and the "
                "keys of the files that were replaced since are destroyed. Fit again "
                "on the retained rows, in another directory."
            )
        if any(line.entry["type"] == "partial_fit" for line in undone):
            raise SkunlearnError(
                f"the store at {self.store.path} is older than a partial_fit, whose "
                "rows it does not have. Restore a later backup, or fit again."
            )
        requests = (line.entry.get("request") for line in undone)
        lines = self.ledger.lines
        named = [expand(lines[n].entry["positions"]) for n in requests if n is not None]
        return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *named]))

    def _check_head_is_free(self) -> None:
        head = self.store.ledger_head
        if head is None or not head.exists():
            return
        content = head.read_bytes()  # of a fit that has died, maybe in its first line
        start = begin_first(self.identity)[: len(content)]
        if not content.startswith(start):
            raise SkunlearnError(
                f"ledger_head {head} holds something else, such as the copy of another "
                "store's ledger. Name another file."
            )
        head.unlink()


def _check_places(store: DirectoryStore) -> None:
    """Raise OSError if a file beside the store could not be written."""
    for name in ("key_file", "ledger_head"):
        file = getattr(store, name)
        if file is None:
            continue
        if not file.parent.is_dir():
            raise FileNotFoundError(
                f"there is no folder {file.parent} for {name}. Make it, or name a file "
                "in a folder that exists."
            )
        if file.is_dir():
            raise IsADirectoryError(f"{name} {file} is a folder. Name a file in it.")


def _take_lock(store: DirectoryStore) -> WriteLock:
    lock = WriteLock.take(store.path / LOCK)
    if lock is None:
        raise SkunlearnError(
            f"the store at {store.path} is in use: by another process, or by another "
            "classifier of this one. One at a time can change it. Close that one "
            "(DirectoryStore.close, or let the classifier go), or predict with a "
            "pickle or a copy of it, which only reads."
        )
    return lock


def _explain_older(
    store: DirectoryStore, entries: list[dict[str, Any]]
) -> SkunlearnError:
    """Return the error for a store that knows again what was forgotten."""
    names = [
        f"{e['n']}" + (f" ({e['request_id']})" if e.get("request_id") else "")
        for e in entries
        if e["type"] in ("request", "enqueued")
    ]
    shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    return SkunlearnError(
        f"the store at {store.path} is older than its ledger, as after a restored "
        f"backup. Changes that it lacks: {len(entries)}; requests among them: "
        f"{shown or 'none'}. What these have forgotten, it may know again. Restore the "
        "latest state, or call open(..., reforget=True), which applies them."
    )

"""One change of a store, from its request to the removal of what was before."""

import secrets
from typing import Any

from skunlearn._pickling import VERSIONS
from skunlearn._runtime.threads import uninterrupted
from skunlearn.checkpoints._blobs import iterate_files
from skunlearn.checkpoints._ledger import Line
from skunlearn.checkpoints._manifest import (
    PROTOCOL,
    digest_models,
    list_versions,
)
from skunlearn.checkpoints._session import Session
from skunlearn.exceptions import SkunlearnError

__all__ = ["StoreChange"]


class StoreChange:
    """A change of a store: a part of the transaction that changes its classifier.

    Parameters
    ----------
    session : Session
        The store in use.
    line : Line or None
        The request that it answers, if that is in the ledger already. It stays open
        then if the change fails.
    """

    def __init__(self, session: Session, line: Line | None = None) -> None:
        self.session = session
        self._line = line
        self._stays_open = line is not None
        self._manifest: dict[str, Any] | None = None
        self._saved: Any = None
        self._after: set[str] = set()
        self._before = session.list_names()
        session.folder.check()
        session.blobs.written.clear()

    def acknowledge(self, entry: dict[str, Any]) -> Line:
        """Write a request to the ledger: from now on it is going to be in force."""
        with uninterrupted():
            self._line = self.session.ledger.append({"type": "request", **entry})[0]
        return self._line

    def prepare(
        self,
        saved: Any,
        parameters: dict[str, str],
        entry: dict[str, Any],
        queue: int | None = None,
    ) -> None:
        """Make ready to name other files; those have been written.

        Parameters
        ----------
        saved : Saved
            What is in which file; its `content` names the files of the state to come.
        parameters : dict
            Parameters of the classifier, in words.
        entry : dict
            What the ledger is to say when it is done.
        queue : int or None
            Number of the line up to which the queue is processed, if it is.
        """
        session, nonce, content = self.session, secrets.token_hex(16), saved.content
        last = {
            **entry,
            "commit": session.last_commit + 1,
            "versions": list_versions(),
            "models": digest_models(nonce, content),
        }
        if self._line is not None:
            last["request"] = self._line.number
        self._after = {each["file"] for each in iterate_files(content)}
        if session.blobs.keys is not None:
            last["keys_destroyed"] = sorted(self._before - self._after)
            session.blobs.keys.save()
        lines = session.ledger.lines
        session.folder.sync()
        self._saved = saved
        self._manifest = {
            "protocol": PROTOCOL,
            "store": session.identity,
            "encrypted": session.store.encrypt,
            "versions": list_versions() | {"protocol": VERSIONS["_protocol"]},
            "parameters": parameters,
            "commit": last["commit"],
            "nonce": nonce,
            "ledger": [len(lines), lines[-1].sha256 if lines else ""],
            "queue": session.manifest.get("queue", 0) if queue is None else queue,
            "last": last,
            "content": content,
        }

    def commit(self) -> None:
        """Let the manifest name the new files: the moment of the change."""
        assert self._manifest is not None
        self.session.write_manifest(self._manifest, self._saved, self._after)

    def conclude(self) -> None:
        """Remove the files that are no more named, and say in the ledger what is done.

        No file that knew a forgotten row is left when this returns.
        """
        with uninterrupted():
            try:
                self._remove_old()
            except (OSError, SkunlearnError) as error:
                error.add_note(
                    "The change is made, but files of the state before may still be in "
                    "the store. Find the cause, and open the store again, which "
                    "removes them."
                )
                folder = self.session.folder
                folder.fault = folder.fault or repr(error)
                raise

    def _remove_old(self) -> None:
        session, after = self.session, self._after
        gone = sorted(self._before - after)
        if gone:
            session.folder.remove(gone)
            session.folder.sync()
        if session.blobs.keys is not None:
            session.blobs.keys.keep(after)
        session.ledger.append(session.manifest["last"])

    def abort(self, error: BaseException) -> None:
        """Remove what was written, and say in the ledger that nothing was done."""
        session = self.session
        with uninterrupted():
            try:
                session.folder.check()
                session.folder.remove(session.blobs.written)
                if session.blobs.keys is not None and session.content:
                    session.blobs.keys.keep(session.list_names())
                if self._line is not None and not self._stays_open:
                    refused = {"type": "failed", "error": type(error).__name__}
                    session.ledger.append({**refused, "request": self._line.number})
            except (OSError, SkunlearnError):
                if self._line is not None:
                    error.add_note(
                        "The request stands in the ledger, where the failure could not "
                        "be noted: it is finished when the store is opened again."
                    )
                session.folder.fault = session.folder.fault or repr(error)

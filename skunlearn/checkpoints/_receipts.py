"""Receipts: what a data subject can show, and a store's ledger confirms.

The ledger holds a commitment, the hash of a random nonce and the id of the group. The
nonce is in the receipt alone: so the ledger says nothing of the id, and who has the
receipt can show that the line is about it.
"""

import hashlib
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skunlearn._data.identities import as_ids
from skunlearn.checkpoints._directory import DirectoryStore
from skunlearn.checkpoints._files import Folder
from skunlearn.checkpoints._ledger import Line

__all__ = ["Receipt", "commit_to"]


def commit_to(nonce: str, kind: str, group: str) -> str:
    """Return the commitment to an id, whose type and text are given."""
    return hashlib.sha256(json.dumps([nonce, kind, group]).encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class Receipt:
    """A receipt that is to be written when its request is in the ledger.

    Parameters
    ----------
    path : Path
        Where to write it.
    groups : list of dict
        The id of each group, its type, nonce and commitment.
    """

    path: Path
    groups: list[dict[str, str]]

    @classmethod
    def prepare(cls, path: Any, groups: Any, store: DirectoryStore) -> "Receipt":
        """Return the receipt of a request that names some groups, or none.

        Raises
        ------
        OSError
            If a file is in the way, or the folder does not exist.
        ValueError
            If the file would be in the store.
        """
        path = Path(path).absolute()
        if store._holds(path):
            raise ValueError(
                "a receipt holds ids in the clear, which no file of a store may; got "
                f"{path} in {store.path}. Name a file outside of it."
            )
        if path.exists():
            raise FileExistsError(
                f"the receipt {path} exists already. Name another file: a receipt is "
                "the only proof of its request."
            )
        if not path.parent.is_dir():
            raise FileNotFoundError(f"there is no folder {path.parent} for a receipt.")
        ids = [] if groups is None else np.atleast_1d(as_ids(groups)).tolist()
        named = dict.fromkeys((type(each).__name__, str(each)) for each in ids)
        drawn = [(kind, text, secrets.token_hex(16)) for kind, text in named]
        entries = [
            {
                "group": text,
                "type": kind,
                "nonce": nonce,
                "commitment": commit_to(nonce, kind, text),
            }
            for kind, text, nonce in drawn
        ]
        return cls(path, entries)

    @property
    def commitments(self) -> list[str]:
        """Return what the ledger is to hold."""
        return [each["commitment"] for each in self.groups]

    def write(self, store: str, line: Line) -> None:
        """Write the receipt of a request that is acknowledged."""
        content = {
            "store": store,
            "line": line.number,
            "line_sha256": line.sha256,
            "at": line.entry["at"],
            "request_id": line.entry.get("request_id"),
            "groups": self.groups,
        }
        folder = Folder(self.path.parent)
        folder.write(self.path.name, json.dumps(content, indent=1).encode())
        folder.sync()

    # A receipt takes part in the transaction of its request.

    def commit(self) -> None:
        """Do nothing: the receipt is written."""

    def conclude(self) -> None:
        """Do nothing: the receipt stays."""

    def abort(self, error: BaseException) -> None:
        """Remove the receipt of a request that has failed."""
        self.path.unlink(missing_ok=True)

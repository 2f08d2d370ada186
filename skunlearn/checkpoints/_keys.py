"""The keys of an encrypted store: one for each of its files, in one file elsewhere.

A file that is gone can live on in a snapshot, a backup or a block of a disk. Without
its key, which is random and stands in the key file alone, it says nothing. So to erase
a file is to erase its key, and what remains is to care for one small file.
"""

import json
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from skunlearn.checkpoints._files import Folder
from skunlearn.exceptions import CheckpointCorruptedError, SkunlearnError

__all__ = ["KeyFile", "find_cipher"]

_NONCE_BYTES = 12


def find_cipher() -> Any:
    """Return the class of the cipher, or explain what is to be installed."""
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise ImportError(
            "encrypt=True needs the package cryptography. Install it with: "
            'pip install "skunlearn[secure]"'
        ) from error
    return AESGCM


class KeyFile:
    """The keys of the files of a store (AES-256-GCM).

    Parameters
    ----------
    path : Path
        The key file.
    store : str
        The identity of the store.
    """

    def __init__(self, path: Path, store: str) -> None:
        self._cipher = find_cipher()
        self._store = store
        self._folder = Folder(path.parent)
        self._name = path.name
        self._keys: dict[str, str] = {}

    @property
    def path(self) -> Path:
        """Return where the file is."""
        return self._folder.path / self._name

    @property
    def place(self) -> tuple[Path, str]:
        """Return the file and the store, of which another process makes the same."""
        return self.path, self._store

    def check_free(self) -> None:
        """Raise SkunlearnError if there is a key file already, of another store."""
        if self.path.exists() and self._read()["store"] != self._store:
            raise SkunlearnError(
                f"the key file {self.path} belongs to another store. Each store needs "
                "one of its own: name another file."
            )

    def read(self) -> None:
        """Read the keys of the store as it is now."""
        content = self._read()
        if content["store"] != self._store:
            raise SkunlearnError(f"the key file {self.path} is that of another store.")
        self._keys = content["keys"]

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self.path.read_bytes())
            return {"store": content["store"], "keys": dict(content["keys"])}
        except FileNotFoundError as error:
            raise SkunlearnError(
                f"there is no key file at {self.path}. Without it the store cannot be "
                "read: restore the file, or pass its place as key_file."
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointCorruptedError(
                f"the key file {self.path} is damaged. Restore its last copy; without "
                "its keys the store cannot be read, and has to be fitted again."
            ) from error

    def encrypt(self, name: str, data: bytes) -> bytes:
        """Return encrypted data, under a new key that `save` is to make durable."""
        key, nonce = secrets.token_bytes(32), secrets.token_bytes(_NONCE_BYTES)
        self._keys[name] = key.hex()
        return nonce + self._cipher(key).encrypt(nonce, data, name.encode())

    def decrypt(self, name: str, data: bytes) -> bytes:
        """Return data as they were before they were encrypted."""
        if not self._keys:
            self.read()
        if name not in self._keys:
            raise CheckpointCorruptedError(
                f"the key of {name} is not in the key file {self.path}: it belongs to "
                "a state of the store from before a forget, and cannot be read again."
            )
        key, nonce = bytes.fromhex(self._keys[name]), data[:_NONCE_BYTES]
        try:
            return bytes(
                self._cipher(key).decrypt(nonce, data[_NONCE_BYTES:], name.encode())
            )
        except Exception as error:  # the library's own InvalidTag
            raise CheckpointCorruptedError(
                f"{name} does not fit its key in {self.path}."
            ) from error

    def save(self) -> None:
        """Write all keys, and wait until they are on disk."""
        data = json.dumps({"store": self._store, "keys": self._keys}, indent=0).encode()
        self._folder.write(self._name, data)
        self._folder.sync()

    def sweep(self) -> None:
        """Remove the copies that a process has left which died while it saved keys."""
        left = self._folder.find_temporary(self._name)
        if left:
            self._folder.remove(left)
            self._folder.sync()

    def keep(self, names: Iterable[str]) -> None:
        """Destroy all keys but those of some files."""
        kept = {name: self._keys[name] for name in names if name in self._keys}
        if len(kept) < len(self._keys):
            self._keys = kept
            self.save()

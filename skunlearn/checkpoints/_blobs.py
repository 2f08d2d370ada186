"""The files of a store that hold rows and models: written once, verified when read."""

import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from skunlearn.checkpoints._codecs import decode, encode
from skunlearn.checkpoints._files import TEMPORARY, Folder, do_all
from skunlearn.checkpoints._keys import KeyFile
from skunlearn.exceptions import CheckpointCorruptedError

__all__ = ["Blob", "Blobs", "StoredBlock", "StoredCheckpoint", "iterate_files"]

_NAME = re.compile(r"[0-9a-f]{32}\.[a-z]+")
_MIN_MAPPED = 1 << 16  # bytes; smaller files are as well read


@dataclass(frozen=True)
class Blob:
    """A file of a store.

    Parameters
    ----------
    file : str
        Its name, which says nothing of what is in it.
    codec : str
        The format of its content.
    size : int
        Its length in bytes.
    sha256 : str
        The digest of all its bytes, as they are on disk.
    """

    file: str
    codec: str
    size: int
    sha256: str

    @classmethod
    def from_json(cls, value: Any) -> "Blob":
        """Return what a manifest says of a file.

        Raises
        ------
        CheckpointCorruptedError
            If the name could lead elsewhere.
        """
        _check_name(value["file"])
        return cls(**value)

    def to_json(self) -> dict[str, Any]:
        """Return what a manifest is to say of it."""
        return {
            "file": self.file,
            "codec": self.codec,
            "size": self.size,
            "sha256": self.sha256,
        }


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise CheckpointCorruptedError(
            f"the manifest names a file {name!r} that no store has written. Do not use "
            "this store; restore it from a copy that you trust."
        )


class Blobs:
    """Where files of rows and models are written and read.

    Parameters
    ----------
    folder : Folder
        The folder.
    keys : KeyFile or None
        The keys, if files are encrypted.
    """

    def __init__(self, folder: Folder, keys: KeyFile | None = None) -> None:
        self.folder = folder
        self.keys = keys
        self.written: list[str] = []  # since the last change has begun

    @staticmethod
    def is_ours(name: str) -> bool:
        """Return True if a file in the folder is one of these, finished or not."""
        return name.startswith(TEMPORARY) or bool(_NAME.fullmatch(name))

    def write(self, value: Any) -> Blob:
        """Write a value to a file of its own."""
        codec, data = encode(value)
        name = f"{secrets.token_hex(16)}.{codec}"
        if self.keys is not None:
            data = self.keys.encrypt(name, data)
        self.written.append(name)
        self.folder.write(name, data)
        return Blob(name, codec, len(data), hashlib.sha256(data).hexdigest())

    def write_all(self, makers: Iterable[Callable[[], Any]]) -> list[Blob]:
        """Write what some functions return, several files at a time."""
        return do_all([partial(self._write_made, make) for make in makers])

    def _write_made(self, make: Callable[[], Any]) -> Blob:
        return self.write(make())

    def read(self, blob: Blob) -> Any:
        """Return the value in a file.

        Raises
        ------
        CheckpointCorruptedError
            If the file is not there, or not as it was written.
        """
        try:
            data = (self.folder.path / blob.file).read_bytes()
        except FileNotFoundError as error:
            raise self._refuse(blob, "is missing") from error
        if len(data) != blob.size or hashlib.sha256(data).hexdigest() != blob.sha256:
            raise self._refuse(blob, "is not as it was written")
        if self.keys is not None:
            data = self.keys.decrypt(blob.file, data)
        return decode(blob.codec, data)

    def map(self, blob: Blob, *, is_verified: bool = False) -> Any:
        """Return rows in a file, an array mapped to memory where it can be.

        A file that was verified before is not read as a whole again.
        """
        if self.keys is not None or blob.codec != "npy" or blob.size < _MIN_MAPPED:
            return self.read(blob)
        path = self.folder.path / blob.file
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError as error:
            raise self._refuse(blob, "is missing") from error
        except (ValueError, EOFError) as error:
            raise self._refuse(blob, "is not as it was written") from error
        if not is_verified:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != blob.sha256:
                raise self._refuse(blob, "is not as it was written")
        return np.asarray(array)

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process read the files, for which it has to read the keys."""
        place = None if self.keys is None else self.keys.place
        return _open, (self.folder.path, place)

    def _refuse(self, blob: Blob, what: str) -> CheckpointCorruptedError:
        return CheckpointCorruptedError(
            f"{self.folder.path / blob.file} {what}. Restore this file from a copy of "
            "the store of the same state, or fit again on the retained rows."
        )


def _open(path: Path, place: tuple[Path, str] | None) -> Blobs:
    return Blobs(Folder(path), None if place is None else KeyFile(*place))


def iterate_files(value: Any) -> Iterator[dict[str, Any]]:
    """Yield what a value of JSON says of all files that it names somewhere."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting.extend(each)
        elif isinstance(each, dict):
            if "sha256" in each:
                _check_name(each["file"])
                yield each
            else:
                waiting.extend(each.values())


class StoredCheckpoint:
    """A trained estimator in a file, loaded when it is asked for.

    Parameters
    ----------
    blobs : Blobs
        Where it is.
    blob : Blob
        Its file.
    estimator : estimator or None
        The estimator, if it is in memory.
    """

    def __init__(self, blobs: Blobs, blob: Blob, estimator: Any = None) -> None:
        self._blobs = blobs
        self.blob = blob
        self._estimator = estimator

    @property
    def estimator(self) -> Any:
        """Return the estimator, which must not be changed."""
        if self._estimator is None:
            self._estimator = self._blobs.read(self.blob)
        return self._estimator

    def __reduce__(self) -> tuple[Any, ...]:
        """Let another process read the file."""
        return StoredCheckpoint, (self._blobs, self.blob)


class StoredBlock:
    """Rows in a file, read or mapped to memory when they are asked for.

    They are not kept: what is mapped counts as memory of the process.

    Parameters
    ----------
    blobs : Blobs
        Where they are.
    blob : Blob
        Their file.
    values : Blob
        The file of what else is known of them.
    start : int
        First slot of the range that they are of.
    slots : ndarray of shape (n_rows,)
        Their slots.
    """

    def __init__(
        self, blobs: Blobs, blob: Blob, values: Blob, start: int, slots: np.ndarray
    ) -> None:
        self._blobs = blobs
        self.blob = blob
        self.values = values
        self.start = start
        self.slots = slots
        self._is_verified = False

    def load(self) -> Any:
        """Return the rows."""
        rows = self._blobs.map(self.blob, is_verified=self._is_verified)
        self._is_verified = True
        return rows

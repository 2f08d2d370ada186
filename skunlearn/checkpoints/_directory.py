"""The public name of a durable store: where it is, and how it is kept."""

import os
from pathlib import Path
from typing import Any
from weakref import WeakSet

from skunlearn.checkpoints._keys import find_cipher

__all__ = ["DirectoryStore", "as_store"]


class DirectoryStore:
    """A directory that holds what a classifier needs in order to forget.

    It is the value of `checkpoint_store`; a path is short for ``DirectoryStore(path)``.
    Rows and training states are files that are replaced as a whole, so that the
    directory is at any moment that of before a change or that of after it. See the
    :ref:`user guide <durable_stores>`.

    Parameters
    ----------
    path : str or PathLike
        The directory. `fit` creates it, or takes an empty one.
    encrypt : bool, default=False
        Whether each file of rows and training states is encrypted (AES-256-GCM) under
        a random key of its own. Requires `key_file` and the package ``cryptography``.
    key_file : str or PathLike, default=None
        File of the keys, outside of `path`. `forget` destroys the keys of all files
        that it replaces, so that copies of them cannot be read.
    ledger_head : str or PathLike, default=None
        File outside of `path` that gets a copy of each line of the ledger. With it, a
        directory that was restored from an older backup is recognised, and not opened.

    Raises
    ------
    ValueError
        If `encrypt` and `key_file` are not given together, a file is in `path`, both
        files are the same, or a path is empty.
    ImportError
        If `encrypt` is true, and ``cryptography`` is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from skunlearn import ShardedUnlearningClassifier
    >>> from skunlearn.checkpoints import DirectoryStore
    >>> X, y = load_iris(return_X_y=True)
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = DirectoryStore(f"{folder.name}/store")
    >>> classifier = ShardedUnlearningClassifier(
    ...     n_shards=4, checkpoint_store=store, random_state=0
    ... )
    >>> classifier = classifier.fit(X, y).forget([7, 42])
    >>> store.close()
    >>> ShardedUnlearningClassifier.open(store).forgotten_indices_
    array([ 7, 42])
    >>> folder.cleanup()
    """

    def __init__(
        self,
        path: Any,
        *,
        encrypt: bool = False,
        key_file: Any = None,
        ledger_head: Any = None,
    ) -> None:
        self.path = _absolute(path)
        self.encrypt = bool(encrypt)
        self.key_file = None if key_file is None else _absolute(key_file)
        self.ledger_head = None if ledger_head is None else _absolute(ledger_head)
        if self.encrypt != (self.key_file is not None):
            raise ValueError(
                "encrypt=True and key_file go together: got "
                f"encrypt={encrypt!r} and key_file={key_file!r}."
            )
        for name in ("key_file", "ledger_head"):
            file = getattr(self, name)
            if file is not None and self._holds(file):
                raise ValueError(
                    f"{name} must be outside of the store, since it is to survive, or "
                    f"to go, apart from it; got {file} in {self.path}."
                )
        if self.key_file is not None and self.key_file == self.ledger_head:
            raise ValueError(
                f"key_file and ledger_head must be two files; got {self.key_file} for "
                "both."
            )
        if self.encrypt:
            find_cipher()
        self._sessions: WeakSet[Any] = WeakSet()

    def close(self) -> None:
        """Let other processes change the store; classifiers can still predict.

        A classifier that is asked to forget again opens the store again.
        """
        for session in list(self._sessions):
            session.release()

    def _holds(self, file: Path) -> bool:
        """Return True if a file is, or would be, in the directory."""
        place = file.resolve()
        return self.path.resolve() in (place, *place.parents)

    def _list_values(self) -> tuple[Any, ...]:
        return self.path, self.encrypt, self.key_file, self.ledger_head

    def __repr__(self) -> str:
        """Return the call that makes it."""
        names = ("encrypt", "key_file", "ledger_head")
        given = [f"{n}={str(v)!r}" for n in names[1:] if (v := getattr(self, n))]
        given = ["encrypt=True", *given] if self.encrypt else given
        return f"DirectoryStore({', '.join([repr(str(self.path)), *given])})"

    def __eq__(self, other: object) -> bool:
        """Return True if the other one is of the same files."""
        if not isinstance(other, DirectoryStore):
            return NotImplemented
        return self._list_values() == other._list_values()

    def __hash__(self) -> int:
        """Return the hash of the files."""
        return hash(self._list_values())

    def __reduce__(self) -> tuple[Any, ...]:
        """Make a copy that has no session."""
        return _make, self._list_values()


def _make(path: Path, encrypt: bool, key_file: Any, ledger_head: Any) -> DirectoryStore:
    return DirectoryStore(
        path, encrypt=encrypt, key_file=key_file, ledger_head=ledger_head
    )


def _absolute(path: Any) -> Path:
    if not os.fspath(path):
        raise ValueError("a store needs a path; got an empty one.")
    return Path(os.path.abspath(os.path.expanduser(path)))


def as_store(store: Any) -> DirectoryStore:
    """Return what a user gives as a store: a path, or a store already."""
    if isinstance(store, DirectoryStore):
        return store
    if isinstance(store, (str, os.PathLike)):
        return DirectoryStore(store)
    raise TypeError(
        "checkpoint_store must be a path, a DirectoryStore or None; got "
        f"{type(store).__name__}."
    )

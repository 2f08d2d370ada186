"""The manifest of a store, which names all files of its state.

It is JSON for people too. What it says is signed with its own digest.
"""

import hashlib
import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

from skunlearn.checkpoints._blobs import iterate_files
from skunlearn.checkpoints._directory import DirectoryStore
from skunlearn.exceptions import CheckpointCorruptedError, SkunlearnError

__all__ = [
    "LOCK",
    "MANIFEST",
    "PROTOCOL",
    "digest_models",
    "encode_manifest",
    "list_versions",
    "read_manifest",
    "stamp",
]

MANIFEST = "manifest.json"
LOCK = "lock"
PROTOCOL = 1  # to be raised when stores are laid out in another way


_PACKAGES = ("skunlearn", "scikit-learn", "numpy", "scipy", "joblib")
_VERSIONS = {name: version(name) for name in _PACKAGES}  # slow: it reads files


def list_versions() -> dict[str, str]:
    """Return the versions of what makes a model what it is."""
    return dict(_VERSIONS)


def digest_models(nonce: str, content: dict[str, Any]) -> str:
    """Return the digest of all training states, which says nothing without a nonce.

    A plain digest would confirm, to one who has the other rows, a guess of a forgotten
    one. The nonce is replaced at each change, and the one before is not kept.
    """
    digests = sorted(file["sha256"] for file in iterate_files(content["shards"]))
    return hashlib.sha256(f"{nonce} {' '.join(digests)}".encode()).hexdigest()


def encode_manifest(manifest: dict[str, Any]) -> bytes:
    """Return a manifest as it is on disk."""
    text = _lay_out(manifest, 3)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f'{{"sha256": "{digest}",\n"manifest": {text}}}\n'.encode()


def _lay_out(value: Any, depth: int) -> str:
    """Return JSON with one item a line, to some depth; as `indent` is too slow."""
    if depth and value and isinstance(value, dict):
        items = (f"{json.dumps(k)}: {_lay_out(v, depth - 1)}" for k, v in value.items())
        return "{" + ",\n ".join(items) + "}"
    if depth and value and isinstance(value, list):
        return "[" + ",\n  ".join(map(json.dumps, value)) + "]"
    return json.dumps(value)


def read_manifest(store: DirectoryStore) -> dict[str, Any]:
    """Return what the manifest of a store says."""
    _check_is_there(store)
    path = store.path / MANIFEST
    data = path.read_bytes()
    try:
        both = json.loads(data)
        manifest: dict[str, Any] = both["manifest"]
        if encode_manifest(manifest) != data:
            raise ValueError("the digest is another one")
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise CheckpointCorruptedError(
            f"{path} is not as it was written ({error}). Restore it from a copy of the "
            "store of the same state, or fit again on the retained rows."
        ) from error
    if manifest["protocol"] > PROTOCOL:
        raise SkunlearnError(
            f"the store at {store.path} was made by a later version of skunlearn "
            f"(protocol {manifest['protocol']}; this one reads up to {PROTOCOL})."
        )
    if manifest["encrypted"] != store.encrypt:
        how = "is" if manifest["encrypted"] else "is not"
        raise SkunlearnError(
            f"the store at {store.path} {how} encrypted; got {store!r}. Pass "
            "DirectoryStore(path, encrypt=True, key_file=...) for one that is."
        )
    return manifest


def _check_is_there(store: DirectoryStore) -> None:
    path = store.path
    if (path / MANIFEST).exists():
        return
    if (path / LOCK).exists():
        raise SkunlearnError(
            f"the fit that was to fill the store at {path} has not finished. Nothing "
            "was learned: call fit again, with the same checkpoint_store."
        )
    raise SkunlearnError(
        f"there is no store at {path}. Pass it as checkpoint_store to a classifier, "
        "and call fit."
    )


def stamp(path: Path) -> tuple[int, int] | None:
    """Return what tells a manifest from the one before it."""
    try:
        status = os.stat(path / MANIFEST)
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_ino

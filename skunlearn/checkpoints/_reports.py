"""What can be shown of a store: its ledger, a receipt, and a replay of its training."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skunlearn.checkpoints._blobs import Blob
from skunlearn.checkpoints._directory import as_store
from skunlearn.checkpoints._ledger import LEDGER, Line, find_break, read_lines
from skunlearn.checkpoints._manifest import (
    digest_models,
    list_versions,
    read_manifest,
)
from skunlearn.checkpoints._receipts import commit_to
from skunlearn.checkpoints._session import Session

__all__ = ["Report", "audit", "verify_ledger", "verify_receipt"]

_NOT_COVERED = (
    "that rows were absent from training elsewhere",
    "how hyper-parameters and preprocessing outside of the classifier were chosen",
    "what became of copies, predictions and models that were handed out",
)


@dataclass(frozen=True)
class Report:
    """What was checked, and what was found; true if nothing is wrong.

    Parameters
    ----------
    checked : tuple of str
        What was found to be right.
    problems : tuple of str
        What was found to be wrong.
    not_covered : tuple of str, default=()
        What such a report cannot show, whatever was found.
    """

    checked: tuple[str, ...]
    problems: tuple[str, ...]
    not_covered: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Return True if there are no problems."""
        return not self.problems

    def __str__(self) -> str:
        """Return one line for each finding, and for what is not covered."""
        kinds = {
            "wrong": self.problems,
            "right": self.checked,
            "not covered": self.not_covered,
        }
        return "\n".join(f"{k}: {text}" for k, texts in kinds.items() for text in texts)


class _Findings:
    """A report in the making."""

    def __init__(self) -> None:
        self._checked: list[str] = []
        self._problems: list[str] = []

    def note(self, is_right: bool, right: str, wrong: str) -> bool:
        """Note what was found, in one of two sentences."""
        if is_right:
            self._checked.append(right)
        else:
            self._problems.append(wrong)
        return is_right

    def make(self, *remarks: str) -> Report:
        return Report((*self._checked, *remarks), tuple(self._problems))


def verify_ledger(store: Any) -> Report:
    """Verify that the ledger of a store is whole and unchanged.

    Each line names the hash of the line before it. What was cut off at the end is found
    by the manifest or, if it was restored too, by the copy at ``ledger_head``.

    Parameters
    ----------
    store : str, PathLike or DirectoryStore
        The directory, or the store with the head of its ledger.

    Returns
    -------
    Report
        It is true if no line is missing or changed; `problems` and `checked` hold what
        was found in words, and ``str`` joins them.

    Raises
    ------
    SkunlearnError
        If there is no store.
    CheckpointCorruptedError
        If the manifest is damaged.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from skunlearn import ShardedUnlearningClassifier
    >>> from skunlearn.checkpoints import verify_ledger
    >>> X, y = load_iris(return_X_y=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/store"
    ...     classifier = ShardedUnlearningClassifier(
    ...         checkpoint_store=path, random_state=0
    ...     )
    ...     classifier = classifier.fit(X, y).forget(7)
    ...     print(verify_ledger(path))
    right: 3 lines follow one another
    right: the manifest knows no line that is missing
    right: the training states are those of the last line
    right: 1 request, of which 0 are not finished
    """
    store = as_store(store)
    manifest = read_manifest(store)
    findings = _Findings()
    raws, _ = read_lines(store.path / LEDGER)
    lines, fault = find_break(raws, manifest["store"])
    findings.note(fault is None, f"{len(lines)} lines follow one another", f"{fault}")
    n, last = manifest["ledger"]
    findings.note(
        n == 0 or (n <= len(lines) and lines[n - 1].sha256 == last),
        "the manifest knows no line that is missing",
        f"the manifest was written after line {n - 1}, which is missing or changed",
    )
    _note_models(findings, manifest, lines)
    if store.ledger_head is not None:
        copied, _ = read_lines(store.ledger_head)
        findings.note(
            copied == raws,
            f"the copy of the ledger has the same {len(raws)} lines",
            f"the copy of the ledger has {len(copied)} lines, the ledger {len(raws)}, "
            f"of which {_count_equal(copied, raws)} are the same",
        )
    closed = {line.entry.get("request") for line in lines}
    requests = [x.number for x in lines if x.entry["type"] == "request"]
    n_open = sum(number not in closed for number in requests)
    noun = "request" if len(requests) == 1 else "requests"
    return findings.make(f"{len(requests)} {noun}, of which {n_open} are not finished")


def _count_equal(first: Iterable[bytes], second: Iterable[bytes]) -> int:
    return sum(a == b for a, b in zip(first, second, strict=False))


def _note_models(
    findings: _Findings, manifest: dict[str, Any], lines: list[Line]
) -> None:
    """Note whether the state is the one that the last change has led to."""
    recorded = [line.entry for line in lines if "commit" in line.entry]
    newest = max((entry["commit"] for entry in recorded), default=0)
    models = digest_models(manifest["nonce"], manifest["content"])
    is_last = bool(recorded) and recorded[-1]["models"] == models
    findings.note(
        is_last and newest == manifest["commit"],
        "the training states are those of the last line",
        "the training states are not those of the last change in the ledger: the "
        "directory is older than the ledger, or lines are missing",
    )


def verify_receipt(receipt: Any, store: Any) -> Report:
    """Verify that a receipt belongs to a request in the ledger of a store.

    Parameters
    ----------
    receipt : str or PathLike
        File that ``forget(..., receipt=...)`` has written.
    store : str, PathLike or DirectoryStore
        The store.

    Returns
    -------
    Report
        It is true if the ledger is whole, and has a request that was made for the
        groups in the receipt and that is finished.

    Raises
    ------
    ValueError
        If the file is not a receipt.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from skunlearn import ShardedUnlearningClassifier
    >>> from skunlearn.checkpoints import verify_receipt
    >>> X, y = load_iris(return_X_y=True)
    >>> customers = [f"customer-{i // 3}" for i in range(150)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path, receipt = f"{folder}/store", f"{folder}/receipt.json"
    ...     classifier = ShardedUnlearningClassifier(
    ...         checkpoint_store=path, random_state=0
    ...     )
    ...     classifier = classifier.fit(X, y, groups=customers)
    ...     classifier = classifier.forget(groups="customer-7", receipt=receipt)
    ...     bool(verify_receipt(receipt, path))
    True
    """
    store = as_store(store)
    content = _read_receipt(receipt)
    manifest = read_manifest(store)
    findings = _Findings()
    raws, _ = read_lines(store.path / LEDGER)
    lines, fault = find_break(raws, manifest["store"])
    number = content["line"]
    is_there = (
        content["store"] == manifest["store"]
        and 0 <= number < len(lines)
        and lines[number].sha256 == content["line_sha256"]
        and lines[number].entry["type"] == "request"
    )
    findings.note(
        is_there,
        f"line {number} of the ledger is the request of the receipt",
        f"line {number} of the ledger is not that request"
        + (f": {fault}" if fault else ""),
    )
    if is_there:
        known = lines[number].entry["commitments"]
        for group in content["groups"]:
            made = commit_to(group["nonce"], group["type"], group["group"])
            findings.note(
                made == group["commitment"] and made in known,
                f"the request was made for {group['group']!r}",
                f"the request was not made for {group['group']!r}",
            )
        done = (x.entry for x in lines if x.entry.get("request") == number)
        findings.note(
            any(entry["type"] == "completed" for entry in done),
            "the request is finished",
            "the request is not finished: open the store to finish it",
        )
    findings.note(fault is None, "the ledger is whole", f"{fault}")
    return findings.make()


def _read_receipt(path: Any) -> dict[str, Any]:
    try:
        content = json.loads(Path(path).read_bytes())
        names = {"store", "line", "line_sha256", "groups"}
        parts = {"group", "type", "nonce", "commitment"}
        is_one = all(parts <= each.keys() for each in content["groups"])
        if is_one and names <= content.keys() and isinstance(content["line"], int):
            return dict(content)
    except (ValueError, AttributeError, KeyError, TypeError):
        pass
    raise ValueError(f"{path} is not a receipt that forget(..., receipt=...) has made.")


def audit(store: Any, *, shards: Any = None) -> Report:
    """Train shards again from their rows, and compare with their training states.

    It shows that the prescribed algorithm was run on the retained rows, in bits. That
    is what can be audited: parameters alone do not show on which rows they were
    trained [1]_.

    Parameters
    ----------
    store : str, PathLike or DirectoryStore
        The store, which is only read.
    shards : int or sequence of int, default=None
        Shards to train again. If None, all: as expensive as a fit.

    Returns
    -------
    Report
        It is true if the ledger is whole, and all training states come out as they
        are. Its `not_covered` says what no audit shows.

    Raises
    ------
    SkunlearnError
        If there is no store, or it is older than its ledger.
    CheckpointCorruptedError
        If a file is damaged.
    IndexError
        If a shard does not exist.
    TypeError
        If `shards` are not integers.

    Warnings
    --------
    Estimators are unpickled, which can run any code. Audit only stores that you trust.

    References
    ----------
    .. [1] A. Thudi, H. Jia, I. Shumailov and N. Papernot, "On the Necessity of
       Auditable Algorithmic Definitions for Machine Unlearning", USENIX Security, 2022.
       :arxiv:`2110.11891`

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from skunlearn import ShardedUnlearningClassifier
    >>> from skunlearn.checkpoints import audit
    >>> X, y = load_iris(return_X_y=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/store"
    ...     classifier = ShardedUnlearningClassifier(
    ...         n_shards=4, checkpoint_store=path, random_state=0
    ...     )
    ...     classifier = classifier.fit(X, y).forget(7)
    ...     bool(audit(path, shards=[0, 3]))
    True
    """
    store = as_store(store)
    ledger = verify_ledger(store)
    session = Session.open(store, write=False)
    settings = session.blobs.read(Blob.from_json(session.content["settings"]))
    classifier = settings["class"]._restore(session)
    n_shards = classifier._count_shards()
    chosen = range(n_shards) if shards is None else _as_list(shards)
    others = [i for i in chosen if not 0 <= i < n_shards]
    if others:
        raise IndexError(f"shards must be among 0 to {n_shards - 1}; got {others}.")
    findings = _Findings()
    before, now = session.manifest["last"]["versions"], list_versions()
    changed = [name for name in now if now[name] != before.get(name)]
    replay = "its rows" if not changed else f"its rows, with other {', '.join(changed)}"
    for i in chosen:
        findings.note(
            classifier._is_reproduced(i),
            f"shard {i} is what training gives on {replay}",
            f"shard {i} is not what training gives on {replay}",
        )
    report = findings.make()
    return Report(
        (*ledger.checked, *report.checked),
        (*ledger.problems, *report.problems),
        _NOT_COVERED,
    )


def _as_list(shards: Any) -> list[int]:
    given = np.atleast_1d(np.asarray(shards))
    if given.dtype.kind not in "iu" and given.size:
        raise TypeError(f"shards must be integers; got {shards!r}.")
    return [int(each) for each in given]

"""From a fitted state to the files of a store, and back.

What a change does not touch keeps its files. Rows of a shard and slice are in files of
their own, and so are what a shard knows of them and each of its training states.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse

from skunlearn._base import Records
from skunlearn._data.blocks import Blocks, make_template
from skunlearn._data.casting import trim_text
from skunlearn._data.containers import (
    is_frame,
    list_values,
    stack_frames,
    take_rows,
    with_own_values,
    with_values,
)
from skunlearn._data.identities import GroupIndex
from skunlearn._data.rows import Batch, Erasure, Rows
from skunlearn._pickling import with_defaults
from skunlearn._records import ForgetRecord
from skunlearn.checkpoints._blobs import Blob, Blobs, StoredBlock, StoredCheckpoint
from skunlearn.checkpoints._session import Session
from skunlearn.sharding._state import State
from skunlearn.sharding._training.shard import Shard, Shards, nothing
from skunlearn.sharding._training.stored_rows import FIT_PARAM, make_batch

__all__ = [
    "Saved",
    "SavedRows",
    "hold_in_blocks",
    "load",
    "save",
    "save_rows",
    "take_values",
]

_VALUES = ("y", "sample_weight", "forget_proba")


@dataclass(frozen=True, eq=False)
class SavedRows:
    """Rows in files.

    Parameters
    ----------
    start, stop : int
        The range of their slots.
    slots : ndarray
        Those of them that are retained.
    features, values : Blob
        Their features, and what else is known of each.
    """

    start: int
    stop: int
    slots: np.ndarray
    features: Blob
    values: Blob


@dataclass(frozen=True, eq=False)
class Saved:
    """Which files hold a state.

    Parameters
    ----------
    settings : Blob
        The parameters with which the classifier was fitted.
    state : Blob
        What is small, and may change at any request.
    positions : tuple of (int, Blob)
        The first position of each batch of rows, and where they belong.
    rows : tuple of SavedRows
        The rows.
    shards : tuple of (Shard, Blob)
        The shards, each with the file that says which rows it has.
    """

    settings: Blob
    state: Blob
    positions: tuple[tuple[int, Blob], ...]
    rows: tuple[SavedRows, ...]
    shards: tuple[tuple[Shard, Blob], ...]

    @property
    def content(self) -> dict[str, Any]:
        """Return what the manifest says of it."""
        return {
            "settings": self.settings.to_json(),
            "state": self.state.to_json(),
            "positions": [blob.to_json() for _, blob in self.positions],
            "rows": [
                {
                    "slots": [each.start, each.stop],
                    "features": each.features.to_json(),
                    "values": each.values.to_json(),
                }
                for each in self.rows
            ],
            "shards": [
                {"rows": blob.to_json(), "slices": list(map(_describe, shard.states))}
                for shard, blob in self.shards
            ],
        }


def _describe(checkpoint: Any) -> dict[str, Any] | None:
    blob: Blob | None = None if checkpoint is None else checkpoint.blob
    return None if blob is None else blob.to_json()


class _Writer:
    """Files to write, all at once, and what is to be done with their names."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._makers: list[Callable[[], Any]] = []

    def add(self, make: Callable[[], Any]) -> Callable[[], Blob]:
        """Plan to write what a function returns; the result has its file later."""
        self._makers.append(make)
        index = len(self._makers) - 1
        return lambda: self._written[index]

    def write(self) -> None:
        self._written = self._blobs.write_all(self._makers)


def save(
    session: Session,
    state: State,
    gone: np.ndarray | None = None,
    settings: Any = None,
    written: Iterable[SavedRows] = (),
) -> tuple[State, Saved]:
    """Write what is new in a state, and return the state as it is in files.

    Parameters
    ----------
    session : Session
        The store, which still names the files of the state before.
    state : State
        The state.
    gone : ndarray or None
        Positions that are to be forgotten, whose rows the state has still.
    settings : dict or None
        What is fixed at fit, at the first time.
    written : iterable of SavedRows
        Rows that are in files already, at the first time.
    """
    before: Saved | None = session.saved
    known_rows = tuple(written) if before is None else before.rows
    gone = nothing() if gone is None else gone
    rows = state.rows
    if len(gone):
        rows = rows.prepare_forget(gone, Erasure([rows.lease]))  # not carried out
    retained = state.rows.retained.copy()
    retained[gone] = False
    writer = _Writer(session.blobs)
    parts = _plan_rows(writer, known_rows, rows, rows.slot_of[gone], retained)
    positions = _plan_positions(writer, before, state)
    shards = _plan_shards(writer, before, state)
    head = writer.add(partial(_make_head, state, rows, retained))
    given = writer.add(lambda: settings) if before is None else None
    writer.write()
    saved_rows = tuple(make() for make in parts)
    known = {} if before is None else dict(before.positions)
    saved = Saved(
        settings=before.settings if before is not None else given(),  # type: ignore[misc]
        state=head(),
        positions=tuple((n, known.get(n) or make()) for n, make in positions),
        rows=saved_rows,
        shards=tuple(make() for make in shards),
    )
    X = rows.data.X
    if _is_in_blocks(X):
        held = replace(state.rows.data, X=hold_in_blocks(session.blobs, saved_rows, X))
        state = replace(state, rows=replace(state.rows, data=held))
    return replace(state, shards=Shards(shard for shard, _ in saved.shards)), saved


def save_rows(blobs: Blobs, state: State) -> tuple[State, tuple[SavedRows, ...]]:
    """Write the rows of a state, for other processes, if they are held in files.

    The state is returned with these files.
    """
    X = state.rows.data.X
    if not _is_in_blocks(X):
        return state, ()
    writer = _Writer(blobs)
    parts = _plan_rows(writer, (), state.rows, nothing(), state.rows.retained)
    writer.write()
    if blobs.keys is not None:
        blobs.keys.save()
    saved = tuple(make() for make in parts)
    data = replace(state.rows.data, X=hold_in_blocks(blobs, saved, X))
    return replace(state, rows=replace(state.rows, data=data)), saved


def _is_in_blocks(X: Any) -> bool:
    is_array = isinstance(X, np.ndarray) and X.dtype.kind in "biufc"
    return is_array or isinstance(X, Blocks)


def hold_in_blocks(blobs: Blobs, rows: Iterable[SavedRows], X: Any) -> Blocks:
    """Return rows that are in files; those in memory, `X`, say what they are like."""
    old = {each.blob: each for each in getattr(X, "blocks", ()) if _is_stored(each)}
    blocks = tuple(old.get(each.features) or _refer(blobs, each) for each in rows)
    template = X.template if isinstance(X, Blocks) else make_template(X)
    return Blocks(blocks, X.shape, template)


def _refer(blobs: Blobs, rows: SavedRows) -> StoredBlock:
    return StoredBlock(blobs, rows.features, rows.values, rows.start, rows.slots)


def _is_stored(block: Any) -> bool:
    return isinstance(block, StoredBlock)


def _plan_rows(
    writer: _Writer,
    before: Iterable[SavedRows],
    rows: Rows,
    gone: np.ndarray,
    retained: np.ndarray,
) -> list[Callable[[], SavedRows]]:
    """Plan to write the rows of each part that has others than it had."""
    known = {(each.start, each.stop): each for each in before}
    touched = set(np.searchsorted(rows.parts, gone, side="right") - 1)
    find_kept = cache(partial(_find_kept, rows, retained))  # a pass over all, if at all
    made: list[Callable[[], SavedRows]] = []
    for i, span in enumerate(pairwise([*rows.parts.tolist(), rows.n_positions])):
        if span not in known:
            slots = span[0] + np.flatnonzero(find_kept()[slice(*span)])
        elif i in touched:
            slots = known[span].slots
            slots = slots[~np.isin(slots, gone)]
        else:
            made.append(partial(known.__getitem__, span))
            continue
        features = writer.add(partial(_take_features, rows.data.X, slots))
        values = writer.add(partial(take_values, rows.data, slots))
        made.append(partial(_join, span, slots, features, values))
    return made


def _find_kept(rows: Rows, retained: np.ndarray) -> np.ndarray:
    """Return a mask of the slots whose rows are retained."""
    is_kept = np.zeros(rows.n_positions, dtype=bool)
    is_kept[rows.slot_of[retained]] = True
    return is_kept


def _join(
    span: tuple[int, int],
    slots: np.ndarray,
    features: Callable[[], Blob],
    values: Callable[[], Blob],
) -> SavedRows:
    return SavedRows(*span, slots, features(), values())


def _take_features(X: Any, slots: np.ndarray) -> Any:
    return with_own_values(take_rows(X, slots))


def take_values(data: Batch, slots: np.ndarray) -> dict[str, np.ndarray]:
    """Return what is known of the rows at some slots beside their features."""
    values = {name: getattr(data, name) for name in _VALUES}
    values |= {FIT_PARAM + name: each for name, each in data.fit_params.items()}
    taken = {k: trim_text(v[slots]) for k, v in values.items() if v is not None}
    return {"slots": slots} | taken


def _plan_positions(
    writer: _Writer, before: Saved | None, state: State
) -> list[tuple[int, Callable[[], Blob]]]:
    """Plan to write where new positions belong."""
    known = set() if before is None else {first for first, _ in before.positions}
    planned = []
    for first, stop in pairwise([*state.batches, state.rows.n_positions]):
        if first in known:
            planned.append((first, _find_nothing))
            continue
        where = {"slot_of": state.rows.slot_of[first:stop]}
        if state.groups is not None:
            where["hashes"] = state.groups.hashes[first:stop]
        planned.append((first, writer.add(partial(dict, where))))
    return planned


def _find_nothing() -> Blob:
    raise AssertionError("this file is known")


def _plan_shards(
    writer: _Writer, before: Saved | None, state: State
) -> list[Callable[[], tuple[Shard, Blob]]]:
    """Plan to write the shards that are new, and their new training states."""
    pairs = () if before is None else before.shards
    known = {id(shard): (shard, blob) for shard, blob in pairs}
    planned: list[Callable[[], tuple[Shard, Blob]]] = []
    for shard in state.shards:
        if id(shard) in known:
            planned.append(partial(known.__getitem__, id(shard)))
            continue
        written = {
            id(each): writer.add(partial(getattr, each, "estimator"))
            for each in shard.states
            if each is not None and not isinstance(each, StoredCheckpoint)
        }
        index = writer.add(partial(replace, shard, states=()))
        planned.append(partial(_keep, writer._blobs, shard, written, index))
    return planned


def _keep(
    blobs: Blobs,
    shard: Shard,
    written: dict[int, Callable[[], Blob]],
    index: Callable[[], Blob],
) -> tuple[Shard, Blob]:
    """Return a shard whose training states are in files; the last is in memory too."""
    last = shard.states[-1] if shard.states else None
    stored: dict[int, StoredCheckpoint] = {}
    for each in shard.states:
        if id(each) in written and id(each) not in stored:
            estimator = each.estimator if each is last and each is not None else None
            stored[id(each)] = StoredCheckpoint(blobs, written[id(each)](), estimator)
    states = tuple(stored.get(id(each), each) for each in shard.states)
    return replace(shard, states=states), index()


def _make_head(state: State, rows: Rows, retained: np.ndarray) -> dict[str, Any]:
    """Return what is small: the state without its rows, shards and records."""
    X, groups = rows.data.X, state.groups
    others: dict[str, Any] = {"rows": None, "groups": None}
    others |= {"shards": Shards(), "records": ()}
    return {
        "state": replace(state, **others),
        "retained": np.packbits(retained),
        "n_positions": rows.n_positions,
        "parts": rows.parts,
        "declared": rows.declared,
        "groups": None if groups is None else (groups.key, groups.kinds),
        "blocks": _describe_blocks(X) if _is_in_blocks(X) else None,
        "values": list_values(X) if is_frame(X) else {},
    }


def _describe_blocks(X: Any) -> tuple[Any, Any]:
    """Return the shape of rows in blocks, and their dtype or, of others, a template."""
    template = X.template if isinstance(X, Blocks) else X
    return X.shape, X.dtype if isinstance(template, np.ndarray) else template


def load(session: Session) -> tuple[State, Saved]:
    """Return the state that is in the files of a store."""
    content, blobs = session.content, session.blobs
    head_blob = Blob.from_json(content["state"])
    head = blobs.read(head_blob)
    position_blobs = [Blob.from_json(each) for each in content["positions"]]
    where = [blobs.read(blob) for blob in position_blobs]
    state: State = with_defaults(head["state"])
    for part in (state.recipe, state.recipe.policy, state.layout):
        with_defaults(part)
    slot_of = np.concatenate([each["slot_of"] for each in where])
    groups = None
    if head["groups"] is not None:
        key, kinds = head["groups"]
        hashes = np.concatenate([each["hashes"] for each in where])
        groups = GroupIndex(hashes, key, kinds)
    rows, saved_rows = _load_rows(blobs, content["rows"], head, slot_of)
    shards = tuple(_load_shard(blobs, each, state) for each in content["shards"])
    saved = Saved(
        settings=Blob.from_json(content["settings"]),
        state=head_blob,
        positions=tuple(zip(state.batches, position_blobs, strict=True)),
        rows=saved_rows,
        shards=shards,
    )
    state = replace(
        state,
        rows=rows,
        groups=groups,
        shards=Shards(shard for shard, _ in shards),
        records=_load_records(session),
    )
    return state, saved


def _load_shard(blobs: Blobs, named: Any, state: State) -> tuple[Shard, Blob]:
    index = Blob.from_json(named["rows"])
    loaded: dict[str, StoredCheckpoint] = {}
    states = []
    for each in named["slices"]:
        blob = None if each is None else Blob.from_json(each)
        if blob is not None and blob.file not in loaded:
            loaded[blob.file] = StoredCheckpoint(blobs, blob)
        states.append(None if blob is None else loaded[blob.file])
    shard: Shard = with_defaults(blobs.read(index))
    return replace(shard, policy=state.recipe.policy, states=tuple(states)), index


def _load_records(session: Session) -> Records:
    commit = session.manifest["commit"]
    entries = (line.entry for line in session.ledger.lines)
    return Records(
        _read_record(entry["record"])
        for entry in entries
        if "record" in entry and entry["commit"] <= commit
    )


def _read_record(values: dict[str, Any]) -> ForgetRecord:
    """Return a record from a ledger; another version may have known other fields."""
    known = ForgetRecord.__dataclass_fields__
    values = {name: value for name, value in values.items() if name in known}
    return ForgetRecord(**{**values, "shards": tuple(values["shards"])})


def _load_rows(
    blobs: Blobs, named: list[Any], head: dict[str, Any], slot_of: np.ndarray
) -> tuple[Rows, tuple[SavedRows, ...]]:
    n = head["n_positions"]
    saved, values = [], []
    for each in named:
        features = Blob.from_json(each["features"])
        value_blob = Blob.from_json(each["values"])
        mine = blobs.read(value_blob)
        values.append(mine)
        start, stop = each["slots"]
        slots = mine.pop("slots")
        saved.append(SavedRows(start, stop, slots, features, value_blob))
    slots = np.concatenate([each.slots for each in saved])
    full = {
        name: _place([mine[name] for mine in values], slots, n) for name in values[0]
    }
    if head["blocks"] is not None:
        shape, like = head["blocks"]
        is_array = isinstance(like, np.dtype)
        template = np.empty((0, *shape[1:]), dtype=like) if is_array else like
        blocks = tuple(_refer(blobs, each) for each in saved)
        X: Any = Blocks(blocks, shape, template)
    else:
        X = _place_features([blobs.read(r.features) for r in saved], slots, n, head)
    retained = np.unpackbits(head["retained"], count=n).astype(bool)
    rows = Rows(
        make_batch(X, full),
        slot_of,
        retained,
        declared=head["declared"],
        parts=head["parts"],
    )
    return rows, tuple(saved)


def _place(parts: list[np.ndarray], slots: np.ndarray, n: int) -> np.ndarray:
    """Return values by slot, zero where there are none."""
    joined = np.concatenate(parts)
    full = np.zeros((n, *joined.shape[1:]), dtype=joined.dtype)
    full[slots] = joined
    return full


def _place_features(
    parts: list[Any], slots: np.ndarray, n: int, head: dict[str, Any]
) -> Any:
    """Return rows by slot, as they are held in memory."""
    first = parts[0]
    if isinstance(first, np.ndarray):
        return _place(parts, slots, n)
    if sparse.issparse(first):
        joined = sparse.vstack(parts, format="csr")
        lengths = np.zeros(n, dtype=joined.indptr.dtype)
        lengths[slots] = np.diff(joined.indptr)
        indptr = np.concatenate([lengths[:0], [0], lengths.cumsum()])
        kind = type(first)
        stored = joined.data, joined.indices, indptr.astype(joined.indptr.dtype)
        return kind(stored, shape=(n, first.shape[1]))
    values = head["values"]
    joined = stack_frames([with_values(part, values) for part in parts])
    source = np.zeros(n, dtype=np.int64)  # a retained row stands where there is none
    source[slots] = np.arange(len(slots))
    return take_rows(joined, source)

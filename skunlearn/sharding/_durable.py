"""Classifiers whose rows and checkpoints are in a store on disk."""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.base import clone

from skunlearn._base import FittedParams, Removal
from skunlearn._compat import with_callbacks
from skunlearn._data.rows import Erasure
from skunlearn._records import ForgetRecord
from skunlearn._requests import Request, refuse_labels, resolve, warn_of_ambiguity
from skunlearn._runtime.cluster import find_cluster
from skunlearn.checkpoints._blobs import Blob
from skunlearn.checkpoints._change import StoreChange
from skunlearn.checkpoints._directory import as_store
from skunlearn.checkpoints._ledger import Line, expand, shorten
from skunlearn.checkpoints._receipts import Receipt
from skunlearn.checkpoints._session import Session
from skunlearn.checkpoints._transaction import Transaction
from skunlearn.exceptions import CheckpointCorruptedError
from skunlearn.sharding._forget import ForgettingMixin
from skunlearn.sharding._plans import Plan
from skunlearn.sharding._replay import is_reproduced
from skunlearn.sharding._state import State
from skunlearn.sharding._storage import SavedRows, load, save, save_rows

__all__ = ["DurableMixin"]


class DurableMixin(ForgettingMixin):
    """A classifier that may keep its state in a store."""

    checkpoint_store: Any
    _session: Session | None = None

    @classmethod
    def open(cls, store: Any, *, reforget: bool = False) -> Self:
        """Open the classifier that is in a store.

        Constituents and rows are loaded when they are needed. Requests that were
        acknowledged but not finished, as when the process died, are finished first.

        Parameters
        ----------
        store : str, PathLike or DirectoryStore
            The directory, or the store with its key file and head of the ledger.
        reforget : bool, default=False
            Whether a directory that is older than its ledger, as after a backup was
            restored, forgets again what the missing requests name. If False, it is not
            opened.

        Returns
        -------
        ShardedUnlearningClassifier
            The fitted classifier, the only one that can change the store.

        Raises
        ------
        SkunlearnError
            If there is no store, another classifier or process has it open, or it is
            older than its ledger.
        CheckpointCorruptedError
            If a file is damaged.

        Warnings
        --------
        Estimators are unpickled, which can run any code. Open only stores that you
        trust.

        Examples
        --------
        >>> import tempfile
        >>> from sklearn.datasets import load_iris
        >>> from skunlearn import ShardedUnlearningClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = f"{folder}/store"
        ...     classifier = ShardedUnlearningClassifier(
        ...         checkpoint_store=path, random_state=0
        ...     )
        ...     classifier = classifier.fit(X, y).forget(7)
        ...     del classifier
        ...     ShardedUnlearningClassifier.open(path).forgotten_indices_
        array([7])
        """
        session = Session.open(as_store(store), write=True)
        with session.releasing_on_error():
            positions = session.recover(reforget=reforget)
            classifier = cls._restore(session)
            with classifier._lock.take("open"):
                classifier._finish_requests(positions)
        return classifier

    @refuse_labels
    def enqueue(
        self, X_idx: Any = None, *, groups: Any = None, unknown: str = "raise"
    ) -> Self:
        """Acknowledge a request now, and leave the forgetting to `process_queue`.

        The request is on disk when this returns, and survives the death of the process.
        Until it is processed the classifier still answers with its rows. Requests of
        several threads are written together.

        Parameters
        ----------
        X_idx : int, sequence of int, slice or mask of bool, default=None
            Positions, as for `forget`.
        groups : group id or sequence of group ids, default=None
            Groups, as for `forget`.
        unknown : {"raise", "ignore"}, default="raise"
            What to do about unknown positions and groups, as for `forget`.

        Returns
        -------
        ShardedUnlearningClassifier
            The classifier itself.

        Raises
        ------
        ForgetIndexError
            If the request is one that `forget` would not take.
        ValueError
            If the classifier has no `checkpoint_store`.
        """
        session = self._use_session("enqueue")
        if not session.is_current:
            with self._lock.take("enqueue"):
                self._begin_change()
        with self._reading() as state:
            request = resolve(X_idx, groups, unknown, state.rows, state.groups)
        warn_of_ambiguity(request)
        positions, n_unknown = shorten(request.named), request.n_unknown
        named = {"positions": positions, "n_unknown": n_unknown}
        session.ledger.append({"type": "enqueued", **named})
        return self

    @with_callbacks
    def process_queue(self) -> Self:
        """Forget what all requests in the queue name, in one batch.

        If the queue is empty, nothing is recorded. If an exception is raised, all
        requests stay in the queue.

        Returns
        -------
        ShardedUnlearningClassifier
            The classifier itself.

        Raises
        ------
        NothingRetainedError
            If no row would be left to train on.
        ValueError
            If the classifier has no `checkpoint_store`.
        """
        session = self._use_session("process_queue")
        self._warn_of_unused_params()
        with self._lock.take("process_queue"):
            self._begin_change()
            lines = session.find_queue()
            if not lines:
                return self
            with Transaction("process_queue", self) as change:
                self._stage_removal(
                    change, self._join_requests(lines), queue=lines[-1].number + 1
                )
                change.commit()
        return self

    def _join_requests(self, lines: Iterable[Line]) -> Request:
        named, n_unknown = [], 0
        for line in lines:
            named.append(expand(line.entry["positions"]))
            n_unknown += line.entry["n_unknown"]
        positions = np.unique(np.concatenate(named))
        return Request.of(positions, self._rows, n_unknown=n_unknown)

    def _use_session(self, method: str) -> Session:
        self._check_is_fitted()
        if self._session is None:
            raise ValueError(
                f"{method} needs a store, in which requests are durable: fit with "
                "checkpoint_store, or call forget."
            )
        return self._session

    # Changes, as parts of a transaction

    def _prepare_receipt(self, path: Any, groups: Any) -> Receipt:
        return Receipt.prepare(path, groups, self._use_session("a receipt").store)

    def _begin_change(self) -> None:
        """Become the writer of the store, and read what others have changed."""
        if self._session is not None and self._session.become_writer():
            self._session.recover(reforget=False)
            self._read_state()
            self._finish_requests()

    def _stage_in_store(
        self, change: Transaction, request: Request, **options: Any
    ) -> Removal:
        assert self._session is not None
        receipt: Receipt | None = options.pop("receipt", None)
        plan = self._prepare(request, **options)
        stored = StoreChange(self._session)
        change.join(stored)
        queue = options.get("queue")
        line = stored.acknowledge(
            {
                "positions": shorten(request.named),
                "n_unknown": request.n_unknown,
                "retrain": options.get("retrain", True),
                "request_id": request.request_id,
                "queue": queue,
                "commitments": [] if receipt is None else receipt.commitments,
            }
        )
        if receipt is not None:
            change.join(receipt)
            receipt.write(self._session.identity, line)
        return self._stage_stored(change, stored, request, plan, queue)

    def _stage_stored(
        self,
        change: Transaction,
        stored: StoreChange,
        request: Request,
        plan: Plan,
        queue: int | None = None,
    ) -> Removal:
        """Do all of a request that is acknowledged but its commit."""
        assert self._session is not None
        removal = self._apply(plan)
        state, saved = save(self._session, removal.state, request.positions)
        seconds = time.perf_counter() - change.start
        record = removal.make_record(request, seconds)
        entry = {"type": "completed", "record": asdict(record)}
        stored.prepare(saved, self._describe_params(), entry, queue)
        change.stage(self, partial(_conclude, state, request.positions, record))
        return removal

    def _stage_state(self, change: Transaction, state: State, **entry: Any) -> None:
        """Plan to have a state that no request was made for."""
        if self._session is not None:
            stored = StoreChange(self._session)
            change.join(stored)
            state, saved = save(self._session, state)
            stored.prepare(saved, self._describe_params(), entry)
        super()._stage_state(change, state)

    def _begin_store(self, change: Transaction) -> StoreChange | None:
        """Return the first change of a new store, if a fit is to have one."""
        if self.checkpoint_store is None:
            return None
        session = Session.create(as_store(self.checkpoint_store))
        change.join(session)
        stored = StoreChange(session)
        change.join(stored)
        return stored

    def _store_rows(
        self, stored: StoreChange | None, plan: Plan
    ) -> tuple[Plan, tuple[SavedRows, ...]]:
        """Write the rows of a fit first, if workers of a cluster are to read them."""
        if stored is None or self.n_jobs == 1 or find_cluster() is None:
            return plan, ()
        state, written = save_rows(stored.session.blobs, plan.state)
        return replace(plan, state=state), written

    def _stage_fitted(
        self,
        change: Transaction,
        stored: StoreChange | None,
        state: State,
        attributes: dict[str, Any],
        written: Iterable[SavedRows] = (),
    ) -> None:
        """Plan to have the state of a fit, whose rows may be in files already."""
        session = None
        if stored is not None:
            session = stored.session
            state = self._store_fit(stored, state, attributes, written)
        change.stage(self, lambda _: state, _session=session, **attributes)

    def _store_fit(
        self,
        stored: StoreChange,
        state: State,
        attributes: dict[str, Any],
        written: Iterable[SavedRows],
    ) -> State:
        """Write the state of a fit, and what `open` makes a classifier of."""
        noted = {k: v for k, v in attributes.items() if not k.startswith("_")}
        settings = {
            "class": type(self),
            "params": clone(self).get_params(deep=False) | {"checkpoint_store": None},
            "attributes": noted,
        }
        entry = {"type": "fit", "n_positions": state.rows.n_positions}
        state, saved = save(stored.session, state, settings=settings, written=written)
        stored.prepare(saved, self._describe_params(), entry)
        return state

    def _describe_params(self) -> dict[str, str]:
        params = self.get_params(deep=False)
        params.pop("checkpoint_store")  # where the store is may change
        return {name: f"{value!r:.500}" for name, value in params.items()}

    def _finish_requests(self, positions: np.ndarray | None = None) -> None:
        """Finish what was acknowledged before, or is to be forgotten again."""
        session = self._session
        assert session is not None
        if positions is not None and len(positions):
            known = positions[positions < self._rows.n_positions]
            with Transaction("open", self) as change:
                request = Request.of(known, self._rows)
                self._stage_removal(change, request, request_id="reforget")
                change.commit()
        for line in session.find_pending():
            try:
                self._finish(line, line.entry["retrain"])
            except Exception:  # then without training, which can fail
                self._finish(line, False)

    def _finish(self, line: Line, retrain: bool) -> None:
        entry = line.entry
        with Transaction("open", self) as change:
            request = Request.of(
                expand(entry["positions"]),
                self._rows,
                n_unknown=entry["n_unknown"],
                request_id=entry["request_id"],
            )
            assert self._session is not None
            stored = StoreChange(self._session, line)
            change.join(stored)
            plan = self._prepare(request, retrain=retrain)
            self._stage_stored(change, stored, request, plan, entry["queue"])
            change.commit()

    # Reading

    @classmethod
    def _restore(cls, session: Session) -> Self:
        """Return the classifier that is in a store."""
        settings = session.blobs.read(Blob.from_json(session.content["settings"]))
        params = settings["params"] | {"checkpoint_store": session.store}
        classifier = cls(**params)
        classifier.__dict__.update(settings["attributes"])
        classifier._attach(session)
        return classifier

    def _attach(self, session: Session) -> None:
        self._session = session
        self._read_state()
        self._fitted_params = FittedParams(self, self._effective_later)

    def _read_state(self) -> None:
        """Read the state that the manifest names, or a newer one if files are gone."""
        session = self._session
        assert session is not None
        while True:
            try:
                self._state, session.saved = load(session)
            except CheckpointCorruptedError:
                if not session.follow():
                    raise
            else:
                return

    def _follow_store(self) -> bool:
        assert self._session is not None
        if not self._session.follow():
            return False
        self._read_state()
        return True

    def _load_voters(self) -> State | None:
        return self._ask_state(super()._load_voters)

    def _answer(self, X: Any) -> Any:
        return self._ask_state(partial(super()._answer, X))

    def _ask_state(self, ask: Callable[[], Any]) -> Any:
        """Return an answer from one state; files of an earlier one may be gone."""
        while True:
            state = getattr(self, "_state", None)
            try:
                return ask()
            except CheckpointCorruptedError:
                if self._state is state and not self._follow_store():
                    raise

    def __getstate__(self) -> dict[str, Any]:
        """Return a reference to the store, if there is one, in place of the state."""
        values = super().__getstate__()
        if self._session is not None:
            for name in ("_state", "_session", "_fitted_params", "_lease"):
                values.pop(name, None)
            values["_reference"] = self._session.store
        return values

    def __setstate__(self, values: dict[str, Any]) -> None:
        """Take over what a pickle has, and read the store that it refers to."""
        store = values.get("_reference")
        super().__setstate__({k: v for k, v in values.items() if k != "_reference"})
        if store is not None:
            self._attach(Session.open(store, write=False))

    # Replays

    def _count_shards(self) -> int:
        return len(self._state.shards)

    def _is_reproduced(self, shard: int) -> bool:
        return is_reproduced(self._state, shard)


def _conclude(
    state: State, positions: np.ndarray, record: ForgetRecord, erasure: Erasure
) -> State:
    """Return a state whose files are written, with its rows overwritten in memory."""
    return state.without_rows(positions, erasure).with_record(record)

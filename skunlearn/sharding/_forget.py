"""Requests of the sharded classifier: forget, retrain, preview."""

import time
from dataclasses import asdict, replace
from typing import Any, Self

from skunlearn._compat import with_callbacks
from skunlearn._records import ForgetRecord
from skunlearn._requests import Request, refuse_labels
from skunlearn.checkpoints._transaction import Transaction
from skunlearn.sharding._plans import (
    Completed,
    Plan,
    carry_out,
    plan_removal,
    plan_retraining,
)
from skunlearn.sharding._prediction import VotingMixin
from skunlearn.sharding._state import State

__all__ = ["ForgettingMixin"]


class ForgettingMixin(VotingMixin):
    """A classifier with a state of shards, from which rows can be removed."""

    @refuse_labels
    @with_callbacks
    def forget(
        self,
        X_idx: Any = None,
        *,
        groups: Any = None,
        retrain: bool = True,
        unknown: str = "raise",
        request_id: str | None = None,
        receipt: Any = None,
    ) -> Self:
        """Forget rows, as if they had never been in `X`.

        Parameters
        ----------
        X_idx : int, sequence of int, slice or mask of bool, default=None
            Positions of rows in the `X` passed to `fit`, continued by `partial_fit`.
            They are never renumbered. Rows that are already forgotten are counted and
            ignored.
        groups : group id or sequence of group ids, default=None
            Groups of which all rows are forgotten.
        retrain : bool, default=True
            Whether to retrain the affected shards now. If False, until `retrain` is
            called, each of them predicts with its last checkpoint from before the rows
            were used, or abstains if there is none.
        unknown : {"raise", "ignore"}, default="raise"
            Whether positions and groups that were never in the data are an error, or
            are counted in the record (`n_unknown`) while the rest is forgotten.
            Malformed requests are an error in any case.
        request_id : str, default=None
            Name of the request, for its record and for the ledger of the store. It is
            kept: do not put names of people in it.
        receipt : str or PathLike, default=None
            New file for a receipt, outside of the store, with which
            :func:`checkpoints.verify_receipt` finds the request in the ledger. It holds
            the group ids of the request, for the data subject and not for you to keep.
            Requires `checkpoint_store`.

        Returns
        -------
        ShardedUnlearningClassifier
            The classifier itself.

        Raises
        ------
        ForgetIndexError
            If a position or group does not exist, the request is malformed, or neither
            `X_idx` nor `groups` is given.
        SkunlearnError
            If there is a `checkpoint_store` that another process has open.
        NothingRetainedError
            If no row would be left to train on.

        Warns
        -----
        UserWarning
            If `fit` was given groups, and integers in `X_idx` are also ids of other
            rows' groups; or if parameters were set that only `fit` uses.

        Notes
        -----
        If an exception is raised, the classifier is unchanged, and a note on the
        exception says so. One exception: a Ctrl-C during the final swap is raised after
        it, without the note; the rows are then forgotten.
        """
        if not (request_id is None or isinstance(request_id, str)):
            raise TypeError(
                f"request_id must be a text or None; got {type(request_id).__name__}."
            )
        options = {"retrain": retrain, "request_id": request_id}
        if receipt is not None:
            options["receipt"] = self._prepare_receipt(receipt, groups)
        return self._forget(X_idx, groups, unknown, **options)

    def _prepare_receipt(self, path: Any, groups: Any) -> Any:
        raise NotImplementedError

    @with_callbacks
    def retrain(self) -> Self:
        """Retrain the shards that ``forget(..., retrain=False)`` has deferred.

        If nothing is pending, nothing is recorded.

        Returns
        -------
        ShardedUnlearningClassifier
            The classifier itself.

        Warns
        -----
        UnlearningQualityWarning
            If shards cannot be trained on the rows that they have left. The others
            are; these stay pending, and `retrain` can be called again.
        UserWarning
            If parameters were set that only `fit` uses.
        """
        self._check_is_fitted()
        self._warn_of_unused_params()
        with self._lock.take("retrain"):
            self._begin_change()
            with Transaction("retrain", self) as change:
                plan = plan_retraining(self._state)
                if not plan.touched:
                    return self
                completed = carry_out(self, plan, "retrain", keep_going=True)
                seconds = time.perf_counter() - change.start
                record = completed.make_record(Request.nothing(), seconds)
                state = completed.state.with_record(record)
                self._stage_state(change, state, type="retrain", record=asdict(record))
                change.commit()
        return self

    def _stage_state(self, change: Transaction, state: State, **entry: Any) -> None:
        """Plan to have another state; the entry says why, where there is a ledger."""
        change.stage(self, lambda _: state)

    @refuse_labels
    def preview_forget(
        self, X_idx: Any = None, *, groups: Any = None, unknown: str = "raise"
    ) -> ForgetRecord:
        """Preview the cost of `forget` without modifying the classifier.

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
        ForgetRecord
            The record that `forget` would add. Its `seconds` are those of the preview.
        """
        return self._preview(X_idx, groups, unknown)

    def _prepare(self, request: Request, **options: Any) -> Plan:
        """Return the plan of a removal; with ``retrain=False`` nothing is trained."""
        plan = plan_removal(self._state, request.positions)
        return plan if options.get("retrain", True) else replace(plan, touched=())

    def _apply(self, removal: Plan) -> Completed:
        """Train the shards that a removal touches."""
        try:
            return carry_out(self, removal, "forget")
        except Exception as error:
            error.add_note(
                "forget(..., retrain=False) forgets these rows without training. "
                "retrain() then trains the shards that it can."
            )
            raise

    @property
    def n_pending_(self) -> int:
        """Number of forgotten positions whose shards `retrain` has yet to train."""
        self._check_is_fitted()
        return len(self._state.pending)

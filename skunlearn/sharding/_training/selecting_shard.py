"""A shard that is trained on representative rows, and not on all it has."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from skunlearn.checkpoints._memory import Checkpoint
from skunlearn.sharding._selection.selected_rows import ClassBlock, SelectedRows
from skunlearn.sharding._training.schedule import Step
from skunlearn.sharding._training.shard import Labels, Shard

__all__ = ["SelectingShard"]


@dataclass(frozen=True, eq=False)
class SelectingShard(Shard):
    """A shard that chooses among its rows.

    Its `slots` are the rows that the checkpoints were trained on; `bounds` and
    `label_counts` are those of the rows that will be.

    Parameters
    ----------
    policy, seed_path, slots, bounds, label_counts, states, pending
        As for `Shard`.
    selected : SelectedRows
        All rows, and which ones are chosen.
    """

    selected: SelectedRows = field(default_factory=SelectedRows)

    def in_slots(self, slots: np.ndarray) -> Shard:
        """Return the shard with its rows, picked or not, in other slots."""
        moved = replace(self, selected=self.selected.in_slots(slots))
        return super(SelectingShard, moved).in_slots(slots)

    def find_rows(
        self, steps: tuple[Step, ...]
    ) -> tuple[np.ndarray, int, SelectedRows | None]:
        """Return all rows: which of them steps are trained on is chosen then."""
        return self.selected.slots, 0, self.selected

    def with_states(
        self, trained: Mapping[int, Checkpoint], selected: SelectedRows | None = None
    ) -> Shard:
        """Return the shard with all checkpoints, and the rows that they are of."""
        selected = self.selected if selected is None else selected
        slots = np.concatenate(selected.picked)
        chosen = replace(self, selected=selected, slots=slots)
        return super(SelectingShard, chosen).with_states(trained)

    def with_selected(self, selected: SelectedRows) -> "SelectingShard":
        """Return the shard with other rows to choose from."""
        selected = selected.trimmed(self.policy.n_slices)
        label_counts = selected.count(self.label_counts.shape[1])
        if self.policy.resume is None:
            label_counts = label_counts.sum(axis=0, keepdims=True)
        ends = label_counts.sum(axis=1).cumsum()
        bounds = np.concatenate([[0], ends])
        return replace(
            self, selected=selected, bounds=bounds, label_counts=label_counts
        )

    def without_rows(
        self, slots: np.ndarray, positions: np.ndarray, find_labels: Labels
    ) -> Shard:
        """Return the shard without some rows; those not chosen cost nothing."""
        smaller, changed = self.selected.without_rows(slots)
        if changed is None:
            return replace(self, selected=smaller)
        n_kept = 0 if self.policy.resume is None else changed
        pending = np.concatenate([self.pending, positions])
        cut_back = replace(self, states=self.states[:n_kept], pending=pending)
        return cut_back.with_selected(smaller)

    def with_rows(
        self,
        slots: np.ndarray,
        count_labels: Labels,
        make_blocks: Callable[[np.ndarray], tuple[ClassBlock, ...]],
    ) -> Shard:
        """Return the shard with a new last slice to choose from."""
        states = () if self.policy.resume is None else self.states
        selected = self.selected.with_rows(slots, make_blocks(slots))
        return replace(self, states=states).with_selected(selected)

    def trimmed(self) -> Shard:
        """Return the shard without later slices of which none are to be chosen."""
        return self.with_selected(self.selected)

    def continuing(self, old: Shard | None, positions: np.ndarray) -> Shard:
        """Return the shard with choices and checkpoints that are still true."""
        if not isinstance(old, SelectingShard):
            return self
        selected, n_same = self.selected.continuing(old.selected)
        if n_same == len(selected.blocks) == len(old.selected.blocks):
            return old
        n_kept = 0 if self.policy.resume is None else n_same
        pending = np.union1d(old.pending, positions)
        return replace(
            self, selected=selected, states=old.states[:n_kept], pending=pending
        )

    def with_classes(
        self, columns: np.ndarray, n_classes: int, positions: np.ndarray
    ) -> Shard:
        """Return the shard with its counts in other columns."""
        relabeled = replace(self, selected=self.selected.with_labels(columns))
        return super(SelectingShard, relabeled).with_classes(
            columns, n_classes, positions
        )

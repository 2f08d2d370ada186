"""All that a fitted sharded classifier knows, and how it changes.

Nothing here is changed in place: a plan makes the shards as they will be, training
completes them, and the classifier then swaps references.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from skunlearn._base import Records
from skunlearn._data.hashing import hash_positions
from skunlearn._data.identities import GroupIndex
from skunlearn._data.rows import Erasure, Rows
from skunlearn._pickling import FieldsOnly
from skunlearn._records import ForgetRecord
from skunlearn.sharding._aggregation.voters import Voters
from skunlearn.sharding._partition.base import RowTraits
from skunlearn.sharding._partition.layout import Layout
from skunlearn.sharding._selection.selected_rows import ClassBlock, SelectedRows
from skunlearn.sharding._training.recipe import Recipe
from skunlearn.sharding._training.selecting_shard import SelectingShard
from skunlearn.sharding._training.shard import Shard, Shards

__all__ = ["State"]


@dataclass(frozen=True, eq=False)
class State(FieldsOnly):
    """A fitted sharded classifier.

    Parameters
    ----------
    recipe : Recipe
        How constituents are made.
    layout : Layout
        Where rows belong.
    groups : GroupIndex or None
        The groups of rows, if there are any.
    rows : Rows
        The rows.
    batches : tuple of int
        Position of the first row of each batch: that of fit, those of partial_fit.
    classes : ndarray of shape (n_classes,)
        Classes of the retained rows.
    class_hashes : ndarray of uint64, shape (n_classes,)
        Hash of each class.
    class_counts : ndarray of shape (n_classes,)
        Retained rows of each class.
    shards : Shards
        The shards.
    class_weights : ndarray of shape (n_classes,) or None
        Weight of each class, see `weighed`.
    records : Records
        What was forgotten so far, and at what cost.
    """

    recipe: Recipe
    layout: Layout
    groups: GroupIndex | None
    rows: Rows
    batches: tuple[int, ...]
    classes: np.ndarray
    class_hashes: np.ndarray
    class_counts: np.ndarray
    shards: Shards
    class_weights: Any = None
    records: Records = field(default_factory=Records)

    def __setstate__(self, values: dict[str, Any]) -> None:
        """Restore the fields; formats other than pickle make shards a plain tuple."""
        vars(self).update(values, shards=Shards(values["shards"]))

    @property
    def n_samples_full(self) -> int:
        """Return the rows that retraining all shards would pass to training."""
        return self.shards.n_samples_full

    @property
    def pending(self) -> np.ndarray:
        """Return the forgotten positions whose shards are still to be trained."""
        return np.unique(np.concatenate([shard.pending for shard in self.shards]))

    @property
    def labels_told(self) -> np.ndarray | None:
        """Return all labels for estimators that must know them, else None."""
        policy = self.recipe.policy
        return None if policy.start == "fit" else policy.role.known_labels(self.classes)

    @property
    def prototype(self) -> Any:
        """Return what the constituents are clones of."""
        return self.recipe.prototype

    @property
    def estimators(self) -> list[Any]:
        """Return the constituents in order of shards, None where there is none."""
        return [shard.estimator for shard in self.shards]

    @cached_property
    def voters(self) -> Voters:
        """Return the constituents that there are."""
        pairs = [(i, shard.estimator) for i, shard in enumerate(self.shards)]
        seated = [i for i, estimator in pairs if estimator is not None]
        weights = np.ones(len(seated))
        if self.layout.partition.weighs_by_size:
            weights[:] = [self.shards[i].bounds[-1] for i in seated]
        return Voters(
            estimators=[pairs[i][1] for i in seated],
            shards=seated,
            values=[self.shards[i].list_values(self.rows) for i in seated],
            weights=weights,
            prototype=self.prototype,
            classes=self.classes,
        )

    @property
    def n_shards(self) -> int:
        """Return the number of shards."""
        return len(self.shards)

    @property
    def n_classes(self) -> int:
        """Return the number of classes."""
        return len(self.classes)

    @property
    def is_label(self) -> np.ndarray:
        """Return a mask of classes that can be predicted: -1 may stand for no label."""
        has_numbers = self.classes.dtype.kind in "if" and self.n_classes > 1
        if has_numbers and self.recipe.input_tags.is_semi_supervised:
            return self.classes != -1
        return np.ones(self.n_classes, dtype=bool)

    def find_codes(self, slots: np.ndarray) -> np.ndarray:
        """Return the class of each slot, as an index into `classes`."""
        return self.classes.searchsorted(self.rows.data.y[slots])

    def find_labels(self, shard: int, slots: np.ndarray) -> np.ndarray:
        """Return the label that each slot has in a shard."""
        partition = self.layout.partition
        own = partition.find_class(shard) if partition.is_by_class else None
        return self.recipe.policy.role.labels(self.find_codes(slots), own)

    def count_labels(self, shard: int, slots: np.ndarray) -> np.ndarray:
        """Return how many of the slots have each label in a shard."""
        n_labels = self.recipe.policy.role.n_labels(self.n_classes)
        return np.bincount(self.find_labels(shard, slots), minlength=n_labels)

    def count_negatives(self) -> Iterator[tuple[int, int, int]]:
        """Yield each shard of one class against others: how many, of how many."""
        n_parts = len(self.shards) // self.n_classes
        own = np.array([shard.label_counts[:, 1].sum() for shard in self.shards])
        in_part = own.reshape(-1, n_parts).sum(axis=0)
        for i, shard in enumerate(self.shards):
            n_rest = in_part[i % n_parts] - own[i]
            yield i, int(shard.label_counts[:, 0].sum()), int(n_rest)

    def find_counting(self) -> np.ndarray:
        """Return the retained positions that have weight. It takes a pass over all."""
        positions = np.flatnonzero(self.rows.retained)
        weight = self.rows.data.sample_weight
        if weight is not None:
            positions = positions[weight[self.rows.slot_of[positions]] > 0]
        return positions

    def find_group_probabilities(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the hash of each retained row's group, and its probability to go.

        That is 0 where the group came without any. None if there are no groups.
        """
        if self.groups is None:
            return None
        proba = self.rows.data.forget_proba
        positions = self.find_counting()
        slots = self.rows.slot_of[positions]
        values = np.zeros(len(slots)) if proba is None else proba[slots]
        return self.groups.hashes[positions], values

    def weighed(self, gone: Any = ()) -> "State":
        """Return the state with the weight of each class, but for positions that go.

        Only answers of one class each are weighed by it. It is found here and not when
        they are: rows may be overwritten meanwhile. With weights it takes a pass over
        all rows, in the order of their positions, so that sums are to the last bit
        those of a fit on the retained rows.
        """
        weight = self.rows.data.sample_weight
        if weight is None or self.layout.partition.find_class(0) is None:
            return replace(self, class_weights=self.class_counts)
        positions = self.find_counting()
        if len(gone):
            positions = np.setdiff1d(positions, gone, assume_unique=True)
        slots = self.rows.slot_of[positions]
        weights = np.bincount(self.find_codes(slots), weight[slots], self.n_classes)
        return replace(self, class_weights=weights)

    def describe(self, positions: np.ndarray) -> RowTraits:
        """Return what decides where the rows at the given positions belong."""
        slots = self.rows.slot_of[positions]
        proba = self.rows.data.forget_proba
        return RowTraits(
            self.hash_identities(positions),
            self.find_codes(slots),
            self.class_hashes,
            None if proba is None else proba[slots],
        )

    def hash_identities(self, positions: np.ndarray) -> np.ndarray:
        """Return the hash of the identity of each position, forgotten or not."""
        if self.groups is None:
            return hash_positions(positions, self.layout.key)
        return self.groups.hashes[positions]

    def take_first_row(self, shard: int) -> Any:
        """Return a row that the constituent of a shard was trained on."""
        return self.rows.take(self.shards[shard].slots_seen[:1]).X

    def make_shards(self, slots: list[np.ndarray], bounds: list[np.ndarray]) -> Shards:
        """Return untrained shards of the given slots, cut into slices at the bounds."""
        policy, partition = self.recipe.policy, self.layout.partition
        shards = (
            Shard(
                policy=policy,
                seed_path=partition.make_seed_path(i, self.class_hashes),
                slots=mine,
                bounds=edges,
                label_counts=np.stack(
                    [self.count_labels(i, part) for part in np.split(mine, edges[1:-1])]
                ),
            )
            for i, (mine, edges) in enumerate(zip(slots, bounds, strict=True))
        )
        if self.recipe.selection is None:
            return Shards(shards)
        hashes = self.hash_slots()
        return Shards(
            self._select_among(i, shard, hashes) for i, shard in enumerate(shards)
        )

    def hash_slots(self) -> np.ndarray:
        """Return the hash of the row in each slot. It takes a pass over all."""
        hashes = np.zeros(self.rows.n_slots, dtype=np.uint64)
        hashes[self.rows.slot_of] = self.hash_identities(
            np.arange(self.rows.n_positions)
        )
        return hashes

    def _select_among(
        self, index: int, shard: Shard, hashes: np.ndarray
    ) -> SelectingShard:
        """Return a shard that is to choose among its rows."""
        selected = SelectedRows()
        for slice_, slots in enumerate(shard.cut()):
            blocks = self.make_blocks(index, slice_, slots, hashes)
            selected = selected.with_rows(slots, blocks)
        selecting = SelectingShard(
            shard.policy,
            shard.seed_path,
            shard.slots,
            shard.bounds,
            shard.label_counts,
        )
        return selecting.with_selected(selected)

    def make_blocks(
        self, shard: int, slice_: int, slots: np.ndarray, hashes: np.ndarray
    ) -> tuple[ClassBlock, ...]:
        """Return rows of one slice by class, and how many of them are to be picked."""
        assert self.recipe.selection is not None
        codes, labels = self.find_codes(slots), self.find_labels(shard, slots)
        fraction = self.recipe.selection.fraction
        blocks = []
        for code in np.unique(codes):
            mine = slots[codes == code]
            blocks.append(
                ClassBlock(
                    class_hash=int(self.class_hashes[code]),
                    label=int(labels[codes == code][0]),
                    slots=mine,
                    hashes=hashes[mine],
                    pools=self.layout.plan_pools(
                        shard, slice_, int(code), self.class_hashes, fraction
                    ),
                    picks=slots[:0],
                )
            )
        return tuple(blocks)

    def held_in(self, rows: Rows) -> "State":
        """Return the state after a fit, with its rows where others hold them."""
        slots = np.empty_like(self.rows.slot_of)
        slots[self.rows.slot_of] = rows.slot_of
        shards = Shards(shard.in_slots(slots) for shard in self.shards)
        return replace(self, rows=rows, shards=shards)

    def without_rows(self, positions: np.ndarray, erasure: Erasure) -> "State":
        """Return the state with rows that are to be overwritten."""
        return replace(self, rows=self.rows.prepare_forget(positions, erasure))

    def with_record(self, record: ForgetRecord) -> "State":
        """Return the state with one more record."""
        return replace(self, records=self.records.append(record))

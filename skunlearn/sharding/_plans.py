"""The changes that a sharded classifier goes through, as plans.

Planning trains nothing and changes nothing; it finds the shards that a change touches
and cuts their checkpoints back to those that the change leaves true.
"""

import time
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from itertools import chain, pairwise
from typing import Any

import numpy as np

from skunlearn._data.casting import trim_text
from skunlearn._data.identities import GroupIndex, hash_groups
from skunlearn._records import ForgetRecord
from skunlearn._requests import Request
from skunlearn._runtime.progress import LISTENED, Progress
from skunlearn._runtime.warn import warn
from skunlearn.checkpoints._memory import MemoryCheckpoint
from skunlearn.exceptions import NothingRetainedError
from skunlearn.sharding._adapters.base import ADAPTERS
from skunlearn.sharding._class_changes import find_touched, with_classes
from skunlearn.sharding._partition.base import RowTraits
from skunlearn.sharding._partition.incoming import IncomingRows
from skunlearn.sharding._partition.layout import Layout, Places
from skunlearn.sharding._partition.registry import PartitionSpec
from skunlearn.sharding._selection.selected_rows import ClassBlock
from skunlearn.sharding._state import State
from skunlearn.sharding._training.recipe import Recipe
from skunlearn.sharding._training.schedule import Step, count_samples
from skunlearn.sharding._training.shard import Shard, Shards
from skunlearn.sharding._training.stored_rows import StoredRows
from skunlearn.sharding._training.tasks import Task, train_shards

# Shards that are idle by chance, of rows that are many enough, are fewer than these.
_IDLE_SHARE = 0.25
_FEW_ROWS = 100

__all__ = [
    "Completed",
    "Plan",
    "carry_out",
    "complete",
    "plan_addition",
    "plan_fit",
    "plan_removal",
    "plan_retraining",
    "warn_of_small_shards",
]


@dataclass(frozen=True, eq=False)
class Plan:
    """A state to come, whose touched shards are still to be trained.

    Parameters
    ----------
    state : State
        The state, with shards that lack checkpoints.
    touched : tuple of int
        Shards that the plan changes.
    """

    state: State
    touched: tuple[int, ...]

    @cached_property
    def steps(self) -> dict[int, tuple[Step, ...]]:
        """Return the steps to make, by shard; shards without any are left out."""
        missing = {}
        for i in self.touched:
            missing[i] = self.state.shards[i].missing_steps
        return {i: steps for i, steps in missing.items() if steps}

    @property
    def n_slices(self) -> int:
        """Return the number of training steps to make."""
        steps = (step for steps in self.steps.values() for step in steps)
        return sum(step.kind != "constant" for step in steps)

    @property
    def n_samples(self) -> int:
        """Return the number of rows to pass to training."""
        return count_samples(chain.from_iterable(self.steps.values()))

    def make_record(
        self, request: Request, seconds: float, **others: Any
    ) -> ForgetRecord:
        """Return the record of a request that this plan answers."""
        return ForgetRecord(
            **request.counts,
            shards=self.touched,
            n_slices_retrained=self.n_slices,
            n_samples_retrained=self.n_samples,
            n_samples_full_retrain=self.state.n_samples_full,
            seconds=seconds,
            kind="exact",
            **others,
        )

    def make_tasks(
        self, may_refer: bool, shards: Container[int] | None = None
    ) -> Iterator[Task]:
        """Yield the training to do, in some shards or all.

        Each task has a copy of its rows. If tasks `may_refer` to rows that are in
        files, these stay there.
        """
        for i, steps in self.steps.items():
            if shards is None or i in shards:
                yield self._make_task(i, steps, may_refer)

    def _make_task(self, index: int, steps: tuple[Step, ...], may_refer: bool) -> Task:
        state, shard = self.state, self.state.shards[index]
        slots, offset, selected = shard.find_rows(steps)
        has_negatives = state.recipe.policy.role.has_negatives
        y = state.find_labels(index, slots) if has_negatives else None
        X = state.rows.data.X
        rows: Any = StoredRows.find(X, slots, y) if may_refer else None
        if rows is None:
            adapter = ADAPTERS.get(type(state.recipe.prototype))
            is_safe = adapter is not None and adapter.reads_only
            rows = state.rows.borrow(slots) if is_safe else state.rows.take(slots)
            rows = rows if y is None else replace(rows, y=y)
        values = {}
        if offset > 0:
            find = state.rows.list_values
            values = {s.slice: find(shard.slots[: s.n_known or s.stop]) for s in steps}
        return Task(
            shard=index,
            seed_path=shard.seed_path,
            steps=steps,
            rows=rows,
            offset=offset,
            state=shard.states[-1] if shard.states else None,
            classes=state.labels_told,
            all_classes=state.classes,
            selected=selected,
            declared=state.rows.declared,
            values=values,
        )


@dataclass(frozen=True, eq=False)
class Completed:
    """A plan that was carried out.

    Parameters
    ----------
    plan : Plan
        The plan, which tells the cost.
    state : State
        The state that it came to.
    selection_seconds : float
        Time that was spent on selecting rows.
    n_failed : int, default=0
        Shards that could not be trained, which the plan leaves out.
    """

    plan: Plan
    state: State
    selection_seconds: float
    n_failed: int = 0

    def make_record(self, request: Request, seconds: float) -> ForgetRecord:
        """Return the record of the request that was the reason for it."""
        return self.plan.make_record(
            request,
            seconds,
            selection_seconds=self.selection_seconds,
            n_failed_shards=self.n_failed,
        )


def plan_fit(
    recipe: Recipe, layout: Layout | PartitionSpec, incoming: IncomingRows
) -> Plan:
    """Plan to learn rows from scratch.

    A specification is fixed to a layout by these rows; a layout stays as it is.
    """
    incoming = incoming.with_group_probabilities()
    classes = trim_text(incoming.classes)
    recipe.check_classes(classes)
    class_hashes = hash_groups(classes, layout.key)
    traits = incoming.describe(classes, class_hashes)
    layout = layout.fix(traits)
    places = layout.place(traits)
    layout = _count_sizes(layout, recipe, traits, places, 0)
    class_counts = np.bincount(traits.codes, minlength=len(classes))
    groups = _index_groups(incoming, layout.key)
    del traits  # it would take as much memory as two features while rows are copied
    incoming = replace(incoming, hashes=class_hashes[:0])
    state = State(
        recipe=recipe,
        layout=layout,
        groups=groups,
        rows=incoming.sort(places).with_own_values(),
        batches=(0,),
        classes=classes,
        class_hashes=class_hashes,
        class_counts=class_counts,
        shards=Shards(),
    )
    shards = state.make_shards(places.members, places.bounds)
    state = replace(state, shards=shards).weighed()
    return Plan(state, tuple(range(len(shards))))


def _index_groups(incoming: IncomingRows, key: int) -> GroupIndex | None:
    if not incoming.has_groups:
        return None
    return GroupIndex(incoming.hashes, key, incoming.kinds)


def _count_sizes(
    layout: Layout, recipe: Recipe, traits: RowTraits, places: Places, slice_: int
) -> Layout:
    """Return the layout with what a selection has to know of rows that come."""
    if recipe.selection is None:
        return layout
    return layout.count_sizes(traits, places, slice_, recipe.selection.fraction)


def plan_addition(state: State, incoming: IncomingRows) -> Plan:
    """Plan to learn more rows: a new last slice in each shard that they fall in."""
    incoming = incoming.with_group_probabilities(state.find_group_probabilities())
    classes = trim_text(np.union1d(state.classes, incoming.classes))
    class_hashes = hash_groups(classes, state.layout.key)
    traits = incoming.describe(classes, class_hashes)
    places = state.layout.place_in_one_slice(traits)
    slice_ = state.layout.n_slices + len(state.batches) - 1
    layout = _count_sizes(state.layout, state.recipe, traits, places, slice_)
    n_before, n_slots = state.rows.n_positions, state.rows.n_slots
    groups = None
    if state.groups is not None:
        groups = state.groups.extend(incoming.hashes, incoming.kinds)
    grown = replace(
        state,
        layout=layout,
        groups=groups,
        rows=state.rows.append(incoming.sort(places)),
        batches=(*state.batches, n_before),
    )
    class_counts = np.bincount(traits.codes, minlength=len(classes))
    grown = with_classes(grown, classes, class_hashes, np.empty(0, dtype=np.int64))
    grown = replace(grown, class_counts=grown.class_counts + class_counts)
    has_moved_rows = (  # all of them have been laid out again
        state.recipe.policy.role.has_negatives and len(classes) > state.n_classes
    )
    if not has_moved_rows:
        grown = _with_rows(grown, [slots + n_slots for slots in places.members])
    return Plan(grown.weighed(), find_touched(state, grown))


def _with_rows(state: State, slots: list[np.ndarray]) -> State:
    """Return the state with new slots in its shards."""
    shards = dict[int, Shard]()
    slice_ = state.layout.n_slices + len(state.batches) - 2
    hash_slots = cache(state.hash_slots)  # a pass over all rows, if at all

    def make_blocks(shard: int, new: np.ndarray) -> tuple[ClassBlock, ...]:
        return state.make_blocks(shard, slice_, new, hash_slots())

    for i, mine in enumerate(slots):
        if len(mine):
            shards[i] = state.shards[i].with_rows(
                mine, partial(state.count_labels, i), partial(make_blocks, i)
            )
    return replace(state, shards=state.shards.changed(shards))


def plan_removal(state: State, positions: np.ndarray) -> Plan:
    """Plan to forget the rows at the given positions, at the cost of their shards.

    Raises
    ------
    NothingRetainedError
        If no row would be left to train on.
    """
    weight = state.rows.data.sample_weight
    if weight is not None:
        positions = positions[weight[state.rows.slot_of[positions]] > 0]
    traits, slots = state.describe(positions), state.rows.slot_of[positions]
    lost = np.bincount(traits.codes, minlength=len(state.classes))
    class_counts = state.class_counts - lost
    if not class_counts.any():
        raise NothingRetainedError(
            f"forgetting {len(positions)} rows would leave none to train on. Keep at "
            "least one row or, if all is to go, delete the classifier."
        )
    shards, touched = dict[int, Shard](), list[int]()
    for i, which in _group_by_shard(state.layout.partition.find_shards(traits)):
        smaller = state.shards[i].without_rows(
            slots[which], positions[which], partial(state.find_labels, i)
        )
        shards[i] = smaller.settled()
        if not shards[i].same_rows_as(state.shards[i]):
            touched.append(i)
    changed = state.shards.changed(shards)
    reduced = replace(state, class_counts=class_counts, shards=changed)
    if class_counts.all():
        return Plan(reduced.weighed(positions), tuple(touched))
    is_left = class_counts > 0
    classes = trim_text(state.classes[is_left])
    reduced = with_classes(reduced, classes, state.class_hashes[is_left], positions)
    settled = Shards(shard.settled() for shard in reduced.shards)
    reduced = replace(reduced, shards=settled).weighed(positions)
    return Plan(reduced, find_touched(state, reduced))


def plan_retraining(state: State) -> Plan:
    """Plan to train what was deferred."""
    shards = enumerate(state.shards)
    return Plan(state, tuple(i for i, shard in shards if not shard.is_trained))


def carry_out(
    classifier: Any, plan: Plan, method: str, *, keep_going: bool = False
) -> Completed:
    """Train what a plan leaves to train, and let a classifier report on the way."""
    start = time.perf_counter()
    has_listeners = any(hasattr(classifier, name) for name in LISTENED)
    progress = Progress(classifier, method, len(plan.steps)) if has_listeners else None

    def report(shard: int) -> None:
        if classifier.verbose:
            message = f"trained shard {shard + 1} of {len(plan.state.shards)}"
            classifier._say(f"({method}) {message}", time.perf_counter() - start)
        if progress is not None:
            progress.finish_task("shard")

    completed = complete(plan, classifier.n_jobs, report, keep_going)
    if progress is not None:
        progress.finish()
    return completed


def complete(
    plan: Plan,
    n_jobs: int | None,
    report: Callable[[int], None],
    keep_going: bool = False,
) -> Completed:
    """Train what a plan leaves to train.

    If it is to `keep_going`, shards that cannot be trained stay what they are.
    """
    trained = train_shards(
        plan.state.recipe,
        plan.make_tasks,
        n_tasks=len(plan.steps),
        n_values=plan.n_samples * np.shape(plan.state.rows.data.X)[-1],
        n_jobs=n_jobs,
        report=report,
        keep_going=keep_going,
    )
    errors = {i: result.error for i, result in trained.items() if result.error}
    done = Plan(plan.state, tuple(i for i in plan.touched if i not in errors))
    states = {
        i: {k: MemoryCheckpoint(state) for k, state in result.states.items()}
        for i, result in trained.items()
    }
    shards = dict[int, Shard]()
    for i in done.touched:
        selected = trained[i].selected if i in trained else None
        shards[i] = plan.state.shards[i].with_states(states.get(i, {}), selected)
    _warn_of_failures([r.failure for r in trained.values() if r.failure is not None])
    _warn_of_errors(errors)
    seconds = sum((result.selection_seconds for result in trained.values()), 0.0)
    state = replace(plan.state, shards=plan.state.shards.changed(shards))
    return Completed(done if errors else plan, state, seconds, len(errors))


def warn_of_small_shards(plan: Plan) -> None:
    """Say if many shards have so few rows, or classes, that they learn nothing.

    Below a hundred rows, or with a single class, it cannot be otherwise.
    """
    state, n_shards = plan.state, len(plan.state.shards)
    n_rows = int(state.class_counts.sum())
    if n_rows < _FEW_ROWS or state.n_classes < 2:
        return
    steps = (plan.steps.get(i, ()) for i in range(n_shards))
    n_idle = sum(all(step.kind == "constant" for step in mine) for mine in steps)
    if n_idle > _IDLE_SHARE * n_shards:
        warn(
            f"{n_idle} of {n_shards} shards are too small for their estimator: they "
            "have no rows, or those of a single class, and predict a constant. There "
            f"are {n_rows} rows, {int(state.class_counts.min())} of them in the "
            "smallest class. Use fewer shards (n_shards), or "
            "skunlearn.costs.recommend_shards.",
            UserWarning,
        )


def _warn_of_errors(errors: dict[int, str]) -> None:
    if errors:
        first, *_ = sorted(errors)
        names = ", ".join(str(i + 1) for i in sorted(errors)[:10])
        warn(
            f"{len(errors)} shards could not be retrained and stay pending: {names}"
            f"{', ...' if len(errors) > 10 else ''}. Until retrain() succeeds, they "
            "predict without the forgotten rows, or abstain. Shard "
            f"{first + 1} has failed with {errors[first]}"
        )


def _warn_of_failures(failures: list[str]) -> None:
    if failures:
        warn(
            f"the one-class model could not be fitted in {len(failures)} shards, and a "
            "spherical Gaussian around the mean of their rows replaces it. The first "
            f"of them failed with: {failures[0]}"
        )


def _group_by_shard(shards: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each shard of an (n_rows, n_joined) array, and the rows in it."""
    flat = shards.ravel()
    if len(flat) == 1:  # as most requests are
        yield int(flat[0]), np.zeros(1, dtype=np.int64)
        return
    order = np.argsort(flat, kind="stable")
    starts = np.flatnonzero(np.diff(flat[order], prepend=-1))
    for start, stop in pairwise([*starts.tolist(), len(flat)]):
        members = order[start:stop]
        yield int(flat[members[0]]), members // shards.shape[1]

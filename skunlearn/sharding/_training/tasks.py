"""Train the constituents of shards: what joblib's workers run.

A task is given the rows of its own shard and nothing else, and what comes out depends
on the task alone: not on the worker, the number of workers, or their threads.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from joblib import effective_n_jobs
from joblib.parallel import get_active_backend
from sklearn.utils.parallel import Parallel, delayed

from skunlearn._data.casting import trim_text
from skunlearn._data.containers import (
    is_frame,
    list_values,
    slice_rows,
    view_rows,
)
from skunlearn._data.declarations import NOTHING, Declarations
from skunlearn._data.rows import Batch
from skunlearn._estimators.fit_params import cut_fit_params
from skunlearn._estimators.growing import grow, remember, set_size
from skunlearn._runtime.cluster import Cluster, find_cluster, is_in_worker
from skunlearn._runtime.threads import limit_own_thread, single_threaded
from skunlearn._runtime.warn import (
    CaughtWarning,
    catch_if_alone,
    catch_in_worker,
    warn,
    warn_again,
)
from skunlearn.checkpoints._memory import Checkpoint, MemoryCheckpoint
from skunlearn.exceptions import SkunlearnError
from skunlearn.sharding._adapters.base import ADAPTERS
from skunlearn.sharding._selection.representative import RepresentativeSelection
from skunlearn.sharding._selection.selected_rows import SelectedRows
from skunlearn.sharding._training.recipe import Recipe, own_arrays
from skunlearn.sharding._training.schedule import Step
from skunlearn.sharding._training.stored_rows import StoredRows

_MIN_VALUES = 200_000  # a few milliseconds of training
_CHUNKS_PER_JOB = 8  # few enough to cost little, and many for jobs to end together

__all__ = ["Task", "Trained", "train_shard", "train_shards"]


@dataclass(frozen=True, eq=False)
class Task:
    """Training to do in one shard.

    Parameters
    ----------
    shard : int
        Index of the shard.
    seed_path : tuple of int
        What tells its seeds from those of other shards.
    steps : tuple of Step
        What to do, in order.
    rows : Batch or StoredRows
        Rows of the shard, from `offset` on, as far as the steps need them. They are to
        be loaded if they are in files.
    offset : int
        Place in the shard of the first row in `rows`.
    state : Checkpoint or None
        What to go on from, if the first step does.
    classes : ndarray or None
        All labels, for estimators that must know them.
    all_classes : ndarray of shape (n_classes,)
        All classes.
    selected : SelectedRows or None
        If given, `rows` are those to choose from.
    declared : Declarations
        The orders in which columns of `rows` declare values.
    values : dict
        By slice, the values of rows so far, where some of them are not in `rows`.
    """

    shard: int
    seed_path: tuple[int, ...]
    steps: tuple[Step, ...]
    rows: Any
    offset: int
    state: Checkpoint | None
    classes: np.ndarray | None
    all_classes: np.ndarray
    selected: SelectedRows | None = None
    declared: Declarations = NOTHING
    values: Mapping[int, Any] = field(default_factory=dict)

    def load(self) -> "Task":
        """Return the task with its rows and its checkpoint in memory."""
        state, rows = self.state, self.rows
        return replace(
            self,
            rows=rows.load() if isinstance(rows, StoredRows) else rows,
            state=None if state is None else MemoryCheckpoint(state.estimator),
        )

    def select(self, selection: RepresentativeSelection) -> "Task":
        """Return the task with the chosen rows alone."""
        if self.selected is None:
            return self
        selected = self.selected.select(selection, self.rows.X)
        is_picked = np.isin(self.selected.slots, np.concatenate(selected.picked))
        rows = self.rows.take(np.flatnonzero(is_picked))
        X = self.declared.arrange(rows.X, self.selected.slots[is_picked])
        return replace(self, rows=replace(rows, X=X), selected=selected)

    def cut(self, step: Step) -> Batch:
        """Return the rows of one step."""
        start, stop = step.start - self.offset, step.stop - self.offset
        X, y, weight = self.rows.X, self.rows.y[start:stop], self.rows.sample_weight
        if not isinstance(X, np.ndarray) or len(y) < len(X):
            values = self.values.get(step.slice)
            if values is None and step.n_known is not None and is_frame(X):
                values = list_values(view_rows(X, 0, step.n_known - self.offset))
            X = slice_rows(X, start, stop, values)
        return Batch(
            X,
            trim_text(y) if y.dtype.kind in "US" else y,
            None if weight is None else weight[start:stop],
            fit_params={
                k: trim_text(values[start:stop])
                for k, values in self.rows.fit_params.items()
            },
        )


@dataclass(frozen=True, eq=False)
class Trained:
    """What came of a task.

    Parameters
    ----------
    shard : int
        Index of the shard.
    states : dict
        Its new checkpoints, by slice.
    selected : SelectedRows or None
        The rows that were chosen, if not all were trained on.
    selection_seconds : float
        How long it took to choose.
    failure : str or None
        Why a model stands in for the last checkpoint that there should be.
    error : str or None
        Why there are no checkpoints, if training has failed.
    """

    shard: int
    states: dict[int, Any]
    selected: SelectedRows | None
    selection_seconds: float
    failure: str | None = None
    error: str | None = None


class _Unread(NamedTuple):
    """A shard whose files a worker could not read, and why."""

    shard: int
    reason: str


def train_shards(
    recipe: Recipe,
    make_tasks: Callable[..., Iterator[Task]],
    *,
    n_tasks: int,
    n_values: int,
    n_jobs: int | None,
    report: Callable[[int], None],
    keep_going: bool = False,
) -> dict[int, Trained]:
    """Run tasks in parallel; `report` is called with the shard of each that is done.

    `make_tasks` is told whether rows that are in files may stay there, and may be told
    for which shards. `n_values` is how many numbers are passed to training: of few,
    workers would take longer to start than to train. The first error is raised or, if
    they are to `keep_going`, all are returned.

    Returns
    -------
    dict
        What came of it, by shard.
    """
    trained = {}
    train = _try_to_train if keep_going else train_shard
    cluster = None
    if _has_dask() and n_jobs != 1 and not recipe.is_bound_to_process:
        cluster = find_cluster()
    with single_threaded():
        if cluster is not None:
            call = partial(_train_on_cluster, train, recipe)
            results = _run_on_cluster(cluster, call, make_tasks, n_tasks)
        else:
            if not _is_worth_jobs(recipe, n_tasks, n_values):
                n_jobs = 1
            results = _run(train, recipe, make_tasks(False), n_tasks, n_jobs)
        with closing(results):
            for result in results:
                trained[result.shard] = result
                report(result.shard)
    return trained


def _has_dask() -> bool:
    """Whether there can be a cluster: without one, requests cost nothing for it."""
    return "distributed" in sys.modules


def _is_worth_jobs(recipe: Recipe, n_tasks: int, n_values: int) -> bool:
    """Whether workers may save time; with a base of unknown speed they may."""
    if n_tasks == 1 or recipe.is_bound_to_process or (_has_dask() and is_in_worker()):
        return False
    return n_values >= _MIN_VALUES or type(recipe.prototype) not in ADAPTERS


def _uses_threads(recipe: Recipe) -> bool:
    adapter = ADAPTERS.get(type(recipe.prototype))
    return adapter is not None and adapter.releases_gil


def _run(
    train: Callable[[Recipe, Task], Trained],
    recipe: Recipe,
    tasks: Iterator[Task],
    n_tasks: int,
    n_jobs: int | None,
) -> Generator[Trained]:
    """Yield results as they come, where the backend can tell before all are there."""
    if effective_n_jobs(n_jobs) == 1:
        return (train(recipe, task) for task in tasks)
    can_stream = getattr(get_active_backend()[0], "supports_return_generator", False)
    return_as = "generator_unordered" if can_stream else "list"
    prefer = "threads" if _uses_threads(recipe) else None
    workers = Parallel(n_jobs=n_jobs, return_as=return_as, prefer=prefer)
    call, here = delayed(_train_in_worker), (os.getpid(), threading.get_ident())
    size = _size_chunks(n_tasks, effective_n_jobs(n_jobs))
    chunks = iter(lambda: list(islice(tasks, size)), [])
    return _receive(workers(call(train, recipe, chunk, *here) for chunk in chunks))


def _size_chunks(n_tasks: int, n_jobs: int) -> int:
    return max(1, n_tasks // (_CHUNKS_PER_JOB * max(n_jobs, 1)))


def _receive(
    results: Iterable[tuple[list[Trained], list[CaughtWarning]]],
) -> Generator[Trained]:
    """Yield what workers have trained, after what they have warned of."""
    for trained, caught in results:
        warn_again(caught)
        yield from trained


def _train_in_worker(
    train: Callable[[Recipe, Task], Trained],
    recipe: Recipe,
    tasks: list[Task],
    parent: int,
    caller: int,
) -> tuple[list[Trained], list[CaughtWarning]]:
    """Train where neither the limit of threads nor filters of the caller may hold.

    `parent` and `caller` are the process and the thread that wait for it.
    """
    with single_threaded(), catch_in_worker(parent) as caught:
        if os.getpid() == parent and threading.get_ident() != caller:
            limit_own_thread()
        trained = [train(recipe, task) for task in tasks]
    return trained, caught


def _run_on_cluster(
    cluster: Cluster,
    call: Callable[[Task, bool], Any],
    make_tasks: Callable[..., Iterator[Task]],
    n_tasks: int,
) -> Generator[Trained]:
    """Yield results as they come; rows that workers cannot read are sent to them."""
    size = 1 if n_tasks == 1 else _size_chunks(n_tasks, cluster.count_threads())
    unread: list[_Unread] = []
    for result, caught in cluster.run(call, make_tasks(True), size):
        warn_again(caught)
        if isinstance(result, _Unread):
            unread.append(result)
        else:
            yield result
    if not unread:
        return
    tasks = make_tasks(False, {each.shard for each in unread})
    loaded = (task.load() for task in tasks)
    for result, caught in cluster.run(call, loaded, size):
        warn_again(caught)
        yield result
    warn(
        f"workers could not read the rows of {len(unread)} shards in the store, which "
        "were sent to them. Let the path of the store, and of its key file, lead to "
        f"the same files on all workers. The first reason was: {unread[0].reason}",
        UserWarning,
    )


def _train_on_cluster(
    train: Callable[[Recipe, Task], Trained],
    recipe: Recipe,
    task: Task,
    has_process: bool,
) -> tuple[Trained | _Unread, list[CaughtWarning]]:
    """Train in a worker, which has one thread or several, after loading the rows."""
    try:
        loaded = task.load()
    except (OSError, SkunlearnError) as error:
        return _Unread(task.shard, f"{type(error).__name__}: {error}"), []
    with single_threaded(), catch_if_alone(has_process) as caught:
        limit_own_thread()
        trained = train(recipe, loaded)
    return trained, caught


def _try_to_train(recipe: Recipe, task: Task) -> Trained:
    """Train a shard, or say why it cannot be trained."""
    try:
        return train_shard(recipe, task)
    except Exception as error:
        notes = getattr(error, "__notes__", ())
        words = f"{type(error).__name__}: {error}", *notes
        return Trained(task.shard, {}, None, 0.0, error=" ".join(words))


def train_shard(recipe: Recipe, task: Task) -> Trained:
    """Choose the rows of a task, if not all are trained on, and make its steps."""
    start = time.perf_counter()
    if recipe.selection is not None:
        task = task.select(recipe.selection)
    selection_seconds = time.perf_counter() - start
    states = {}
    state = None if task.state is None else task.state.estimator
    failure = None
    with recipe.training(task.shard, task.rows.X):
        for step in task.steps:
            with _naming_shard(task, step):
                state, failure = _make(recipe, task, step, state)
            own_arrays(state)
            states[step.slice] = state
    return Trained(task.shard, states, task.selected, selection_seconds, failure)


@contextmanager
def _naming_shard(task: Task, step: Step) -> Iterator[None]:
    """Say in a note on what is raised which shard could not be trained."""
    try:
        yield
    except Exception as error:
        labels, counts = np.unique(task.cut(step).y, return_counts=True)
        pairs = zip(labels.tolist()[:10], counts.tolist(), strict=False)
        by_class = ", ".join(f"{label!r}: {count}" for label, count in pairs)
        more = ", ..." if len(labels) > 10 else ""
        error.add_note(
            f"This came of training shard {task.shard + 1} on {counts.sum()} rows; by "
            f"class {{{by_class}{more}}}. If these are too few, use fewer shards "
            "(n_shards) or slices, or parameters of the estimator that need less."
        )
        raise


def _make(recipe: Recipe, task: Task, step: Step, state: Any) -> tuple[Any, str | None]:
    """Return the estimator after a step, and why it is a simpler one, if it is."""
    rows, role = task.cut(step), recipe.policy.role
    if step.kind == "constant":
        return role.constant(recipe.prototype, rows), None
    fit = partial(_train, recipe, task, step, rows)
    state = state if step.kind == "resume" else None
    return role.train(fit, state, recipe.prototype, rows)


def _train(recipe: Recipe, task: Task, step: Step, rows: Batch, state: Any) -> Any:
    """Return an estimator trained on from a state or, without one, from scratch."""
    fresh = state is None
    method = recipe.policy.start if fresh else recipe.policy.resume
    is_grown = method == "grow"
    estimator = recipe.start() if fresh or is_grown else recipe.copy(state)
    arguments: dict[str, Any] = {}
    if recipe.weight_name is not None and rows.sample_weight is not None:
        arguments[recipe.weight_name] = rows.sample_weight
    labels = (rows.y,) if recipe.policy.role.is_supervised else ()
    if (fresh or is_grown) and (recipe.class_settings or recipe.multiclass):
        told = task.all_classes if method == "partial_fit" else np.unique(rows.y)
        recipe.limit_to_classes(estimator, task.all_classes, told)
    if method == "partial_fit":
        if fresh and task.classes is not None:
            arguments["classes"] = task.classes
        for epoch in range(step.n_epochs):
            recipe.seed(estimator, *task.seed_path, step.slice, epoch)
            estimator.partial_fit(rows.X, *labels, **arguments)
        return estimator
    if method == "warm_start":
        estimator.set_params(warm_start=True)
    recipe.limit_to_rows(estimator, len(rows.y))
    recipe.seed(estimator, *task.seed_path, step.slice, 0)
    arguments |= rows.fit_params
    if recipe.fit_params:
        arguments |= cut_fit_params(recipe.fit_params, np.unique(rows.y))
    if is_grown:
        how = step.n_estimators, rows.X, rows.y, arguments
        estimator = grow(estimator, state, *how)
    else:
        _fit(estimator, step, rows.X, labels, arguments)
    if recipe.policy.is_followed(step):
        remember(estimator, rows.X)
    return estimator


def _fit(
    estimator: Any, step: Step, X: Any, labels: tuple[Any, ...], arguments: Any
) -> None:
    """Fit an estimator, an ensemble to the size that the step has."""
    if step.n_estimators:
        set_size(estimator, step.n_estimators)
    adapter = ADAPTERS.get(type(estimator))
    if adapter is not None and adapter._prepares_rows:
        X, allowed = adapter.prepare_rows(X)
        arguments |= allowed
    estimator.fit(X, *labels, **arguments)

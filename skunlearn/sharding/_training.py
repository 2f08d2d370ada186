"""Train the constituents of shards: what joblib's workers run.

A task is given the rows of its own shard and nothing else, and what comes out depends
on the task alone: not on the worker, the number of workers, or their threads.
"""

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from joblib.parallel import get_active_backend
from sklearn.dummy import DummyClassifier
from sklearn.utils.parallel import Parallel, delayed

from skunlearn._casting import trim_text
from skunlearn._containers import slice_rows
from skunlearn._memory import own_arrays
from skunlearn._rows import Batch
from skunlearn._threads import single_threaded
from skunlearn.sharding._densities import replace_model
from skunlearn.sharding._parts import Path
from skunlearn.sharding._schedule import Regime, Step
from skunlearn.sharding._seeds import plant_seeds

__all__ = ["Recipe", "Task", "train_shard", "train_shards"]

_IMMUTABLE = (bool, int, float, str, type(None))


@dataclass(frozen=True, eq=False)
class Recipe:
    """How to make a constituent, whatever the shard.

    Parameters
    ----------
    prototype : estimator
        An unfitted clone of the wrapped estimator.
    regime : Regime
        How it is trained.
    root_seed : int
        Seed from which those of every shard, slice and pass derive.
    seed_paths : tuple of tuple
        Where randomness is inside `prototype`.
    weight_name : str or None
        The argument of fit that takes sample weights.
    row_limits : tuple of (str, int)
        Parameters that must not exceed the number of rows less the given one: of
        neighbours, or components.
    shared : tuple
        Frozen parts of `prototype`, which copies have in common.
    """

    prototype: Any
    regime: Regime
    root_seed: int
    seed_paths: tuple[Path, ...]
    weight_name: str | None
    row_limits: tuple[tuple[str, int], ...]
    shared: tuple[Any, ...]

    def start(self) -> Any:
        """Return an unfitted estimator."""
        if all(
            isinstance(value, _IMMUTABLE) for value in vars(self.prototype).values()
        ):
            return copy.copy(self.prototype)  # as good, at a third of the price
        return self.copy(self.prototype)

    def copy(self, estimator: Any) -> Any:
        """Return a copy with its own random and optimiser state."""
        return copy.deepcopy(estimator, {id(part): part for part in self.shared})

    def limit_to_rows(self, estimator: Any, n_rows: int) -> None:
        """Let an estimator do with as many neighbours or components as there can be."""
        for name, spare in self.row_limits:
            limit = max(n_rows - spare, 1)
            if estimator.get_params()[name] > limit:
                estimator.set_params(**{name: limit})

    def seed(self, estimator: Any, *where: int) -> None:
        """Seed an estimator for the given shard, slice and pass."""
        plant_seeds(estimator, self.seed_paths, self.root_seed, *where)


@dataclass(frozen=True, eq=False)
class Task:
    """Training that is due in one shard.

    Parameters
    ----------
    shard : int
        Index of the shard.
    seed_path : tuple of int
        What tells its seeds from those of other shards.
    steps : tuple of Step
        What to do, in order.
    rows : Batch
        Rows of the shard, from `offset` on, as far as the steps need them.
    offset : int
        Place in the shard of the first row in `rows`.
    state : estimator or None
        Checkpoint to go on from, if the first step does.
    classes : ndarray or None
        All labels, for estimators that are to be told of them.
    """

    shard: int
    seed_path: tuple[int, ...]
    steps: tuple[Step, ...]
    rows: Batch
    offset: int
    state: Any
    classes: np.ndarray | None

    def cut(self, step: Step) -> Batch:
        """Return the rows of one step."""
        start, stop = step.start - self.offset, step.stop - self.offset
        weight = self.rows.sample_weight
        return Batch(
            slice_rows(self.rows.X, start, stop),
            trim_text(self.rows.y[start:stop]),
            None if weight is None else weight[start:stop],
        )


def train_shards(
    recipe: Recipe,
    tasks: Iterable[Task],
    *,
    n_tasks: int,
    n_jobs: int | None,
    report: Callable[[int], None],
) -> dict[int, dict[int, Any]]:
    """Run tasks in parallel; `report` is called with the shard of each that is done.

    Returns
    -------
    dict
        For each shard its new checkpoints, by slice.
    """
    trained = {}
    with single_threaded:
        for shard, states in _run(recipe, tasks, n_tasks, n_jobs):
            trained[shard] = states
            report(shard)
    return trained


def _run(
    recipe: Recipe, tasks: Iterable[Task], n_tasks: int, n_jobs: int | None
) -> Iterator[tuple[int, dict[int, Any]]]:
    """Yield results as they come, where the backend can tell before all are there."""
    if n_tasks == 1 or effective_n_jobs(n_jobs) == 1:
        return (train_shard(recipe, task) for task in tasks)
    can_stream = getattr(get_active_backend()[0], "supports_return_generator", False)
    return_as = "generator_unordered" if can_stream else "list"
    workers = Parallel(n_jobs=n_jobs, return_as=return_as)
    return iter(workers(delayed(train_shard)(recipe, task) for task in tasks))


def train_shard(recipe: Recipe, task: Task) -> tuple[int, dict[int, Any]]:
    """Make the steps of a task and return its shard and the checkpoint of each."""
    states = {}
    state = task.state
    with single_threaded:
        for step in task.steps:
            state = _make_step(recipe, task, step, state)
            own_arrays(state)
            states[step.slice] = state
    return task.shard, states


def _make_step(recipe: Recipe, task: Task, step: Step, state: Any) -> Any:
    rows = task.cut(step)
    is_one_class = recipe.regime.learns == "one_class"
    if step.kind == "constant" and is_one_class:
        return replace_model(recipe.prototype).fit(rows.X)
    if step.kind == "constant":
        return DummyClassifier(strategy="prior").fit(rows.X, rows.y)
    fresh = step.kind == "fresh"
    estimator = recipe.start() if fresh else recipe.copy(state)
    method = recipe.regime.start if fresh else recipe.regime.resume
    arguments: dict[str, Any] = {}
    if recipe.weight_name is not None and rows.sample_weight is not None:
        arguments[recipe.weight_name] = rows.sample_weight
    labels = () if is_one_class else (rows.y,)
    if method == "partial_fit":
        if fresh and not is_one_class:
            arguments["classes"] = task.classes
        for epoch in range(step.n_epochs):
            recipe.seed(estimator, *task.seed_path, step.slice, epoch)
            estimator.partial_fit(rows.X, *labels, **arguments)
        return estimator
    if method == "warm_start":
        estimator.set_params(warm_start=True)
    recipe.limit_to_rows(estimator, rows.size)
    recipe.seed(estimator, *task.seed_path, step.slice, 0)
    estimator.fit(rows.X, *labels, **arguments)
    return estimator

"""What a dask cluster costs and brings: bytes that travel, and seconds beside loky.

``python benchmarks/bench_cluster.py`` prints one table; ``--quick`` is a smoke run. All
workers are on this machine, so what is seen is what a cluster adds, not what it brings.
"""

import os

os.environ.update(  # before numpy is imported
    {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
)

import argparse
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from importlib.metadata import version
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import cloudpickle
import numpy as np
from _timing import (
    Row,
    Scale,
    compare,
    describe_machine,
    format_header,
    format_seconds,
    time_call,
)
from distributed import Client, LocalCluster
from distributed.comm.tcp import TCP
from joblib import parallel_config, register_parallel_backend
from joblib._parallel_backends import LokyBackend
from joblib.parallel import get_active_backend
from sklearn.linear_model import SGDClassifier
from sklearn.tree import DecisionTreeClassifier

from skunlearn import ShardedUnlearningClassifier
from skunlearn.sharding._training import tasks

_N_FEATURES = 20
_N_ROWS = 100_000
_N_SHARDS = 40

sent = {"dask": 0, "loky": 0}  # bytes


class CountingLoky(LokyBackend):
    """Count the bytes of what processes are sent, in a pipe or in mapped files."""

    def submit(self, func: Any, callback: Any = None) -> Any:
        """Count a task, and submit it."""
        sent["loky"] += len(cloudpickle.dumps(func))
        return super().submit(func, callback)


def count_messages() -> None:
    """Count the bytes that this process writes: client and scheduler are both in it."""
    write = TCP.write

    async def count_and_write(self: Any, *args: Any, **options: Any) -> Any:
        n_bytes = await write(self, *args, **options)
        sent["dask"] += n_bytes
        return n_bytes

    TCP.write = count_and_write  # type: ignore[method-assign]


def make_rows(n_rows: int) -> tuple[Any, Any]:
    """Return rows of normal numbers, and labels that depend on them."""
    X = np.random.default_rng(0).normal(size=(n_rows, _N_FEATURES))
    return X, (X[:, :5].sum(axis=1) > 0).astype(int)


def make(store: Any = None, base: Any = None) -> ShardedUnlearningClassifier:
    """Return a classifier of shards that take some hundredths of a second."""
    base = SGDClassifier(max_iter=20, tol=None) if base is None else base
    return ShardedUnlearningClassifier(
        base, n_shards=_N_SHARDS, checkpoint_store=store, random_state=0
    )


def read_bits(classifier: ShardedUnlearningClassifier) -> list[bytes]:
    """Return all that is trained."""
    return [each.coef_.tobytes() for each in classifier.estimators_]


@contextmanager
def dask(n_workers: int) -> Iterator[Callable[[], AbstractContextManager[Any]]]:
    """Start a cluster, and yield what makes joblib use it."""
    address = {"dashboard_address": ":0", "threads_per_worker": 1}
    with (
        LocalCluster(n_workers=n_workers, **address) as workers,
        Client(workers) as client,
    ):
        yield lambda: parallel_config(backend="dask", client=client)


@contextmanager
def joblibs_own(use: Callable[[], AbstractContextManager[Any]]) -> Iterator[None]:
    """Have dask used as joblib does by itself."""
    find_cluster = tasks.find_cluster
    tasks.find_cluster = lambda: None
    try:
        with use():
            yield
    finally:
        tasks.find_cluster = find_cluster


def fit_in(context: Callable[[], AbstractContextManager[Any]], data: Any) -> Any:
    """Fit a new classifier, in memory, in a context of joblib's."""
    with context():
        return make().fit(*data)


def bench_fits(scale: Scale) -> Iterator[Row]:
    """Time fits on clusters of several sizes beside as many processes of loky."""
    data = make_rows(scale.size(_N_ROWS))
    expected = read_bits(make().fit(*data))
    for n_workers in (1, 2, 4):
        loky = partial(parallel_config, backend="loky", n_jobs=n_workers)
        with dask(n_workers) as cluster:
            same = read_bits(fit_in(cluster, data)) == expected
            own = partial(joblibs_own, cluster)
            others = {"loky": loky, "joblib's own dask": own}
            if n_workers == 1:
                others = {"here": loky}
            name = f"fit, {n_workers} workers"
            for other_name, context in others.items():
                turns = compare(
                    partial(fit_in, cluster, data),
                    partial(fit_in, context, data),
                    scale.repeats(3),
                )
                ours, other = map(format_seconds, turns.medians)
                yield Row(name, ours, f"{other_name} {other}", turns.ratio)
            yield Row(name, "shards that differ", "", float(not same), "", at_most=0)


def forget_next(classifier: Any, context: Any, starts: Iterator[int], n: int) -> None:
    """Forget the next rows, in a context of joblib's."""
    start = next(starts)
    with context():
        classifier.forget(range(start, start + n))


def bench_overhead(scale: Scale) -> Iterator[Row]:
    """Time what a task costs beyond its training: single requests, and many shards."""
    data = make_rows(scale.size(20_000))
    base = DecisionTreeClassifier(max_depth=2)
    here = partial(parallel_config, n_jobs=1)
    with dask(1) as cluster:
        for n_rows in (1, 8 * _N_SHARDS):
            mine, other = (make(base=base).fit(*data) for _ in range(2))
            turns = compare(
                partial(forget_next, mine, cluster, count(0, n_rows), n_rows),
                partial(forget_next, other, here, count(0, n_rows), n_rows),
                scale.repeats(30),
            )
            n_tasks = len(mine.forget_records_[-1].shards)
            ours, alone = map(format_seconds, turns.medians)
            yield Row(
                f"overhead a task, request of {n_tasks} shards",
                f"1 worker {ours}",
                f"here {alone}",
                turns.excess / n_tasks * 1e3,
                "ms",
                at_most=10,
            )
        with cluster():
            client = get_active_backend()[0].client
        numbers = count()

        def submit() -> None:
            client.submit(abs, next(numbers), key=f"number-{next(numbers)}").result()

        submit()
        turns = [time_call(submit) * 1e3 for _ in range(scale.repeats(30))]
        yield Row("a task of dask's that does nothing", "", "", median(turns), "ms")


def bench_bytes(folder: Path, scale: Scale) -> Iterator[Row]:
    """Count the bytes that travel for a fit and for a request, to two workers."""
    data = make_rows(scale.size(_N_ROWS))
    size = data[0].nbytes
    loky = partial(parallel_config, backend="counting", n_jobs=2)
    register_parallel_backend("counting", CountingLoky)
    with dask(2) as cluster:
        for name, store in (("in memory", None), ("in a store", "store")):
            stores = [store and folder / f"{store}-{i}" for i in range(2)]
            mine, other = map(make, stores)
            for what, change in (
                ("fit", lambda classifier: classifier.fit(*data)),
                ("forget 1 row", lambda classifier: classifier.forget(0)),
                ("forget 10 rows", lambda classifier: classifier.forget(range(1, 11))),
            ):
                before = dict(sent)
                with cluster():
                    change(mine)
                with loky():
                    change(other)
                dask_bytes, loky_bytes = (sent[k] - before[k] for k in ("dask", "loky"))
                yield Row(
                    f"bytes for {what}, {name}",
                    f"{dask_bytes:,}",
                    f"loky {loky_bytes:,}",
                    dask_bytes / size,
                    "of X",
                )
            assert read_bits(mine) == read_bits(other)


def main() -> None:
    """Print the table, line by line as it comes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    scale = Scale(parser.parse_args().quick)
    warnings.filterwarnings("ignore")
    logging.getLogger("distributed").setLevel(logging.ERROR)
    count_messages()
    print(describe_machine())
    n_bytes = scale.size(_N_ROWS) * _N_FEATURES * 8
    print(f"distributed {version('distributed')}, workers of one thread.")
    print(f"X has {n_bytes:,} bytes, in {_N_SHARDS} shards.")
    print(format_header())
    with tempfile.TemporaryDirectory() as name:
        for rows in (
            bench_bytes(Path(name), scale),
            bench_overhead(scale),
            bench_fits(scale),
        ):
            for row in rows:
                print(row, flush=True)


if __name__ == "__main__":
    main()

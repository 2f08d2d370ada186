"""What durable forgetting costs: stores on disk, beside the classifier in memory.

``python benchmarks/bench_store.py`` prints one table; ``--quick`` is a smoke run. Most
of the time is spent in waiting for the disk, so the time of one ``fsync`` is printed.
"""

import os

os.environ.update(  # before numpy is imported
    {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
)

import argparse
import signal
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

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
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skunlearn import ShardedUnlearningClassifier
from skunlearn.checkpoints import DirectoryStore, verify_ledger

_N_FEATURES = 20
_N_SHARDS = 50
_N_THREADS = 100


def make_rows(n_rows: int) -> tuple[Any, Any]:
    """Return rows of normal numbers, and labels that depend on them."""
    X = np.random.default_rng(0).normal(size=(n_rows, _N_FEATURES))
    return X, (X[:, :5].sum(axis=1) > 0).astype(int)


def fit(store: Any, n_rows: int, base: Any = None) -> ShardedUnlearningClassifier:
    """Return a fitted classifier, in memory or in a store."""
    base = LogisticRegression() if base is None else base
    classifier = ShardedUnlearningClassifier(
        base, n_shards=_N_SHARDS, checkpoint_store=store, random_state=0
    )
    return classifier.fit(*make_rows(n_rows))


def time_fsync(folder: Path) -> float:
    """Return the median time to write and sync a small file."""

    def write() -> None:
        descriptor = os.open(folder / "probe", os.O_CREAT | os.O_WRONLY)
        os.write(descriptor, bytes(1000))
        os.fsync(descriptor)
        os.close(descriptor)

    return median(time_call(write) for _ in range(30))


def bench_forgets(folder: Path, scale: Scale) -> Iterator[Row]:
    """Time single forgets, durable ones and others."""
    n_rows = scale.size(100_000)
    stores = {
        "forget one": DirectoryStore(folder / "plain"),
        "forget one, encrypted": DirectoryStore(
            folder / "encrypted", encrypt=True, key_file=folder / "keys"
        ),
        "forget one, ledger copied": DirectoryStore(
            folder / "copied", ledger_head=folder / "head"
        ),
    }
    for name, store in stores.items():
        durable, memory = fit(store, n_rows), fit(None, n_rows)
        mine, other = count(), count()
        turns = compare(
            partial(forget_next, durable, mine),
            partial(forget_next, memory, other),
            scale.repeats(40),
        )
        first, second = turns.medians
        yield Row(
            f"{name}; {n_rows:,} rows",
            f"durable {format_seconds(first)}",
            f"in memory {format_seconds(second)}",
            1 / first,
            "per s",
        )


def forget_next(classifier: ShardedUnlearningClassifier, positions: Any) -> None:
    """Forget the row at the next position."""
    classifier.forget(next(positions))


def bench_queue(folder: Path, scale: Scale) -> Iterator[Row]:
    """Time acknowledgements, alone and by many threads at once."""
    classifier = fit(folder / "queue", scale.size(100_000))
    positions = count()
    alone = median(
        time_call(lambda: classifier.enqueue(next(positions)))
        for _ in range(scale.repeats(50))
    )
    yield Row("acknowledge one request", format_seconds(alone), "", 1 / alone, "per s")

    def enqueue_batch() -> None:
        classifier.enqueue([next(positions) for _ in range(_N_THREADS)])

    batch = median(time_call(enqueue_batch) for _ in range(scale.repeats(50)))
    yield Row(
        "acknowledge 100 requests in one call",
        format_seconds(batch),
        f"one by one {format_seconds(100 * alone)}",
        100 / batch,
        "per s",
        at_least=2000,
    )
    with ThreadPoolExecutor(_N_THREADS) as pool:

        def enqueue_together() -> None:
            list(pool.map(classifier.enqueue, [next(positions) for _ in range(100)]))

        enqueue_together()  # starts the threads
        together = median(time_call(enqueue_together) for _ in range(scale.repeats(50)))
    yield Row(
        "acknowledge 100 requests of 100 threads",
        format_seconds(together),
        f"one by one {format_seconds(100 * alone)}",
        100 / together,
        "per s",
        at_least=2000,
    )
    n_waiting = len(classifier._session.find_queue())  # type: ignore[union-attr]
    night = time_call(classifier.process_queue)
    yield Row(
        f"process a queue of {n_waiting:,}",
        format_seconds(night),
        "",
        n_waiting / night,
        "per s",
    )


def bench_open(folder: Path, scale: Scale) -> Iterator[Row]:
    """Time how long it takes to open stores of several sizes, and to predict."""
    for n_rows in (10_000, 100_000, 1_000_000):
        n_rows = scale.size(n_rows)
        store = DirectoryStore(folder / f"open-{n_rows}")
        fitted = fit(store, n_rows, GaussianNB())
        probe = make_rows(1)[0]
        store.close()
        del fitted
        seconds, answers = [], []
        for _ in range(scale.repeats(5)):
            start = time.perf_counter()
            classifier = ShardedUnlearningClassifier.open(store)
            seconds.append(time.perf_counter() - start)
            answers.append(time_call(lambda: classifier.predict(probe)))  # noqa: B023
            store.close()
        yield Row(
            f"open a store of {n_rows:,} rows",
            f"then predict {format_seconds(median(answers))}",
            "",
            median(seconds),
            "s",
            at_most=1,
        )


def bench_kills(folder: Path, scale: Scale) -> Iterator[Row]:
    """Count what is lost of many requests while processes are killed all the time."""
    n_requests, n_rows = scale.size(10_000), 20_000
    store = DirectoryStore(folder / "kills")
    first = fit(store, n_rows, GaussianNB())
    store.close()
    del first
    rng, acknowledged, n_kills, lines = np.random.default_rng(0), set[int](), 0, 0
    while len(acknowledged) < n_requests:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            serve(store, acknowledged, n_requests, writing)
        os.close(writing)
        timer = threading.Timer(float(rng.uniform(0.5, 4)), os.kill, (child, 9))
        timer.start()
        with os.fdopen(reading) as file:
            acknowledged |= {int(line) for line in file if line.endswith("\n")}
        timer.cancel()
        _, status = os.waitpid(child, 0)
        n_kills += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    classifier = ShardedUnlearningClassifier.open(store).process_queue()
    forgotten = set(classifier.forgotten_indices_.tolist())
    values = {row[0].tobytes() for row in make_rows(n_rows)[0][sorted(forgotten)]}
    n_traces = sum(count_values(path, values) for path in store.path.iterdir())
    lines = len((store.path / "ledger.jsonl").read_bytes().splitlines())
    what = f"{len(acknowledged):,} requests, {n_kills} kills"
    yield Row(what, "requests lost", "", len(acknowledged - forgotten), "", at_most=0)
    yield Row(what, "traces in files", "", n_traces, "", at_most=0)
    is_whole = bool(verify_ledger(store))
    yield Row(what, "faults of the ledger", f"{lines:,} lines", not is_whole, "", 0)


def serve(store: DirectoryStore, done: set[int], n_requests: int, pipe: int) -> None:
    """Take requests until killed: most are queued, some forgotten at once."""
    try:
        classifier = ShardedUnlearningClassifier.open(store)
        for i in sorted(set(range(n_requests)) - done):
            if i % 50 == 0:
                classifier.forget(i)
            else:
                classifier.enqueue(i)
            os.write(pipe, f"{i}\n".encode())
            if i % 200 == 199:
                classifier.process_queue()
    finally:
        os._exit(0)


def count_values(path: Path, values: set[bytes]) -> int:
    """Return how many of some values a file holds, at places of their size."""
    data = path.read_bytes()
    offsets = range(8)
    parts = (np.frombuffer(data[i : len(data) - (len(data) - i) % 8]) for i in offsets)
    wanted = np.frombuffer(b"".join(values))
    return sum(int(np.isin(part, wanted).sum()) for part in parts)


def main() -> None:
    """Print the table, line by line as it comes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    scale = Scale(parser.parse_args().quick)
    warnings.filterwarnings("ignore", ".*fork")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(describe_machine())
        print(f"One fsync of a small file takes {format_seconds(time_fsync(folder))}.")
        print(format_header())
        for bench in (bench_forgets, bench_queue, bench_open, bench_kills):
            for row in bench(folder, scale):
                print(row, flush=True)


if __name__ == "__main__":
    main()

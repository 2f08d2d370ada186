"""What fits on batches cost in time and memory, beside fits on rows in memory.

``python benchmarks/bench_batches.py`` prints one table; ``--quick`` is a smoke run.
Each line is measured in a process of its own (Linux). With ``--rows N`` other sizes are
measured; in memory they take what all rows take.
"""

import os

os.environ.update(  # before numpy is imported
    {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
)

import argparse
import gc
import hashlib
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
from _memory import Peak, run_alone
from _timing import (
    Row,
    Scale,
    describe_machine,
    format_header,
    format_seconds,
    time_call,
)
from sklearn.linear_model import SGDClassifier

from skunlearn import ShardedUnlearningClassifier

_N_FEATURES = 20
_SHARD_ROWS = 20_000
_BATCH_ROWS = 50_000
_N_FORGETS = 15
_KINDS = {
    "memory": "fit, in memory",
    "store": "fit, with a store",
    "batches": "fit_batches",
    "parquet": "fit_parquet",
}


def make_batch(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of normal numbers, and labels that depend on them."""
    rng = np.random.default_rng(number)
    X = rng.standard_normal((_BATCH_ROWS, _N_FEATURES), dtype=np.float32)
    return X, (X[:, :5].sum(axis=1) > 0).astype(int)


def make_batches(n_rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the batches of so many rows."""
    return map(make_batch, range(n_rows // _BATCH_ROWS))


def make_classifier(n_rows: int, store: Path | None) -> ShardedUnlearningClassifier:
    """Return an unfitted classifier."""
    return ShardedUnlearningClassifier(
        SGDClassifier(max_iter=5, tol=None, random_state=0),
        n_shards=max(2, n_rows // _SHARD_ROWS),
        checkpoint_store=store,
        random_state=0,
    )


def write_parquet(path: Path, n_rows: int) -> None:
    """Write the rows to a file, a row group for each batch."""
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet

    writer = None
    for X, y in make_batches(n_rows):
        frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(_N_FEATURES)])
        table = pa.Table.from_pandas(frame.assign(y=y), preserve_index=False)
        writer = writer or parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def run(kind: str, n_rows: int, folder: Path) -> dict[str, object]:
    """Fit, forget rows one by one, and return what that took."""
    warm = make_classifier(2, folder / "warm")  # loads all that is loaded late
    X, y = make_batch(0)
    warm.fit_batches([(X[:500], y[:500])]).forget(0)
    if kind == "parquet":
        write_parquet(folder / "warm.parquet", _BATCH_ROWS)
        warm = make_classifier(2, folder / "warm-parquet")
        warm.fit_parquet(folder / "warm.parquet", target="y")
        write_parquet(folder / "rows.parquet", n_rows)
    del warm, X, y
    gc.collect()
    peak = Peak()
    peak.reset()
    start = time.perf_counter()
    if kind in ("memory", "store"):
        parts = list(make_batches(n_rows))
        X, y = (np.concatenate(each) for each in zip(*parts, strict=True))
        del parts
        store = folder / "store" if kind == "store" else None
        peak.reset()
        start = time.perf_counter()
        classifier = make_classifier(n_rows, store).fit(X, y)
    elif kind == "batches":
        classifier = make_classifier(n_rows, folder / "store")
        classifier.fit_batches(make_batches(n_rows))
    else:
        classifier = make_classifier(n_rows, folder / "store")
        classifier.fit_parquet(folder / "rows.parquet", target="y")
    seconds = time.perf_counter() - start
    positions = np.random.default_rng(0).choice(n_rows, _N_FORGETS, replace=False)
    forgets = [time_call(lambda: classifier.forget(p)) for p in positions]  # noqa: B023
    data = b"".join(each.coef_.tobytes() for each in classifier.estimators_)
    return {
        "seconds": seconds,
        "peak": peak.read(),
        "forget": median(forgets),
        "digest": hashlib.sha256(data).hexdigest(),
    }


def bench(n_rows: int, kinds: list[str]) -> Iterator[Row]:
    """Yield what each way to fit takes."""
    n_bytes, digests = n_rows * _N_FEATURES * 4, set()
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            found = run_alone(__file__, "--child", kind, str(n_rows), folder)
        if kind != "parquet":  # whose rows have names
            digests.add(found["digest"])
        yield Row(
            f"{_KINDS[kind]}; {n_rows:,} rows",
            f"fit {format_seconds(found['seconds'])}",
            f"forget one {format_seconds(found['forget'])}",
            found["peak"] / 2**20,
            "MiB",
        )
        yield Row(
            f"{_KINDS[kind]}; peak of memory",
            f"{found['peak'] / n_rows:.0f} bytes a row",
            f"X alone {n_bytes / 2**20:.0f} MiB",
            found["peak"] / n_bytes,
            "x X",
        )
    yield Row("different constituents", "", "", len(digests) - 1, "", at_most=0)


def main() -> None:
    """Print the table, line by line as it comes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--rows", type=int, default=1_000_000, help="how many rows")
    parser.add_argument("--kinds", nargs="+", default=list(_KINDS), choices=_KINDS)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        kind, n_rows, folder = options.child
        print(json.dumps(run(kind, int(n_rows), Path(folder))))
        return
    print(describe_machine())
    print(format_header())
    n_rows = Scale(options.quick).size(options.rows)
    for row in bench(n_rows, options.kinds):
        print(row, flush=True)


if __name__ == "__main__":
    main()

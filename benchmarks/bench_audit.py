"""Time of an audit, and of a search for traces, beside what they audit.

``python benchmarks/bench_audit.py`` prints one table; ``--quick`` is a smoke run. A
forest of 20 shards on the census has forgotten 100 rows, and a pickle of 200 MB of
random numbers is searched for 100 rows. Times are CPU seconds of one core.
"""

import os

os.environ.update(  # before numpy is imported
    {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
)

import argparse
import pickle
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from _data import load_census
from _timing import Row, Scale, describe_machine, format_header, format_seconds
from sklearn.ensemble import RandomForestClassifier

from skunlearn import ShardedUnlearningClassifier
from skunlearn.metrics import audit_forget, find_traces


def time_cpu(call: Callable[[], Any]) -> float:
    """Return the CPU seconds of a call: audits are single calls on shared machines."""
    start = time.process_time()
    call()
    return time.process_time() - start


def bench_audits(scale: Scale) -> Iterator[Row]:
    """Time both methods beside the fit and the forget."""
    X, X_fresh, y, y_fresh = load_census()
    X, y = X[: scale.size(len(y))].copy(), y[: scale.size(len(y))]
    classifier = ShardedUnlearningClassifier(
        RandomForestClassifier(), n_shards=20, random_state=0
    )
    fit = time_cpu(lambda: classifier.fit(X, y))
    rows = np.sort(np.random.default_rng(0).choice(len(y), 100, replace=False))
    forget = time_cpu(lambda: classifier.forget(rows))
    data = X[rows], y[rows], X_fresh, y_fresh
    for method in ("attack", "replay"):
        reports = []

        def audit(method: str = method, reports: list[Any] = reports) -> None:
            reports.append(
                audit_forget(
                    classifier, *data, X_idx=rows, method=method, random_state=0
                )
            )

        seconds = time_cpu(audit)
        print(f"  {method}: {reports[0]}", flush=True)
        yield Row(
            f"{method}, 100 rows, 20 forests of 100 trees",
            f"audit {format_seconds(seconds)}",
            f"fit {fit:.1f}, forget {forget:.1f} s",
            seconds,
            unit="s",
            at_most=60,
        )


def bench_traces(scale: Scale) -> Iterator[Row]:
    """Time a search for rows that are there and for rows that are not."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(scale.size(1_250_000), 20))
    data = pickle.dumps(X)
    for name, rows in (("absent", rng.normal(size=(100, 20))), ("present", X[:100])):
        found: list[Any] = []
        seconds = time_cpu(lambda f=found, r=rows: f.extend(find_traces(data, r)))
        one = time_cpu(lambda r=rows: data.find(r[0, ::-1].tobytes()))
        yield Row(
            f"find_traces, 100 rows {name}, {len(data) / 1e6:.0f} MB",
            f"{format_seconds(seconds)}, {len(found)} found",
            f"bytes.find, 1 row {format_seconds(one)}",
            seconds,
            unit="s",
            at_most=5,
        )


def main() -> None:
    """Print the table, line by line as it comes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    scale = Scale(parser.parse_args().quick)
    print(describe_machine())
    print("CPU seconds of audits, and of searches for traces.")
    print(format_header())
    for bench in (bench_traces, bench_audits):
        for row in bench(scale):
            print(row, flush=True)


if __name__ == "__main__":
    main()

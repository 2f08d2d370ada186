"""A benchmark of several sections: choose some of them, and print a table for each."""

import argparse
import inspect
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from _influence_table import format_row, format_row_header
from _timing import Row, Scale, describe_machine

__all__ = ["Section", "run_sections"]

Section = Callable[[Scale], Iterator[str | Row]]


def run_sections(description: str, sections: Mapping[str, Section]) -> None:
    """Print the tables, or those that are asked for on the command line.

    Parameters
    ----------
    description : str
        What is measured.
    sections : mapping of str to callable
        They yield rows with targets, and lines. Their docstrings are printed.
    """
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smoke run, small sizes")
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(sections)}")
    arguments = parser.parse_args()
    if unknown := set(arguments.sections) - set(sections):
        parser.error(f"no section {unknown.pop()!r}; there are {', '.join(sections)}")
    start = time.perf_counter(), time.process_time()
    print(f"$ python benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:])
    print(describe_machine())
    scale = Scale(arguments.quick)
    rows = []
    for name in arguments.sections or sections:
        rows += _run(name, sections[name], scale)
    due = [row for row in rows if row.target]
    if due:
        n_met = sum(not row.is_missed for row in due)
        print(f"\n{n_met} of {len(due)} targets met.")
    minutes = (time.perf_counter() - start[0]) / 60
    busy = (time.process_time() - start[1]) / 60
    print(f"\n{minutes:.1f} minutes, {busy:.1f} of them on the processor.")
    if arguments.quick:
        print("A quick run shows that everything works; its numbers say little.")


def _run(name: str, section: Section, scale: Scale) -> list[Row]:
    """Print one table; return its rows, some of which have targets."""
    print(f"\n{name}: {inspect.getdoc(section)}", flush=True)
    rows = []
    was_row = False
    for row in section(scale):
        is_row = isinstance(row, Row)
        if isinstance(row, Row):
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

"""Tables of rows: what skunlearn takes, what the alternative does, and a target."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from matplotlib.figure import Figure

SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_GOOD, _BAD, _OTHER = "#0072B2", "#D55E00", "0.55"
_LEAST_STRAIN = 0.1  # what is smaller is drawn there
_TARGET = re.compile(r"(\S+)(?: [a-z]\S*(?: s)?)? +([<>]=) (\S+) +(?:met|MISSED)$")


@dataclass(frozen=True)
class Row:
    """A line of a table, read back."""

    section: str
    case: str
    ours: float | None  # seconds
    other: float | None
    strain: float | None  # the result as a share of its target: 1 and less are met


def read_rows(text: str) -> Iterator[Row]:
    """Return the lines of all tables that have a column of skunlearn."""
    section, columns, parent = "", (0, 0), ""
    for line in text.splitlines():
        if line.lstrip().startswith("skunlearn") and "alternative" in line:
            columns = line.index("skunlearn"), line.index("alternative")
        elif heading := re.match(r"([a-z_]+): ", line):
            section = heading[1]
        elif line.startswith("  ") and columns[0] and len(line) > columns[0]:
            case = line[: columns[0]].strip()
            if not line.startswith("   "):
                parent = case.rpartition(":")[0] or case
            elif line.startswith("    "):
                case = f"{parent}: {case}"
            cells = line[columns[0] : columns[1]], line[columns[1] :]
            yield Row(section, case, *map(_read_seconds, cells), _read_strain(line))


def _read_seconds(cell: str) -> float | None:
    found = None if cell.startswith(" ") else re.search(r"([\d.]+) (us|ms|s)\b", cell)
    return float(found[1]) * SECONDS[found[2]] if found else None


def _read_strain(line: str) -> float | None:
    if not (found := _TARGET.search(line)):
        return None
    value, bound = (float(found[i].replace(",", "")) for i in (1, 3))
    if found[2] == "<=":
        return value / bound if bound else None
    return bound / value


def draw_targets(text: str) -> Figure:
    """Draw how far each result is from its target."""
    rows = [row for row in read_rows(text) if row.strain]
    strains = [max(row.strain, _LEAST_STRAIN) for row in rows if row.strain]
    figure = Figure(figsize=(8, 0.6 + 0.23 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for met, color in ((True, _GOOD), (False, _BAD)):
        points = [(s, i) for i, s in enumerate(strains) if (s <= 1) is met]
        if points:
            strain, place = zip(*points, strict=True)
            axes.plot(strain, place, "o", color=color, label="met" if met else "missed")
            axes.hlines(place, 1, strain, color=color, lw=1)
    axes.axvline(1, color="0.3", lw=1)
    names = [f"{row.section}: {row.case}".removeprefix(": ") for row in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=8)
    axes.set(
        xscale="log", xlabel="result beside its target, which is 1; left is better"
    )
    axes.invert_yaxis()
    axes.legend()
    return figure


def draw_pairs(text: str, names: tuple[str, str]) -> Figure:
    """Draw the seconds of skunlearn and those of the alternative."""
    rows = [row for row in read_rows(text) if row.ours]
    figure = Figure(figsize=(8, 1.5 + 0.28 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        if row.other:
            axes.plot([row.ours, row.other], [place] * 2, color="0.8", zorder=0)
            axes.plot(row.other, place, "o", mfc="white", color=_OTHER)
        axes.plot(row.ours, place, "o", color=_GOOD)
    axes.plot([], [], "o", color=_GOOD, label=names[0])
    axes.plot([], [], "o", mfc="white", color=_OTHER, label=names[1])
    axes.set_yticks(range(len(rows)), [row.case for row in rows], fontsize=8)
    axes.set(xscale="log", xlabel="seconds", ylim=(-0.6, len(rows) - 0.4))
    axes.invert_yaxis()
    figure.legend(loc="outside upper right", ncols=2)
    return figure

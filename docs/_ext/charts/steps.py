"""Seconds and errors of steps of linear models, beside those of refits."""

import re

from matplotlib.figure import Figure

from charts.panels import finish_panels, make_panels
from charts.rows import SECONDS

_CELL = re.compile(r"([\d.]+)(us|ms|s)(?:\(\d+\))? (\d+e-\d+)")
_WAYS = (
    "refit",
    "warm start",
    "warm start, tol 1e-10",
    "newton-cholesky",
    "one step",
    "steps to the bound",
)
_N_FORGOTTEN = "100"


def read_steps(text: str) -> dict[str, list[tuple[float, float]]]:
    """Return seconds and relative errors of each way, for each size of two classes."""
    tables: dict[str, list[tuple[float, float]]] = {}
    block = text.partition("\nspeed: ")[2].partition("\ncensus: ")[0]
    for line in block.splitlines():
        if heading := re.match(r"  ([\d,]+ rows, d = \d+), (\d+) classes; ", line):
            name = heading[1] if heading[2] == "2" else ""
        elif line.split()[:1] == [_N_FORGOTTEN] and name:
            cells = _CELL.findall(line)
            if len(cells) == len(_WAYS):
                tables[name] = [(float(s) * SECONDS[u], float(e)) for s, u, e in cells]
    return tables


def draw_steps(text: str) -> Figure:
    """Draw the error over the seconds of each way to forget a hundred rows."""
    tables = read_steps(text)
    figure, panels = make_panels(len(tables), 0.8, 2.8)
    for axes, (name, points) in zip(panels.ravel(), tables.items(), strict=False):
        for (x, y), way, marker in zip(points, _WAYS, "sv^doP", strict=True):
            axes.plot(x, y, marker, label=way)
        axes.set(xscale="log", yscale="log", title=name)
    return finish_panels(figure, panels, "seconds", "relative error")

"""Accuracy and cost of forests that forget."""

import re
from typing import Any

import numpy as np
from matplotlib.figure import Figure

_NUMBER = r"(\d*\.\d+)"
_SHARE = re.compile(
    rf"  (\S.*?)(?: S=\d+, k=\d+)? +1/\S+ +{_NUMBER} .*? m?s +1/([\d.]+)"
)
_REFIT = re.compile(rf"  (\S+) +\S+ m?s +{_NUMBER} .* refit")
_RIVAL = re.compile(rf"  (\w+), .*accuracy {_NUMBER}\S*, fit \S+, row 1/([\d.]+)")
_PLACES = {"refits": (0, 8), "skunlearn": (5, -11), "others": (6, -3)}  # of names


def read_forests(text: str) -> dict[str, dict[str, list[tuple[str, float, float]]]]:
    """Return, for each set, points of each kind: name, accuracy and gain for a row."""
    tables: dict[str, dict[str, list[tuple[str, float, float]]]] = {}
    for line in text.splitlines():
        if heading := re.match(r"(\w[\w ]*): [\d,]+ x", line):
            kinds = tables[heading[1]] = {"refits": [], "skunlearn": [], "others": []}
        elif found := _REFIT.match(line):
            kinds["refits"].append((found[1], float(found[2]), 1.0))
        elif found := _SHARE.match(line):
            point = found[1], float(found[2]), float(found[3])
            kinds["skunlearn"].append(point)
        elif found := _RIVAL.match(line):
            kinds["others"].append((found[1], float(found[2]), float(found[3])))
    return tables


def _name_points(kind: str, points: list[Any], span: float) -> list[Any]:
    """Return the points with their names; refits of like accuracy share a name."""
    if kind == "skunlearn":
        named = [p for p in points if p[0].startswith(('"', "random"))]
        return [(name.strip('"'), y, x) for name, y, x in named]
    if kind == "others":
        return [(name, y, x) for name, (y, x) in {p[0]: p[1:] for p in points}.items()]
    merged: list[Any] = []
    for name, y, x in sorted(points, key=lambda point: point[1]):
        name = name.removesuffix("(100)")
        if merged and y - merged[-1][1] < 0.1 * span:
            name, y = f"{merged.pop()[0]}, {name}", y
        merged.append((name, y, x))
    return merged


def draw_forests(text: str) -> Figure:
    """Draw accuracy over the cost of forgetting one row."""
    tables = read_forests(text)
    figure = Figure(figsize=(9.5, 4), layout="constrained")
    panels = figure.subplots(1, len(tables))
    for axes, (data, kinds) in zip(panels, tables.items(), strict=True):
        span = np.ptp([point[1] for points in kinds.values() for point in points])
        for (kind, points), marker in zip(kinds.items(), "sox", strict=True):
            gains, accuracy = [p[2] for p in points], [p[1] for p in points]
            axes.plot(gains, accuracy, marker, label=kind)
            for name, y, x in _name_points(kind, points, span):
                place = _PLACES[kind]
                axes.annotate(
                    name, (x, y), place, textcoords="offset points", fontsize=8
                )
        axes.set(xscale="log", xlim=(0.6, 30000), title=data, ymargin=0.1)
        axes.set_xticks([1, 10, 100, 1000], ["1", "1/10", "1/100", "1/1000"])
        axes.set(xlabel="cost of one row, of the forest's refit")
    panels[0].set(ylabel="accuracy")
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=3)
    return figure

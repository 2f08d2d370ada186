"""Accuracy and cost of boosting in shards and slices."""

import re

from matplotlib.figure import Figure

from charts.panels import finish_panels, make_panels

_LINE = re.compile(
    r" +(\d+) {2,}(\S.*?) {2,}([+-][\d.]+) +[\d.]+ +1/[\d.]+ +1/([\d.]+)"
)
_MARKERS = {"-": "o", "90% + 10%": "s", "50% + 50%": "^"}
_NAMES = {"-": "no slices", "90% + 10%": "90 % + 10 %", "50% + 50%": "50 % + 50 %"}
_LEAST_GAIN, _MOST_LOST = 8, 0.4


def read_boosting(text: str) -> dict[str, list[tuple[str, str, float, float]]]:
    """Return, for each set and model, shards, slices, points and the skewed gain."""
    tables: dict[str, list[tuple[str, str, float, float]]] = {}
    data = name = ""
    for line in text.splitlines():
        if heading := re.match(r"(\w+), [\d,]+ rows", line):
            data = heading[1]
        elif model := re.match(r"  (\w+) +refit ", line):
            name = f"{model[1]}, {data}"
        elif found := _LINE.match(line):
            shards, slices, points, gain = found.groups()
            entry = shards, slices, float(points), float(gain)
            tables.setdefault(name, []).append(entry)
    return tables


def draw_boosting(text: str) -> Figure:
    """Draw the change of accuracy over the cost of skewed requests."""
    tables = read_boosting(text)
    figure, panels = make_panels(len(tables), 0.6, 3.2)
    for axes, (name, entries) in zip(panels.ravel(), tables.items(), strict=False):
        axes.fill_between([_LEAST_GAIN, 16], -_MOST_LOST, 0.3, color="0.93", zorder=0)
        for slices, marker in _MARKERS.items():
            some = [entry for entry in entries if entry[1] == slices]
            gains, points = [e[3] for e in some], [e[2] for e in some]
            axes.plot(gains, points, marker, label=_NAMES[slices])
            for shards, _, y, x in some:
                axes.annotate(
                    shards, (x, y), (4, 4), textcoords="offset points", fontsize=8
                )
        axes.set(xscale="log", xlim=(0.8, 16), title=name)
        axes.set_xticks([1, 2, 4, 8, 16], ["1", "1/2", "1/4", "1/8", "1/16"])
        axes.minorticks_off()
    labels = "cost of a request, of a refit", "points of accuracy"
    return finish_panels(figure, panels, *labels)

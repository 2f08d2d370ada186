"""Draw charts of the benchmark tables when the pages are built, so that both agree."""

import re
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
STYLE = {"svg.hashsalt": "skunlearn", "svg.fonttype": "none", "font.size": 10}


def read_choices(text: str) -> dict[str, list[tuple[str, float, float]]]:
    """Return, for each model, the name, accuracy and seconds of each way to forget."""
    cells = r"(0\.\d+) +\S+ \w+ +(\S+) (\w+) +\S+ \w+"
    models: dict[str, list[tuple[str, float, float]]] = {}
    points: list[tuple[str, float, float]] = []
    for line in text.splitlines():
        found = re.fullmatch(rf"( *)(\S.*?) +{cells}", line)
        if not found:
            continue
        indent, name, accuracy, number, unit = found.groups()
        if not indent:
            points = models[name] = []
        label = name.removesuffix(" shards") if indent else "alone"
        label = "no shards" if "Classifier" in label else label
        points.append((label, float(accuracy), float(number) * SECONDS[unit]))
    return models


def draw_choices(text: str) -> Figure:
    """Draw accuracy over the seconds to forget one row."""
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    for model, points in read_choices(text).items():
        points = sorted(points, key=lambda point: point[2])
        _, accuracy, seconds = zip(*points, strict=True)
        axes.plot(seconds, accuracy, "o-", label=model)
        for label, y, x in points:
            axes.annotate(label, (x, y), xytext=(4, 5), textcoords="offset points")
    axes.set(
        xscale="log",
        xlabel="seconds to forget one row (alone: by a new fit)",
        ylabel="accuracy",
        title="Census: models alone, and in so many shards",
        xmargin=0.1,
        ymargin=0.12,
    )
    axes.legend(loc="lower right")
    return figure


def draw_imbalance(text: str) -> Figure:
    """Draw the recall of a rare class over the number of shards."""
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    blocks = text.partition("All rows")[0].split("\n\n")
    tables = [block for block in blocks if "one small" in block]
    for axes, table in zip(panels, tables, strict=True):
        lines = [line.split() for line in table.splitlines()]
        rows = [list(map(float, line)) for line in lines if line[0].isdigit()]
        names = "plain", 'class_weight="balanced"', "one small model"
        shards = [row[0] for row in rows]
        for i, name in enumerate(names):
            axes.plot(shards, [row[2 + 3 * i] for row in rows], "o-", label=name)
        name = next(line for line in table.splitlines() if "plain" in line)
        axes.set(xscale="log", xlabel="shards", title=name.partition("  ")[0])
        axes.set_xticks(shards, [f"{n:g}" for n in shards])
        axes.minorticks_off()
    panels[0].set(ylabel="recall of the rare class", ylim=(0, 1))
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3
    )
    return figure


CHARTS = {"choices": draw_choices, "imbalance": draw_imbalance}


def draw_all(app: Any) -> None:
    """Write a chart of each table that has one."""
    folder = Path(app.srcdir, "_static", "charts")
    folder.mkdir(exist_ok=True)
    for name, draw in CHARTS.items():
        text = Path(app.srcdir, f"benchmarks_{name}.txt").read_text()
        with rc_context(STYLE):
            draw(text).savefig(folder / f"{name}.svg", metadata={"Date": None})


def setup(app: Any) -> dict[str, bool]:
    """Draw before pages are read."""
    app.connect("builder-inited", draw_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

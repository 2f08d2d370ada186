"""Accuracy beside seconds, for ways to forget."""

import re

from matplotlib.figure import Figure

from charts.rows import SECONDS


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

"""A panel for each of several tables, three in a row, on the same scales."""

from typing import Any

from matplotlib.figure import Figure

__all__ = ["finish_panels", "make_panels"]


def make_panels(n_tables: int, head: float, height: float) -> tuple[Figure, Any]:
    """Return a figure with room for a legend, and its panels; others are hidden."""
    n_rows = -(-n_tables // 3)
    figure = Figure(figsize=(9.5, head + height * n_rows), layout="constrained")
    panels = figure.subplots(n_rows, 3, sharex=True, sharey=True, squeeze=False)
    for axes in panels.ravel()[n_tables:]:
        axes.set_axis_off()
    return figure, panels


def finish_panels(figure: Figure, panels: Any, xlabel: str, ylabel: str) -> Figure:
    """Name the outer axes, and explain the markers of all panels at once."""
    for axes in panels[-1]:
        axes.set(xlabel=xlabel)
    for axes in panels[:, 0]:
        axes.set(ylabel=ylabel)
    handles = panels[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=3)
    return figure

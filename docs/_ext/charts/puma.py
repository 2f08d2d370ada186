"""The experiments of the PUMA article: what is left when rows go."""

import re

from matplotlib.figure import Figure

Table = dict[str, list[float]]


def read_section(text: str, name: str) -> dict[str, tuple[list[str], Table]]:
    """Return the columns and the rows of each table of a section, by its title."""
    block = re.split(rf"^{name}: ", text, flags=re.MULTILINE)[1]
    block = re.split(r"^\w+: |^\$ ", block, flags=re.MULTILINE)[0]
    tables = {}
    for part in block.split("\n\n")[2:]:
        lines = [re.split(r"\s{2,}", line.strip()) for line in part.splitlines()]
        cells_of = [line for line in lines if len(line) > 1]
        if not cells_of:
            continue
        (title, *columns), *rows = cells_of
        numbers = {
            way: [float(cell.rstrip("%")) for cell in cells] for way, *cells in rows
        }
        tables[title] = (columns, numbers)
    return tables


def draw_removals(text: str) -> Figure:
    """Draw the accuracy over the share of helpful rows that were removed."""
    ways = {
        "retrained": "kx-",
        "puma": "C0o-",
        "influence": "C3s-",
        "sharded": "C2^-",
        "retrained with val": "0.6",
    }
    tables = {
        title.partition(",")[0]: (columns[:-1], rows)
        for title, (columns, rows) in read_section(text, "removals").items()
        if "most helpful" in title
    }
    return _draw(tables, ways, "most helpful rows removed (%)")


def draw_pruning(text: str) -> Figure:
    """Draw the accuracy over the share of rows that were kept."""
    ways = {
        "contributions": "C0o-",
        "self-influence, largest": "C3v-",
        "self-influence, smallest": "C1^-",
        "representative": "C2s-",
        "random": "kx-",
        "random, and val": "0.6",
    }
    return _draw(read_section(text, "pruning"), ways, "rows kept (%)")


def _draw(
    tables: dict[str, tuple[list[str], Table]], ways: dict[str, str], label: str
) -> Figure:
    """Draw a panel for each set."""
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    panels = figure.subplots(1, len(tables))
    for axes, (name, (columns, rows)) in zip(panels, tables.items(), strict=True):
        words = {"none": "0", "all": "100"}
        x = [float(words.get(c, c).partition("%")[0]) for c in columns]
        for way, style in ways.items():
            axes.plot(x, rows[way][: len(x)], style, ms=4, label=way)
        axes.set_title(name)
        lowest = min(rows["random" if "random" in rows else "retrained"][: len(x)])
        axes.set_ylim(bottom=lowest - 5)
    figure.supxlabel(label, fontsize="medium")
    panels[0].set(ylabel="accuracy (%)")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=6
    )
    return figure

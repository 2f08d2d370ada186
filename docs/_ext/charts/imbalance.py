"""What shards do to rare classes."""

from matplotlib.figure import Figure


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

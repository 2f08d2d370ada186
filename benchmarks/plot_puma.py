"""Draw the trade-off of PUMA from the table that the benchmark has printed.

``python benchmarks/plot_puma.py docs/benchmarks_puma.txt docs/_static/puma.svg``
"""

import re
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

_HEADER = ["val", "test", "kept", "front", "changed"]
_CAPS = "max_reabsorption="


def read_tables(text: str) -> dict[str, dict[str, np.ndarray]]:
    """Return, for each set and way, the numbers val, test, kept and front."""
    tables: dict[str, dict[str, np.ndarray]] = {}
    rows: dict[str, np.ndarray] | None = None
    for line in text.splitlines():
        way, *cells = re.split(r"\s{2,}", line.strip())
        if cells == _HEADER:
            rows = tables[way] = {}
        elif rows is not None and len(cells) == len(_HEADER):
            rows[way] = np.array([float(cell) for cell in cells[:4]])
        else:
            rows = None
    return tables


def _draw(axes: Any, name: str, rows: dict[str, np.ndarray]) -> None:
    """Draw one set: the criterion against what is kept."""
    path = {way[len(_CAPS) :]: row for way, row in rows.items() if _CAPS in way}
    val, test, kept, front = np.transpose(list(path.values()))
    axes.plot(kept, val, "C0o-", ms=4, label="PUMA, criterion")
    axes.plot(kept, test, "C0o:", ms=3, label="PUMA, other rows")
    axes.plot(kept, front, "0.5", ls="--", label="front")
    axes.plot(*rows["naive"][[2, 0]], "C3s", ms=5, label="naive")
    axes.plot(*rows["retrained with val"][[2, 0]], "C2^", ms=5, label="trained on val")
    axes.plot(1, 1, "kx", label="retrained")
    row = path["0.25"]
    axes.annotate("0.25", (row[2], row[0]), (4, -10), textcoords="offset points")
    axes.set(title=name, xlabel="removal kept", xlim=(0, 1.15))
    axes.axhline(0, color="0.8", lw=0.8, zorder=0)


def main() -> None:
    """Read the table, and write the figure."""
    source, target = map(Path, sys.argv[1:])
    tables = read_tables(source.read_text())
    mpl.rcParams.update({"svg.hashsalt": "puma", "font.size": 9})
    figure, panels = plt.subplots(
        1, len(tables), figsize=(13, 3.4), sharey=True, layout="constrained"
    )
    for axes, (name, rows) in zip(panels, tables.items(), strict=True):
        _draw(axes, name, rows)
    panels[0].set(ylabel="change, of retraining's", ylim=(-0.6, 1.2))
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6
    )
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    main()

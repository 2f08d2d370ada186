"""Draw charts of the benchmark tables when the pages are built, so that both agree."""

from functools import partial
from pathlib import Path
from typing import Any

from matplotlib import rc_context

from charts.boosting import draw_boosting
from charts.choices import draw_choices
from charts.forests import draw_forests
from charts.imbalance import draw_imbalance
from charts.partitions import draw_requests
from charts.puma import draw_pruning, draw_removals
from charts.rows import draw_pairs, draw_targets
from charts.steps import draw_steps

_STYLE = {"svg.hashsalt": "skunlearn", "svg.fonttype": "none", "font.size": 10}
_CHARTS = {  # the name of the chart, that of the table, and what draws one of the other
    "sharded": ("sharded", draw_targets),
    "forest": ("forest", draw_forests),
    "choices": ("choices", draw_choices),
    "imbalance": ("imbalance", draw_imbalance),
    "costs": ("costs", partial(draw_pairs, names=("predicted", "measured"))),
    "search": ("search", partial(draw_pairs, names=("forget", "search again"))),
    "audit": ("audit", partial(draw_pairs, names=("audit or search", "alternative"))),
    "store": ("store", partial(draw_pairs, names=("durable", "alternative"))),
    "boosting": ("boosting", draw_boosting),
    "arcane": ("arcane", draw_requests),
    "influence": ("influence", draw_steps),
    "removals": ("puma_experiments", draw_removals),
    "pruning": ("puma_experiments", draw_pruning),
}


def draw_all(app: Any) -> None:
    """Write a chart of each table."""
    folder = Path(app.srcdir, "_static", "charts")
    folder.mkdir(exist_ok=True)
    for name, (table, draw) in _CHARTS.items():
        text = Path(app.srcdir, f"benchmarks_{table}.txt").read_text()
        with rc_context(_STYLE):
            draw(text).savefig(folder / f"{name}.svg", metadata={"Date": None})


def setup(app: Any) -> dict[str, bool]:
    """Draw before pages are read."""
    app.connect("builder-inited", draw_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

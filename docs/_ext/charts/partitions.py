"""Partitions by class beside SISA and naive retraining."""

import re

from matplotlib.figure import Figure

from charts.rows import SECONDS

_Arms = dict[str, tuple[list[float], list[float]]]


def read_requests(text: str) -> dict[str, _Arms]:
    """Return, for each set and arm, seconds by request and accuracy after each."""
    tables: dict[str, _Arms] = {}
    block = text.partition("\nrequests: ")[2].partition("\nClaim")[0]
    for line in block.splitlines():
        if heading := re.match(r"(\w+): [\d,]+ x", line):
            arms = tables[heading[1]] = {}
        elif found := re.match(r"  (\w+: \w+) +rows ", line):
            arm = arms[found[1]] = ([], [])
        elif line.strip().startswith("time"):
            cells = re.findall(r"([\d.]+) (us|ms|s)\b", line)
            arm[0].extend(float(number) * SECONDS[unit] for number, unit in cells)
        elif line.strip().startswith("accuracy"):
            arm[1].extend(map(float, line.split()[1:]))
    return tables


def draw_requests(text: str) -> Figure:
    """Draw seconds and accuracy by the share of the rows that is forgotten."""
    tables = read_requests(text)
    figure = Figure(figsize=(9.5, 5.4), layout="constrained")
    panels = figure.subplots(2, len(tables), sharex=True)
    shares = ["1 row", "0.1 %", "1 %", "5 %", "10 %", "25 %", "50 %"]
    for column, (data, arms) in zip(panels.T, tables.items(), strict=True):
        for name, (seconds, accuracy) in arms.items():
            column[0].plot(seconds, "o-", ms=4, label=name)
            column[1].plot(accuracy, "o-", ms=4)
        column[0].set(yscale="log", title=data)
        column[1].set_xticks(range(len(shares)), shares, rotation=60)
    panels[0, 0].set(ylabel="seconds")
    panels[1, 0].set(ylabel="accuracy")
    handles = panels[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=4)
    return figure

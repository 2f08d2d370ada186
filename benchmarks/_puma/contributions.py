"""What every row contributes, and how far the sum of contributions can be trusted."""

from collections.abc import Iterator

import numpy as np
from _timing import Scale
from scipy.stats import spearmanr
from sklearn.metrics import log_loss

from _puma.arms import format_table, take_medians
from _puma.sets import SETS, draw_splits
from _puma.trial import Trial

__all__ = ["bench_contributions"]

_N_SEEDS = 3
_SHARES = (0.01, 0.05, 0.2)


def bench_contributions(scale: Scale) -> Iterator[str]:
    """(a) Each row's contribution, and the direction in which its removal points.

    A row's removal moves the parameters by psi = H^-1 g. Its contribution c is psi
    times the gradient of the criterion C, and its self-influence the squared length of
    psi in the norm of H. "harm": share of rows with c < 0; "half": share of rows that
    have half of the sum of |c|; "length": rank correlation of |c| and self-influence,
    1 if a row's direction did not matter. Below, the change of C that was measured with
    newton, over the sum of c that predicts it: 1 is what the linear formula promises.
    Medians of three draws.
    """
    for name in SETS:
        draws = []
        for split in draw_splits(name, scale, _N_SEEDS):
            trial = Trial(split)
            c = trial.puma.contributions()
            draws.append({"all rows": _summarise(trial, c)} | _remove(trial, c))
        found = take_medians(draws)
        summary = {"all rows": found.pop("all rows")}
        formats = ("{:.0%}", "{:.1%}", "{:.2f}")
        yield from format_table(name, ("harm", "half", "length"), summary, formats)
        header = [f"{share:.0%} gone" for share in _SHARES]
        yield from format_table("", header, found, "{:.2f}")


def _summarise(trial: Trial, c: np.ndarray) -> list[float]:
    """Return how contributions are distributed."""
    sizes = np.sort(np.abs(c))[::-1].cumsum()
    half = (np.searchsorted(sizes, sizes[-1] / 2) + 1) / len(c)
    length = spearmanr(np.abs(c), trial.puma.self_influence()).statistic
    return [float(np.mean(c < 0)), half, float(length)]


def _remove(trial: Trial, c: np.ndarray) -> dict[str, list[float]]:
    """Return what the criterion did, over what was predicted."""
    split, labels = trial.split, trial.puma.classes_
    before = log_loss(split.y_val, trial.puma.predict_proba(split.X_val), labels=labels)
    order = np.argsort(c)
    found: dict[str, list[float]] = {}
    for way, rows in (("most helpful", order[::-1]), ("most harmful", order)):
        found[way] = []
        for share in _SHARES:
            gone = rows[: max(1, round(share * len(rows)))]
            after = trial.forget(gone, method="newton").predict_proba(split.X_val)
            change = log_loss(split.y_val, after, labels=labels) - before
            found[way].append(change / c[gone].sum())
    return found

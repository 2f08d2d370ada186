"""Growing removals: what is left of the accuracy."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from _timing import Scale

from _puma.arms import fit_arms, format_table, measure_loss, take_medians
from _puma.sets import SETS, Split, draw_splits

__all__ = ["bench_removals"]

_SHARES = (0.05, 0.1, 0.2, 0.4)
_N_SEEDS = 3


def bench_removals(scale: Scale) -> Iterator[str]:
    """(b) Accuracy on other rows, over growing removals.

    Rows are forgotten in four requests, each on top of those before: first the most
    helpful ones, by contributions() after the fit, then as many at random. Newton is
    retraining to the last digits; "influence" is the naive step with the Hessian of all
    rows; "sharded" has 8 shards; "with val" is retrained with the rows of PUMA's
    criterion among its own. The last column is the mean log loss at the end. Medians of
    three draws.
    """
    for name in SETS:
        for order in ("most helpful", "random"):
            draws = [
                _follow(split, order, seed)
                for seed, split in enumerate(draw_splits(name, scale, _N_SEEDS))
            ]
            title = f"{name}, {order} rows gone"
            header = ["none", *(f"{share:.0%}" for share in _SHARES)]
            formats = [*["{:.1%}"] * len(header), "{:.3f}"]
            header.append("log loss")
            yield from format_table(title, header, take_medians(draws), formats)


def _follow(split: Split, order: str, seed: int) -> dict[str, list[float]]:
    """Return the accuracy of each way before and after each request."""
    arms = fit_arms(split)
    if order == "random":
        rows = np.random.default_rng(seed).permutation(len(split.y))
    else:
        rows = np.argsort(-arms["newton"].contributions())
    ends = [0, *(round(share * len(rows)) for share in _SHARES)]
    found = {}
    for way, arm in arms.items():
        scores = [np.mean(arm.predict(split.X_test) == split.y_test)]
        for start, end in pairwise(ends):
            arm.forget(rows[start:end])
            scores.append(np.mean(arm.predict(split.X_test) == split.y_test))
        scores.append(measure_loss(arm, split.X_test, split.y_test))
        found[way] = scores
    return found

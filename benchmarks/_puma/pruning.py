"""Less data, equal effectiveness: which rows can go, and how many."""

from collections.abc import Iterator

import numpy as np
from _timing import Scale

from _puma.arms import format_table, make_model, take_medians
from _puma.sets import SETS, Split, draw_splits
from _puma.trial import Trial
from skunlearn import RepresentativeSelection

__all__ = ["bench_pruning"]

_N_SEEDS = 5
_MOST = 2_000  # rows: selection takes their square and more
_SHARES = (0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


def bench_pruning(scale: Scale) -> Iterator[str]:
    """(h) Less data, equal effectiveness: accuracy over the share of rows kept.

    At most 2,000 rows to train on. Kept are the rows of the largest contributions to a
    criterion on other rows, of the largest and of the smallest self-influence, the most
    representative ones of each class (length scale: the median distance of two rows),
    and random ones; then the model is trained again. Contributions are seen with the
    rows of the criterion: "random, and val" has these besides. Medians of five draws.
    """
    for name in SETS:
        draws = [
            _prune(split.cut(_MOST), seed)
            for seed, split in enumerate(draw_splits(name, scale, _N_SEEDS))
        ]
        header = [*(f"{share:.0%} kept" for share in _SHARES), "all"]
        yield from format_table(name, header, take_medians(draws))


def _prune(split: Split, seed: int) -> dict[str, list[float]]:
    """Return the accuracy for each order of rows and each share of them."""
    puma = Trial(split).puma
    orders = {
        "contributions": np.argsort(-puma.contributions()),
        "self-influence, largest": np.argsort(-puma.self_influence()),
        "self-influence, smallest": np.argsort(puma.self_influence()),
        "representative": _order_by_representativeness(split),
        "random": np.random.default_rng(seed).permutation(len(split.y)),
    }
    found = {
        way: [_train(split, order, s) for s in (*_SHARES, 1)]
        for way, order in orders.items()
    }
    with_val = [
        _train(split, orders["random"], s, with_val=True) for s in (*_SHARES, 1)
    ]
    return found | {"random, and val": with_val}


def _train(
    split: Split, order: np.ndarray, share: float, *, with_val: bool = False
) -> float:
    """Return the accuracy of a model that is trained on the first rows of an order."""
    kept = order[: round(share * len(order))]
    X, y = split.X[kept], split.y[kept]
    if with_val:
        X, y = np.vstack([X, split.X_val]), np.concatenate([y, split.y_val])
    if len(np.unique(y)) == 1:
        return float(np.mean(split.y_test == y[0]))
    return make_model(split).fit(X, y).score(split.X_test, split.y_test)


def _order_by_representativeness(split: Split) -> np.ndarray:
    """Return all rows, the first of each class first, in the proportions of classes."""
    sample = split.X[:200]
    distances = np.linalg.norm(sample[:, None] - sample, axis=2)
    selection = RepresentativeSelection(1.0, length_scale=float(np.median(distances)))
    ranks = np.empty(len(split.y))
    for label in np.unique(split.y):
        rows = np.flatnonzero(split.y == label)
        picked = rows[selection.select(split.X[rows])]
        ranks[picked] = np.arange(len(picked)) / len(picked)
    return np.argsort(ranks, kind="stable")

"""What a network forgets whose last layer is updated, and what its features keep."""

from collections.abc import Iterator

from _timing import Scale, time_call
from sklearn.neural_network import MLPClassifier

from _puma.arms import fit_arms, format_table, take_medians
from _puma.membership import attack, choose_rows
from _puma.sets import DIGITS, Split, draw_splits

__all__ = ["bench_networks"]

_N_SEEDS = 5
_N_TRAIN = {"mc4": 200, "census": 400, DIGITS: 400}


def bench_networks(scale: Scale) -> Iterator[str]:
    """Networks: the last layer forgets, and the features have seen the rows.

    MLPClassifier of one layer of 16 units, few rows and little weight decay, so that
    rows are known by heart. A fifth of them is forgotten, as in (d), and the columns
    are those of (d). "newton", "influence" and "puma" update the last layer;
    "retrained" trains all layers again, and so does "sharded", in its parts. Medians of
    five draws.
    """
    for name in _N_TRAIN:
        for which in ("random", "most helpful"):
            draws = [
                _forget(split.cut(_N_TRAIN[name]), which, seed)
                for seed, split in enumerate(draw_splits(name, scale, _N_SEEDS))
            ]
            title = f"{name}, {_N_TRAIN[name]} rows, {which}"
            header = ("called", "AUC", "accuracy", "seconds")
            formats = ("{:.0%}", "{:.2f}", "{:.1%}", "{:.3f}")
            yield from format_table(title, header, take_medians(draws), formats)


def _forget(split: Split, which: str, seed: int) -> dict[str, list[float]]:
    """Forget some rows in each way, attack, and time it."""
    network = MLPClassifier(
        (16,), alpha=0.1, solver="lbfgs", max_iter=2_000, random_state=seed
    )
    arms = fit_arms(split, network, n_shards=4, with_val=False, scope="head")
    rows = choose_rows(arms["newton"], which, seed)
    found = {"before": [*attack(arms["newton"], split, rows), 0.0]}
    for way, arm in arms.items():
        seconds = time_call(lambda arm=arm: arm.forget(rows))
        found[way] = [*attack(arm, split, rows), seconds]
    return found

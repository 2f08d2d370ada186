"""A whole class goes, and the others are to be kept."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from _timing import Scale, time_call

from _puma.arms import fit_arms, format_table, take_medians
from _puma.sets import DIGITS, Split, draw_splits
from skunlearn import ShardedUnlearningClassifier

__all__ = ["bench_classes"]

_N_SEEDS = 3
_GONE = 3  # the class


def bench_classes(scale: Scale) -> Iterator[str]:
    """(c) A whole class is removed, and the others are kept.

    Class 3 goes: all of its rows, so that it leaves classes_, or all but one in fifty,
    as when a request misses some. "recall" is that of class 3, and "others" the
    accuracy on rows of the other classes, of which alone the criterion of PUMA
    consists. "by class" has a part for each class, with two classes as negatives
    (ARCANE). Medians of three draws.
    """
    for name in ("mc4", DIGITS):
        for words, share in (("the whole class", 1.0), ("49 of 50 of its rows", 0.98)):
            draws = [
                _remove(each, share) for each in draw_splits(name, scale, _N_SEEDS)
            ]
            header = ("recall", "others", "seconds")
            formats = ("{:.1%}", "{:.1%}", "{:.3f}")
            title = f"{name}, {words}"
            yield from format_table(title, header, take_medians(draws), formats)


def _remove(split: Split, share: float) -> dict[str, list[float]]:
    """Forget a share of a class in each way, and see what is predicted."""
    is_other = split.y_val != _GONE
    split = replace(split, X_val=split.X_val[is_other], y_val=split.y_val[is_other])
    arms = fit_arms(split, with_val=False)
    arms["sharded, by class"] = ShardedUnlearningClassifier(
        arms["sharded"].estimator,
        partition="class",
        n_shards=1,
        n_negatives=2,
        random_state=0,
    ).fit(split.X, split.y)
    rows = np.flatnonzero(split.y == _GONE)
    rows = rows[: round(share * len(rows))]
    found = {"before": [*_judge(arms["newton"], split), np.nan]}
    for way, arm in arms.items():
        seconds = time_call(lambda arm=arm: arm.forget(rows))
        found[way] = [*_judge(arm, split), seconds]
    return found


def _judge(model: Any, split: Split) -> list[float]:
    """Return the recall of the class, and the accuracy on others."""
    is_right = model.predict(split.X_test) == split.y_test
    is_gone = split.y_test == _GONE
    return [float(is_right[is_gone].mean()), float(is_right[~is_gone].mean())]

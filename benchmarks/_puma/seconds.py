"""The seconds of each way to forget."""

import time
from collections.abc import Iterator

import numpy as np
from _data import make_rows
from _influence_refits import cold_arm
from _influence_table import format_cells
from _influence_turns import Arm, copy_with, forget_arm, take_turns, time_ratio
from _timing import Row, Scale
from sklearn.linear_model import LogisticRegression

from _puma.arms import fit_arms, make_model
from _puma.sets import SETS, Split, draw_splits
from skunlearn import InfluenceUnlearningClassifier

__all__ = ["bench_seconds"]

_COLUMNS = ("refit", "newton", "patch", "influence", "puma", "sharded")
_WIDTHS = (40, *[10] * len(_COLUMNS))


def bench_seconds(scale: Scale) -> Iterator[str | Row]:
    """(e) Seconds of each method, for random and for the most helpful rows.

    "refit" is scikit-learn's from scratch, on rows that are ready for use; "patch" is
    newton with exact=False; "sharded" trains those of 8 shards that the rows are in.
    Seconds of the processor, medians of seven turns on one draw. In brackets the
    parameters. Then 100 rows of a million, where the result is the share of a refit.
    """
    yield format_cells(("", *_COLUMNS), _WIDTHS)
    for name in SETS:
        split = next(draw_splits(name, scale, 1))
        yield from _time_set(name, split, scale.repeats(7))
    yield from _time_many_rows(scale)


def _take_turns(arms: dict[str, Arm], repeats: int) -> None:
    """Time arms that have one thread by the processor, which others may use too."""
    for arm in arms.values():
        arm.clock = time.process_time
    take_turns(arms, repeats)


def _time_set(name: str, split: Split, repeats: int) -> Iterator[str]:
    """Yield a line for each request."""
    arms = fit_arms(split)
    n_parameters = arms["newton"].coef_.size + arms["newton"].intercept_.size
    helpful = np.argsort(-arms["newton"].contributions())
    others = np.random.default_rng(0).permutation(len(helpful))
    for words, order, share in (
        ("1 random row", others, 0.0),
        ("1 % random", others, 0.01),
        ("5 % most helpful", helpful, 0.05),
    ):
        rows = order[: max(1, round(share * len(order)))]
        X, y = np.delete(split.X, rows, axis=0), np.delete(split.y, rows)
        turns = {"refit": cold_arm(make_model(split), X, y)}
        turns["newton"] = forget_arm(arms["newton"], rows)
        turns["patch"] = forget_arm(arms["newton"], rows, exact=False)
        for way in ("influence", "puma", "sharded"):
            turns[way] = forget_arm(arms[way], rows)
        _take_turns(turns, repeats)
        case = f"{name} ({n_parameters}), {words}"
        yield format_cells((case, *(str(turns[way]) for way in _COLUMNS)), _WIDTHS)


def _time_many_rows(scale: Scale) -> Iterator[Row]:
    """Yield the seconds of 100 rows of a million."""
    n_samples, n_val = scale.size(1_000_000), 10_000
    X, y = make_rows(n_samples + n_val)
    X, X_val, y, y_val = X[n_val:], X[:n_val], y[n_val:], y[:n_val]
    model = LogisticRegression()
    ours = InfluenceUnlearningClassifier(model, method="puma", random_state=0)
    ours.fit(X, y, X_val=X_val, y_val=y_val)
    helpful = np.argsort(copy_with(ours).contributions())[-100:]
    others = np.random.default_rng(1).choice(n_samples, 100, replace=False)
    for name, rows in (("100 most helpful rows", helpful), ("any 100 rows", others)):
        cold = cold_arm(model, np.delete(X, rows, axis=0), np.delete(y, rows))
        arms: dict[str, Arm] = {"ours": forget_arm(ours, rows), "cold": cold}
        _take_turns(arms, scale.repeats(7))
        ratio = 1 / time_ratio(cold, arms["ours"])
        case = f"PUMA, {name} of {n_samples:,}"
        yield Row(case, str(arms["ours"]), str(cold), ratio, at_most=0.25)

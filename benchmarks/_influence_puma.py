"""PUMA: its seconds, and what it trades between keeping performance and removing."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from _data import make_rows
from _influence_data import ConvexTest
from _influence_optimum import measure_error, polish_optimum
from _influence_refits import cold_arm
from _influence_table import format_cells
from _influence_turns import copy_with, forget_arm, take_turns, time_ratio
from _timing import Row, Scale
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from skunlearn import InfluenceUnlearningClassifier

__all__ = ["bench_puma"]

_WIDTHS = (40, 9, 8, 9, 8, 9, 10, 9)
_HEADER = (
    "",
    "val",
    "of naive",
    "test",
    "of naive",
    "forgotten",
    "of retrain",
    "error",
)
_REABSORPTIONS = (0, 0.05, 0.1, 0.25, 0.5, 1)
_ETAS = (0.5, 1, "auto")
_POLISHED = "to the optimum"  # where it does not matter how long the first step was


def bench_puma(scale: Scale) -> Iterator[str | Row]:
    """(3) PUMA's seconds, and the trade-off over max_reabsorption and eta.

    First 100 rows of very many, the most helpful ones and others. Then the most helpful
    5 % of 2,000 rows of 4 classes with a tenth of the labels wrong; medians over drawn
    sets. "val" is the change of the mean loss on the 1,000 clean rows that are the
    criterion, "test" the same on others, and "forgotten" the rise on what is forgotten;
    "error" is the relative distance to the retrained optimum. Naive is
    method="influence". A number for eta means one step.
    """
    yield from _bench_seconds(scale)
    yield from _bench_trade_off(scale)


def _bench_seconds(scale: Scale) -> Iterator[Row]:
    n_samples, n_val = scale.size(1_000_000), 10_000
    X, y = make_rows(n_samples + n_val)
    X, X_val, y, y_val = X[n_val:], X[:n_val], y[n_val:], y[:n_val]
    ours = _make("puma").fit(X, y, X_val=X_val, y_val=y_val)
    helpful = np.argsort(copy_with(ours).contributions())[-100:]
    others = np.random.default_rng(1).choice(n_samples, 100, replace=False)
    for name, rows in (("100 most helpful rows", helpful), ("any 100 rows", others)):
        stays = np.delete(X, rows, axis=0), np.delete(y, rows)
        cold = cold_arm(LogisticRegression(), *stays)
        arms = {
            "one step": forget_arm(copy_with(ours, n_steps=1), rows),
            "to tol": forget_arm(ours, rows),
            "cold": cold,
        }
        take_turns(arms, scale.repeats(7))
        for way in ("one step", "to tol"):
            ratio = time_ratio(cold, arms[way])
            case = f"{name}, {way}: faster than a refit"
            target = 8 if way == "one step" else None
            yield Row(case, str(arms[way]), str(cold), ratio, at_least=target)


def _make(method: str, **settings: Any) -> InfluenceUnlearningClassifier:
    return InfluenceUnlearningClassifier(
        LogisticRegression(**settings), method=method, random_state=0
    )


def _bench_trade_off(scale: Scale) -> Iterator[str | Row]:
    results = [_measure(ConvexTest.draw(seed)) for seed in range(scale.repeats(7))]
    yield "\n" + format_cells(_HEADER, _WIDTHS)
    medians = {
        name: np.median([result[name] for result in results], axis=0)
        for name in results[0]
    }
    for name, numbers in medians.items():
        val, val_share, test, test_share, rise, rise_share, error = numbers
        cells = (f"{val:+.4f}", f"{val_share:.0%}", f"{test:+.4f}", f"{test_share:.0%}")
        cells += (f"{rise:+.4f}", f"{rise_share:.0%}", f"{error:.3f}")
        yield format_cells((name, *cells), _WIDTHS)
    val, val_share, *_, rise, rise_share, _ = medians[_name(0.1, _POLISHED)]
    naive, retrained = medians["naive"], medians["retrained"]
    yield Row(
        "defaults: change of the criterion, of naive",
        f"{val:+.4f}",
        f"{naive[0]:+.4f} naive",
        100 * val_share,
        "%",
        at_most=25,
    )
    yield Row(
        "defaults: rise on the forgotten, of retrained",
        f"{rise:+.4f}",
        f"{retrained[4]:+.4f} retrained",
        100 * rise_share,
        "%",
        at_least=60,
    )


def _name(reabsorption: float, eta: float | str) -> str:
    way = eta if eta == _POLISHED else f"eta={eta}"
    return f"max_reabsorption={reabsorption:g}, {way}"


def _measure(test: ConvexTest) -> dict[str, np.ndarray]:
    """Forget the most helpful rows in all ways; return a line of numbers for each."""
    puma = _fit(test, "puma")
    rows = np.argsort(puma.contributions())[-len(test.y) // 20 :]
    X, y = np.delete(test.X, rows, axis=0), np.delete(test.y, rows)
    retrained = LogisticRegression(C=test.C, tol=1e-8, max_iter=1_000).fit(X, y)
    optimum = polish_optimum(retrained, X, y)
    sets = (
        (test.X_val, test.y_val),
        (test.X_test, test.y_test),
        (test.X[rows], test.y[rows]),
    )
    before = _losses(puma, sets)
    models = {
        "retrained": retrained,
        "naive": _fit(test, "influence").forget(rows),
        "newton": _fit(test, "newton").forget(rows),
    }
    for rho, eta in product(_REABSORPTIONS, (*_ETAS, _POLISHED)):
        steps = {} if eta == _POLISHED else {"eta": eta, "n_steps": 1}
        patched = copy_with(puma, max_reabsorption=rho, **steps)
        models[_name(rho, eta)] = patched.forget(rows)
    changes = {name: _losses(model, sets) - before for name, model in models.items()}
    ways = (changes["naive"], changes["naive"], changes["retrained"])
    whole = [way[i] for i, way in enumerate(ways)]
    return {
        name: np.r_[
            np.column_stack([change, change / whole]).ravel(),
            measure_error(getattr(models[name], "estimator_", models[name]), optimum),
        ]
        for name, change in changes.items()
    }


def _fit(test: ConvexTest, method: str) -> InfluenceUnlearningClassifier:
    criterion = {"X_val": test.X_val, "y_val": test.y_val} if method == "puma" else {}
    return _make(method, C=test.C).fit(test.X, test.y, **criterion)


def _losses(model: Any, sets: Any) -> np.ndarray:
    return np.array(
        [log_loss(y, model.predict_proba(X), labels=range(4)) for X, y in sets]
    )

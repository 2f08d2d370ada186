"""Certified removal: how many rows the budget lasts for."""

import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import numpy as np
from _influence_digits import HINT, has_mnist, load_three_or_eight
from _timing import Row, Scale, format_seconds, time_call
from sklearn.linear_model import LogisticRegression

from skunlearn import InfluenceUnlearningClassifier

__all__ = ["bench_certified"]

_SECONDS = 180  # after which removals end
_LAMBDA = 1e-3


def bench_certified(scale: Scale) -> Iterator[str | Row]:
    """Certified removal of single rows, 3 against 8, until the first refit.

    Unit rows, lambda 1e-3, noise scale 10, epsilon 0.1, delta 1e-4; no intercept. The
    alternative for the number is the data-dependent bound of Guo et al. (2020), as
    measured on MNIST; for the seconds it is a refit.
    """
    if not has_mnist():
        yield HINT
        return
    X, X_test, y, y_test = load_three_or_eight(scale.size(12_000))
    plain = LogisticRegression(
        C=1 / (len(y) * _LAMBDA), fit_intercept=False, max_iter=1_000
    )
    refit = median(time_call(lambda: plain.fit(X, y)) for _ in range(3))
    accuracy = plain.score(X_test, y_test)
    for n_steps in ("auto", 1):
        ours = _certify(plain, n_steps)
        seconds = time_call(lambda ours=ours: ours.fit(X, y))
        fitted = ours.score(X_test, y_test)
        name = f"n_steps={n_steps}"
        times = format_seconds(seconds), f"{format_seconds(refit)} plain"
        yield Row(f"{name}: fit", *times, seconds / refit)
        points = 100 * (fitted - accuracy)
        scores = f"{fitted:.3f}", f"{accuracy:.3f} plain"
        yield Row(f"{name}: accuracy", *scores, points, "points")
        yield from _bench_removals(name, ours, refit, scale)


def _certify(model: LogisticRegression, n_steps: Any) -> InfluenceUnlearningClassifier:
    return InfluenceUnlearningClassifier(
        model,
        method="newton",
        n_steps=n_steps,
        certify=(0.1, 1e-4),
        noise_scale=10.0,
        random_state=0,
    )


def _bench_removals(
    name: str, ours: InfluenceUnlearningClassifier, refit: float, scale: Scale
) -> Iterator[Row]:
    seconds, is_refit = _remove(ours, 110 if scale.quick else 2_000)
    is_default = ours.n_steps == "auto"
    yield Row(
        f"{name}: removals before the first refit",
        "budget spent" if is_refit else "budget left",
        "8 by their bound",
        len(seconds),
        "",
        at_least=scale.size(1_000) if is_default else None,
    )
    middle = median(seconds) if seconds else np.nan
    yield Row(
        f"{name}: median of a removal",
        format_seconds(middle),
        f"{format_seconds(refit)} refit",
        1e3 * middle,
        "ms",
        at_most=30 if is_default else None,
    )


def _remove(
    ours: InfluenceUnlearningClassifier, n_most: int
) -> tuple[list[float], bool]:
    """Remove rows one by one until the first refit; return the seconds before it."""
    order = np.random.default_rng(1).permutation(ours.retained_indices_)
    seconds: list[float] = []
    start = time.perf_counter()
    for i in order[:n_most]:
        seconds.append(time_call(lambda i=i: ours.forget(i)))
        if ours.forget_records_[-1].path == "refit":
            return seconds[:-1], True
        if time.perf_counter() - start > _SECONDS:
            break
    return seconds, False

"""Requests in a row, exact and patched, beside refits on the rows that stay."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

import numpy as np
from _influence_data import draw_classes, load_encoded_census
from _timing import Row, Scale, format_seconds, time_call
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from skunlearn import InfluenceUnlearningClassifier

__all__ = ["bench_sequences"]

_TURNS, _LONG_TURNS = 200, 50
_REFITS = 4


@dataclass(frozen=True)
class _Case:
    """A table, requests of so many rows, and the targets: ratios of median and mean.

    `data` is "drawn", or the census as an "array" or "CSR".
    """

    n_samples: int
    n_features: int
    n_classes: int
    n_forgotten: int
    exact: Any
    at_median: float | None = None
    at_mean: float | None = None
    mean_ms: float | None = None
    of_fit: float | None = None
    data: str = "drawn"

    @property
    def n_turns(self) -> int:
        """Return how many requests follow one another."""
        is_long = self.exact and self.n_samples * self.n_features > 1e7
        return _LONG_TURNS if is_long else _TURNS

    @property
    def words(self) -> str:
        """Return the case in words."""
        way = "exact" if self.exact else "patched"
        name = "" if self.data == "drawn" else f"census ({self.data}), "
        return (
            f"{name}{self.n_samples:,} x {self.n_features}, {self.n_classes} classes, "
            f"{self.n_forgotten} a request, {way}"
        )

    def load(self, scale: Scale) -> tuple[Any, np.ndarray]:
        """Return the rows."""
        n_samples = scale.size(self.n_samples)
        if self.data == "drawn":
            return draw_classes(n_samples, self.n_features, self.n_classes)
        X, _, y, _ = load_encoded_census()
        X, y = X[:n_samples], y[:n_samples]
        return (sparse.csr_array(X) if self.data == "CSR" else X), y


_CASES = (
    _Case(1_000_000, 20, 2, 1, "auto", at_mean=8, mean_ms=60, of_fit=1),
    _Case(1_000_000, 20, 2, 100, "auto", at_mean=8, mean_ms=60),
    _Case(1_000_000, 20, 2, 1, False, at_mean=500, of_fit=1),
    _Case(1_000_000, 20, 2, 100, False, at_median=1_500, at_mean=150),
    _Case(100_000, 20, 2, 1, "auto", at_mean=8, mean_ms=6),
    _Case(39_073, 108, 2, 1, "auto", at_mean=8, mean_ms=25, data="array"),
    _Case(39_073, 108, 2, 1, "auto", at_mean=8, mean_ms=10, data="CSR"),
    _Case(100_000, 20, 2, 10, False, mean_ms=1),
    _Case(100_000, 100, 2, 10, False, mean_ms=15),
    _Case(1_000_000, 20, 10, 100, False, at_median=200, at_mean=30, of_fit=1.5),
)


def bench_sequences(scale: Scale) -> Iterator[str | Row]:
    """Requests one after another, and a few refits among them.

    "patched" is exact=False with the default tol. The fit is beside LogisticRegression
    on the same rows, with its own tolerance. Distances are to a fresh fit with the
    same `exact`, in the norm of the Hessian: standard errors. Times are those of the
    processor: everything runs in one thread.
    """
    for case in _CASES:
        yield f"\n  {case.words}"
        yield from _bench_case(case, scale)


def _bench_case(case: _Case, scale: Scale) -> Iterator[Row]:
    X, y = case.load(scale)
    base = LogisticRegression(max_iter=1_000)
    ours = InfluenceUnlearningClassifier(base, exact=case.exact)
    fits = [(_time_fit(ours, X, y), _time_fit(base, X, y)) for _ in range(3)][1:]
    fit, alone = (min(pair[i] for pair in fits) for i in (0, 1))
    rng, size = np.random.default_rng(1), case.n_forgotten
    rows = rng.permutation(len(y))[: size * (scale.repeats(case.n_turns) + 1)]
    first, *requests = rows.reshape(-1, size)
    ours.forget(first)
    seconds, refits = [], []
    for i, request in enumerate(requests):
        seconds.append(_time(lambda request=request: ours.forget(request)))
        if i % max(1, len(requests) // _REFITS) == 0:
            keep = ours.retained_indices_
            refits.append(_time_fit(base, X[keep], y[keep]))
    cold, times = median(refits), format_seconds(mean(seconds))
    other = format_seconds(cold)
    yield Row(
        "median request: times as fast as a refit",
        format_seconds(median(seconds)),
        other,
        cold / median(seconds),
        at_least=case.at_median,
    )
    ratio = cold / mean(seconds)
    yield Row(
        "mean: times as fast as a refit", times, other, ratio, at_least=case.at_mean
    )
    if case.mean_ms is not None:
        value = 1e3 * mean(seconds)
        yield Row("mean of all requests", times, "", value, "ms", at_most=case.mean_ms)
    yield Row(
        "fit, beside LogisticRegression alone",
        format_seconds(fit),
        format_seconds(alone),
        fit / alone,
        at_most=case.of_fit,
    )
    yield from _judge_distance(case, ours, X, y)


def _judge_distance(case: _Case, ours: Any, X: np.ndarray, y: np.ndarray) -> Any:
    """Compare with a fresh fit on the retained rows."""
    keep = ours.retained_indices_
    fresh = clone(ours).fit(X[keep], y[keep])
    optimum = fresh._state.optimum
    v = ours._state.optimum.theta - optimum.theta
    square = float(v @ optimum.objective.hessian(optimum.theta, fresh._state.w) @ v)
    worst = max(record.hessian_bound for record in ours.forget_records_)
    limit = 0.0 if case.exact else 1e-3
    bound = f"bound {worst:.1g}"
    words = "distance to a fresh fit, standard errors"
    yield Row(words, bound, "", max(square, 0.0) ** 0.5, "", at_most=limit)


def _time_fit(model: Any, X: np.ndarray, y: np.ndarray) -> float:
    return _time(lambda: model.fit(X, y))


def _time(call: Callable[[], Any]) -> float:
    return time_call(call, time.thread_time)

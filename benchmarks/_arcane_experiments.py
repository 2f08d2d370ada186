"""The experiments of the ARCANE article: requests, selection, blocks, order.

Each yields lines of one table and ends in a sentence that tells what came out.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from _arcane_arms import Cost, forget, make_arms, make_mixture, takes_selection
from _arcane_data import DataSet, load_sets
from _timing import Scale, format_seconds
from sklearn.base import clone
from sklearn.linear_model import SGDClassifier

from skunlearn import ShardedUnlearningClassifier
from skunlearn.costs import expected_retrained_samples, simulate_requests

__all__ = ["bench_blocks", "bench_order", "bench_requests", "bench_selection"]

_SHARES = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5)


def bench_requests(scale: Scale) -> Iterator[str]:
    """(a, b) Uniform requests: rows trained, seconds and accuracy by their share.

    First the mean of single requests, then the share of all rows, each time at once.
    Columns of accuracy begin with that before any request.
    """
    shares = _SHARES[::3] if scale.quick else _SHARES
    header = ["one row", *(f"{100 * share:g} %" for share in shares)]
    verdicts = []
    for data in load_sets(scale):
        yield f"\n{data}"
        yield _line("", "", "", *header)
        results = {}
        for name, arm in make_arms(data).items():
            costs, accuracy = _forget_shares(arm, data, shares, scale)
            results[name] = costs, accuracy
            yield _line(name, "rows", "", *(f"{cost.mean[0]:,.0f}" for cost in costs))
            seconds = (format_seconds(cost.mean[1]) for cost in costs)
            yield _line("", "time", "", *seconds)
            yield _line("", "accuracy", *(f"{score:.4f}" for score in accuracy))
        verdicts.append(_judge_requests(data, results))
    yield "\nClaim: ARCANE forgets faster than both and keeps accuracy better."
    yield from verdicts


def _forget_shares(
    arm: Any, data: DataSet, shares: tuple[float, ...], scale: Scale
) -> tuple[list[Cost], list[float]]:
    """Forget single rows, then more and more of all rows, one batch after another."""
    n = len(data.y)
    arm.fit(data.X, data.y)
    accuracy = [arm.score(data.X_test, data.y_test)]
    n_single = 2 if scale.quick else 4 if _is_naive(arm) else 30
    n_most = int(shares[-1] * n)
    (order,) = simulate_requests(n, n_most + n_single, batch_size=None, random_state=1)
    costs = [forget(arm, order[n_most:, None])]
    done = 0
    for share in shares:
        stop = int(share * n)
        costs.append(forget(arm, [order[done:stop]]))
        accuracy.append(arm.score(data.X_test, data.y_test))
        done = stop
    return costs, accuracy


def _is_naive(arm: Any) -> bool:
    return arm.n_shards == 1 and arm.partition == "uniform"


def _judge_requests(data: DataSet, results: dict[str, Any]) -> str:
    naive, sisa, forests, mixtures = results.values()
    words = []
    for name, arm in (("mixtures", mixtures), ("forests", forests)):
        others = (("naive retraining", naive), ("SISA", sisa))
        for other_name, other in others:
            (rows, seconds), (more_rows, more_seconds) = (
                each[0][0].mean for each in (arm, other)
            )
            points = 100 * (arm[1][-1] - other[1][-1])
            words.append(
                f"{name} by class beside {other_name}: "
                f"{_times(more_rows / rows, 'fewer')} rows and "
                f"{_times(more_seconds / seconds, 'less')} time for one row; with "
                f"half of the rows gone {points:+.1f} points"
            )
    return f"{data.name}: {'. '.join(words)}."


def _times(ratio: float, word: str) -> str:
    return f"{ratio:.1f} x {word}" if ratio >= 1 else f"{1 / ratio:.1f} x more"


def bench_selection(scale: Scale) -> Iterator[str]:
    """(c) Representative rows: accuracy and time by the share that is selected.

    Times include the selection, whose part in them is given too. A random subset of
    the same size stands beside it.
    """
    if not takes_selection():
        yield "skipped: this version has no `selection`."
        return
    fractions = (0.1, 1.0) if scale.quick else (0.1, 0.2, 0.4, 0.7, 1.0)
    verdicts = []
    for data in _shorten(load_sets(scale), scale.size(6_000)):
        yield f"\n{data}"
        names = ("fit", "of it selecting", "one row", "rows", "accuracy", "random rows")
        yield _line("share selected", "", *names)
        arms = make_arms(data)
        for name in ("ARCANE: mixtures", "ARCANE: forests"):
            scores = {}
            for fraction in fractions:
                cells, *scores[fraction] = _select(arms[name], data, fraction, scale)
                yield _line(name, f"{fraction:g}", *cells)
            verdicts.append(_judge_selection(f"{data.name}, {name[8:]}", scores))
    yield "\nClaim: selection cuts training without loss of accuracy."
    yield from verdicts


def _judge_selection(name: str, scores: dict[float, list[float]]) -> str:
    best = max(score for score, _ in scores.values())
    enough = min(f for f, (score, _) in scores.items() if score >= best - 0.005)
    least = min(scores)
    gain = 100 * (scores[least][0] - scores[least][1])
    return (
        f"{name}: {enough:g} of the rows comes within half a point of the best; at "
        f"{least:g} selected rows are {gain:+.1f} points beside random ones."
    )


def _select(
    arm: Any, data: DataSet, fraction: float, scale: Scale
) -> tuple[list[str], float, float]:
    """Train on selected rows, and on as many random ones."""
    from skunlearn import RepresentativeSelection

    some = _draw_by_class(data.y, fraction)
    X, y = data.X[some], data.y[some]
    plain = clone(arm)
    without = min(_time_fit(plain, X, y) for _ in range(2))
    if fraction < 1:
        selection = RepresentativeSelection(fraction, length_scale=data.length_scale)
        arm = clone(arm).set_params(selection=selection)
    seconds = _time_fit(arm, data.X, data.y)
    selecting = f"{max(1 - without / seconds, 0.0):.0%}" if fraction < 1 else "none"
    ours, random = (each.score(data.X_test, data.y_test) for each in (arm, plain))
    stream = simulate_requests(len(data.y), scale.repeats(20), random_state=1)
    rows, mean_seconds = forget(arm, stream).mean
    cells = [format_seconds(seconds), selecting, format_seconds(mean_seconds)]
    cells += [f"{rows:,.0f}", f"{ours:.4f}", f"{random:.4f}"]
    return cells, ours, random


def _time_fit(classifier: Any, X: np.ndarray, y: np.ndarray) -> float:
    start = time.perf_counter()
    classifier.fit(X, y)
    return time.perf_counter() - start


def _draw_by_class(y: np.ndarray, fraction: float) -> np.ndarray:
    """Return a random share of the rows of each class."""
    rng = np.random.default_rng(0)
    members = (np.flatnonzero(y == label) for label in np.unique(y))
    drawn = [
        rng.choice(rows, int(np.ceil(fraction * len(rows))), replace=False)
        for rows in members
    ]
    return np.sort(np.concatenate(drawn))


def _shorten(sets: list[DataSet], n_rows: int) -> list[DataSet]:
    """Leave out rows beyond a number of them."""
    return [replace(data, X=data.X[:n_rows], y=data.y[:n_rows]) for data in sets]


def bench_blocks(scale: Scale) -> Iterator[str]:
    """(d) Blocks with saved states: rows trained for one uniform request, accuracy.

    Beside the mean of real requests is the expected number. Rows count once for every
    pass; SGD makes ten over all, which cumulative slices share.
    """
    blocks = (1, 5) if scale.quick else (1, 2, 5, 10, 20)
    verdicts = []
    for data in _shorten(load_sets(scale), scale.size(10_000)):
        yield f"\n{data}"
        yield _line("", "", "", *(f"B = {n}" for n in blocks))
        for name, make in _BLOCK_ARMS.items():
            means, expected, scores = [], [], []
            for n_blocks in blocks:
                arm = make(data, n_blocks).fit(data.X, data.y)
                scores.append(arm.score(data.X_test, data.y_test))
                expected.append(_expect(arm, data, n_blocks))
                stream = simulate_requests(
                    len(data.y), scale.repeats(40), random_state=1
                )
                means.append(forget(arm, stream).mean[0])
            yield _line(name, "rows", "", *(f"{mean:,.0f}" for mean in means))
            yield _line("", "expected", "", *(f"{mean:,.0f}" for mean in expected))
            yield _line("", "accuracy", "", *(f"{score:.4f}" for score in scores))
            verdicts.append(
                f"{data.name}, {name}: {means[-1] / means[0]:.2f} x the rows with "
                f"{blocks[-1]} blocks, {100 * (scores[-1] - scores[0]):+.1f} points."
            )
    yield (
        "\nClaim: more blocks, fewer rows to train. A change in a block undoes all "
        "later states:\nthe limit is a half of the rows, not one block of them."
    )
    yield from verdicts


def _make_sequential(data: DataSet, n_blocks: int) -> ShardedUnlearningClassifier:
    return make_mixture(data, n_slices=n_blocks, slice_training="sequential")


def _make_cumulative(data: DataSet, n_blocks: int) -> ShardedUnlearningClassifier:
    return make_mixture(data, n_slices=n_blocks)


def _make_sgd(data: DataSet, n_blocks: int, **settings: Any) -> Any:
    base = SGDClassifier(loss="log_loss", alpha=1e-3)
    settings = {"n_shards": data.n_constituents, "n_slices": n_blocks} | settings
    return ShardedUnlearningClassifier(base, n_epochs=10, random_state=0, **settings)


def _make_sgd_by_class(data: DataSet, n_blocks: int) -> ShardedUnlearningClassifier:
    return _make_sgd(data, n_blocks, n_shards=data.n_parts, partition="class")


_BLOCK_ARMS = {
    "mixtures, block alone": _make_sequential,
    "mixtures, blocks 1 to j": _make_cumulative,
    "SGD by class": _make_sgd_by_class,
    "SGD, SISA": _make_sgd,
}


def _expect(arm: Any, data: DataSet, n_blocks: int) -> float:
    by_class = {}
    if arm.partition == "class":
        counts = np.unique(data.y, return_counts=True)[1]
        n_negatives = arm.n_negatives if isinstance(arm.estimator, SGDClassifier) else 0
        by_class = {
            "partition": "class",
            "class_counts": counts,
            "n_negatives": n_negatives,
        }
    return float(
        expected_retrained_samples(
            len(data.y),
            n_shards=arm.n_shards,
            n_slices=n_blocks,
            n_epochs=arm.n_epochs,
            slice_training=arm.slice_training,
            **by_class,
        )
    )


def bench_order(scale: Scale) -> Iterator[str]:
    """(e) Requests drawn from forget_proba: rows trained for one, by arrangement.

    One row in ten makes nine requests in ten. *No order* is the same classifier without
    forget_proba; the last arm is SISA's distribution-aware partition.
    """
    n_requests = (5, 20) if scale.quick else (10, 50, 100)
    verdicts = []
    for data in _shorten(load_sets(scale), scale.size(10_000)):
        yield f"\n{data}"
        yield _line("mean rows of one request", "", "", *map(str, n_requests))
        proba = _draw_proba(len(data.y), n_requests[-1])
        means = {}
        for name, (arm, known) in _make_order_arms(data).items():
            arm.fit(data.X, data.y, forget_proba=proba if known else None)
            stream = simulate_requests(
                len(data.y), n_requests[-1], forget_proba=proba, random_state=1
            )
            costs, done = [], 0
            for n in n_requests:
                costs.append(forget(arm, stream[done:n]))
                done = n
            total = np.cumsum([cost.n_samples for cost in costs])
            means[name] = total[-1] / n_requests[-1]
            n_estimators = sum(e is not None for e in arm.estimators_)
            accuracy = arm.score(data.X_test, data.y_test)
            cells = [f"{a / b:,.0f}" for a, b in zip(total, n_requests, strict=True)]
            yield _line(name, "", f"{n_estimators}", *cells, f"{accuracy:.4f}")
        ratio = means["class, no order"] / means["class, ordered"]
        verdicts.append(f"{data.name}: ordering trains {ratio:.1f} x fewer rows.")
    yield "\nFirst column: constituents; last: accuracy after all requests."
    yield "Claim: ordering saves retraining where requests are not uniform."
    yield from verdicts


def _draw_proba(n_rows: int, n_expected: int) -> np.ndarray:
    """Return probabilities of which one row in ten holds nine parts in ten."""
    is_likely = np.random.default_rng(0).random(n_rows) < 0.1
    share = np.where(is_likely, 0.9 / is_likely.sum(), 0.1 / (~is_likely).sum())
    return np.minimum(n_expected * share, 1.0)


def _make_order_arms(data: DataSet) -> dict[str, tuple[Any, bool]]:
    """Return classifiers, and whether they are told the probabilities."""
    ordered = _make_sequential(data, 10)
    aware = _make_sgd(data, 1, n_shards=1, partition="distribution_aware")
    return {
        "class, no order": (ordered, False),
        "class, ordered": (_make_sequential(data, 10), True),
        "SISA, no order": (_make_sgd(data, 10), False),
        "SISA, ordered": (_make_sgd(data, 10), True),
        "SISA, distribution-aware": (aware, True),
    }


def _line(name: str, what: str, *cells: str) -> str:
    return f"  {name:<25}{what:<9}{''.join(f'{cell:>16}' for cell in cells)}".rstrip()

"""What PUMA holds of a criterion, and what it keeps of a removal."""

from collections.abc import Iterator

import numpy as np
from _influence_table import format_cells
from _influence_turns import copy_with
from _timing import Row, Scale

from _puma.sets import SETS, draw_splits
from _puma.trial import Trial, measure_helpful

__all__ = ["bench_trade_off"]

_WIDTHS = (22, 7, 7, 7, 8, 12)
_HEADER = ("", "val", "test", "kept", "front", "changed")
_N_SEEDS = 5

Numbers = dict[str, np.ndarray]


def bench_trade_off(scale: Scale) -> Iterator[str | Row]:
    """The trade-off between a criterion and a removal, beside the best there is.

    Five sets, means over five draws. The 5 % most helpful rows are forgotten. "val" is
    the change of the mean loss on the rows of the criterion, and "test" that on others,
    as shares of retraining's; "kept" is the rise of the mean loss on the forgotten
    rows, as a share of retraining's. "front" is the least "val" that any parameters
    have with so much kept, but for less than 0, which only over-fits. "changed" is the
    share of weights that are not 1. Naive is method="influence"; a number for eta is
    the paper's linear step, with the default cap. The last line is a model that is
    retrained with the rows of the criterion among its own. "cosine" compares the moves
    of PUMA without a cap and of this model, from the retrained one. Then random rows,
    and a sequence of requests.
    """
    results = {}
    for name in SETS:
        splits = draw_splits(name, scale, _N_SEEDS)
        draws, cosines = zip(*map(measure_helpful, splits), strict=True)
        results[name] = list(draws)
        yield from _show_trade_off(name, results[name])
        yield f"  cosine {np.mean(cosines):.2f}"
    yield from _judge_helpful(results)
    yield from _judge_random(scale)
    yield from _judge_sequence(scale)


def _show_trade_off(name: str, draws: list[Numbers]) -> Iterator[str]:
    """Yield the lines of one set."""
    yield "\n" + format_cells((name, *_HEADER[1:]), _WIDTHS)
    for way in draws[0]:
        val, test, kept, front, changed = np.mean([draw[way] for draw in draws], axis=0)
        cells = (f"{val:+.2f}", f"{test:+.2f}", f"{kept:.2f}", f"{front:.2f}")
        yield format_cells((way, *cells, f"{changed:.0%}"), _WIDTHS)


def _judge_helpful(results: dict[str, list[Numbers]]) -> Iterator[Row]:
    """Yield what is asked for where helpful rows go."""
    n_better, n_general = 0, 0
    for name, draws in results.items():
        quarter, half, naive, equal = (
            np.array([draw[way] for draw in draws])
            for way in (
                "max_reabsorption=0.25",
                "max_reabsorption=0.5",
                "naive",
                "kept as naive",
            )
        )
        share = equal[:, 0].mean() / naive[:, 0].mean()
        n_better += share <= 0.9
        n_general += quarter[:, 1].mean() <= 0.8
        targets = (
            ("default: criterion, of retraining's", quarter[:, 0].mean(), 0.75, None),
            ("default: least of the removal kept", quarter[:, 2].min(), None, 0.745),
            ("cap 0.5: criterion, of retraining's", half[:, 0].mean(), 0.5, None),
            ("cap 0.5: least of the removal kept", half[:, 2].min(), None, 0.49),
            ("kept as naive: criterion, of naive's", share, 1.05, None),
        )
        for case, value, most, least in targets:
            title = f"{name}, {case}"
            yield Row(title, "", "", value, "", at_most=most, at_least=least)
    yield Row("kept as naive: at most 0.9 of naive", "", "", n_better, "sets", None, 3)
    yield Row("default: test at most 0.8", "", "", n_general, "sets", None, 4)


def _judge_random(scale: Scale) -> Iterator[Row]:
    """Yield what becomes of random rows: nothing is to change without a reason."""
    for name in SETS:
        missed, kept, n_idle, n_changed = [0.0], [1.0], 0, 0
        for seed, split in enumerate(draw_splits(name, scale, _N_SEEDS)):
            trial = Trial(split)
            n_rows = len(trial.split.y)
            for share in (0.01, 0.05):
                rng = np.random.default_rng(seed)
                rows = rng.choice(n_rows, round(share * n_rows), replace=False)
                record = trial.forget(rows).forget_records_[-1]
                harm = record.criterion_change_retrained
                if harm <= 0:
                    n_idle += 1
                    n_changed += record.weights_changed > 0
                    continue
                missed.append(abs(record.criterion_change_actual) / harm)
                kept.append(record.removal_kept)
        # Of 300 rows a draw of 3 can be too few to be weighed against.
        yield Row(f"{name}, random: criterion", "", "", max(missed), "", 0.02)
        least = None if name == "cancer" else 0.745
        case = f"{name}, random: least of the removal kept"
        yield Row(case, "", "", min(kept), "", at_least=least)
        case = f"{name}, random: weights changed in vain"
        yield Row(case, f"{n_changed}", f"{n_idle} harmless", n_changed, "", 0)


def _judge_sequence(scale: Scale) -> Iterator[Row]:
    """Yield what is left of many requests, when each of them has its own cap."""
    trial = Trial(next(draw_splits("mc4", scale, 1)))
    classifier, plain = copy_with(trial.puma), copy_with(trial.puma, method="newton")
    n_requests = scale.repeats(20)
    for _ in range(n_requests):
        scores = classifier.contributions()
        rows = classifier.retained_indices_[np.argsort(scores)[-len(scores) // 100 :]]
        classifier.forget(rows)
        plain.forget(rows)
    gone = classifier.forgotten_indices_
    changes, whole = (trial.measure(each, gone) for each in (classifier, plain))
    case = f"mc4, {n_requests} requests of helpful rows"
    yield Row(f"{case}: criterion", "", "", changes[0] / whole[0], "")
    yield Row(f"{case}: kept of all", "", "", changes[2] / whole[2], "")
    last = np.random.default_rng(0).choice(classifier.retained_indices_, 1)
    classifier.forget(last)
    plain.forget(last)
    changes, whole = (trial.measure(each, gone) for each in (classifier, plain))
    yield Row("... then any row: criterion", "", "", changes[0] / whole[0], "")
    yield Row("... then any row: kept of all before", "", "", changes[2] / whole[2], "")

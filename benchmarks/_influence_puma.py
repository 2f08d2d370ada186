"""PUMA: what it holds of a criterion, what it keeps of a removal, and its seconds."""

from collections.abc import Iterator

import numpy as np
from _data import make_rows
from _influence_puma_data import SETS
from _influence_puma_trial import Trial, measure_helpful
from _influence_refits import cold_arm
from _influence_table import format_cells
from _influence_turns import copy_with, forget_arm, take_turns, time_ratio
from _timing import Row, Scale
from sklearn.linear_model import LogisticRegression

from skunlearn import InfluenceUnlearningClassifier

__all__ = ["bench_puma"]

_WIDTHS = (22, 7, 7, 7, 8, 12)
_HEADER = ("", "val", "test", "kept", "front", "changed")
_N_SEEDS = 5

Numbers = dict[str, np.ndarray]


def bench_puma(scale: Scale) -> Iterator[str | Row]:
    """(3) PUMA: the trade-off between a criterion and a removal, and its seconds.

    Five sets, means over five draws. The 5 % most helpful rows are forgotten. "val" is
    the change of the mean loss on the rows of the criterion, and "test" that on others,
    as shares of retraining's; "kept" is the rise of the mean loss on the forgotten
    rows, as a share of retraining's. "front" is the least "val" that any parameters
    have with so much kept, but for less than 0, which only over-fits. "changed" is the
    share of weights that are not 1. Naive is method="influence"; a number for eta is
    the paper's linear step, with the default cap. The last line is a model that is
    retrained with the rows of the criterion among its own. "cosine" compares the moves
    of PUMA without a cap and of this model, from the retrained one. Then random rows, a
    sequence of requests, and seconds.
    """
    results = {}
    for name in SETS:
        seeds = range(scale.repeats(_N_SEEDS))
        draws, cosines = zip(*[measure_helpful(name, s) for s in seeds], strict=True)
        results[name] = list(draws)
        yield from _show_trade_off(name, results[name])
        yield f"  cosine {np.mean(cosines):.2f}"
    yield from _judge_helpful(results)
    yield from _judge_random(scale)
    yield from _judge_sequence(scale)
    yield from _time_many_rows(scale)
    yield from _time_many_parameters(scale)


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
    for name, draw in SETS.items():
        missed, kept, n_idle, n_changed = [0.0], [1.0], 0, 0
        for seed in range(scale.repeats(_N_SEEDS)):
            trial = Trial(draw(seed))
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
    trial = Trial(SETS["mc4"](0))
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
        arms = {"ours": forget_arm(ours, rows), "cold": cold}
        take_turns(arms, scale.repeats(7))
        ratio = 1 / time_ratio(cold, arms["ours"])
        case = f"{name} of {n_samples:,}: of a refit"
        yield Row(case, str(arms["ours"]), str(cold), ratio, at_most=0.25)


def _time_many_parameters(scale: Scale) -> Iterator[Row]:
    """Yield the seconds for hundreds of parameters, which `forget` warns of."""
    trial = Trial(SETS["digits"](0))
    split = trial.split
    rows = trial.find_helpful(0.05)
    X, y = np.delete(split.X, rows, axis=0), np.delete(split.y, rows)
    cold = cold_arm(LogisticRegression(C=split.C), X, y)
    arms = {"puma": forget_arm(trial.puma, rows), "cold": cold}
    arms["newton"] = forget_arm(trial.puma, rows, method="newton")
    take_turns(arms, scale.repeats(7))
    for name in ("puma", "newton"):
        ratio = 1 / time_ratio(cold, arms[name])
        case = f"digits, 650 parameters, {name}: of a refit"
        yield Row(case, str(arms[name]), str(cold), ratio)

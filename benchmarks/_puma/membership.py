"""Which forgotten rows are still taken for members, by method and by setting."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from _influence_turns import copy_with
from _timing import Scale

from _puma.arms import fit_arms, format_table, measure_loss, take_medians
from _puma.sets import DIGITS, SETS, Split, draw_splits
from skunlearn.metrics import membership_inference_score, resistance_score

__all__ = ["attack", "bench_membership", "bench_sweep", "choose_rows"]

_N_SEEDS = 10
_N_TRAIN = {"mc4": 60, "bin10k": 40, "cancer": 40, "census": 100, DIGITS: 200}
_SHARE = 0.2
_MAX_FPR = 0.5  # at low rates linear models give nobody away
_CAPS = (0.0, 0.1, 0.25, 0.5, 1.0)
_ETAS = (0.25, 0.5, 1.0, 2.0)


def bench_membership(scale: Scale) -> Iterator[str]:
    """(d) Given rows are removed: which of them are still called members.

    Models of few rows, which know them by heart. A fifth of the rows is forgotten, at
    random or the most helpful ones. The attack has the threshold on the loss at which
    it calls half of the fresh rows members; "called" is the share of the forgotten rows
    that it calls so, and "AUC" the area over all thresholds. "retrained" is how rows
    look that were never seen: more gives them away as members, less as forgotten.
    Medians of ten draws.
    """
    for name in SETS:
        for which in ("random", "most helpful"):
            draws = []
            for seed, split in enumerate(draw_splits(name, scale, _N_SEEDS)):
                split = split.cut(_N_TRAIN[name])
                arms = fit_arms(split, n_shards=4)
                rows = choose_rows(arms["newton"], which, seed)
                found = {"before": attack(arms["newton"], split, rows)}
                for way, arm in arms.items():
                    found[way] = attack(arm.forget(rows), split, rows)
                draws.append(found)
            title = f"{name}, {_N_TRAIN[name]} rows, {which}"
            header = ("called", "AUC", "accuracy")
            formats = ("{:.0%}", "{:.2f}", "{:.1%}")
            yield from format_table(title, header, take_medians(draws), formats)


def bench_sweep(scale: Scale) -> Iterator[str]:
    """(f) Resistance against accuracy: eta and max_reabsorption swept.

    The models of (d), and their most helpful rows. "resistance" is the share of these
    that the attack takes for fresh, 50 % for rows never seen that are like others.
    "eta" is the linear step of the article without a cap, with its Hessian of all rows
    and with that of the retained ones; then the default, which chooses parameters
    first, with several caps. "test" is the change of the mean log loss on other rows.
    Medians of ten draws.
    """
    settings: dict[str, dict[str, Any]] = {"retrained": {"method": "newton"}}
    settings["influence"] = {"method": "influence"}
    linear = {"n_steps": 1, "hessian": "original", "max_reabsorption": 1e9}
    settings |= {f"eta={eta:g}": {"eta": eta, **linear} for eta in _ETAS}
    linear["hessian"] = "retained"
    settings |= {f"eta={eta:g}, retained": {"eta": eta, **linear} for eta in _ETAS}
    settings |= {
        f"max_reabsorption={cap:g}": {"max_reabsorption": cap} for cap in _CAPS
    }
    for name in SETS:
        draws = []
        for seed, split in enumerate(draw_splits(name, scale, _N_SEEDS)):
            split = split.cut(_N_TRAIN[name])
            puma = fit_arms(split)["puma"]
            rows = choose_rows(puma, "most helpful", seed)
            found = {"before": _weigh(puma, puma, split, rows)}
            for way, given in settings.items():
                model = copy_with(puma, **given).forget(rows)
                found[way] = _weigh(model, puma, split, rows)
            draws.append(found)
        header = ("resistance", "accuracy", "test")
        formats = ("{:.0%}", "{:.1%}", "{:+.3f}")
        yield from format_table(name, header, take_medians(draws), formats)


def choose_rows(fitted: Any, which: str, seed: int) -> np.ndarray:
    """Choose the rows to be forgotten."""
    if which == "random":
        order = np.random.default_rng(seed).permutation(len(fitted.retained_indices_))
    else:
        order = np.argsort(-fitted.contributions())
    return order[: round(_SHARE * len(order))]


def attack(model: Any, split: Split, rows: np.ndarray) -> list[float]:
    """Return what an attack finds, and the accuracy."""
    data = split.X[rows], split.y[rows], split.X_test, split.y_test
    score = membership_inference_score(model, *data, n_bootstraps=1, random_state=0)
    accuracy = np.mean(model.predict(split.X_test) == split.y_test)
    return [
        1 - resistance_score(model, *data, max_fpr=_MAX_FPR),
        score.auc,
        float(accuracy),
    ]


def _weigh(model: Any, before: Any, split: Split, rows: np.ndarray) -> list[float]:
    """Return resistance, accuracy, and what other rows lose."""
    called, _, accuracy = attack(model, split, rows)
    losses = [
        measure_loss(each, split.X_test, split.y_test) for each in (model, before)
    ]
    return [1 - called, accuracy, losses[0] - losses[1]]

"""Finding rows whose labels are wrong: by influence, by losses, by forests."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from _influence_data import flip_labels
from _timing import Scale
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import auc
from sklearn.model_selection import cross_val_predict

from _puma.arms import format_table, make_model, take_medians
from _puma.sets import SETS, Split, draw_splits
from skunlearn import InfluenceUnlearningClassifier
from skunlearn.metrics import discovery_curve

__all__ = ["bench_mislabelled"]

_N_SEEDS = 3
_INSPECTED = (0.05, 0.1, 0.2, 0.4)


def bench_mislabelled(scale: Scale) -> Iterator[str]:
    """(g) Mislabelled rows: what share of them is discovered by what is inspected.

    A tenth of the labels is replaced by others, on top of what was wrong before: a
    tenth of mc4 and bin10k is drawn so. "optimum" inspects all replaced ones first.
    Seconds of all but cross-validation and the forest are on top of those of the fit.
    Medians of three draws.
    """
    header = (*(f"{share:.0%}" for share in _INSPECTED), "AUC", "seconds")
    formats = (*["{:.0%}"] * len(_INSPECTED), "{:.3f}", "{:.3f}")
    for name in SETS:
        splits = enumerate(draw_splits(name, scale, _N_SEEDS))
        draws = [_discover(split, seed) for seed, split in splits]
        title = f"{name}, {len(draws[0][1]):,} rows"
        found = take_medians([rows for rows, _ in draws])
        yield from format_table(title, header, found, formats)


def _discover(split: Split, seed: int) -> tuple[dict[str, list[float]], np.ndarray]:
    """Return how fast each way discovers wrong labels, and which they are."""
    y = flip_labels(split.y, seed=seed)
    is_wrong = y != split.y
    model = make_model(split)
    found = {"optimum": _judge(lambda: is_wrong.astype(float), is_wrong)}
    for words, y_val in (
        ("X_val as it is", split.y_val),
        ("X_val a tenth wrong", flip_labels(split.y_val, seed=seed + 1)),
    ):
        ours = InfluenceUnlearningClassifier(model, method="puma")
        ours.fit(split.X, y, X_val=split.X_val, y_val=y_val)
        way = f"contributions, {words}"
        found[way] = _judge(lambda ours=ours: -ours.contributions(), is_wrong)
    ways = _list_ways(ours, model, split.X, y)
    found |= {way: _judge(score, is_wrong) for way, score in ways.items()}
    return found, is_wrong


def _list_ways(ours: Any, model: Any, X: Any, y: Any) -> dict[str, Callable[[], Any]]:
    """Return functions that say how suspicious each row is."""
    return {
        "self-influence": ours.self_influence,
        "leave-one-out loss": ours.leave_one_out_loss,
        "loss in training": lambda: _losses(ours.predict_proba(X), y),
        "loss in 5-fold cross-validation": lambda: _losses(
            cross_val_predict(model, X, y, cv=5, method="predict_proba"), y
        ),
        "loss out of bag, RandomForest(100)": lambda: _losses(_vote(X, y), y),
    }


def _vote(X: Any, y: Any) -> np.ndarray:
    forest = RandomForestClassifier(
        100, min_samples_leaf=3, oob_score=True, random_state=0
    )
    return forest.fit(X, y).oob_decision_function_


def _losses(probabilities: np.ndarray, y: np.ndarray) -> np.ndarray:
    own = np.take_along_axis(probabilities, y[:, None], axis=1)[:, 0]
    return -np.log(np.maximum(own, 1e-12))


def _judge(score: Callable[[], np.ndarray], is_wrong: np.ndarray) -> list[float]:
    """Return the shares discovered, the area below the curve, and the seconds."""
    start = time.perf_counter()
    scores = score()
    seconds = time.perf_counter() - start
    inspected, discovered = discovery_curve(is_wrong, scores)
    shares = np.interp(_INSPECTED, inspected, discovered)
    return [*shares, auc(inspected, discovered), seconds]

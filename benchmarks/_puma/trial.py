"""One drawn set on which PUMA forgets, beside all that it is compared with."""

from typing import Any

import numpy as np
from _influence_turns import copy_with
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from _puma.front import find_front
from _puma.sets import Split
from skunlearn import InfluenceUnlearningClassifier

__all__ = ["CAPS", "Trial", "measure_helpful"]

CAPS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
_ETAS = (0.5, 1.0)
_UNCAPPED = "max_reabsorption=1"


class Trial:
    """A drawn set with a fitted classifier."""

    def __init__(self, split: Split) -> None:
        self.split = split
        model = LogisticRegression(C=split.C)
        self.puma = InfluenceUnlearningClassifier(model, method="puma", random_state=0)
        self.puma.fit(split.X, split.y, X_val=split.X_val, y_val=split.y_val)

    def find_helpful(self, share: float) -> np.ndarray:
        """Return the rows whose removal does the criterion most harm, those last."""
        order = np.argsort(self.puma.contributions())
        return order[-round(share * len(order)) :]

    def forget(self, rows: np.ndarray, **settings: Any) -> Any:
        """Return a copy that has forgotten some rows."""
        return copy_with(self.puma, **settings).forget(rows)

    def train_on_all(self, rows: np.ndarray) -> Any:
        """Return a model of the retained rows and those of the criterion."""
        split = self.split
        X = np.vstack([np.delete(split.X, rows, axis=0), split.X_val])
        y = np.concatenate([np.delete(split.y, rows), split.y_val])
        return LogisticRegression(C=split.C, tol=1e-6, max_iter=10_000).fit(X, y)

    def measure(self, model: Any, rows: np.ndarray) -> np.ndarray:
        """Return what a model changes: three mean losses, on val, test and rows."""
        return self._losses(model, rows) - self._losses(self.puma, rows)

    def _losses(self, model: Any, rows: np.ndarray) -> np.ndarray:
        split, labels = self.split, self.puma.classes_
        sets = (
            (split.X_val, split.y_val),
            (split.X_test, split.y_test),
            (split.X[rows], split.y[rows]),
        )
        return np.array(
            [log_loss(y, model.predict_proba(X), labels=labels) for X, y in sets]
        )


def measure_helpful(split: Split) -> tuple[dict[str, np.ndarray], float]:
    """Forget the most helpful rows in all ways.

    Returns
    -------
    numbers : dict of str to ndarray
        For each way: val, test, kept, front, and the share of weights changed.
    cosine : float
        Of the moves by PUMA without a cap and by training on the criterion's rows.
    """
    trial = Trial(split)
    rows = trial.find_helpful(0.05)
    retrained = trial.forget(rows, method="newton")
    models = {"naive": trial.forget(rows, method="influence")}
    whole = trial.measure(retrained, rows)
    kept = trial.measure(models["naive"], rows)[2] / whole[2]
    ways = {f"max_reabsorption={cap:g}": {"max_reabsorption": cap} for cap in CAPS}
    ways["kept as naive"] = {"max_reabsorption": max(1 - kept, 0.0)}
    ways |= {f"linear, eta={eta:g}": {"eta": eta, "n_steps": 1} for eta in _ETAS}
    models |= {way: trial.forget(rows, **given) for way, given in ways.items()}
    models["retrained with val"] = trial.train_on_all(rows)
    found = {way: trial.measure(model, rows) / whole for way, model in models.items()}
    front = find_front(
        trial.split, trial.puma, rows, [each[2] for each in found.values()]
    )
    numbers = {
        way: np.array([*shares, max(least, 0.0), _count_changed(models[way])])
        for (way, shares), least in zip(found.items(), front, strict=True)
    }
    moves = [
        _flatten(models[way]) - _flatten(retrained)
        for way in (_UNCAPPED, "retrained with val")
    ]
    sizes = [np.linalg.norm(move) for move in moves]
    return numbers, float(moves[0] @ moves[1] / (sizes[0] * sizes[1]))


def _count_changed(model: Any) -> float:
    """Return the share of weights that are not 1."""
    records = getattr(model, "forget_records_", None)
    return (records[-1].weights_changed or 0.0) if records else 0.0


def _flatten(model: Any) -> np.ndarray:
    return np.column_stack([model.coef_, model.intercept_]).ravel()

"""One request: forgetting it, refitting without it, and the optimum to be reached."""

from dataclasses import dataclass

import numpy as np
from _influence_optimum import Optimum, find_optimum, measure_error
from _influence_refits import cold_arm, count_steps, warm_arm
from _influence_table import format_cell, format_cells, format_error
from _influence_turns import Arm, forget_arm, take_turns
from sklearn.linear_model import LogisticRegression

from skunlearn import InfluenceUnlearningClassifier

__all__ = ["Measured", "format_request_header", "measure_request"]

_WIDTHS = (7, 7, 11, 15, 16, 15, 12, 12)
_ARMS = ("cold", "warm", "tight", "newton", "one", "auto")
_REFITS = ("cold", "warm (steps)", "warm, tol 1e-10", "newton-cholesky")
_HEADER = ("forget", "nothing", *_REFITS, "ours, 1 step", "ours, auto")


def format_request_header() -> str:
    """Return the names of the columns."""
    return format_cells(_HEADER, _WIDTHS)


@dataclass
class Measured:
    """What one request took by all arms, and where they ended.

    Parameters
    ----------
    n_forgotten : int
        Number of rows.
    arms : dict of str to Arm
        "cold", "warm", "tight", "newton", "one" and "auto": their seconds.
    errors : dict of str to float
        The relative errors that they left, and that of "nothing".
    n_steps : dict of str to int
        Steps that the warm ones took.
    path : str
        The way that "auto" took.
    """

    n_forgotten: int
    arms: dict[str, Arm]
    errors: dict[str, float]
    n_steps: dict[str, int]
    path: str

    def __str__(self) -> str:
        cells = [f"{self.n_forgotten:,}", format_error(self.errors["nothing"])]
        cells += map(self._format, _ARMS)
        return f"{format_cells(cells, _WIDTHS)}  {self.path}"

    def _format(self, name: str) -> str:
        if name not in self.arms:
            return "-"
        seconds, error = self.arms[name].median, self.errors[name]
        return format_cell(seconds, error, self.n_steps.get(name))


def measure_request(
    ours: InfluenceUnlearningClassifier,
    X: np.ndarray,
    y: np.ndarray,
    n_forgotten: int,
    *,
    repeats: int,
    with_newton: bool = True,
) -> Measured:
    """Forget rows drawn at random in all ways.

    Parameters
    ----------
    ours : InfluenceUnlearningClassifier
        Fitted on `X` and `y`. Copies of it forget.
    X, y : ndarray
        The rows.
    n_forgotten : int
        How many of them to forget.
    repeats : int
        Turns for each arm.
    with_newton : bool, default=True
        Whether newton-cholesky takes part.
    """
    rows = np.random.default_rng(1).choice(len(y), n_forgotten, replace=False)
    old: LogisticRegression = ours.estimator_
    X, y = np.delete(X, rows, axis=0), np.delete(y, rows)
    optimum = find_optimum(X, y, C=old.C)
    arms = {
        "cold": cold_arm(old, X, y),
        "warm": warm_arm(old, X, y),
        "tight": warm_arm(old, X, y, tol=1e-10),
        "newton": warm_arm(old, X, y, solver="newton-cholesky"),
        "one": forget_arm(ours, rows, n_steps=1),
        "auto": forget_arm(ours, rows, n_steps="auto"),
    }
    if not with_newton:
        del arms["newton"]
    take_turns(arms, repeats)
    return _judge(n_forgotten, arms, old, optimum)


def _judge(
    n_forgotten: int, arms: dict[str, Arm], old: LogisticRegression, optimum: Optimum
) -> Measured:
    """Say how far from the optimum all arms have ended."""
    models = {"nothing": old} | {name: arm.model for name, arm in arms.items()}
    errors = {name: measure_error(model, optimum) for name, model in models.items()}
    n_steps = {name: count_steps(arms[name]) for name in ("warm", "tight")}
    return Measured(n_forgotten, arms, errors, n_steps, arms["auto"].path)

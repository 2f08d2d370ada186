"""The data of the benchmark of boosting, and which of its rows are likely to go."""

from functools import cache

import numpy as np
from _data import load_census, load_flights
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OrdinalEncoder

__all__ = ["DATA", "LIKELY", "draw_likely"]

LIKELY = 0.1  # share of the rows that get most of the requests
_N_FLIGHTS = 40_000


@cache
def load_some_flights() -> tuple[np.ndarray, ...] | None:
    """Return some of the flights, split as the census is; None if they are absent."""
    loaded = load_flights()
    if loaded is None:
        return None
    flights, y = loaded
    some = np.random.RandomState(0).permutation(len(y))[:_N_FLIGHTS]
    flights, y = flights.iloc[some], y[some]
    numbers = ["month", "day", "hour", "sched_dep_time", "dep_delay", "distance"]
    names = ["carrier", "origin", "dest"]
    codes = OrdinalEncoder().fit_transform(flights[names])
    X = np.hstack([flights[numbers].to_numpy(float), codes])
    return tuple(train_test_split(X, y, test_size=0.2, random_state=0))


def draw_likely(n_samples: int) -> np.ndarray:
    """Draw a mask of the rows that are likely to be forgotten."""
    likely = np.zeros(n_samples, dtype=bool)
    rows = np.random.default_rng(1).permutation(n_samples)
    likely[rows[: round(LIKELY * n_samples)]] = True
    return likely


DATA = {"census": load_census, "flights": load_some_flights}

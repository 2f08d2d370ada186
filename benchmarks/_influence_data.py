"""The rows of the influence benchmarks."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from _data import load_census_frame, make_census_pipeline, make_rows

__all__ = ["ConvexTest", "draw_classes", "flip_labels", "load_encoded_census"]


def draw_classes(
    n_samples: int, n_features: int, n_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows of so many classes that planes divide, but for some noise."""
    if n_classes == 2:
        return make_rows(n_samples, n_features)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_samples, n_features))
    scores = X @ rng.standard_normal((n_features, n_classes)) / n_features**0.5
    scores += rng.gumbel(size=scores.shape) / 2
    return X, scores.argmax(axis=1)


def flip_labels(y: np.ndarray, share: float = 0.1, seed: int = 0) -> np.ndarray:
    """Replace a share of integer labels by others."""
    rng = np.random.default_rng(seed)
    n_classes = y.max() + 1
    flipped = rng.choice(len(y), round(share * len(y)), replace=False)
    y = y.copy()
    y[flipped] = (y[flipped] + rng.integers(1, n_classes, len(flipped))) % n_classes
    return y


@dataclass(frozen=True)
class ConvexTest:
    """Rows of 4 classes, a tenth of the labels wrong, and two clean sets held out.

    Parameters
    ----------
    X, y : ndarray
        2,000 rows of 20 features, some labels flipped.
    y_clean : ndarray
        The labels before that.
    X_val, y_val, X_test, y_test : ndarray
        1,000 and 4,000 clean rows.
    """

    X: np.ndarray
    y: np.ndarray
    y_clean: np.ndarray
    X_val: np.ndarray
    y_val: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray

    C = 0.1  # 1 / (n l2) with l2 = 5e-3

    @classmethod
    def draw(cls, seed: int = 0) -> "ConvexTest":
        """Draw one."""
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((7_000, 20))
        scores = X @ rng.standard_normal((20, 4))
        y = (scores + rng.gumbel(size=scores.shape) / 2).argmax(axis=1)
        train, val, test = np.split(np.arange(7_000), [2_000, 3_000])
        noisy = flip_labels(y[train], seed=seed)
        return cls(X[train], noisy, y[train], X[val], y[val], X[test], y[test])


@cache
def load_encoded_census() -> tuple[Any, ...]:
    """Return the census split, scaled and one-hot encoded once for all: 108 columns."""
    X_train, X_test, y_train, y_test = load_census_frame()
    encoder = make_census_pipeline(None)[0].fit(X_train)

    def encode(X: Any) -> np.ndarray:
        rows = encoder.transform(X)
        return np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows)

    return encode(X_train), encode(X_test), y_train, y_test

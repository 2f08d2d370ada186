"""Five sets of rows: two drawn at random, two tables, and handwritten digits."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from _influence_data import load_encoded_census
from _influence_digits import has_mnist, load_mnist
from _timing import Scale
from sklearn.datasets import load_breast_cancer, load_digits, make_classification
from sklearn.preprocessing import scale as standardise

__all__ = ["DIGITS", "SETS", "Split", "draw_splits"]


@dataclass(frozen=True)
class Split:
    """Rows to train on, to validate the criterion on, and others to judge by."""

    X: np.ndarray
    y: np.ndarray
    X_val: np.ndarray
    y_val: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    C: float = 1.0

    @classmethod
    def draw(
        cls, X: Any, y: Any, n_train: int, n_val: int, seed: int, C: float = 1.0
    ) -> "Split":
        """Split rows at random."""
        order = np.random.default_rng(seed).permutation(len(y))
        parts = np.split(order, [n_train, n_train + n_val])
        return cls(*[part for rows in parts for part in (X[rows], y[rows])], C)

    def cut(self, n_train: int) -> "Split":
        """Keep fewer rows to train on."""
        return replace(self, X=self.X[:n_train], y=self.y[:n_train])


def _draw_four_classes(seed: int) -> Split:
    X, y = make_classification(
        4_000, 20, n_informative=8, n_classes=4, flip_y=0.1, random_state=seed
    )
    return Split.draw(X, y, 2_000, 1_000, seed)


def _draw_two_classes(seed: int) -> Split:
    X, y = make_classification(
        16_000, 20, n_informative=10, flip_y=0.1, class_sep=0.7, random_state=seed
    )
    return Split.draw(X, y, 10_000, 3_000, seed)


def _draw_cancer(seed: int) -> Split:
    X, y = load_breast_cancer(return_X_y=True)
    return Split.draw(standardise(X), y, 300, 135, seed)


def _draw_census(seed: int) -> Split:
    X_train, X_test, y_train, y_test = load_encoded_census()
    X, y = np.vstack([X_train, X_test]), np.concatenate([y_train, y_test])
    return Split.draw(X, y, 20_000, 5_000, seed)


def _draw_digits(seed: int) -> Split:
    X, y = load_digits(return_X_y=True)
    return Split.draw(X / 16, y, 1_000, 400, seed, C=0.1)


def _draw_mnist(seed: int) -> Split:
    """Draw images of 7 x 7 blocks: with 28 x 28 PUMA would have too many parameters."""
    X, y = load_mnist()
    X = X.reshape(-1, 7, 4, 7, 4).mean(axis=(2, 4)).reshape(len(X), -1)
    return Split.draw(X, y, 3_000, 1_000, seed)


DIGITS = "mnist" if has_mnist() else "digits"

SETS: dict[str, Callable[[int], Split]] = {
    "mc4": _draw_four_classes,
    "bin10k": _draw_two_classes,
    "cancer": _draw_cancer,
    "census": _draw_census,
    DIGITS: _draw_mnist if has_mnist() else _draw_digits,
}


def draw_splits(name: str, scale: Scale, n_seeds: int) -> Iterator[Split]:
    """Draw a set several times, with fewer rows in a quick run."""
    for seed in range(scale.repeats(n_seeds)):
        split = SETS[name](seed)
        yield split.cut(min(len(split.y), 400)) if scale.quick else split

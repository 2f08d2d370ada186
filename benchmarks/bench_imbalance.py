"""What shards do to a rare class, and to groups of people, on the census.

``python benchmarks/bench_imbalance.py`` prints two tables; ``--quick`` is a smoke run.
In the first one the rich are made rare: 3 % of the rows. A single model on a balanced
sample, of as many rows as a shard has, stands beside: to forget, it is fitted again.
"""

import os

os.environ.update(  # before numpy is imported
    {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
)

import argparse
from typing import Any

import numpy as np
import pandas as pd
from _timing import Scale, describe_machine
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, recall_score
from sklearn.model_selection import train_test_split

from skunlearn import ShardedUnlearningClassifier
from skunlearn.datasets import load_census

_SHARDS = 1, 5, 10, 20, 50
_N_DRAWS = 5
_BASES = {
    "logistic regression": LogisticRegression(solver="newton-cholesky"),
    "forest": RandomForestClassifier(20, min_samples_leaf=2),
}


def load_numbers(scale: Scale) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return the census, numbers that no fit has made of it, and who is rich."""
    frame, y = load_census(return_X_y=True)
    frame, y = frame[: scale.size(len(frame))], y[: scale.size(len(y))]
    text = pd.get_dummies(frame.select_dtypes(exclude="number"))
    numbers = np.log1p(frame.select_dtypes("number")) / 5
    return frame, np.hstack([numbers, text]).astype(float), (y == ">50K").to_numpy()


def shard(base: Any, n_shards: int, seed: int) -> ShardedUnlearningClassifier:
    """Return a classifier of so many shards."""
    return ShardedUnlearningClassifier(base, n_shards=n_shards, random_state=seed)


def sample_evenly(y: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Return the positions of a sample in which both classes are as frequent.

    It is smaller than asked for where there are not enough rows of the rare class.
    """
    rng = np.random.default_rng(seed)
    half = min(size // 2, int(y.sum()))
    halves = [rng.permutation(np.flatnonzero(y == c))[:half] for c in (0, 1)]
    return np.concatenate(halves)


def score(model: Any, X: np.ndarray, y: np.ndarray) -> list[float]:
    """Return accuracy, the recall of the rare class and balanced accuracy."""
    said = model.predict(X)
    return [f(y, said) for f in (accuracy_score, recall_score, balanced_accuracy_score)]


def draw_split(X: np.ndarray, y: np.ndarray, seed: int) -> list[np.ndarray]:
    """Return a split in which 3 % of the rows are rich."""
    rng = np.random.default_rng(seed)
    poor, rich = np.flatnonzero(~y), rng.permutation(np.flatnonzero(y))
    rows = np.concatenate([poor, rich[: int(0.03 * len(poor))]])
    y = y.astype(int)
    return train_test_split(
        X[rows], y[rows], test_size=0.3, stratify=y[rows], random_state=seed
    )


def print_rare(name: str, X: np.ndarray, y: np.ndarray) -> None:
    """Print what shards do to a class of 3 % of the rows."""
    base = _BASES[name]
    weighted = clone(base).set_params(class_weight="balanced")
    print(f"{name:20}  {'plain':>20}  {'class_weight=balanced':>20}  {'one small':>20}")
    print(f"{'shards':20}" + 3 * f"  {'acc.':>6}{'recall':>7}{'mean':>7}")
    splits = [draw_split(X, y, seed) for seed in range(_N_DRAWS)]
    for n in _SHARDS:
        cells = []
        for seed, (A, B, a, b) in enumerate(splits):
            small = sample_evenly(a, len(a) // n, seed)
            cells.append(
                score(shard(base, n, seed).fit(A, a), B, b)
                + score(shard(weighted, n, seed).fit(A, a), B, b)
                + score(clone(base).fit(A[small], a[small]), B, b)
            )
        means = np.mean(cells, axis=0)
        blocks = means.reshape(3, 3)
        text = "".join(f"  {r[0]:6.3f}{r[1]:7.3f}{r[2]:7.3f}" for r in blocks)
        print(f"  {n:<18}{text}", flush=True)
    print()


def print_groups(name: str, frame: pd.DataFrame, X: np.ndarray, y: np.ndarray) -> None:
    """Print how many of the rich are found, by sex and race, in how many shards."""
    sex, race = frame["sex"].to_numpy(), frame["race"].to_numpy()
    groups = {
        "men": sex == "Male",
        "women": sex == "Female",
        "white": race == "White",
        "black": race == "Black",
        "others": ~np.isin(race, ["White", "Black"]),
    }
    print(f"{name:20}" + "".join(f"{group:>9}" for group in groups))
    for n in _SHARDS:
        rows = []
        for seed in range(_N_DRAWS):
            train, test = train_test_split(np.arange(len(y)), random_state=seed)
            said = shard(_BASES[name], n, seed).fit(X[train], y[train]).predict(X[test])
            rich = y[test]
            rows.append([said[rich & own[test]].mean() for own in groups.values()])
        text = "".join(f"{recall:9.3f}" for recall in np.mean(rows, axis=0))
        print(f"  {n:<18}{text}", flush=True)
    print()


def main() -> None:
    """Print the tables, line by line as they come."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    scale = Scale(parser.parse_args().quick)
    frame, X, y = load_numbers(scale)
    print(describe_machine())
    print(f"Means of {_N_DRAWS} splits; mean is that of the recalls of both classes.\n")
    print("A class of 3 % of the rows.")
    for name in _BASES:
        print_rare(name, X, y)
    print("All rows: the share of the rich that is found.")
    for name in _BASES:
        print_groups(name, frame, X, y)


if __name__ == "__main__":
    main()

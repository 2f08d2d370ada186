"""Forgetting in the last layer of a network, beside training the network again.

``python benchmarks/bench_networks.py`` prints one table; ``--quick`` is a smoke run.
The network has layers of 50, 64 and 2 units; 1 % of 20,000 rows are forgotten.
"""

import os

os.environ.update(  # before numpy is imported
    {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
)

import argparse
import pickle
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from _timing import (
    Row,
    Scale,
    compare,
    describe_machine,
    format_header,
    format_seconds,
)
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier

from skunlearn import InfluenceUnlearningClassifier


class Network(torch.nn.Module):
    """50 - 64 - 2, with ReLU."""

    def __init__(self) -> None:
        super().__init__()
        layers = torch.nn.Linear(50, 64), torch.nn.ReLU(), torch.nn.Linear(64, 2)
        self.layers = torch.nn.Sequential(*layers)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        return self.layers(X)


NETWORKS = {
    "skorch, Adam, 20 epochs": NeuralNetClassifier(
        Network,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        optimizer__weight_decay=1e-4,
        lr=1e-3,
        max_epochs=20,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    ),
    "MLPClassifier, 20 epochs": MLPClassifier((64,), max_iter=20, random_state=0),
}


def make_rows(scale: Scale) -> tuple[np.ndarray, ...]:
    """Return rows to train on, rows to test on, and which of the first to forget."""
    n = scale.size(20_000)
    X, y = make_classification(
        n + 5_000, 50, n_informative=20, class_sep=0.7, flip_y=0.05, random_state=0
    )
    X = X.astype(np.float32)
    gone = np.random.default_rng(0).choice(n, n // 100, replace=False)
    return X[:n], y[:n], X[n:], y[n:], gone


def bench_network(name: str, base: Any, scale: Scale) -> Iterator[Row]:
    """Compare requests to the head with a retraining, in seconds and accuracy."""
    X, y, X_test, y_test, gone = make_rows(scale)
    kept = np.setdiff1d(np.arange(len(y)), gone)
    bare = clone(base).fit(X, y)
    retrained = clone(base).fit(X[kept], y[kept])
    states = {
        exact: InfluenceUnlearningClassifier(
            base, scope="head", exact=exact, random_state=0
        ).fit(X, y)
        for exact in ("auto", False)
    }
    for exact, fitted in states.items():
        seconds = compare(
            _request(fitted, gone),
            lambda: clone(base).fit(X[kept], y[kept]),
            scale.repeats(3),
        )
        ours, other = map(format_seconds, seconds.medians)
        what = "exact head" if exact else "head within tol"
        yield Row(
            f"{name}: {what}", f"forget {ours}", f"retrain {other}", seconds.ratio,
            at_most=0.01,
        )  # fmt: skip
    head = states["auto"]
    accuracy = head.score(X_test, y_test)
    other = bare.score(X_test, y_test)
    yield Row(
        f"{name}: accuracy before", f"head {accuracy:.4f}", f"bare {other:.4f}",
        100 * (accuracy - other), "points",
    )  # fmt: skip
    accuracy = head.forget(gone).score(X_test, y_test)
    other = retrained.score(X_test, y_test)
    yield Row(
        f"{name}: accuracy after", f"head {accuracy:.4f}", f"retrained {other:.4f}",
        100 * (accuracy - other), "points",
    )  # fmt: skip


def _request(fitted: Any, gone: np.ndarray) -> Callable[[], Any]:
    """Return a call that forgets in a fresh copy each time, but does not copy then."""
    whole = pickle.dumps(fitted)
    copies = [pickle.loads(whole) for _ in range(4)]
    return lambda: copies.pop().forget(gone)


def bench_passes(scale: Scale) -> Iterator[Row]:
    """Compare contributions and memory with passes over all rows in training."""
    X, y, X_test, y_test, gone = make_rows(scale)
    base = NETWORKS["skorch, Adam, 20 epochs"]
    classifier = InfluenceUnlearningClassifier(base, scope="head", random_state=0)
    classifier.fit(X, y, X_val=X_test, y_val=y_test)
    net = clone(base).initialize()
    rows, codes = torch.as_tensor(X), torch.as_tensor(y)

    def make_pass() -> None:
        for i in range(0, len(y), net.batch_size):
            loss = net.module_(rows[i : i + net.batch_size])
            net.criterion_(loss, codes[i : i + net.batch_size]).backward()

    seconds = compare(classifier.contributions, make_pass, scale.repeats(7))
    ours, other = map(format_seconds, seconds.medians)
    yield Row(
        "contributions of all rows", ours, f"forward-backward {other}", seconds.ratio,
        at_most=3,
    )  # fmt: skip
    tracemalloc.start()
    classifier.forget(gone)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    held = len(y) * 65 * 8 / 2**20
    yield Row(
        "peak memory of a request", f"{peak:.1f} MiB", f"features {held:.1f} MiB",
        peak / held,
    )  # fmt: skip


def main() -> None:
    """Print the table, line by line as it comes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    scale = Scale(parser.parse_args().quick)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(describe_machine())
    print(f"torch {torch.__version__}. 1 % of {scale.size(20_000):,} rows.")
    print(format_header())
    for name, base in NETWORKS.items():
        for row in bench_network(name, base, scale):
            print(row, flush=True)
    for row in bench_passes(scale):
        print(row, flush=True)


if __name__ == "__main__":
    main()

"""Forgetting in the last layer of a network, beside training the network again.

``python benchmarks/bench_networks.py`` prints one table; ``--quick`` is a smoke run.
The network has layers of 50, 64 and 2 units; 1 % of 20,000 rows are forgotten.
"""

import os

os.environ.update(  # before numpy is imported
    {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
)

import argparse
import gc
import json
import pickle
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from _memory import Peak, can_measure, run_alone
from _timing import (
    Comparison,
    Row,
    Scale,
    compare,
    describe_machine,
    format_header,
    format_seconds,
    time_call,
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
    """Compare requests with a retraining, in seconds and in what comes out."""
    X, y, X_test, y_test, gone = make_rows(scale)
    kept = np.setdiff1d(np.arange(len(y)), gone)
    settings = {
        "exact head": {"scope": "head"},
        "head within tol": {"scope": "head", "exact": False},
        "PUMA, all layers": {"scope": "all", "method": "puma"},
    }
    fitted = {
        what: InfluenceUnlearningClassifier(base, random_state=0, **params).fit(
            X, y, X_val=X_test[:2500], y_val=y_test[:2500]
        )
        for what, params in settings.items()
    }
    calls = [_request(each, gone) for each in fitted.values()]
    retrained = clone(base)
    calls.append(lambda: retrained.fit(X[kept], y[kept]))
    _, *turns = [list(map(time_call, calls)) for _ in range(scale.repeats(2) + 1)]
    for place, what in enumerate(fitted):
        seconds = Comparison(*zip(*[(t[place], t[-1]) for t in turns], strict=True))
        ours, other = map(format_seconds, seconds.medians)
        limit = 1 / 3 if "all" in what else 0.01
        yield Row(
            f"{name}: {what}", f"forget {ours}", f"retrain {other}", seconds.ratio,
            at_most=limit,
        )  # fmt: skip
    head, whole = fitted["exact head"], fitted["PUMA, all layers"]
    bare = clone(base).fit(X, y)
    pairs = [("before", bare, "bare"), ("after", retrained, "retrained")]
    for when, model, words in pairs:
        accuracy, other = (each.score(X_test, y_test) for each in (head, model))
        yield Row(
            f"{name}: accuracy {when}", f"head {accuracy:.4f}", f"{words} {other:.4f}",
            100 * (accuracy - other), "points",
        )  # fmt: skip
        head.forget(gone)
    expected, before = (each.predict_proba(X_test) for each in (retrained, whole))
    after = whole.forget(gone).predict_proba(X_test)
    near, far = (abs(each - expected).mean() for each in (after, before))
    yield Row(
        f"{name}: p to retrained", f"PUMA {near:.4f}", f"untouched {far:.4f}",
        near / far,
    )  # fmt: skip


def _request(fitted: Any, gone: np.ndarray) -> Callable[[], Any]:
    """Return a call that forgets in a fresh copy each time, but does not copy then."""
    whole = pickle.dumps(fitted)
    copies = [pickle.loads(whole) for _ in range(4)]
    return lambda: copies.pop().forget(gone)


def bench_passes(scale: Scale) -> Iterator[Row]:
    """Compare contributions and memory with passes over all rows in training."""
    X, y, X_test, y_test, _ = make_rows(scale)
    base = NETWORKS["skorch, Adam, 20 epochs"]
    fitted = {
        scope: InfluenceUnlearningClassifier(base, scope=scope, random_state=0).fit(
            X, y, X_val=X_test, y_val=y_test
        )
        for scope in ("head", "all")
    }
    net = clone(base).initialize()
    rows, codes = torch.as_tensor(X), torch.as_tensor(y)

    def make_pass(size: int = 1024) -> None:
        for i in range(0, len(y), size):
            logits = net.module_(rows[i : i + size])
            net.criterion_(logits, codes[i : i + size]).backward()
        net.optimizer_.step()

    optimum = fitted["all"]._state.optimum
    ones, v = np.ones(len(y)), np.ones(len(optimum.theta))
    calls = {
        "contributions, head": fitted["head"].contributions,
        "contributions, all layers, without the solve": lambda: (
            optimum.objective.scores(optimum.theta, ones, v)
        ),
        "contributions, all layers": fitted["all"].contributions,
    }
    for name, call in calls.items():
        seconds = compare(call, make_pass, scale.repeats(5))
        ours, other = map(format_seconds, seconds.medians)
        limit = None if name == "contributions, all layers" else 3
        yield Row(name, ours, f"forward-backward {other}", seconds.ratio, at_most=limit)
    if not can_measure():
        return
    peaks = run_alone(__file__, "--memory", *(["--quick"] if scale.quick else []))
    for scope in fitted:
        reached, step = (peaks[each] / 2**20 for each in (scope, "step"))
        yield Row(
            f"memory of a request, {scope}", f"{reached:.1f} MiB",
            f"training step {step:.1f} MiB", reached / step, at_most=2,
        )  # fmt: skip


def measure_memory(scale: Scale) -> dict[str, int]:
    """Return bytes at the peaks of a training step on all rows, and of requests."""
    X, y, _, _, gone = make_rows(scale)
    base = NETWORKS["skorch, Adam, 20 epochs"]
    base.set_params(max_epochs=1, batch_size=1024)
    calls = {"step": partial(clone(base).initialize().partial_fit, X, y)}
    for scope in ("head", "all"):
        fitted = InfluenceUnlearningClassifier(base, scope=scope, random_state=0)
        pickle.loads(pickle.dumps(fitted.fit(X, y))).forget(gone)  # load what is late
        calls[scope] = partial(fitted.forget, gone)
    peaks = {}
    for name, call in calls.items():
        gc.collect()
        peak = Peak()
        peak.reset()
        call()
        peaks[name] = peak.read()
    return peaks


def main() -> None:
    """Print the table, line by line as it comes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--memory", action="store_true", help="peaks alone, as JSON")
    arguments = parser.parse_args()
    scale = Scale(arguments.quick)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if arguments.memory:
        print(json.dumps(measure_memory(scale)))
        return
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

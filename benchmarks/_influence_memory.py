"""Measure peaks of memory of the influence classifier in a process of its own (Linux).

``python benchmarks/_influence_memory.py {tall,wide} n_samples`` prints JSON: bytes of
resident memory above those of the bare interpreter with its libraries.
"""

import gc
import json
import sys

import numpy as np
from _data import make_rows
from _influence_digits import load_mnist
from _memory import Peak
from sklearn.linear_model import LogisticRegression

from skunlearn import InfluenceUnlearningClassifier


def main(kind: str, n_samples: int) -> None:
    """Print bytes of X, and what the fits and the requests held and needed."""
    _make(2_000).fit(*make_rows(2_000)).forget(0)  # load all that is loaded late
    gc.collect()
    peak = Peak()
    X, y = _load_digits(n_samples) if kind == "wide" else make_rows(n_samples)
    report = {"X": X.nbytes}
    gc.collect()
    peak.reset()
    _make(len(y)).estimator.fit(X, y)
    report["plain"] = peak.read()
    gc.collect()
    peak.reset()
    classifier = _make(len(y)).fit(X, y)
    report["fit"] = peak.read()
    order = np.random.default_rng(0).permutation(len(y))
    del X, y
    gc.collect()
    report["held"] = peak.held()
    peak.reset()
    classifier.forget(order[:100])
    report["forget 100 rows"] = peak.read()
    peak.reset()
    for i in order[100:110]:
        classifier.forget(i)
    report["forget 10 more"] = peak.read()
    gc.collect()
    report["held after"] = peak.held()
    print(json.dumps(report))


def _load_digits(n_samples: int) -> tuple[np.ndarray, np.ndarray]:
    X, y = load_mnist.__wrapped__()  # not kept
    chosen = np.random.default_rng(0).permutation(len(y))[:n_samples]
    return X[chosen], y[chosen]


def _make(n_samples: int) -> InfluenceUnlearningClassifier:
    model = LogisticRegression(C=1 / (n_samples * 1e-3), max_iter=1_000)
    return InfluenceUnlearningClassifier(model, exact=False)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

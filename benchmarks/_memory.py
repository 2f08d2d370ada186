"""Measure the peak memory of fit or forget in a process of its own (Linux).

``python benchmarks/_memory.py n_samples n_shards n_replicas`` prints JSON: bytes of
resident memory above those of the bare interpreter with its libraries.
"""

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from _data import make_rows
from sklearn.base import clone
from sklearn.linear_model import SGDClassifier

from skunlearn import ShardedUnlearningClassifier

__all__ = ["Peak", "can_measure", "measure", "run_alone"]

_PROC = Path("/proc/self")

# The C library is to give freed memory back at once, else it is counted for ever.
_EAGER = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


def can_measure() -> bool:
    """Tell whether this system reports peaks and lets them be reset."""
    return (_PROC / "clear_refs").exists()


def measure(n_samples: int, n_shards: int, n_replicas: int = 1) -> dict[str, int]:
    """Run this module in a fresh process and return what it prints."""
    return run_alone(__file__, *map(str, (n_samples, n_shards, n_replicas)))


def run_alone(script: str, *arguments: str) -> dict[str, int]:
    """Run a script in a fresh process and return the JSON that it prints."""
    command = [sys.executable, script, *arguments]
    run = subprocess.run(
        command, env=os.environ | _EAGER, capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)


class Peak:
    """The peak of resident memory, in bytes above what there was at the beginning."""

    def __init__(self) -> None:
        self._base = _read_status("VmRSS")

    def held(self) -> int:
        """Return what is resident now."""
        return _read_status("VmRSS") - self._base

    def reset(self) -> None:
        """Forget the peak so far."""
        (_PROC / "clear_refs").write_text("5")

    def read(self) -> int:
        """Return the peak since the last reset."""
        return _read_status("VmHWM") - self._base


def _read_status(field: str) -> int:
    for line in (_PROC / "status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"the system does not report {field}")


def main(n_samples: int, n_shards: int, n_replicas: int) -> None:
    """Print bytes of X, held after fit, and at the peaks of fit and of forget."""
    base = SGDClassifier(max_iter=5, tol=None)  # needs next to no memory of its own
    unfitted = ShardedUnlearningClassifier(
        base, n_shards=n_shards, n_replicas=n_replicas, random_state=0
    )
    clone(unfitted).fit(*make_rows(20_000)).forget(0)  # load all that is loaded late
    gc.collect()
    peak = Peak()
    X, y = make_rows(n_samples)
    report = {"X": X.nbytes}
    peak.reset()
    classifier = unfitted.fit(X, y)
    report["fit"] = peak.read()
    del X, y
    gc.collect()
    report["held"] = peak.held()
    batch = np.random.default_rng(0).choice(n_samples, n_samples // 100, replace=False)
    for name, rows in (("forget one row", batch[0]), ("forget 1 %", batch)):
        peak.reset()
        classifier.forget(rows)
        report[name] = peak.read()
    print(json.dumps(report))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

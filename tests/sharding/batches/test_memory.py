"""Rows that would not fit into memory, in a process whose memory is limited."""

import json
import os
import subprocess
import sys

import pytest

CHILD = """
import json, re, resource, statistics, sys, time
from pathlib import Path
import numpy as np
from sklearn.linear_model import SGDClassifier
from skunlearn import ShardedUnlearningClassifier

n_rows, n_shards, limit, store = *map(int, sys.argv[1:4]), sys.argv[4]
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

def read():
    for i in range(n_rows // 100_000):
        rng = np.random.default_rng(i)
        X = rng.standard_normal((100_000, 20), dtype=np.float32)
        yield X, (X[:, :5].sum(axis=1) > 0).astype(int)

start = time.perf_counter()
classifier = ShardedUnlearningClassifier(
    SGDClassifier(max_iter=5, tol=None),
    n_shards=n_shards,
    checkpoint_store=store,
    random_state=0,
).fit_batches(read())
fit = time.perf_counter() - start
seconds = []
for position in range(7, n_rows, n_rows // 20):
    start = time.perf_counter()
    classifier.forget(position)
    seconds.append(time.perf_counter() - start)
X, y = next(read())
status = Path("/proc/self/status").read_text()  # ru_maxrss is the parent's, if larger
print(json.dumps({
    "peak": int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) * 1024,
    "fit": fit,
    "forget": statistics.median(seconds),
    "fastest": min(seconds),
    "score": classifier.score(X, y),
    "retained": len(classifier.retained_indices_),
}))
"""
GIB = 2**30


def run(n_rows, n_shards, limit, folder):
    """Fit in a child, forget twenty rows, and return what that took."""
    arguments = map(str, (n_rows, n_shards, limit, folder / "store"))
    run = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments],
        env=os.environ | {"MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["retained"] == n_rows - 20
    assert found["score"] > 0.95
    return found


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")


@pytest.mark.thorough
def test_two_million_rows(tmp_path):
    """Beside the libraries there is not even room for the rows once."""
    found = run(2_000_000, 100, int(1.25 * GIB), tmp_path)
    assert found["peak"] < 0.5 * GIB


@pytest.mark.exhaustive
def test_twenty_million_rows(tmp_path, capsys):
    """1.5 GiB of rows in 2 GiB of memory, of which one is forgotten in 150 ms."""
    found = run(20_000_000, 1000, int(2.5 * GIB), tmp_path)
    with capsys.disabled():
        print(found)
    assert found["peak"] <= 2 * GIB
    assert found["fastest"] <= 0.15

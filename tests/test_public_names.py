"""What `import skunlearn` gives: modules on demand, public names, and types."""

import subprocess
import sys
from pathlib import Path

import pytest

import skunlearn

MODULES = (
    "checkpoints",
    "costs",
    "datasets",
    "exceptions",
    "influence",
    "metrics",
    "model_selection",
    "pipeline",
    "plotting",
    "sharding",
)

# A type checker is to know what comes of a call, in a subclass too.
TYPED = """
from typing import assert_type
import skunlearn
from skunlearn.costs import ShardSettings
from skunlearn import (
    ForgetRecord, InfluenceUnlearningClassifier, ShardedUnlearningClassifier
)

class Sharded(ShardedUnlearningClassifier): ...

class Influence(InfluenceUnlearningClassifier): ...

X, y = [[0.0], [1.0]], [0, 1]
assert_type(ShardedUnlearningClassifier().fit(X, y), ShardedUnlearningClassifier)
assert_type(Sharded().fit(X, y).forget(0).retrain().partial_fit(X, y), Sharded)
assert_type(Influence().fit(X, y).forget(0), Influence)
assert_type(Sharded().preview_forget(0), ForgetRecord)
assert_type(skunlearn.costs.ShardSettings, type[ShardSettings])
skunlearn.no_such_module  # type: ignore[attr-defined]
"""


def run(*command):
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()


def test_modules_are_imported_when_they_are_used():
    """Without an import of their own, and no earlier than needed."""
    lazy = {
        "skunlearn.costs",
        "skunlearn.datasets",
        "skunlearn.metrics",
        "skunlearn.pipeline",
        "skunlearn.plotting",
        "skunlearn.model_selection",
    }
    code = f"""
import sys, skunlearn
print(*{lazy} & set(sys.modules), "and")
print(*[getattr(skunlearn, name).__name__ for name in {MODULES}])
"""
    assert run("-c", code) == ["and", *(f"skunlearn.{name}" for name in MODULES)]


@pytest.mark.parametrize("name", ["", *MODULES])
def test_dir_shows_public_names(name):
    """All of them, and no imports or private modules."""
    module = getattr(skunlearn, name) if name else skunlearn
    assert dir(module) == sorted(module.__all__)
    assert all(hasattr(module, public) for public in dir(module))


def test_unknown_names_are_errors():
    """Also of modules that exist, but are private."""
    with pytest.raises(AttributeError, match="no attribute 'modles'"):
        _ = skunlearn.modles


def test_types_are_known(tmp_path):
    """By mypy, as strictly as it can."""
    options = ["--strict", "--ignore-missing-imports", "--follow-imports=silent"]
    cache = Path(__file__).parent.parent / ".mypy_cache"
    run("-m", "mypy", *options, "--config-file=", f"--cache-dir={cache}", "-c", TYPED)

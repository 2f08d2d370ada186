"""Imports run downwards, privates come through one door, and extras stay outside."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skunlearn

PACKAGE = Path(skunlearn.__file__).parent

# Each layer may import those above its own line, and modules of its own line only
# where they stand further left.
LAYERS = [
    ["exceptions", "_arrow", "_casting", "_compat", "_interrupts"],
    ["_pandas", "_polars"],
    ["_containers", "_memory", "_progress", "_records", "_threads", "_validation"],
    ["_identities", "_rows", "sharding._asking"],
    [
        "sharding._cuts",
        "sharding._densities",
        "sharding._greedy",
        "sharding._linear",
        "sharding._nets",
        "sharding._schedule",
    ],
    ["sharding._parts", "sharding._pools"],
    [
        "sharding._capabilities",
        "sharding._seeds",
        "sharding._selection",
        "sharding._weights",
    ],
    ["sharding._aggregation", "sharding._choices", "sharding._partitions"],
    ["sharding._by_class", "sharding._layout", "sharding._shards"],
    ["sharding._newcomers", "sharding._training"],
    ["sharding._bases", "sharding._state"],
    ["sharding._classes"],
    ["sharding._changes"],
    ["sharding._expected"],
    ["sharding._inputs", "sharding._settings"],
    ["_base", "sharding._voting"],
    ["sharding._classifier"],
    ["sharding"],
    [
        "influence._budget",
        "influence._conjugate",
        "influence._factor",
        "influence._losses",
        "influence._matrices",
        "influence._objective_rows",
        "influence._reweighting",
        "influence._settings",
    ],
    ["influence._objective_sums"],
    ["influence._objective"],
    [
        "influence._certificate",
        "influence._constant",
        "influence._criteria",
        "influence._forms",
        "influence._registry",
        "influence._steps",
    ],
    ["influence._linear_rows", "influence._solvers", "influence._tracked"],
    ["influence._linear_bounds", "influence._updates"],
    ["influence._fitting", "influence._linear_scores", "influence._puma"],
    ["influence._linear"],
    ["influence._classifiers", "influence._state"],
    ["influence._changes", "influence._inputs", "influence._row_scores"],
    ["influence._methods", "influence._predicting"],
    ["influence._removal", "influence._row_scores_mixin"],
    ["influence._erasing", "influence._preparing"],
    ["influence._classifier"],
    ["influence"],
    ["costs._chances", "costs._checks"],
    ["costs._curves", "costs._expected", "costs._requests"],
    ["costs._recommend"],
    ["costs", "metrics._costs"],
    ["metrics"],
    [""],
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
FILES = sorted(PACKAGE.rglob("*.py"))


def get_name(path):
    """Return a module's name below the package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def get_imports(path):
    """Yield (module, name) for all imports of a file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield from ((node.module, alias.name) for alias in node.names)


def test_every_module_has_its_layer():
    """A new file has to be put somewhere."""
    assert {get_name(path) for path in FILES} == set(RANK)


@pytest.mark.parametrize("path", FILES, ids=get_name)
def test_imports_run_downwards(path):
    """A module imports from lower layers only."""
    for module, _ in get_imports(path):
        if module.partition(".")[0] == "skunlearn":
            other = module.removeprefix("skunlearn").removeprefix(".")
            assert RANK[other] < RANK[get_name(path)], f"{path} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=get_name)
def test_private_names_of_scikit_learn(path):
    """Only _compat knows them."""
    for module, name in get_imports(path):
        if module.partition(".")[0] == "sklearn":
            parts = [*module.split("."), name or ""]
            is_private = any(part.startswith("_") for part in parts)
            assert not is_private or get_name(path) == "_compat", f"{module}.{name}"


def test_extras_are_not_imported():
    """The package needs its core dependencies and nothing else."""
    extras = ["torch", "skorch", "matplotlib", "dask", "distributed"]
    code = f"import sys, skunlearn; print([m for m in {extras} if m in sys.modules])"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"

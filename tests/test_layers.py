"""Imports run downwards, privates come through one door, and extras stay outside."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import skunlearn

PACKAGE = Path(skunlearn.__file__).parent

# The floors of the house from the ground up, and the rooms of each wing. A module may
# import what stands before it on its own floor, and everything on lower floors.
FLOORS = {
    "": """exceptions _compat _runtime _data _records _requests _pickling
        checkpoints _base _estimators
        sharding influence costs metrics plotting pipeline model_selection datasets""",
    "_runtime": "threads cluster progress warn",
    "_data": """versions hashing casting habits vectors arrow_columns
        pandas_frames polars_frames containers blocks items declarations ownership
        identities rows""",
    "checkpoints": """_memory _transaction _files _codecs _keys _blobs _ledger
        _directory _manifest _session _change _receipts _reports""",
    "_estimators": """read_only skorch_nets nested objectives coded_classifier
        class_settings fit_params one_class growing growing_ensembles capabilities
        seeding sample_weight leakage""",
    "sharding": """_adapters _aggregation _roles _selection _partition _training _state
        _class_changes _plans _expected_cost _validation _fit _storage _replay
        _prediction _forget _durable _batches _classifier
        _forest""",
    "sharding._roles": "base all_classes one_vs_rest one_class",
    "sharding._selection": "greedy pools representative selected_rows",
    "sharding._partition": """thresholds base uniform by_class distribution_aware
        layout registry incoming""",
    "sharding._training": """schedule shard selecting_shard recipe stored_rows
        tasks""",
    "sharding._batches": "sources spill collect fitting",
    "sharding._adapters": "base linear trees",
    "sharding._aggregation": "panel votes voters class_scores",
    "influence": """_settings _linalg _objectives _certificate _criteria _solvers
        _networks _optimum _state _methods _row_scores _attributes _validation
        _prediction _forget _fit _classifier""",
    "influence._linalg": "blocks cholesky conjugate_gradients",
    "influence._objectives": """losses hooks base registry constant linear_form
        linear_scores linear_bounds linear linear_sums scikit_learn""",
    "influence._networks": "head layers base perceptron skorch_network registry whole",
    "influence._certificate": """bounds local_model grid reference enclosure
        privacy_budget""",
    "influence._solvers": "newton optimum refine exact",
    "influence._methods": """reweighting linear_step goals trade_off least_weights
        puma network_step""",
    "costs": """_chances _checks _picks _steps _units _requests _curves _expected
        _slicings _settings _recommend""",
    "model_selection": "_state _scores _removal _fit _search",
    "metrics": """_costs _confidence _membership _resistance _discovery _distance
        _traces _audit _report""",
    "plotting": """_display _costs _contributions _discovery _membership _tradeoff
        _shard_map""",
    "metrics._audit": "identical report replay refit attack audit",
    "metrics._traces": "needles scan search",
    "datasets": "_census",
}
ORDER = {wing: rooms.split() for wing, rooms in FLOORS.items()}
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


def find_floor(name):
    """Return the places of a module's wing, its room there, and so on."""
    floor, wing = [], ""
    for part in filter(None, name.split(".")):
        floor.append(ORDER[wing].index(part))
        wing = f"{wing}.{part}".removeprefix(".")
    return (*floor, np.inf) if wing in ORDER else tuple(floor)  # a door comes last


def test_every_module_has_its_floor():
    """A new file has to be put somewhere."""
    rooms = {f"{wing}.{room}".strip(".") for wing in ORDER for room in ORDER[wing]}
    assert {get_name(path) for path in FILES} == {"", *rooms}


def test_no_wing_is_crowded():
    """A folder of more modules than these has lost its order."""
    rooms = [path.parent for path in FILES if path.name != "__init__.py"]
    assert max(map(rooms.count, rooms)) <= 15


def test_page_shows_the_house():
    """The page for contributors names each wing, and the rooms of the two largest."""
    page = (PACKAGE.parent / "docs" / "contributing.rst").read_text()
    tree = page[page.index("skunlearn/\n") : page.index("To follow a forget")]
    names = set(re.findall(r"\w+", tree))
    assert {*ORDER[""], *ORDER["sharding"], *ORDER["influence"]} - names == set()


@pytest.mark.parametrize("path", FILES, ids=get_name)
def test_imports_run_downwards(path):
    """A module imports from lower floors only, so that there are no circles."""
    for module, name in get_imports(path):
        if module.partition(".")[0] == "skunlearn":
            other = module.removeprefix("skunlearn").removeprefix(".")
            inner = f"{other}.{name}".removeprefix(".")
            other = inner if name in ORDER.get(other, ()) else other
            assert find_floor(other) < find_floor(get_name(path)), f"imports {module}"


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
    extras = ["torch", "skorch", "matplotlib", "dask", "distributed", "cryptography"]
    code = f"import sys, skunlearn; print([m for m in {extras} if m in sys.modules])"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"

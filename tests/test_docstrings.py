"""Public docstrings follow numpydoc, and examples in them run."""

import inspect
import pydoc
import re
import tomllib
from pathlib import Path

import pytest
from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate

import skunlearn
import skunlearn.checkpoints
import skunlearn.costs
import skunlearn.datasets
import skunlearn.exceptions
import skunlearn.influence
import skunlearn.metrics
import skunlearn.model_selection
import skunlearn.pipeline
import skunlearn.plotting

ROOT = Path(__file__).parent.parent
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())
IGNORED = set(CONFIG["tool"]["numpydoc_validation"]["checks"]) - {"all"}
MODULES = (
    skunlearn,
    skunlearn.checkpoints,
    skunlearn.costs,
    skunlearn.datasets,
    skunlearn.exceptions,
    skunlearn.influence,
    skunlearn.metrics,
    skunlearn.model_selection,
    skunlearn.pipeline,
    skunlearn.plotting,
)
NEED_EXAMPLES = [
    value
    for module in MODULES
    if module is not skunlearn.exceptions
    for value in map(vars(module).get, module.__all__)
    if callable(value)
]


def find_members(cls):
    """Return the names of public methods and properties, inherited ones of ours too."""
    ours = [base for base in cls.__mro__ if base.__module__.startswith("skunlearn")]
    return sorted(
        {
            name
            for base in ours
            for name, member in vars(base).items()
            if not name.startswith("_")
            and (
                inspect.isfunction(member)
                or isinstance(member, property | classmethod | staticmethod)
                or hasattr(member, "check")
            )
        }
    )


def find_public():
    """Yield the dotted name of every public class, function, method and property."""
    for module in MODULES:
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value):
                yield f"{module.__name__}.{name}"
            if inspect.isclass(value):
                for member in find_members(value):
                    yield f"{module.__name__}.{name}.{member}"


def find_shared(name):
    """Return the arguments that the notes of a method's class explain for all methods.

    They are documented once: in a list with types, as a section of parameters has it.
    """
    owner = pydoc.locate(name.rpartition(".")[0])
    if not inspect.isclass(owner):
        return set()
    notes = NumpyDocString(inspect.getdoc(owner))["Notes"]
    return {line.partition(" : ")[0] for line in notes if re.match(r"\w+ : ", line)}


def is_shared(code, text, shared):
    """Return True if all arguments that an error misses are explained by the class."""
    missing = set(re.findall(r"'(\w+)'", text))
    return code == "PR01" and missing <= shared


@pytest.mark.parametrize("name", list(find_public()))
def test_numpydoc(name):
    """All checks but those that pyproject.toml excepts."""
    shared = find_shared(name)
    errors = [
        f"{code}: {text}"
        for code, text in validate(name)["errors"]
        if code not in IGNORED and not is_shared(code, text, shared)
    ]
    assert errors == []


def test_only_objectives_share_arguments():
    """Everywhere else each method documents all of its own."""
    names = {name.rpartition(".")[0] for name in find_public() if find_shared(name)}
    assert names == {"skunlearn.influence.Objective"}


@pytest.mark.parametrize("value", NEED_EXAMPLES, ids=lambda value: value.__name__)
def test_examples(value):
    """A class or function shows how it is used."""
    assert ">>> " in value.__doc__


def test_api_lists_the_hooks():
    """The reference says of each method of an objective what it is for."""
    listed = set((ROOT / "docs" / "api.rst").read_text().split())
    members = find_members(skunlearn.influence.Objective)
    assert {f"Objective.{name}" for name in members} - listed == set()


def test_every_function_has_a_docstring():
    """Private ones too: the code is there to be read."""
    for path in Path(skunlearn.__file__).parent.rglob("*.py"):
        assert path.read_text().lstrip().startswith('"""'), f"{path} has no docstring"

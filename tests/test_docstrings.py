"""Public docstrings follow numpydoc, and examples in them run."""

import inspect
import tomllib
from pathlib import Path

import pytest
from numpydoc.validate import validate

import skunlearn
import skunlearn.costs
import skunlearn.exceptions
import skunlearn.metrics

CONFIG = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
IGNORED = set(CONFIG["tool"]["numpydoc_validation"]["checks"]) - {"all"}
MODULES = (skunlearn, skunlearn.costs, skunlearn.exceptions, skunlearn.metrics)
NEED_EXAMPLES = [
    value
    for module in MODULES
    if module is not skunlearn.exceptions
    for value in map(vars(module).get, module.__all__)
    if callable(value)
]


def find_public():
    """Yield the dotted name of every public class, function, method and property."""
    for module in MODULES:
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value):
                yield f"{module.__name__}.{name}"
            if not inspect.isclass(value):
                continue
            for attribute, member in vars(value).items():
                if not attribute.startswith("_") and (
                    inspect.isfunction(member)
                    or isinstance(member, property)
                    or hasattr(member, "check")
                ):
                    yield f"{module.__name__}.{name}.{attribute}"


@pytest.mark.parametrize("name", list(find_public()))
def test_numpydoc(name):
    """All checks but those that pyproject.toml excepts."""
    errors = [
        f"{code}: {text}"
        for code, text in validate(name)["errors"]
        if code not in IGNORED
    ]
    assert errors == []


@pytest.mark.parametrize("value", NEED_EXAMPLES, ids=lambda value: value.__name__)
def test_examples(value):
    """A class or function shows how it is used."""
    assert ">>> " in value.__doc__


def test_every_function_has_a_docstring():
    """Private ones too: the code is there to be read."""
    for path in Path(skunlearn.__file__).parent.rglob("*.py"):
        assert path.read_text().lstrip().startswith('"""'), f"{path} has no docstring"

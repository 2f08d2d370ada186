"""Public docstrings follow numpydoc, and examples in them run."""

import inspect
import tomllib
from pathlib import Path

import pytest
from numpydoc.validate import validate

import skunlearn
import skunlearn.exceptions

CONFIG = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
IGNORED = set(CONFIG["tool"]["numpydoc_validation"]["checks"]) - {"all"}
NEED_EXAMPLES = [
    skunlearn.ForgetRecord,
    skunlearn.RepresentativeSelection,
    skunlearn.ShardedUnlearningClassifier,
]


def find_public():
    """Yield the dotted name of every public class, method and property."""
    for module in (skunlearn, skunlearn.exceptions):
        for name in module.__all__:
            value = getattr(module, name)
            if not inspect.isclass(value):
                continue
            yield f"{module.__name__}.{name}"
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
def test_classes_have_examples(value):
    """A class shows how it is used."""
    assert ">>> " in value.__doc__


def test_every_function_has_a_docstring():
    """Private ones too: the code is there to be read."""
    for path in Path(skunlearn.__file__).parent.rglob("*.py"):
        assert path.read_text().lstrip().startswith('"""'), f"{path} has no docstring"

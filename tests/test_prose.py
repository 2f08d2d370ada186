"""Public docstrings, errors and warnings are in the words of the field.

A short list of phrases that need a second reading, or have a noun that everybody knows,
stays out of what users read. Docstrings are found by walking public objects, messages
in the code.
"""

import ast
import inspect
import re
from pathlib import Path

import pytest
from test_docstrings import MODULES, find_members

import skunlearn

PACKAGE = Path(skunlearn.__file__).parent

# What to write in place of each.
PHRASES = {
    r"tell (whether|what|which|how)": "whether; return; preview",
    r"told of": "registered; trained with",
    r"anew": "re-: reweighted, refitted, retrained",
    r"dearer": "more expensive",
    r"nobody('s)?|whoever": "no group; the one that",
    r"vouch(es|ed)?( for)?": "bound; guarantee",
    r"mak(e|es|ing) do( with)?": "is reduced to",
    r"stands? in for": "replaces",
    r"(as|so) far as (it|they|that) (is|are) known": "a bound, or that none is known",
    r"rows? that stays?": "retained rows",
    r"what is minimi[sz]ed": "the objective",
    r"weigh(ed|s)? (anew|again)": "reweighted",
    r"(is|are|was|were) due|due (exactly )?if": "required",
    r"learnt": "fitted; trained on",
    r"who(ever)? speaks?": "constituents that",
    r"led (away|nowhere)": "diverged",
}
BANNED = re.compile(rf"\b({'|'.join(PHRASES)})\b", re.IGNORECASE)


def find_documented():
    """Yield the name and docstring of all public modules, classes and members."""
    for module in MODULES:
        yield module.__name__, module.__doc__
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value):
                yield f"{module.__name__}.{name}", value.__doc__
            if inspect.isclass(value):
                for member in find_members(value):
                    doc = inspect.getdoc(inspect.getattr_static(value, member))
                    yield f"{module.__name__}.{name}.{member}", doc


def find_messages():
    """Yield the place and text of whatever is raised, warned of or noted."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and is_message(node):
                place = f"{path.relative_to(PACKAGE)}:{node.lineno}"
                yield place, get_text(node)
            elif isinstance(node, ast.FunctionDef) and returns_text(node):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", get_text(node)


def is_message(call):
    name = ast.unparse(call.func).rpartition(".")[2]
    return name in {"warn", "add_note"} or name.endswith(("Error", "Warning"))


def returns_text(function):
    """Return True for functions that put messages together."""
    return function.name.startswith(("_explain", "explain", "make_unsupported"))


def get_text(node):
    """Return the constant texts of an expression, what is between them left out."""
    return "".join(
        part.value
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and isinstance(part.value, str)
    )


def normalise(text):
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("name", "text"),
    [pytest.param(*found, id=found[0]) for found in find_documented()],
)
def test_docstrings_use_the_words_of_the_field(name, text):
    """At least one docstring each, and none of the phrases."""
    assert text, f"{name} has no docstring"
    found = BANNED.search(normalise(text))
    assert found is None, f"{name}: {found[0]!r}"


def test_messages_use_the_words_of_the_field():
    """Those of private functions too: users read them."""
    messages = list(find_messages())
    assert len(messages) > 80
    faults = {
        place: match[0]
        for place, text in messages
        if (match := BANNED.search(normalise(text)))
    }
    assert faults == {}


def test_predicates_say_what_they_are():
    """Private ones too: whether, or return True if."""
    faults = [
        f"{path.relative_to(PACKAGE)}: {found[0]}"
        for path in PACKAGE.rglob("*.py")
        if (found := re.search(r'""" ?Tell\b', path.read_text()))
    ]
    assert faults == []

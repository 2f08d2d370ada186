"""What newcomers paste runs as pasted: imports and data included."""

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.+?)```", README, re.DOTALL)
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@pytest.mark.parametrize("code", SNIPPETS, ids=["sharded", "linear"])
def test_readme(code, capsys):
    """Each snippet by itself, and it prints what its last comment speaks of."""
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", ["index.rst", "getting_started.rst"])
def test_page(page):
    """The examples of a page, of which no line is hidden in a comment."""
    text = (ROOT / "docs" / page).read_text()
    assert not re.search(r"^\.\.\s*\n(\s*\n)*\s+.*>>>", text, re.MULTILINE)
    examples = doctest.DocTestParser().get_doctest(text, {}, page, page, 0)
    report = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    assert len(examples.examples) > 10
    runner.run(examples, out=report.append)
    assert report == []


@pytest.mark.parametrize("page", ["README.md", "docs/index.rst"])
def test_costs_are_said_first(page):
    """Accuracy, and that the model is fitted through the wrapper, on the first page."""
    first_screen = " ".join((ROOT / page).read_text().split("\n")[:50])
    assert "accuracy" in first_screen
    assert "through the wrapper" in first_screen

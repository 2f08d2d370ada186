"""Plain, --thorough and --exhaustive: which tests are run, on how many examples."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest
from hypothesis import given, settings, strategies as st

COUNT = []

def test_plain():
    pass

@pytest.mark.thorough
def test_thorough():
    pass

@pytest.mark.exhaustive
def test_exhaustive():
    pass

@settings(max_examples=3)
@given(number=st.integers(0, 10**9))
def test_property(number):
    COUNT.append(number)

def test_examples(examples):
    print("examples:", examples(2).max_examples, len(COUNT))
"""


@pytest.mark.parametrize(("level", "factor"), [("plain", 1), ("thorough", 5)])
def test_levels(level, factor, tmp_path):
    """A level has its own tests, and properties on more examples."""
    conftest = Path(__file__).with_name("conftest.py").read_text()
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_module.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-vsp", "no:cacheprovider", tmp_path]
    options = [] if level == "plain" else [f"--{level}"]
    env = {k: v for k, v in os.environ.items() if k != "PYTEST_ADDOPTS"}
    result = subprocess.run(
        [*command, *options],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"examples: {2 * factor} {3 * factor}" in result.stdout
    for name in ("plain", "thorough", "exhaustive"):
        assert (f"::test_{name} PASSED" in result.stdout) == (name == level)

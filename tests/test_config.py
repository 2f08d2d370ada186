"""pyproject.toml says what is built and formatted; setup.cfg how it is checked."""

import configparser
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")
CHECKERS = {"pytest", "coverage", "mypy"}


def test_no_tool_is_configured_twice():
    """Where a tool finds two configurations, it reads one and drops the other."""
    here = set(PYPROJECT["tool"])
    there = {name.removeprefix("tool:").split(":")[0] for name in SETUP.sections()}
    assert here & there == set()
    assert here == {"setuptools", "ruff", "numpydoc_validation", "codespell"}
    assert there == CHECKERS


def test_no_other_configuration_files():
    """No tool reads a file that would win over both."""
    others = [".coveragerc", "mypy.ini", "pytest.ini", "tox.ini", "ruff.toml"]
    assert [name for name in others if (ROOT / name).exists()] == []


def test_metadata_stays_out_of_setup_cfg():
    """A stray field there fails the build."""
    assert not {"metadata", "options"} & set(SETUP.sections())


def test_extras():
    """Core dependencies are five, and torch's CPU build is pinned for tests."""
    names = {line.split(">=")[0] for line in PYPROJECT["project"]["dependencies"]}
    assert names == {"scikit-learn", "numpy", "scipy", "joblib", "threadpoolctl"}
    assert "torch==2.13.0" in PYPROJECT["project"]["optional-dependencies"]["tests"]


def test_version_is_the_same_everywhere():
    """In the metadata, the citation, the changelog and what's new."""
    version = PYPROJECT["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"**{version}**" in (ROOT / "CHANGELOG.md").read_text()
    headings = (ROOT / "docs" / "whats_new.rst").read_text().split("Version ")
    assert headings[1].startswith(f"{version}\n")

"""The census is in the package, whole and with its licence."""

import sys

import pytest

from skunlearn.datasets import load_census


def test_census():
    """All rows and values are there, and who made them is said."""
    census = load_census()
    assert census.frame.shape == (48_842, 15)
    assert list(census.data.columns) == census.feature_names
    assert sorted(census.target.unique()) == census.target_names
    assert census.data.isna().sum().sum() == 6_465
    assert "CC BY 4.0" in census.DESCR
    assert "Kohavi" in census.DESCR
    X, y = load_census(return_X_y=True)
    assert X.equals(census.data)
    assert y.equals(census.target)


def test_without_pandas(monkeypatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        load_census()

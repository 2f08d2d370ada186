"""Libraries that are too old are refused, in words that say what to do."""

import pytest

from skunlearn._data import versions


@pytest.fixture(autouse=True)
def fresh():
    """Let no version be remembered."""
    versions.check_version.cache_clear()
    yield
    versions.check_version.cache_clear()


@pytest.mark.parametrize("installed", ["1.35.1", "1.9", "0.20.31", "1.35.0rc1"])
def test_old_versions(installed, monkeypatch):
    """Older ones keep what a forgotten row alone had."""
    monkeypatch.setattr(versions, "version", lambda name: installed)
    with pytest.raises(ImportError, match=r"polars .* 1\.35\.2 or later"):
        versions.check_version("polars")


@pytest.mark.parametrize("installed", ["1.35.2", "1.36.0b1", "2.1.0", "2.0+local"])
def test_versions_that_will_do(installed, monkeypatch):
    """The oldest one and later ones."""
    monkeypatch.setattr(versions, "version", lambda name: installed)
    versions.check_version("polars")


@pytest.mark.parametrize("name", ["pyarrow", "skorch", "torch"])
def test_other_libraries(name, monkeypatch):
    """They are checked where their columns or nets are met first."""
    monkeypatch.setattr(versions, "version", lambda name: "0.9")
    with pytest.raises(ImportError, match=f"{name} 0.9 is installed"):
        versions.check_version(name)

"""Real data that are shipped with the package, for examples and trials."""

from skunlearn.datasets._census import load_census

__all__ = ["load_census"]


def __dir__() -> list[str]:
    return __all__

"""Searches for hyper-parameters that forget."""

from skunlearn.model_selection._search import UnlearningSearchCV

__all__ = ["UnlearningSearchCV"]


def __dir__() -> list[str]:
    return __all__

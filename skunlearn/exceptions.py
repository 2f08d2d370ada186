"""Errors and warnings that skunlearn raises."""

__all__ = [
    "ForgetIndexError",
    "NothingRetainedError",
    "SkunlearnError",
    "UnlearningQualityWarning",
    "UnsupportedEstimatorError",
]


def __dir__() -> list[str]:
    return __all__


class SkunlearnError(Exception):
    """Root of all the errors that are skunlearn's own."""


class ForgetIndexError(SkunlearnError, IndexError):
    """A forget request names rows or groups that do not exist, or not properly."""


class NothingRetainedError(SkunlearnError, ValueError):
    """A forget request would leave no row to learn from."""


class UnsupportedEstimatorError(SkunlearnError, TypeError):
    """The wrapped estimator lacks what the chosen settings need."""


class UnlearningQualityWarning(UserWarning):
    """What is forgotten, or how well, may be other than the user expects."""

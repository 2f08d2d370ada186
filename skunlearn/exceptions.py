"""Exceptions and warnings of skunlearn."""

__all__ = [
    "CheckpointCorruptedError",
    "ForgetIndexError",
    "LeakyPipelineError",
    "NothingRetainedError",
    "SkunlearnError",
    "UnlearningQualityWarning",
    "UnsupportedEstimatorError",
]


def __dir__() -> list[str]:
    return __all__


class SkunlearnError(Exception):
    """Base class of all exceptions that skunlearn defines."""


class CheckpointCorruptedError(SkunlearnError, OSError):
    """Exception for a file of a store that is missing, or not as it was written."""


class ForgetIndexError(SkunlearnError, IndexError):
    """Exception for a request that names unknown rows or groups, or is malformed."""


class LeakyPipelineError(SkunlearnError, ValueError):
    """Exception for preprocessing that would keep information from forgotten rows."""


class NothingRetainedError(SkunlearnError, ValueError):
    """Exception for a forget request that would leave no row to train on."""


class UnsupportedEstimatorError(SkunlearnError, TypeError):
    """Exception for an estimator that does not support the chosen parameters."""


class UnlearningQualityWarning(UserWarning):
    """Warning that unlearning may be incomplete or less accurate than expected."""

"""Where the states of classifiers are kept, and how one takes the place of another."""

from skunlearn.checkpoints._directory import DirectoryStore
from skunlearn.checkpoints._reports import audit, verify_ledger, verify_receipt

__all__ = ["DirectoryStore", "audit", "verify_ledger", "verify_receipt"]


def __dir__() -> list[str]:
    return __all__

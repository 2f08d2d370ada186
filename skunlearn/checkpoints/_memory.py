"""Checkpoints: trained estimators, as handles of whatever keeps them.

A shard knows its checkpoints by these alone. One in memory has its estimator; one of
another kind may load it when it is asked for.
"""

from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Checkpoint", "MemoryCheckpoint"]


class Checkpoint(Protocol):
    """A trained estimator, wherever it is kept."""

    @property
    def estimator(self) -> Any:
        """Return the estimator, which must not be changed."""


@dataclass(frozen=True, eq=False)
class MemoryCheckpoint:
    """A trained estimator in memory.

    Parameters
    ----------
    estimator : estimator
        The estimator itself.
    """

    estimator: Any

"""What a role is: the labels of constituents, and how their answers are put together.

The defaults are those of classifiers that learn all classes.
"""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from sklearn.dummy import DummyClassifier

from skunlearn._data.rows import Batch
from skunlearn.sharding._aggregation.panel import Panel
from skunlearn.sharding._aggregation.voters import Voters
from skunlearn.sharding._aggregation.votes import ScoreKind

__all__ = ["ClassChange", "Fitted", "Role"]

Shards = TypeVar("Shards", covariant=True)


class Fitted(Protocol):
    """What a role asks of a fitted classifier to answer for it."""

    @property
    def prototype(self) -> Any:
        """Return what the constituents are clones of."""

    @property
    def voters(self) -> Voters:
        """Return the constituents that there are."""

    @property
    def n_shards(self) -> int:
        """Return the number of shards."""

    @property
    def classes(self) -> np.ndarray:
        """Return the classes."""

    @property
    def class_counts(self) -> np.ndarray:
        """Return the retained rows of each class."""

    @property
    def class_weights(self) -> np.ndarray:
        """Return the weight of each class: its retained rows where they have none."""

    def count_negatives(self) -> Iterator[tuple[int, int, int]]:
        """Yield each shard of one class against others: how many, of how many."""


class ClassChange(Protocol[Shards]):
    """The ways in which shards can follow a change of classes."""

    def relabel(self) -> Shards:
        """Return all shards, with their rows counted by the new classes."""

    def keep(self) -> Shards:
        """Return the shards of the classes that stay, and empty ones of new classes."""

    def lay_out_again(self) -> Shards:
        """Return shards of all rows, which stand against other classes now."""


class Role:
    """What each constituent learns."""

    is_supervised: ClassVar[bool] = True  # whether it is given labels
    has_negatives: ClassVar[bool] = False  # whether rows of other classes are label 0
    min_labels: ClassVar[int] = 2  # with fewer labels or rows a constant stands in
    min_rows: ClassVar[int] = 1

    def __eq__(self, other: object) -> bool:
        """Return True if the other is a role of the same kind."""
        return type(other) is type(self)

    def __hash__(self) -> int:
        """Return a hash of the kind."""
        return hash(type(self))

    def n_labels(self, n_classes: int) -> int:
        """Return the number of labels that a constituent may meet."""
        return n_classes

    def labels(self, codes: np.ndarray, own: int | None) -> np.ndarray:
        """Return the label of rows of the given classes.

        Parameters
        ----------
        codes : ndarray of shape (n_rows,)
            Index of the class of each row.
        own : int or None
            Index of the class that the shard is for, None if it is for all.
        """
        return codes

    def known_labels(self, classes: np.ndarray) -> np.ndarray | None:
        """Return what ``partial_fit`` is given as all labels, if it takes any."""
        return classes

    def constant(self, prototype: Any, rows: Batch) -> Any:
        """Return a fitted model in place of an estimator, for want of rows."""
        return DummyClassifier(strategy="prior").fit(rows.X, rows.y)

    def train(
        self, fit: Callable[[Any], Any], state: Any, prototype: Any, rows: Batch
    ) -> tuple[Any, str | None]:
        """Return a trained estimator, and why it is a simpler one, if it is.

        Parameters
        ----------
        fit : callable
            Trains on the rows, from a state or, if that is None, from scratch.
        state : estimator or None
            The state to go on from.
        prototype : estimator
            What constituents are clones of.
        rows : Batch
            The rows.
        """
        return fit(state), None

    def on_classes_changed(self, change: ClassChange[Shards]) -> Shards:
        """Return the shards after some classes have appeared or disappeared."""
        raise NotImplementedError

    def aggregate(
        self, fitted: Fitted, panel: Panel, voting: str
    ) -> tuple[np.ndarray, ScoreKind]:
        """Return a score of each class for each row, and what the scores are.

        Parameters
        ----------
        fitted : Fitted
            The classifier that answers.
        panel : Panel
            Its constituents, and rows.
        voting : {"soft", "hard"}
            How constituents vote.
        """
        raise NotImplementedError

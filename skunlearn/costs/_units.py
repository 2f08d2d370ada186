"""Models that share no rows but negatives, and what is selected for each of them.

With ``partition="class"`` each class is a unit; otherwise there is one of all rows.
Units lie along the axis before the last, which is that of steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skunlearn.costs._checks import check_shares
from skunlearn.costs._picks import expect_picks

__all__ = ["Rows", "Units", "count_classes", "make_units"]


class Rows(NamedTuple):
    """Rows by class, the parts that they are dealt to, and what is picked of them."""

    n_samples: np.ndarray
    n_parts: np.ndarray
    classes: np.ndarray
    fraction: np.ndarray
    n_negatives: np.ndarray

    @property
    def negative(self) -> np.ndarray:
        """Return the probability that a row is a negative in another class's model."""
        return self.n_negatives / max(self.classes.shape[-2] - 1, 1)

    def count_picks(self, by_class: bool, retained: Any = 1.0) -> tuple[Any, Any]:
        """Return the picks of each unit: of its own class, and of the negatives."""
        settings = self.n_samples * self.classes, self.n_parts, self.fraction
        own = expect_picks(*settings, 1.0, retained)
        if not by_class:
            return own.sum(axis=-2, keepdims=True), np.zeros(1)
        against = expect_picks(*settings, self.negative, retained)
        return own, against.sum(axis=-2, keepdims=True) - against


@dataclass(frozen=True)
class Units:
    """Models that share no rows but negatives, along the axis before the last.

    Parameters
    ----------
    own, others : ndarray
        Selected rows of a unit's own class, and of all others.
    negative : ndarray
        Probability that a row of another class is a negative in the unit.
    fraction : ndarray
        Share of the rows that is selected.
    picks : callable
        Returns the selected rows of each unit when a share of all rows is retained.
    """

    own: np.ndarray
    others: np.ndarray
    negative: np.ndarray
    fraction: np.ndarray
    picks: Callable[[np.ndarray], np.ndarray]

    @property
    def size(self) -> np.ndarray:
        """Return the expected rows of each unit."""
        return self.own + self.negative * self.others

    @property
    def n_pairs(self) -> np.ndarray:
        """Return the expected ordered pairs of rows that meet in each unit."""
        own, others, g = self.own, self.others, self.negative
        varied = self.scatter * own + self.scatter_of_others * g**2 * others
        return np.maximum(self.size**2 - varied, 0)

    @property
    def scatter(self) -> np.ndarray:
        """Return the variance of own rows in a part, beside that of chance.

        Quotas vary with the rows that they are picked from, and so by less than the
        picks would if each of them fell in a part by chance.
        """
        return self.fraction

    @property
    def scatter_of_others(self) -> np.ndarray:
        """Return the same of the rows of other classes."""
        return np.where(self.fraction < 1, self.fraction * self.negative, 1.0)

    @property
    def n_varied(self) -> np.ndarray:
        """Return how many rows would vary by chance as much as all rows do."""
        others = self.negative * self.others
        return self.scatter * self.own + self.scatter_of_others * others


def make_units(rows: Rows, *, by_class: bool) -> Units:
    """Return the units, each with what is picked for it."""
    own, against = rows.count_picks(by_class)
    everything = sum(rows._replace(fraction=np.ones(1)).count_picks(by_class))
    negative = rows.negative if by_class else np.zeros(1)

    def count_picks(retained: np.ndarray) -> np.ndarray:
        return sum(rows.count_picks(by_class, retained))

    share = np.where(everything > 0, own + against, 1) / np.where(
        everything > 0, everything, 1
    )
    return Units(
        own,
        against / np.where(negative > 0, negative, 1),
        negative,
        np.where(share > 1 - 1e-12, 1.0, share),
        count_picks,
    )


def count_classes(
    partition: str, class_counts: Any, negatives: np.ndarray
) -> np.ndarray:
    """Return the share of each class as an array of shape (n_classes, 1)."""
    if partition == "uniform":
        if negatives.any():
            raise ValueError(
                'n_negatives is for partition="class": with "uniform" all constituents '
                "see rows of all classes. Leave it out."
            )
        if class_counts is None:
            return np.ones((1, 1))
    elif class_counts is None:
        raise ValueError(
            'partition="class" needs class_counts: the number of rows of each class, '
            "or its share of all rows."
        )
    shares = check_shares("class_counts", class_counts)[:, None]
    if partition == "class" and negatives.max(initial=0) > len(shares) - 1:
        raise ValueError(
            f"n_negatives={negatives.max()} other classes for each row need more than "
            f"the {len(shares)} classes of class_counts."
        )
    return shares

"""In which order each batch of rows has declared the values of its columns.

A column with a list of values, such as a categorical one, means its codes by the order
of that list. Models are trained on the values that their own rows have, in the order in
which these rows declared them: what other rows declare must not change it, since they
may be forgotten. Rows are held with sorted values, so the orders are kept beside them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skunlearn._data.containers import (
    is_frame,
    list_unordered,
    list_values,
    merge_values,
    take_rows,
    with_order,
    with_own_values,
    with_values,
)

__all__ = ["NOTHING", "Declarations"]


@dataclass(frozen=True, eq=False)
class Declarations:
    """The declared orders of all batches; ordered columns have one in common.

    Parameters
    ----------
    starts : tuple of int
        The first slot of each batch.
    orders : tuple of dict
        The values that each batch declares, by column.
    """

    starts: tuple[int, ...] = (0,)
    orders: tuple[dict[Any, Any], ...] = ({},)

    @classmethod
    def of_batch(cls, X: Any) -> "Declarations":
        """Return what the first batch of rows declares."""
        return cls(orders=(list_unordered(X) if is_frame(X) else {},))

    def append(self, other: "Declarations", n_before: int) -> "Declarations":
        """Return these, and those of another batch after so many rows."""
        starts = (*self.starts, *(start + n_before for start in other.starts))
        return Declarations(starts, self.orders + other.orders)

    def within(self, X: Any) -> "Declarations":
        """Return these without values that no row of a frame has."""
        if not any(self.orders):
            return self
        known = list_values(X)
        orders = (
            {place: values[values.isin(known[place].categories)] for place, values in o}
            for o in map(dict.items, self.orders)
        )
        return Declarations(self.starts, tuple(orders))

    def list_values(self, X: Any, slots: np.ndarray) -> dict[Any, Any]:
        """Return the values that rows of a frame have, in the order they declared.

        Parameters
        ----------
        X : data frame
            The rows at the slots.
        slots : ndarray of shape (n_rows,)
            Their slots.
        """
        dtypes = list_values(X)
        for place in self.orders[0]:
            order = self._find_order(X, place, slots)
            dtypes[place] = with_order(dtypes[place], order)
        return dtypes

    def _find_order(self, X: Any, place: Any, slots: np.ndarray) -> Any:
        """Return values in the order of the first batch that has them, and so on."""
        batches = np.searchsorted(self.starts, slots, side="right") - 1
        present = np.unique(batches)
        if len(present) == 1:
            return self.orders[present[0]][place]
        order = None
        for batch in present:
            mine = take_rows(X, np.flatnonzero(batches == batch))
            dtype = list_values(mine)[place]
            own = with_order(dtype, self.orders[batch][place]).categories
            order = own if order is None else merge_values(order, own)
        return order

    def arrange(self, X: Any, slots: np.ndarray) -> Any:
        """Return rows with the values that they have, in the order they declared."""
        own = with_own_values(X)
        return with_values(own, self.list_values(X, slots)) if is_frame(X) else own


NOTHING = Declarations()

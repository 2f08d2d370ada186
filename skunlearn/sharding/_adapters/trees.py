"""Trees and forests: rows are checked once, for all trees."""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

from skunlearn._data.containers import as_numbers
from skunlearn.sharding._adapters.base import (
    ConstituentAdapter,
    iterate_columns,
    map_blocks,
    register_adapter,
)

__all__ = ["ForestAdapter", "HistogramAdapter", "TreeAdapter", "TreeStack"]

_BLOCK_ROWS = 1024  # with their scores they stay in a core's cache


def _convert(X: Any) -> np.ndarray | None:
    """Return rows as trees want them, None if these are to be checked by each tree.

    That is where a value is missing or too large, which some of them refuse.
    """
    numbers = as_numbers(X)
    if numbers is None:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        rows = numbers.astype(np.float32, copy=False)
        return rows if np.isfinite(rows.sum(dtype=np.float64)) else None


@dataclass(frozen=True)
class _Member:
    """One constituent: its trees, or what it always answers."""

    trees: tuple[Any, ...]
    constant: np.ndarray | None
    columns: Any

    @classmethod
    def of(cls, estimator: Any, columns: Any) -> "_Member":
        if isinstance(estimator, DummyClassifier):
            return cls((), estimator.class_prior_, columns)
        parts = getattr(estimator, "estimators_", [estimator])
        return cls(tuple(part.tree_ for part in parts), None, columns)

    def score(self, rows: np.ndarray) -> np.ndarray:
        """Return the probabilities of rows, as the estimator computes them."""
        if self.constant is not None:
            return self.constant
        if len(self.trees) == 1:
            return self.trees[0].predict(rows)
        total = self.trees[0].predict(rows)
        for tree in self.trees[1:]:
            total += tree.predict(rows)
        total /= len(self.trees)
        return total


@dataclass(frozen=True)
class TreeStack:
    """Constituents that are trees or forests, with the columns of their classes.

    Parameters
    ----------
    members : list of _Member
        The constituents.
    n_classes : int
        Number of all classes.
    """

    members: list[_Member]
    n_classes: int

    def mean_scores(
        self, X: Any, weights: np.ndarray, n_jobs: int | None
    ) -> np.ndarray | None:
        """Return the weighted mean of probabilities, to the bit that of one by one."""
        rows = _convert(X)
        if rows is None:
            return None
        total = np.zeros((len(rows), self.n_classes))
        add = partial(self._add, rows, weights.tolist(), total)
        map_blocks(add, len(rows), _BLOCK_ROWS, n_jobs)
        total /= weights.sum()
        return total

    def _add(
        self, rows: np.ndarray, weights: list[float], total: np.ndarray, block: slice
    ) -> None:
        mine, sums = rows[block], total[block]
        for member, weight in zip(self.members, weights, strict=True):
            scores = member.score(mine)
            sums[:, member.columns] += scores if weight == 1 else weight * scores


class ForestAdapter(ConstituentAdapter):
    """Forests of trees on encoded classes."""

    reads_only: ClassVar[bool] = True
    skips_validation: ClassVar[bool] = True
    releases_gil: ClassVar[bool] = True

    def prepare_rows(self, X: Any) -> tuple[Any, dict[str, Any]]:
        """Return the rows, or a copy of those among which trees look for NaN.

        They do so by a function that takes only arrays that can be written to.
        """
        is_read_only = isinstance(X, np.ndarray) and not X.flags.writeable
        return (X.copy() if is_read_only and _convert(X) is None else X), {}

    def stack(
        self, estimators: list[Any], classes: np.ndarray, method: str
    ) -> TreeStack | None:
        """Return the trees of all constituents."""
        if method != "predict_proba":
            return None
        pairs = iterate_columns(estimators, classes)
        return TreeStack([_Member.of(*pair) for pair in pairs], len(classes))


class TreeAdapter(ForestAdapter):
    """Single trees, which take rows that are checked already."""

    def prepare_rows(self, X: Any) -> tuple[Any, dict[str, Any]]:
        """Return finite rows as float32 with ``check_input=False``, others as is.

        A data frame has names of features, which only a check notes.
        """
        rows = _convert(X) if isinstance(X, np.ndarray) else None
        return (
            super().prepare_rows(X) if rows is None else (rows, {"check_input": False})
        )


class HistogramAdapter(ConstituentAdapter):
    """Gradient boosting on histograms, which has checks of its own that matter.

    Between its loops in C it holds the GIL for so long that threads gain nothing.
    """

    reads_only: ClassVar[bool] = True


register_adapter(HistGradientBoostingClassifier)(HistogramAdapter)
for _kind in (RandomForestClassifier, ExtraTreesClassifier):
    register_adapter(_kind)(ForestAdapter)
for _kind in (DecisionTreeClassifier, ExtraTreeClassifier):
    register_adapter(_kind)(TreeAdapter)

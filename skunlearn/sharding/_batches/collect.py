"""Batches are checked, one against the other, and their rows put where they belong."""

import warnings
from typing import Any

import numpy as np
from scipy import sparse

from skunlearn._data.casting import trim_text
from skunlearn._data.containers import is_frame, list_values
from skunlearn._data.rows import Batch
from skunlearn.sharding._batches.spill import Spill, SpilledRows
from skunlearn.sharding._fit import make_checked_recipe, make_spec
from skunlearn.sharding._partition.base import RowTraits
from skunlearn.sharding._partition.incoming import IncomingRows
from skunlearn.sharding._partition.layout import Layout
from skunlearn.sharding._training.recipe import Recipe
from skunlearn.sharding._validation import check_batch, check_incoming, name_form

__all__ = ["Collector"]


class Collector:
    """Takes batches one after the other, and keeps little of them in memory.

    What is kept of each row is its label, the hash of its identity and the number of
    its part.

    Parameters
    ----------
    classifier : classifier
        What is to be fitted. What is seen of the features is noted on it.
    estimator : classifier or one-class model
        Its base.
    key : int
        Key of all hashes, 64 bits.
    spill : Spill
        Takes the rows.

    Attributes
    ----------
    recipe : Recipe
        How constituents are made, known from the first batch on.
    layout : Layout
        Where rows belong, known from the first batch on.
    n_rows : int
        Rows so far.
    """

    recipe: Recipe
    layout: Layout

    def __init__(self, classifier: Any, estimator: Any, key: int, spill: Spill) -> None:
        self._classifier = classifier
        self._estimator = estimator
        self._key = key
        self._spill = spill
        self._has_groups = False
        self._kinds: frozenset[str] = frozenset()
        self._labels = _Growing()
        self._hashes = _Growing()
        self._parts = _Growing()
        self._classes: dict[Any, int] = {}  # in the order of their coming
        self.n_rows = 0

    def add(self, X: Any, y: Any, groups: Any) -> None:
        """Take a batch; one without rows is passed over."""
        if _has_no_rows(X):
            return
        is_first = self.n_rows == 0
        batch = self._check(X, y, is_first)
        if not is_first:
            self._match(batch, groups is not None)
        incoming = check_incoming(batch, self.n_rows, self._key, groups, None)
        if is_first:
            self._begin(batch, incoming)
        parts = self._find_parts(incoming)
        self._spill.add(batch.X, parts)
        self._labels.extend(batch.y)
        self._hashes.extend(incoming.hashes)
        self._parts.extend(parts)
        self._kinds |= incoming.kinds
        self.n_rows += batch.size

    def _check(self, X: Any, y: Any, is_first: bool) -> Batch:
        with warnings.catch_warnings():  # which is of a batch, and not of all rows
            warnings.filterwarnings("ignore", "The number of unique classes")
            batch = check_batch(
                self._classifier, self._estimator, X, y, None, reset=is_first
            )
        _refuse_values(batch.X)
        return batch

    def _begin(self, batch: Batch, incoming: IncomingRows) -> None:
        self._has_groups = incoming.has_groups
        self.recipe = make_checked_recipe(
            self._classifier, self._estimator, self._key, batch, {}
        )
        spec = make_spec(self._classifier, self.recipe)
        self.layout = spec.fix(self._describe(incoming))

    def _match(self, batch: Batch, has_groups: bool) -> None:
        """Refuse a batch that would change what the first one is like.

        Nothing is cast: a fit of all rows at once would cast those before, too.
        """
        held = self._spill.template
        forms = [name_form(X) for X in (batch.X, held)]
        if forms[0] != forms[1]:
            raise ValueError(
                f"X is a {forms[0]}, but the first batch came as {forms[1]}. Give all "
                "batches in the same form."
            )
        for name, new, old in _list_dtypes(batch, held, self._labels.values):
            if new != old:
                raise ValueError(
                    f"{name} is {new} in this batch, but {old} in the first one. Give "
                    "all batches the same columns and dtypes."
                )
        if has_groups != self._has_groups:
            raise ValueError(
                "groups must come with every batch or with none: with the first one "
                f"they {'came' if self._has_groups else 'did not come'}."
            )

    def _find_parts(self, incoming: IncomingRows) -> np.ndarray:
        parts = self.layout.find_parts(self._describe(incoming))
        return parts.astype(np.int32)

    def _describe(self, incoming: IncomingRows) -> RowTraits:
        """Return what decides the first shard of rows, before all classes are known.

        Classes are numbered as they come, since their order is not known. As if each
        was alone, rows stand against no others.
        """
        labels, codes = np.unique(incoming.batch.y, return_inverse=True)
        numbers = [
            self._classes.setdefault(label, len(self._classes))
            for label in labels.tolist()
        ]
        nobody = np.zeros(1, dtype=np.uint64)
        return RowTraits(incoming.hashes, np.array(numbers)[codes], nobody, None)

    def finish(self) -> IncomingRows:
        """Return all rows."""
        if not self.n_rows:
            raise ValueError(
                "the batches have no rows: got none, or empty ones only. Note that an "
                "iterator can be used only once."
            )
        self._spill.flush()
        X = SpilledRows(self._spill, self._parts.values)
        batch = Batch(X, trim_text(self._labels.values), None)
        hashes = self._hashes.values
        return IncomingRows(batch, hashes, self._has_groups, self._kinds)


class _Growing:
    """An array to which values are added at the end.

    Arrays of all batches, joined at last, would leave holes in the memory that the
    process has.
    """

    def __init__(self) -> None:
        self._held = np.empty(0)
        self._n = 0

    @property
    def values(self) -> np.ndarray:
        """Return the values so far."""
        return self._held[: self._n]

    def extend(self, values: np.ndarray) -> None:
        """Add copies of some values; text may be longer than that before."""
        n, dtype = self._n + len(values), values.dtype
        if self._n and dtype != self._held.dtype:  # it would be of native byte order
            dtype = np.promote_types(dtype, self._held.dtype)
        if n > len(self._held) or dtype != self._held.dtype:
            larger = np.empty(max(n, 2 * self._n), dtype=dtype)
            larger[: self._n] = self.values
            self._held = larger
        self._held[self._n : n] = values
        self._n = n


def _has_no_rows(X: Any) -> bool:
    shape = getattr(X, "shape", None)
    if shape is None:
        return isinstance(X, (list, tuple)) and not X
    return len(shape) > 0 and shape[0] == 0


def _refuse_values(X: Any) -> None:
    """Refuse rows that cannot be told apart from those of other batches' values."""
    if is_frame(X):
        listed = list_values(X)
        if listed:
            names = [X.columns[at] if isinstance(at, int) else at for at in listed]
            raise ValueError(
                f"columns with a list of categories, such as {names[0]!r}, are not "
                "taken in batches, since each batch may declare others. Cast them to "
                "text or numbers, or call fit on all rows."
            )
    elif not sparse.issparse(X) and X.dtype.kind not in "biufc":
        raise ValueError(
            f"batches are arrays or sparse matrices of numbers, or data frames; got an "
            f"array of dtype {X.dtype}. Make data frames of them, or call fit on all "
            "rows."
        )


def _list_dtypes(batch: Batch, held: Any, labels: np.ndarray) -> list[tuple[Any, ...]]:
    """Return the name, and both dtypes, of all that must not change."""
    X, y = batch.X, batch.y
    pairs: list[tuple[Any, ...]] = []
    if is_frame(X):
        pairs.append(("the list of columns", list(X.columns), list(held.columns)))
        dtypes = zip(X.columns, X.dtypes, held.dtypes, strict=False)
        pairs += [(f"the dtype of column {name!r}", *both) for name, *both in dtypes]
    else:
        pairs.append(("the dtype of X", X.dtype, held.dtype))
    if sparse.issparse(X):
        pairs.append(("the type of X", type(X).__name__, type(held).__name__))
    kinds = y.dtype.kind, labels.dtype.kind
    if kinds not in (("U", "U"), ("S", "S")):  # text may be longer
        pairs.append(("the dtype of y", y.dtype, labels.dtype))
    return pairs

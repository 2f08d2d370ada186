"""The fits of a classifier whose rows never are in memory together."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Self

from skunlearn._compat import _fit_context, with_callbacks
from skunlearn._data.containers import with_own_values
from skunlearn._data.hashing import draw_key
from skunlearn._data.rows import Rows
from skunlearn.checkpoints._blobs import Blobs
from skunlearn.checkpoints._files import do_all
from skunlearn.checkpoints._transaction import Transaction
from skunlearn.sharding._batches.collect import Collector
from skunlearn.sharding._batches.sources import (
    iterate_batches,
    name_batch,
    read_parquet,
)
from skunlearn.sharding._batches.spill import Spill, SpilledBlock
from skunlearn.sharding._durable import DurableMixin
from skunlearn.sharding._partition.registry import PARTITIONS
from skunlearn.sharding._plans import Plan, carry_out, plan_fit, warn_of_small_shards
from skunlearn.sharding._storage import SavedRows, hold_in_blocks, take_values
from skunlearn.sharding._validation import check_models, check_parameters, check_picks

__all__ = ["BatchFittingMixin"]

_MAX_IN_MEMORY = 1 << 26  # bytes of rows that are written at a time


class BatchFittingMixin(DurableMixin):
    """A classifier that can be fitted to rows that come in batches."""

    partition: str

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=False)
    def fit_batches(
        self, batches: Any, *, target: Any = None, groups: Any = None
    ) -> Self:
        """Fit to rows that come in batches, without holding them all in memory.

        The result is bit for bit that of `fit` on the rows of all batches, in their
        order. Rows go to the `checkpoint_store` as they come and are read back when
        their shard is trained. In memory are one batch, about 50 bytes per row, and the
        shards that are being trained. See the :ref:`user guide <out_of_core>`.

        Parameters
        ----------
        batches : iterable or dask DataFrame
            Batches of rows, read once: tuples ``(X, y)`` or ``(X, y, groups)`` or, with
            `target`, data frames. `X` is an array or sparse matrix of numbers, or a
            data frame without categorical columns, with the same columns and dtypes
            in each batch. Of a dask DataFrame each partition is a batch. Empty batches
            are skipped.
        target : str or object, default=None
            Column of the labels, if batches are data frames that include them.
        groups : str or object, default=None
            Column of the groups, if batches are data frames that include them.

        Returns
        -------
        ShardedUnlearningClassifier
            The fitted classifier.

        Raises
        ------
        UnsupportedEstimatorError
            If `estimator` does not support the parameters.
        ValueError
            If there is no `checkpoint_store`, the partition is "distribution_aware",
            which needs the `forget_proba` of all rows, or a batch is invalid or differs
            from the first one. A note says which batch it was; the classifier is
            unchanged, and no rows are left in the store.

        Examples
        --------
        >>> import tempfile
        >>> import numpy as np
        >>> from sklearn.linear_model import SGDClassifier
        >>> from skunlearn import ShardedUnlearningClassifier
        >>> def read_batches():
        ...     for seed in range(10):
        ...         X = np.random.default_rng(seed).normal(size=(1000, 5))
        ...         yield X, X[:, 0] > 0
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     classifier = ShardedUnlearningClassifier(
        ...         SGDClassifier(random_state=0),
        ...         checkpoint_store=f"{folder}/store",
        ...         random_state=0,
        ...     ).fit_batches(read_batches())
        ...     classifier.forget(7777).retained_indices_.size
        9999
        """
        self._fit_batches("fit_batches", iterate_batches(batches, target, groups))
        return self

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=False)
    def fit_parquet(self, path: Any, *, target: Any, groups: Any = None) -> Self:
        """Fit to the rows of parquet files, without holding them all in memory.

        The result is bit for bit that of `fit` on the pandas DataFrame of all rows. It
        is `fit_batches` on parts of row groups of the files, one after the other.

        Parameters
        ----------
        path : str, PathLike or sequence of them
            Files, or folders of files with the extension ``.parquet``, which are read
            in the order of their names. That is the order of positions.
        target : str
            Column of the labels.
        groups : str, default=None
            Column of the groups.

        Returns
        -------
        ShardedUnlearningClassifier
            The fitted classifier.

        Raises
        ------
        ImportError
            If pyarrow or pandas is not installed.
        ValueError
            As `fit_batches`, and if files differ in columns or types, or folders stand
            for values of a column (``name=value``).

        Examples
        --------
        >>> import tempfile
        >>> from sklearn.datasets import load_iris
        >>> from skunlearn import ShardedUnlearningClassifier
        >>> rows = load_iris(as_frame=True).frame
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     rows.to_parquet(f"{folder}/iris.parquet", row_group_size=50)
        ...     classifier = ShardedUnlearningClassifier(
        ...         n_shards=2, checkpoint_store=f"{folder}/store", random_state=0
        ...     ).fit_parquet(f"{folder}/iris.parquet", target="target")
        ...     classifier.forget(7).retained_indices_.size
        149
        """
        batches = iterate_batches(read_parquet(path), target, groups)
        self._fit_batches("fit_parquet", batches)
        return self

    def _fit_batches(
        self, method: str, batches: Iterator[tuple[int, tuple[Any, ...]]]
    ) -> None:
        if self.checkpoint_store is None:
            raise ValueError(
                f"{method} keeps rows in a store: give the classifier a directory as "
                "checkpoint_store, or call fit on rows that are in memory."
            )
        with self._lock.take(method), Transaction(method, self) as change:
            self._stage_batches(change, method, batches)
            change.commit()

    def _stage_batches(
        self,
        change: Transaction,
        method: str,
        batches: Iterator[tuple[int, tuple[Any, ...]]],
    ) -> None:
        fitted = self._as_it_is()  # validation notes features on it
        stored = self._begin_store(change)
        assert stored is not None
        blobs = stored.session.blobs
        is_encrypted = blobs.keys is not None
        with Spill(blobs.folder.path, encrypt=is_encrypted) as spill:
            plan = _prepare(fitted, self._get_estimator(), method, batches, spill)
            rows, written = _move_to_store(blobs, plan.state.rows)
        plan = replace(plan, state=replace(plan.state, rows=rows))
        trained = carry_out(self, plan, method).state
        check_models(trained)
        attributes = fitted._get_fit_attributes()
        self._stage_fitted(change, stored, trained, attributes, written)


def _prepare(
    classifier: Any,
    estimator: Any,
    method: str,
    batches: Iterator[tuple[int, tuple[Any, ...]]],
    spill: Spill,
) -> Plan:
    """Check parameters and batches, and plan to learn the rows from scratch."""
    check_parameters(
        estimator,
        partition=classifier.partition,
        n_shards=classifier.n_shards,
        n_replicas=classifier.n_replicas,
    )
    if PARTITIONS[classifier.partition].needs_forget_proba:
        raise ValueError(
            f"partition={classifier.partition!r} needs the forget_proba of all rows "
            f"before any is assigned, which {method} does not have. Use "
            "partition='uniform', or call fit on rows that are in memory."
        )
    key = draw_key(classifier.random_state)
    collector = Collector(classifier, estimator, key, spill)
    for number, batch in batches:
        try:
            collector.add(*batch)
        except Exception as error:
            name_batch(error, number)
            raise
    incoming = collector.finish()
    check_picks(collector.recipe.selection, collector.n_rows)
    plan = plan_fit(collector.recipe, collector.layout, incoming)
    warn_of_small_shards(plan)
    return plan


def _move_to_store(blobs: Blobs, rows: Rows) -> tuple[Rows, tuple[SavedRows, ...]]:
    """Write each part to the store, and remove it from the spill."""
    X, saved = rows.data.X, list[SavedRows]()
    for group in _group(X.blocks):
        saved += do_all([partial(_move, blobs, rows, block) for block in group])
    if blobs.keys is not None:
        blobs.keys.save()  # workers of a cluster read them
    data = replace(rows.data, X=hold_in_blocks(blobs, saved, X))
    return replace(rows, data=data), tuple(saved)


def _group(blocks: tuple[SpilledBlock, ...]) -> Iterator[list[SpilledBlock]]:
    """Yield as many blocks at a time as may be in memory, but one at least."""
    group: list[SpilledBlock] = []
    n_bytes = 0
    for block in blocks:
        size = block.spill.sizes[block.part]
        if group and n_bytes + size > _MAX_IN_MEMORY:
            yield group
            group, n_bytes = [], 0
        group.append(block)
        n_bytes += size
    yield group


def _move(blobs: Blobs, rows: Rows, block: SpilledBlock) -> SavedRows:
    slots = block.slots
    features = blobs.write(with_own_values(block.load()))
    values = blobs.write(take_values(rows.data, slots))
    block.spill.remove(block.part)
    return SavedRows(block.start, block.start + len(slots), slots, features, values)

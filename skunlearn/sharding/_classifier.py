"""The public classifier of exact unlearning."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.base import is_classifier, is_outlier_detector
from sklearn.utils.metadata_routing import MetadataRouter

from skunlearn._compat import _fit_context, with_callbacks
from skunlearn._estimators.capabilities import copy_tags
from skunlearn._estimators.fit_params import make_router
from skunlearn.checkpoints._transaction import Transaction
from skunlearn.sharding._batches.fitting import BatchFittingMixin
from skunlearn.sharding._fit import prepare_addition, prepare_fit
from skunlearn.sharding._partition.registry import find_partitions
from skunlearn.sharding._plans import carry_out
from skunlearn.sharding._selection.representative import RepresentativeSelection
from skunlearn.sharding._validation import PARAMETER_CONSTRAINTS, check_models

__all__ = ["ShardedUnlearningClassifier"]


class ShardedUnlearningClassifier(BatchFittingMixin):
    """Exact unlearning for any classifier by sharded training.

    Rows are partitioned into shards, a clone of `estimator`, called *constituent*, is
    trained on each shard, and the constituents vote (SISA [1]_; by class, ARCANE
    [2]_). To forget a row, only its shard is retrained, from the last checkpoint before
    the row was used. The result is bit for bit the classifier that a fit on the
    retained rows gives, with the same `random_state` and row positions. See the
    :ref:`user guide <exact_unlearning>`.

    Parameters
    ----------
    estimator : classifier, default=None
        The classifier to wrap. Clones of it are fitted to the shards. If None,
        ``LogisticRegression()``. With ``partition="class"`` it may be a one-class
        model.
    n_shards : int, default=8
        Number of shards; with ``partition="class"``, per class. Larger values make
        forgetting cheaper and each constituent less accurate.
    n_slices : int, default=1
        Number of slices per shard, with a checkpoint after each. Values above 1
        require an estimator that can resume training: one with ``partial_fit``, an
        ensemble that can grow (forests, bagging, gradient boosting),
        ``LogisticRegression``, or a Gaussian mixture.
    slice_sizes : sequence of float, default=None
        Proportion of the rows in each slice, such as ``(0.9, 0.1)``, instead of
        `n_slices` equal ones. They sum to 1. With `forget_proba`, a small last slice
        holds the rows that are most likely to be forgotten.
    partition : {"uniform", "class", "distribution_aware"}, default="uniform"
        How rows are assigned to shards.

        - "uniform": by a keyed hash of their identity (SISA).
        - "class": each class has `n_shards` constituents of its own, which score it
          (ARCANE). `estimator` is a one-class model, i.e. one with ``score_samples``
          such as :class:`~sklearn.mixture.GaussianMixture`, or a classifier that
          separates the class from others.
        - "distribution_aware": in ascending order of `forget_proba`, so that a shard
          expects at most one request (SISA, Section VIII). `n_shards` is not used.
    n_replicas : int, default=1
        Number of shards that each row joins. Larger values make constituents more
        accurate and forgetting more expensive.
    n_negatives : int, default=1
        Number of other classes for which each row is a negative sample, chosen by
        hash. Only used when ``partition="class"`` and `estimator` is a classifier.
    selection : float or RepresentativeSelection, default=None
        Proportion of representative rows to train on, within each class, shard and
        slice (ARCANE). Rows that are not selected are forgotten without training. A
        float is equivalent to ``RepresentativeSelection(selection)``. If None, all
        rows are used.
    slice_training : {"cumulative", "sequential"}, default="cumulative"
        Rows used for training at slice j: those of slices 1 to j ("cumulative"), or
        those of slice j only ("sequential").
    n_epochs : int, default=1
        Number of passes of ``partial_fit`` over each shard. Cumulative slices share
        them in proportion to their sizes, with at least one per slice.
    voting : {"soft", "hard"}, default="soft"
        If "soft", average the class probabilities, or the decision values if
        `estimator` has no ``predict_proba``. If "hard", use the majority of the
        predicted labels; ties are resolved by the higher average.
    checkpoint_store : str, PathLike or checkpoints.DirectoryStore, default=None
        New directory in which the retained rows and all training states are kept, so
        that they and every acknowledged request survive the process; `open` reads it,
        and `fit_batches` needs it. If None, they are kept in memory.
    n_jobs : int, default=None
        Number of jobs that train shards, and of threads that predict. Jobs are threads
        if the training of `estimator` is known to release Python's global lock, and
        processes otherwise. The result does not depend on it. None means 1 unless in a
        :obj:`joblib.parallel_config` context, which may name a :ref:`cluster
        <clusters>`.
    random_state : int, RandomState instance or None, default=None
        Controls the assignment of rows to shards and the randomness of the
        constituents. Pass an int for reproducible output across multiple calls of
        `fit`.
    verbose : int or bool, default=0
        If true, print a line for each shard that is trained.

    Attributes
    ----------
    estimators_ : list
        The constituents, in order of shards. None if a shard has no rows or, after a
        deferred forget, no checkpoint from before the forgotten rows were used.
    classes_ : ndarray of shape (n_classes,)
        Classes of the retained rows.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`. Defined only when `X` has feature names
        that are all strings.
    feature_importances_ : ndarray of shape (`n_features_in_`,)
        Mean of the constituents' importances. Defined only where they have them.
    forget_records_ : list of ForgetRecord
        One record per call of `forget` or `retrain`.
    forgotten_indices_ : ndarray of shape (n_forgotten,)
        Positions of the forgotten rows, in ascending order.
    retained_indices_ : ndarray of shape (n_retained,)
        Positions of the retained rows, in ascending order.
    n_pending_ : int
        Number of forgotten positions whose shards `retrain` has yet to train.

    See Also
    --------
    sklearn.ensemble.BaggingClassifier : Vote of clones of one classifier fitted to
        random samples of the rows, without unlearning.
    InfluenceUnlearningClassifier : Approximate unlearning for linear classifiers.

    Notes
    -----
    The classifier stores the retained rows, on which it must be able to train, and so
    does its pickle. `forget` overwrites the values of forgotten rows.

    Forgetting k rows retrains at most ``k * n_replicas`` constituents, or
    ``1 + n_negatives`` times as many if `estimator` is a classifier and
    ``partition="class"``. When the last row of a class is forgotten, constituents that
    were trained with this class are retrained. For the expected cost, see
    :func:`skunlearn.costs.expected_retrained_samples`.

    Of the parameters, `voting`, `n_jobs` and `verbose` may be changed with `set_params`
    after `fit`. All others take effect at `fit`, and `forget` warns if they were set
    since.

    If a shard has too few rows, `n_neighbors` or `n_components` is reduced to the
    number of rows. A shard with a single class becomes a constant predictor. If a
    one-class model cannot be fitted to its rows, a Gaussian with unit covariance
    around their mean replaces it, with a warning unless there is a single row.

    References
    ----------
    .. [1] L. Bourtoule et al., "Machine Unlearning", IEEE Symposium on Security and
       Privacy, 2021. :arxiv:`1912.03817`
    .. [2] H. Yan et al., "ARCANE: An Efficient Architecture for Exact Machine
       Unlearning", IJCAI, 2022. :doi:`10.24963/ijcai.2022/556`

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skunlearn import ShardedUnlearningClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> classifier = ShardedUnlearningClassifier(
    ...     make_pipeline(StandardScaler(), LogisticRegression()), random_state=0
    ... )
    >>> classifier.fit(X, y).score(X, y) > 0.95
    True
    >>> classifier.forget([7, 42]).score(X, y) > 0.95
    True
    >>> classifier.forgotten_indices_
    array([ 7, 42])
    """

    # Metadata that is wanted without a call of set_fit_request and the like.
    __metadata_request__fit = {"sample_weight": True, "groups": True}
    __metadata_request__partial_fit = {"sample_weight": True, "groups": True}
    __metadata_request__score = {"sample_weight": True}

    _effective_later = frozenset({"voting", "n_jobs", "verbose"})
    _parameter_constraints = PARAMETER_CONSTRAINTS

    def __init__(
        self,
        estimator: Any = None,
        *,
        n_shards: int = 8,
        n_slices: int = 1,
        slice_sizes: Any = None,
        partition: str = "uniform",
        n_replicas: int = 1,
        n_negatives: int = 1,
        selection: float | RepresentativeSelection | None = None,
        slice_training: str = "cumulative",
        n_epochs: int = 1,
        voting: str = "soft",
        checkpoint_store: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int | bool = 0,
    ) -> None:
        self.estimator = estimator
        self.n_shards = n_shards
        self.n_slices = n_slices
        self.slice_sizes = slice_sizes
        self.partition = partition
        self.n_replicas = n_replicas
        self.n_negatives = n_negatives
        self.selection = selection
        self.slice_training = slice_training
        self.n_epochs = n_epochs
        self.voting = voting
        self.checkpoint_store = checkpoint_store
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        forget_proba: Any = None,
        **fit_params: Any,
    ) -> Self:
        """Fit a constituent to each shard, replacing any earlier fit.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Training rows. Their positions are the indices that `forget` takes.
        y : array-like of shape (n_samples,)
            Target labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights. Rows with zero weight are ignored and not assigned to a
            shard.
        groups : array-like of shape (n_samples,), default=None
            Group of each row, for example the data subject: integers, strings, bytes,
            floats, dates, times or UUIDs. Rows of a group share their shards and slice
            and can be forgotten together. Only keyed hashes of the ids are stored.
        forget_proba : array-like of shape (n_samples,), default=None
            Probability in [0, 1] of each row to be forgotten. Within a shard, rows are
            ordered by it, since the last slice is the cheapest to retrain. The
            probability of a group is the maximum over its rows.
        **fit_params : dict
            Keywords for the fit of the estimator, as it requests them where metadata
            routing is enabled. Arrays with one value per row are divided among the
            shards and forgotten with their rows. All others are passed on as they
            are: rows in them, such as an `eval_set`, cannot be forgotten.

        Returns
        -------
        ShardedUnlearningClassifier
            The fitted classifier.

        Raises
        ------
        UnsupportedEstimatorError
            If `estimator` does not support the parameters.
        ValueError
            If an argument or parameter is invalid.
        """
        with self._lock.take("fit"), Transaction("fit", self) as change:
            named = X, y, sample_weight, groups, forget_proba
            self._stage_fit(change, *named, **fit_params)
            change.commit()
        return self

    def _stage_fit(self, change: Transaction, *data: Any, **fit_params: Any) -> None:
        fitted = self._as_it_is()  # validation notes features on it
        stored = self._begin_store(change)
        plan = prepare_fit(fitted, self._get_estimator(), *data, **fit_params)
        plan, written = self._store_rows(stored, plan)
        trained = carry_out(self, plan, "fit").state
        check_models(trained)
        attributes = fitted._get_fit_attributes()
        self._stage_fitted(change, stored, trained, attributes, written)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: Any = None,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        forget_proba: Any = None,
    ) -> Self:
        """Add rows, as a new last slice of the shards to which they are assigned.

        Their positions continue those of earlier rows. If the estimator cannot resume
        training, the shards are retrained on all of their rows. The first call is
        equivalent to `fit`.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            New training rows.
        y : array-like of shape (n_samples,)
            Target labels, which may include new classes.
        classes : array-like of shape (n_classes,), default=None
            Labels that may occur. Not required; if given, `y` is checked against it.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights. Required if, and only if, earlier rows had weights.
        groups : array-like of shape (n_samples,), default=None
            Group of each row. Required if, and only if, earlier rows had groups.
        forget_proba : array-like of shape (n_samples,), default=None
            Probability of each row to be forgotten, as for `fit`. A group that has
            rows already keeps its probability.

        Returns
        -------
        ShardedUnlearningClassifier
            The classifier itself.

        Raises
        ------
        ValueError
            If the new rows do not match the earlier ones. The classifier is then
            unchanged.
        """
        with self._lock.take("partial_fit"):
            self._begin_change()
            with Transaction("partial_fit", self) as change:
                is_told = classes is not None and y is not None
                if is_told and not np.isin(y, classes).all():
                    raise ValueError(
                        "y has labels that are not in `classes`. Add them to "
                        "`classes`, or leave `classes` out: it is not required."
                    )
                stage: Callable[..., None] = self._stage_fit
                if self.__sklearn_is_fitted__():
                    stage = self._stage_addition
                stage(change, X, y, sample_weight, groups, forget_proba)
                change.commit()
        return self

    def _stage_addition(self, change: Transaction, *data: Any) -> None:
        self._warn_of_unused_params()
        plan = prepare_addition(self, self._get_estimator(), *data)
        grown = carry_out(self, plan, "partial_fit").state
        span = [self._rows.n_positions, grown.rows.n_positions - 1]
        self._stage_state(change, grown, type="partial_fit", positions=[span])

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the routing of metadata: what is wanted here, and by the estimator.

        Returns
        -------
        MetadataRouter
            The routing information.
        """
        return make_router(self, self._get_estimator())

    def __sklearn_tags__(self) -> Any:
        """Return the tags, most of them those of the wrapped estimator."""
        estimator = self._get_estimator()
        tags = copy_tags(super().__sklearn_tags__(), estimator)
        if is_classifier(estimator):
            by_class = self.partition in find_partitions("is_by_class")
            tags.classifier_tags.multi_class |= by_class
        elif is_outlier_detector(estimator):  # scores of classes do not compare
            tags.classifier_tags.poor_score = True
        return tags

"""The public classifier of exact unlearning."""

import time
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.base import is_outlier_detector
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_random_state, get_tags

from skunlearn._base import BaseUnlearningClassifier, all_or_nothing
from skunlearn._compat import (
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
    with_callbacks,
)
from skunlearn._data.identities import GroupIndex
from skunlearn._data.rows import Rows
from skunlearn._estimators.capabilities import allows_nan
from skunlearn._records import ForgetRecord, Request
from skunlearn._runtime.progress import Progress
from skunlearn.sharding._partition.distribution_aware import DistributionAware
from skunlearn.sharding._partition.registry import PartitionSpec
from skunlearn.sharding._plans import (
    Plan,
    complete,
    plan_addition,
    plan_fit,
    plan_removal,
    plan_retraining,
)
from skunlearn.sharding._prediction import VotingMixin
from skunlearn.sharding._selection.representative import RepresentativeSelection
from skunlearn.sharding._state import State
from skunlearn.sharding._training.recipe import check_weights, make_recipe
from skunlearn.sharding._validation import (
    check_batch,
    check_for_rows,
    check_incoming,
    check_models,
    check_parameters,
    check_probabilities,
    match_batch,
)

__all__ = ["ShardedUnlearningClassifier"]


class ShardedUnlearningClassifier(VotingMixin, BaseUnlearningClassifier):
    """Exact unlearning for any classifier, by training it in isolated shards.

    Rows are spread over shards and a clone of `estimator`, a *constituent*, is trained
    on each; the constituents vote (SISA [1]_, and by class ARCANE [2]_). To forget a
    row only its shard is trained again, from the last checkpoint that never saw it. The
    result is, bit for bit, the classifier that a fit on the retained rows alone gives
    with the same `random_state` and the same places of the rows. See the :ref:`user
    guide <exact_unlearning>`.

    Parameters
    ----------
    estimator : classifier, default=None
        The classifier to wrap; clones of it are fitted. None stands for
        ``LogisticRegression()``. With ``partition="class"`` it may be a one-class
        model.
    n_shards : int, default=8
        Number of isolated parts; with ``partition="class"``, of each class. More of
        them make forgetting cheaper and each constituent weaker.
    n_slices : int, default=1
        Number of checkpoints of each shard. More than one needs an estimator that can
        go on training: with ``partial_fit``, ``LogisticRegression``, or a mixture.
    partition : {"uniform", "class", "distribution_aware"}, default="uniform"
        How rows are spread over shards.

        - "uniform": by a keyed hash of their identity (SISA).
        - "class": every class has constituents of its own, `n_shards` of them, which
          score it (ARCANE). `estimator` is a one-class model, anything with
          ``score_samples`` such as :class:`~sklearn.mixture.GaussianMixture`, or a
          classifier that learns the class against others.
        - "distribution_aware": by `forget_proba`, ascending, each shard up to one
          expected request (SISA, section VIII); `n_shards` is not used.
    n_replicas : int, default=1
        Number of shards that each row joins. More make constituents stronger and
        forgetting dearer.
    n_negatives : int, default=1
        With ``partition="class"`` and a classifier, the number of other classes that
        each row stands against, chosen by hash.
    selection : float or RepresentativeSelection, default=None
        Which rows to train on: the share of representative ones among those of each
        class in each shard and slice (ARCANE). To forget a row that was not picked
        costs no training. A float is short for ``RepresentativeSelection(selection)``.
        None is all rows.
    slice_training : {"cumulative", "sequential"}, default="cumulative"
        What is trained on at slice j: slices 1 to j, or slice j alone.
    n_epochs : int, default=1
        Passes of ``partial_fit`` over each shard. With cumulative slices each slice
        gets its share of them, at least one.
    voting : {"soft", "hard"}, default="soft"
        "soft": the mean of probabilities, or of decision values where `estimator` has
        no probabilities. "hard": the majority of what constituents predict; ties go to
        the higher mean.
    n_jobs : int, default=None
        Number of jobs that train shards, and of threads that predict. The result does
        not depend on it. None is 1 unless in a :obj:`joblib.parallel_config` context.
    random_state : int, RandomState instance or None, default=None
        Determines where rows belong and all randomness of the constituents. None
        draws it once, at fit.
    verbose : int or bool, default=0
        Whether to print a line for each shard that is trained.

    Attributes
    ----------
    estimators_ : list
        The constituents, in order of shards. None where a shard has no rows or, after
        a deferred forget, nothing that it may answer from.
    classes_ : ndarray of shape (n_classes,)
        Classes of the retained rows.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of features seen in `fit`, if all are strings.
    forget_records_ : list of ForgetRecord
        One receipt for each call of `forget` and `retrain`.
    forgotten_indices_ : ndarray
        Positions that were forgotten.
    retained_indices_ : ndarray
        Positions that are retained.
    n_pending_ : int
        Forgotten positions whose shards are still to be trained by `retrain`.

    See Also
    --------
    sklearn.ensemble.BaggingClassifier : Votes of one classifier trained on many
        samples, without forgetting.

    Notes
    -----
    The object keeps the retained rows, since it must be able to train on them: so does
    its pickle. The values of a forgotten row are overwritten at once.

    Forgetting k rows trains at most k * `n_replicas` constituents, or (1 +
    `n_negatives`) times as many where classes stand against others. If a class
    disappears that others were told of, or stood against, they are trained again. The
    mean cost is told by :func:`skunlearn.costs.expected_retrained_samples`.

    A constituent makes do with its rows: neighbours and mixture components are no more
    than there are rows, and a shard of one class is a constant. Where rows are too few
    for a one-class model, a spherical Gaussian of variance 1 around their mean stands
    in for it; except for a single row, a warning says so.

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

    _parameter_constraints: dict[str, list[Any]] = {
        "estimator": [HasMethods(["fit"]), None],
        "n_shards": [Interval(Integral, 1, None, closed="left")],
        "n_slices": [Interval(Integral, 1, None, closed="left")],
        "partition": [StrOptions({"uniform", "class", "distribution_aware"})],
        "n_replicas": [Interval(Integral, 1, None, closed="left")],
        "n_negatives": [Interval(Integral, 1, None, closed="left")],
        "selection": [
            None,
            Interval(Real, 0, 1, closed="right"),
            RepresentativeSelection,
        ],
        "slice_training": [StrOptions({"cumulative", "sequential"})],
        "n_epochs": [Interval(Integral, 1, None, closed="left")],
        "voting": [StrOptions({"soft", "hard"})],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        n_shards: int = 8,
        n_slices: int = 1,
        partition: str = "uniform",
        n_replicas: int = 1,
        n_negatives: int = 1,
        selection: float | RepresentativeSelection | None = None,
        slice_training: str = "cumulative",
        n_epochs: int = 1,
        voting: str = "soft",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int | bool = 0,
    ) -> None:
        self.estimator = estimator
        self.n_shards = n_shards
        self.n_slices = n_slices
        self.partition = partition
        self.n_replicas = n_replicas
        self.n_negatives = n_negatives
        self.selection = selection
        self.slice_training = slice_training
        self.n_epochs = n_epochs
        self.voting = voting
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
    ) -> Self:
        """Train a constituent on each shard; what was fitted before is dropped.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            The rows. Their places are the positions that `forget` takes.
        y : array-like of shape (n_samples,)
            Their labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights. A row of weight 0 is not learnt, and not in any shard.
        groups : array-like of shape (n_samples,), default=None
            The data subject of each row: integers, strings, bytes, floats, dates, times
            or UUIDs. Rows of one group share their shards and slice and can be
            forgotten together. Only keyed hashes of the ids are kept.
        forget_proba : array-like of shape (n_samples,), default=None
            How likely each row is to be forgotten, in [0, 1]. Inside a shard the most
            likely come last; with several slices, that is where forgetting is cheap.
            Rows of a group count as the likeliest of them.

        Returns
        -------
        ShardedUnlearningClassifier
            The fitted classifier.

        Raises
        ------
        UnsupportedEstimatorError
            If `estimator` cannot do what the parameters ask for.
        """
        with all_or_nothing(self, "fit"):
            estimator = self._get_estimator()
            check_parameters(
                estimator,
                partition=self.partition,
                n_shards=self.n_shards,
                n_replicas=self.n_replicas,
            )
            if self.partition == "distribution_aware":
                check_probabilities(forget_proba)
            batch = check_batch(self, estimator, X, y, sample_weight, reset=True)
            root_seed = self._draw_root_seed()
            recipe = make_recipe(
                estimator,
                root_seed=root_seed,
                n_slices=self.n_slices,
                cumulative=self.slice_training == "cumulative",
                n_epochs=self.n_epochs,
                by_class=self.partition == "class",
                selection=check_for_rows(self.selection, batch),
            )
            if sample_weight is not None:
                check_weights(recipe, estimator)
            incoming = check_incoming(batch, 0, root_seed, groups, forget_proba)
            settings = PartitionSpec(
                root_seed,
                self.partition,
                self.n_shards,
                self.n_slices,
                self.n_replicas,
                self.n_negatives if recipe.policy.role.has_negatives else 0,
            )
            state, _ = self._train(plan_fit(recipe, settings, incoming), "fit")
            check_models(state)
            self._state = state
        return self

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
        """Learn new rows: a new last slice in each shard that they fall in.

        Their positions count on from those of the rows before. A shard whose estimator
        cannot go on training is trained anew on all its rows. The first call is a
        `fit`.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            The new rows.
        y : array-like of shape (n_samples,)
            Their labels; new classes may be among them.
        classes : array-like of shape (n_classes,), default=None
            Labels that may occur. Not needed, but checked if it is given.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights; due exactly if the rows before had weights.
        groups : array-like of shape (n_samples,), default=None
            Their groups; due exactly if the rows before had groups.
        forget_proba : array-like of shape (n_samples,), default=None
            How likely each is to be forgotten. A group that has rows already keeps
            the probability that it came with.

        Returns
        -------
        ShardedUnlearningClassifier
            The classifier with the new rows learnt.

        Raises
        ------
        ValueError
            If the new rows do not go with those before; then nothing has changed.
        """
        with all_or_nothing(self, "partial_fit"):
            is_told = classes is not None and y is not None
            if is_told and not np.isin(y, classes).all():
                raise ValueError("y holds labels that are not among `classes`.")
        if not self.__sklearn_is_fitted__():
            return self.fit(
                X, y, sample_weight, groups=groups, forget_proba=forget_proba
            )
        with self._state.turnstile.lock, all_or_nothing(self, "partial_fit"):
            state = self._state
            estimator = self._get_estimator()
            batch = check_batch(self, estimator, X, y, sample_weight, reset=False)
            if isinstance(state.layout.partition, DistributionAware):
                check_probabilities(forget_proba)
            batch = match_batch(state, batch, has_groups=groups is not None)
            if sample_weight is not None:
                check_weights(state.recipe, estimator)
            incoming = check_incoming(
                batch, state.rows.n_positions, state.layout.key, groups, forget_proba
            )
            plan = plan_addition(state, incoming)
            self._state, _ = self._train(plan, "partial_fit")
        return self

    @with_callbacks
    def forget(
        self, X_idx: Any = None, *, groups: Any = None, retrain: bool = True
    ) -> Self:
        """Forget rows, as if they had never been there.

        Parameters
        ----------
        X_idx : int, sequence of int, slice or mask of bool, default=None
            Positions in the `X` first given to `fit` (rows of `partial_fit` count on).
            They are never renumbered. Those already forgotten are counted and ignored.
        groups : group id or sequence of group ids, default=None
            Groups whose rows are all to be forgotten.
        retrain : bool, default=True
            Whether to train the touched shards now. If not, each answers from its last
            checkpoint that never saw the rows, or abstains, until `retrain` is called.

        Returns
        -------
        ShardedUnlearningClassifier
            The classifier without the rows.

        Raises
        ------
        ForgetIndexError
            If a position or group does not exist, or nothing is named.
        NothingRetainedError
            If no row would be left.

        Notes
        -----
        Whatever is raised, the classifier is what it was before the call, and a note
        on the error says so. Only Ctrl-C while references are swapped comes after the
        swap, without the note: then the rows are forgotten.
        """
        self._check_is_fitted()
        with self._state.turnstile.lock:
            with all_or_nothing(self, "forget") as start:
                request = self._resolve(X_idx, groups)
                plan = plan_removal(self._state, request.positions)
                if not retrain:
                    plan = replace(plan, touched=())
                state, selection_seconds = self._train(plan, "forget")
                rows, erasure = state.rows.prepare_forget(request.positions)
                record = plan.make_record(request, start, selection_seconds)
                state = replace(state, rows=rows).with_record(record)
            self._replace_state(state, erasure)
        return self

    @with_callbacks
    def retrain(self) -> Self:
        """Train the shards that ``forget(..., retrain=False)`` left for later.

        Returns
        -------
        ShardedUnlearningClassifier
            The classifier with all shards trained.
        """
        self._check_is_fitted()
        with self._state.turnstile.lock, all_or_nothing(self, "retrain") as start:
            plan = plan_retraining(self._state)
            state, selection_seconds = self._train(plan, "retrain")
            record = plan.make_record(Request.nothing(), start, selection_seconds)
            self._state = state.with_record(record)
        return self

    def preview_forget(self, X_idx: Any = None, *, groups: Any = None) -> ForgetRecord:
        """Preview the cost of `forget` without modifying the classifier.

        Parameters
        ----------
        X_idx : int, sequence of int, slice or mask of bool, default=None
            Positions, as for `forget`.
        groups : group id or sequence of group ids, default=None
            Groups, as for `forget`.

        Returns
        -------
        ForgetRecord
            The record that `forget` would make; its `seconds` are those of planning.
        """
        self._check_is_fitted()
        start = time.perf_counter()
        request = self._resolve(X_idx, groups)
        return plan_removal(self._state, request.positions).make_record(request, start)

    def _train(self, plan: Plan, method: str) -> tuple[State, float]:
        """Train what a plan leaves to train, and report on the way."""
        progress = Progress(self, method, len(plan.due))
        start = time.perf_counter()

        def report(shard: int) -> None:
            seconds = time.perf_counter() - start
            n_shards = len(plan.state.shards)
            self._say(f"({method}) trained shard {shard + 1} of {n_shards}", seconds)
            progress.finish_task("shard")

        result = complete(plan, self.n_jobs, report)
        progress.finish()
        return result

    def _get_estimator(self) -> Any:
        return LogisticRegression() if self.estimator is None else self.estimator

    def _get_base(self) -> Any:
        """Return what the constituents are clones of, or will be."""
        if self.__sklearn_is_fitted__():
            return self._state.recipe.prototype
        return self._get_estimator()

    def _draw_root_seed(self) -> int:
        random_state = check_random_state(self.random_state)
        return int(random_state.randint(2**64 - 1, dtype=np.uint64))

    @property
    def _group_index(self) -> tuple[GroupIndex | None, int]:
        return self._state.groups, self._state.layout.key

    @property
    def _rows(self) -> Rows:
        return self._state.rows

    @property
    def classes_(self) -> np.ndarray:
        """Classes of the retained rows, an ndarray of shape (n_classes,)."""
        self._check_is_fitted()
        return self._state.classes[self._state.is_label]

    @property
    def estimators_(self) -> list[Any]:
        """The constituents, in order of shards, None where one has no answer to give.

        That is where a shard has no rows or, after a deferred forget, no checkpoint
        that never saw them.
        """
        self._check_is_fitted()
        return [shard.estimator for shard in self._state.shards]

    @property
    def forget_records_(self) -> list[ForgetRecord]:
        """One receipt for each call of `forget` and `retrain`."""
        self._check_is_fitted()
        return list(self._state.records)

    @property
    def n_pending_(self) -> int:
        """Number of forgotten positions whose shards are still to be trained."""
        self._check_is_fitted()
        return len(self._state.pending)

    def __sklearn_is_fitted__(self) -> bool:
        """Return True if the classifier is fitted."""
        return hasattr(self, "_state")

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn wants to know, mostly from the base."""
        tags = super().__sklearn_tags__()
        estimator = self._get_estimator()
        base = get_tags(estimator)
        tags.input_tags.sparse = base.input_tags.sparse
        tags.input_tags.positive_only = base.input_tags.positive_only
        tags.input_tags.allow_nan = allows_nan(estimator)
        if base.classifier_tags is not None:
            by_class = self.partition == "class"
            can_many = base.classifier_tags.multi_class
            tags.classifier_tags.multi_class = by_class or can_many
            tags.classifier_tags.poor_score = base.classifier_tags.poor_score
        elif is_outlier_detector(estimator):  # scores of classes do not compare
            tags.classifier_tags.poor_score = True
        return tags

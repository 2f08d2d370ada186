"""A grid search that forgets."""

import time
from dataclasses import replace
from functools import partial
from typing import Any, Self

import numpy as np
from joblib import Parallel, delayed

from skunlearn._compat import BaseSearchCV, _fit_context, with_callbacks
from skunlearn._data.rows import Lease
from skunlearn._records import ForgetRecord
from skunlearn._requests import Request, resolve, warn_of_ambiguity
from skunlearn._runtime.progress import Progress
from skunlearn._runtime.threads import commit_gate, hold_all
from skunlearn.checkpoints._transaction import Transaction
from skunlearn.model_selection._fit import FittingSearch
from skunlearn.model_selection._removal import (
    SharedRemoval,
    add_up,
    make_fit_record,
    preview,
)
from skunlearn.model_selection._scores import (
    Score,
    score,
)
from skunlearn.model_selection._state import Fold
from skunlearn.sharding._aggregation.panel import Replies

__all__ = ["UnlearningSearchCV"]

_SEEDS = 0x73656564
_OF_REFIT = ("best_estimator_", "refit_time_", "feature_names_in_")


class UnlearningSearchCV(FittingSearch):
    """Grid search over a ShardedUnlearningClassifier that forgets rows exactly.

    Hyper-parameters that were chosen with a row still depend on it after the
    classifier has forgotten it. This search keeps all candidates fitted on all folds:
    `forget` forgets the rows in each of them, scores them again and chooses again. The
    result is bit for bit that of a search on the retained rows, with the same
    `random_state` and groups. See the :ref:`user guide <searches>`.

    Parameters
    ----------
    estimator : ShardedUnlearningClassifier
        The classifier whose parameters are chosen. If its `random_state` is not an
        integer, all candidates use one seed that is drawn from that of the search.
    param_grid : dict or list of dict
        Parameter names mapped to lists of values to try, as for
        :class:`~sklearn.model_selection.GridSearchCV`. Parameters of the wrapped
        estimator have the prefix ``estimator__``.
    scoring : str, callable, list, tuple or dict, default=None
        How predictions on the left-out fold are scored, as for `GridSearchCV`. If None,
        by accuracy.
    cv : int, default=5
        Number of folds. Rows are assigned to folds by a keyed hash of their identity,
        so that rows of a group stay together, and no row has a say in the fold of
        another one. Splitters are not supported for this reason.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate to all rows; with several scores, the name
        of the one that decides. A callable returns the index of the best candidate
        given ``cv_results_``.
    n_jobs : int, default=None
        Number of jobs that fit candidates, and of threads that forget. The result does
        not depend on it. None means 1 unless in a :obj:`joblib.parallel_config`
        context.
    random_state : int, RandomState instance or None, default=None
        Controls the folds and the randomness of candidates. Pass an int for
        reproducible output across multiple calls of `fit`.
    verbose : int or bool, default=0
        If true, print a line for each candidate and fold that is fitted.

    Attributes
    ----------
    cv_results_ : dict of ndarrays
        Parameters, scores and times, as those of `GridSearchCV`. Folds of which no row
        is retained are left out. After a `forget`, fit times are still those of `fit`.
    best_estimator_ : ShardedUnlearningClassifier
        Classifier with the best parameters, fitted to all retained rows. Forget rows in
        the search, not in this classifier alone, which does not know the group ids.
        Where another candidate becomes the best one, `forget` replaces the classifier,
        and a reference to the former one still holds the forgotten rows. Not available
        if ``refit=False``.
    best_score_ : float
        Mean score of the best candidate.
    best_params_ : dict
        Parameters of the best candidate.
    best_index_ : int
        Index of the best candidate.
    scorer_ : callable or dict
        The scorers.
    n_splits_ : int
        Number of folds that have rows.
    refit_time_ : float
        Seconds that the last fit of the best candidate took.
    multimetric_ : bool
        Whether there are several scores.
    classes_ : ndarray of shape (n_classes,)
        Classes of the retained rows. Only available if `refit` is used.
    n_features_in_ : int
        Number of features seen during `fit`. Only available if `refit` is used.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`. Only available if `refit` is used, and
        defined only when `X` has feature names that are all strings.
    forget_records_ : list of ForgetRecord
        One record per call of `forget`.
    forgotten_indices_ : ndarray of shape (n_forgotten,)
        Positions of the forgotten rows, in ascending order.
    retained_indices_ : ndarray of shape (n_retained,)
        Positions of the retained rows, in ascending order.

    See Also
    --------
    sklearn.model_selection.GridSearchCV : The search without unlearning.
    skunlearn.ShardedUnlearningClassifier : The classifier whose parameters are chosen.

    Notes
    -----
    The rows are stored once. Each candidate and fold stores its constituents, and about
    30 bytes per row on their layout. From the first `forget` on, the search also keeps
    what each constituent says of the left-out rows, so that only those that were
    retrained are asked again.

    As for a single classifier, the sizes of a `selection` are fixed at `fit`.
    ``partition="distribution_aware"`` is not supported, since it needs `forget_proba`.

    Where scoring fails, for example because a fold lacks a class, the score is NaN and
    the candidate is ranked last.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skunlearn import ShardedUnlearningClassifier
    >>> from skunlearn.model_selection import UnlearningSearchCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> search = UnlearningSearchCV(
    ...     ShardedUnlearningClassifier(DecisionTreeClassifier()),
    ...     {"n_shards": [2, 4], "estimator__max_depth": [1, 3]},
    ...     cv=3,
    ...     random_state=0,
    ... )
    >>> search = search.fit(X, y).forget([7, 42])
    >>> search.forgotten_indices_
    array([ 7, 42])
    >>> bool(search.best_score_ > 0.9)
    True
    """

    __metadata_request__fit = {"sample_weight": True, "groups": True}

    _parameter_constraints: dict[str, list[Any]] = {
        **{
            name: BaseSearchCV._parameter_constraints[name]
            for name in ("scoring", "refit", "n_jobs", "verbose")
        },
        "param_grid": [dict, list],
        "random_state": ["random_state"],
    }

    # Of scikit-learn's searches, and not for users to choose.
    error_score = np.nan
    return_train_score = False

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        scoring: Any = None,
        cv: Any = 5,
        refit: Any = True,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int | bool = 0,
    ) -> None:
        self.estimator = estimator
        self.param_grid = param_grid
        self.scoring = scoring
        self.cv = cv
        self.refit = refit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: Any, y: Any = None, *, sample_weight: Any = None, groups: Any = None
    ) -> Self:
        """Fit all candidates without each fold, and the best one to all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Training rows. Their positions are the indices that `forget` takes.
        y : array-like of shape (n_samples,)
            Target labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights, for training. Scores do not use them.
        groups : array-like of shape (n_samples,), default=None
            Group of each row, as for
            :meth:`skunlearn.ShardedUnlearningClassifier.fit`. Rows of
            a group share their fold and can be forgotten together.

        Returns
        -------
        UnlearningSearchCV
            The fitted search.

        Raises
        ------
        UnsupportedEstimatorError
            If `estimator` is no ShardedUnlearningClassifier, or has a
            `checkpoint_store`.
        """
        self._check_parameters()
        with self._lock.take("fit"), Transaction("fit", self) as change:
            state = self._prepare_fit(X, y, sample_weight, groups)
            state, scores = self._fit_candidates(state)
            everyone = np.arange(state.rows.n_positions)
            found = self._choose(state, state.list_folds(everyone), scores)
            found |= dict.fromkeys(_OF_REFIT)
            if self.refit:
                found |= self._fit_best(state, found["best_params_"], everyone)
                state = replace(state, best_positions=everyone)
            change.stage(self, lambda _: state, **found)
            change.commit()
        return self

    @with_callbacks
    def forget(
        self, X_idx: Any = None, *, groups: Any = None, unknown: str = "raise"
    ) -> Self:
        """Forget rows in all candidates and folds, score them again and choose again.

        Parameters
        ----------
        X_idx : int, sequence of int, slice or mask of bool, default=None
            Positions of rows in the `X` passed to `fit`. Rows that are already
            forgotten are counted and ignored.
        groups : group id or sequence of group ids, default=None
            Groups of which all rows are forgotten.
        unknown : {"raise", "ignore"}, default="raise"
            What to do about unknown positions and groups.

        Returns
        -------
        UnlearningSearchCV
            The search itself.

        Raises
        ------
        ForgetIndexError
            If a position or group does not exist, or neither `X_idx` nor `groups` is
            given.
        NothingRetainedError
            If a candidate would have no row left to train on.
        """
        self._check_is_fitted()
        with self._lock.take("forget"):
            best = getattr(self, "best_estimator_", None)  # which users can get at
            locks = [] if best is None else [best._lock]
            action = partial(self._forget_together, X_idx, groups, unknown)
            hold_all(locks, "forget", action)
        return self

    def _list_fitted(self) -> list[Any]:
        """Return all classifiers."""
        best = [self.best_estimator_] if hasattr(self, "best_estimator_") else []
        return [fit.classifier for fit in self._state.fitted] + best

    def _forget_together(self, X_idx: Any, groups: Any, unknown: str) -> None:
        """Forget rows in all classifiers, as a whole or not at all."""
        with Transaction("forget", self, *self._list_fitted()) as change:
            state = self._state
            request = resolve(X_idx, groups, unknown, state.rows, state.groups)
            warn_of_ambiguity(request)
            retained = state.rows.retained.copy()
            retained[request.positions] = False
            removal = SharedRemoval(change, state.rows, request.positions)
            fitted, scores, records = self._forget_in_folds(removal, request, retained)
            found = self._choose(state, state.list_folds(retained), scores)
            if state.best_positions is not None:
                more, positions = self._forget_in_best(
                    removal, request, retained, found, records
                )
                found |= more
                state = replace(state, best_positions=positions)
            state = replace(state, fitted=fitted)
            seconds = time.perf_counter() - change.start
            state = state.with_record(add_up(records, request, seconds))
            change.stage(
                self, lambda e: replace(state, rows=removal.prepare(e)), **found
            )
            change.commit()

    def _forget_in_folds(
        self, removal: SharedRemoval, request: Request, retained: np.ndarray
    ) -> tuple[tuple[Fold, ...], list[Score], list[ForgetRecord]]:
        """Stage the removal in all folds, and score what they will be."""
        state = self._state
        tests = {f: state.take_fold(f, retained) for f in state.list_folds(retained)}
        blocks = state.find_blocks(request.positions)
        scorer, _ = self._get_scorers()

        def forget_in(fit: Fold) -> tuple[Fold, Score | None, ForgetRecord]:
            places = state.find_places(fit.fold, request.positions)
            future, record = removal.stage(fit.classifier, places)
            if fit.fold not in tests:
                return replace(fit, replies={}), None, record
            test = tests[fit.fold]
            known = fit.list_replies(blocks[state.folds[request.positions] == fit.fold])
            replies = Replies(test.rows.X, test.bounds, known)
            scores = score(future, test, scorer, replies)
            return replace(fit, replies=replies.used), scores, record

        parallel = Parallel(n_jobs=self.n_jobs, require="sharedmem")
        progress, results = Progress(self, "forget", len(state.fitted)), []
        for result in parallel(delayed(forget_in)(fit) for fit in state.fitted):
            results.append(result)
            progress.finish_task("candidate")
        progress.finish()
        fitted, scores, records = zip(*results, strict=True)
        return fitted, [each for each in scores if each is not None], list(records)

    def _forget_in_best(
        self,
        removal: SharedRemoval,
        request: Request,
        retained: np.ndarray,
        found: dict[str, Any],
        records: list[ForgetRecord],
    ) -> tuple[dict[str, Any], np.ndarray]:
        """Stage the removal in the best estimator, or fit another one."""
        positions = self._state.best_positions
        assert positions is not None
        if found["best_index_"] == self.best_index_:
            places = np.searchsorted(positions, request.positions)
            _, record = removal.stage(self.best_estimator_, places)
            records.append(record)
            return {}, positions
        positions = np.flatnonzero(retained)
        more = self._fit_best(self._state, found["best_params_"], positions)
        removal.stage(more["best_estimator_"], positions[:0])
        records.append(make_fit_record(more["best_estimator_"]))
        return more, positions

    def preview_forget(
        self, X_idx: Any = None, *, groups: Any = None, unknown: str = "raise"
    ) -> ForgetRecord:
        """Preview the cost of `forget` without modifying the search.

        Parameters
        ----------
        X_idx : int, sequence of int, slice or mask of bool, default=None
            Positions, as for `forget`.
        groups : group id or sequence of group ids, default=None
            Groups, as for `forget`.
        unknown : {"raise", "ignore"}, default="raise"
            What to do about unknown positions and groups, as for `forget`.

        Returns
        -------
        ForgetRecord
            The record that `forget` would add if the best candidate stays the best,
            summed over all candidates, folds and the best estimator.
        """
        self._check_is_fitted()
        with self._lock.take("preview_forget"):
            start, state = time.perf_counter(), self._state
            request = resolve(X_idx, groups, unknown, state.rows, state.groups)
            records = [
                preview(fit.classifier, state.find_places(fit.fold, request.positions))
                for fit in state.fitted
            ]
            if state.best_positions is not None:
                places = np.searchsorted(state.best_positions, request.positions)
                records.append(preview(self.best_estimator_, places))
            return add_up(records, request, time.perf_counter() - start)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle or a copy is made of: all classifiers at one moment.

        They are given as they are now, with leases on their rows: another thread may
        forget before the pickle is written.
        """
        with commit_gate:
            values: dict[str, Any] = super().__getstate__()
            if not self.__sklearn_is_fitted__():
                return values
            leases = [e._rows.readers.add(Lease()) for e in self._list_fitted()]
            state = values["_state"]
            fitted = tuple(
                replace(fit, classifier=fit.classifier._as_it_is(), replies={})
                for fit in state.fitted
            )
            values["_state"] = replace(state, fitted=fitted)
            if "best_estimator_" in values:
                values["best_estimator_"] = values["best_estimator_"]._as_it_is()
            values["_lease"] = [values["_lease"], *leases]
        return values

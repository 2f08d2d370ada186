"""How a search fits its candidates and chooses among them."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid
from sklearn.utils import check_random_state

from skunlearn._base import BaseUnlearningClassifier
from skunlearn._compat import BaseSearchCV
from skunlearn._data.hashing import derive_seed
from skunlearn._data.identities import GroupIndex, find_kinds, hash_identities
from skunlearn._data.rows import Rows
from skunlearn._runtime.progress import Progress
from skunlearn._runtime.warn import warn_again
from skunlearn.exceptions import UnsupportedEstimatorError
from skunlearn.model_selection._scores import (
    Score,
    align_scores,
    call_in_worker,
    fit_rows,
)
from skunlearn.model_selection._state import Fold, State, draw_folds
from skunlearn.sharding import ShardedUnlearningClassifier
from skunlearn.sharding._validation import check_batch

__all__ = ["FittingSearch"]

_SEEDS = 0x73656564
_OF_REFIT = ("best_estimator_", "refit_time_", "feature_names_in_")


class FittingSearch(BaseSearchCV, BaseUnlearningClassifier):
    """A search that has its fits; a subclass has their parameters and forgets."""

    def _check_parameters(self) -> None:
        if isinstance(self.cv, bool) or not isinstance(self.cv, Integral):
            raise TypeError(
                f"cv must be an integer, the number of folds; got "
                f"{type(self.cv).__name__}. "
                "Splitters let the fold of a row depend on other rows, and that would "
                "not change when these are forgotten. Rows are assigned to folds by a "
                "hash of their group or position instead."
            )
        if self.cv < 2:
            raise ValueError(f"cv must be at least 2 folds; got {self.cv}.")
        if not isinstance(self.estimator, ShardedUnlearningClassifier):
            raise UnsupportedEstimatorError(
                "estimator must be a ShardedUnlearningClassifier; got "
                f"{self.estimator!r}. Wrap it: ShardedUnlearningClassifier(...), and "
                "prefix its parameters with estimator__."
            )
        grids = [self.param_grid, *self.param_grid]
        names = {name for grid in grids if isinstance(grid, dict) for name in grid}
        if self.estimator.checkpoint_store is not None or "checkpoint_store" in names:
            raise UnsupportedEstimatorError(
                "checkpoint_store must be None in a search: one store cannot hold all "
                "candidates. Search without it, and fit a classifier that has "
                "best_params_ and the store to the rows."
            )

    def _prepare_fit(self, X: Any, y: Any, sample_weight: Any, groups: Any) -> State:
        """Return the state without any classifier."""
        probe = clone(self.estimator)  # on which validation notes features
        base = probe._get_estimator()
        batch = check_batch(probe, base, X, y, sample_weight, reset=True)
        random = check_random_state(self.random_state)
        key = int(random.randint(2**64 - 1, dtype=np.uint64))
        hashes = hash_identities(groups, batch.size, key, 0)
        index = None
        if groups is not None:
            index = GroupIndex(hashes, key, find_kinds(groups))
        return State(
            rows=Rows.in_order(batch, np.arange(batch.size)).with_own_values(),
            groups=index,
            identities=hashes.view(np.int64),
            folds=draw_folds(hashes, self.cv),
            candidates=tuple(ParameterGrid(self.param_grid)),
            key=key,
        )

    def _make_candidate(self, params: dict[str, Any], key: int) -> Any:
        """Return a classifier that is to be fitted, with a repeatable seed."""
        params = clone(params, safe=False)
        classifier = clone(self.estimator).set_params(**params)
        if not isinstance(classifier.random_state, Integral):
            classifier.set_params(random_state=derive_seed(key, _SEEDS))
        return classifier

    def _fit_candidates(self, state: State) -> tuple[State, list[Score]]:
        """Fit all candidates without each fold, and score them on it."""
        folds = state.list_folds(state.rows.retained)
        n_fits = len(folds) * len(state.candidates)
        self._announce(len(folds), len(state.candidates))
        progress, start = Progress(self, "fit", n_fits), time.perf_counter()
        parallel = Parallel(n_jobs=self.n_jobs, return_as="generator")
        trained = {fold: state.rows.view(state.find_training(fold)) for fold in folds}
        done: dict[tuple[int, int], tuple[Fold, Score]] = {}
        order = [(i, fold) for fold in folds for i in range(len(state.candidates))]
        results = parallel(
            delayed(call_in_worker)(os.getpid(), *args)
            for args in self._list_fits(state, folds)
        )
        for (i, fold), (result, caught) in zip(order, results, strict=True):
            warn_again(caught)
            classifier, seconds, scores = result
            classifier._state = classifier._state.held_in(trained[fold].shared())
            done[i, fold] = Fold(i, fold, classifier, seconds), scores
            text = f"(fit) fitted {len(done)} of {n_fits} candidates and folds"
            self._say(text, time.perf_counter() - start)
            progress.finish_task("candidate")
        progress.finish()
        ordered = [done[at] for at in sorted(done)]
        fitted = tuple(fold for fold, _ in ordered)
        return replace(state, fitted=fitted), [scores for _, scores in ordered]

    def _announce(self, n_folds: int, n_candidates: int) -> None:
        if self.verbose:
            print(
                f"Fitting {n_folds} folds for each of {n_candidates} candidates, "
                f"totalling {n_folds * n_candidates} fits"
            )

    def _list_fits(self, state: State, folds: list[int]) -> Iterator[tuple[Any, ...]]:
        """Yield what is to be fitted and scored, the rows taken fold by fold."""
        scorer, _ = self._get_scorers()
        for fold in folds:
            positions = state.find_training(fold)
            train = state.rows.take(positions)
            test = state.take_fold(fold, state.rows.retained)
            for params in state.candidates:
                classifier = self._make_candidate(params, state.key)
                yield classifier, train, state.identities[positions], test, scorer

    def _choose(
        self, state: State, folds: list[int], scores: list[Score]
    ) -> dict[str, Any]:
        """Return the results and which of them is best, as attributes."""
        scorer, metric = self._get_scorers()
        used = [fit.fold in folds for fit in state.fitted]
        fits = [fit for fit, is_used in zip(state.fitted, used, strict=True) if is_used]
        values = align_scores([each.scores for each in scores])
        out = [
            {"test_scores": value, "fit_time": fit.fit_time, "score_time": each.seconds}
            for fit, value, each in zip(fits, values, scores, strict=True)
        ]
        candidates = list(state.candidates)
        results = self._format_results(candidates, len(folds), out)
        is_multimetric = isinstance(values[0], dict)
        if callable(self.scoring) and is_multimetric:
            self._check_refit_for_multimetric(values[0])
            metric = self.refit
        best: dict[str, Any] = {}
        if self.refit or not is_multimetric:
            index = self._select_best_index(self.refit, metric, results)
            best = {"best_index_": index, "best_params_": candidates[index]}
            if not callable(self.refit):
                best["best_score_"] = results[f"mean_test_{metric}"][index]
        absent = dict.fromkeys(("best_index_", "best_params_", "best_score_"))
        return {
            **absent,
            **best,
            "cv_results_": results,
            "multimetric_": is_multimetric,
            "n_splits_": len(folds),
            "scorer_": getattr(scorer, "_scorers", scorer),
        }

    def _fit_best(
        self, state: State, params: dict[str, Any], positions: np.ndarray
    ) -> dict[str, Any]:
        """Return the best candidate, fitted to the rows at some positions."""
        start = time.perf_counter()
        classifier = self._make_candidate(params, state.key)
        rows, identities = state.rows.take(positions), state.identities[positions]
        best = fit_rows(classifier, rows, identities)
        best._state = best._state.held_in(state.rows.view(positions))
        return {
            "best_estimator_": best,
            "refit_time_": time.perf_counter() - start,
            "feature_names_in_": getattr(best, "feature_names_in_", None),
        }

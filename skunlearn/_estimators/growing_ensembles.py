"""How the ensembles of scikit-learn, LightGBM, XGBoost and CatBoost grow."""

import copy
from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.utils.class_weight import compute_class_weight

from skunlearn._estimators.growing import GrowingEnsemble, register_growing_ensemble

__all__: list[str] = []

_SCORES = "_skunlearn_scores"  # of the rows that the ensemble was trained on


@register_growing_ensemble(BaggingClassifier)
class _Bagging(GrowingEnsemble):
    """Classifiers that do not know of each other."""

    refused = ("oob_score",)


@register_growing_ensemble(ExtraTreesClassifier)
@register_growing_ensemble(RandomForestClassifier)
class _Forest(GrowingEnsemble):
    """Trees that do not know of each other."""

    refused = ("oob_score",)

    def find_obstacle(self, estimator: Any) -> str | None:
        """Return the parameter with which a forest cannot grow."""
        if estimator.class_weight == "balanced_subsample":
            return "class_weight='balanced_subsample'"
        return super().find_obstacle(estimator)

    def grow(
        self,
        estimator: Any,
        fitted: Any,
        n_estimators: int,
        X: Any,
        y: Any,
        **fit_params: Any,
    ) -> Any:
        """Return a forest with more trees, by the balance of the rows so far.

        A warm start warns of balanced weights, unless it is told what they are.
        """
        class_weight = estimator.class_weight
        if isinstance(class_weight, str):
            weights = compute_class_weight("balanced", classes=fitted.classes_, y=y)
            known = dict(zip(fitted.classes_.tolist(), weights.tolist(), strict=True))
            estimator.set_params(class_weight=known)
        grown = super().grow(estimator, fitted, n_estimators, X, y, **fit_params)
        return grown.set_params(class_weight=class_weight)


@register_growing_ensemble(GradientBoostingClassifier)
class _GradientBoosting(GrowingEnsemble):
    """Trees for each class, in an array of one row for each iteration."""

    refused = ("n_iter_no_change",)

    def list_members(self, estimator: Any) -> Iterable[Any]:
        """Return the trees."""
        return estimator.estimators_.ravel()


@register_growing_ensemble(HistGradientBoostingClassifier)
class _HistGradientBoosting(GrowingEnsemble):
    """Trees that read rows by bins, which must stay what they were."""

    size = "max_iter"

    def find_obstacle(self, estimator: Any) -> str | None:
        """Return the parameter of early stopping; "auto" leaves the choice to us."""
        is_on = estimator.early_stopping not in ("auto", False)
        return f"early_stopping={estimator.early_stopping!r}" if is_on else None

    def set_size(self, estimator: Any, n_estimators: int) -> None:
        """Set the number of iterations, none of which may be left out."""
        estimator.set_params(max_iter=n_estimators, early_stopping=False)

    def count(self, estimator: Any) -> int:
        """Return the number of iterations."""
        return int(estimator.n_iter_)

    def list_members(self, estimator: Any) -> Iterable[Any]:
        """Return the trees, and the bins."""
        trees = chain.from_iterable(getattr(estimator, "_predictors", ()))
        return [getattr(estimator, "_bin_mapper", None), *trees]

    def grow(
        self,
        estimator: Any,
        fitted: Any,
        n_estimators: int,
        X: Any,
        y: Any,
        **fit_params: Any,
    ) -> Any:
        """Return an ensemble with more trees, which read rows by the same bins."""
        kept = copy.copy(fitted)
        kept.__class__ = _KeptBins
        grown = super().grow(estimator, kept, n_estimators, X, y, **fit_params)
        grown.__class__ = HistGradientBoostingClassifier
        vars(grown).pop(_SCORES, None)
        return grown

    def remember(self, estimator: Any, X: Any) -> None:
        """Keep the scores of the rows, which take half as long as ten iterations."""
        scores = estimator.decision_function(X)
        setattr(estimator, _SCORES, scores.reshape(len(scores), -1))


class _KeptBins(HistGradientBoostingClassifier):
    """Goes on training with the bins and the categories of the first fit.

    scikit-learn finds new ones at each fit, by which it then reads the trees that there
    are: with other rows these would give other answers than they were trained to. Of
    rows that the trees were trained on, which come first, the scores may be known.
    """

    def _preprocess_X(self, X: Any, *, reset: bool) -> Any:
        if not reset:
            return super()._preprocess_X(X, reset=False)
        return super()._preprocess_X(X, reset=False), None

    def _bin_data(self, X: Any, *arguments: Any, **keywords: Any) -> Any:
        self._bin_mapper = self._kept_mapper
        return self._bin_mapper.transform(X)

    def _raw_predict(self, X: Any, n_threads: int | None = None) -> Any:
        known = getattr(self, _SCORES, None)
        if known is None:
            return super()._raw_predict(X, n_threads=n_threads)
        scores = np.empty((len(X), known.shape[1]), order="F")
        scores[: len(known)] = known
        if len(X) > len(known):
            scores[len(known) :] = super()._raw_predict(X[len(known) :], n_threads)
        return scores

    def fit(self, X: Any, y: Any, *arguments: Any, **keywords: Any) -> Any:
        self._kept_mapper: Any = self._bin_mapper
        super().fit(X, y, *arguments, **keywords)
        del self._kept_mapper
        return self


class _AddingRounds(GrowingEnsemble):
    """Boosting that is told how many rounds to add, and then how many there are."""

    def grow(
        self,
        estimator: Any,
        fitted: Any,
        n_estimators: int,
        X: Any,
        y: Any,
        **fit_params: Any,
    ) -> Any:
        """Return an ensemble with more trees, which says how many there are."""
        grown = super().grow(estimator, fitted, n_estimators, X, y, **fit_params)
        return grown.set_params(n_estimators=n_estimators)


@register_growing_ensemble("lightgbm.sklearn.LGBMClassifier")
class _LightGBM(_AddingRounds):
    """Trees of LightGBM."""

    model_argument = "init_model"
    refused = (
        "early_stopping",
        "early_stopping_round",
        "early_stopping_rounds",
        "n_iter_no_change",
        # Other names of n_estimators, over which they would win.
        "max_iter",
        "n_iter",
        "nrounds",
        "num_boost_round",
        "num_iteration",
        "num_iterations",
        "num_round",
        "num_rounds",
        "num_tree",
        "num_trees",
    )

    def count(self, estimator: Any) -> int:
        """Return the number of iterations."""
        return int(estimator.booster_.current_iteration())


@register_growing_ensemble("xgboost.sklearn.XGBClassifier")
class _XGBoost(_AddingRounds):
    """Trees of XGBoost."""

    model_argument = "xgb_model"
    refused = ("early_stopping_rounds", "callbacks")

    def count(self, estimator: Any) -> int:
        """Return the number of iterations."""
        return int(estimator.get_booster().num_boosted_rounds())


@register_growing_ensemble("catboost.core.CatBoostClassifier")
class _CatBoost(GrowingEnsemble):
    """Trees of CatBoost, whose parameters are fixed once it is fitted."""

    size = "iterations"
    default_size = 1000
    model_argument = "init_model"
    refused = (
        "early_stopping_rounds",
        "od_pval",
        "od_type",
        "od_wait",
        "save_snapshot",
        "use_best_model",
    )
    _NAMES = ("iterations", "n_estimators", "num_boost_round", "num_trees")

    def find_size(self, estimator: Any) -> int:
        """Return the number of iterations, under whichever of its names."""
        params = estimator.get_params()
        given = [params[name] for name in self._NAMES if params.get(name) is not None]
        return given[0] if given else self.default_size

    def set_size(self, estimator: Any, n_estimators: int) -> None:
        """Set the number of iterations by the name that it has."""
        params = estimator.get_params()
        given = [name for name in self._NAMES if params.get(name) is not None]
        estimator.set_params(**{(given or [self.size])[0]: n_estimators})

    def count(self, estimator: Any) -> int:
        """Return the number of iterations."""
        return int(estimator.tree_count_)

    def grow(
        self,
        estimator: Any,
        fitted: Any,
        n_estimators: int,
        X: Any,
        y: Any,
        **fit_params: Any,
    ) -> Any:
        """Return an ensemble with more trees, at the same learning rate.

        By default CatBoost would choose one for as many as are added.
        """
        params = estimator.get_params()
        if params.get("learning_rate") is None and params.get("eta") is None:
            estimator.set_params(learning_rate=fitted.learning_rate_)
        return super().grow(estimator, fitted, n_estimators, X, y, **fit_params)

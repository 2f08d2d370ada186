"""Predictions of a sharded classifier."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.dummy import DummyClassifier
from sklearn.utils.metaestimators import available_if

from skunlearn._base import BaseUnlearningClassifier
from skunlearn._data.containers import is_frame
from skunlearn._estimators.one_class import is_log_density
from skunlearn._runtime.threads import single_threaded
from skunlearn.exceptions import CheckpointCorruptedError
from skunlearn.sharding._aggregation.panel import Panel, Replies
from skunlearn.sharding._aggregation.votes import ScoreKind, find_judges
from skunlearn.sharding._state import State
from skunlearn.sharding._validation import check_samples

__all__ = ["VotingMixin"]


def _has(method: str) -> Callable[[Any], bool]:
    """Make a check that there is a method, because the constituents have what it takes.

    One-class models have densities, which make probabilities, or other scores.
    """

    def check(self: "VotingMixin") -> bool:
        base = self._get_base()
        if not is_classifier(base):
            return method == "decision_function" or is_log_density(base)
        try:
            state = self._load_voters()
        except CheckpointCorruptedError:  # which the method raises as it is
            return True
        if state is not None and method in state.voters.methods:
            return True
        estimators = [] if state is None else state.estimators
        for judge in find_judges(estimators, base):
            getattr(judge, method)  # its own AttributeError becomes ours
        if state is not None:
            state.voters.methods.add(method)
        return True

    return check


@dataclass(frozen=True)
class Answer:
    """Scores of some rows by the constituents.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_classes)
        A score of each class, the highest being the answer.
    kind : {"predict_proba", "decision_function", "predict"}
        What the scores are made of.
    classes : ndarray of shape (n_classes,)
        The classes.
    """

    scores: np.ndarray
    kind: ScoreKind
    classes: np.ndarray

    def limit(self, is_label: np.ndarray, class_counts: np.ndarray) -> "Answer":
        """Return the answer for some classes; constituents of others only abstain."""
        scores = self.scores[:, is_label]
        if self.kind == "predict_proba":
            total, counts = scores.sum(axis=1, keepdims=True), class_counts[is_label]
            has_answer = total > 0
            shares = counts / counts.sum()
            scores = np.where(
                has_answer, scores / np.where(has_answer, total, 1), shares
            )
        return Answer(scores, self.kind, self.classes[is_label])


class VotingMixin(BaseUnlearningClassifier):
    """The predictions of a classifier whose constituents vote.

    The classifier says in ``_get_base`` which estimator they are clones of.
    """

    _state: State
    voting: str
    n_jobs: int | None
    _replies: Replies | None = None  # of a twin that is asked about the same rows again

    def _get_base(self) -> Any:
        """Return what the constituents are clones of, or will be."""
        if self.__sklearn_is_fitted__():
            return self._state.recipe.prototype
        return self._get_estimator()

    def _load_voters(self) -> State | None:
        """Return the state with its constituents in memory; before fit, none."""
        state = getattr(self, "_state", None)
        if state is not None:
            _ = state.voters
        return state

    @property
    def classes_(self) -> np.ndarray:
        """Classes of the retained rows, an ndarray of shape (n_classes,)."""
        self._check_is_fitted()
        return self._state.classes[self._state.is_label]

    @property
    def estimators_(self) -> list[Any]:
        """The constituents, in order of shards, or None for shards without one.

        That is the case if a shard has no rows or, after a deferred forget, no
        checkpoint from before the forgotten rows were used.
        """
        self._check_is_fitted()
        state = self._load_voters()
        return [] if state is None else state.estimators

    @property
    def feature_importances_(self) -> np.ndarray:
        """Mean of the constituents' importances, an ndarray of shape (n_features,).

        Defined only where they have them, as trees and forests do. Constant
        constituents, and trees that are a single leaf, have none and do not count.
        """
        self._check_is_fitted()
        base, estimators = self._get_base(), self._state.voters.estimators
        judges = [e for e in estimators if not isinstance(e, DummyClassifier)]
        if not judges and hasattr(type(base), "feature_importances_"):
            return np.zeros(self.n_features_in_)
        importances = np.array([e.feature_importances_ for e in judges or [base]])
        known = importances[importances.any(axis=1)]
        return np.asarray(known.mean(axis=0) if len(known) else importances[0])

    @available_if(_has("predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Class probabilities, in the order of `classes_`: the mean over the
            constituents or, with hard voting, the fractions of votes, with that mean
            as one more vote. Constituents that return NaN for a row are left out of
            its average; if all do, the class frequencies of the retained rows are
            returned.
        """
        return self._answer(X).scores

    @available_if(_has("predict_proba"))
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Predict logarithms of class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Logarithms of the probabilities that `predict_proba` returns.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    @available_if(_has("decision_function"))
    def decision_function(self, X: Any) -> np.ndarray:
        """Return a confidence score per class, consistent with `predict`.

        The score is the logarithm of the mean probability if the constituents have
        ``predict_proba``, and the mean of their decision values otherwise. With hard
        voting it ranks classes by votes first.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            Confidence scores. For two classes, positive values predict the second one.
        """
        answer = self._answer(X)
        scores = answer.scores
        if answer.kind == "predict_proba":
            scores = np.log(np.maximum(scores, np.finfo(np.float64).tiny))
        if scores.shape[1] > 2:
            return scores
        with np.errstate(invalid="ignore"):
            margin = scores[:, -1] - scores[:, 0]
        margin[np.isnan(margin)] = 0.0  # where neither class has an answer
        return margin if answer.kind == "predict_proba" else margin / 2

    def predict(self, X: Any) -> np.ndarray:
        """Predict class labels by the vote of the constituents.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows to predict.

        Returns
        -------
        ndarray of shape (n_samples,)
            Predicted labels.
        """
        answer = self._answer(X)
        return answer.classes[answer.scores.argmax(axis=1)]

    def _answer(self, X: Any) -> Answer:
        self._check_is_fitted()
        self = self._as_it_is()  # another thread may be at a forget or a fit
        state = self._state
        tags = state.recipe.input_tags
        keep_frame = is_frame(state.rows.data.like)
        is_known = self._replies is not None and self._replies.X is X
        X = check_samples(self, tags, X, reset=False, keep_frame=keep_frame)
        panel = self._seat(state, X)
        if is_known:
            panel = replace(panel, replies=self._replies)
        with single_threaded():
            scores, kind = state.recipe.policy.role.aggregate(state, panel, self.voting)
        answer = Answer(scores, kind, state.classes)
        is_label = state.is_label
        return answer if is_label.all() else answer.limit(is_label, state.class_counts)

    def _seat(self, state: State, X: Any) -> Panel:
        """Return the constituents that there are, with the rows to ask about."""
        voters = state.voters
        return Panel(
            estimators=voters.estimators,
            shards=voters.shards,
            X=X,
            values=voters.values,
            find_own=lambda k: state.take_first_row(voters.shards[k]),
            n_jobs=self.n_jobs,
        )

"""How a sharded classifier answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skunlearn._data.containers import is_frame
from skunlearn._estimators.one_class import is_log_density
from skunlearn._runtime.threads import single_threaded
from skunlearn.sharding._aggregation.class_scores import (
    answer_committees,
    correct_prior,
    find_class_score_kind,
    score_shards,
)
from skunlearn.sharding._aggregation.votes import (
    ScoreKind,
    aggregate,
    find_judges,
    find_score_kind,
)
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
        for judge in find_judges(self._get_voters(), base):
            getattr(judge, method)  # its own AttributeError becomes ours
        return True

    return check


@dataclass(frozen=True)
class Answer:
    """What the constituents say of some rows.

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
        """Return the answer of some classes; who speaks for others alone abstains."""
        scores = self.scores[:, is_label]
        if self.kind == "predict_proba":
            total, counts = scores.sum(axis=1, keepdims=True), class_counts[is_label]
            has_answer = total > 0
            shares = counts / counts.sum()
            scores = np.where(
                has_answer, scores / np.where(has_answer, total, 1), shares
            )
        return Answer(scores, self.kind, self.classes[is_label])


class VotingMixin:
    """The predictions of a classifier whose constituents vote.

    The classifier says in ``_get_base`` which estimator they are clones of.
    """

    _state: State
    voting: str
    n_jobs: int | None

    def _get_base(self) -> Any:
        raise NotImplementedError

    def _get_voters(self) -> list[Any]:
        """Return the constituents that there are; before fit, none."""
        state = getattr(self, "_state", None)
        return [] if state is None else [s.estimator for s in state.shards]

    @available_if(_has("predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            The mean of the constituents' probabilities; with hard voting the shares of
            votes, the mean counted as one vote more. A constituent that says NaN of a
            row has no answer there. Where none has one, the shares of the classes in
            the retained rows.
        """
        return self._answer(X).scores

    @available_if(_has("predict_proba"))
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Logarithms of what `predict_proba` returns.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    @available_if(_has("decision_function"))
    def decision_function(self, X: Any) -> np.ndarray:
        """Return a confidence in each class, in keeping with `predict`.

        It is the mean of the constituents' decision values. Where they have
        probabilities, those are what is averaged, and this is the logarithm of the
        mean. With hard voting it ranks by votes first.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            Decision values; for two classes the second is chosen above 0.
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
        """Return the class that the constituents vote for.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.
        """
        answer = self._answer(X)
        return answer.classes[answer.scores.argmax(axis=1)]

    def _answer(self, X: Any) -> Answer:
        check_is_fitted(self)
        state = self._state  # once: another thread may be at a forget
        base = state.recipe.prototype
        keep_frame = is_frame(state.rows.held.X)
        X = check_samples(self, base, X, reset=False, keep_frame=keep_frame)
        with single_threaded:
            if state.recipe.policy.learns == "classes":
                scores, kind = self._ask_all(state, X)
            else:
                scores, kind = self._ask_committees(state, X)
        answer = Answer(scores, kind, state.classes)
        is_label = state.is_label
        return answer if is_label.all() else answer.limit(is_label, state.class_counts)

    def _ask_all(self, state: State, X: Any) -> tuple[np.ndarray, ScoreKind]:
        """Let all constituents vote on all classes."""
        shards = [shard for shard in state.shards if shard.estimator is not None]
        voters = [shard.estimator for shard in shards]
        kind = find_score_kind(find_judges(voters, state.recipe.prototype))
        shares = state.class_counts / state.class_counts.sum()
        if not voters:
            return np.tile(shares, (X.shape[0], 1)), kind
        weights = None
        if state.layout.partition.weighs_by_size:
            weights = np.array([shard.bounds[-1] for shard in shards], dtype=float)
        scores = aggregate(
            voters, X, state.classes, kind, self.voting, self.n_jobs, weights
        )
        is_silent = np.isnan(scores).any(axis=1)
        scores[is_silent] = shares  # where nobody has an answer either
        return scores, kind

    def _ask_committees(self, state: State, X: Any) -> tuple[np.ndarray, ScoreKind]:
        """Let each constituent score its own class."""
        voters = [shard.estimator for shard in state.shards]
        judges = find_judges(voters, state.recipe.prototype)
        kind = find_class_score_kind(judges, state.recipe.policy.learns)
        scores = score_shards(voters, X, kind, self.n_jobs)
        if kind == "predict_proba":
            for i, n_against, n_rest in state.count_negatives():
                scores[i] = correct_prior(scores[i], n_against, n_rest)
        n_classes = len(state.classes)
        committees = scores.reshape(n_classes, -1, X.shape[0]).transpose(1, 2, 0)
        return answer_committees(committees, kind, state.weigh_classes(), self.voting)

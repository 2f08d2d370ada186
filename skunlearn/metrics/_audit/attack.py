"""Statistical audits: three samples where two others can be made, else likelihoods."""

from typing import Any

import numpy as np
from scipy import special, stats
from sklearn.dummy import DummyClassifier

from skunlearn._data.containers import cast_rows, is_frame, join_rows, take_rows
from skunlearn._runtime.threads import single_threaded
from skunlearn.metrics._audit.replay import Owners, find_owners, retrain_without
from skunlearn.metrics._audit.report import AuditReport, conclude
from skunlearn.metrics._confidence import score_labels
from skunlearn.metrics._membership import compare_by_likelihood, compute_ratios
from skunlearn.sharding._state import State
from skunlearn.sharding._validation import check_samples

__all__ = ["attack", "attack_owners", "can_make_counterfactuals"]

Labelled = tuple[Any, np.ndarray]

_N_SHADOWS = 16
_N_RESAMPLES = 200
_MAX_FRESH = 500  # rows beside those in question on which shards are compared
_MIN_SHADOW_ROWS = 20


def can_make_counterfactuals(classifier: Any) -> bool:
    """Whether the constituents are classifiers of all classes, to be fitted again."""
    return not classifier._state.layout.partition.is_by_class


def attack_owners(
    classifier: Any,
    forget: Labelled,
    fresh: Labelled,
    X_idx: Any,
    alpha: float,
    rng: np.random.RandomState,
) -> AuditReport:
    """Compare the shards that own rows with ones that never had them, or still do.

    The relative three-sample test: are their answers nearer to those of shards trained
    without the rows, or to those of shards trained with them?
    """
    with classifier._reading() as state:
        owners = find_owners(state, X_idx)
        if len(owners.positions) != len(forget[1]):
            raise ValueError(
                f"X_idx names {len(owners.positions)} rows, and X_forget has "
                f"{len(forget[1])}. Pass one position per row, in the same order."
            )
        forget = _check_rows(classifier, state, forget)
        fresh = _check_rows(classifier, state, _sample(fresh, rng))
        without = retrain_without(
            state, owners.positions, owners.distinct, classifier.n_jobs
        )
        distances = _Distances(state, without, owners, forget, fresh)
        for shard in owners.distinct:
            distances.add(shard)
    return distances.conclude(alpha, rng)


def _sample(rows: Labelled, rng: np.random.RandomState) -> Labelled:
    X, y = rows
    chosen = np.sort(rng.permutation(len(y))[:_MAX_FRESH])
    return take_rows(X, chosen), y[chosen]


def _check_rows(classifier: Any, state: State, rows: Labelled) -> Labelled:
    """Return rows as the classifier keeps its own."""
    X, y = rows
    tags, held = state.recipe.input_tags, state.rows.data.like
    keep_frame = is_frame(held)
    X = check_samples(classifier, tags, X, reset=False, keep_frame=keep_frame)
    if (y.dtype.kind in "OUS") != (state.classes.dtype.kind in "OUS"):
        raise ValueError(
            f"labels have the dtype {y.dtype}, and the classes of the classifier "
            f"{state.classes.dtype}. Pass labels as they were passed to fit."
        )
    return cast_rows(X, held), y


class _Distances:
    """By how much answers are nearer to those of shards that had the rows.

    Parameters
    ----------
    state, without : State
        The state that is audited, and one with shards trained without the rows.
    owners : Owners
        The shards of the rows.
    forget, fresh : tuple of rows and labels
        The rows in question, and others.
    """

    def __init__(
        self,
        state: State,
        without: State,
        owners: Owners,
        forget: Labelled,
        fresh: Labelled,
    ) -> None:
        self.state, self.without, self.owners = state, without, owners
        self.forget, self.fresh = forget, fresh
        self.y = np.concatenate([forget[1], fresh[1]])
        self.X = join_rows(forget[0], fresh[0])
        # Of the classifier, and of shards trained with the rows, for the power.
        self.sums = np.zeros((2, len(self.y)))

    def add(self, shard: int) -> None:
        """Add the distances of one shard, on its rows in question and on fresh ones."""
        target = self.state.shards[shard].estimator
        retrained = self.without.shards[shard].estimator
        is_mine = (self.owners.shards == shard).any(axis=1)
        if target is None or retrained is None:
            return  # what abstains knows nothing
        counts = np.concatenate([is_mine, np.ones(len(self.fresh[1]))])
        models = (
            target,
            retrained,
            *(self._train_with(shard, is_mine, k) for k in (0, 1)),
        )
        mine, other, with_rows, with_seed = map(self._answer, models)
        for i, answer in enumerate((mine, with_seed)):
            nearer = (answer - other) ** 2 - (answer - with_rows) ** 2
            self.sums[i] += counts * nearer

    def _answer(self, model: Any) -> np.ndarray:
        with single_threaded():
            return special.expit(score_labels(model, self.X, self.y))

    def _train_with(self, shard: int, is_mine: np.ndarray, seed: int) -> Any:
        """Return an estimator trained on the retained rows and those in question."""
        state, kept = self.without, self.without.shards[shard]
        rows, mine = state.rows.take(kept.slots_seen), np.flatnonzero(is_mine)
        X = join_rows(rows.X, take_rows(self.forget[0], mine))
        y = np.concatenate([rows.y, self.forget[1][mine]])
        if len(np.unique(y)) < 2:
            return DummyClassifier(strategy="prior").fit(X, y)
        estimator = state.recipe.copy(state.recipe.prototype)
        state.recipe.limit_to_rows(estimator, len(y))
        state.recipe.seed(estimator, *kept.seed_path, 0, seed)
        with single_threaded():
            return estimator.fit(X, y)

    def conclude(self, alpha: float, rng: np.random.RandomState) -> AuditReport:
        """Return the report: a sign test on the rows, and one on fresh rows too."""
        n = len(self.forget[1])
        p_values = {
            "rows in question": _test_signs(self.sums[:1, :n])[0],
            "all rows": _test_signs(self.sums[:1])[0],
        }
        levels = alpha / len(p_values)
        resampled = rng.randint(n, size=(_N_RESAMPLES, n))
        own = _test_signs(self.sums[1, :n][resampled]) <= levels
        everywhere = rng.randint(len(self.y), size=(_N_RESAMPLES, len(self.y)))
        power = np.mean(own | (_test_signs(self.sums[1][everywhere]) <= levels))
        return conclude("three-sample", p_values, float(power), alpha, n)


def _test_signs(nearer: np.ndarray) -> np.ndarray:
    """Return the p-value of each line: are its values negative as often as positive?"""
    n_up, n_down = (nearer > 0).sum(axis=1), (nearer < 0).sum(axis=1)
    return stats.binom.sf(n_up - 1, n_up + n_down, 0.5)


def attack(
    estimator: Any,
    forget: Labelled,
    fresh: Labelled,
    alpha: float,
    rng: np.random.RandomState,
    n_jobs: int | None,
) -> AuditReport:
    """Compare scores of rows with those of fresh rows, by ranks.

    Both are symmetric functions of all rows if none of them was trained on, which is
    all that the test assumes.
    """
    n = len(forget[1])
    scores = [score_labels(estimator, X, y) for X, y in (forget, fresh)]
    p_values, power = {"loss": _test_ranks(*scores)}, 0.0
    if hasattr(estimator, "get_params") and n + len(fresh[1]) >= _MIN_SHADOW_ROWS:
        likelihoods = compare_by_likelihood(
            estimator, forget, fresh, n_shadows=_N_SHADOWS, n_jobs=n_jobs, rng=rng
        )
        p_values["likelihood ratio"] = _test_ranks(*likelihoods.ratios)
        power = _estimate_power(likelihoods.scores, likelihoods.is_in, n, alpha)
    return conclude("likelihood", p_values, power, alpha, n)


def _estimate_power(
    scores: np.ndarray, is_in: np.ndarray, n: int, alpha: float
) -> float:
    """Return how often rows that shadow models were trained on would be flagged."""
    found = []
    for k, own in enumerate(scores):
        others = np.arange(len(scores)) // 2 != k // 2  # nor the other half's model
        ratios = compute_ratios(own, scores[others], is_in[others])
        member, fresh = np.flatnonzero(is_in[k])[:n], ~is_in[k]
        p_values = [_test_ranks(v[member], v[fresh]) for v in (own, ratios)]
        found.append(min(p_values) <= alpha / len(p_values))
    return float(np.mean(found))


def _test_ranks(member: np.ndarray, fresh: np.ndarray) -> float:
    if np.ptp(np.concatenate([member, fresh])) == 0:
        return 1.0
    return float(stats.mannwhitneyu(member, fresh, alternative="greater").pvalue)

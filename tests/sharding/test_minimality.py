"""Law 2: a forget trains the touched shards from their first touched slice only."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import SGDClassifier
from sklearn.naive_bayes import GaussianNB
from support import CASES, DENSITIES, make_case, make_data, thin

from skunlearn import ShardedUnlearningClassifier
from skunlearn.sharding._training.schedule import TrainingPolicy, count_passes

X, Y = make_data()


class CountingSGD(SGDClassifier):
    """Notes how many rows each call of fit and partial_fit is given."""

    passed = []

    def fit(self, X, y, **arguments):
        """Note the call."""
        self.passed.append(len(y))
        return super().fit(X, y, **arguments)

    def partial_fit(self, X, y, **arguments):
        """Note the call."""
        self.passed.append(len(y))
        return super().partial_fit(X, y, **arguments)


class CountingBayes(GaussianNB):
    """Counts rows only: cheap enough for simulations."""

    n_passed = 0

    def fit(self, X, y):
        """Count the rows and learn the classes."""
        type(self).n_passed += len(y)
        self.classes_ = np.unique(y)
        return self

    def partial_fit(self, X, y, classes=None):
        """Count the rows and learn the classes."""
        type(self).n_passed += len(y)
        self.classes_ = classes
        return self


COUNTED_LAYOUTS = [
    {"n_shards": 4},
    {"n_shards": 1},
    {"n_shards": 5, "n_replicas": 3},
    {"n_shards": 3, "n_slices": 4},
    {"n_shards": 3, "n_slices": 4, "n_epochs": 5},
    {"n_shards": 3, "n_slices": 4, "slice_training": "sequential", "n_epochs": 2},
    {"n_shards": 4, "n_slices": 2, "n_replicas": 2},
    {"n_shards": 2, "slice_sizes": (0.6, 0.3, 0.1), "n_epochs": 5},
]


@pytest.mark.parametrize("layout", thin(COUNTED_LAYOUTS, 2))
@settings(max_examples=8)
@given(requests=st.lists(st.lists(st.integers(0, 59), min_size=1), max_size=4))
def test_records_count_what_was_trained(layout, requests):
    """Every count of a record is what the base really went through."""
    base = CountingSGD(max_iter=1, tol=None)
    classifier = ShardedUnlearningClassifier(base, random_state=0, **layout)
    classifier.fit(X, Y)
    for request in requests:
        if not np.setdiff1d(classifier.retained_indices_, request).size:
            continue
        before, preview = classifier.estimators_, classifier.preview_forget(request)
        CountingSGD.passed.clear()
        record = classifier.forget(request).forget_records_[-1]
        assert record.n_samples_retrained == sum(CountingSGD.passed)
        assert record.n_slices_retrained <= len(CountingSGD.passed)
        for k, (old, new) in enumerate(
            zip(before, classifier.estimators_, strict=True)
        ):
            assert k in record.shards or old is new
        assert preview.shards == record.shards
        assert preview.n_samples_retrained == record.n_samples_retrained
        assert preview.n_slices_retrained == record.n_slices_retrained
        assert preview.n_samples_full_retrain == record.n_samples_full_retrain
        CountingSGD.passed.clear()
        keep = classifier.retained_indices_
        clone(classifier).fit(X[keep], Y[keep], groups=keep)
        assert record.n_samples_full_retrain == sum(CountingSGD.passed)


@pytest.mark.parametrize(("base", "layout"), thin(CASES, 3))
def test_untouched_constituents_stay_the_same_objects(base, layout):
    """A request that hits one shard leaves the others alone."""
    classifier = make_case(base, layout).fit(X, Y)
    before = classifier.estimators_
    record = classifier.forget(17).forget_records_[-1]
    n_joined = classifier.n_replicas
    if classifier.partition == "class" and base not in DENSITIES:
        n_joined *= 1 + classifier.n_negatives
    assert len(record.shards) == n_joined
    for k, (old, new) in enumerate(zip(before, classifier.estimators_, strict=True)):
        assert (old is new) == (k not in record.shards)


def test_checkpoints_before_the_first_touched_slice_stay_the_same_objects():
    """Only the tail of a chain is trained again."""
    classifier = make_case("sgd", "cumulative", n_shards=1, n_slices=5).fit(X, Y)
    shard = classifier._state.shards[0]
    position = np.argsort(classifier._state.rows.slot_of)[shard.slots]
    for index in (4, 2, 0):
        before = classifier._state.shards[0].states
        row = position[shard.bounds[index]]
        record = classifier.forget(row).forget_records_[-1]
        after = classifier._state.shards[0].states
        assert [a is b for a, b in zip(before, after, strict=True)] == [
            i < index for i in range(5)
        ]
        assert record.n_slices_retrained == 5 - index


def expected_batch(n, n_shards, k):
    """SISA, Eq. 3: rows trained for one batch of k requests."""
    return n * (1 - (1 - 1 / n_shards) ** k) - k


def expected_sequence(n, n_shards, k):
    """SISA, Eq. 2: rows trained for k requests, one after another."""
    return (n / n_shards + 1 / (2 * n_shards) - 1) * k - k**2 / (2 * n_shards)


def simulate(n, requests, repeats, **layout):
    """Return the mean of the rows trained, over layouts and random requests."""
    rng = np.random.default_rng(0)
    data, labels = rng.random((n, 2)), np.arange(n) % 2
    counts = []
    for seed in range(repeats):
        classifier = ShardedUnlearningClassifier(
            CountingBayes(), random_state=seed, **layout
        ).fit(data, labels)
        chosen = rng.permutation(n)[: sum(requests)]
        before = CountingBayes.n_passed
        for batch in np.split(chosen, np.cumsum(requests)[:-1]):
            classifier.forget(batch)
        counts.append(CountingBayes.n_passed - before)
    return np.mean(counts)


def test_mean_cost_of_a_batch():
    """SISA, Eq. 3."""
    mean = simulate(2000, [10], 150, n_shards=10)
    assert mean == pytest.approx(expected_batch(2000, 10, 10), rel=0.03)


def test_mean_cost_of_a_sequence():
    """SISA, Eq. 2."""
    mean = simulate(2000, [1] * 10, 60, n_shards=10)
    assert mean == pytest.approx(expected_sequence(2000, 10, 10), rel=0.03)


def test_mean_cost_with_slices():
    """SISA, Eq. 4: one request in one shard, n_epochs (2 / 3 + 1 / 3R) of its rows."""
    mean = simulate(1000, [1], 300, n_shards=1, n_slices=4, n_epochs=5)
    assert mean == pytest.approx(5 * 1000 * (2 / 3 + 1 / 12), rel=0.03)


def test_mean_cost_of_a_batch_with_shards_and_slices():
    """A step is due if some request falls in the slices up to it."""
    n, n_shards, n_slices, n_epochs, k = 2000, 5, 3, 2, 6
    step = np.arange(1, n_slices + 1)
    share = 2 * step / (n_slices * (n_slices + 1))
    due = 1 - (1 - step / (n_slices * n_shards)) ** k
    mean = simulate(
        n, [k], 150, n_shards=n_shards, n_slices=n_slices, n_epochs=n_epochs
    )
    assert mean == pytest.approx(n_epochs * n * (share * due).sum(), rel=0.03)


@given(
    n_slices=st.integers(1, 60), n_epochs=st.integers(1, 60), cumulative=st.booleans()
)
def test_passes_follow_equation_one(n_slices, n_epochs, cumulative):
    """The running total is within half a pass of SISA's Eq. 1, but for the floor."""
    policy = TrainingPolicy(
        "partial_fit", "partial_fit", cumulative, n_slices, n_epochs
    )
    passes = [count_passes(policy, j) for j in range(n_slices)]
    assert min(passes) >= 1
    if not cumulative:
        assert passes == [n_epochs] * n_slices
    elif 2 * n_epochs >= n_slices + 1:
        n = n_slices + 1  # times which all is an integer, without rounding
        off = np.cumsum(passes) * n - 2 * n_epochs * np.arange(1, n)
        assert 2 * np.abs(off).max() <= n
    else:
        assert passes == [1] * n_slices

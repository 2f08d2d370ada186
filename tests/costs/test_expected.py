"""Closed forms meet the papers, simulated layouts, and what is really trained."""

import time

import numpy as np
import pytest
from scipy.stats import hypergeom
from sklearn.linear_model import SGDClassifier
from sklearn.naive_bayes import GaussianNB
from support import thin

from skunlearn import ShardedUnlearningClassifier
from skunlearn.costs import expected_retrained_samples, simulate_requests
from skunlearn.costs._chances import log_miss
from skunlearn.sharding._training.schedule import TrainingPolicy, count_passes


def simulate(
    n,
    k,
    *,
    n_shards=1,
    n_slices=1,
    slice_sizes=None,
    n_replicas=1,
    n_epochs=1,
    slice_training="cumulative",
    class_counts=None,
    n_negatives=0,
    selection=None,
    slice_proba=None,
    sequence=False,
    repeats=2500,
    **_,
):
    """Return the mean cost over random layouts and requests, counted row by row.

    Each place is a row in a unit (class), shard and slice. A row that replaces a
    selected one takes over its place.
    """
    rng = np.random.default_rng(0)
    counts = np.array([n] if class_counts is None else class_counts)
    labels = np.repeat(np.arange(len(counts)), counts)
    cumulative = slice_training == "cumulative"
    n_slices = n_slices if slice_sizes is None else len(slice_sizes)
    ends = np.cumsum([1 / n_slices] * n_slices if slice_sizes is None else slice_sizes)
    policy = TrainingPolicy(
        "partial_fit",
        "partial_fit",
        cumulative,
        n_slices,
        n_epochs,
        slice_sizes=slice_sizes,
    )
    passes = [count_passes(policy, j) for j in range(n_slices)]
    total = 0
    for _ in range(repeats):
        shards = rng.random((n, n_shards)).argsort(axis=1)[:, :n_replicas]
        joins = np.zeros((n, n_shards), dtype=bool)
        np.put_along_axis(joins, shards, True, axis=1)
        if slice_proba is None:
            slices = np.searchsorted(ends[:-1], rng.random(n))
            requests = rng.permutation(n)[:k]
        else:
            slices = np.searchsorted(ends[:-1] - 1e-9, np.arange(n) / n, side="right")
            rate = np.array(slice_proba) / np.diff(ends, prepend=0)
            waiting = rng.exponential(size=n) / rate[slices]
            requests = waiting.argsort()[:k]
        units = np.zeros((n, len(counts)), dtype=bool)
        units[np.arange(n), labels] = True
        for row in range(n if n_negatives else 0):
            others = np.delete(np.arange(len(counts)), labels[row])
            units[row, rng.permutation(others)[:n_negatives]] = True
        place = joins[:, None, :] & units[:, :, None]  # row, unit, shard
        parts = labels
        if selection is not None:
            cut = np.c_[labels, joins, slices]
            parts = np.unique(cut, axis=0, return_inverse=True)[1]
        chosen = np.zeros(n, dtype=bool)
        for part, count in enumerate(np.bincount(parts)):
            quota = count if selection is None else int(np.ceil(selection * count))
            chosen[rng.permutation(np.flatnonzero(parts == part))[:quota]] = True
        alive = np.ones(n, dtype=bool)
        for batch in [[i] for i in requests] if sequence else [requests]:
            first = np.full(place.shape[1:], n_slices)
            for row in batch:
                alive[row] = False
                if chosen[row]:
                    first = np.where(place[row], np.minimum(first, slices[row]), first)
            for row in batch:
                spare = np.flatnonzero(alive & ~chosen & (parts == parts[row]))
                if chosen[row] and len(spare):
                    chosen[spare[0]] = True
                chosen[row] = False
            for j in range(n_slices):
                learnt = chosen & (slices <= j if cumulative else slices == j)
                rows = place[learnt].sum(axis=0)
                total += passes[j] * rows[first <= j].sum()
    return total / repeats


CASES = {
    "shards": {"n_shards": 8},
    "replicas": {"n_shards": 6, "n_replicas": 2},
    "slices": {"n_slices": 4, "n_epochs": 3},
    "both": {"n_shards": 4, "n_slices": 3, "n_epochs": 2},
    "sequential slices": {
        "n_shards": 3,
        "n_slices": 4,
        "n_epochs": 2,
        "slice_training": "sequential",
    },
    "all of SISA": {"n_shards": 5, "n_slices": 3, "n_epochs": 5, "n_replicas": 3},
    "ordered": {"n_shards": 2, "n_slices": 3, "slice_proba": [0.05, 0.15, 0.8]},
    "unequal slices": {"n_shards": 3, "slice_sizes": (0.7, 0.2, 0.1), "n_epochs": 5},
    "likely last": {
        "n_shards": 2,
        "slice_sizes": (0.75, 0.25),
        "slice_proba": [0.3, 0.7],
    },
    "classes": {"partition": "class", "class_counts": [70, 35, 10, 5]},
    "sharded classes": {
        "partition": "class",
        "class_counts": [70, 35, 10, 5],
        "n_shards": 3,
        "n_slices": 2,
    },
    "negatives": {
        "partition": "class",
        "class_counts": [60, 40, 20],
        "n_negatives": 1,
        "n_shards": 2,
    },
    "selection": {"selection": 0.4},
    "selected blocks": {
        "partition": "class",
        "class_counts": [60, 40, 20],
        "selection": 0.4,
        "n_slices": 4,
        "slice_training": "sequential",
    },
    "nearly all selected": {"selection": 0.95, "n_shards": 4},
}


@pytest.mark.parametrize("sequence", [False, True], ids=["batch", "sequence"])
@pytest.mark.parametrize("case", thin(CASES, 3))
def test_simulated_layouts(case, sequence):
    """The mean over layouts and requests is met to 2 %."""
    settings = CASES[case]
    expected = expected_retrained_samples(120, 12, sequence=sequence, **settings)
    simulated = simulate(120, 12, sequence=sequence, repeats=1500, **settings)
    assert expected == pytest.approx(simulated, rel=0.02)


X = np.random.default_rng(0).normal(size=(600, 2))
Y = np.arange(600) % 2


@pytest.mark.parametrize(
    ("base", "settings"),
    [
        (GaussianNB(), {"n_shards": 6}),
        (GaussianNB(), {"n_shards": 3, "n_slices": 4, "n_epochs": 3}),
        (SGDClassifier(tol=None, max_iter=2), {"n_shards": 5, "n_replicas": 2}),
        (
            SGDClassifier(),
            {
                "n_shards": 2,
                "n_slices": 5,
                "n_epochs": 2,
                "slice_training": "sequential",
            },
        ),
        (GaussianNB(), {"n_shards": 2, "slice_sizes": (0.9, 0.1), "n_epochs": 4}),
    ],
)
@pytest.mark.parametrize("k", [pytest.param(1, marks=pytest.mark.thorough), 8])
def test_records_of_batches(base, settings, k):
    """The mean of what preview_forget tells is met to 2 %."""
    counts = []
    for seed in range(20):
        classifier = ShardedUnlearningClassifier(base, random_state=seed, **settings)
        classifier.fit(X, Y)
        counts += [
            classifier.preview_forget(request).n_samples_retrained
            for request in simulate_requests(
                600, 600 // k * k, batch_size=k, random_state=seed
            )
        ]
    expected = expected_retrained_samples(600, k, **settings)
    assert expected == pytest.approx(np.mean(counts), rel=0.02)


def test_records_of_sequences():
    """The rows that a stream of single requests trains are met to 2 %."""
    settings = {"n_shards": 4, "n_slices": 2, "n_epochs": 2}
    totals = []
    for seed in range(25):
        classifier = ShardedUnlearningClassifier(
            GaussianNB(), random_state=seed, **settings
        ).fit(X, Y)
        for request in simulate_requests(600, 25, random_state=seed):
            classifier.forget(request)
        records = classifier.forget_records_
        totals.append(sum(record.n_samples_retrained for record in records))
    expected = expected_retrained_samples(600, 25, sequence=True, **settings)
    assert expected == pytest.approx(np.mean(totals), rel=0.02)


def test_formulas_of_sisa():
    """Eq. 2, 3 and 4, for hashed shards."""
    n, k, s = 10_000, 20, 20
    batch = expected_retrained_samples(n, k, n_shards=s)
    assert batch == pytest.approx((n - k) * (1 - (1 - 1 / s) ** k))
    assert batch == pytest.approx(n * (1 - (1 - 1 / s) ** k) - k, abs=k)  # Eq. 3
    stream = expected_retrained_samples(n, k, n_shards=s, sequence=True)
    assert stream == pytest.approx(
        (n / s + 1 / (2 * s) - 1) * k - k**2 / (2 * s), abs=k
    )
    # Eq. 4, where the passes of Eq. 1 are whole
    sliced = expected_retrained_samples(n, n_slices=4, n_epochs=5)
    assert sliced == pytest.approx(5 * (n - 1) * (2 / 3 + 1 / 12))


def test_formulas_of_arcane():
    """Class split, selection, and blocks of which later ones are trained again."""
    n, counts = 1000, np.array([500, 300, 200])
    split = expected_retrained_samples(n, partition="class", class_counts=counts)
    assert split == pytest.approx((counts * (counts - 1)).sum() / n)
    even = expected_retrained_samples(n, partition="class", class_counts=np.ones(10))
    assert even == pytest.approx(n / 10 - 1)
    n, m, blocks = 10**5, 4 * 10**4, 10  # many, so that rounded quotas are no matter
    for u in (1, 5, 20, 100):
        missed = np.prod((n - m - np.arange(u)) / (n - np.arange(u)))
        selected = expected_retrained_samples(n, u, selection=0.4)
        assert selected == pytest.approx(m * (1 - missed), rel=1e-3)
        last = np.arange(1, blocks + 1) * m / blocks
        chain = expected_retrained_samples(
            n, u, selection=0.4, n_slices=blocks, slice_training="sequential"
        )
        left = (n - last[:, None] - np.arange(u)) / (n - np.arange(u))
        by_block = m / blocks * (1 - left.prod(axis=1))
        assert chain == pytest.approx(by_block.sum(), rel=0.01)


def test_formula_of_ordering():
    """A share of the requests in the last of B blocks, the others anywhere."""
    n, blocks, share = 10**6, 10, 0.9
    proba = np.full(blocks, (1 - share) / blocks)
    proba[-1] += share
    expected = n / blocks * (share + (1 - share) * (blocks + 1) / 2)
    ordered = expected_retrained_samples(
        n, n_slices=blocks, slice_proba=proba, slice_training="sequential"
    )
    assert ordered == pytest.approx(expected, rel=1e-5)


def test_passes_are_those_of_the_engine():
    """A request in each slice: every step is made, in as many passes."""
    for n_slices in (1, 2, 7, 30):
        for n_epochs in (1, 3, 20):
            policy = TrainingPolicy(
                "partial_fit", "partial_fit", True, n_slices, n_epochs
            )
            passes = [count_passes(policy, j) for j in range(n_slices)]
            rows = np.arange(1, n_slices + 1) / n_slices * (10**6 - 10**4)
            everything = expected_retrained_samples(
                10**6, 10**4, n_slices=n_slices, n_epochs=n_epochs
            )
            assert everything == pytest.approx((passes * rows).sum(), rel=1e-6)


@pytest.mark.parametrize("n", [7, 40, 1000])
@pytest.mark.parametrize("share", [0.3, 0.9, 1.0])
@pytest.mark.parametrize("p", [0.05, 0.5, 1.0])
def test_chance_to_miss(n, share, p):
    """The sum over how many requests are of the kind, each of which may be outside."""
    size = round(share * n)
    for k in {1, 2, n // 4, n // 2}:
        u = np.arange(min(size, k) + 1)
        exact = (hypergeom(n, size, k).pmf(u) * (1 - p) ** u).sum()
        missed = np.exp(log_miss(np.array(n), ((np.array(size), p),), np.array(k)))
        assert 1 - missed == pytest.approx(1 - exact, rel=1 / n)


def test_answers_at_once_for_any_number_of_rows():
    """Without arrays of that size, and without loss of digits."""
    settings = {
        "n_shards": 100,
        "n_slices": 50,
        "n_epochs": 20,
        "partition": "class",
        "class_counts": np.arange(1, 101),
        "selection": 0.3,
    }
    for sequence in (False, True):
        seconds = []
        for _ in range(5):
            start = time.perf_counter()
            expected_retrained_samples(10**9, 10**6, sequence=sequence, **settings)
            seconds.append(time.perf_counter() - start)
        assert min(seconds) < 0.01
    n = 10**9
    one = expected_retrained_samples(n, n_shards=1000, selection=0.5)
    assert one == pytest.approx(n / 2 * 0.5 / 1000 + 0.5, rel=1e-6)
    counts = np.array([1000, n - 1000])
    tiny = expected_retrained_samples(n, partition="class", class_counts=counts)
    assert tiny == pytest.approx((counts * (counts - 1)).sum() / n, rel=1e-7)


def test_arrays_are_broadcast():
    """Each entry is what the scalars give."""
    shards, requests = np.array([[1], [4], [9]]), np.array([0, 1, 7, 100])
    table = expected_retrained_samples(
        100, requests, n_shards=shards, n_slices=[1, 2, 3, 4], n_epochs=2
    )
    assert table.shape == (3, 4)
    for i, s in enumerate(shards.ravel()):
        for j, k in enumerate(requests):
            one = expected_retrained_samples(
                100, k, n_shards=s, n_slices=j + 1, n_epochs=2
            )
            assert isinstance(one, float)
            assert table[i, j] == pytest.approx(one)


@pytest.mark.parametrize("sequence", [False, True])
@pytest.mark.parametrize("partition", ["uniform", "class"])
def test_ends_of_the_range(partition, sequence):
    """Nothing is trained for no request; all rows at once leave nothing to train."""
    settings = {
        "n_shards": 3,
        "partition": partition,
        "class_counts": [1, 5, 0, 14],
        "sequence": sequence,
    }
    assert expected_retrained_samples(20, 0, **settings) == 0
    if not sequence:
        assert expected_retrained_samples(20, 20, **settings) == 0
    assert expected_retrained_samples(1, **settings) == 0


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"n_samples": 0}, "n_samples must be a whole number of at least 1"),
        ({"n_samples": np.inf}, "n_samples must be a whole number"),
        ({"n_requests": [1, np.inf]}, "n_requests must be a whole number"),
        ({"n_samples": "10"}, "n_samples must be a whole number"),
        ({"n_shards": 2.5}, "n_shards must be a whole number"),
        ({"n_shards": [2, 0]}, "n_shards must be a whole number"),
        ({"n_requests": -1}, "n_requests must be a whole number of at least 0"),
        ({"n_requests": 101}, "n_requests=101 and n_samples=100"),
        ({"n_replicas": 3, "n_shards": 2}, "at least as many shards"),
        ({"selection": 0}, r"selection must be in \(0, 1\]"),
        ({"selection": np.nan}, r"selection must be in \(0, 1\]"),
        ({"partition": "kmeans"}, "partition must be one of"),
        ({"slice_training": "greedy"}, "slice_training must be one of"),
        ({"partition": "class"}, "needs class_counts"),
        ({"partition": "class", "class_counts": [[1]]}, "class_counts must be a seq"),
        ({"partition": "class", "class_counts": [-1, 2]}, "class_counts must be a seq"),
        ({"n_negatives": 1}, "n_negatives is for"),
        (
            {"partition": "class", "class_counts": [1, 1], "n_negatives": 2},
            "more than the 2 classes",
        ),
        ({"slice_proba": [0.5, 0.5]}, "one share of the requests for each slice"),
        (
            {"slice_proba": [0, 1], "n_slices": 2, "n_requests": 60},
            "sends 60 requests to a slice of 50 rows",
        ),
    ],
)
def test_bad_input(arguments, match):
    """Messages name the parameter."""
    with pytest.raises(ValueError, match=match):
        expected_retrained_samples(**{"n_samples": 100, **arguments})

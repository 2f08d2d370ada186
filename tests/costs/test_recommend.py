"""Recommended settings meet the budget with as few shards as possible."""

import dataclasses
import json
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier
from support import make_data

from skunlearn import ShardedUnlearningClassifier
from skunlearn.costs import expected_retrained_samples, recommend_shards
from skunlearn.costs._curves import CostCurve, measure_curve
from skunlearn.exceptions import UnsupportedEstimatorError

X, Y = make_data(400)


class Clock:
    """Tells a time that training alone moves on."""

    now = 0.0


class Timed(ClassifierMixin, BaseEstimator):
    """Pretends to train: its time is a constant and a power of the rows."""

    def __init__(self, constant=0.0, power=1.0):
        self.constant = constant
        self.power = power

    def fit(self, X, y):
        """Take the time."""
        self.classes_ = np.unique(y)
        Clock.now += self.constant + (len(y) / 1000) ** self.power
        return self

    def predict(self, X):
        """Answer anything."""
        return np.repeat(self.classes_[:1], len(X))


@pytest.fixture
def clock(monkeypatch):
    """Let curves be measured by the pretended time."""
    fake = SimpleNamespace(perf_counter=lambda: Clock.now)
    monkeypatch.setattr("skunlearn.costs._curves.time", fake)


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("n_slices", [1, [1, 2, 8]])
def test_fewest_shards_within_the_budget(batch, n_slices):
    """One shard less would cost too much, whatever the slices."""
    settings = {"n_slices": n_slices, "n_epochs": 10, "batch": batch}
    best = recommend_shards(50_000, 3, 100_000, **settings)
    assert best.meets_budget
    assert best.n_samples_retrained <= 100_000
    fewer = expected_retrained_samples(
        50_000,
        3,
        n_shards=best.n_shards - 1,
        n_slices=n_slices,
        n_epochs=10,
        sequence=not batch,
    )
    assert np.min(fewer) > 100_000
    again = expected_retrained_samples(50_000, 3, sequence=not batch, **best.params)
    assert best.n_samples_retrained == pytest.approx(again)
    assert best.share == pytest.approx(
        again / (sum(passes_of(best.n_slices, 10)) * 50_000)
    )


def passes_of(n_slices, n_epochs):
    """Return the passes of each cumulative step, times the share of its rows."""
    ends = (4 * np.arange(n_slices + 1) * n_epochs + n_slices + 1) // (2 * n_slices + 2)
    return np.maximum(np.diff(ends), 1) * np.arange(1, n_slices + 1) / n_slices


def test_params_are_all_that_the_cost_was_told():
    """So set_params makes a classifier of that cost."""
    told = {"n_replicas": 2, "n_epochs": 3, "slice_training": "sequential"}
    best = recommend_shards(50_000, 3, 60_000, n_shards=[20, 40], n_slices=2, **told)
    for settings in (best, *best.alternatives):
        assert settings.params == {"n_shards": settings.n_shards, "n_slices": 2, **told}
    ShardedUnlearningClassifier().set_params(**best.params)


def test_no_settings_meet_the_budget():
    """The cheapest are returned, and say so."""
    best = recommend_shards(50_000, 1, 2)
    assert not best.meets_budget
    assert best.n_shards == 500  # of 100 rows each
    assert str(best).startswith("No settings meet 2 rows; the cheapest")


def test_table():
    """Alternatives are listed beside the settings, which are marked."""
    best = recommend_shards(1000, 1, 300, n_shards=(1, 4, 7, 12))
    assert (best.n_shards, best.n_slices) == (4, 1)
    assert [one.n_shards for one in best.alternatives] == [1, 7, 12]
    assert [one.meets_budget for one in best.alternatives] == [False, True, True]
    lines = str(best).splitlines()
    assert lines[0] == "The fewest shards within 300 rows are 4."
    assert [line[:8].split() for line in lines[2:]] == [
        ["1"],
        [">", "4"],
        ["7"],
        ["12"],
    ]
    assert json.dumps(dataclasses.asdict(best))
    with pytest.raises(dataclasses.FrozenInstanceError):
        best.n_shards = 1


def test_rate_of_part_of_a_request():
    """Half a request a day costs half as much; between numbers, in between."""
    cost = {
        rate: recommend_shards(1000, rate, 1, n_shards=5).n_samples_retrained
        for rate in (0.5, 1, 1.25, 2)
    }
    assert cost[0.5] == pytest.approx(cost[1] / 2)
    assert cost[1.25] == pytest.approx(0.75 * cost[1] + 0.25 * cost[2])


@pytest.mark.usefixtures("clock")
def test_base_that_costs_the_same_on_a_shard():
    """More shards do not help it, and make its fit dearer."""
    arguments = {"X": X, "y": Y, "n_shards": [1, 5, 20], "random_state": 0}
    flat = recommend_shards(
        400, 1, 5, estimator=Timed(constant=10, power=1), **arguments
    )
    assert not flat.meets_budget
    seconds = [one.seconds for one in (*flat.alternatives[:2], flat)]
    np.testing.assert_allclose(seconds, [10.4, 10.08, 10.02], rtol=0.01)
    fits = [one.fit_seconds for one in (*flat.alternatives[:2], flat)]
    np.testing.assert_allclose(fits, [10.4, 50.4, 200.4], rtol=0.01)
    linear = recommend_shards(400, 1, 0.09, estimator=Timed(), **arguments)
    assert linear.n_shards == 5
    assert linear.seconds == pytest.approx(0.08, rel=0.01)
    assert "0.0798" in str(linear)


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("power", [0.5, 1, 2])
def test_extrapolation(power):
    """Beyond the sample the curve goes on as the power that it is."""
    classifier = ShardedUnlearningClassifier(Timed(power=power), n_shards=1)
    curve = measure_curve(classifier, X, Y, n_repeats=2, random_state=0)
    assert 40 < curve.sizes[0] < 50
    assert 390 < curve.sizes[-1] < 400
    for n in (20, 100, 400, 4000):
        assert curve.predict(n) == pytest.approx((n / 1000) ** power, rel=0.15)


def test_noise_does_not_bend_the_curve_down():
    """More rows never take less time."""
    curve = CostCurve((10, 100, 1000), (1.0, 3.0, 2.0))
    seconds = curve.predict(np.geomspace(1, 1e5, 50))
    assert (np.diff(seconds) >= 0).all()
    assert CostCurve((10,), (2.0,)).predict(40) == pytest.approx(8)


@pytest.mark.usefixtures("clock")
def test_real_forget_takes_what_is_predicted():
    """For a stream of requests, by the pretended time."""
    base = Timed(constant=0.1, power=1.2)
    table = recommend_shards(
        400, 3, 1, estimator=base, X=X, y=Y, n_shards=[2, 7], random_state=0
    )
    predicted = {one.n_shards: one.seconds for one in (table, *table.alternatives)}
    rng = np.random.default_rng(0)
    for n_shards in (2, 7):
        spent = []
        for seed in range(200):
            classifier = ShardedUnlearningClassifier(
                base, n_shards=n_shards, random_state=seed
            ).fit(X, Y)
            before = Clock.now
            classifier.forget(rng.choice(400, 3, replace=False))
            spent.append(Clock.now - before)
        assert np.mean(spent) == pytest.approx(predicted[n_shards], rel=0.06)


class TimedDensity(BaseEstimator):
    """Pretends to train a one-class model."""

    def fit(self, X, y=None):
        """Take the time."""
        Clock.now += 0.1 + (len(X) / 1000) ** 1.2
        return self

    def score_samples(self, X):
        """Return zeros."""
        return np.zeros(len(X))


@pytest.fixture
def overhead(monkeypatch):
    """Let each request take some time that does not depend on what it trains."""
    forget = ShardedUnlearningClassifier.forget

    def slow_forget(self, *args, **arguments):
        Clock.now += 0.5
        return forget(self, *args, **arguments)

    monkeypatch.setattr(ShardedUnlearningClassifier, "forget", slow_forget)


def spend(base, rng, **settings):
    """Return what requests of 3 rows take on average, by the pretended time."""
    spent = []
    for seed in range(60):
        classifier = ShardedUnlearningClassifier(base, random_state=seed, **settings)
        classifier.fit(X, CODES)
        before = Clock.now
        classifier.forget(rng.choice(400, 3, replace=False))
        spent.append(Clock.now - before)
    return np.mean(spent)


CODES = np.repeat(np.arange(3), [200, 120, 80])


@pytest.mark.usefixtures("clock", "overhead")
@pytest.mark.parametrize(
    ("base", "settings"),
    [
        (Timed(0.1, 1.2), {"n_shards": 7, "n_replicas": 4}),
        (TimedDensity(), {"n_shards": 2, "partition": "class"}),
        (TimedDensity(), {"n_shards": 3, "n_replicas": 2, "partition": "class"}),
        (Timed(0.1, 1.2), {"n_shards": 2, "partition": "class", "n_negatives": 2}),
        (Timed(0.1, 1.2), {"n_shards": 3, "n_replicas": 2, "partition": "class"}),
    ],
    ids=str,
)
def test_what_a_request_takes_besides_counts_once(base, settings):
    """Whatever the shards that it trains, of replicas or of classes."""
    sample = {"estimator": base, "X": X, "y": CODES, "random_state": 0}
    batch, stream = (
        recommend_shards(400, 3, 1, batch=batch, **sample, **settings)
        for batch in (True, False)
    )
    measured = spend(base, np.random.default_rng(0), **settings)
    assert batch.seconds == pytest.approx(measured, rel=0.08)
    # Beside what it trains, which is the same in both up to shards hit twice:
    assert stream.seconds - batch.seconds > 2 * 0.5 - 0.05
    ShardedUnlearningClassifier(base).set_params(**batch.params)
    assert {name: batch.params[name] for name in settings} == settings


def test_rows_by_class():
    """Without an estimator the cost is that of the closed form."""
    counts = {"partition": "class", "class_counts": [600, 300, 100]}
    for n_negatives in (0, 1):
        settings = {**counts, "n_negatives": n_negatives}
        best = recommend_shards(1000, 2, 500, n_shards=[1, 3], **settings)
        for one in (best, *best.alternatives):
            expected = expected_retrained_samples(
                1000, 2, n_shards=one.n_shards, **settings
            )
            assert one.n_samples_retrained == pytest.approx(expected)
            passes = 1000 * (1 + n_negatives)
            assert one.share == pytest.approx(expected / passes)
            assert one.params["partition"] == "class"
            assert one.params.get("n_negatives", 0) == n_negatives
    many = recommend_shards(30_000, 1, 1, **counts)
    assert many.n_shards == 100  # of 100 rows each, in each class


def test_one_class_models_need_classes():
    """The error of fit says so."""
    with pytest.raises(UnsupportedEstimatorError, match="partition='class'"):
        recommend_shards(400, 1, 1, estimator=TimedDensity(), X=X, y=Y)


def test_slices_where_the_base_can_resume():
    """They are left out for a base that cannot."""
    arguments = {"X": X, "y": Y, "n_shards": [2, 4], "n_slices": [1, 3]}
    tree = recommend_shards(
        400, 1, 1e-9, estimator=DecisionTreeClassifier(), n_repeats=1, **arguments
    )
    assert {one.n_slices for one in (tree, *tree.alternatives)} == {1}
    for base in (GaussianNB(), LogisticRegression()):
        both = recommend_shards(400, 1, 1e-9, estimator=base, n_repeats=1, **arguments)
        assert {one.n_slices for one in (both, *both.alternatives)} == {1, 3}
    with pytest.raises(UnsupportedEstimatorError, match="n_slices=3"):
        recommend_shards(
            400, 1, 1, estimator=DecisionTreeClassifier(), X=X, y=Y, n_slices=3
        )


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"n_samples": 0}, "n_samples must be a whole number"),
        ({"request_rate": 0}, "request_rate must be a number above 0"),
        ({"request_rate": 100}, "at most n_samples - 1.*n_samples=100"),
        ({"request_rate": 99.5}, "so that a row is left"),
        ({"max_cost": "cheap"}, "max_cost must be a number above 0"),
        ({"max_cost": np.nan}, "max_cost must be a number above 0"),
        ({"n_shards": []}, "n_shards must name at least one"),
        ({"n_shards": [0]}, "n_shards must be a whole number"),
        ({"n_slices": 1.5}, "n_slices must be a whole number"),
        ({"n_replicas": 0}, "n_replicas must be a whole number"),
        ({"n_replicas": 3, "n_shards": 2}, "at least as many shards"),
        ({"n_replicas": [1, 2]}, "n_replicas must be a single number"),
        ({"n_epochs": [1, 2]}, "n_epochs must be a single number"),
        ({"partition": "random"}, "partition must be one of"),
        ({"partition": "class"}, "needs class_counts"),
        (
            {
                "estimator": TimedDensity(),
                "X": X[:99],
                "y": Y[:99],
                "partition": "class",
            },
            "at least 150 rows, 50 for each class, to measure",
        ),
        ({"n_negatives": 1}, "n_negatives is for partition"),
        ({"class_counts": [1, 1]}, "class_counts is for partition"),
        (
            {"partition": "class", "class_counts": [1, 1], "n_negatives": 2},
            "more than the 2 classes",
        ),
        ({"slice_training": "greedy"}, "slice_training must be one of"),
        ({"estimator": GaussianNB()}, "estimator, X and y must be given together"),
        ({"X": X, "y": Y}, "estimator, X and y must be given together"),
        ({"estimator": GaussianNB(), "X": X, "y": Y[:3]}, "inconsistent numbers"),
        ({"estimator": GaussianNB(), "X": X[:9], "y": Y[:9]}, "at least 50 rows"),
    ],
)
def test_bad_input(arguments, match):
    """Messages name the parameter."""
    with pytest.raises(ValueError, match=match):
        recommend_shards(
            **{"n_samples": 100, "request_rate": 1, "max_cost": 9, **arguments}
        )


LIKELY = np.where(np.arange(1000) % 10 == 0, 0.9, 0.1 / 9)  # a tenth gets 90 %


def test_likely_rows_are_in_the_last_slice():
    """A skewed stream over unequal slices costs what the closed form says."""
    best = recommend_shards(
        10_000, 3, 5_000, n_shards=4, slice_sizes=(0.9, 0.1), forget_proba=LIKELY
    )
    expected = expected_retrained_samples(
        10_000, 3, n_shards=4, slice_sizes=(0.9, 0.1), slice_proba=(0.1, 0.9)
    )
    assert best.n_samples_retrained == pytest.approx(expected)
    assert best.params["slice_sizes"] == (0.9, 0.1)
    assert best.params["n_slices"] == 1
    ShardedUnlearningClassifier().set_params(**best.params)


def test_sizes_of_slices_are_candidates():
    """Those that meet the budget with the fewest shards win, whatever their slices."""
    sizes = [(1.0,), (0.9, 0.1), (0.5, 0.5)]
    choose = partial(
        recommend_shards,
        *(10_000, 1, 4_000),
        n_shards=[1, 2, 4],
        slice_sizes=sizes,
        slice_training="sequential",
    )
    best, uniform = choose(forget_proba=LIKELY), choose()
    assert len(best.alternatives) == 8
    assert best.n_samples_retrained < uniform.n_samples_retrained


@pytest.mark.parametrize("sizes", [(), (0.5, -0.5), [(0.9, 0.1), "ab"], 3])
def test_sizes_that_are_none(sizes):
    """They are named."""
    with pytest.raises(ValueError, match="slice_sizes"):
        recommend_shards(10_000, 1, 5_000, slice_sizes=sizes)


def test_sizes_and_numbers_of_slices():
    """One of them says how many slices there are."""
    with pytest.raises(ValueError, match="n_slices"):
        recommend_shards(10_000, 1, 5_000, n_slices=[1, 2], slice_sizes=(0.9, 0.1))


@pytest.mark.thorough
@pytest.mark.parametrize(
    "base",
    [HistGradientBoostingClassifier(max_iter=30), RandomForestClassifier(30)],
    ids=["hist", "forest"],
)
def test_seconds_of_a_last_slice(base):
    """Growing ensembles take less for late rows than their rows tell."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 5))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    settings = {"estimator": base, "X": X, "y": y, "n_shards": 2}
    sizes = [(1.0,), (0.9, 0.1)]
    late = recommend_shards(
        3000, 1, 1e-9, slice_sizes=sizes, forget_proba=LIKELY, **settings
    )
    assert late.slice_sizes == (0.9, 0.1)  # the cheapest
    (plain,) = (one for one in late.alternatives if one.n_slices == 1)
    assert late.seconds < 0.7 * plain.seconds

"""Audits find what was not forgotten, and nothing else; they know their power."""

import copy
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.mixture import GaussianMixture
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skunlearn import InfluenceUnlearningClassifier, ShardedUnlearningClassifier
from skunlearn._data.rows import Erasure
from skunlearn.exceptions import ForgetIndexError, UnsupportedEstimatorError
from skunlearn.metrics import audit_forget
from skunlearn.metrics._audit.identical import are_identical
from skunlearn.sharding._plans import plan_removal
from skunlearn.sharding._training.shard import Shards

LAYOUTS = [
    (DecisionTreeClassifier(), {"n_shards": 5}),
    (RandomForestClassifier(3), {"n_shards": 3}),
    (KNeighborsClassifier(), {"n_shards": 4, "n_replicas": 2}),
    (LogisticRegression(), {"n_shards": 2, "n_slices": 3}),
    (SGDClassifier(max_iter=3, tol=None), {"n_slices": 2, "n_shards": 2}),
    (GaussianNB(), {"n_shards": 3, "partition": "class", "n_negatives": 1}),
    (GaussianMixture(reg_covar=0.1), {"n_shards": 2, "partition": "class"}),
    (SVC(), {"n_shards": 3, "selection": 0.7}),
    (GaussianNB(), {"partition": "distribution_aware"}),
]


def make_data(n=200, seed=0, flip=0.3):
    return make_classification(
        n, n_features=6, n_informative=4, flip_y=flip, random_state=seed
    )


def fit(seed, n=200):
    """Return a fitted classifier of one of the layouts, and its data."""
    base, layout = LAYOUTS[seed % len(LAYOUTS)]
    X, y = make_data(n, seed)
    params = {}
    if layout.get("partition") == "distribution_aware":
        params["forget_proba"] = np.random.default_rng(seed).uniform(0, 0.1, n)
    classifier = ShardedUnlearningClassifier(base, random_state=seed, **layout)
    return classifier.fit(X, y, **params), X, y


def do_nothing(classifier, rows):
    """The request was lost."""


def miss_one_row(classifier, rows):
    """The request was cut short."""
    classifier.forget(rows[:-1])


def drop_without_retraining(classifier, rows):
    """The rows are gone, and the constituents are what they were."""
    state = classifier._state
    plan, erasure = plan_removal(state, rows), Erasure()
    shards = tuple(
        replace(new, states=old.states, pending=rows[:0])
        for new, old in zip(plan.state.shards, state.shards, strict=True)
    )
    classifier._state = replace(plan.state, shards=shards).without_rows(rows, erasure)
    erasure.carry_out()


def ask_only(classifier, rows):
    """The request was previewed, and never made."""
    classifier.preview_forget(rows)


MUTANTS = [do_nothing, miss_one_row, drop_without_retraining, ask_only]


def replay(classifier, X, y, rows):
    fresh = X[:1], y[:1]
    return audit_forget(
        classifier, X[rows], y[rows], *fresh, X_idx=rows, method="replay"
    )


def choose(seed, n=200):
    rng = np.random.default_rng(seed)
    return np.sort(rng.choice(n, rng.integers(1, 8), replace=False))


def find_missed(seeds):
    """Return which mutants were not found, and which exact forgets were flagged."""
    missed, alarms = [], []
    for seed in seeds:
        classifier, X, y = fit(seed)
        rows = choose(seed)
        mutant = MUTANTS[(seed // len(LAYOUTS)) % len(MUTANTS)]
        wrong = copy.deepcopy(classifier)
        mutant(wrong, rows)
        if not replay(wrong, X, y, rows).flagged:
            missed.append((seed, mutant.__name__))
        if replay(classifier.forget(rows), X, y, rows).flagged:
            alarms.append(seed)
    return missed, alarms


def test_replay_finds_mutants():
    """Each of them, in some layouts."""
    assert find_missed(range(0, 36, 5)) == ([], [])


@pytest.mark.thorough
def test_replay_finds_mutants_in_every_layout():
    """Each of them."""
    assert find_missed(range(36)) == ([], [])


@pytest.mark.exhaustive
def test_replay_finds_three_hundred_mutants():
    """With no false alarm."""
    assert find_missed(range(300)) == ([], [])


@pytest.mark.parametrize("seed", range(len(LAYOUTS)))
def test_replay_changes_nothing(seed):
    """Neither the classifier nor what it answers; frames and deferred forgets too."""
    classifier, X, y = fit(seed, 120)
    rows = choose(seed, 120)
    classifier.forget(rows, retrain=False)
    before = classifier.predict(X)
    assert not replay(classifier, X, y, rows).flagged
    np.testing.assert_array_equal(classifier.predict(X), before)
    assert len(classifier.forget_records_) == 1
    assert not replay(classifier.retrain(), X, y, rows).flagged


def test_replay_after_groups_new_rows_and_lost_classes():
    """Whatever a classifier went through."""
    X, y = make_data(150)
    frame, labels = pd.DataFrame(X, columns=list("abcdef")), np.array(["n", "y"])[y]
    labels[:3] = "rare"
    groups = np.repeat(np.arange(50), 3)
    classifier = ShardedUnlearningClassifier(GaussianNB(), n_slices=2, random_state=0)
    classifier.fit(frame[:120], labels[:120], groups=groups[:120])
    classifier.partial_fit(frame[120:], labels[120:], groups=groups[120:])
    classifier.forget(groups=[0, 7, 45])
    rows = classifier.forgotten_indices_
    data = frame.iloc[rows], labels[rows], frame[:1], labels[:1]
    pipeline = make_pipeline(FunctionTransformer(), classifier)
    for model in (classifier, pipeline):
        report = audit_forget(model, *data, X_idx=rows, method="replay")
        assert not report.flagged
        assert report.power == 1.0
    assert "not flagged" in str(report)


@pytest.mark.parametrize("method", ["replay", "attack"])
def test_labels_that_are_objects(method):
    """Those of forgotten rows are overwritten, and are not compared with others."""
    X, y = make_data(200)
    y = np.array(["no", "yes"], dtype=object)[y]
    classifier = ShardedUnlearningClassifier(GaussianNB(), random_state=0)
    classifier.fit(X[:150], y[:150]).forget(range(30))
    data = X[:30], y[:30], X[150:], y[150:]
    report = audit_forget(
        classifier, *data, X_idx=range(30), method=method, random_state=0
    )
    assert not report.flagged


def test_replay_says_what_is_wrong():
    """In words, with the shards, and without values."""
    classifier, X, y = fit(0)
    rows = np.arange(5)
    report = replay(classifier, X, y, rows)
    assert "5 of 5 rows are retained" in str(report)
    drop_without_retraining(classifier, rows)
    assert "that its retained rows do not give" in str(replay(classifier, X, y, rows))
    classifier, X, y = fit(0)
    swap = Shards(list(classifier._state.shards)[::-1])
    classifier._state = replace(classifier._state, shards=swap)
    assert "other rows than" in str(replay(classifier, X, y, rows))


def count_flags(n_tries, base, forget, n_rows=60, start=0, **params):
    """Return how many audits by attack are flagged, and their mean power."""
    flags, power = 0, 0.0
    for seed in range(start, start + n_tries):
        X, y = make_data(600, seed)
        rows = np.sort(np.random.default_rng(seed).choice(400, n_rows, replace=False))
        classifier = ShardedUnlearningClassifier(base, random_state=seed, **params)
        classifier.fit(X[:400], y[:400])
        if forget:
            classifier.forget(rows)
        data = X[rows], y[rows], X[400:], y[400:]
        report = audit_forget(classifier, *data, X_idx=rows, random_state=seed)
        flags, power = flags + report.flagged, power + report.power / n_tries
    return flags, power


def test_attack_on_owners():
    """The mean of the constituents hides what the owners show."""
    tree = DecisionTreeClassifier()
    flags, power = count_flags(2, tree, False, n_shards=10)
    assert flags == 2
    assert power > 0.9
    assert count_flags(2, tree, True, n_shards=10)[0] == 0


@pytest.mark.exhaustive
def test_attack_flags_a_hundred_of_a_hundred():
    """Sixty rows that overfitted trees still know."""
    flags, power = count_flags(100, DecisionTreeClassifier(), False, n_shards=10)
    assert flags == 100
    assert power > 0.95


@pytest.mark.exhaustive
def test_attack_has_few_false_alarms():
    """At most one per cent in a thousand exact forgets."""
    tree = DecisionTreeClassifier()
    assert count_flags(1000, tree, True, n_shards=10)[0] <= 10


def attack_any(seed, n_rows, trained):
    X, y = make_data(600, seed)
    rows = np.arange(n_rows)
    tree = DecisionTreeClassifier(random_state=0)
    tree.fit(X[0 if trained else n_rows : 400], y[0 if trained else n_rows : 400])
    data = X[rows], y[rows], X[400:], y[400:]
    return audit_forget(tree, *data, random_state=seed)


def test_attack_on_any_classifier():
    """By ranks of likelihood ratios; a classifier without the rows is not flagged."""
    reports = [attack_any(seed, 60, True) for seed in range(2)]
    assert all(report.flagged and report.power > 0.5 for report in reports)
    assert all(report.test == "likelihood" for report in reports)
    assert not any(attack_any(seed, 60, False).flagged for seed in range(2))


@pytest.mark.exhaustive
def test_attack_on_any_classifier_has_few_false_alarms():
    """At most one per cent in a thousand classifiers that never had the rows."""
    assert sum(attack_any(seed, 60, False).flagged for seed in range(1000)) <= 10


@pytest.mark.parametrize("sharded", [True, False])
def test_no_power_is_said(sharded):
    """A constant, or too few rows: nothing can be seen, and the report says so."""
    X, y = make_data(200)
    data = X[:3], y[:3], X[100:], y[100:]
    base = DummyClassifier(strategy="uniform")
    if sharded:
        base = ShardedUnlearningClassifier(base, n_shards=2, random_state=0)
    report = audit_forget(
        base.fit(X[:100], y[:100]), *data, X_idx=[0, 1, 2], random_state=0
    )
    assert not report.flagged
    assert report.power < 0.1
    assert "no power" in str(report)
    assert "No power" in report.findings[0]


@pytest.mark.thorough
def test_attack_on_other_classifiers_of_ours():
    """By class, and by influence: the likelihood test."""
    X, y = make_data(300)
    data = X[:20], y[:20], X[200:], y[200:]
    for classifier in (
        ShardedUnlearningClassifier(GaussianNB(), partition="class", random_state=0),
        InfluenceUnlearningClassifier(),
    ):
        classifier.fit(X[:200], y[:200]).forget(np.arange(20))
        report = audit_forget(classifier, *data, X_idx=np.arange(20), random_state=0)
        assert report.test == "likelihood"
        assert not report.flagged


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"method": "magic"}, ValueError, "method must be"),
        ({"alpha": 5}, ValueError, "alpha must be"),
        ({"method": "replay", "X_idx": None}, ValueError, "requires X_idx"),
        ({"method": "replay", "X_idx": []}, ValueError, "names no rows"),
        ({"X_idx": [0]}, ValueError, "X_idx names 1 rows, and X_forget has 5"),
        ({"X_idx": [9999]}, ForgetIndexError, "9999"),
        ({"X_idx": [9999], "method": "replay"}, ForgetIndexError, "9999"),
    ],
)
def test_wrong_arguments_are_errors(changes, error, message):
    classifier, X, y = fit(0)
    arguments = {"X_idx": np.arange(5)} | changes
    with pytest.raises(error, match=message):
        audit_forget(classifier, X[:5], y[:5], X[5:], y[5:], **arguments)


def test_labels_of_another_kind_are_an_error():
    classifier, X, y = fit(0)
    with pytest.raises(ValueError, match="as they were passed to fit"):
        audit_forget(classifier, X[:2], ["a", "b"], X, y, X_idx=[0, 1])


def test_positions_go_with_rows_in_any_order():
    """As they are named."""
    classifier, X, y = fit(0)
    reports = [
        audit_forget(classifier, X[i], y[i], X, y, X_idx=i, random_state=0)
        for i in (np.arange(30), np.arange(30)[::-1].copy())
    ]
    assert reports[0].flagged == reports[1].flagged
    assert reports[0].p_values == reports[1].p_values


def test_replay_of_other_classifiers_is_an_error():
    X, y = make_data()
    other = LogisticRegression().fit(X, y)
    with pytest.raises(UnsupportedEstimatorError, match="Use method='attack'"):
        audit_forget(other, X, y, X, y, X_idx=[0], method="replay")


def test_identity_of_estimators():
    """Of the same bits, and not of nearly the same."""
    X, y = make_data()
    for base, _ in LAYOUTS[:5]:
        base = clone(base)
        if "random_state" in base.get_params():
            base.set_params(random_state=0)
        first, second = clone(base).fit(X, y), clone(base).fit(X, y)
        assert are_identical(first, second)
        assert not are_identical(first, clone(base).fit(X[1:], y[1:]))
    first.coef_[0, 0] = np.nextafter(first.coef_[0, 0], 1)
    assert not are_identical(first, second)
    assert are_identical({"a": np.nan}, {"a": float("nan")})
    assert not are_identical([1], [1, 2])
    assert not are_identical(1, 1.0)
    assert are_identical(json.loads("[1, {}]"), [1, {}])

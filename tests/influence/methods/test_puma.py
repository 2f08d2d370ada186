"""PUMA: removals that leave a criterion alone, and what they may not do for it."""

import warnings

import numpy as np
import pytest
from influence_reference import Convex, Written, measure, read
from influence_support import BASES, make_rows
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.metrics import log_loss

from skunlearn import InfluenceUnlearningClassifier
from skunlearn.exceptions import UnlearningQualityWarning
from skunlearn.influence._criteria import find_criterion
from skunlearn.influence._methods import linear_step
from skunlearn.influence._methods.reweighting import Reweighting


@pytest.fixture(scope="module")
def data():
    """Return the convex test."""
    return Convex()


def fit(data, **params):
    """Return a classifier fitted to the convex test, with rows for the criterion."""
    classifier = InfluenceUnlearningClassifier(
        data.base,
        random_state=0,
        **{"method": "puma", "exact": False, "tol": 1e-9, **params},
    )
    return classifier.fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val)


def find_helpful(data, n=100):
    """Return the rows whose removal would harm the criterion most."""
    return np.argsort(fit(data).contributions())[-n:]


def assess(classifier, data, rows):
    """Return the criterion, and the loss on the rows to forget."""
    pairs = (data.X_val, data.y_val), (data.X[rows], data.y[rows])
    labels = range(data.n_classes)
    return np.array(
        [log_loss(y, classifier.predict_proba(X), labels=labels) for X, y in pairs]
    )


# Contributions


def retrain_without(classifier, X, codes, row):
    """Return the criterion's change by leaving a row out, by an optimum found anew."""
    w = np.ones(len(codes))
    w[row] = 0
    written = Written(classifier.estimator_, X, codes, w)
    return written.optimise(read(classifier)).astype(float)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize(
    "base",
    [
        LogisticRegression(C=0.1),
        RidgeClassifier(alpha=3.0),
        SGDClassifier("log_loss", alpha=0.05, max_iter=5, tol=None),
    ],
)
def test_contributions_are_those_of_leaving_out(base, class_weight):
    """To first order; what a row does to class weights and penalties included."""
    X, codes = make_rows(160, 3, 2, seed=0)
    X, X_val, codes, codes_val = X[:80], X[80:], codes[:80], codes[80:]
    base = clone(base).set_params(class_weight=class_weight)
    classifier = InfluenceUnlearningClassifier(base, method="puma")
    classifier.fit(X, codes, X_val=X_val, y_val=codes_val)
    criterion = find_criterion("log_loss")
    ones = np.column_stack([X_val, np.ones(80)])

    def judge(theta):
        return criterion.value(ones @ theta.ravel().astype(float), codes_val)

    rest = [retrain_without(classifier, X, codes, row) for row in range(80)]
    changes = np.array([judge(theta) for theta in rest]) - judge(read(classifier))
    contributions = classifier.contributions()
    assert np.corrcoef(contributions, changes)[0, 1] > 0.99
    assert np.polyfit(contributions, changes, 1)[0] == pytest.approx(1, abs=0.1)


def test_contributions_of_several_classes(data):
    """On the convex test they are as good as exact."""
    classifier = fit(data)
    contributions = classifier.contributions()
    rows = np.argsort(contributions)[:: data.n_rows // 20]
    before = assess(classifier, data, rows)[0]
    changes = []
    for row in rows:
        other = fit(data, method="newton").forget(row)
        changes.append(assess(other, data, rows)[0] - before)
    assert np.corrcoef(contributions[rows], changes)[0, 1] > 0.999
    slope = np.polyfit(contributions[rows], changes, 1)[0]
    assert slope == pytest.approx(1, abs=0.03)


# What is held, and what is kept


class Overlapping(Convex):
    """Classes that overlap: what their helpful rows said is not said by others."""

    n_rows = 1000

    def __init__(self):
        X, y = make_classification(
            2000, 20, n_informative=8, n_classes=4, flip_y=0.1, random_state=0
        )
        (self.X, self.X_val), (self.y, self.y_val) = (
            np.split(v, [1000]) for v in (X, y)
        )
        self.base = LogisticRegression()


@pytest.fixture(scope="module")
def hard():
    """Return the rows of overlapping classes."""
    return Overlapping()


def test_helpful_rows(data):
    """The criterion is held, and three quarters of the removal stay: as measured."""
    rows = find_helpful(data)
    before = assess(fit(data), data, rows)
    retrained = fit(data, method="newton").forget(rows)
    puma = fit(data).forget(rows)
    retrained, change = (assess(m, data, rows) - before for m in (retrained, puma))
    assert abs(change[0]) <= 0.02 * retrained[0]
    assert change[1] >= 0.745 * retrained[1]
    record = puma.forget_records_[-1]
    assert record.criterion_change_actual == pytest.approx(change[0])
    assert record.criterion_change_retrained == pytest.approx(retrained[0])
    assert record.removal_kept == pytest.approx(change[1] / retrained[1])
    assert record.eta == 1
    assert record.weights_changed == pytest.approx(
        (puma.weights_[puma.weights_ > 0] != 1).mean()
    )
    assert measure(puma, data.X, data.y) <= puma.distance_bound_ < 1e-6


def test_cap_on_reabsorption(hard):
    """The less may be put back, the more of the removal stays; it has its price."""
    rows = find_helpful(hard, 50)
    caps = (0.0, 0.1, 0.25, 0.5, 0.75)
    records = [
        fit(hard, max_reabsorption=cap).forget(rows).forget_records_[-1] for cap in caps
    ]
    held = [r.criterion_change_actual / r.criterion_change_retrained for r in records]
    assert (np.diff(held) < -0.05).all()
    assert held[2] < 0.75
    kept = [record.removal_kept for record in records]
    np.testing.assert_allclose(kept, 1 - np.array(caps), atol=0.005)
    free = fit(hard, max_reabsorption=1.0).forget(rows).forget_records_[-1]
    assert abs(free.criterion_change_actual) < 0.02 * free.criterion_change_retrained


@pytest.mark.parametrize("name", ["data", "hard"])
def test_one_sided_rule(name, request):
    """A removal that helps is not undone: no weight changes, as with newton."""
    data = request.getfixturevalue(name)
    rows = np.argsort(fit(data).contributions())[:50]
    puma, newton = fit(data).forget(rows), fit(data, method="newton").forget(rows)
    weights = np.ones(data.n_rows)
    weights[rows] = 0
    np.testing.assert_array_equal(puma.weights_, weights)
    np.testing.assert_array_equal(read(puma), read(newton))
    record = puma.forget_records_[-1]
    assert record.criterion_change_actual == record.criterion_change_retrained < 0
    assert (record.eta, record.weights_changed, record.removal_kept) == (0, 0, 1)


@pytest.mark.parametrize("share", [0.01, 0.05])
@pytest.mark.parametrize("seed", range(3))
def test_random_rows(hard, seed, share):
    """The criterion is held to a fiftieth of the harm, and the removal stays."""
    n_forgotten = round(share * hard.n_rows)
    rows = np.random.default_rng(seed).choice(hard.n_rows, n_forgotten, replace=False)
    record = fit(hard).forget(rows).forget_records_[-1]
    harm = record.criterion_change_retrained
    if harm > 0:
        assert abs(record.criterion_change_actual) <= 0.02 * harm
        assert record.removal_kept >= 0.745
    else:
        assert record.weights_changed == 0


# Weights


@pytest.mark.parametrize("eta", ["auto", 1.0])
@pytest.mark.parametrize("max_weight", [0.0, 0.02, 1.0])
def test_weights_stay_in_their_box(hard, max_weight, eta):
    """Between 0 and 1 + max_weight, whatever came before; the bound holds for them."""
    order = np.argsort(fit(hard).contributions())[::-1]
    classifier = fit(hard, max_weight=max_weight, max_reabsorption=0.9, eta=eta)
    for rows in np.split(order[:90], 3):
        weights = classifier.forget(rows).weights_
        assert (weights >= 0).all()
        assert (weights <= 1 + max_weight + 1e-12).all()
        assert not weights[classifier.forgotten_indices_].any()
    assert measure(classifier, hard.X, hard.y) <= classifier.distance_bound_
    record = classifier.forget_records_[-1]
    assert record.criterion_change_actual < record.criterion_change_retrained


def test_least_weights(hard):
    """No other weights with this optimum are nearer to 1, but for rounding."""
    classifier = fit(hard).forget(find_helpful(hard, 50))
    kept = classifier.weights_ > 0
    X = np.column_stack([hard.X, np.ones(hard.n_rows)])[kept]
    P = classifier.predict_proba(hard.X)[kept]
    P[np.arange(len(P)), hard.y[kept]] -= 1
    G = (P[:, :, None] * X[:, None]).reshape(len(X), -1)
    penalty = np.column_stack([classifier.coef_, np.zeros(4)]).ravel()
    least = np.linalg.lstsq(G.T, -penalty - G.sum(axis=0), rcond=1e-10)[0]
    changes = classifier.weights_[kept] - 1
    assert np.abs(changes - least).max() < 0.02 * np.abs(least).max()
    assert changes @ changes <= least @ least * 1.001


def test_overlay_is_made_from_scratch(hard):
    """The weights of a request do not depend on those of earlier ones, nor on how."""
    order = np.argsort(fit(hard).contributions())[::-1]
    first, second, others = np.split(order[:90], 3)
    puma = fit(hard).forget(first).forget(others).forget(second)
    plain = fit(hard).set_params(method="newton").forget(first).forget(others)
    plain.set_params(method="puma").forget(second)
    np.testing.assert_array_equal(puma.weights_, plain.weights_)
    np.testing.assert_array_equal(read(puma), read(plain))
    again = fit(hard).forget(first).forget(others)
    again.set_params(method="newton").forget(second)
    newton = fit(hard, method="newton").forget(order[:90])
    np.testing.assert_allclose(read(again), read(newton), atol=1e-6)
    assert set(again.weights_) == {0.0, 1.0}


def test_criterion_is_that_of_fit(hard):
    """Over a sequence the record counts from there, and so does what is held."""
    order = np.argsort(fit(hard).contributions())[::-1]
    classifier = fit(hard, max_reabsorption=1.0)
    start = assess(classifier, hard, order[:1])[0]
    for rows in np.split(order[:90], 3):
        classifier.forget(rows)
        record = classifier.forget_records_[-1]
        change = assess(classifier, hard, rows)[0] - start
        assert record.criterion_change_actual == pytest.approx(change)
        assert change <= 0.1 * record.criterion_change_retrained


def test_nothing_new_to_forget_changes_nothing(hard):
    """A request that comes twice leaves weights and parameters alone."""
    rows = find_helpful(hard, 50)
    classifier = fit(hard).forget(rows)
    weights, theta = classifier.weights_, read(classifier)
    classifier.forget(rows[:7])
    np.testing.assert_array_equal(classifier.weights_, weights)
    np.testing.assert_array_equal(read(classifier), theta)


def test_forgotten_rows_of_the_criterion(hard):
    """By groups; what the criterion is without them is what is held from then on."""
    X, y = np.vstack([hard.X, hard.X_val]), np.concatenate([hard.y, hard.y_val])
    groups = np.array([f"g{i // 5}" for i in range(len(y))])
    classifier = InfluenceUnlearningClassifier(
        hard.base, method="puma", validation_fraction=0.3, random_state=0
    ).fit(X, y, groups=groups)
    held = classifier.weights_.reshape(-1, 5) == 0
    assert (held.all(axis=1) == held.any(axis=1)).all()
    held = np.flatnonzero(held.all(axis=1))

    def judge(groups):
        inside = np.flatnonzero(np.isin(np.arange(len(y)) // 5, groups))
        return log_loss(y[inside], classifier.predict_proba(X[inside]), labels=range(4))

    start = judge(held[20:])
    classifier.forget(groups=[f"g{i}" for i in held[:20]])
    assert not len(np.setdiff1d(classifier.weights_, [0, 1]))
    rows = np.argsort(classifier.contributions())[-40:]
    classifier.forget(classifier.retained_indices_[rows])
    record = classifier.forget_records_[-1]
    change = judge(held[20:]) - start
    assert record.criterion_change_actual == pytest.approx(change)
    assert change < 0.75 * record.criterion_change_retrained
    weights = classifier.weights_
    classifier.forget(groups=[f"g{i}" for i in held[20:25]])
    np.testing.assert_array_equal(classifier.weights_, weights)


@pytest.mark.filterwarnings("ignore::skunlearn.exceptions.UnlearningQualityWarning")
@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("name", ["logistic", "ridge", "svc", "sgd_log", "sgd_huber"])
def test_every_base(name, class_weight):
    """Class weights and penalties that follow the weights included; with a bound."""
    X, codes = make_rows(400, 4, 3, seed=3)
    X, X_val, codes, codes_val = X[:200], X[200:], codes[:200], codes[200:]
    weight = np.random.default_rng(0).uniform(0.5, 2, 200)
    base = clone(BASES[name]).set_params(class_weight=class_weight)
    classifier = InfluenceUnlearningClassifier(base, method="puma")
    classifier.fit(X, codes, weight, X_val=X_val, y_val=codes_val)
    classifier.forget(np.argsort(classifier.contributions())[-10:])
    record = classifier.forget_records_[-1]
    assert record.removal_kept >= 0.74
    assert record.criterion_change_actual < 0.6 * record.criterion_change_retrained
    assert classifier.weights_.min() >= 0
    assert classifier.weights_.max() <= 2
    assert measure(classifier, X, codes, weight) <= classifier.distance_bound_ < 1e-5


def test_what_has_no_dense_hessian_is_not_reweighted(hard):
    """It forgets as newton does, and a warning names that."""
    rows = find_helpful(hard, 20)
    classifier = fit(hard, solver="cg")
    with pytest.warns(UnlearningQualityWarning, match="method='newton'"):
        classifier.forget(rows)
    record = classifier.forget_records_[-1]
    assert record.eta == 0
    assert record.criterion_change_actual == record.criterion_change_retrained > 0


def test_hundreds_of_parameters_are_warned_of():
    """There a request takes longer than a refit, and newton is named."""
    X, y = make_rows(120, 25, 10, seed=0)
    classifier = InfluenceUnlearningClassifier(method="puma", random_state=0).fit(X, y)
    rows = np.argsort(classifier.contributions())[-5:]
    with pytest.warns(UnlearningQualityWarning, match="260 parameters.*'newton'"):
        classifier.forget(rows)
    assert classifier.forget_records_[-1].removal_kept > 0.7


def test_weight_is_left_for_each_class(monkeypatch):
    """Where the linear step would take all of it, no row is reweighted."""
    X, codes = make_rows(40, 2, 2, seed=1)
    classifier = InfluenceUnlearningClassifier(
        method="puma", eta=1.0, random_state=0
    ).fit(X, codes)
    rows = np.argsort(classifier.contributions())[-3:]
    kept = classifier.weights_ > 0
    greedy = Reweighting(np.where(codes[kept] == 1, -1.0, 0.0), 0.0, 1.0, 0.0)
    monkeypatch.setattr(linear_step, "reweight", lambda *_, **__: greedy)
    with pytest.warns(UnlearningQualityWarning, match="all weights of a class to 0"):
        classifier.forget(rows)
    assert set(classifier.weights_[kept]) == {0.0, 1.0}
    assert classifier.weights_.sum() == kept.sum() - 3
    assert measure(classifier, X, codes) <= classifier.distance_bound_


# The step


def test_hessian_of_the_rows_that_stay_is_nearer(data):
    """P1: one step with it ends nearer the optimum than with that of all rows."""
    rows = find_helpful(data)
    distances = {}
    for hessian in ("retained", "original"):
        classifier = fit(data, hessian=hessian, eta=1.0, n_steps=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnlearningQualityWarning)
            classifier.forget(rows)
        distances[hessian] = measure(classifier, data.X, data.y)
    assert distances["retained"] < 0.7 * distances["original"]


def test_most_of_a_class_in_one_step(data):
    """P1: the class is forgotten with the retained Hessian, and hardly without."""
    own = np.flatnonzero(data.y == 0)
    recalls = {}
    for method in ("newton", "influence"):
        classifier = fit(data, method=method, n_steps=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnlearningQualityWarning)
            record = classifier.forget(own[20:]).forget_records_[-1]
        assert record.path == "patch"
        predicted = classifier.predict(data.X_val[data.y_val == 0])
        recalls[method] = (predicted == 0).mean()
    assert recalls["newton"] < 0.1
    assert recalls["influence"] > 0.6


def test_whole_class(data):
    """P3: it leaves, and other classes are as good as if trained without it."""
    kept = data.y_val != 0
    classifier = InfluenceUnlearningClassifier(data.base, method="puma", random_state=0)
    classifier.fit(data.X, data.y, X_val=data.X_val[kept], y_val=data.y_val[kept])
    classifier.forget(data.y == 0)
    assert list(classifier.classes_) == [1, 2, 3]
    fresh = clone(data.base).fit(data.X[data.y != 0], data.y[data.y != 0])
    scores = [m.score(data.X_val[kept], data.y_val[kept]) for m in (classifier, fresh)]
    assert scores[0] == pytest.approx(scores[1], abs=0.005)


@pytest.mark.filterwarnings("ignore::skunlearn.exceptions.UnlearningQualityWarning")
def test_share_of_the_step(data):
    """A number for eta is that share of the linear step, from where we were."""
    rows = find_helpful(data)
    half = fit(data, eta=0.5, n_steps=1).forget(rows)
    whole = fit(data, eta=1.0, n_steps=1).forget(rows)
    start = read(fit(data))
    np.testing.assert_allclose(
        2 * (read(half) - start), read(whole) - start, atol=1e-10
    )
    records = [m.forget_records_[-1] for m in (half, whole)]
    assert [record.eta for record in records] == [0.5, 1.0]
    assert records[0].removal_kept < records[1].removal_kept
    to_optimum = fit(data, eta=0.5).forget(rows)
    assert measure(to_optimum, data.X, data.y) <= to_optimum.distance_bound_ < 1e-6


def test_rows_are_held_out_unless_given(data):
    """X_val instead of a share of the rows: all are trained on."""
    assert (fit(data).weights_ == 1).all()
    X, codes = make_rows(100, 2, 2)
    held = InfluenceUnlearningClassifier(method="puma", random_state=0).fit(X, codes)
    assert (held.weights_ == 0).sum() == 10
    assert (held.contributions()[held.weights_ == 0] == 0).all()


# Criteria


class Gap:
    """Fairness: how much apart mean decisions of the first rows and the others are."""

    def value(self, decision, y):
        """Return half the squared gap."""
        return (decision[:50].mean() - decision[50:].mean()) ** 2 / 2

    def gradient(self, decision, y):
        """Return its derivatives."""
        assert set(y) <= {"a", "b"}
        gap = decision[:50].mean() - decision[50:].mean()
        signs = np.where(np.arange(len(y)) < 50, 1 / 50, -1 / (len(y) - 50))
        return gap * signs


def test_criterion_of_ones_own():
    """A fairness gap stays where it was, though rows that closed it are forgotten."""
    X, codes = make_rows(400, 4, 2, seed=2)
    y = np.array(["a", "b"])[codes]
    X, X_val, y, y_val = X[:300], X[300:], y[:300], y[300:]
    base, gap = LogisticRegression(C=0.05), Gap()
    puma, naive = (
        InfluenceUnlearningClassifier(base, method=method, criterion=gap)
        for method in ("puma", "newton")
    )
    puma.set_params(max_reabsorption=1.0).fit(X, y, X_val=X_val, y_val=y_val)
    naive.fit(X, y)
    rows = np.argsort(puma.contributions())[-15:]
    before, after, plain = (
        gap.value(m.decision_function(X_val), y_val)
        for m in (naive, puma.forget(rows), clone(naive).fit(X, y).forget(rows))
    )
    assert plain > before
    assert abs(after - before) < 0.25 * (plain - before)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("name", ["log_loss", "accuracy"])
def test_gradients_of_criteria(name, n_classes):
    """Against central differences, decisions that are far out included."""
    rng = np.random.default_rng(0)
    codes = rng.integers(n_classes, size=12)
    decision = rng.normal(size=(12, n_classes)) * np.geomspace(0.1, 10, 12)[:, None]
    decision = decision[:, 0] if n_classes == 2 else decision
    criterion = find_criterion(name)
    slopes = np.zeros(decision.size)
    for i in range(decision.size):
        step = 1e-5 * (np.arange(decision.size) == i).reshape(decision.shape)
        values = [criterion.value(decision + s * step, codes) for s in (1, -1)]
        slopes[i] = (values[0] - values[1]) / 2e-5
    gradient = criterion.gradient(decision, codes).ravel()
    np.testing.assert_allclose(gradient, slopes, atol=1e-9)


def test_accuracy_is_a_criterion(data):
    """The smooth share of errors stays where it was."""
    classifier = fit(data, criterion="accuracy")
    rows = np.argsort(classifier.contributions())[-100:]
    criterion = find_criterion("accuracy")

    def judge(m):
        return criterion.value(m.decision_function(data.X_val), data.y_val)

    before = judge(classifier)
    change = judge(classifier.forget(rows)) - before
    plain = judge(fit(data, method="newton").forget(rows)) - before
    assert abs(change) < 0.02 * plain
    actual = classifier.forget_records_[-1].criterion_change_actual
    assert actual == pytest.approx(change)

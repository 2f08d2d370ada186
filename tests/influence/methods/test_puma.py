"""PUMA: removals that leave a criterion alone, and what they may not do for it."""

import copy
import warnings

import numpy as np
import pytest
from influence_reference import Convex, Written, measure, read
from influence_support import make_rows
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.metrics import log_loss

from skunlearn import InfluenceUnlearningClassifier
from skunlearn.exceptions import UnlearningQualityWarning
from skunlearn.influence._criteria import find_criterion
from skunlearn.influence._methods import puma as _puma
from skunlearn.influence._methods.reweighting import Reweighting


@pytest.fixture(scope="module")
def data():
    """Return the convex test."""
    return Convex()


def fit(data, **params):
    """Return a classifier fitted to the convex test, with rows for the criterion."""
    classifier = InfluenceUnlearningClassifier(
        data.base, random_state=0, **{"method": "puma", "exact": False, **params}
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


# New weights


def test_helpful_rows(data):
    """The criterion changes by a quarter of naive removal, and the rows are gone."""
    rows = find_helpful(data)
    before = assess(fit(data), data, rows)
    naive = fit(data, method="influence").forget(rows)
    retrained = fit(data, method="newton").forget(rows)
    puma = fit(data).forget(rows)
    naive, retrained, change = (
        assess(m, data, rows) - before for m in (naive, retrained, puma)
    )
    assert 0 < naive[0] < retrained[0]
    assert abs(change[0]) <= 0.25 * naive[0]
    assert change[1] >= 0.6 * retrained[1]
    record = puma.forget_records_[-1]
    assert record.criterion_change_actual == pytest.approx(change[0])
    assert record.criterion_change_predicted == pytest.approx(0, abs=1e-6)
    assert measure(puma, data.X, data.y) <= puma.distance_bound_ < 1e-6


def test_cap_on_reabsorption(data):
    """The less may be put back, the more of the removal stays; it has its price."""
    rows = find_helpful(data)
    before = assess(fit(data), data, rows)
    caps = (0.0, 0.1, 0.4, 1.0)
    changes = np.array(
        [
            assess(fit(data, max_reabsorption=cap).forget(rows), data, rows) - before
            for cap in caps
        ]
    )
    assert (np.diff(changes[:, 0]) < 0).all()
    assert (np.diff(changes[:, 1]) < 0).all()


def test_one_sided_rule(data):
    """A removal that helps is not undone: no weight changes, as with newton."""
    rows = np.argsort(fit(data).contributions())[:50]
    puma, newton = fit(data).forget(rows), fit(data, method="newton").forget(rows)
    weights = np.ones(data.n_rows)
    weights[rows] = 0
    np.testing.assert_array_equal(puma.weights_, weights)
    np.testing.assert_allclose(read(puma), read(newton), atol=1e-7)
    assert puma.forget_records_[-1].criterion_change_actual < 0


def test_weights_stay_in_their_box(data):
    """Never below 0, never up by more than max_weight in a request; they go on."""
    order = np.argsort(fit(data).contributions())[::-1]
    classifier = fit(data, max_weight=0.05, max_reabsorption=1.0)
    before = classifier.weights_
    for rows in np.split(order[:150], 3):
        weights = classifier.forget(rows).weights_
        assert (weights >= 0).all()
        assert (weights <= before * 1.05 * (1 + 1e-12)).all()
        assert (weights[rows] == 0).all()
        before = weights
    assert before.max() > 1.05
    assert measure(classifier, data.X, data.y) <= classifier.distance_bound_


def test_weight_is_left_for_each_class(monkeypatch):
    """Where the criterion would have all of it, no row is weighed anew, or by half."""
    X, codes = make_rows(40, 2, 2, seed=1)
    classifier = InfluenceUnlearningClassifier(
        method="puma", eta=1.0, random_state=0
    ).fit(X, codes)
    kept = classifier.weights_ > 0
    greedy = Reweighting(np.where(codes[kept] == 1, -1.0, 0.0), 0.0, 1.0, 0.0)
    monkeypatch.setattr(_puma, "plan_weights", lambda *_: greedy)
    trusted = copy.copy(classifier).set_params(eta="auto")
    weights = trusted.forget(np.flatnonzero(kept)[0]).weights_[kept]
    assert weights[1:].min() > 0
    with pytest.warns(UnlearningQualityWarning, match="all weights of a class to 0"):
        classifier.forget(np.flatnonzero(kept)[0])
    assert set(classifier.weights_[kept]) == {0.0, 1.0}
    assert classifier.weights_.sum() == kept.sum() - 1
    assert measure(classifier, X, codes) <= classifier.distance_bound_


# The step


def test_hessian_of_the_rows_that_stay_is_nearer(data):
    """P1: one step with it ends nearer the optimum than with that of all rows."""
    rows = find_helpful(data)
    distances = {}
    for hessian in ("retained", "original"):
        classifier = fit(data, hessian=hessian, n_steps=1)
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
    """Given, it is taken; "auto" is one on which predictions can be relied."""
    rows = find_helpful(data)
    half = fit(data, eta=0.5, n_steps=1).forget(rows)
    whole = fit(data, eta=1.0, n_steps=1).forget(rows)
    start = read(fit(data))
    np.testing.assert_allclose(
        2 * (read(half) - start), read(whole) - start, atol=1e-10
    )
    assert half.forget_records_[-1].eta == 0.5
    auto = fit(data, n_steps=1).forget(rows).forget_records_[-1]
    naive = fit(data, method="influence").forget(rows)
    scale = assess(naive, data, rows)[0] - assess(fit(data), data, rows)[0]
    apart = auto.criterion_change_actual - auto.criterion_change_predicted
    assert abs(apart) <= 0.75 * scale


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
    assert abs(change) < 0.3 * plain
    actual = classifier.forget_records_[-1].criterion_change_actual
    assert actual == pytest.approx(change)

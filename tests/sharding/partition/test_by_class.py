"""What is particular to partitions by class, and by probability."""

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import KMeans
from sklearn.covariance import EllipticEnvelope
from sklearn.datasets import load_digits
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import SGDClassifier
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KernelDensity, LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier
from support import assert_identical, assert_same_classifier, fit_anew, make_data, thin

from skunlearn import ShardedUnlearningClassifier
from skunlearn._estimators.one_class import PointDensity, compute_log_density
from skunlearn.exceptions import UnsupportedEstimatorError
from skunlearn.sharding._aggregation.class_scores import correct_prior

DETECTORS = [
    EllipticEnvelope(support_fraction=1.0),
    IsolationForest(n_estimators=5),
    LocalOutlierFactor(n_neighbors=5, novelty=True),
    OneClassSVM(),
]
DENSITIES = [
    BayesianGaussianMixture(n_components=4, reg_covar=0.1),
    GaussianMixture(4, reg_covar=0.1),
    KernelDensity(),
]
MODELS = [
    *DENSITIES,
    *DETECTORS,
    *(make_pipeline(StandardScaler(), model) for model in (*DENSITIES, *DETECTORS)),
]


def by_class(base, **params):
    """Return an unfitted classifier with one part for each class."""
    params = {"n_shards": 1, "random_state": 3, **params}
    return ShardedUnlearningClassifier(clone(base), partition="class", **params)


def name_of(model):
    """Return a short name of a model or a pipeline."""
    if hasattr(model, "steps"):
        return "-".join(name for name, _ in model.steps)
    return type(model).__name__


def assert_same_answers(first, second, X):
    """Compare answers alone: trees count the questions, which is no training."""
    for method in ("predict", "decision_function"):
        if hasattr(first, method):
            assert_identical(getattr(first, method)(X), getattr(second, method)(X))


def rows_of(classifier, shard):
    """Return the positions of the rows in a shard."""
    state = classifier._state
    position_of = np.argsort(state.rows.slot_of)
    return position_of[state.shards[shard].slots]


def test_the_largest_log_density_with_prior_decides():
    """Against Bayes' rule, written plainly."""
    X, y = make_data(90)
    X, y = X[y != "cedar"], y[y != "cedar"]
    X, y = X[10:], y[10:]
    classifier = by_class(GaussianMixture(reg_covar=0.1)).fit(X, y)
    scores = []
    for label in np.unique(y):
        own = X[y == label]
        center, covariance = own.mean(0), np.cov(own.T, bias=True) + 0.1 * np.eye(4)
        distance = np.einsum(
            "ij,ij->i", X - center, np.linalg.solve(covariance, (X - center).T).T
        )
        volume = np.linalg.slogdet(2 * np.pi * covariance)[1]
        scores.append(-(distance + volume) / 2 + np.log(np.mean(y == label)))
    scores = np.array(scores).T
    proba = np.exp(scores - logsumexp(scores, axis=1, keepdims=True))
    np.testing.assert_allclose(classifier.predict_proba(X), proba, atol=1e-9)
    np.testing.assert_array_equal(
        classifier.predict(X), np.unique(y)[scores.argmax(axis=1)]
    )


def test_parts_are_averaged_as_densities():
    """A class's density is the mean of those of its parts, not of the logarithms."""
    X, y = make_data(90)
    classifier = by_class(KernelDensity(), n_shards=3).fit(X, y)
    density = np.zeros((len(X), 3))
    for shard, estimator in enumerate(classifier.estimators_):
        density[:, shard // 3] += np.exp(estimator.score_samples(X)) / 3
    joint = density * np.unique(y, return_counts=True)[1] / len(y)
    expected = joint / joint.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.predict_proba(X), expected, rtol=1e-9)


@pytest.mark.parametrize("model", DENSITIES, ids=name_of)
@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_probabilities_sum_to_one(model, voting):
    """Also where every density underflows."""
    X, y = make_data()
    classifier = by_class(model, n_shards=2, voting=voting).fit(X, y)
    far = np.vstack([X, np.full((1, 4), 1e9)])
    np.testing.assert_allclose(classifier.predict_proba(far).sum(axis=1), 1)


@pytest.mark.parametrize("model", DETECTORS, ids=name_of)
def test_outlier_scores_are_no_probabilities(model):
    """The best score decides; decision_function is there, predict_proba is not."""
    X, y = make_data()
    classifier = by_class(model)
    assert not hasattr(classifier, "predict_proba")
    classifier.fit(X, y)
    assert not hasattr(classifier, "predict_proba")
    assert not hasattr(classifier, "predict_log_proba")
    scores = np.array([e.score_samples(X) for e in classifier.estimators_]).T
    np.testing.assert_array_equal(classifier.decision_function(X), scores)
    np.testing.assert_array_equal(
        classifier.predict(X), classifier.classes_[scores.argmax(axis=1)]
    )


@pytest.mark.parametrize("model", DETECTORS, ids=name_of)
def test_two_classes_of_outlier_scores(model):
    """The sign of the one decision value goes with the prediction."""
    X, y = make_data(n_classes=2)
    classifier = by_class(model, voting="hard", n_shards=2).fit(X, y)
    values = classifier.decision_function(X)
    assert values.shape == (len(X),)
    np.testing.assert_array_equal(
        classifier.predict(X), classifier.classes_[(values > 0).astype(int)]
    )


@pytest.mark.parametrize(
    "model", [GaussianMixture(), IsolationForest(n_estimators=5)], ids=name_of
)
def test_a_whole_class_goes_for_free(model):
    """Its models are dropped and nothing is trained."""
    X, y = make_data()
    classifier = by_class(model, n_shards=2).fit(X, y)
    before = classifier.estimators_
    classifier.forget(np.flatnonzero(y == "birch"))
    record = classifier.forget_records_[-1]
    assert record.n_samples_retrained == record.n_slices_retrained == 0
    assert record.shards == ()
    kept = [before[i] for i in (0, 1, 4, 5)]
    assert all(a is b for a, b in zip(kept, classifier.estimators_, strict=True))
    assert set(classifier.predict(X)) <= {"ash", "cedar"}


# What EllipticEnvelope says of no more rows than columns, whoever fits it.
@pytest.mark.filterwarnings("ignore:The covariance matrix:UserWarning:sklearn")
@pytest.mark.filterwarnings("ignore:Determinant has incr:RuntimeWarning:sklearn")
@pytest.mark.parametrize("model", thin(MODELS, 2), ids=name_of)
def test_fewer_and_fewer_rows(model):
    """Down to one row a class: no crash, no new warning, and what a fresh fit gives."""
    X, y = make_data(40, n_classes=2)
    last = np.flatnonzero(y == "ash")
    classifier = by_class(model).fit(X, y)
    while len(last) > 1:
        n_gone = 5 if len(last) > 12 else 1
        classifier.forget(last[:n_gone])
        last = last[n_gone:]
        assert np.isfinite(classifier.decision_function(X)).all()
        assert_same_answers(classifier, fit_anew(classifier, X, y), X)
    assert set(classifier.predict(X)) <= {"ash", "birch"}


@pytest.mark.parametrize("model", MODELS, ids=name_of)
def test_a_class_of_one_row(model):
    """Given to fit already."""
    X, y = make_data(41, n_classes=2)
    X, y = np.vstack([X, np.full((1, 4), 50.0)]), np.append(y, "elm")
    classifier = by_class(model).fit(X, y)
    stand_in = classifier.estimators_[2]
    stand_in = stand_in[-1] if hasattr(stand_in, "steps") else stand_in
    assert isinstance(stand_in, PointDensity)
    classifier.predict(X)
    if hasattr(classifier, "predict_proba"):
        assert classifier.predict(X[-1:]) == "elm"


def test_weights_count_in_the_prior():
    """A row of weight 3 is three rows, and forgetting it takes all of them."""
    X, y = make_data(60)
    weight = np.where(y == "ash", 3.0, 0.1)
    classifier = by_class(KernelDensity()).fit(X, y, weight)
    joint = np.array([np.exp(e.score_samples(X)) for e in classifier.estimators_]).T
    joint *= [weight[y == label].sum() for label in classifier.classes_]
    expected = joint / joint.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.predict_proba(X), expected, rtol=1e-9)
    classifier.forget([3, 30, 31])
    fresh = fit_anew(classifier, X, y, sample_weight=weight)
    assert_same_answers(classifier, fresh, X)


@pytest.mark.parametrize("n_components", [1, 3])
def test_slices_of_a_row_or_two(n_components):
    """A mixture cannot go on with one row, so it is trained on all so far."""
    X, y = make_data(60, n_classes=2)
    classifier = by_class(
        GaussianMixture(n_components, reg_covar=0.1),
        n_slices=15,
        slice_training="sequential",
    ).fit(X, y)
    sizes = np.concatenate(
        [np.diff(shard.bounds) for shard in classifier._state.shards]
    )
    assert 1 in sizes
    classifier.forget(np.arange(0, 60, 7))
    assert_same_classifier(classifier, fit_anew(classifier, X, y), X)


def test_components_are_limited_to_rows():
    """As many as there are, and the full number elsewhere."""
    X, y = make_data(60, n_classes=2)
    keep = np.sort(np.r_[np.flatnonzero(y == "ash")[:3], np.flatnonzero(y == "birch")])
    classifier = by_class(GaussianMixture(5, reg_covar=0.1)).fit(X[keep], y[keep])
    assert [e.n_components for e in classifier.estimators_] == [3, 5]


def test_neighbours_are_limited_to_rows():
    """A row is no neighbour of itself."""
    X, y = make_data(60, n_classes=2)
    keep = np.sort(np.r_[np.flatnonzero(y == "ash")[:4], np.flatnonzero(y == "birch")])
    model = make_pipeline(StandardScaler(), LocalOutlierFactor(6, novelty=True))
    classifier = by_class(model).fit(X[keep], y[keep])
    assert [e[-1].n_neighbors for e in classifier.estimators_] == [3, 6]


@pytest.mark.parametrize("n_negatives", [1, 2])
def test_prior_is_corrected(n_negatives):
    """Odds are multiplied by what was trained on over what there is."""
    X, y = make_data(120, n_classes=4)
    classifier = by_class(GaussianNB(), n_negatives=n_negatives).fit(X, y)
    expected = []
    for code, label in enumerate(classifier.classes_):
        rows = rows_of(classifier, code)
        n_own = (y == label).sum()
        model = GaussianNB().fit(X[rows], y[rows] == label)
        odds = np.exp(np.diff(model.predict_log_proba(X), axis=1).ravel())
        odds *= (len(rows) - n_own) / (len(y) - n_own)
        expected.append(odds / (1 + odds))
    expected = np.array(expected).T
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(classifier.predict_proba(X), expected, rtol=1e-6)


def test_correction_of_nothing():
    """Where nobody stands against a class, or there is nobody who could."""
    proba = np.array([0.0, 0.3, 1.0])
    np.testing.assert_array_equal(correct_prior(proba, 0, 5), proba)
    np.testing.assert_array_equal(correct_prior(proba, 5, 0), proba)
    np.testing.assert_allclose(correct_prior(proba, 1, 4), [0, 0.3 / 3.1, 1])


@pytest.mark.parametrize("base", [KernelDensity(), OneClassSVM(), SVC()], ids=name_of)
def test_hard_votes(base):
    """Every part has one vote; the most votes win."""
    X, y = make_data(90)
    classifier = by_class(base, n_shards=5, voting="hard").fit(X, y)
    state = classifier._state
    votes = np.zeros((len(X), 3))
    prior = np.log(np.unique(y, return_counts=True)[1])
    for part in range(5):
        models = classifier.estimators_[part::5]
        if isinstance(base, SVC):
            scores = np.array([m.decision_function(X) for m in models]).T
        else:
            scores = np.array([m.score_samples(X) for m in models]).T
        if isinstance(base, KernelDensity):
            scores += prior
        votes[np.arange(len(X)), scores.argmax(axis=1)] += 1
    ordered = np.sort(votes, axis=1)
    is_clear = ordered[:, -1] > ordered[:, -2]
    assert is_clear.any()
    expected = state.classes[votes.argmax(axis=1)]
    np.testing.assert_array_equal(classifier.predict(X)[is_clear], expected[is_clear])


@pytest.mark.parametrize("voting", ["soft", "hard"])
@pytest.mark.parametrize(
    "base",
    [KernelDensity(), OneClassSVM(), GaussianNB(), LinearSVC()],
    ids=name_of,
)
def test_constituents_that_abstain(base, voting):
    """After a deferred forget classes without a model are not chosen."""
    X, y = make_data(90)
    classifier = by_class(base, voting=voting).fit(X, y)
    gone = np.flatnonzero(y == "birch")[:1]
    classifier.forget(gone, retrain=False)
    n_silent = sum(e is None for e in classifier.estimators_)
    assert n_silent >= 1
    assert "birch" not in classifier.predict(X)
    if hasattr(classifier, "decision_function"):
        assert not np.isnan(classifier.decision_function(X)).any()
    if hasattr(classifier, "predict_proba"):
        np.testing.assert_allclose(classifier.predict_proba(X).sum(axis=1), 1)
    classifier.retrain()
    assert_same_answers(classifier, fit_anew(classifier, X, y), X)


def test_when_all_abstain_the_prior_answers():
    """Shares of the retained rows."""
    X, y = make_data(90)
    classifier = by_class(KernelDensity()).fit(X, y)
    firsts = [np.flatnonzero(y == label)[0] for label in np.unique(y)]
    classifier.forget(firsts, retrain=False)
    assert classifier.estimators_ == [None] * 3
    shares = (np.unique(y, return_counts=True)[1] - 1) / (len(y) - 3)
    np.testing.assert_allclose(classifier.predict_proba(X), np.tile(shares, (90, 1)))


@pytest.mark.parametrize("base", [GaussianMixture(), GaussianNB()], ids=name_of)
@pytest.mark.parametrize("n_shards", [1, 2])
def test_a_new_class_comes_later(base, n_shards):
    """What is learnt of it by partial_fit is forgotten as all else."""
    X, y = make_data(90)
    is_new = y == "birch"
    X, y = np.vstack([X[~is_new], X[is_new]]), np.r_[y[~is_new], y[is_new]]
    n_old = (~is_new).sum()
    classifier = by_class(base, n_shards=n_shards).fit(X[:n_old], y[:n_old])
    old = by_class(base, n_shards=n_shards).fit(X[:n_old], y[:n_old])
    before = classifier.estimators_
    classifier.partial_fit(X[n_old:], y[n_old:])
    assert list(classifier.classes_) == ["ash", "birch", "cedar"]
    assert classifier.score(X, y) > 0.5
    if isinstance(base, GaussianMixture):
        after = classifier.estimators_
        kept = [*after[:n_shards], *after[2 * n_shards :]]
        assert all(a is b for a, b in zip(kept, before, strict=True))
    classifier.forget(np.arange(n_old, len(y)))
    assert_same_classifier(classifier, old, X)


@pytest.mark.parametrize("base", [GaussianMixture(), GaussianNB()], ids=name_of)
def test_groups_across_classes(base):
    """A group's rows share a part in each class, and go together."""
    X, y = make_data(90)
    groups = np.array([f"user-{i % 9}" for i in range(90)])
    classifier = by_class(base, n_shards=2).fit(X, y, groups=groups)
    traits = classifier._state.describe(np.arange(90))
    parts = classifier._state.layout.partition.find_shards(traits) % 2
    for group in np.unique(groups):
        assert len(np.unique(parts[groups == group])) == 1
    classifier.forget(groups=["user-4"])
    assert classifier.forget_records_[-1].n_forgotten == 10
    fresh = fit_anew(classifier, X, y, identities=groups)
    assert_same_classifier(classifier, fresh, X)


@pytest.mark.parametrize(
    "base", [GaussianMixture(), OneClassSVM(), GaussianNB(), SVC()], ids=name_of
)
@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_one_class_alone(base, voting):
    """There is only one answer."""
    X, y = make_data()
    X, y = X[y == "ash"], y[y == "ash"]
    classifier = by_class(base, n_shards=2, voting=voting).fit(X, y)
    assert set(classifier.predict(X)) == {"ash"}
    if hasattr(classifier, "predict_proba"):
        np.testing.assert_array_equal(classifier.predict_proba(X), 1)
    classifier.forget([0, 1])
    assert set(classifier.predict(X)) == {"ash"}


class Clusterer(BaseEstimator):
    """Fits, and does nothing else."""

    def fit(self, X, y=None):
        """Do nothing."""
        return self


@pytest.mark.parametrize("base", [KMeans(), Clusterer()], ids=name_of)
def test_neither_classifier_nor_one_class_model(base):
    """The message says what would do."""
    X, y = make_data()
    with pytest.raises(UnsupportedEstimatorError, match=r"or a.*model"):
        by_class(base).fit(X, y)
    with pytest.raises(UnsupportedEstimatorError, match="must be a classifier"):
        ShardedUnlearningClassifier(base).fit(X, y)


def test_one_class_models_need_the_partition():
    """Elsewhere they have no classes to tell apart."""
    X, y = make_data()
    with pytest.raises(UnsupportedEstimatorError, match="must be a classifier"):
        ShardedUnlearningClassifier(GaussianMixture()).fit(X, y)


def test_distribution_aware_needs_probabilities():
    """At fit, and for later rows."""
    X, y = make_data()
    aware = ShardedUnlearningClassifier(GaussianNB(), partition="distribution_aware")
    with pytest.raises(ValueError, match="pass forget_proba"):
        aware.fit(X, y)
    aware.fit(X, y, forget_proba=np.full(60, 0.1))
    with pytest.raises(ValueError, match="pass forget_proba"):
        aware.partial_fit(X, y)
    with pytest.raises(ValueError, match="n_replicas=2"):
        clone(aware).set_params(n_replicas=2).fit(X, y, forget_proba=np.full(60, 0.1))


@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_votes_count_by_size(voting):
    """Few large shards of rows that stay, many small ones of those that go."""
    X, y = make_data(90)
    proba = np.where(np.arange(90) < 60, 0.01, 0.1)
    aware = ShardedUnlearningClassifier(
        DecisionTreeClassifier(max_depth=2, random_state=0),
        partition="distribution_aware",
        voting=voting,
        random_state=0,
    ).fit(X, y, forget_proba=proba)
    sizes = np.array([len(shard.slots) for shard in aware._state.shards])
    assert sizes.max() >= 60
    assert len(sizes) == 4
    proba = np.zeros((len(X), 3))
    for size, tree in zip(sizes, aware.estimators_, strict=True):
        columns = np.searchsorted(aware.classes_, tree.classes_)
        answer = tree.predict_proba(X)
        if voting == "hard":
            answer = np.eye(len(columns))[answer.argmax(axis=1)]
        proba[:, columns] += size * answer / sizes.sum()
    if voting == "soft":
        np.testing.assert_allclose(aware.predict_proba(X), proba, atol=1e-12)
    else:
        expected = aware.classes_[proba.argmax(axis=1)]
        np.testing.assert_array_equal(aware.predict(X), expected)
    small = rows_of(aware, 3)[0]
    assert aware.preview_forget(small).n_samples_retrained < 20


@pytest.mark.parametrize(
    "scaler",
    [
        StandardScaler(),
        StandardScaler(with_std=False),
        MinMaxScaler((-2, 3)),
        MaxAbsScaler(),
        RobustScaler(),
        RobustScaler(with_scaling=False),
        make_pipeline(MinMaxScaler(), "passthrough", StandardScaler()),
        make_pipeline(StandardScaler(), FunctionTransformer()),
    ],
    ids=str,
)
def test_densities_are_per_unit_of_the_features(scaler):
    """They integrate to one over the features, whatever scalers made of them."""
    rng = np.random.default_rng(0)
    X = rng.normal(3, [0.5, 20], (50, 2))
    model = make_pipeline(scaler, GaussianMixture()).fit(X)
    first, second = np.linspace(-2, 8, 400), np.linspace(-200, 200, 400)
    grid = np.column_stack([m.ravel() for m in np.meshgrid(first, second)])
    cell = (first[1] - first[0]) * (second[1] - second[0])
    total = np.exp(compute_log_density(model, grid)).sum() * cell
    assert total == pytest.approx(1, abs=1e-3)


def test_scalers_of_each_class_do_not_blind():
    """Classes that differ in their spread alone are told apart behind a scaler."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 200)
    X = rng.normal(0, np.array([1, 20])[y, None], (400, 3))
    bare = by_class(GaussianMixture()).fit(X, y)
    scaled = by_class(make_pipeline(StandardScaler(), GaussianMixture())).fit(X, y)
    np.testing.assert_allclose(
        bare.predict_proba(X), scaled.predict_proba(X), atol=1e-3
    )


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (GaussianMixture(reg_covar=2.0), 0.97),
        (KernelDensity(bandwidth=3.0, leaf_size=10_000), 0.97),
    ],
    ids=name_of,
)
def test_digits(model, wanted):
    """One density for each digit is better than a forest."""
    X, X_test, y, y_test = train_test_split(
        *load_digits(return_X_y=True), test_size=0.3, random_state=0
    )
    assert by_class(model).fit(X, y).score(X_test, y_test) >= wanted


def test_sgd_goes_on_by_class():
    """Slices of a class's rows and of those against it are forgotten exactly."""
    X, y = make_data(90)
    base = SGDClassifier(loss="log_loss", max_iter=3, tol=None)
    classifier = by_class(base, n_slices=3, n_shards=2, n_epochs=2).fit(X, y)
    classifier.forget([4, 40]).forget(17)
    assert_same_classifier(classifier, fit_anew(classifier, X, y), X)


def test_groups_share_a_shard_by_probability():
    """Whatever the probabilities of their rows, the highest of them counts."""
    X, y = make_data()
    groups = np.arange(60) // 3
    proba = np.random.default_rng(0).random(60)
    classifier = ShardedUnlearningClassifier(
        DecisionTreeClassifier(), partition="distribution_aware", random_state=0
    ).fit(X, y, groups=groups, forget_proba=proba)
    assert len(classifier.estimators_) > 5
    for group in range(15):
        record = classifier.forget(groups=[group]).forget_records_[-1]
        assert len(record.shards) == 1
    assert classifier.n_pending_ == 0


def test_two_classes_without_an_answer():
    """Where nobody knows either class, neither is preferred, and nothing is NaN."""
    X, y = make_data(n_classes=2)
    classifier = ShardedUnlearningClassifier(
        OneClassSVM(), partition="class", n_shards=1, random_state=0
    ).fit(X, y)
    classifier.forget(
        [np.flatnonzero(y == label)[0] for label in np.unique(y)], retrain=False
    )
    assert classifier.estimators_ == [None, None]
    np.testing.assert_array_equal(classifier.decision_function(X), 0)

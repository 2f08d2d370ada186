"""Settings that speak of classes, in shards that lack some of them."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from support import assert_same_classifier, fit_anew, make_data

from skunlearn import ShardedUnlearningClassifier
from skunlearn.exceptions import UnsupportedEstimatorError

X, Y = make_data(120)
X = abs(X)
Y[:60] = np.where(np.isin(Y[:60], ["ash"]), "birch", Y[:60])
RARE = np.flatnonzero(Y == "ash")[4:]
Y[RARE] = "birch"  # four rows of "ash" are left, so that some of five shards lack it

WEIGHTS = {"ash": 30.0, "cedar": 2.0}  # "birch" counts 1
PRIORS = [0.2, 0.5, 0.3]


def logistic():
    """Return a classifier with weights for some of the classes."""
    return LogisticRegression(class_weight=WEIGHTS)


BASES = {
    "logistic": logistic(),
    "logistic_cv": LogisticRegressionCV(
        Cs=2,
        cv=2,
        class_weight=WEIGHTS,
        l1_ratios=(0,),
        scoring="accuracy",
        use_legacy_attributes=False,
    ),
    "svc": SVC(class_weight=WEIGHTS),
    "linear_svc": LinearSVC(class_weight=WEIGHTS),
    "ridge": RidgeClassifier(class_weight=WEIGHTS),
    "perceptron": Perceptron(class_weight=WEIGHTS),
    "sgd": SGDClassifier(class_weight=WEIGHTS, max_iter=3, tol=None),
    "tree": DecisionTreeClassifier(class_weight=WEIGHTS),
    "forest": RandomForestClassifier(3, class_weight=WEIGHTS),
    "extra_trees": ExtraTreesClassifier(3, class_weight=WEIGHTS),
    "boosting": HistGradientBoostingClassifier(
        max_iter=2, class_weight={0: 9.0, 2: 2.0}
    ),
    "pipeline": make_pipeline(StandardScaler(), logistic()),
    "ovr": OneVsRestClassifier(LogisticRegression(class_weight={0: 1.0, 1: 3.0})),
    "bagging": BaggingClassifier(LogisticRegression(class_weight={0: 30.0, 2: 2.0}), 2),
    "voting": VotingClassifier([("l", LogisticRegression(class_weight={1: 3.0}))]),
    "gaussian": GaussianNB(priors=PRIORS),
    "multinomial": MultinomialNB(class_prior=PRIORS),
    "bernoulli": BernoulliNB(class_prior=np.array(PRIORS)),
    "complement": ComplementNB(class_prior=PRIORS),
    "lda": LinearDiscriminantAnalysis(priors=PRIORS),
    "voting_of_priors": VotingClassifier([("g", GaussianNB(priors=PRIORS))]),
}


def make_case(base, **params):
    """Return an unfitted classifier of five shards, some of which lack a class."""
    params = {"n_shards": 5, "random_state": 0, **params}
    return ShardedUnlearningClassifier(clone(base), **params)


@pytest.mark.filterwarnings("ignore:The least populated class")
@pytest.mark.filterwarnings("ignore:class_weight names 1 classes")
@pytest.mark.parametrize("name", BASES)
def test_some_classes_are_missing(name):
    """Law 1, while classes leave shards and then the whole."""
    classifier = make_case(BASES[name]).fit(X, Y)
    sizes = {len(e.classes_) for e in classifier.estimators_}
    assert sizes == {2, 3}
    for request in (range(10), np.flatnonzero(Y == "ash")[:2]):
        classifier.forget(request)
        assert_same_classifier(classifier, fit_anew(classifier, X, Y), X)
    assert classifier.forget(Y == "ash").predict(X).shape == (120,)


@pytest.mark.parametrize("name", BASES)
def test_one_shard_is_as_the_base(name):
    """Law 10: nothing is cut where nothing is missing."""
    base = BASES[name]
    classifier = make_case(base, n_shards=1).fit(X, Y)
    inner = classifier.estimators_[0]
    order = np.argsort(classifier._state.rows.slot_of)  # of training
    bare = clone(base)
    seeds = {k: v for k, v in inner.get_params().items() if "random_state" in k}
    bare.set_params(**seeds).fit(X[order], Y[order])
    np.testing.assert_array_equal(classifier.predict(X), bare.predict(X))


def test_weights_count_in_shards():
    """A class that is weighted is found more often, also without others named."""
    plain = make_case(LogisticRegression()).fit(X, Y)
    weighted = make_case(logistic()).fit(X, Y)
    found = [(c.predict(X) == "ash").sum() for c in (plain, weighted)]
    assert found[0] < found[1]


def test_codes_inside_ensembles_are_those_of_the_shard():
    """A vote renumbers the classes that it meets, so weights must follow."""
    y = np.where(Y == "birch", "zelkova", Y)  # the code 1 is that of "cedar" now
    base = VotingClassifier([("t", LogisticRegression(class_weight={2: 50.0}))])
    classifier = make_case(base).fit(X, y)
    for inner in classifier.estimators_:
        codes = inner.classes_.tolist()
        weights = inner.estimators_[0].class_weight
        assert weights == {codes.index("zelkova"): 50.0}


def test_priors_after_a_class_is_gone():
    """The others share what it had, in every order of requests."""
    first = make_case(GaussianNB(priors=PRIORS)).fit(X, Y)
    second = make_case(GaussianNB(priors=PRIORS)).fit(X, Y)
    first.forget(Y == "ash").forget(range(60))
    second.forget(range(60)).forget(Y == "ash")
    assert_same_classifier(first, second, X)
    given = [e.priors for e in first.estimators_]
    np.testing.assert_allclose(given, [[0.625, 0.375]] * 5)
    assert first.get_params()["estimator__priors"] == PRIORS


def test_new_classes_need_priors():
    """They are refused as they come, and nothing has changed."""
    known = Y != "ash"
    base = GaussianNB(priors=[0.5, 0.5])
    classifier = make_case(base).fit(X[known], Y[known])
    with pytest.raises(ValueError, match="new classes, for which priors has no value"):
        classifier.partial_fit(X[~known], Y[~known])
    assert classifier.classes_.tolist() == ["birch", "cedar"]
    base = LogisticRegression(class_weight={"birch": 2.0})
    weighted = make_case(base).fit(X[known], Y[known])
    assert weighted.partial_fit(X[~known], Y[~known]).classes_.size == 3


def test_a_class_in_one_shard_alone():
    """Its rows are of one group; the other shards share its prior."""
    x, y = make_data(300)
    groups = np.where(y == "ash", "all", np.arange(300).astype(str))
    base = QuadraticDiscriminantAnalysis(priors=PRIORS)
    classifier = make_case(base).fit(x, y, groups=groups)
    given = {len(e.priors): e.priors for e in classifier.estimators_}
    np.testing.assert_allclose(given[2], [0.625, 0.375])
    assert given[3] == PRIORS
    classifier.forget(range(20))
    fresh = fit_anew(classifier, x, y, identities=groups)
    assert_same_classifier(classifier, fresh, x)


@pytest.mark.filterwarnings("error")
def test_settings_that_do_not_fit():
    """Too few priors are an error at fit; unknown classes are warned of."""
    with pytest.raises(ValueError, match="priors has 2 values for 3 classes"):
        make_case(GaussianNB(priors=[0.5, 0.5])).fit(X, Y)
    with pytest.warns(UserWarning, match="names 1 classes that y lacks"):
        make_case(LogisticRegression(class_weight={"fir": 2.0})).fit(X, Y)


def test_by_class_they_mean_nothing():
    """An estimator of one class against others has no use for them."""
    with pytest.raises(UnsupportedEstimatorError, match="class_weight refers to all"):
        make_case(logistic(), partition="class").fit(X, Y)


@pytest.mark.filterwarnings("ignore:class_weight names 1 classes")
def test_partial_fit_bases():
    """Told of all classes, they keep all settings while there are slices."""
    base = SGDClassifier(class_weight=WEIGHTS, max_iter=3, tol=None)
    for layout in ({"n_slices": 2}, {"n_epochs": 2}):
        classifier = make_case(base, **layout).fit(X, Y).forget(range(30))
        assert_same_classifier(classifier, fit_anew(classifier, X, Y), X)
        classifier.forget(Y == "ash")
        assert_same_classifier(classifier, fit_anew(classifier, X, Y), X)


def test_a_failing_shard_is_named():
    """With its rows by class, and what to do."""
    with pytest.raises(ValueError, match="constant") as caught:
        make_case(DummyClassifier(strategy="constant", constant="ash")).fit(X, Y)
    (note, *_) = caught.value.__notes__
    assert "shard" in note
    assert "'birch': " in note
    assert "n_shards" in note


@pytest.mark.filterwarnings("ignore:sampling_strategy names 1 classes")
def test_targets_of_samplers():
    """Law 1 with a resampler inside, whose targets are those of classes that it has."""
    over = pytest.importorskip("imblearn.over_sampling")
    pipeline = pytest.importorskip("imblearn.pipeline")
    sampler = over.RandomOverSampler(sampling_strategy={"ash": 9, "cedar": 40})
    base = pipeline.make_pipeline(sampler, DecisionTreeClassifier(max_depth=2))
    classifier = make_case(base).fit(X, Y)
    targets = [e[0].sampling_strategy for e in classifier.estimators_]
    assert {len(target) for target in targets} == {1, 2}
    for request in (range(10), Y == "ash"):
        classifier.forget(request)
        assert_same_classifier(classifier, fit_anew(classifier, X, Y), X)


def test_targets_that_a_shard_cannot_meet():
    """Counts are meant for all rows; the shard that lacks them is named."""
    under = pytest.importorskip("imblearn.under_sampling")
    pipeline = pytest.importorskip("imblearn.pipeline")
    sampler = under.RandomUnderSampler(sampling_strategy={"birch": 60})
    base = pipeline.make_pipeline(sampler, DecisionTreeClassifier())
    with pytest.raises(ValueError, match="under-sampling") as caught:
        make_case(base).fit(X, Y)
    assert "training shard 1 on 28 rows" in caught.value.__notes__[0]

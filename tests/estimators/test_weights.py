"""Sample weights reach what is trained inside meta-estimators, or are refused."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import RFE, RFECV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import (
    OneVsOneClassifier,
    OneVsRestClassifier,
    OutputCodeClassifier,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from support import assert_identical, make_data

from skunlearn import ShardedUnlearningClassifier
from skunlearn.exceptions import UnsupportedEstimatorError

X, Y = make_data(120)
Y = (Y == "ash").astype(int)
WEIGHT = 1.0 + np.arange(120) % 3

META = {
    "search": lambda inner: GridSearchCV(inner, {}, cv=3),
    "random search": lambda inner: RandomizedSearchCV(inner, {}, n_iter=1, cv=3),
    "votes": lambda inner: VotingClassifier([("a", inner), ("b", GaussianNB())]),
    "stack": lambda inner: StackingClassifier([("a", inner)], cv=3),
    "final": lambda inner: StackingClassifier([("b", GaussianNB())], inner, cv=3),
    "calibrated": CalibratedClassifierCV,
    "boosted": lambda inner: AdaBoostClassifier(inner, n_estimators=2),
    "bag": lambda inner: BaggingClassifier(inner, n_estimators=2),
    "eliminated": RFE,
    "cross-validated": RFECV,
    "rest": OneVsRestClassifier,
    "pairs": OneVsOneClassifier,
    "codes": OutputCodeClassifier,
    "self-training": SelfTrainingClassifier,
    "threshold": FixedThresholdClassifier,
    "tuned": TunedThresholdClassifierCV,
    "pipeline": lambda inner: make_pipeline(StandardScaler(), inner),
    "search of search": lambda inner: GridSearchCV(GridSearchCV(inner, {}), {}, cv=3),
    "votes of search": lambda inner: VotingClassifier([("a", GridSearchCV(inner, {}))]),
}

# Those that hand weights on without being asked by metadata routing.
UNROUTED = {
    "search",
    "random search",
    "votes",
    "stack",
    "final",
    "calibrated",
    "boosted",
    "bag",
    "eliminated",
    "pipeline",
    "search of search",
    "votes of search",
}


def fit(base):
    """Return a fitted classifier of one shard."""
    classifier = ShardedUnlearningClassifier(base, n_shards=1, random_state=0)
    return classifier.fit(X, Y, sample_weight=WEIGHT)


def assert_weighted(classifier, argument="sample_weight"):
    """Assert that the constituent is what a direct fit with weights gives.

    And that one without gives something else.
    """
    (model,) = classifier.estimators_
    slots = classifier._state.shards[0].slots
    rows = np.argsort(classifier._state.rows.slot_of)[slots]
    direct = clone(model).fit(X[rows], Y[rows], **{argument: WEIGHT[rows]})
    assert_identical(model, direct)
    unweighted = clone(model).fit(X[rows], Y[rows])
    with pytest.raises(AssertionError):
        assert_identical(model, unweighted)


@pytest.mark.filterwarnings("ignore:The scoring GridSearchCV.score does not support")
@pytest.mark.parametrize("name", META)
def test_without_routing(name):
    """What comes out is what the weights make of it, or it is refused."""
    base = META[name](LogisticRegression())
    if name not in UNROUTED:
        with pytest.raises(UnsupportedEstimatorError, match="sample_weight"):
            fit(base)
        return
    prefix = "logisticregression__" if name == "pipeline" else ""
    assert_weighted(fit(base), f"{prefix}sample_weight")


@pytest.mark.parametrize("name", sorted(set(META) - {"pipeline", "search of search"}))
def test_estimators_inside_that_take_none(name):
    """Neighbours have no use for weights, and nobody says so."""
    if name == "bag":  # draws rows by their weights instead
        fit(META[name](KNeighborsClassifier()))
        return
    inner = KNeighborsClassifier()
    for refusing in (META[name](inner), make_pipeline(META[name](inner))):
        with pytest.raises(UnsupportedEstimatorError, match="set_fit_request"):
            fit(refusing)


def test_a_search_of_pipelines():
    """The last step's name goes before the argument's, at any depth."""
    base = GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {}, cv=3)
    argument = "logisticregression__sample_weight"
    assert_weighted(fit(base), argument)
    outer = make_pipeline("passthrough", base)
    assert_weighted(fit(outer), f"gridsearchcv__{argument}")


@pytest.mark.parametrize("name", ["votes", "stack", "calibrated", "boosted"])
def test_pipelines_inside_those_that_do_not_name_steps(name):
    """A pipeline's step is out of their reach."""
    with pytest.raises(UnsupportedEstimatorError, match="set_fit_request"):
        fit(META[name](make_pipeline(StandardScaler(), LogisticRegression())))


def test_calibration_of_a_frozen_classifier():
    """It is the calibration that the weights are for."""
    base = CalibratedClassifierCV(FrozenEstimator(GaussianNB().fit(X, Y)))
    with pytest.warns(UserWarning, match="calibration"):  # scikit-learn's own
        fit(base)


@pytest.mark.filterwarnings("ignore:y contains no unlabeled samples")
@pytest.mark.parametrize("name", sorted(set(META) - {"boosted", "final"}))
def test_with_routing(name):
    """Weights go to those that have asked for them."""
    with config_context(enable_metadata_routing=True):
        asking = LogisticRegression().set_fit_request(sample_weight=True)
        asking.set_score_request(sample_weight=False)
        base = META[name](asking)
        for part in base.get_params().values():
            if isinstance(part, (GaussianNB, StandardScaler)):
                part.set_fit_request(sample_weight=False)
        if name in ("tuned", "cross-validated"):
            scorer = make_scorer(accuracy_score)
            base.set_params(scoring=scorer.set_score_request(sample_weight=False))
        assert_weighted(fit(base))


@pytest.mark.parametrize("name", sorted(set(META) - {"bag"}))
def test_with_routing_and_nobody_asking(name):
    """Then there is nobody to give them to."""
    with config_context(enable_metadata_routing=True):
        for inner in (LogisticRegression(), KNeighborsClassifier()):
            with pytest.raises(UnsupportedEstimatorError, match="set_fit_request"):
                fit(META[name](inner))

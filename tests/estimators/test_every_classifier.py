"""Any classifier of scikit-learn, alone or with others inside, forgets exactly."""

import warnings

import joblib
import numpy as np
import pytest
from scipy import stats
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import RFE, RFECV
from sklearn.linear_model import (
    LogisticRegressionCV,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    KFold,
    RandomizedSearchCV,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import (
    OneVsOneClassifier,
    OneVsRestClassifier,
    OutputCodeClassifier,
)
from sklearn.naive_bayes import CategoricalNB, GaussianNB
from sklearn.neighbors import KNeighborsClassifier, RadiusNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.random_projection import GaussianRandomProjection
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC, LinearSVC, NuSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators
from support import assert_same_classifier, fit_anew, make_data

from skunlearn import ShardedUnlearningClassifier

X, Y = make_data(100)
TREE = DecisionTreeClassifier(max_features=1, max_depth=2)
SHUFFLED = StratifiedKFold(2, shuffle=True)
REPEATED = RepeatedStratifiedKFold(n_splits=2, n_repeats=2)

# Those that have to be told something, or would take long.
SPECIAL = {
    "AdaBoostClassifier": AdaBoostClassifier(TREE, n_estimators=3),
    "BaggingClassifier": BaggingClassifier(TREE, n_estimators=3),
    "CalibratedClassifierCV": CalibratedClassifierCV(TREE, cv=SHUFFLED),
    "CategoricalNB": CategoricalNB(min_categories=10),
    "ExtraTreesClassifier": ExtraTreesClassifier(3),
    "FixedThresholdClassifier": FixedThresholdClassifier(TREE, threshold=0.3),
    "GradientBoostingClassifier": GradientBoostingClassifier(
        n_estimators=3, subsample=0.5
    ),
    "KNeighborsClassifier": KNeighborsClassifier(algorithm="brute"),
    "LinearDiscriminantAnalysis": LinearDiscriminantAnalysis(),
    "LogisticRegressionCV": LogisticRegressionCV(cv=SHUFFLED, Cs=2),
    "MLPClassifier": MLPClassifier((3,), max_iter=3, early_stopping=True),
    "NuSVC": NuSVC(nu=0.1),
    "OneVsOneClassifier": OneVsOneClassifier(TREE),
    "OneVsRestClassifier": OneVsRestClassifier(TREE),
    "OutputCodeClassifier": OutputCodeClassifier(TREE),
    "QuadraticDiscriminantAnalysis": QuadraticDiscriminantAnalysis(reg_param=0.1),
    "RadiusNeighborsClassifier": RadiusNeighborsClassifier(9.0, algorithm="brute"),
    "RandomForestClassifier": RandomForestClassifier(20, oob_score=True),
    "RidgeClassifierCV": RidgeClassifierCV(store_cv_results=True),
    "SelfTrainingClassifier": SelfTrainingClassifier(TREE),
    "StackingClassifier": StackingClassifier(
        [("tree", TREE), ("svc", SVC())], cv=SHUFFLED
    ),
    "TunedThresholdClassifierCV": TunedThresholdClassifierCV(TREE, cv=SHUFFLED),
    "VotingClassifier": VotingClassifier([("tree", TREE), ("svc", SVC())]),
}

CANNOT = {
    "ClassifierChain": "answers with several labels",
    "MultiOutputClassifier": "answers with several labels",
}

# What is to be tried besides: others inside, and randomness in every corner.
COMBINED = {
    "search": GridSearchCV(TREE, {"max_depth": [1, 3]}, cv=SHUFFLED),
    "search of estimators": GridSearchCV(
        make_pipeline(PCA(2), TREE),
        [
            {"decisiontreeclassifier": [TREE, ExtraTreesClassifier(2)]},
            {"pca": [GaussianRandomProjection(2), "passthrough"]},
        ],
        cv=SHUFFLED,
    ),
    "search of kinds": GridSearchCV(
        make_pipeline(TREE),
        {"decisiontreeclassifier": [TREE, LinearSVC(), GaussianNB()]},
        cv=KFold(2, shuffle=True),
    ),
    "random search": RandomizedSearchCV(
        TREE, {"min_samples_leaf": stats.randint(1, 9)}, n_iter=3, cv=ShuffleSplit(2)
    ),
    "random state": SGDClassifier(random_state=np.random.RandomState(0)),
    "soft votes": VotingClassifier(
        [("tree", TREE), ("b", GaussianNB())], voting="soft"
    ),
    "nested": CalibratedClassifierCV(
        make_pipeline(StandardScaler(), BaggingClassifier(TREE, n_estimators=2)),
        cv=REPEATED,
    ),
    "elimination": RFE(TREE, n_features_to_select=2),
    "cross-validated elimination": RFECV(TREE, cv=SHUFFLED),
    "calibrated machine": CalibratedClassifierCV(SVC(), ensemble=False),
    "probable machine": SVC(probability=True),
    "stack of chains": StackingClassifier(
        [("pipeline", make_pipeline(PCA(2), TREE)), ("bag", BaggingClassifier(TREE))],
        final_estimator=RandomForestClassifier(2),
        cv=SHUFFLED,
    ),
}
KINDS = dict(all_estimators("classifier"))
NAMES = [*(name for name in KINDS if name not in CANNOT), *COMBINED]
TWO_CLASSES = ("FixedThresholdClassifier", "TunedThresholdClassifierCV")


def make_problem(name):
    """Return rows and labels that suit a base."""
    data = np.abs(X).round() if name.endswith("NB") else X
    if name in TWO_CLASSES:
        return data, np.where(Y == "ash", "ash", "birch")
    if name == "SelfTrainingClassifier":
        return data, np.where(np.arange(100) % 3 == 0, -1, Y == "ash")  # -1: unknown
    return data, Y


def make_base(name):
    """Return an unfitted base; of deprecated ones this warns."""
    special = SPECIAL | COMBINED
    return special[name] if name in special else KINDS[name]()


def make(name, **params):
    """Return an unfitted classifier of two shards."""
    params = {"n_shards": 2, "random_state": 7, **params}
    return ShardedUnlearningClassifier(make_base(name), **params)


def test_all_are_here():
    """What is told of a classifier is told of one that there is."""
    assert set(CANNOT) | set(SPECIAL) <= set(KINDS)


@pytest.mark.parametrize("name", NAMES)
def test_forgetting_is_exact(name):
    """What is left is what a fit without the rows gives, and no warning is new."""
    data, labels = make_problem(name)
    with warnings.catch_warnings(record=True) as known:
        warnings.simplefilter("always")
        make_base(name).fit(data[::2], labels[::2])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        classifier = make(name).fit(data, labels)
        classifier.forget([0, 7, 9]).forget(range(20, 30))
        answer = classifier.predict(data)
    known = {str(warning.message) for warning in known}
    assert {str(warning.message) for warning in seen} <= known
    assert set(answer) <= set(labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_same_classifier(classifier, fit_anew(classifier, data, labels), data)


@pytest.mark.parametrize(
    "name",
    ["MLPClassifier", "StackingClassifier", "search of estimators", "random state"],
)
def test_jobs_share_no_randomness(name):
    """Processes, threads and none give the same."""
    expected = make(name).fit(X, Y).forget([0, 7])
    for backend in ("loky", "threading"):
        with joblib.parallel_config(backend, n_jobs=2):
            classifier = make(name).fit(X, Y).forget([0, 7])
        assert_same_classifier(expected, classifier, X)

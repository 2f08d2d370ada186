"""LightGBM, XGBoost and CatBoost in shards."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support import fit_anew, make_data, thin

from skunlearn import ShardedUnlearningClassifier

catboost = pytest.importorskip("catboost")
lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")

X, Y = make_data(150)
Y[np.flatnonzero(Y == "ash")[3:]] = "birch"  # three rows are left, in as many shards
CODES = np.unique(Y, return_inverse=True)[1]
WEIGHT = np.random.default_rng(0).uniform(0.5, 2, 150)

BASES = {
    "lightgbm": lightgbm.LGBMClassifier(
        n_estimators=4, min_child_samples=3, subsample=0.8, subsample_freq=1, verbose=-1
    ),
    "xgboost": xgboost.XGBClassifier(n_estimators=4, subsample=0.8, max_depth=3),
    "xgboost_forest": xgboost.XGBRFClassifier(n_estimators=4, max_depth=3),
    "catboost": catboost.CatBoostClassifier(
        iterations=4, depth=3, verbose=0, allow_writing_files=False
    ),
}


def make_case(base, **params):
    """Return an unfitted classifier of five shards."""
    base = clone(BASES[base]) if isinstance(base, str) else base
    params = {"n_shards": 5, "random_state": 0, **params}
    return ShardedUnlearningClassifier(base, **params)


def assert_same_answers(first, second, data=X):
    """Compare all that two classifiers say, by bits; models keep clocks and buffers."""
    np.testing.assert_array_equal(first.classes_, second.classes_)
    np.testing.assert_array_equal(first.predict(data), second.predict(data))
    mine, other = first.predict_proba(data), second.predict_proba(data)
    np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("base", BASES)
def test_streams_of_requests(base):
    """Law 1, with names for labels and a class that most shards lack."""
    classifier = make_case(base).fit(X, Y)
    assert {len(e.classes_) for e in classifier.estimators_} == {2, 3}
    rng = np.random.default_rng(0)
    for retrain in (True, False, True):
        classifier.forget(rng.integers(150, size=8), retrain=retrain).retrain()
        assert_same_answers(classifier, fit_anew(classifier, X, Y))
    classifier.forget(Y == "ash")
    assert_same_answers(classifier, fit_anew(classifier, X, Y))
    assert classifier.score(X[Y != "ash"], Y[Y != "ash"]) > 0.7


@pytest.mark.parametrize("labels", [np.arange(3), np.array([4, 7, 9])])
@pytest.mark.parametrize("base", BASES)
def test_labels_of_any_kind(base, labels):
    """They come back as they were given."""
    y = np.asarray(labels)[CODES]
    classifier = make_case(base, voting="hard").fit(X, y)
    assert set(classifier.predict(X)) <= set(labels)
    named = make_case(base, voting="hard").fit(X, Y)
    np.testing.assert_array_equal(classifier.predict_proba(X), named.predict_proba(X))


@pytest.mark.parametrize("base", BASES)
def test_weights(base):
    """They count, and go with their rows."""
    classifier = make_case(base).fit(X, Y, WEIGHT).forget([1, 2, 30])
    fresh = fit_anew(classifier, X, Y, sample_weight=WEIGHT)
    assert_same_answers(classifier, fresh)
    plain = make_case(base).fit(X, Y).predict_proba(X)
    assert abs(classifier.predict_proba(X) - plain).max() > 0.01


@pytest.mark.parametrize("base", thin(BASES, 8))
def test_pickles_and_jobs(base):
    """Laws 4 and 6 of what they are made of."""
    expected = make_case(base).fit(X, Y).forget([1, 2, 30])
    with joblib.parallel_config("loky", n_jobs=2):
        classifier = make_case(base).fit(X, Y)
        again = pickle.loads(pickle.dumps(classifier)).forget([1, 2, 30])
    assert_same_answers(expected, again)


@pytest.mark.parametrize("base", ["lightgbm", "xgboost"])
def test_categories(base):
    """Columns of declared categories, of which shards lack some."""
    size = np.random.default_rng(0).choice(["low", "mid", "high", "zzyzx"], 150)
    size[size == "zzyzx"] = "mid"
    size[7] = "zzyzx"
    declared = ["low", "mid", "high", "zzyzx"]
    data = pd.DataFrame({"size": pd.Categorical(size, declared), "z": X[:, 0]})
    y = np.where(size == "low", "small", "large")
    params = {
        "lightgbm": {"min_data_per_group": 1, "cat_smooth": 0, "cat_l2": 0},
        "xgboost": {"enable_categorical": True},
    }[base]
    model = clone(BASES[base]).set_params(n_estimators=30, **params)
    classifier = make_case(model).fit(data, y)
    assert classifier.score(data, y) > 0.95
    classifier.forget([7, 8])
    fresh = fit_anew(classifier, data, y)
    assert_same_answers(classifier, fresh, data.drop(index=7))
    assert b"zzyzx" not in pickle.dumps(classifier)


NESTED = {
    "pipeline": lambda base: make_pipeline(StandardScaler(), base),
    "vote": lambda base: VotingClassifier(
        [("b", base), ("l", LogisticRegression())], voting="soft"
    ),
    "stack": lambda base: StackingClassifier(
        [("b", base), ("l", LogisticRegression())], cv=2
    ),
}


@pytest.mark.filterwarnings("ignore:The least populated class")
@pytest.mark.filterwarnings("ignore:Number of classes in training fold")
@pytest.mark.parametrize("nest", ["pipeline", "vote"])
@pytest.mark.parametrize("base", BASES)
def test_inside_others(base, nest):
    """Law 1 where something else holds them."""
    classifier = make_case(NESTED[nest](clone(BASES[base]))).fit(X, Y)
    classifier.forget([1, 2, 30])
    assert_same_answers(classifier, fit_anew(classifier, X, Y))


def test_a_stack_of_codes():
    """A shard lacks the lowest class, and the stack trains on the codes of the rest."""
    x, y = make_data(120)
    groups = np.where(y == "ash", "all", np.arange(120).astype(str))
    base = NESTED["stack"](clone(BASES["xgboost"]))
    codes = np.unique(y, return_inverse=True)[1]
    classifier = make_case(base, n_shards=3).fit(x, codes, groups=groups)
    assert {len(e.classes_) for e in classifier.estimators_} == {2, 3}
    classifier.forget([1, 2, 30])
    fresh = fit_anew(classifier, x, codes, identities=groups)
    assert_same_answers(classifier, fresh, x)


@pytest.mark.parametrize(
    "weights", [{"ash": 30.0, "birch": 1.0, "cedar": 2.0}, {"cedar": 2.0}]
)
def test_class_weights(weights):
    """LightGBM takes them by class, of which a shard may lack some."""
    base = clone(BASES["lightgbm"]).set_params(class_weight=weights)
    classifier = make_case(base).fit(X, Y).forget([1, 2, 30])
    assert_same_answers(classifier, fit_anew(classifier, X, Y))


def test_one_shard_is_as_the_base():
    """Law 10, codes or not."""
    for name in BASES:
        codes = np.unique(Y, return_inverse=True)[1]
        classifier = make_case(name, n_shards=1).fit(X, codes)
        inner = classifier.estimators_[0]
        inner = getattr(inner, "estimator_", inner)
        order = np.argsort(classifier._state.rows.slot_of)
        bare = clone(inner).fit(X[order], codes[order])
        np.testing.assert_array_equal(
            classifier.predict_proba(X), bare.predict_proba(X)
        )


MULTICLASS = {
    "softprob": xgboost.XGBClassifier(n_estimators=3, objective="multi:softprob"),
    "softmax": xgboost.XGBRFClassifier(n_estimators=3, objective="multi:softmax"),
    "num_class": xgboost.XGBClassifier(n_estimators=3, num_class=3),
    "multiclass": lightgbm.LGBMClassifier(
        n_estimators=3, objective="multiclass", min_child_samples=3, verbose=-1
    ),
    "ova": lightgbm.LGBMClassifier(
        n_estimators=3,
        objective="multiclassova",
        num_class=3,
        min_child_samples=3,
        verbose=-1,
    ),
    "catboost": catboost.CatBoostClassifier(
        iterations=3, loss_function="MultiClass", verbose=0, allow_writing_files=False
    ),
    "fitted": xgboost.XGBClassifier(n_estimators=3).fit(X, CODES),
    "pipeline": make_pipeline(
        StandardScaler(),
        xgboost.XGBClassifier(n_estimators=3, objective="multi:softprob"),
    ),
}


@pytest.mark.parametrize("params", [{}, {"partition": "class", "n_shards": 1}])
@pytest.mark.parametrize("base", MULTICLASS.values(), ids=MULTICLASS)
def test_objectives_of_many_classes(base, params):
    """They hold where a shard has two, also if an earlier fit has set them."""
    classifier = make_case(clone(base), **params).fit(X, Y)
    assert classifier.score(X, Y) > 0.7
    classifier.forget([1, 2, 30])
    assert_same_answers(classifier, fit_anew(classifier, X, Y))
    classifier.forget(Y == "ash")
    assert_same_answers(classifier, fit_anew(classifier, X, Y))

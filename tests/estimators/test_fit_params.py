"""Keywords of the base's own fit: cut with the rows, forgotten with them, handed on."""

import pickle

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support import assert_same_classifier, fit_anew, make_data

from skunlearn import ShardedUnlearningClassifier
from skunlearn.exceptions import UnsupportedEstimatorError

X, Y = make_data()
COST = np.random.default_rng(0).uniform(1, 2, 60)


class Costly(ClassifierMixin, BaseEstimator):
    """A classifier that keeps what its fit is given."""

    def fit(self, X, y, cost=None, names=None, mode="plain"):
        """Keep it."""
        self.classes_ = np.unique(y)
        self.cost_, self.names_, self.mode_ = cost, names, mode
        self.n_rows_ = len(y)
        return self

    def predict(self, X):
        """Return the first class."""
        return np.repeat(self.classes_[:1], len(X))


def make_case(base=None, **params):
    """Return an unfitted classifier of three shards."""
    base = Costly() if base is None else base
    params = {"n_shards": 3, "random_state": 0, **params}
    return ShardedUnlearningClassifier(base, **params)


def collect(classifier, name="cost_"):
    """Return what all constituents have been given."""
    return sorted(np.concatenate([vars(e)[name] for e in classifier.estimators_]))


def test_values_of_rows_are_cut_and_forgotten():
    """Laws 1, 7 and 8, with names that mark their rows."""
    names = [f"row-{i:02}-marker" for i in range(60)]
    classifier = make_case().fit(X, Y, cost=COST, names=names, mode="other")
    assert collect(classifier) == sorted(COST)
    for retrain in (True, False):
        classifier.forget([7, 8] if retrain else [30, 31], retrain=retrain)
        classifier.retrain()
        fresh = fit_anew(classifier, X, Y, cost=COST, names=np.array(names))
        for mine, other in zip(classifier.estimators_, fresh.estimators_, strict=True):
            np.testing.assert_array_equal(mine.cost_, other.cost_)
            np.testing.assert_array_equal(mine.names_, other.names_)
            assert (mine.mode_, other.mode_) == ("other", "plain")
    assert b"row-08" not in pickle.dumps(classifier).replace(b"\0", b"")
    assert b"row-09" in pickle.dumps(classifier).replace(b"\0", b"")
    assert COST[7].tobytes() not in pickle.dumps(classifier)


def test_lists_and_columns():
    """A list, or an array of more columns, is cut; what has another length is not."""
    costs = np.column_stack([COST, COST])
    classifier = make_case().fit(X, Y, cost=costs, names=["a", "b"])
    assert {e.cost_.shape for e in classifier.estimators_} == {
        (e.n_rows_, 2) for e in classifier.estimators_
    }
    assert [e.names_ for e in classifier.estimators_] == [["a", "b"]] * 3
    assert collect(make_case().fit(X, Y, cost=COST.tolist())) == sorted(COST)


def test_zero_weights_take_their_values_along():
    """A row that is not learnt has no value either."""
    classifier = make_case(GaussianNB(), n_shards=1)
    weight = np.r_[np.zeros(20), np.ones(40)]
    with pytest.raises(TypeError, match="unexpected keyword argument 'cost'"):
        classifier.fit(X, Y, weight, cost=COST)


def test_a_pipeline_takes_its_steps_keywords():
    """Without routing they carry the step's name."""
    base = make_pipeline(StandardScaler(), Costly())
    classifier = make_case(base).fit(X, Y, costly__cost=COST).forget([1, 2])
    assert collect_last(classifier) == sorted(np.delete(COST, [1, 2]))


def collect_last(classifier):
    """Return what the last steps of all constituents have been given."""
    return sorted(np.concatenate([e[-1].cost_ for e in classifier.estimators_]))


def test_routing():
    """Requested keywords arrive; others are refused."""
    with config_context(enable_metadata_routing=True):
        base = make_pipeline(StandardScaler(), Costly().set_fit_request(cost=True))
        classifier = make_case(base).fit(X, Y, cost=COST).forget([1, 2])
        assert collect_last(classifier) == sorted(np.delete(COST, [1, 2]))
        with pytest.raises(UnsetMetadataPassedError, match="names"):
            make_case(base).fit(X, Y, names=COST)
        asking = make_case(Costly().set_fit_request(cost=True))
        search = GridSearchCV(asking, {"n_shards": [2, 3]}, cv=3)
        assert collect(search.fit(X, Y, cost=COST).best_estimator_) == sorted(COST)
        scores = cross_validate(asking, X, Y, params={"cost": COST})
        assert len(scores["test_score"]) == 5


def test_refusals():
    """Before anything is trained."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'group'"):
        make_case().fit(X, Y, group=COST)
    base = SGDClassifier()
    with pytest.raises(UnsupportedEstimatorError, match="partial_fit"):
        make_case(base, n_slices=2).fit(X, Y, coef_init=np.ones((3, 4)))
    classifier = make_case().fit(X, Y, cost=COST)
    with pytest.raises(ValueError, match="fit was given cost for each row"):
        classifier.partial_fit(X, Y)
    assert make_case().fit(X, Y, mode="x").partial_fit(X, Y).estimators_[0].mode_ == "x"


def make_boosting(library):
    """Return a classifier that stops early, and keywords for its fit."""
    if library == "lightgbm":
        lightgbm = pytest.importorskip("lightgbm")
        base = lightgbm.LGBMClassifier(n_estimators=50, min_child_samples=3, verbose=-1)
        return base, {"callbacks": [lightgbm.early_stopping(2, verbose=False)]}
    if library == "xgboost":
        xgboost = pytest.importorskip("xgboost")
        base = xgboost.XGBClassifier(n_estimators=50, early_stopping_rounds=2)
        return base, {"verbose": False}
    catboost = pytest.importorskip("catboost")
    base = catboost.CatBoostClassifier(50, verbose=0, allow_writing_files=False)
    return base, {"early_stopping_rounds": 2}


@pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated")
@pytest.mark.parametrize("library", ["lightgbm", "xgboost", "catboost"])
def test_early_stopping(library):
    """Law 1 with rows to stop by, some of classes that a shard lacks."""
    x, y = make_data(200)
    groups = np.where(y == "ash", "all", np.arange(200).astype(str))
    base, keywords = make_boosting(library)
    keywords["eval_set"] = [make_data(60, seed=1)]
    classifier = make_case(base, n_shards=4)
    classifier.fit(x, y, groups=groups, **keywords)
    assert {len(e.classes_) for e in classifier.estimators_} == {2, 3}
    classifier.forget(range(9))
    keep = classifier.retained_indices_
    fresh = make_case(base, n_shards=4).fit(
        x[keep], y[keep], groups=groups[keep], **keywords
    )
    np.testing.assert_array_equal(classifier.predict_proba(x), fresh.predict_proba(x))


def test_nothing_given_is_nothing_kept():
    """The usual case."""
    classifier = make_case(GaussianNB()).fit(X, Y).forget([1])
    assert classifier._state.rows.data.fit_params == {}
    assert_same_classifier(classifier, fit_anew(classifier, X, Y), X)

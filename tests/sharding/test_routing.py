"""Sample weights and groups inside pipelines, searches and cross-validation."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.covariance import EllipticEnvelope
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from support import assert_same_classifier, make_data

from skunlearn import ShardedUnlearningClassifier
from skunlearn.exceptions import UnsupportedEstimatorError

X, Y = make_data(120)
GROUPS = np.arange(120) // 4
WEIGHT = 1.0 + np.arange(120) % 3


class Recorder(DecisionTreeClassifier):
    """Notes the weights that it is given."""

    def fit(self, X, y, sample_weight=None, check_input=True):
        """Note, and fit."""
        self.weight_ = sample_weight
        return super().fit(X, y, sample_weight=sample_weight)


def make(base=None, **params):
    """Return an unfitted classifier of four shards."""
    base = Recorder() if base is None else base
    return ShardedUnlearningClassifier(base, n_shards=4, random_state=0, **params)


def get_weights(classifier):
    """Return all weights that constituents were given, sorted."""
    return sorted(np.concatenate([m.weight_ for m in classifier.estimators_]))


@pytest.mark.parametrize("routing", [True, False])
def test_grid_search(routing):
    """Groups serve the splitter and the classifier; weights are cut with the rows."""
    with config_context(enable_metadata_routing=routing):
        search = GridSearchCV(make(), {"n_shards": [2, 4]}, cv=GroupKFold(3))
        search.fit(X, Y, sample_weight=WEIGHT, groups=GROUPS)
        classifier = search.best_estimator_
    assert get_weights(classifier) == sorted(WEIGHT)
    if routing:  # without it a search gives groups to the splitter alone
        classifier.forget(groups=[2])
        assert classifier.forgotten_indices_.tolist() == [8, 9, 10, 11]
    assert set(search.cv_results_["param_n_shards"]) == {2, 4}


@pytest.mark.parametrize(
    "base",
    [EllipticEnvelope(), make_pipeline(StandardScaler(), EllipticEnvelope())],
)
def test_what_cannot_tell_its_routing(base):
    """Of EllipticEnvelope scikit-learn 1.8 trips over it; it takes no weights."""
    classifier = ShardedUnlearningClassifier(base, partition="class", n_shards=1)
    with config_context(enable_metadata_routing=True):
        assert classifier.fit(X, Y).score(X, Y) > 0.5
        with pytest.raises(UnsupportedEstimatorError, match="sample_weight"):
            classifier.fit(X, Y, WEIGHT)


def test_grid_search_over_the_base():
    """Parameters of the base are reached as in any meta-estimator."""
    search = GridSearchCV(make(LogisticRegression()), {"estimator__C": [0.1, 1.0]})
    assert search.fit(X, Y).best_estimator_.estimators_[0].C in (0.1, 1.0)


def test_pipeline_with_routing():
    """No set_fit_request is due on the classifier's side."""
    with config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, make())
        pipeline.fit(X, Y, sample_weight=WEIGHT, groups=GROUPS)
        assert get_weights(pipeline[-1]) == sorted(WEIGHT)
        pipeline[-1].forget(groups=[0])
        assert len(pipeline[-1].forgotten_indices_) == 4
        nested = GridSearchCV(pipeline, {}, cv=3)
        nested.fit(X, Y, sample_weight=WEIGHT, groups=GROUPS)
        assert get_weights(nested.best_estimator_[-1]) == sorted(WEIGHT)


def test_pipeline_without_routing():
    """The step's name goes before the argument's."""
    pipeline = Pipeline([("scale", StandardScaler()), ("forgetful", make())])
    pipeline.fit(X, Y, forgetful__sample_weight=WEIGHT, forgetful__groups=GROUPS)
    assert get_weights(pipeline[-1]) == sorted(WEIGHT)
    assert pipeline[-1].forget(groups=3).forgotten_indices_.tolist() == [12, 13, 14, 15]


@pytest.mark.parametrize("routing", [True, False])
def test_cross_validation(routing):
    """cross_validate cuts metadata with the rows."""
    params = {"sample_weight": WEIGHT, "groups": GROUPS}
    with config_context(enable_metadata_routing=routing):
        result = cross_validate(
            make(), X, Y, params=params, return_estimator=True, return_indices=True
        )
    trained = result["indices"]["train"]
    for classifier, rows in zip(result["estimator"], trained, strict=True):
        assert get_weights(classifier) == sorted(WEIGHT[rows])
        classifier.forget(groups=GROUPS[rows[0]])


@pytest.mark.parametrize("routing", [True, False])
def test_weights_reach_the_last_step_of_a_base(routing):
    """Of a wrapped pipeline the classifier gets them; it may ask for more."""
    with config_context(enable_metadata_routing=routing):
        last = Recorder()
        if routing:
            last.set_fit_request(sample_weight=True)
        base = make_pipeline(FunctionTransformer(), make_pipeline("passthrough", last))
        classifier = make(base).fit(X, Y, sample_weight=WEIGHT)
    weights = np.concatenate([m[-1][-1].weight_ for m in classifier.estimators_])
    assert sorted(weights) == sorted(WEIGHT)


def test_weights_go_with_their_rows():
    """Each constituent's weights are those of its own rows, in their order."""
    base = SGDClassifier(max_iter=3, tol=None)
    weighted = make(base).fit(X, Y, sample_weight=WEIGHT)
    state = weighted._state
    position = np.argsort(state.rows.slot_of)
    for model, shard in zip(weighted.estimators_, state.shards, strict=True):
        rows = position[shard.slots]
        again = clone(model).fit(X[rows], Y[rows], sample_weight=WEIGHT[rows])
        np.testing.assert_array_equal(again.coef_, model.coef_)


def test_a_row_of_no_weight_is_no_row():
    """Weight 0 is as if the row were not there."""
    weight = (np.arange(120) % 5 > 0).astype(float)
    keep = np.flatnonzero(weight)
    weighted = make().fit(X, Y, sample_weight=weight)
    without = make().fit(X[keep], Y[keep], groups=keep, sample_weight=weight[keep])
    assert_same_classifier(weighted, without, X)

"""Weights and groups inside pipelines, searches and cross-validation."""

import numpy as np
import pytest
from influence_cases import METHODS, get_vector, make_case, make_data
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skunlearn import InfluenceUnlearningClassifier
from skunlearn.exceptions import NothingRetainedError

# What influence says of its single steps.
pytestmark = pytest.mark.filterwarnings("ignore:the distance to the retrained")

X, Y = make_data(n_rows=120)
GROUPS = np.arange(120) // 4
WEIGHT = 1.0 + np.arange(120) % 3


def get_weights(classifier):
    """Return all weights that a classifier was given, sorted."""
    return sorted(classifier._state.rows.data.sample_weight)


@pytest.mark.parametrize("routing", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_grid_search(method, routing):
    """Groups serve the splitter and the classifier; weights are cut with the rows."""
    with config_context(enable_metadata_routing=routing):
        search = GridSearchCV(make_case(method=method), {"tol": [1e-6, 1e-8]})
        search.set_params(cv=GroupKFold(3))
        search.fit(X, Y, sample_weight=WEIGHT, groups=GROUPS)
        classifier = search.best_estimator_
    assert get_weights(classifier) == sorted(WEIGHT)
    if routing:  # without it a search gives groups to the splitter alone
        classifier.forget(groups=[2])
        assert classifier.forgotten_indices_.tolist() == [8, 9, 10, 11]
    assert set(search.cv_results_["param_tol"]) == {1e-6, 1e-8}


def test_grid_search_over_the_method():
    """Whatever can be said of how to forget can be searched over."""
    grid = [
        {"method": METHODS, "estimator__C": [0.1, 1.0]},
        {"method": ["puma"], "max_reabsorption": [0.1, 0.5, 1.0]},
    ]
    search = GridSearchCV(make_case(), grid, cv=3).fit(X, Y)
    assert len(search.cv_results_["params"]) == 9
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    search.best_estimator_.forget(range(5))


def forget_score(classifier, X, y):
    """Return the score after some rows were forgotten."""
    return classifier.forget(range(10)).score(X, y)


def test_grid_search_with_a_forget_in_the_score():
    """A scorer may forget: the classifier it gets is that of the fold."""
    grid = {"max_reabsorption": [0.1, 1.0]}
    search = GridSearchCV(make_case(method="puma"), grid, cv=3, scoring=forget_score)
    scores = search.fit(X, Y).cv_results_["mean_test_score"]
    assert (scores > 0.5).all()
    assert len(search.best_estimator_.forgotten_indices_) == 0


@pytest.mark.parametrize("routing", [True, False])
def test_cross_validation(routing):
    """cross_validate cuts metadata with the rows."""
    params = {"sample_weight": WEIGHT, "groups": GROUPS}
    with config_context(enable_metadata_routing=routing):
        result = cross_validate(
            make_case(), X, Y, params=params, return_estimator=True, return_indices=True
        )
    trained = result["indices"]["train"]
    for classifier, rows in zip(result["estimator"], trained, strict=True):
        assert get_weights(classifier) == sorted(WEIGHT[rows])
        classifier.forget(groups=GROUPS[rows[0]])


@pytest.mark.parametrize("method", METHODS)
def test_pipeline_with_routing(method):
    """No set_fit_request is due on the classifier's side."""
    with config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, make_case(method=method))
        pipeline.fit(X, Y, sample_weight=WEIGHT, groups=GROUPS)
        assert get_weights(pipeline[-1]) == sorted(WEIGHT)
        pipeline[-1].forget(groups=[0])
        assert len(pipeline[-1].forgotten_indices_) == 4
        nested = GridSearchCV(pipeline, {}, cv=3)
        nested.fit(X, Y, sample_weight=WEIGHT, groups=GROUPS)
        assert get_weights(nested.best_estimator_[-1]) == sorted(WEIGHT)
        assert np.isfinite(pipeline.score(X, Y, sample_weight=WEIGHT))


def test_rows_for_the_criterion_can_be_routed():
    """X_val and y_val go through a pipeline where it is asked to pass them on."""
    with config_context(enable_metadata_routing=True):
        classifier = make_case(method="puma").set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(FunctionTransformer(), classifier)
        pipeline.fit(X, Y, X_val=X[:9], y_val=Y[:9])
    assert pipeline[-1].weights_.all()


def test_pipeline_without_routing():
    """The step's name goes before the argument's."""
    pipeline = Pipeline([("scale", StandardScaler()), ("forgetful", make_case())])
    pipeline.fit(X, Y, forgetful__sample_weight=WEIGHT, forgetful__groups=GROUPS)
    assert get_weights(pipeline[-1]) == sorted(WEIGHT)
    assert pipeline[-1].forget(groups=3).forgotten_indices_.tolist() == [12, 13, 14, 15]


@pytest.mark.parametrize("routing", [True, False])
def test_weights_reach_the_last_step_of_a_base(routing):
    """Of a wrapped pipeline the classifier gets them."""
    with config_context(enable_metadata_routing=routing):
        last = LogisticRegression()
        if routing:
            last.set_fit_request(sample_weight=True)
        base = make_pipeline(FunctionTransformer(), last)
        classifier = InfluenceUnlearningClassifier(base, method="newton")
        classifier.fit(X, Y, WEIGHT).forget(range(7))
    plain = InfluenceUnlearningClassifier(method="newton").fit(X, Y, WEIGHT)
    expected = get_vector(plain.forget(range(7)))
    np.testing.assert_allclose(get_vector(classifier), expected, atol=1e-8)


@pytest.mark.parametrize("name", ["multinomial", "origin", "ridge", "svc"])
def test_a_row_of_no_weight_is_no_row(name):
    """Weight 0 is as if the row were not there, also when it is forgotten."""
    weight = (np.arange(120) % 5 > 0).astype(float)
    keep = np.flatnonzero(weight)
    weighted = make_case(name).fit(X, Y, weight).forget(range(10))
    without = make_case(name).fit(X[keep], Y[keep], weight[keep]).forget(range(8))
    np.testing.assert_allclose(get_vector(weighted), get_vector(without), atol=1e-7)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["multinomial", "ridge", "svc", "sgd_log"])
def test_classes_of_no_weight(name, method):
    """A row that weighs nothing is none, and a class of such rows is none either."""
    weight = np.where(Y == "cedar", 0.0, WEIGHT)
    weight[:30] = 0
    classifier = make_case(name, method=method).fit(X, Y, weight)
    assert classifier.classes_.tolist() == ["ash", "birch"]
    theta = get_vector(classifier).copy()
    record = classifier.forget(range(20)).forget_records_[-1]
    assert (record.n_forgotten, record.path) == (20, "patch")
    assert get_vector(classifier).tobytes() == theta.tobytes()
    with pytest.raises(NothingRetainedError):
        classifier.forget(weight > 0)
    classifier.forget((weight > 0) & (Y == "birch"))
    assert classifier.classes_.tolist() == ["ash"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["multinomial", "ridge", "svc", "sgd_log"])
def test_rows_of_no_weight_in_a_class_that_goes(name, method):
    """They hold no class, stand in no way of the others, and are forgotten in turn."""
    weight, is_cedar = WEIGHT.copy(), Y == "cedar"
    idle = np.flatnonzero(is_cedar)[::2]
    weight[idle] = 0
    classifier = make_case(name, method=method).fit(X, Y, weight)
    assert classifier.classes_.tolist() == ["ash", "birch", "cedar"]
    classifier.forget(is_cedar & (weight > 0))
    assert classifier.classes_.tolist() == ["ash", "birch"]
    assert set(classifier.predict(X)) <= {"ash", "birch"}
    assert not classifier.weights_[is_cedar].any()
    assert classifier._state.rows.data.y.min() >= -1
    assert classifier._state.training.y.min() >= 0
    if method == "newton":
        rest = np.flatnonzero(~is_cedar)
        fresh = make_case(name).fit(X[rest], Y[rest], weight[rest])
        np.testing.assert_allclose(get_vector(classifier), get_vector(fresh), atol=1e-6)
    assert np.isfinite(classifier.gradient_residual_)
    theta = get_vector(classifier).copy()
    record = classifier.forget(idle).forget_records_[-1]
    assert (record.n_forgotten, record.path) == (len(idle), "patch")
    assert get_vector(classifier).tobytes() == theta.tobytes()
    classifier.forget(Y == "birch")
    assert classifier.classes_.tolist() == ["ash"]

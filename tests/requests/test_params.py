"""Parameters that are set after fit: silence where they take effect, else a warning."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from skunlearn import InfluenceUnlearningClassifier, ShardedUnlearningClassifier

N = 60
RNG = np.random.default_rng(5)
X = RNG.normal(size=(N, 3)) + np.arange(N)[:, None] % 2
Y = np.arange(N) % 2
WARNING = "parameters that only fit uses were set after it: "
# Another value of each parameter.
OTHERS = {
    ShardedUnlearningClassifier: {
        "estimator": LogisticRegression(),
        "n_shards": 5,
        "n_slices": 2,
        "partition": "class",
        "n_replicas": 2,
        "n_negatives": 2,
        "selection": 0.5,
        "slice_training": "sequential",
        "n_epochs": 2,
        "voting": "hard",
        "n_jobs": 1,
        "random_state": 3,
        "verbose": False,
    },
    InfluenceUnlearningClassifier: {
        "estimator": LogisticRegression(C=0.5),
        "method": "influence",
        "criterion": "accuracy",
        "validation_fraction": 0.2,
        "hessian": "original",
        "eta": 0.5,
        "max_weight": 0.5,
        "max_reabsorption": 0.2,
        "certify": (1.0, 0.1),
        "noise_scale": 2.0,
        "solver": "cg",
        "damping": 0.1,
        "tol": 1e-4,
        "max_iter": 100,
        "n_steps": 2,
        "n_jobs": 1,
        "random_state": 3,
        "verbose": False,
    },
}
LATER = {
    ShardedUnlearningClassifier: {"voting", "n_jobs", "verbose"},
    InfluenceUnlearningClassifier: {
        *("method", "hessian", "eta", "max_weight", "max_reabsorption"),
        *("damping", "tol", "max_iter", "n_steps", "n_jobs", "verbose"),
    },
}


def fit(cls, estimator=None):
    """Return a fitted classifier."""
    if cls is InfluenceUnlearningClassifier:
        return cls(estimator, method="newton", random_state=0).fit(X, Y)
    return cls(estimator or GaussianNB(), random_state=0).fit(X, Y)


def find_warnings(action):
    """Return the warnings of an action that are about parameters."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    texts = [str(warning.message) for warning in caught]
    return [text for text in texts if text.startswith(WARNING)]


def find_names(action):
    """Return the names in the one warning of an action, or nothing."""
    texts = find_warnings(action)
    assert len(texts) <= 1
    return [text.removeprefix(WARNING).partition(". ")[0] for text in texts]


@pytest.mark.parametrize(
    ("cls", "name"), [(cls, name) for cls, values in OTHERS.items() for name in values]
)
def test_every_parameter(cls, name):
    """It takes effect, or a warning names it; all that can be set is here."""
    assert set(OTHERS[cls]) <= set(cls().get_params(deep=False))
    classifier = fit(cls)
    assert find_warnings(lambda: classifier.forget(0)) == []
    classifier.set_params(**{name: OTHERS[cls][name]})
    expected = [] if name in LATER[cls] else [name]
    assert find_names(lambda: classifier.preview_forget(1)) == expected
    assert find_names(lambda: classifier.forget(1)) == expected
    assert find_warnings(lambda: classifier.fit(X, Y).forget(1)) == []


def make_pipelines():
    """Return a pipeline, and equal ones that are and contain other objects."""
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    return pipeline, clone(pipeline)


NESTED = {
    "a value": {"estimator__logisticregression__C": 0.5},
    "a step": {"estimator__standardscaler": MinMaxScaler()},
    "an equal class": {"estimator__logisticregression": LogisticRegression(C=9)},
    "the estimator": {"estimator": LogisticRegression()},
    "two": {"estimator__standardscaler__with_mean": False, "n_shards": 3},
}
EQUAL = {
    "the same value": {"estimator__logisticregression__C": 1.0},
    "an equal number": {"n_shards": np.int64(8), "random_state": 0},
    "an equal step": {"estimator__logisticregression": LogisticRegression()},
    "an equal pipeline": {"estimator": make_pipelines()[1]},
}


@pytest.mark.parametrize("case", NESTED)
def test_nested_parameters(case):
    """They count at fit only, by whatever way they are set."""
    pipeline = make_pipelines()[0]
    classifier = fit(ShardedUnlearningClassifier, pipeline)
    classifier.set_params(**NESTED[case])
    (names,) = find_names(lambda: classifier.forget(1))
    leaves = {name.rpartition("__")[2] for name in NESTED[case]}
    if case in ("a step", "an equal class"):
        leaves = {"steps"}  # the list of which it is
    assert {name.rpartition("__")[2] for name in names.split(", ")} == leaves
    assert find_warnings(lambda: classifier.fit(X, Y).forget(1)) == []


@pytest.mark.parametrize("case", EQUAL)
def test_equal_values(case):
    """They change nothing, and there is nothing to say."""
    classifier = fit(ShardedUnlearningClassifier, make_pipelines()[0])
    classifier.set_params(**EQUAL[case])
    assert find_warnings(lambda: classifier.forget(1)) == []


def test_all_that_changes_a_classifier():
    """And a preview; asking does not."""
    classifier = fit(ShardedUnlearningClassifier).set_params(n_shards=4)
    for action in (
        lambda: classifier.forget(1),
        lambda: classifier.preview_forget(2),
        lambda: classifier.forget(2, retrain=False),
        lambda: classifier.retrain(),
        lambda: classifier.partial_fit(X[:2], Y[:2]),
    ):
        assert find_names(action) == ["n_shards"]
    for action in (
        lambda: classifier.predict_proba(X),
        lambda: classifier.forgotten_indices_,
        lambda: classifier.set_params(n_shards=8).forget(4),
        lambda: setattr(classifier, "n_slices", 1),
    ):
        assert find_warnings(action) == []
    classifier.n_shards = 2
    assert find_names(lambda: classifier.forget(5)) == ["n_shards"]


@pytest.mark.parametrize("cls", OTHERS)
@pytest.mark.parametrize(
    "make_copy",
    [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_copies(cls, make_copy):
    """They know with what they were fitted; estimators and arrays are equal ones."""
    base = LogisticRegression(class_weight={0: 1.0, 1: 2.0})
    twin = make_copy(fit(cls, base))
    assert find_warnings(lambda: twin.forget(1)) == []
    twin.set_params(estimator__C=3.0)
    assert find_names(lambda: twin.forget(2)) == ["estimator__C"]
    assert find_warnings(lambda: clone(twin).fit(X, Y).forget(1)) == []


@pytest.mark.parametrize(
    "values",
    [
        {"priors": np.array([0.5, 0.5])},
        {"priors": [0.4, 0.6]},
        {"var_smoothing": np.float64(1e-9)},
    ],
    ids=str,
)
def test_arrays_among_parameters(values):
    """They are compared by value."""
    classifier = fit(ShardedUnlearningClassifier, GaussianNB(**values))
    equal = {f"estimator__{name}": copy.copy(value) for name, value in values.items()}
    classifier.set_params(**equal)
    assert find_warnings(lambda: classifier.forget(1)) == []
    classifier.set_params(**dict.fromkeys(equal))
    assert find_names(lambda: classifier.forget(2)) == list(equal)


def test_searches_are_silent():
    """They set parameters of clones, before fit."""
    classifier = ShardedUnlearningClassifier(make_pipelines()[0], random_state=0)
    grid = {"n_shards": [2, 3], "estimator__logisticregression__C": [0.1, 1.0]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search = GridSearchCV(classifier, grid, cv=2).fit(X, Y)
        search.best_estimator_.forget([1, 2]).forget(3, retrain=False).retrain()
        for n_shards in (2, 3):
            classifier.set_params(n_shards=n_shards).fit(X, Y).forget(1)


@pytest.mark.parametrize("value", [float("nan"), np.nan, np.float32("nan")])
def test_missing_values_as_parameters(value):
    """They equal themselves, also in a copy, alone or in an array."""
    steps = [SimpleImputer(missing_values=value), FunctionTransformer(kw_args=None)]
    base = make_pipeline(*steps, GaussianNB(priors=None))
    base.set_params(functiontransformer__inv_kw_args={"fill": np.array([1.0, value])})
    classifier = ShardedUnlearningClassifier(base, n_shards=2, random_state=0)
    again = pickle.loads(pickle.dumps(classifier.fit(X, Y)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again.forget(3)
    again.set_params(estimator__simpleimputer__missing_values=-1)
    with pytest.warns(UserWarning, match="simpleimputer__missing_values"):
        again.forget(4)

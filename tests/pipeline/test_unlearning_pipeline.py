"""A pipeline forgets all, or says at fit which of its steps would not."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    Normalizer,
    PolynomialFeatures,
    StandardScaler,
)
from sklearn.random_projection import GaussianRandomProjection
from sklearn.utils import estimator_html_repr
from support import assert_same_classifier, make_data

from skunlearn import InfluenceUnlearningClassifier, ShardedUnlearningClassifier
from skunlearn.exceptions import (
    ForgetIndexError,
    LeakyPipelineError,
    UnlearningQualityWarning,
    UnsupportedEstimatorError,
)
from skunlearn.pipeline import UnlearningPipeline, make_unlearning_pipeline

X, Y = make_data()
GROUPS = np.arange(len(Y)) // 3
SHARDED = ShardedUnlearningClassifier(n_shards=4, random_state=0)
SCALER = FrozenEstimator(StandardScaler().fit(X[:9]))


class Untagged:
    """A transformer of which nothing is known."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X

    def get_params(self, deep=True):
        return {}


class Resampler(TransformerMixin, BaseEstimator):
    """What imbalanced-learn calls a sampler, with all that a step needs."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X

    def fit_resample(self, X, y):
        return X, y


def split(first, second):
    return ColumnTransformer([("a", first, [0, 1]), ("b", second, [2, 3])])


HARMLESS = {
    "nothing": "passthrough",
    "stateless": Normalizer(),
    "function": FunctionTransformer(np.tanh),
    "frozen": SCALER,
    "polynomial": PolynomialFeatures(),
    "projection": GaussianRandomProjection(2, random_state=0),
    "sampler": RBFSampler(n_components=3, random_state=0),
    "constant": SimpleImputer(
        strategy="constant", fill_value=0.0, keep_empty_features=True
    ),
    "nested": make_pipeline(Binarizer(), FeatureUnion([("n", Normalizer())])),
    "columns": split("passthrough", "drop"),
    "remainder": ColumnTransformer([("a", Binarizer(), [0])], remainder=Normalizer()),
    "union": FeatureUnion([("a", "drop"), ("b", "passthrough")]),
}
LEAKY = {
    "scaler": (StandardScaler(), r"step 'leak' is StandardScaler\(\)"),
    "projection": (GaussianRandomProjection(random_state=0), "GaussianRandom"),
    "drawn": (GaussianRandomProjection(2), "GaussianRandom"),
    "sampler": (RBFSampler(gamma="scale", random_state=0), "RBFSampler"),
    "imputer": (SimpleImputer(), "SimpleImputer"),
    "indicator": (
        SimpleImputer(strategy="constant", fill_value=0.0, add_indicator=True),
        "SimpleImputer",
    ),
    "untagged": (Untagged(), "Untagged"),
    "pipeline": (make_pipeline(Normalizer(), StandardScaler()), r"\['standardscaler'"),
    "columns": (split("passthrough", StandardScaler()), r"\['b'\]"),
    "remainder": (
        ColumnTransformer([("a", Binarizer(), [0])], remainder=StandardScaler()),
        r"\['remainder'\]",
    ),
    "union": (FeatureUnion([("s", StandardScaler())]), r"\['s'\]"),
    "chosen": (
        ColumnTransformer([("a", Binarizer(), lambda X: [0])]),
        "a function that chooses columns",
    ),
}


def make(step, classifier=SHARDED, **params):
    steps = [("first", "passthrough"), ("leak", step), ("last", clone(classifier))]
    return UnlearningPipeline(steps, **params)


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_steps(name):
    """After a forget, all of it is what a fit on the retained rows gives."""
    pipeline = make(clone(HARMLESS[name], safe=False)).fit(X, Y).forget([3, 4, 17])
    keep = pipeline[-1].retained_indices_
    fresh = clone(pipeline).fit(X[keep], Y[keep], last__groups=keep)
    features = pipeline[:-1].transform(X)
    np.testing.assert_array_equal(features, fresh[:-1].transform(X))
    assert_same_classifier(pipeline[-1], fresh[-1], features)


@pytest.mark.parametrize("name", LEAKY)
def test_leaky_steps(name):
    """They are named, with what to do, before anything is fitted."""
    step, reason = LEAKY[name]
    pipeline = make(step)
    with pytest.raises(LeakyPipelineError, match=reason) as caught:
        pipeline.fit(X, Y)
    assert "ShardedUnlearningClassifier(make_pipeline(" in str(caught.value)
    assert not hasattr(pipeline[-1], "estimators_")


def test_leaky_steps_that_are_allowed():
    """A warning says so, and the scaler does keep what it was fitted to."""
    pipeline = make(StandardScaler(), allow_fitted_steps=True)
    with pytest.warns(UnlearningQualityWarning, match="step 'leak'") as caught:
        pipeline.fit(X, Y)
    assert caught[0].filename == __file__
    before = pipeline["leak"].mean_.copy()
    pipeline.forget(range(10))
    np.testing.assert_array_equal(pipeline["leak"].mean_, before)


@pytest.mark.parametrize("allow", [False, True])
def test_steps_that_are_never_allowed(allow, tmp_path):
    """Resamplers move rows, and caches keep them in files."""
    nested = Pipeline([("n", Normalizer())], memory=str(tmp_path))
    for pipeline in (
        make(Resampler(), allow_fitted_steps=allow),
        make(nested, allow_fitted_steps=allow),
        make(Normalizer(), memory=str(tmp_path), allow_fitted_steps=allow),
    ):
        with pytest.raises(LeakyPipelineError, match=r"resampler|memory"):
            pipeline.fit(X, Y)
    assert not list(tmp_path.iterdir())


def test_last_steps_that_cannot_forget():
    """They are refused, and the methods are not there."""
    pipeline = make(Normalizer(), LogisticRegression())
    with pytest.raises(UnsupportedEstimatorError, match="LogisticRegression"):
        pipeline.fit(X, Y)
    for method in ("forget", "preview_forget", "retrain", "has_groups"):
        assert not hasattr(pipeline, method)
    influence = make(Normalizer(), InfluenceUnlearningClassifier())
    assert hasattr(influence, "forget")
    assert not hasattr(influence, "retrain")


def test_requests():
    """What the last step does, and its errors."""
    pipeline = make(Normalizer()).fit(X, Y, last__groups=GROUPS)
    assert pipeline.preview_forget(groups=[2]).n_forgotten == 3
    assert pipeline.forget(groups=[2], retrain=False) is pipeline
    assert pipeline[-1].n_pending_ == 3
    assert pipeline.retrain()[-1].n_pending_ == 0
    with pytest.raises(ForgetIndexError):
        pipeline.forget(groups=[99])
    for name in ("has_groups", "find_positions", "forget_history"):
        assert hasattr(pipeline, name) == hasattr(pipeline[-1], name)


def test_queries_go_to_the_last_step():
    """Whatever it answers."""

    class Answering(ShardedUnlearningClassifier):
        def has_groups(self, groups):
            return np.isin(groups, GROUPS)

        def find_positions(self, groups):
            return np.flatnonzero(np.isin(GROUPS, groups))

        def forget_history(self):
            return "history"

    pipeline = make(Normalizer(), Answering(n_shards=2))
    assert pipeline.has_groups([1, 99]).tolist() == [True, False]
    assert pipeline.find_positions([1]).tolist() == [3, 4, 5]
    assert pipeline.forget_history() == "history"


def test_metadata_routing():
    """Groups and weights arrive without a request; a prefix is needed otherwise."""
    weight = np.linspace(0.5, 1, len(Y))
    prefixed = make(Normalizer())
    prefixed.fit(X, Y, last__groups=GROUPS, last__sample_weight=weight)
    with config_context(enable_metadata_routing=True):
        routed = make(Normalizer()).fit(X, Y, groups=GROUPS, sample_weight=weight)
    assert_same_classifier(prefixed[-1], routed[-1], X)


def test_grid_search():
    """Parameters of the last step and of what it wraps, by their names."""
    wrapped = ShardedUnlearningClassifier(
        make_pipeline(StandardScaler(), LogisticRegression()), random_state=0
    )
    pipeline = make_unlearning_pipeline(Normalizer(), wrapped)
    grid = {
        "shardedunlearningclassifier__n_shards": [1, 2],
        "shardedunlearningclassifier__estimator__logisticregression__C": [0.1, 1.0],
    }
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, Y)
    assert search.best_estimator_.forget([1])[-1].forgotten_indices_.tolist() == [1]


def test_columns_chosen_by_their_types():
    """What make_column_selector looks at are no values."""
    floats = make_column_selector(dtype_include=float)
    step = ColumnTransformer([("a", Binarizer(), floats)])
    make(step).fit(pd.DataFrame(X), Y)


def test_it_is_a_pipeline():
    """Clones, pickles, slices, frames, and what it shows of itself."""
    frame = pd.DataFrame(X, columns=list("abcd"))
    pipeline = make(Normalizer(), allow_fitted_steps=True).fit(frame, Y)
    assert clone(pipeline).get_params()["allow_fitted_steps"]
    again = pickle.loads(pickle.dumps(pipeline))
    np.testing.assert_array_equal(again.predict(frame), pipeline.predict(frame))
    pipeline.set_output(transform="pandas")
    assert pipeline[:-1].get_feature_names_out().tolist() == list("abcd")
    assert type(pipeline[:-1]) is Pipeline
    assert list(pipeline[:-1].transform(frame).columns) == list("abcd")
    assert pipeline[1:].allow_fitted_steps
    assert pipeline[1:].forget([0])[-1] is pipeline["last"]
    assert "UnlearningPipeline" in estimator_html_repr(pipeline)

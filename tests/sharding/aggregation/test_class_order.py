"""Answers are matched by label: `classes_` may be in any order, results in frames."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support import make_data

from skunlearn import ShardedUnlearningClassifier

X, Y = make_data(90)
ORDERS = [["birch", "cedar", "ash"], ["cedar", "birch", "ash"]]
MAKE = {
    "array": lambda values, names: values,
    "list": lambda values, names: values.tolist(),
    "pandas": lambda values, names: pd.DataFrame(values, columns=names),
    "swapped": lambda values, names: pd.DataFrame(values, columns=names).iloc[:, ::-1],
    "unnamed": lambda values, names: pd.DataFrame(values),
    "polars": lambda values, names: pl.DataFrame(
        values, schema=[str(n) for n in names]
    ),
}


class Reordered(ClassifierMixin, BaseEstimator):
    """An inner classifier whose classes are told in an order of its own."""

    def __init__(self, inner=None, order=(), container="array"):
        self.inner = inner
        self.order = order
        self.container = container

    def fit(self, X, y):
        """Fit the inner one."""
        self.inner_ = clone(self.inner).fit(X, y)
        known = self.inner_.classes_.tolist()
        order = [label for label in self.order if label in known]
        order += [label for label in known if label not in order]
        self.classes_ = np.array(order)
        self.columns_ = np.searchsorted(known, order)
        return self

    def __getattr__(self, name):
        """Have the methods of the inner one."""
        methods = ("predict_proba", "decision_function")
        if name in methods and hasattr(self.inner, name):
            return lambda X: self._answer(name, X)
        raise AttributeError(name)

    def _answer(self, name, X):
        values = getattr(self.inner_, name)(X)
        if values.ndim == 1:
            return values if self.columns_[0] == 0 else -values
        make = MAKE[self.container]
        return make(values[:, self.columns_], self.classes_.tolist())

    def predict(self, X):
        """Return what the inner one predicts."""
        labels = self.inner_.predict(X)
        return pd.Series(labels) if self.container == "pandas" else labels


LAYOUTS = [
    {"n_shards": 1},
    {"n_shards": 3},
    {"n_shards": 3, "voting": "hard"},
    {"n_shards": 2, "partition": "class"},
    {"n_shards": 2, "partition": "class", "voting": "hard"},
]


def assert_same_answers(inner, wrapped, labels, **params):
    """Assert that both bases make a classifier of the same answers."""
    first, second = (
        ShardedUnlearningClassifier(base, random_state=0, **params).fit(X, labels)
        for base in (inner, wrapped)
    )
    for method in ("predict_proba", "decision_function", "predict"):
        if hasattr(first, method):
            expected = getattr(first, method)(X)
            answer = getattr(second, method)(X)
            if expected.dtype.kind == "f":
                np.testing.assert_allclose(answer, expected, rtol=1e-9)
            else:
                np.testing.assert_array_equal(answer, expected)


@pytest.mark.parametrize("params", LAYOUTS, ids=repr)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("inner", [LinearDiscriminantAnalysis(), RidgeClassifier()])
def test_any_order_of_classes(inner, order, params):
    """With probabilities and with decision values, of three classes and of two."""
    for labels, told in ((Y, order), (Y == "ash", [True, False]), (Y != "ash", order)):
        told = [1, 0] if params.get("partition") else told
        assert_same_answers(inner, Reordered(inner, told), labels, **params)


@pytest.mark.parametrize("params", LAYOUTS, ids=repr)
@pytest.mark.parametrize("container", MAKE)
def test_answers_in_any_container(container, params):
    """Columns of a frame that are named by the classes are taken by name."""
    order = [1, 0] if params.get("partition") else ORDERS[-1]
    inner = LinearDiscriminantAnalysis()
    base = Reordered(inner, order, container)
    for labels in (Y, np.where(Y == "ash", "ash", "birch")):
        assert_same_answers(inner, base, labels, **params)


def test_a_shard_that_lacks_a_class():
    """Its columns find their places too."""
    rare = np.where(np.arange(90) == 5, "yew", np.where(Y == "ash", "ash", "birch"))
    for inner in (LogisticRegression(C=2.0), RidgeClassifier()):
        base = Reordered(inner, ["yew", "birch", "ash"])
        assert_same_answers(inner, base, rare, n_shards=3)


def test_orders_inside_other_estimators():
    """A pipeline has the order of its last step; a calibration sorts."""
    inner = LinearDiscriminantAnalysis()
    base = Reordered(inner, ORDERS[-1])
    for wrap in (
        lambda base: make_pipeline(StandardScaler(), base),
        lambda base: CalibratedClassifierCV(base, cv=2),
    ):
        assert_same_answers(wrap(inner), wrap(base), Y, n_shards=2)


class WithoutClasses(ClassifierMixin, BaseEstimator):
    """Does not say which classes its probabilities are of."""

    def fit(self, X, y):
        """Fit another one."""
        self.model_ = LogisticRegression().fit(X, y)
        return self

    def predict(self, X):
        """Return labels, which say it themselves."""
        return self.model_.predict(X)

    def predict_proba(self, X):
        """Return probabilities, in an order of its own."""
        return self.model_.predict_proba(X)[:, ::-1]


@pytest.mark.parametrize("params", [{}, {"voting": "hard"}, {"partition": "class"}])
@pytest.mark.parametrize("names", [(0, 1, 2), ("low", "mid", "high"), (3, 1, 2)])
def test_constituents_that_name_no_classes(names, params):
    """They vote by the labels that they predict."""
    X = np.random.default_rng(0).normal(size=(120, 3))
    y = np.array(names)[np.digitize(X[:, 0], [-0.5, 0.5])]
    classifier = ShardedUnlearningClassifier(
        WithoutClasses(), n_shards=2, random_state=0, **params
    ).fit(X, y)
    assert classifier.score(X, y) > 0.7
    assert classifier.forget(range(9)).score(X, y) > 0.7

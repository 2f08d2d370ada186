"""A constituent that raises for rows it was not made for abstains from them."""

import time

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import NMF
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.mixture import GaussianMixture
from sklearn.naive_bayes import CategoricalNB
from sklearn.neighbors import NearestCentroid, RadiusNeighborsClassifier
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    SplineTransformer,
)
from sklearn.tree import DecisionTreeClassifier
from support import make_data

from skunlearn import ShardedUnlearningClassifier

X, Y = make_data(90)
FAR = 7  # the row that one shard alone has learnt the likes of


def with_far_row(value):
    """Return rows of which one is not like any other."""
    rows = X.copy()
    rows[FAR] = value
    return rows


def make_codes():
    """Return codes of categories, of which one occurs once."""
    codes = np.arange(180).reshape(90, 2) % 3
    codes[FAR] = 5
    return codes


def make_texts():
    """Return a frame of texts, of which one occurs once."""
    return pd.DataFrame({"text": [f"t{code}" for code in make_codes()[:, 0]]})


class Lookup(TransformerMixin, BaseEstimator):
    """Looks values up in a table of those that it has seen."""

    def fit(self, X, y=None):
        """Make the table."""
        self.table_ = {value: place for place, value in enumerate(X[:, 0].tolist())}
        return self

    def transform(self, X):
        """Raise KeyError for a value that is not in it."""
        return np.array([[self.table_[value]] for value in X[:, 0].tolist()])


spline = SplineTransformer(extrapolation="error")
indicate = make_union(SimpleImputer(), MissingIndicator())
CASES = {
    "CategoricalNB": (CategoricalNB(), make_codes()),
    "radius": (RadiusNeighborsClassifier(1.5), with_far_row(50)),
    "indicator": (make_pipeline(indicate, LogisticRegression()), None),
    "factors": (
        make_pipeline(MinMaxScaler(), NMF(2, max_iter=9), DecisionTreeClassifier()),
        with_far_row(-60),
    ),
    "splines": (make_pipeline(spline, RidgeClassifier()), with_far_row(60)),
    "onehot": (make_pipeline(OneHotEncoder(), LogisticRegression()), make_texts()),
    "ordinal": (make_pipeline(OrdinalEncoder(), LogisticRegression()), make_texts()),
    "lookup": (make_pipeline(Lookup(), DecisionTreeClassifier()), make_codes()),
}
CASES["indicator"] = CASES["indicator"][0], np.where(X[FAR, 1] == X, np.nan, X)
ignore = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fit(base, rows, **params):
    """Return a fitted classifier of three shards."""
    params = {"n_shards": 3, "random_state": 0, **params}
    return ShardedUnlearningClassifier(base, **params).fit(rows, Y)


def cut(rows, places):
    """Return some rows."""
    return rows.iloc[places] if isinstance(rows, pd.DataFrame) else rows[places]


@ignore
@pytest.mark.parametrize(("voting", "n_jobs"), [("soft", 2), ("hard", 1)])
@pytest.mark.parametrize("name", CASES)
def test_only_those_that_know_a_row_answer(name, voting, n_jobs):
    """All rows are answered, each as if it had been asked about alone."""
    base, rows = CASES[name]
    classifier = fit(base, rows, voting=voting).set_params(n_jobs=n_jobs)
    (owner,) = classifier.preview_forget(FAR).shards
    alone = cut(rows, [FAR])
    for shard, estimator in enumerate(classifier.estimators_):
        if shard == owner:
            expected = estimator.predict(alone)
        else:
            with pytest.raises((ValueError, IndexError, KeyError)):
                estimator.predict(alone)
    answers = classifier.predict(rows)
    assert answers[FAR] == expected[0]
    singly = [classifier.predict(cut(rows, [i]))[0] for i in (0, 1, FAR, 8, 89)]
    np.testing.assert_array_equal(answers[[0, 1, FAR, 8, 89]], singly)


@ignore
@pytest.mark.parametrize("name", CASES)
def test_a_row_that_all_raise_for(name):
    """Then the first error comes in its own words, with the shard."""
    base, rows = CASES[name]
    classifier = fit(base, rows).forget(FAR)
    with pytest.raises((ValueError, IndexError, KeyError)) as caught:
        classifier.predict(rows)
    assert any("constituent of shard 0" in note for note in caught.value.__notes__)
    kept = cut(rows, np.delete(np.arange(90), FAR))
    assert len(classifier.predict(kept)) == 89


def test_sparse_rows():
    """Are halved as arrays are."""
    rows = sparse.csr_array(with_far_row(60))
    base = make_pipeline(
        FunctionTransformer(lambda X: X.toarray(), accept_sparse=True),
        spline,
        LogisticRegression(),
    )
    classifier = fit(base, rows)
    assert np.isfinite(classifier.predict_proba(rows)).all()


def test_a_shard_that_cannot_answer_at_all():
    """Its centroids have no spread: it is asked about a row of its own, once."""
    classifier = fit(NearestCentroid(), X, n_shards=2)
    shard = classifier._state.shards[0]
    mine = np.argsort(classifier._state.rows.slot_of)[shard.slots]
    first = [mine[Y[mine] == label][0] for label in np.unique(Y)]
    classifier.forget(np.setdiff1d(mine, first))
    with pytest.raises(ValueError, match="NaN"):
        classifier.estimators_[0].predict_proba(X)
    expected = classifier.estimators_[1].predict_proba(X)
    np.testing.assert_allclose(classifier.predict_proba(X), expected)
    many = np.tile(X, (200, 1))
    start = time.process_time()
    classifier.predict(many)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "base",
    [make_pipeline(spline, GaussianMixture()), make_pipeline(spline, CategoricalNB())],
)
def test_committees(base):
    """A model of one class that raises leaves the answer to those of others."""
    rows = np.abs(X)
    rows[FAR] = 60
    classifier = fit(base, rows, partition="class", n_shards=1)
    assert np.isfinite(classifier.predict_proba(rows)).all()
    with pytest.raises(ValueError, match=r"limits|Negative") as caught:
        classifier.predict(rows * 10)
    assert any("shard" in note for note in caught.value.__notes__)


def test_rows_of_no_use_are_found_out_at_once():
    """What is wrong with all rows is not looked for row by row."""
    rows = make_texts()
    classifier = fit(make_pipeline(OrdinalEncoder(), LogisticRegression()), rows)
    wrong = pd.DataFrame({"text": ["never seen"] * 20_000})
    start = time.process_time()
    with pytest.raises(ValueError, match="unknown"):
        classifier.predict(wrong)
    assert time.process_time() - start < 2


def test_other_errors_are_not_caught():
    """A mistake in the base is no abstention."""

    def fail(X):
        raise TypeError("a mistake") if len(X) < 90 else None

    base = make_pipeline(
        FunctionTransformer(lambda X: fail(X) or X), LogisticRegression()
    )
    with pytest.raises(TypeError, match="a mistake"):
        fit(base, X)

"""Coefficients and intercepts are those of the fitted estimator, where it has them."""

import numpy as np
import pytest
from influence_reference import fit_quietly
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from support import make_data

from skunlearn import InfluenceUnlearningClassifier

X, Y = make_data()
BASES = [
    LogisticRegression(),
    LogisticRegression(fit_intercept=False),
    RidgeClassifier(),
    LinearSVC(),
    SGDClassifier("log_loss", tol=None, max_iter=5),
]


@pytest.mark.parametrize("base", BASES, ids=str)
@pytest.mark.parametrize("y", [Y, Y == "ash"], ids=["three", "two"])
def test_coefficients(base, y):
    """They have the base's shapes, and follow each request."""
    classifier = InfluenceUnlearningClassifier(base, method="newton", random_state=0)
    fit_quietly(classifier, X, y)
    before = classifier.coef_.copy()
    bare = clone(base).fit(X, y)
    assert classifier.coef_.shape == bare.coef_.shape
    assert np.shape(classifier.intercept_) == np.shape(bare.intercept_)
    classifier.forget(np.arange(9))
    assert not np.array_equal(classifier.coef_, before)
    assert classifier.coef_ is classifier.estimator_.coef_


def test_absent_where_the_estimator_has_none():
    """Before fit, for pipelines, and for a single class."""
    classifier = InfluenceUnlearningClassifier(method="newton")
    assert not hasattr(classifier, "coef_")
    with pytest.raises(NotFittedError):
        _ = classifier.intercept_
    base = make_pipeline(StandardScaler(), LogisticRegression())
    piped = fit_quietly(InfluenceUnlearningClassifier(base, method="newton"), X, Y)
    assert not hasattr(piped, "coef_")
    alone = classifier.fit(X, Y).forget(Y != "ash")
    assert not hasattr(alone, "coef_")


def test_selection_of_features():
    """scikit-learn's selectors find the coefficients."""
    classifier = InfluenceUnlearningClassifier(method="newton")
    eliminated = RFE(classifier, n_features_to_select=2).fit(X, Y)
    expected = RFE(LogisticRegression(tol=1e-10), n_features_to_select=2).fit(X, Y)
    np.testing.assert_array_equal(eliminated.support_, expected.support_)
    assert SelectFromModel(classifier).fit(X, Y).get_support().any()

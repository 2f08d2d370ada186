"""Rows that are texts or dictionaries, in whatever holds them."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.ensemble import VotingClassifier
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfVectorizer,
)
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from support import assert_same_classifier

from skunlearn import InfluenceUnlearningClassifier, ShardedUnlearningClassifier

SECRET = "xylographer"
TEXTS = [
    f"please refund {i % 7}" if i % 3 else f"thanks for {i % 5}" for i in range(90)
]
TEXTS[7] = f"please {SECRET}"
Y = np.array(["complaint" if i % 3 else "praise" for i in range(90)])
DICTS = [
    dict.fromkeys(text.split(), 1.0) | {"n": i % 4} for i, text in enumerate(TEXTS)
]
HAS_VARIABLE_TEXT = hasattr(np.dtypes, "StringDType")  # numpy 2
CONTAINERS = {
    "list": list,
    "tuple": tuple,
    "array": np.array,
    "objects": lambda texts: np.array(texts, dtype=object),
    "pandas": pd.Series,
    "pandas objects": lambda texts: pd.Series(texts, dtype=object),
    "pandas categories": lambda texts: pd.Series(texts, dtype="category"),
    "arrow": lambda texts: pd.Series(texts, dtype="string[pyarrow]"),
    "polars": pl.Series,
}
if HAS_VARIABLE_TEXT:
    CONTAINERS["variable"] = lambda texts: np.array(
        texts, dtype=np.dtypes.StringDType()
    )
HASH = HashingVectorizer(n_features=64)
VECTORIZERS = {
    "tfidf": TfidfVectorizer(),
    "count": CountVectorizer(),
    "hash": HASH,
    "union": make_union(TfidfVectorizer(), HASH),
    "function": make_pipeline(FunctionTransformer(np.asarray), TfidfVectorizer()),
    "dicts": DictVectorizer(),
    "hashed dicts": FeatureHasher(64),
}


def rows_of(name):
    """Return what a vectorizer takes."""
    return DICTS if "dicts" in name else TEXTS


def make(wrapper, base, **params):
    """Return an unfitted classifier."""
    if wrapper == "sharded":
        params = {"n_shards": 3, "random_state": 0, **params}
        return ShardedUnlearningClassifier(base, **params)
    return InfluenceUnlearningClassifier(base, method=wrapper, random_state=0, **params)


def take(rows, places):
    """Return some of them."""
    return [rows[i] for i in places]


@pytest.mark.filterwarnings("ignore::skunlearn.exceptions.UnlearningQualityWarning")
@pytest.mark.parametrize("wrapper", ["sharded", "newton", "puma"])
@pytest.mark.parametrize("name", VECTORIZERS)
def test_vectorizers(name, wrapper):
    """All that scikit-learn has, through all that a classifier can do."""
    rows = rows_of(name)
    classifier = make(wrapper, make_pipeline(VECTORIZERS[name], LogisticRegression()))
    classifier.fit(rows, Y, groups=np.arange(90) // 2)
    assert classifier.score(rows, Y) > 0.9
    assert not hasattr(classifier, "n_features_in_")
    assert classifier.forget(groups=[3]).forgotten_indices_.tolist() == [6, 7]
    assert len(classifier.predict_proba(rows[:1])) == 1
    copied = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(copied.predict(rows), classifier.predict(rows))


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers(name):
    """The answers are those of the bare base."""
    X = CONTAINERS[name](TEXTS)
    base = make_pipeline(TfidfVectorizer(), LogisticRegression())
    expected = base.fit(TEXTS, Y).predict_proba(TEXTS)
    classifier = make("sharded", base, n_shards=1).fit(X, Y)
    np.testing.assert_allclose(classifier.predict_proba(X), expected, rtol=1e-6)
    np.testing.assert_array_equal(
        classifier.partial_fit(X[:9], Y[:9]).forget(slice(90, 99)).predict_proba(TEXTS),
        make("sharded", base, n_shards=1).fit(TEXTS, Y).predict_proba(TEXTS),
    )
    patched = make("newton", make_pipeline(HASH, LogisticRegression())).fit(X, Y)
    assert patched.forget([7]).score(X, Y) > 0.9


@pytest.mark.parametrize("params", [{}, {"partition": "class"}, {"n_replicas": 2}])
@pytest.mark.parametrize("name", ["tfidf", "dicts"])
def test_exact_and_without_a_trace(name, params):
    """Laws 1 and 7: of a word that one row had nothing is left."""
    rows = rows_of(name)
    base = make_pipeline(VECTORIZERS[name], MultinomialNB())
    classifier = make("sharded", base, **params).fit(rows, Y)
    assert SECRET.encode() in pickle.dumps(classifier)
    classifier.partial_fit(rows[:6], Y[:6]).forget([7, *range(20, 40), *range(90, 96)])
    assert SECRET.encode() not in pickle.dumps(classifier)
    keep = classifier.retained_indices_
    fresh = make("sharded", base, **params).fit(take(rows, keep), Y[keep], groups=keep)
    assert_same_classifier(classifier, fresh, rows)
    assert SECRET in str(rows[7])  # of the user nothing is taken


def test_no_trace_of_texts_that_are_hashed():
    """The influence class holds what a stateless step has made of them."""
    base = make_pipeline(HASH, LogisticRegression())
    classifier = make("newton", base).fit(TEXTS, Y)
    assert SECRET.encode() not in pickle.dumps(classifier.forget(7))


def test_rows_for_the_criterion():
    """They are texts too."""
    base = make_pipeline(HASH, LogisticRegression())
    classifier = make("puma", base, validation_fraction=0)
    classifier.fit(TEXTS[:60], Y[:60], X_val=TEXTS[60:], y_val=Y[60:])
    assert classifier.forget([7]).score(TEXTS, Y) > 0.9


def test_dictionaries_are_copied():
    """What the user does with them later is not learnt."""
    rows = [dict(row) for row in DICTS]
    base = make_pipeline(DictVectorizer(), DecisionTreeClassifier(random_state=0))
    classifier = make("sharded", base).fit(rows, Y)
    for row in rows:
        row.clear()
    expected = make("sharded", base).fit(DICTS, Y).forget(3).predict_proba(DICTS)
    np.testing.assert_array_equal(classifier.forget(3).predict_proba(DICTS), expected)


@pytest.mark.filterwarnings("ignore::skunlearn.exceptions.UnlearningQualityWarning")
@pytest.mark.parametrize("wrapper", ["sharded", "newton"])
def test_inside_and_around_other_estimators(wrapper):
    """Searches, votes and cross-validation hand texts on."""
    base = make_pipeline(TfidfVectorizer(), LogisticRegression())
    assert cross_val_score(make(wrapper, base), TEXTS, Y, cv=3).mean() > 0.9
    search = GridSearchCV(
        make(wrapper, base), {"estimator__logisticregression__C": [1]}
    )
    assert search.fit(TEXTS, Y).score(TEXTS, Y) > 0.9
    if wrapper == "sharded":
        for inner in (GridSearchCV(base, {}, cv=2), VotingClassifier([("a", base)])):
            assert make(wrapper, inner).fit(TEXTS, Y).score(TEXTS, Y) > 0.9


@pytest.mark.filterwarnings("ignore::skunlearn.exceptions.UnlearningQualityWarning")
@pytest.mark.parametrize("wrapper", ["sharded", "newton"])
def test_forms_that_do_not_go_together(wrapper):
    """They are refused without showing a row."""
    base = make_pipeline(TfidfVectorizer(), LogisticRegression())
    classifier = make(wrapper, base).fit(TEXTS, Y)
    table = np.array(TEXTS).reshape(-1, 1)
    numbers = make(wrapper, make_pipeline(StandardScaler(), LogisticRegression()))
    numbers.fit(np.arange(180.0).reshape(90, 2), Y)
    calls = [lambda: classifier.predict(table), lambda: numbers.predict(TEXTS)]
    calls += [lambda: make(wrapper, LogisticRegression()).fit(TEXTS, Y)]
    if wrapper == "sharded":
        calls += [lambda: classifier.partial_fit(table, Y)]
        calls += [lambda: numbers.partial_fit(TEXTS, Y)]
    for call in calls:
        with pytest.raises(ValueError, match="shape") as caught:
            call()
        assert "refund" not in str(caught.value)
    assert classifier.fit(TEXTS, Y).score(TEXTS, Y) > 0.9
    numbers.set_params(estimator=base).fit(TEXTS, Y)
    assert not hasattr(numbers, "n_features_in_")


def test_texts_in_slices():
    """A base that goes on training is given texts slice by slice."""
    base = make_pipeline(HASH, SGDClassifier(loss="log_loss"))
    classifier = make("sharded", base, n_shards=2).fit(TEXTS, Y)
    assert classifier.forget([7, 8, 9]).score(TEXTS, Y) > 0.9


NUMBERS = np.random.default_rng(0).normal(size=(90, 3)).round(2)


@pytest.mark.skipif(not HAS_VARIABLE_TEXT, reason="numpy < 2 has no such dtype")
def test_tables_of_variable_text():
    """numpy's StringDType is taken where the base takes it, and named where not."""
    X = NUMBERS.astype(np.str_).astype(np.dtypes.StringDType())
    labels = NUMBERS[:, 0] > 0
    for base in (DecisionTreeClassifier(random_state=0), SVC()):
        expected = base.fit(X, labels).predict(X)
        classifier = make("sharded", base, n_shards=1).fit(X, labels)
        assert np.mean(classifier.predict(X) == expected) > 0.99
        keep = classifier.forget([3, 4]).retained_indices_
        fresh = make("sharded", base, n_shards=1)
        fresh.fit(X[keep], labels[keep], groups=keep)
        assert_same_classifier(classifier, fresh, X)
        classifier.partial_fit(X[:9], labels[:9]).forget([90, 91])
        assert classifier._state.rows.data.X.dtype.kind == "T"
    with pytest.raises((TypeError, ValueError), match=r"StringDType|not reorderable"):
        make("sharded", MultinomialNB()).fit(X, labels)
    assert make("newton", LogisticRegression()).fit(X, labels).score(X, labels) > 0.9

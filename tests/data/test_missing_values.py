"""Missing and infinite values: what the base takes is taken, in any container."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from support import make_data, thin

from skunlearn import InfluenceUnlearningClassifier, ShardedUnlearningClassifier

ROWS, Y = make_data(80)
NAMES = ["x0", "x1", "x2", "x3"]


def spoil(value):
    """Return rows some of whose second values are not to be had."""
    X = ROWS.copy()
    X[::9, 1] = value
    return X


def to_memmap(X, folder):
    """Return an array that a file backs."""
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


CONTAINERS = {
    "array": lambda X, folder: X,
    "list": lambda X, folder: X.tolist(),
    "float32": lambda X, folder: X.astype(np.float32),
    "object": lambda X, folder: X.astype(object),
    "fortran": lambda X, folder: np.asfortranarray(X),
    "memmap": to_memmap,
    "pandas": lambda X, folder: pd.DataFrame(X, columns=NAMES),
    "polars": lambda X, folder: pl.DataFrame(X, schema=NAMES),
    "csr": lambda X, folder: sparse.csr_array(X),
}
if hasattr(sparse.coo_array, "__getitem__"):  # or else no column is found in it
    CONTAINERS["coo"] = lambda X, folder: sparse.coo_array(X)


def repair(X):
    """Replace what is not finite."""
    return np.nan_to_num(np.asarray(X, dtype=float), posinf=9, neginf=-9)


drop = make_column_transformer(("passthrough", [0, 2, 3]))
LINEAR = {
    "impute": make_pipeline(SimpleImputer(), LogisticRegression()),
    "scale": make_pipeline(StandardScaler(), SimpleImputer(), LogisticRegression()),
    "drop": make_pipeline(drop, LogisticRegression()),
    "repair": make_pipeline(FunctionTransformer(repair), LogisticRegression()),
    "union": make_pipeline(
        make_union(SimpleImputer(), FunctionTransformer(repair)), LogisticRegression()
    ),
}
TREES = {
    "tree": DecisionTreeClassifier(max_depth=3),
    "forest": RandomForestClassifier(n_estimators=3),
    "boosting": HistGradientBoostingClassifier(max_iter=3),
    "bagged boosting": BaggingClassifier(HistGradientBoostingClassifier(max_iter=2), 2),
    "bagged repair": BaggingClassifier(LINEAR["repair"], 2),
    "scaled boosting": make_pipeline(
        StandardScaler(), HistGradientBoostingClassifier(max_iter=2)
    ),
}
WRAPPERS = {
    "sharded": lambda base: ShardedUnlearningClassifier(base, n_shards=2),
    "newton": lambda base: InfluenceUnlearningClassifier(base, method="newton"),
    "puma": lambda base: InfluenceUnlearningClassifier(base, method="puma"),
}
CASES = [("sharded", name) for name in LINEAR | TREES]
CASES += [(wrapper, name) for wrapper in ("newton", "puma") for name in LINEAR]


def is_taken(base, X):
    """Return whether the bare base takes such rows."""
    try:
        base.fit(X, Y).predict(X)
    except (TypeError, ValueError):
        return False
    return True


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("wrapper", "name"), thin(CASES, 2))
def test_what_the_base_takes(wrapper, name, value, tmp_path):
    """It is taken in the same containers, by both classes, at fit and at predict."""
    base = (LINEAR | TREES)[name]
    n_taken = 0
    for make in CONTAINERS.values():
        X = make(spoil(value), tmp_path)
        classifier = WRAPPERS[wrapper](base).set_params(random_state=0)
        if is_taken(base, X):
            n_taken += 1
            answers = classifier.fit(X, Y).forget([3, 9]).predict(X)
            assert len(answers) == 80
            assert np.mean(answers == Y) > 0.45
        else:
            with pytest.raises((TypeError, ValueError)):
                classifier.fit(X, Y).predict(X)
    takes_infinity = name in ("drop", "repair", "boosting", "bagged boosting")
    assert n_taken >= 7 or not (np.isnan(value) or takes_infinity)


@pytest.mark.filterwarnings("ignore::skunlearn.exceptions.UnlearningQualityWarning")
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    "base",
    [
        LogisticRegression(),
        GaussianNB(),
        SVC(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        BaggingClassifier(LogisticRegression()),
    ],
)
def test_what_the_base_refuses(base, value):
    """It is refused in the base's own words, at fit and at predict."""
    X = spoil(value)
    wrappers = [ShardedUnlearningClassifier(base, n_shards=2)]
    if "Logistic" in repr(base) and "Bagging" not in repr(base):
        wrappers.append(InfluenceUnlearningClassifier(base, method="newton"))
    with pytest.raises(ValueError, match="Input") as bare:
        base.fit(X, Y)
    first = re.escape(str(bare.value).splitlines()[0])
    for classifier in wrappers:
        with pytest.raises(ValueError, match=first) as caught:
            classifier.fit(X, Y)
        assert "UnlearningClassifier" not in str(caught.value)
        classifier.fit(ROWS, Y)
        with pytest.raises(ValueError, match=first):
            classifier.predict(X)


class Filling(ClassifierMixin, BaseEstimator):
    """A classifier of another library, whose tags say nothing of missing values."""

    def fit(self, X, y):
        """Fit to what is there."""
        self.inner_ = GaussianNB().fit(np.nan_to_num(X), y)
        self.classes_ = self.inner_.classes_
        return self

    def predict(self, X):
        """Predict."""
        return self.inner_.predict(np.nan_to_num(X))


def test_bases_of_other_libraries_judge_themselves():
    """The tags that they have by default are not believed."""
    X = spoil(np.nan)
    classifier = ShardedUnlearningClassifier(Filling(), n_shards=2).fit(X, Y)
    assert classifier.score(X, Y) > 0.5


def test_sparse_rows_for_the_first_step_of_a_pipeline():
    """What comes after it sees none of them."""
    to_dense = FunctionTransformer(lambda X: X.toarray(), accept_sparse=True)
    X = sparse.csr_array(ROWS)
    for classifier in (
        ShardedUnlearningClassifier(make_pipeline(to_dense, GaussianNB()), n_shards=2),
        InfluenceUnlearningClassifier(
            make_pipeline(to_dense, LogisticRegression()), method="newton"
        ),
    ):
        assert classifier.fit(X, Y).score(X, Y) > 0.5
    with pytest.raises(TypeError, match="dense"):
        ShardedUnlearningClassifier(GaussianNB()).fit(X, Y)

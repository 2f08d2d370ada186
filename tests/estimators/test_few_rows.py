"""Models of one class whose rows become too few for them: a simpler one answers."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import make_column_transformer
from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.feature_selection import VarianceThreshold
from sklearn.manifold import Isomap
from sklearn.mixture import GaussianMixture
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KernelDensity, KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from support import assert_same_classifier, fit_in_layout, make_data

from skunlearn import ShardedUnlearningClassifier
from skunlearn._estimators.one_class import PointDensity, is_stand_in
from skunlearn.exceptions import UnlearningQualityWarning

X, Y = make_data(40, n_classes=2)
ASH = np.flatnonzero(Y == "ash")
MODELS = {
    "pca_mixture": make_pipeline(PCA(2), GaussianMixture(reg_covar=0.1)),
    "scaled_pca": make_pipeline(StandardScaler(), PCA(3), KernelDensity()),
    "pca": PCA(2),
    "singular": GaussianMixture(reg_covar=0.0),
    "variance": make_pipeline(VarianceThreshold(0.2), GaussianMixture(reg_covar=0.1)),
    "means_init": GaussianMixture(3, means_init=X[:3], reg_covar=0.1),
    "support": EllipticEnvelope(support_fraction=0.7, random_state=0),
    "isomap": make_pipeline(Isomap(n_neighbors=4), KernelDensity()),
}


def make(model, **params):
    """Return an unfitted classifier with one part for each class."""
    params = {"n_shards": 1, "random_state": 3, **params}
    return ShardedUnlearningClassifier(model, partition="class", **params)


@pytest.mark.filterwarnings("ignore::skunlearn.exceptions.UnlearningQualityWarning")
@pytest.mark.filterwarnings("ignore:The number of connected:UserWarning:sklearn")
@pytest.mark.filterwarnings("ignore:The covariance matrix:UserWarning:sklearn")
@pytest.mark.filterwarnings("ignore:Only one sample available:UserWarning:sklearn")
@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("sizes", [[5, 4, 3, 2, 1], [1]])
def test_down_to_one_row(model, sizes):
    """No crash, a finite answer, and what a fresh fit gives."""
    classifier = make(model).fit(X, Y)
    for size in sizes:
        classifier.forget(ASH[size:])
        assert np.isfinite(classifier.decision_function(X)).all()
        assert_same_classifier(classifier, fit_in_layout(classifier, X, Y), X)
    assert is_stand_in(classifier.estimators_[0])


def test_a_warning_says_so():
    """With the model's own words; a single row is stated, and needs none."""
    classifier = make(make_pipeline(PCA(3), GaussianMixture(reg_covar=0.1))).fit(X, Y)
    with pytest.warns(UnlearningQualityWarning, match="n_components=3 must be"):
        classifier.forget(ASH[2:])
    assert isinstance(classifier.estimators_[0], PointDensity)
    classifier.forget(ASH[1])


def test_steps_that_can_stay():
    """Encoders are needed for the Gaussian too."""
    frame = pd.DataFrame({"size": X[:, 0]})
    frame["color"] = np.where(X[:, 1] > 0, "blue", "red")
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["color"]),
        remainder="passthrough",
    )
    model = make_pipeline(columns, GaussianMixture(reg_covar=0.1))
    classifier = make(model).fit(frame, Y).forget(ASH[1:])
    assert is_stand_in(classifier.estimators_[0])
    assert len(classifier.estimators_[0].steps) == 2
    assert np.isfinite(classifier.decision_function(frame)).all()


@pytest.mark.parametrize("slice_training", ["cumulative", "sequential"])
@pytest.mark.filterwarnings("ignore::skunlearn.exceptions.UnlearningQualityWarning")
def test_slices_after_a_stand_in(slice_training):
    """The model starts afresh where there is none to go on from."""
    classifier = make(
        GaussianMixture(reg_covar=0.0), n_slices=3, slice_training=slice_training
    ).fit(X, Y)
    shard = classifier._state.shards[0]
    position_of = np.argsort(classifier._state.rows.slot_of)
    classifier.forget(position_of[shard.slots[2 : shard.bounds[1]]])
    first, *_, last = classifier._state.shards[0].states
    assert is_stand_in(first.estimator)
    assert not is_stand_in(last.estimator)
    assert_same_classifier(classifier, fit_in_layout(classifier, X, Y), X)


def test_a_model_that_never_fits():
    """That is an error, and the classifier is not fitted."""
    classifier = make(make_pipeline(PCA(5), GaussianMixture()))
    with (
        pytest.warns(UnlearningQualityWarning, match="n_components=5"),
        pytest.raises(ValueError, match="of any class"),
    ):
        classifier.fit(X, Y)
    assert not classifier.__sklearn_is_fitted__()


@pytest.mark.parametrize("make_frame", [pd.DataFrame, pl.DataFrame])
def test_a_frame_of_one_row(make_frame):
    """The Gaussian takes the means of its columns."""
    frame = make_frame(dict(zip("abcd", X.T, strict=True)))
    first, second = (
        make(GaussianMixture(reg_covar=0.1)).fit(rows, Y).forget(ASH[1:])
        for rows in (frame, X)
    )
    assert is_stand_in(first.estimators_[0])
    np.testing.assert_allclose(first.predict_proba(frame), second.predict_proba(X))


@pytest.mark.parametrize(
    "base",
    [
        VotingClassifier([("near", KNeighborsClassifier())]),
        BaggingClassifier(KNeighborsClassifier(), n_estimators=2),
        make_pipeline(StandardScaler(), OneVsRestClassifier(KNeighborsClassifier())),
    ],
)
def test_neighbors_inside(base):
    """However deep, they are no more than there are rows."""
    classifier = ShardedUnlearningClassifier(base, n_shards=3, random_state=0)
    classifier.fit(X, Y)
    mine = [i for i in range(40) if classifier.preview_forget(i).shards == (0,)]
    classifier.forget(mine[4:])
    assert len(classifier.predict(X)) == 40
    assert_same_classifier(classifier, fit_in_layout(classifier, X, Y), X)


def test_other_errors_are_not_hidden():
    """Nothing can stand in for a model of words."""
    words = np.full((40, 1), "word", dtype=object)
    with pytest.raises(ValueError, match="could not convert"):
        make(GaussianMixture()).fit(words, Y)

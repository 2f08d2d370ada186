"""What a wrapped estimator can do, must not do, and is not let do."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import FeatureAgglomeration
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Perceptron, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from skorch import NeuralNetClassifier
from support import assert_same_classifier, fit_anew, make_data

from skunlearn import ShardedUnlearningClassifier
from skunlearn.exceptions import UnlearningQualityWarning, UnsupportedEstimatorError

X, Y = make_data(100)


def make(base, **params):
    """Return an unfitted classifier of two shards."""
    params = {"n_shards": 2, "random_state": 7, **params}
    return ShardedUnlearningClassifier(base, **params)


REFUSING = {
    "early_stopping=True": MLPClassifier((3,), max_iter=3, early_stopping=True),
    "early_stopping=True, SGD": SGDClassifier(early_stopping=True),
    "class_weight='balanced'": SGDClassifier(class_weight="balanced"),
    "class_weight='balanced', perceptron": Perceptron(class_weight="balanced"),
    "early_stopping=True, one for each": OneVsRestClassifier(
        SGDClassifier(early_stopping=True)
    ),
}


@pytest.mark.parametrize("name", REFUSING)
@pytest.mark.parametrize("params", [{"n_slices": 2}, {"n_epochs": 2}])
def test_partial_fit_that_refuses(name, params):
    """What partial_fit would refuse in the middle of a shard is refused at once."""
    with pytest.raises(UnsupportedEstimatorError, match=name.partition(",")[0]):
        make(REFUSING[name], **params).fit(X, Y)


@pytest.mark.parametrize("name", REFUSING)
def test_new_rows_without_partial_fit(name):
    """Their shards are trained anew."""
    base = REFUSING[name]
    classifier = make(base).fit(X[:80], Y[:80]).partial_fit(X[80:], Y[80:])
    assert all(shard.n_slices == 1 for shard in classifier._state.shards)
    classifier.forget([0, 90])
    old, new = np.arange(1, 80), np.delete(np.arange(80, 100), 10)
    fresh = make(base).fit(X[old], Y[old], groups=old)
    fresh.partial_fit(X[new], Y[new], groups=new)
    assert_same_classifier(classifier, fresh, X)


def test_slices_of_one_against_the_rest():
    """It can go on training, with classes that a slice lacks."""
    labels = np.where(np.arange(100) == 7, "elm", Y)
    base = OneVsRestClassifier(SGDClassifier())
    classifier = make(base, n_slices=3).fit(X, labels).forget([0, 8, 9])
    assert_same_classifier(classifier, fit_anew(classifier, X, labels), X)


def test_slices_of_pairs():
    """Pairs that a slice lacks would never be trained."""
    base = OneVsOneClassifier(SGDClassifier())
    for params in ({"n_slices": 2}, {"n_epochs": 2}):
        with pytest.raises(UnsupportedEstimatorError, match="go on training"):
            make(base, **params).fit(X, Y)
    make(base).fit(X[:80], Y[:80]).partial_fit(X[80:], Y[80:]).predict(X)


def test_a_search_that_keeps_nothing():
    """There would be nobody to predict."""
    base = GridSearchCV(LogisticRegression(), {}, refit=False)
    with pytest.raises(UnsupportedEstimatorError, match="refit=True"):
        make(base).fit(X, Y)


@pytest.mark.parametrize("deep", [False, True])
def test_caches_on_disk(deep, tmp_path):
    """Transformed rows would stay there; results are the same without."""

    def make_base(memory):
        base = make_pipeline(
            StandardScaler(),
            FeatureAgglomeration(2, memory=memory),
            LogisticRegression(),
            memory=memory,
        )
        return GridSearchCV(base, {}, cv=2) if deep else base

    base = make_base(str(tmp_path))
    cached = make(base).fit(X, Y).forget(7)
    assert list(tmp_path.iterdir()) == []
    assert_same_classifier(cached, make(make_base(None)).fit(X, Y).forget(7), X)
    assert str(tmp_path) in repr(base.get_params())  # the user's is left alone


@pytest.mark.parametrize(
    "base",
    [
        GridSearchCV(make_pipeline(SimpleImputer(), LogisticRegression()), {}, cv=2),
        GridSearchCV(
            make_pipeline("passthrough", LogisticRegression()),
            {"passthrough": [SimpleImputer()]},
            cv=2,
        ),
        VotingClassifier([("a", HistGradientBoostingClassifier(max_iter=2))]),
        StackingClassifier([("a", HistGradientBoostingClassifier(max_iter=2))], cv=2),
        CalibratedClassifierCV(
            make_pipeline(SimpleImputer(), LogisticRegression()), cv=2
        ),
        make_pipeline(
            StandardScaler(),
            OneVsRestClassifier(HistGradientBoostingClassifier(max_iter=2)),
        ),
    ],
)
def test_missing_values_inside(base):
    """Whoever is inside decides."""
    data = X.copy()
    data[::7, 1] = np.nan
    classifier = make(base).fit(data, Y).forget([0, 7])
    assert_same_classifier(classifier, fit_anew(classifier, data, Y), data)


def test_missing_values_that_nobody_takes():
    """Then they are refused before anything is trained."""
    data = X.copy()
    data[0, 0] = np.nan
    for inner in (LogisticRegression(), make_pipeline(StandardScaler(), Perceptron())):
        with pytest.raises(ValueError, match="Input X contains NaN"):
            make(GridSearchCV(inner, {})).fit(data, Y)


def test_outputs_of_rows_inside_constituents():
    """Forests keep the probabilities of each row, until it is forgotten."""
    classifier = make(RandomForestClassifier(200, oob_score=True)).fit(X, Y)
    state = classifier._state
    shard = state.shards[classifier.preview_forget(7).shards[0]]
    place = np.flatnonzero(shard.slots == state.rows.slot_of[7])
    outputs = shard.estimator.oob_decision_function_[place].tobytes()
    assert outputs in pickle.dumps(classifier)
    classifier.forget(7)
    assert outputs not in pickle.dumps(classifier)


class Dice(ClassifierMixin, BaseEstimator):
    """Answers at random, from generators of its own."""

    def __init__(self, dice=None, options=None):
        self.dice = dice
        self.options = options

    def fit(self, X, y):
        """Throw."""
        self.classes_ = np.unique(y)
        self.thrown_ = self.dice.random(3), self.options["dice"].random(3)
        return self

    def predict(self, X):
        """Answer with the first class."""
        return np.full(len(X), self.classes_[0])


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.thorough)])
def test_generators_of_any_name(n_jobs):
    """Each shard has its own numbers, and what the user has is left alone."""
    dice = np.random.default_rng(0)
    options = {"dice": np.random.RandomState(0)}
    before = pickle.dumps((dice, options))
    classifier = make(Dice(dice, options), n_jobs=n_jobs).fit(X, Y).forget([0, 7])
    assert pickle.dumps((dice, options)) == before
    assert_same_classifier(classifier, fit_anew(classifier, X, Y), X)
    first, second = (model.thrown_ for model in classifier.estimators_)
    assert not np.intersect1d(first, second).size


class Net(torch.nn.Module):
    """One layer."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 3)

    def forward(self, X):
        """Return probabilities."""
        return torch.softmax(self.layer(X), dim=-1)


def test_nets_out_of_reach():
    """A net is seeded if it is what is wrapped, not if it is inside a search."""
    net = NeuralNetClassifier(Net, max_epochs=1, train_split=None, verbose=0)
    codes = np.searchsorted(np.unique(Y), Y)
    with pytest.warns(UnlearningQualityWarning, match="cannot be seeded") as caught:
        make(GridSearchCV(net, {}, cv=2)).fit(X.astype(np.float32), codes)
    assert caught[0].filename == __file__


@pytest.mark.filterwarnings("ignore:y contains no unlabeled:UserWarning:sklearn")
@pytest.mark.parametrize(
    "base",
    [
        SelfTrainingClassifier(GaussianNB()),
        make_pipeline(StandardScaler(), LabelSpreading()),
    ],
)
def test_rows_without_a_label(base):
    """They are no class, and shards that have no others have no answer."""
    codes = np.unique(Y, return_inverse=True)[1]
    few = np.where(np.arange(100) % 10 == 0, codes, -1)
    for voting in ("soft", "hard"):
        classifier = ShardedUnlearningClassifier(
            base, n_shards=20, voting=voting, random_state=0
        ).fit(X, few)
        assert any(model.classes_.tolist() == [-1] for model in classifier.estimators_)
        assert classifier.classes_.tolist() == [0, 1, 2]
        assert set(classifier.predict(X)) <= {0, 1, 2}
        proba = classifier.predict_proba(X)
        assert proba.shape == (100, 3)
        np.testing.assert_allclose(proba.sum(axis=1), 1)
        classifier.forget(np.arange(0, 60, 10))
        assert_same_classifier(classifier, fit_anew(classifier, X, few), X)
    others = ShardedUnlearningClassifier(GaussianNB(), random_state=0).fit(X, few)
    assert others.classes_.tolist() == [-1, 0, 1, 2]


def test_words_about_what_is_wrong():
    """Durations are no classes, and one probability is not enough for all rows."""
    classifier = ShardedUnlearningClassifier(random_state=0)
    with pytest.raises(TypeError, match="y must hold classes, got timedelta64"):
        classifier.fit(X, np.ones(len(X), dtype="m8[s]"))
    with pytest.raises(ValueError, match="one probability for each of the 100 rows"):
        classifier.fit(X, Y, forget_proba=0.2)
    with pytest.raises(ValueError, match="requires y to be passed"):
        classifier.partial_fit(X, None, classes=["ash"])
    record = classifier.fit(X, Y).forget([]).forget_records_[0]
    assert type(record.selection_seconds) is float


def test_objects_that_are_no_numbers():
    """Rows that are selected must be numbers, and scikit-learn's words say so."""
    rows = X.astype(object)
    rows[0, 0] = {"a": 1}
    with pytest.raises(TypeError, match=r"argument must be .* string.* number"):
        ShardedUnlearningClassifier(selection=0.5).fit(rows, Y)

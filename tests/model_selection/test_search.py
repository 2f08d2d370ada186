"""A search that has forgotten is a search on the retained rows, bit for bit."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import KFold
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from support import assert_identical, assert_same_classifier, make_data, thin

from skunlearn import ShardedUnlearningClassifier
from skunlearn._data.containers import take_rows
from skunlearn.exceptions import (
    ForgetIndexError,
    NothingRetainedError,
    UnsupportedEstimatorError,
)
from skunlearn.model_selection import UnlearningSearchCV

X, Y = make_data(120, n_classes=2)
GROUPS = np.array([f"person-{i // 2}" for i in range(len(Y))])

SEARCHES = {
    "tree": (
        DecisionTreeClassifier(max_features=2),
        {"n_shards": [1, 3], "estimator__max_depth": [1, 4]},
        "accuracy",
    ),
    "logistic": (
        make_pipeline(StandardScaler(), LogisticRegression()),
        [{"n_shards": [2, 4]}, {"n_replicas": [2], "n_shards": [3]}],
        "neg_log_loss",
    ),
    "slices": (LogisticRegression(), {"n_slices": [1, 3]}, "roc_auc"),
    "by_class": (GaussianNB(), {"partition": ["class"], "n_slices": [1, 3]}, None),
    "boosting": (
        HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2),
        {"n_shards": [2, 3], "voting": ["soft", "hard"]},
        "roc_auc",
    ),
}


def make(name="tree", **params):
    base, grid, scoring = SEARCHES[name]
    params = {"scoring": scoring, "cv": 3, "random_state": 5, **params}
    return UnlearningSearchCV(ShardedUnlearningClassifier(base), grid, **params)


def search_anew(search, X, y, groups=None, **weights):
    """Return a search on the retained rows, with the same identities."""
    keep = search.retained_indices_
    identities = np.arange(len(y)) if groups is None else groups
    rows = take_rows(X, keep)
    weights = {name: value[keep] for name, value in weights.items()}
    return clone(search).fit(rows, y[keep], groups=identities[keep], **weights)


def assert_same_search(first, second, X):
    """Assert that results, choices and classifiers are the same, but for times."""
    results = [
        {k: v for k, v in each.cv_results_.items() if not k.endswith("_time")}
        for each in (first, second)
    ]
    assert_identical(*results)
    for name in ("best_index_", "best_params_", "best_score_", "n_splits_"):
        assert_identical(getattr(first, name, None), getattr(second, name, None))
    if hasattr(first, "best_estimator_"):
        assert_same_classifier(first.best_estimator_, second.best_estimator_, X)
    folds = {(fit.candidate, fit.fold): fit for fit in first._state.fitted}
    for fit in second._state.fitted:
        mine = folds[fit.candidate, fit.fold]
        assert_same_classifier(mine.classifier, fit.classifier, X)


@pytest.mark.parametrize("name", thin(SEARCHES, 2))
@pytest.mark.parametrize("groups", [None, GROUPS], ids=["positions", "groups"])
def test_exactness(name, groups):
    """After random requests, whichever candidate is best."""
    rng = np.random.default_rng(len(name))
    search = make(name).fit(X, Y, groups=groups)
    for size in (1, 3, 30):
        if groups is None:
            search.forget(rng.choice(len(Y), size, replace=False))
        else:
            search.forget(groups=rng.choice(GROUPS, size))
    assert_same_search(search, search_anew(search, X, Y, groups), X)


def test_another_choice():
    """Rows that spoke for one candidate go, and so does the choice."""
    search = make("tree").fit(X, Y)
    first, fitted = search.best_index_, search.best_estimator_
    wrong = fitted.predict(X) != Y
    requests = [np.flatnonzero(wrong), *np.array_split(np.arange(100), 10)]
    indices = [search.forget(request).best_index_ for request in requests]
    assert set(indices) != {first}
    assert_same_search(search, search_anew(search, X, Y), X)


@pytest.mark.parametrize(
    ("scoring", "refit"),
    [
        (["accuracy", "roc_auc"], "roc_auc"),
        (["accuracy", "roc_auc"], False),
        (make_scorer(accuracy_score), True),
        (lambda model, X, y: {"a": model.score(X, y), "b": 1.0}, "a"),
        (None, lambda results: int(results["mean_test_score"].argmin())),
        (None, False),
    ],
    ids=["names", "names_only", "scorer", "function", "choice", "no_refit"],
)
def test_scores_and_refits(scoring, refit):
    """All that GridSearchCV takes."""
    search = make(scoring=scoring, refit=refit).fit(X, Y)
    assert hasattr(search, "best_estimator_") == (refit is not False)
    search.forget([1, 5, 7])
    assert_same_search(search, search_anew(search, X, Y), X)


def test_a_fit_replaces_all_of_an_earlier_one():
    """Without a refit there is no best estimator, not even the former one."""
    search = make().fit(pd.DataFrame(X, columns=list("abcd")), Y).forget([3])
    search.set_params(refit=False).fit(X, Y)
    assert not hasattr(search, "best_estimator_")
    assert not hasattr(search, "feature_names_in_")
    assert not search.forget_records_
    search.forget([3])
    assert_same_search(search, search_anew(search, X, Y), X)


def test_jobs_do_not_matter(capsys):
    """Nor does it matter whether they report."""
    one, two = make(), make(n_jobs=2, verbose=1)
    for search in (one, two):
        search.fit(X, Y).forget([1, 2, 40])
    assert "totalling 12 fits" in capsys.readouterr().out
    assert_same_search(one, two, X)


def test_weights():
    """They are for training, and rows without any are scored like the others."""
    weight = np.random.default_rng(0).integers(0, 3, len(Y)).astype(float)
    search = make("logistic").fit(X, Y, sample_weight=weight)
    search.forget([*np.flatnonzero(weight == 0)[:3], 5, 6])
    assert_same_search(search, search_anew(search, X, Y, sample_weight=weight), X)


def test_frames():
    """Of which rows have categories."""
    frame = pd.DataFrame(X, columns=list("abcd"))
    search = make("logistic").fit(frame, Y).forget([0, 3])
    assert search.feature_names_in_.tolist() == list("abcd")
    assert_same_search(search, search_anew(search, frame, Y), frame)


def test_folds_do_not_depend_on_other_rows():
    """Rows of a group share one, and those of GridSearchCV are refused."""
    search = make().fit(X, Y, groups=GROUPS)
    folds = search._state.folds.reshape(-1, 2)
    np.testing.assert_array_equal(folds[:, 0], folds[:, 1])
    with pytest.raises(TypeError, match="let the fold of a row depend on other rows"):
        make(cv=KFold(3)).fit(X, Y)
    with pytest.raises(ValueError, match="at least 2"):
        make(cv=1).fit(X, Y)
    with pytest.raises(ValueError, match="no row is left to train on"):
        make().fit(X, Y, groups=np.zeros(len(Y)))


def test_other_estimators():
    """Only classifiers of shards forget so."""
    with pytest.raises(UnsupportedEstimatorError, match="LogisticRegression"):
        UnlearningSearchCV(LogisticRegression(), {"C": [1.0]}).fit(X, Y)


def test_folds_that_run_empty():
    """They are left out, as in a new search; the last two must have rows."""
    search = make().fit(X, Y)
    folds = search._state.folds
    search.forget(np.flatnonzero(folds == 0))
    assert search.n_splits_ == 2
    assert_same_search(search, search_anew(search, X, Y), X)
    with pytest.raises(NothingRetainedError):
        search.forget(np.flatnonzero(folds == 1))


def test_scores_that_fail():
    """A fold without a class has no score, and rows are forgotten all the same."""
    search = make(scoring="roc_auc").fit(X, Y)
    second = np.flatnonzero((Y == "birch") & (search._state.folds == 0))
    with pytest.warns(UserWarning, match=r"NaN|non-finite|Only one class"):
        search.forget(second)
    with pytest.warns(UserWarning, match=r"NaN|non-finite|Only one class"):
        fresh = search_anew(search, X, Y)
    assert np.isnan(search.cv_results_["mean_test_score"]).all()
    assert_same_search(search, fresh, X)


def test_all_or_nothing():
    """What fails in one classifier changes none, nor the results."""
    search = make(refit=True).fit(X, Y)
    before = pickle.dumps(search)
    with pytest.raises(ForgetIndexError) as caught:
        search.forget([1, 999])
    assert "forget changed nothing" in caught.value.__notes__[0]
    last = search._state.fitted[-1].classifier
    last._apply = lambda removal: 1 / 0
    with pytest.raises(ZeroDivisionError):
        search.forget([1, 2, 3])
    del last._apply
    assert pickle.dumps(search) == before
    search.forget([1, 2, 3])
    assert_same_search(search, search_anew(search, X, Y), X)


def test_costs():
    """The preview is the record, unless another candidate becomes the best."""
    search = make("boosting").fit(X, Y)
    record = search.preview_forget([4, 9, 9])
    n_samples = record.n_samples_retrained
    assert 0 < n_samples < record.n_samples_full_retrain
    index = search.best_index_
    actual = search.forget([4, 9]).forget_records_[-1]
    assert (actual.n_requested, actual.n_forgotten) == (2, 2)
    if search.best_index_ == index:
        assert actual.n_samples_retrained == n_samples
    assert search.forget(4).forget_records_[-1].n_already_forgotten == 1
    with pytest.raises(ForgetIndexError, match="1000"):
        search.preview_forget(1000)


def test_no_trace():
    """Neither values nor ids of forgotten rows are left anywhere."""
    marked, ids = X.copy(), GROUPS.copy()
    marked[7:9] = 1234567.875
    search = make().fit(marked, Y, groups=ids)
    marker = np.float64(1234567.875).tobytes()
    assert marker in pickle.dumps(search)
    search.forget([7, 8])
    for text in (marker, np.float32(1234567.875).tobytes(), b"person"):
        assert text not in pickle.dumps(search)


def test_replies_that_are_kept():
    """They are those of the constituents that there are, about retained rows."""
    search = make("logistic").fit(X, Y)
    for request in ([1, 2], [60], [1, 90], [33]):
        search.forget(request)
    for fit in search._state.fitted:
        retained = search._state.rows.retained & (search._state.folds == fit.fold)
        sizes = dict.fromkeys(map(id, fit.classifier.estimators_), 0)
        for constituent, reply in fit.replies.values():
            sizes[id(constituent)] += len(reply)
        assert set(sizes.values()) == {retained.sum()}
    assert_same_search(search, search_anew(search, X, Y), X)


def test_the_best_estimator_has_forgotten_alone():
    """The search can still catch up, but not while the other one is at it."""
    search = make().fit(X, Y)
    search.best_estimator_.forget([1, 2])
    search.forget([1, 2, 3])
    assert_same_search(search, search_anew(search, X, Y), X)
    lock = search.best_estimator_._lock.take("forget")
    with lock, pytest.raises(RuntimeError, match="still changing"):
        search.forget([4])


def test_a_pickle_goes_on():
    """With locks and rows of its own, and one best estimator."""
    search = make().fit(X, Y)
    other = pickle.loads(pickle.dumps(search))
    other.forget([3, 4])
    assert not len(search.forgotten_indices_)
    assert_same_search(other, search_anew(other, X, Y), X)


def list_rows(search):
    """Return what each classifier holds of the rows."""
    held = [fit.classifier._rows for fit in search._state.fitted]
    return [*held, search.best_estimator_._rows]


COLORS = np.where(X[:, :1] > 0.5, "red", np.where(X[:, :1] > -1, "green", "blue"))
FRAME = pd.DataFrame(X, columns=list("abcd"))
COLUMNS = make_column_transformer(
    (OneHotEncoder(handle_unknown="ignore"), ["color"]), remainder="passthrough"
)
CONTAINERS = {
    "dense": (X, LogisticRegression()),
    "sparse": (sparse.csr_array(X), LogisticRegression()),
    "frame": (FRAME, LogisticRegression()),
    "categories": (
        FRAME.assign(color=pd.Categorical(COLORS.ravel())),
        make_pipeline(COLUMNS, LogisticRegression()),
    ),
    "polars": (pl.DataFrame(X, list("abcd"), orient="row"), GaussianNB()),
    "text": (COLORS, make_pipeline(OneHotEncoder(sparse_output=False), GaussianNB())),
}


@pytest.mark.parametrize("kind", CONTAINERS)
@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.thorough)])
def test_rows_are_held_once(kind, n_jobs):
    """By all candidates, also when rows go, and in a copy."""
    rows, base = CONTAINERS[kind]
    labels = np.where(Y[0] == Y, "yes", "perhaps")
    search = UnlearningSearchCV(
        ShardedUnlearningClassifier(base, n_slices=1, random_state=0),
        {"n_shards": [2, 3]},
        cv=3,
        n_jobs=n_jobs,
        random_state=0,
    ).fit(rows, labels)
    rare = np.flatnonzero(COLORS.ravel() == "red")
    for request in (3, rare, np.flatnonzero(labels == "perhaps")):
        search = pickle.loads(pickle.dumps(search)).forget(request)
        for mine in list_rows(search):
            assert mine.data.X is search._state.rows.data.X
            assert mine.data.y is search._state.rows.data.y
    assert_same_search(search, search_anew(search, rows, labels), rows)


@pytest.mark.parametrize("is_copied", thin([True, False]))
@pytest.mark.parametrize("kind", thin(["frame", "dense", "sparse"]))
def test_the_best_estimator_is_changed_alone(kind, is_copied):
    """That takes a copy of the rows: the search has all of them still."""
    rows, _ = CONTAINERS[kind]
    search = make("slices").fit(rows, Y).forget([50])
    if is_copied:
        search = pickle.loads(pickle.dumps(search))
    best, more = search.best_estimator_, take_rows(rows, np.arange(9))
    best.forget([1, 2]).partial_fit(more, Y[:9], groups=np.arange(500, 509))
    best.forget([len(Y), 7])
    search.forget([0])
    del search.best_estimator_
    assert_same_search(search, search_anew(search, rows, Y), rows)


@pytest.mark.parametrize("fraction", [0.4, 0.9])
def test_selected_rows_are_held_elsewhere(fraction):
    """The candidates are what they are with rows of their own."""
    base = ShardedUnlearningClassifier(
        GaussianNB(), n_slices=2, selection=fraction, random_state=3
    )
    grid = {"n_shards": [2, 3]}
    search = UnlearningSearchCV(base, grid, cv=2, random_state=0).fit(X, Y)
    for request in ([1, 5], np.arange(30, 70)):
        search.forget(request)
        for fit in search._state.fitted:
            positions = search._state.find_training(fit.fold)
            alone = clone(fit.classifier)
            identities = search._state.identities[positions]
            alone.fit(X[positions], Y[positions], groups=identities)
            alone.forget(np.isin(positions, search.forgotten_indices_))
            assert_same_classifier(fit.classifier, alone, X)


def test_stores_are_refused(tmp_path):
    """Before anything is written."""
    folder = tmp_path / "store"
    base = ShardedUnlearningClassifier(checkpoint_store=folder)
    bare = ShardedUnlearningClassifier()
    for search in (
        UnlearningSearchCV(base, {"n_shards": [1, 2]}),
        UnlearningSearchCV(bare, [{"n_shards": [2]}, {"checkpoint_store": [folder]}]),
    ):
        with pytest.raises(UnsupportedEstimatorError, match="checkpoint_store"):
            search.fit(X, Y)
    assert not folder.exists()

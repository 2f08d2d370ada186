"""A fit on batches that fails leaves nothing half done, and says which batch it was."""

import os
import signal

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from support import assert_same_classifier, make_data, thin

from skunlearn import ShardedUnlearningClassifier
from skunlearn.checkpoints._manifest import LOCK

X, Y = make_data(60)
FRAME = pd.DataFrame(X, columns=list("abcd"))


def make_classifier(folder, **params):
    """Return an unfitted classifier with a store."""
    return ShardedUnlearningClassifier(
        LogisticRegression(),
        n_shards=2,
        random_state=0,
        checkpoint_store=folder,
        **params,
    )


def put(where, value):
    """Return rows with a value in one place."""
    rows = X[20:40].copy()
    rows[where] = value
    return rows


def list_files(folder):
    """Return what is in a store beside its lock."""
    return sorted(set(os.listdir(folder)) - {LOCK})


ARRAYS, FRAMES = X[:20], FRAME[:20]
MATRICES = sparse.csr_matrix(X[:20])
BAD = {
    "nan": (ARRAYS, put((3, 2), np.nan), Y[20:40], "contains NaN"),
    "infinity": (ARRAYS, put((3, 2), np.inf), Y[20:40], "contains infinity"),
    "columns": (ARRAYS, X[20:40, :3], Y[20:40], "X has 3 features"),
    "dtype": (ARRAYS, X[20:40].astype("f4"), Y[20:40], "dtype of X is float32 in this"),
    "length": (ARRAYS, X[20:40], Y[:19], "inconsistent numbers of samples"),
    "no labels": (ARRAYS, X[20:40], None, "the target y is None"),
    "labels": (ARRAYS, X[20:40], np.arange(20), "dtype of y is int64 in this batch"),
    "targets": (ARRAYS, X[20:40], X[20:40, 0], "Unknown label type: continuous"),
    "frame": (ARRAYS, pd.DataFrame(X), Y, "X is a pandas.DataFrame, but the first"),
    "matrix": (ARRAYS, sparse.csr_matrix(X), Y, "X is a sparse matrix, but the first"),
    "matrices": (MATRICES, sparse.csr_array(X), Y, "type of X is csr_array in this"),
    "array": (MATRICES, X[20:40], Y[20:40], "X is a numpy.ndarray, but the first"),
    "text": (ARRAYS, X[20:40].astype(str), Y[20:40], "got an array of dtype <U"),
    "names": (FRAMES, FRAME[["b", "a", "c", "d"]], Y, "must be in the same order"),
    "column dtype": (FRAMES, FRAME.astype({"b": "f4"}), Y, "column 'b' is float32"),
    "categories": (
        FRAMES,
        FRAME.assign(b=pd.Categorical(Y)),
        Y,
        "categories, such as 'b', are not taken in batches",
    ),
}


@pytest.mark.parametrize("name", thin(BAD))
def test_bad_batch(name, tmp_path):
    """It is named, nothing is kept, and the next fit has the directory."""
    first, rows, labels, message = BAD[name]
    batches = [(first, Y[:20]), (first[:0], Y[:0]), (rows, labels), (first, Y[:20])]
    classifier = make_classifier(tmp_path)
    for _ in range(2):
        with pytest.raises((ValueError, TypeError), match=message) as caught:
            classifier.fit_batches(batches)
        notes = " ".join(caught.value.__notes__)
        assert "This came of batch 3, counted from 1." in notes
        assert "fit_batches changed nothing" in notes
        assert list_files(tmp_path) == []
        assert not hasattr(classifier, "classes_")
        assert not hasattr(classifier, "n_features_in_")
    classifier.fit_batches([(X, Y)])
    assert_same_classifier(classifier, make_classifier(None).fit(X, Y), X)


def test_groups(tmp_path):
    """All batches have them, or none; none of them is missing."""
    ids = [f"user-{i}" for i in range(20)]
    for batches, message in (
        ([(X[:20], Y[:20], ids), (X[20:], Y[20:])], "they came"),
        ([(X[:20], Y[:20]), (X[20:40], Y[20:40], ids)], "they did not come"),
        ([(X[:20], Y[:20], ids), (X[20:40], Y[20:40], [None] * 20)], "missing value"),
        ([(X[:20], Y[:20], ids), (X[20:40], Y[20:40], ids[:3])], "each of the 20 rows"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            make_classifier(tmp_path).fit_batches(batches)
        assert any("batch 2" in note for note in caught.value.__notes__)
        assert list_files(tmp_path) == []


@pytest.mark.parametrize("error", [RuntimeError, OSError, KeyboardInterrupt])
def test_iterator_fails(error, tmp_path, monkeypatch):
    """Whatever it raises is raised, and an earlier fit is what it was."""
    monkeypatch.setattr("skunlearn.sharding._batches.spill._MAX_WAITING", 1)

    def read():
        yield X[:20], Y[:20]
        assert len(list_files(tmp_path / "new")) == 2
        raise error("the source is gone")

    classifier = make_classifier(tmp_path / "old").fit_batches([(X, Y)])
    before = classifier.predict_proba(X)
    classifier.set_params(checkpoint_store=tmp_path / "new")
    with pytest.raises(error, match="the source is gone") as caught:
        classifier.fit_batches(read())
    if issubclass(error, Exception):
        assert any("asked for batch 2" in note for note in caught.value.__notes__)
    assert list_files(tmp_path / "new") == []
    np.testing.assert_array_equal(classifier.predict_proba(X), before)
    with pytest.warns(UserWarning, match="checkpoint_store"):
        classifier.forget(3)
    assert classifier.forgotten_indices_.tolist() == [3]


def test_training_fails(tmp_path):
    """The rows are in the store by then, and are removed."""
    base = HistGradientBoostingClassifier(max_iter=2, learning_rate=-1.0)
    classifier = make_classifier(tmp_path).set_params(estimator=base)
    with pytest.raises(ValueError, match="learning_rate"):
        classifier.fit_batches([(X[:30], Y[:30]), (X[30:], Y[30:])])
    assert list_files(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")
@pytest.mark.filterwarnings("ignore:.*use of fork")
@pytest.mark.parametrize("moment", ["reading", "moving"])
def test_killed(moment, tmp_path, monkeypatch):
    """The next fit removes what a killed process has left."""
    monkeypatch.setattr("skunlearn.sharding._batches.spill._MAX_WAITING", 1)

    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    def read():
        yield X[:30], Y[:30]
        if moment == "reading":
            die()
        yield X[30:], Y[30:]

    child = os.fork()
    if child == 0:
        try:
            target = "skunlearn.sharding._batches.fitting.carry_out"
            monkeypatch.setattr(target, die)
            make_classifier(tmp_path).fit_batches(read())
        finally:
            os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    assert len(list_files(tmp_path)) >= 2
    with pytest.raises(Exception, match="has not finished"):
        ShardedUnlearningClassifier.open(tmp_path)
    again = make_classifier(tmp_path).fit_batches([(X[:1], Y[:1]), (X[1:], Y[1:])])
    assert_same_classifier(again, make_classifier(None).fit(X, Y), X)
    assert not [name for name in list_files(tmp_path) if name.startswith(".new")]


def test_silly_input(tmp_path):
    """What is no iterable of batches, or nothing, is refused in words that help."""
    classifier = make_classifier(tmp_path / "store")
    for batches, options, message in (
        ((X, Y), {}, r"batch must be a tuple \(X, y\)"),
        ([(X, Y, None, None)], {}, "got a tuple of 4"),
        (FRAME, {}, "got DataFrame. Call fit"),
        (FRAME, {"target": "a"}, "got DataFrame. Call fit"),
        ("rows.parquet", {}, "call fit_parquet"),
        (3, {}, "got int"),
        ([], {}, "the batches have no rows"),
        ([(X[:0], Y[:0])], {}, "the batches have no rows"),
        ([(X, Y)], {"groups": "id"}, "without a target"),
        ([(X, Y)], {"target": "y"}, "must be a data frame that has this column"),
        ([FRAME], {"target": "y"}, r"no column 'y'; the columns are \['a'"),
        ([FRAME], {}, "name their column of labels as `target`"),
        ([([["a", 1]], ["x"])], {}, "got an array of dtype"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            classifier.fit_batches(batches, **options)
    with pytest.raises(ValueError, match="give the classifier a directory"):
        make_classifier(None).fit_batches([(X, Y)])
    classifier.set_params(partition="distribution_aware")
    with pytest.raises(ValueError, match="needs the forget_proba of all rows"):
        classifier.fit_batches([(X, Y)])
    classifier.set_params(partition="uniform", selection=0.01)
    with pytest.raises(ValueError, match="picks less than one row of n_samples=60"):
        classifier.fit_batches([(X[:30], Y[:30]), (X[30:], Y[30:])])
    classifier.set_params(selection=None).fit_batches([(X, Y)])
    with pytest.raises(Exception, match="holds a store already"):
        classifier.fit_batches([(X, Y)])
    assert_same_classifier(classifier, make_classifier(None).fit(X, Y), X)

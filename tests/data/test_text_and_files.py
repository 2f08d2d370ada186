"""The width of text tells nothing, and files that back arrays are never written to."""

import pickle
import time

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from support import assert_same_classifier, make_data

from skunlearn import InfluenceUnlearningClassifier, ShardedUnlearningClassifier
from skunlearn._data.rows import Batch, Erasure, Rows

LONG = "a very long secret value"
ROWS, Y = make_data(60)
MAKE = {
    "list": lambda texts: [[text, "c"] for text in texts],
    "text": lambda texts: np.array([[text, "c"] for text in texts]),
    "wide": lambda texts: np.array([[text, "c"] for text in texts], dtype="U50"),
    "bytes": lambda texts: np.array([[text.encode(), b"c"] for text in texts]),
    "object": lambda texts: np.array([[text, "c"] for text in texts], dtype=object),
}


def take(rows, places):
    """Return rows of a list or an array."""
    is_list = isinstance(rows, list)
    return [rows[i] for i in places] if is_list else rows[places]


@pytest.mark.parametrize("params", [{"n_shards": 1}, {"n_shards": 3}])
@pytest.mark.parametrize("kind", MAKE)
def test_width_of_features(kind, params):
    """It is that of the rows that are retained: held, and in each constituent."""
    X = MAKE[kind]([LONG if i == 7 else "ab"[i % 2] for i in range(60)])
    base = OneHotEncoder(handle_unknown="ignore")
    base = make_pipeline(base, LogisticRegression())
    classifier = ShardedUnlearningClassifier(base, random_state=0, **params)
    classifier.fit(X, Y)
    widths = [e[0].categories_[0].dtype.itemsize for e in classifier.estimators_]
    assert kind == "object" or sum(width > 4 for width in widths) == 1
    classifier.forget(7)
    keep = classifier.retained_indices_
    fresh = ShardedUnlearningClassifier(base, random_state=0, **params)
    fresh.fit(take(X, keep), Y[keep], groups=keep)
    assert_same_classifier(classifier, fresh, X)
    held = [each._state.rows.data.X for each in (classifier, fresh)]
    assert held[0].dtype == held[1].dtype
    assert kind == "object" or held[0].dtype.itemsize <= 4
    classifier.partial_fit(take(X, [0, 1, 2]), Y[:3])
    assert classifier._state.rows.data.X.dtype == held[0].dtype


def test_width_of_labels():
    """It goes with the longest of them, for weightless rows too."""
    labels = Y.astype(object)
    labels[[7, 8]] = LONG
    weight = np.ones(60)
    weight[9], labels[9] = 0, LONG + LONG
    labels = labels.astype("U99")
    classifier = ShardedUnlearningClassifier(GaussianNB(), random_state=0)
    classifier.fit(ROWS, labels, weight)
    assert classifier._state.rows.data.y.dtype == f"U{2 * len(LONG)}"
    assert classifier.classes_.dtype == f"U{len(LONG)}"
    assert classifier.forget(9)._state.rows.data.y.dtype == f"U{len(LONG)}"
    assert classifier.forget(7)._state.rows.data.y.dtype == f"U{len(LONG)}"
    assert classifier.forget(8)._state.rows.data.y.dtype == "U5"
    patched = InfluenceUnlearningClassifier(method="newton").fit(ROWS, labels)
    assert patched.classes_.dtype == f"U{2 * len(LONG)}"
    assert patched.forget([7, 8, 9]).classes_.dtype == "U5"


def test_labels_are_not_all_measured():
    """One other row with the longest label is enough to know."""
    labels = np.array(["no", "yes"] * 1_000_000)
    batch = Batch(np.zeros((len(labels), 1)), labels, None)
    rows = Rows.in_order(batch, np.arange(len(labels)))
    start = time.process_time()
    for place in range(1, 201, 2):
        rows.prepare_forget(np.array([place]), Erasure([rows.lease]))
    assert time.process_time() - start < 0.5


KINDS = {
    "dense": ROWS,
    "float32": ROWS.astype(np.float32),
    "sparse": sparse.csr_array(ROWS),
    "text": ROWS.round(0).astype(np.str_),
}


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrapper", ["sharded", "influence"])
def test_loaded_as_a_memory_map(wrapper, kind, mode, tmp_path):
    """What is forgotten there is forgotten in memory; the file is what it was."""
    X, file = KINDS[kind], tmp_path / "model.joblib"
    if wrapper == "influence":
        if kind == "text":
            return
        classifier = InfluenceUnlearningClassifier(method="newton")
    else:
        base = KNeighborsClassifier(3)
        if kind == "text":
            base = make_pipeline(OneHotEncoder(handle_unknown="ignore"), base)
        classifier = ShardedUnlearningClassifier(base, n_shards=2, random_state=0)
    classifier.fit(X, Y, groups=np.arange(60))
    joblib.dump(classifier, file)
    before = file.read_bytes()
    loaded = joblib.load(file, mmap_mode=mode)
    for request in (slice(0, 20), [33], [34]):
        loaded.forget(request)
        classifier.forget(request)
    assert file.read_bytes() == before
    np.testing.assert_array_equal(loaded.predict(X), classifier.predict(X))
    assert len(joblib.load(file).forgotten_indices_) == 0
    again = pickle.loads(pickle.dumps(loaded)).forget(50)
    np.testing.assert_array_equal(
        again.forgotten_indices_, loaded.forget(50).forgotten_indices_
    )
    assert file.read_bytes() == before


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_rows_in_a_file_of_the_users(mode, tmp_path):
    """They are copied at fit."""
    np.save(tmp_path / "X.npy", ROWS)
    before = (tmp_path / "X.npy").read_bytes()
    X = np.load(tmp_path / "X.npy", mmap_mode=mode)
    for classifier in (
        ShardedUnlearningClassifier(random_state=0),
        InfluenceUnlearningClassifier(method="newton"),
    ):
        classifier.fit(X, Y).forget(range(10))
    del X
    assert (tmp_path / "X.npy").read_bytes() == before


def test_a_copied_array_is_not_copied_again(tmp_path):
    """The first forget has made it ours."""
    classifier = ShardedUnlearningClassifier(GaussianNB(), random_state=0).fit(ROWS, Y)
    joblib.dump(classifier, tmp_path / "model")
    loaded = joblib.load(tmp_path / "model", mmap_mode="r+").forget(3)
    held = loaded._state.rows.data.X
    assert loaded.forget(4)._state.rows.data.X is held

"""Both backends, memory and a directory, keep the same classifier bit for bit."""

import copy
import gc
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from support import BASES, assert_same_classifier, make_case, make_data

from skunlearn import ShardedUnlearningClassifier
from skunlearn.checkpoints import DirectoryStore
from skunlearn.checkpoints._session import Session
from skunlearn.exceptions import ForgetIndexError, SkunlearnError

pytestmark = pytest.mark.filterwarnings(
    "ignore:(a class has lost|Number of distinct|the one-class model|.*are too small)"
)

X, Y = make_data(90)
GROUPS = np.array([f"user-{i // 2}" for i in range(90)])
FIRST = 70  # the rows that fit is given

STORES = {
    "path": lambda folder: folder / "store",
    "encrypted": lambda folder: DirectoryStore(
        folder / "store",
        encrypt=True,
        key_file=folder / "keys",
        ledger_head=folder / "head",
    ),
}


def make_frame(X):
    """Return a pandas frame with numbers, text and categories."""
    kinds = pd.Categorical.from_codes((X[:, 0] * 2).astype(int) % 5, list("edcba"))
    levels = pd.cut(X[:, 1], [-9, -1, 0, 1, 9], labels=["low", "mid", "more", "high"])
    text = pd.Series([f"t{int(v * 2)}" for v in X[:, 2]])
    return pd.DataFrame({"n": X[:, 3], "kind": kinds, "level": levels, "text": text})


CONTAINERS = {
    "array": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "csr": lambda X: sparse.csr_matrix(np.where(X > 0, X, 0)),
    "csr_array": lambda X: sparse.csr_array(np.where(X > 0, X, 0)),
    "pandas": make_frame,
    "objects": lambda X: make_frame(X).astype({"text": object}),
    "polars": lambda X: pl.DataFrame(
        {"n": X[:, 3], "kind": [f"k{int(v * 2)}" for v in X[:, 0]]}
    ).with_columns(pl.col("kind").cast(pl.Categorical)),
    "text": lambda X: X.astype("U8"),
}


def make_base(container):
    """Return a base for a kind of container."""
    if container in ("pandas", "objects", "polars"):
        names = ["kind"] if container == "polars" else ["kind", "level", "text"]
        columns = make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), names),
            (StandardScaler(), ["n"]),
        )
        return make_pipeline(columns, LogisticRegression())
    if container == "text":
        return make_pipeline(OneHotEncoder(handle_unknown="ignore"), GaussianDense())
    return LogisticRegression()


def GaussianDense():
    """Return a classifier that takes sparse rows."""
    return DecisionTreeClassifier(max_features=2)


def take(data, start, stop):
    """Return rows of any container."""
    return data.iloc[start:stop] if hasattr(data, "iloc") else data[start:stop]


class Pair:
    """A classifier in memory and one in a store, which get the same requests."""

    def __init__(self, classifier, folder, kind, data, **metadata):
        self.data, self.metadata = data, metadata
        self.memory = clone(classifier)
        self.stored = clone(classifier).set_params(
            checkpoint_store=STORES[kind](folder)
        )
        self.call("fit", *self.part(0, FIRST)[0], **self.part(0, FIRST)[1])

    def part(self, start, stop):
        """Return the arguments of a fit for some rows."""
        metadata = {k: v[start:stop] for k, v in self.metadata.items()}
        return (take(self.data, start, stop), Y[start:stop]), metadata

    def call(self, method, *arguments, **options):
        """Ask both, and compare them."""
        for each in (self.memory, self.stored):
            getattr(each, method)(*arguments, **options)
        self.compare()

    def add(self, start, stop):
        """Learn more rows."""
        rows, metadata = self.part(start, stop)
        self.call("partial_fit", *rows, **metadata)

    def reopen(self):
        """Let the stored one go, and open it."""
        store = self.stored._session.store
        self.stored = None
        gc.collect()
        self.stored = ShardedUnlearningClassifier.open(store)
        self.compare()

    def compare(self):
        """Assert that both are the same."""
        first, second = self.memory, self.stored
        assert_same_classifier(first, second, self.data)
        for name in ("forgotten_indices_", "retained_indices_", "n_pending_"):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        records = [[drop_clock(r) for r in c.forget_records_] for c in (first, second)]
        assert records[0] == records[1]

    def walk(self):
        """Take every kind of step."""
        self.call("forget", [3])
        self.call("forget", [3, 9, 30, 31, 44], retrain=False)
        self.reopen()
        self.add(FIRST, 80)
        self.reopen()
        self.call("forget", [1, 55, 60, 75])
        self.call("forget", range(0, 40, 3), retrain=False)
        self.call("retrain")
        self.call("forget", np.flatnonzero(Y[:80] == Y[5]))
        self.reopen()
        self.add(80, 90)
        self.call("forget", range(80, 90))
        self.reopen()


def drop_clock(record):
    """Return what does not depend on the clock."""
    clock = ("seconds", "requested_at", "selection_seconds")
    return {k: v for k, v in vars(record).items() if k not in clock}


@pytest.mark.parametrize(
    ("base", "layout"),
    [
        ("sgd", "all"),
        pytest.param("logistic", "class_or_rest", marks=pytest.mark.thorough),
        pytest.param("tree", "replicas", marks=pytest.mark.thorough),
        pytest.param("mixture", "class_slices", marks=pytest.mark.thorough),
        pytest.param("mlp", "cumulative", marks=pytest.mark.thorough),
        pytest.param("forest", "default", marks=pytest.mark.thorough),
        pytest.param("boosting", "default", marks=pytest.mark.thorough),
        pytest.param("neighbors", "default", marks=pytest.mark.thorough),
        pytest.param("svc", "class_hard", marks=pytest.mark.thorough),
        pytest.param("bayes", "sequential", marks=pytest.mark.thorough),
        pytest.param("pipeline", "one_shard", marks=pytest.mark.thorough),
    ],
)
def test_layouts(base, layout, tmp_path):
    """A walk through every kind of request, closed and opened in between."""
    Pair(make_case(base, layout), tmp_path, "path", X).walk()


@pytest.mark.parametrize(
    ("container", "kind"),
    [
        ("array", "encrypted"),
        ("pandas", "path"),
        *(
            pytest.param(name, "path", marks=pytest.mark.thorough)
            for name in CONTAINERS
            if name not in ("array", "pandas")
        ),
        pytest.param("pandas", "encrypted", marks=pytest.mark.thorough),
    ],
)
def test_containers(container, kind, tmp_path):
    """Rows of every kind come back as they were."""
    classifier = ShardedUnlearningClassifier(
        make_base(container), n_shards=3, random_state=3
    )
    data = CONTAINERS[container](X)
    Pair(classifier, tmp_path, kind, data, groups=GROUPS).walk()


@pytest.mark.thorough
def test_weights_and_selection(tmp_path):
    """Weights, probabilities to go, and rows that are chosen."""
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 3, 90).astype(float)
    proba = rng.uniform(size=90)
    classifier = make_case("tree", "default", selection=0.5, n_shards=3)
    metadata = {"sample_weight": weight, "forget_proba": proba}
    Pair(classifier, tmp_path, "path", X, **metadata).walk()


@pytest.mark.thorough
@pytest.mark.parametrize("base", BASES)
def test_bases(base, tmp_path):
    """Every base, with labels that are objects."""
    classifier = make_case(base, "default", n_shards=2)
    stored = clone(classifier).set_params(checkpoint_store=tmp_path / "store")
    labels = Y.astype(object)
    stored.fit(X, labels).forget([1, 2, 3])
    classifier.fit(X, labels).forget([1, 2, 3])
    assert_same_classifier(classifier, stored, X)
    del stored
    opened = ShardedUnlearningClassifier.open(tmp_path / "store").forget(7)
    assert_same_classifier(classifier.forget(7), opened, X)


def fit(folder, **params):
    """Return a stored classifier."""
    params = {"n_shards": 3, "random_state": 0, "checkpoint_store": folder / "store"}
    return ShardedUnlearningClassifier(GaussianNB(), **params).fit(X, Y, groups=GROUPS)


def test_an_array_under_two_names(tmp_path):
    """It is one when it is read: averaged weights are trained on from both."""
    base = SGDClassifier(average=True, max_iter=3, tol=None)
    memory = ShardedUnlearningClassifier(base, n_shards=2, random_state=0)
    store = DirectoryStore(tmp_path / "store")
    clone(memory).set_params(checkpoint_store=store).fit(X[:FIRST], Y[:FIRST])
    store.close()
    opened = ShardedUnlearningClassifier.open(store)
    memory.fit(X[:FIRST], Y[:FIRST])
    for each in (memory, opened):
        each.partial_fit(X[FIRST:], Y[FIRST:])
    assert_same_classifier(memory, opened, X)


def test_groups(tmp_path):
    """They are known after opening; forgotten ones are known as such."""
    fit(tmp_path).forget(groups=["user-3"])
    classifier = ShardedUnlearningClassifier.open(tmp_path / "store")
    assert classifier.has_groups(["user-3", "user-4"]).tolist() == [False, True]
    assert classifier.find_positions("user-4").tolist() == [8, 9]
    assert classifier.forget(groups="user-3").forget_records_[-1].n_forgotten == 0
    with pytest.raises(ForgetIndexError, match="not among those given to fit"):
        classifier.forget(groups="user-400")


def test_rows_are_not_in_memory(tmp_path):
    """Numbers are mapped from their files when they are needed."""
    classifier = ShardedUnlearningClassifier(
        GaussianNB(), random_state=0, checkpoint_store=tmp_path / "store"
    )
    data = np.random.default_rng(0).normal(size=(20_000, 10))
    classifier.fit(data, data[:, 0] > 0)
    size = len(pickle.dumps(classifier._state.rows.data.y))
    assert size < 50_000
    blocks = classifier._state.rows.data.X.blocks
    assert not any(each._is_verified for each in blocks)
    classifier.forget(7)
    assert sum(each._is_verified for each in blocks) == 1


def test_copies_read_what_the_writer_changes(tmp_path):
    """A copy holds a reference; it predicts, follows, and writes when it can."""
    classifier = fit(tmp_path)
    copies = [copy.deepcopy(classifier), pickle.loads(pickle.dumps(classifier))]
    assert len(pickle.dumps(classifier)) < 3000
    classifier.forget([1, 2])
    for each in copies:
        np.testing.assert_array_equal(
            each.predict_proba(X), classifier.predict_proba(X)
        )
        assert each.forgotten_indices_.tolist() == [1, 2]
        with pytest.raises(SkunlearnError, match="is in use"):
            each.forget(3)
    del classifier
    assert copies[0].forget(3).forgotten_indices_.tolist() == [1, 2, 3]
    assert copies[1].forgotten_indices_.tolist() == [1, 2, 3]
    copies[0]._session.store.close()
    copies[1].retrain().forget(4)
    assert copies[0].forgotten_indices_.tolist() == [1, 2, 3, 4]


def test_a_reader_that_comes_during_a_change(tmp_path):
    """It has read which files there are, and then these go: it reads the new ones."""
    classifier = fit(tmp_path)
    session = Session.open(DirectoryStore(tmp_path / "store"), write=False)
    classifier.forget([1, 2])
    reader = ShardedUnlearningClassifier._restore(session)
    assert reader.forgotten_indices_.tolist() == [1, 2]
    np.testing.assert_array_equal(reader.predict_proba(X), classifier.predict_proba(X))


def test_one_writer(tmp_path):
    """A second one gets a clear error, and may come when the first has closed."""
    store = DirectoryStore(tmp_path / "store")
    params = {"random_state": 0, "checkpoint_store": store}
    classifier = ShardedUnlearningClassifier(GaussianNB(), **params).fit(X, Y)
    with pytest.raises(SkunlearnError, match="is in use"):
        ShardedUnlearningClassifier.open(tmp_path / "store")
    store.close()
    second = ShardedUnlearningClassifier.open(tmp_path / "store")
    with pytest.raises(SkunlearnError, match="is in use"):
        classifier.forget(1)
    assert classifier.predict(X).shape == (90,)
    del second
    assert classifier.forget(1).forgotten_indices_.tolist() == [1]


def test_one_store_for_one_fit(tmp_path):
    """A second fit, a clone and a search are errors that say so."""
    classifier = fit(tmp_path)
    for each in (classifier, clone(classifier)):
        with pytest.raises(SkunlearnError, match="holds a store already"):
            each.fit(X, Y)
    assert classifier.forget(1).forgotten_indices_.tolist() == [1]
    fresh = clone(classifier).set_params(checkpoint_store=tmp_path / "other")
    search = GridSearchCV(fresh, {"n_shards": [2, 3]}, error_score="raise")
    with pytest.raises(SkunlearnError, match="Copies of a classifier"):
        search.fit(X, Y)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes").write_text("mine")
    with pytest.raises(SkunlearnError, match="holds files, but no store"):
        clone(classifier).set_params(checkpoint_store=tmp_path / "full").fit(X, Y)
    assert (tmp_path / "full" / "notes").read_text() == "mine"


def test_a_fit_that_fails(tmp_path):
    """Leaves a directory that the next one takes."""
    classifier = ShardedUnlearningClassifier(
        GaussianNB(), checkpoint_store=tmp_path / "store"
    )
    with pytest.raises(ValueError, match="NaN"):
        classifier.fit(np.full_like(X, np.nan), Y)
    with pytest.raises(SkunlearnError, match="has not finished"):
        ShardedUnlearningClassifier.open(tmp_path / "store")
    classifier.fit(X, Y).forget(1)
    in_memory = clone(classifier).set_params(checkpoint_store=None).fit(X, Y)
    assert in_memory._session is None


def test_stores_are_private(tmp_path):
    """Nobody else may look into the directory."""
    fit(tmp_path)
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "store").iterdir()}
    assert modes == {0o600}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"encrypt": True}, "go together"),
        ({"key_file": "keys"}, "go together"),
        ({"encrypt": True, "key_file": "store/keys"}, "outside of the store"),
        ({"ledger_head": "store/a/head"}, "outside of the store"),
    ],
)
def test_bad_stores(arguments, message):
    """What does not go together is refused."""
    with pytest.raises(ValueError, match=message):
        DirectoryStore("store", **arguments)


def test_no_store(tmp_path):
    """What needs one says so."""
    with pytest.raises(SkunlearnError, match="there is no store"):
        ShardedUnlearningClassifier.open(tmp_path / "nothing")
    with pytest.raises(TypeError, match="must be a path"):
        ShardedUnlearningClassifier.open(3)
    classifier = ShardedUnlearningClassifier(GaussianNB()).fit(X, Y)
    for call in (
        lambda: classifier.enqueue(1),
        classifier.process_queue,
        lambda: classifier.forget(1, receipt=tmp_path / "receipt"),
    ):
        with pytest.raises(ValueError, match="needs a store"):
            call()
    record = classifier.forget(1, request_id="case 1").forget_records_[-1]
    assert record.request_id == "case 1"
    with pytest.raises(TypeError, match="request_id must be a text"):
        classifier.forget(1, request_id=7)


def test_a_store_is_a_value(tmp_path):
    """Equal if it is of the same files; its repr makes it."""
    store = STORES["encrypted"](tmp_path)
    assert eval(repr(store)) == store == copy.deepcopy(store)
    assert hash(store) == hash(pickle.loads(pickle.dumps(store)))
    assert store != DirectoryStore(tmp_path / "store")
    assert store != "store"

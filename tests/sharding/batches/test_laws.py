"""A fit on batches is that of the same rows in memory, now and after any requests."""

import copy
import pickle
from itertools import pairwise, product

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import parallel_config
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from support import CASES, assert_same_classifier, make_case, make_data, thin

from skunlearn import ShardedUnlearningClassifier
from skunlearn.checkpoints import DirectoryStore
from skunlearn.checkpoints._blobs import Blobs

pytestmark = pytest.mark.filterwarnings(
    "ignore:(a class has lost|Number of distinct|the one-class model|.*are too small)",
    "ignore:The number of unique classes",
)

N = 90
X, Y = make_data(N)
GROUPS = np.array([f"user-{i % 37}" for i in range(N)])
CUTS = {
    "one": [0, N],
    "even": [*range(0, N, 10), N],
    "uneven": [0, 1, 40, 43, 88, N],
    "empty": [0, 0, 30, 30, 30, 60, N, N],
    "rows": range(N + 1),
}


def make_text(X):
    """Return a pandas frame of numbers, some of them missing, and text."""
    text = pd.Series([f"t{int(v * 2)}" for v in X[:, 2]])
    whole = (X[:, 3] * 3).astype(np.int32)
    return pd.DataFrame({"n": X[:, 0], "m": X[:, 1], "w": whole, "t": text})


CONTAINERS = {
    "array": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "csr": lambda X: sparse.csr_matrix(np.where(X > 0, X, 0)),
    "csr_array": lambda X: sparse.csr_array(np.where(X > 0, X, 0)),
    "pandas": lambda X: pd.DataFrame(X, columns=list("abcd")),
    "polars": lambda X: pl.DataFrame(X, schema=list("abcd")),
}


def take(X, rows):
    """Return some rows of any container."""
    return X.iloc[rows] if isinstance(X, pd.DataFrame) else X[rows]


def cut(X, y, cuts, groups=None):
    """Yield batches in one buffer after the other, as a careful reader would not."""
    for start, stop in pairwise(cuts):
        rows = slice(start, stop)
        labels = np.array(y[rows].tolist(), dtype=y.dtype.type)  # as wide as they are
        batch = [copy.deepcopy(take(X, rows)), labels]
        yield tuple(batch if groups is None else [*batch, groups[rows]])
        labels[:] = y[0]  # by then it is to be copied
        if isinstance(X, np.ndarray):
            batch[0][:] = 0


def fit_both(classifier, X, y, cuts, store, groups=None):
    """Return a fit in memory, and one on batches."""
    memory = clone(classifier).fit(X, y, groups=groups)
    stored = clone(classifier).set_params(checkpoint_store=store)
    return memory, stored.fit_batches(cut(X, y, cuts, groups))


@pytest.mark.parametrize(("base", "layout"), thin(CASES, 40))
def test_bases_and_layouts(base, layout, tmp_path):
    """All have the same shards, slices, order and constituents, and forget the same."""
    groups = GROUPS if (len(base) + len(layout)) % 2 else None
    cuts = list(CUTS.values())[len(layout) % len(CUTS)]
    both = fit_both(make_case(base, layout), X, Y, cuts, tmp_path / "s", groups)
    assert_same_classifier(*both, X)
    for each in both:
        each.forget([3, 50, 51]).forget([7, 60], retrain=False).retrain()
    assert_same_classifier(*both, X)


@pytest.mark.parametrize(
    ("container", "cuts"), thin(list(product(CONTAINERS, CUTS)), 11)
)
def test_containers_and_cuts(container, cuts, tmp_path):
    """Whatever rows come in, and in whatever pieces; then a life in the store."""
    data, path = CONTAINERS[container](X), tmp_path / "store"
    case = make_case("bayes" if "csr" not in container else "sgd", "cumulative")
    memory, stored = fit_both(case, data, Y, CUTS[cuts], path, GROUPS)
    assert_same_classifier(memory, stored, data)
    for names in ("n_features_in_", "feature_names_in_"):
        assert hasattr(memory, names) == hasattr(stored, names)
    more = {"X": take(data, slice(7)), "y": Y[:7], "groups": GROUPS[80:87]}
    for each in (memory, stored):
        each.forget([3, 4, 60]).partial_fit(**more)
    assert_same_classifier(memory, stored, data)
    copies = [copy.deepcopy(stored), pickle.loads(pickle.dumps(stored))]
    del stored, each
    stored = ShardedUnlearningClassifier.open(path)
    assert stored.preview_forget(5).shards == memory.preview_forget(5).shards
    stored.enqueue(groups="user-5").enqueue([70, 91]).process_queue()
    memory.forget([70, 91], groups=["user-5"])
    for each in (stored, *copies):
        assert_same_classifier(memory, each, data)
    assert stored.has_groups(["user-5", "user-6"]).tolist() == [False, True]
    assert stored.find_positions("user-6").tolist() == [6, 43, 80, 90]


@pytest.mark.thorough
@settings(max_examples=10)
@given(data=st.data())
def test_random_requests(data, tmp_path_factory):
    """Any cuts, and any stream of requests."""
    base, layout = data.draw(st.sampled_from(CASES))
    cuts = sorted(data.draw(st.lists(st.integers(0, N), max_size=9)))
    groups = data.draw(st.sampled_from([None, GROUPS]))
    path = tmp_path_factory.mktemp("folder") / "store"
    both = fit_both(make_case(base, layout), X, Y, [0, *cuts, N], path, groups)
    for _ in range(data.draw(st.integers(1, 4))):
        rows = data.draw(st.lists(st.integers(0, N - 1), min_size=1, max_size=5))
        later = data.draw(st.booleans())
        for each in both:
            each.forget(rows, retrain=not later)
    for each in both:
        each.retrain()
    assert_same_classifier(*both, X)


def test_encrypted(tmp_path):
    """Rows are nowhere on disk in the clear, not even while they come."""
    store = DirectoryStore(tmp_path / "s", encrypt=True, key_file=tmp_path / "keys")
    marker, seen = X[0, 0].tobytes(), []

    def watch():
        yield from cut(X, Y, CUTS["even"])
        files = list((tmp_path / "s").iterdir())
        seen.extend(marker in file.read_bytes() for file in files)

    memory = make_case("bayes", "default").fit(X, Y)
    stored = make_case("bayes", "default", checkpoint_store=store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skunlearn.sharding._batches.spill._MAX_WAITING", 1)
        stored.fit_batches(watch())
    assert len(seen) > 4
    assert not any(seen)
    assert_same_classifier(memory, stored, X)


@pytest.mark.thorough
def test_many_small_files(tmp_path, monkeypatch):
    """How often rows are appended to files, and read together, does not matter."""
    monkeypatch.setattr("skunlearn.sharding._batches.spill._MAX_WAITING", 1)
    monkeypatch.setattr("skunlearn.sharding._batches.fitting._MAX_IN_MEMORY", 1)
    for name in ("csr", "pandas", "polars"):
        data = CONTAINERS[name](X)
        both = fit_both(
            make_case("sgd", "all"), data, Y, CUTS["uneven"], tmp_path / name, GROUPS
        )
        assert_same_classifier(*both, data)


def test_texts_and_selection(tmp_path):
    """Columns of text reach the base as they do in memory; so do chosen rows."""
    base = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(sparse_output=False, handle_unknown="ignore"), ["t"]),
            remainder="passthrough",
        ),
        GaussianNB(),
    )
    data = make_text(X)
    case = ShardedUnlearningClassifier(base, n_shards=3, random_state=0)
    both = fit_both(case, data, Y.astype(object), CUTS["uneven"], tmp_path / "a")
    for each in both:
        each.forget([2, 40])
    assert_same_classifier(*both, data)
    case = make_case("bayes", "cumulative", selection=0.5)
    both = fit_both(case, X, Y, CUTS["uneven"], tmp_path / "b")
    for each in both:
        each.forget([2, 40])
    assert_same_classifier(*both, X)


def test_labels_of_another_byte_order(tmp_path):
    """They stay what they are, however many batches come."""
    case, y = make_case("bayes", "default"), (Y[0] == Y).astype(">i4")
    memory = clone(case).fit(X, y)
    stored = clone(case).set_params(checkpoint_store=tmp_path / "s")
    stored.fit_batches([(X[rows], y[rows]) for rows in np.split(np.arange(N), 3)])
    assert_same_classifier(memory, stored, X)


def test_forget_reads_only_its_shard(tmp_path):
    """Of the files of rows, that of the shard alone."""
    case = make_case("tree", "default", n_shards=6, checkpoint_store=tmp_path / "s")
    for data in (X, pd.DataFrame(X)):
        stored = clone(case).fit_batches(cut(data, Y, CUTS["even"]))
        blocks = stored._state.rows.data.X.blocks
        for each in blocks:
            each._is_verified = False
        stored.forget(7)
        assert sum(each._is_verified for each in blocks) == 1
        case.set_params(checkpoint_store=tmp_path / "other")


@pytest.mark.thorough
def test_on_a_cluster(tmp_path):
    """Workers read any container from the store, as this process does."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=":0") as c,
        distributed.Client(c),
    ):
        for name, make in CONTAINERS.items():
            for layout in ("class_or_rest", "class_slices"):
                case = make_case("logistic", layout)
                data, path = make(X), tmp_path / name / layout
                path.parent.mkdir(exist_ok=True)
                with parallel_config(backend="dask"):
                    stored = clone(case).set_params(checkpoint_store=path)
                    stored.fit_batches(cut(data, Y, CUTS["uneven"])).forget([3, 4])
                memory = case.fit(data, Y).forget([3, 4])
                assert_same_classifier(memory, stored, data)


def test_rows_are_on_disk_once(tmp_path, monkeypatch):
    """While they come, when they are in their files, and afterwards."""
    data = np.random.default_rng(0).normal(size=(20_000, 50))
    y, sizes, write = data[:, 0] > 0, [], Blobs.write

    def count(*arguments):
        blob = write(*arguments)
        files = list((tmp_path / "s").iterdir())
        sizes.append(sum(f.stat().st_size for f in files if f.exists()))
        return blob

    monkeypatch.setattr(Blobs, "write", count)
    monkeypatch.setattr("skunlearn.sharding._batches.spill._MAX_WAITING", 1)
    monkeypatch.setattr("skunlearn.sharding._batches.fitting._MAX_IN_MEMORY", 1)
    monkeypatch.setattr("skunlearn.checkpoints._files._N_THREADS", 1)
    case = make_case("bayes", "default", checkpoint_store=tmp_path / "s", n_shards=40)
    case.fit_batches(cut(data, y, range(0, 20_001, 2000)))
    assert len(sizes) > 80
    assert data.nbytes < sizes[-1] <= max(sizes) < 1.1 * data.nbytes

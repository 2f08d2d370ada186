"""Fits and requests on the workers of a dask cluster, which are real processes."""

import contextlib
import os
import pickle
import signal
import threading
import time
import warnings

import numpy as np
import pytest
from cluster_support import Counted, Fatal, Fussy, Noisy, Slow, count_fits
from distributed import Client, LocalCluster
from distributed.scheduler import KilledWorker
from joblib import parallel_config
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, SGDClassifier
from support import CASES, assert_same_classifier, make_case, make_data

from skunlearn import ShardedUnlearningClassifier
from skunlearn._runtime import cluster as cluster_module
from skunlearn.checkpoints import DirectoryStore, verify_ledger

X, Y = make_data(120)


@contextlib.contextmanager
def start(**params):
    """Start workers, and have joblib use them."""
    params = {"n_workers": 2, "threads_per_worker": 1, **params}
    with (
        LocalCluster(dashboard_address=":0", **params) as workers,
        Client(workers) as client,
        parallel_config(backend="dask"),
    ):
        yield client


@pytest.fixture(scope="module")
def running():
    """Return the client of a cluster that several tests use."""
    with start() as client:
        yield client


@pytest.fixture
def client(running):
    """Return the client of a cluster that joblib uses, with nothing counted yet."""
    running.run(count_fits)
    count_fits()
    with parallel_config(backend="dask"):
        yield running


@pytest.fixture
def sizes(monkeypatch):
    """Return a list that gets the bytes of each message to a worker."""
    sent, send = [], cluster_module.Cluster._send

    def record(self, message):
        sent.append(message.size)
        return send(self, message)

    monkeypatch.setattr(cluster_module.Cluster, "_send", record)
    return sent


def make(base=None, **params):
    """Return an unfitted classifier."""
    base = Counted() if base is None else base
    params = {"n_shards": 6, "random_state": 0, **params}
    return ShardedUnlearningClassifier(base, **params)


def make_store(folder):
    """Return an encrypted store, whose key file workers have to read too."""
    files = {"key_file": folder / "keys", "ledger_head": folder / "head"}
    return DirectoryStore(folder / "store", encrypt=True, **files)


def test_workers_train_and_the_bits_are_the_same(tmp_path):
    """In memory and in a store: each shard is trained once, and not by this process."""
    with parallel_config(n_jobs=1):
        one = make().fit(X, Y).forget([1, 2]).forget(7, retrain=False).retrain()
        one.forget([20, 30])
    count_fits()
    with start() as client:
        for store in (None, make_store(tmp_path)):
            many = make(checkpoint_store=store).fit(X, Y).forget([1, 2])
            many.forget(7, retrain=False).retrain()
            if store is None:
                many.forget([20, 30])
            else:
                many.enqueue(20).enqueue(30).process_queue()
            assert_same_classifier(one, many, X)
            records = many.forget_records_
            n_fits = 6 + sum(record.n_slices_retrained for record in records)
            assert sum(client.run(count_fits).values()) == n_fits
        assert count_fits() == 0
        asked = client.submit(pickle.loads(pickle.dumps(many)).decision_function, X)
        np.testing.assert_array_equal(asked.result(), one.decision_function(X))


def test_messages_are_limited_and_logs_do_not_show_them():
    """By number and by bytes; the function is in each of them once."""
    pack = cluster_module._pack
    assert [len(m.parts) - 1 for m in pack(print, range(7), 3)] == [3, 3, 1]
    rows = [np.ones((1000, 300)) for _ in range(4)]  # 2.4 MB each
    messages = list(pack(print, rows, 10))
    assert [len(m.parts) - 1 for m in messages] == [2, 2]
    assert str(messages[0]) == f"<2 tasks of {messages[0].size} bytes>"
    for protocol in (2, 4, 5):
        twin = pickle.loads(pickle.dumps(messages[0], protocol))
        assert list(map(bytes, twin.parts)) == messages[0].parts


@pytest.mark.thorough
@pytest.mark.parametrize(("base", "layout"), CASES)
def test_all_layouts(client, tmp_path, base, layout):
    """Fit, forget and new rows give what one process gives."""
    in_store = CASES.index((base, layout)) % 2 == 0
    one = make_case(base, layout)
    store = tmp_path / "store" if in_store else None
    many = make_case(base, layout, checkpoint_store=store)
    for each, n_jobs in ((one, 1), (many, None)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            each.set_params(n_jobs=n_jobs).fit(X[:80], Y[:80])
            each.forget(range(0, 40, 9)).partial_fit(X[80:], Y[80:])
            each.forget([3, 85])
    assert_same_classifier(one, many, X)


@pytest.mark.thorough
@pytest.mark.parametrize("in_store", [False, True])
def test_weights_and_values_for_fit_travel(client, tmp_path, in_store):
    """What else is known of rows is in the same files."""
    weight = np.linspace(0, 2, len(X))
    groups = np.arange(len(X)) // 2
    store = tmp_path / "store" if in_store else None
    one = make(SGDClassifier(), n_slices=2, n_jobs=1)
    many = clone(one).set_params(n_jobs=None, checkpoint_store=store)
    for each in (one, many):
        each.fit(X, Y, weight, groups=groups).forget(groups=[3, 40])
    assert_same_classifier(one, many, X)


@pytest.mark.thorough
def test_what_travels(client, tmp_path, sizes):
    """Without a store the rows of the shards, once; with one, where they are."""
    wide = np.random.default_rng(0).standard_normal((3000, 200))
    labels = (wide[:, 0] > 0).astype(int)
    make().fit(wide, labels)
    assert wide.nbytes < sum(sizes) < 1.1 * wide.nbytes
    sizes.clear()
    many = make(checkpoint_store=tmp_path / "store").fit(wide, labels)
    assert sum(sizes) < 6 * 10_000
    sizes.clear()
    many.forget([5])
    assert len(sizes) == 1
    assert sum(sizes) < 10_000
    many.partial_fit(wide[:10], labels[:10]).forget([6])  # in a file by then, too
    assert sizes[-1] < 10_000


@pytest.mark.thorough
def test_a_key_file_that_workers_cannot_read(client, tmp_path, sizes):
    """Their rows are sent then, with a warning that says which file it is."""
    store = make_store(tmp_path)
    one = make(n_jobs=1).fit(X, Y).forget([5])
    many = make(checkpoint_store=store).fit(X, Y)
    keys = store.key_file.rename(tmp_path / "elsewhere")
    sizes.clear()
    with pytest.warns(UserWarning, match=f"1 shards.*{store.key_file}"):
        many.forget([5])
    assert len(sizes) == 2
    keys.unlink()
    assert_same_classifier(one, many, X)


@pytest.mark.thorough
def test_batches(client, tmp_path):
    """Rows that were never in memory are read by workers, of an encrypted store too."""
    one = make(n_jobs=1).fit(X, Y).forget([5])
    many = make(checkpoint_store=make_store(tmp_path))
    many.fit_batches([(X[:70], Y[:70]), (X[70:], Y[70:])]).forget([5])
    assert_same_classifier(one, many, X)
    assert sum(client.run(count_fits).values()) == 7


@pytest.mark.thorough
def test_a_fit_that_fails_leaves_no_rows(client, tmp_path):
    """They are in the store before workers read them, and gone when fit has failed."""
    store = make_store(tmp_path)
    with pytest.raises(ValueError, match="too few rows"):
        make(Fussy(1000), checkpoint_store=store).fit(X, Y)
    assert not list(store.path.glob("*.np*"))
    many = make(checkpoint_store=store).fit(X, Y)
    assert_same_classifier(make(n_jobs=1).fit(X, Y), many, X)


@pytest.mark.thorough
def test_a_damaged_file(client, tmp_path):
    """The error is that of one process, and nothing has changed."""
    store = DirectoryStore(tmp_path / "store")
    many = make(checkpoint_store=store).fit(X, Y)
    before = many.predict(X)
    for file in store.path.glob("*.npy"):
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(OSError, match="is not as it was written"):
        many.forget([5])
    np.testing.assert_array_equal(many.predict(X), before)
    assert len(many.forgotten_indices_) == 0


@pytest.mark.thorough
@pytest.mark.parametrize("in_store", [False, True])
@pytest.mark.parametrize("method", ["fit", "forget"])
def test_a_worker_is_killed(client, tmp_path, in_store, method):
    """Its tasks are done by others: nothing is lost, and nothing is there twice."""
    mark = tmp_path / "mark"
    store = DirectoryStore(tmp_path / "store") if in_store else None
    one = make(n_shards=12, n_jobs=1).fit(X, Y).forget(range(0, 60, 5))
    if method == "forget":
        mark.touch()
    many = make(Fatal(str(mark)), n_shards=12, checkpoint_store=store).fit(X, Y)
    if method == "forget":
        mark.unlink()
    many.forget(range(0, 60, 5))
    assert mark.exists()
    for mine, other in zip(one.estimators_, many.estimators_, strict=True):
        np.testing.assert_array_equal(mine.coef_, other.coef_)
    assert len(many.forget_records_) == 1
    if in_store:
        assert verify_ledger(store)
        store.close()
        opened = ShardedUnlearningClassifier.open(store)
        np.testing.assert_array_equal(opened.predict(X), one.predict(X))
        assert len(opened.forget_records_) == 1


@pytest.mark.thorough
def test_all_workers_are_killed(client, tmp_path, monkeypatch):
    """Each by the same task: an error that says so, and nothing has changed."""
    monkeypatch.setattr(client.cluster.scheduler, "allowed_failures", 1)
    mark = tmp_path / "mark"
    mark.touch()
    store = DirectoryStore(tmp_path / "store")
    many = make(Fatal(str(mark)), checkpoint_store=store).fit(X, Y)
    before = many.predict(X)
    many._state.recipe.prototype.mark = None
    with pytest.raises(KilledWorker) as caught:
        many.forget([5])
    assert any("more memory" in note for note in caught.value.__notes__)
    np.testing.assert_array_equal(many.predict(X), before)
    assert len(many.forgotten_indices_) == 0
    assert verify_ledger(store)


@pytest.mark.thorough
@pytest.mark.parametrize("when", ["before", "during"])
def test_a_client_that_is_closed(client, when):
    """An error at once, and nothing has changed; to predict needs no cluster."""
    with Client(client.cluster) as other, parallel_config("dask", client=other):
        many = make(Slow(), n_shards=20).fit(X, Y)
        timer = threading.Timer(0.5 if when == "during" else 0, other.close)
        timer.start()
        if when == "before":
            timer.join()
        with pytest.raises(RuntimeError, match="the dask cluster") as caught:
            many.forget(range(60))
        timer.join()
        assert "changed nothing" in caught.value.__notes__[-1]
        assert len(many.forgotten_indices_) == 0
        many.predict(X)
    many.forget(range(60))
    assert len(many.forgotten_indices_) == 60


@pytest.mark.thorough
@pytest.mark.parametrize("n_workers", [0, 1])
def test_workers_that_are_gone(n_workers):
    """An error after a while, and nothing has changed."""
    many = make(Slow(), n_shards=20).fit(X, Y)
    with (
        start(n_workers=n_workers) as client,
        parallel_config("dask", wait_for_workers_timeout=2),
    ):
        timer = threading.Timer(0.5, client.cluster.scale, (0,))
        timer.start()
        with pytest.raises(RuntimeError, match="had no workers for 2 seconds"):
            many.forget(range(60))
        timer.join()
    assert len(many.forgotten_indices_) == 0


@pytest.mark.thorough
def test_an_interrupt_leaves_nothing_to_do(client):
    """Ctrl-C cancels what no worker has begun."""
    many = make(Slow(), n_shards=20)
    timer = threading.Timer(0.8, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        many.fit(X, Y)
    deadline = time.monotonic() + 5
    while any(client.processing().values()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(client.processing().values())
    assert sum(client.run(count_fits).values()) < 20


@pytest.mark.thorough
def test_errors_and_warnings_of_workers(client):
    """They are raised, or shown, as if they had come of this process."""
    with pytest.raises(ValueError, match="too few rows") as caught:
        make(Fussy(1000)).fit(X, Y)
    assert "training shard" in caught.value.__notes__[0]
    with pytest.warns(UserWarning, match="odd rows") as seen:
        make(Noisy()).fit(X, Y)
    assert len(seen) == 6
    many = make(Fussy()).fit(X, Y).forget([1, 2], retrain=False)
    many._state.recipe.prototype.least = 1000
    with pytest.warns(UserWarning, match="could not be retrained"):
        many.retrain()
    assert many.n_pending_ == 2


@pytest.mark.thorough
@pytest.mark.parametrize(
    "params",
    [
        {"n_workers": 1, "threads_per_worker": 3},
        {"n_workers": 1, "threads_per_worker": 3, "processes": False},
    ],
)
def test_workers_that_are_threads(params):
    """Several of one process, even of this one, give the same bits."""
    rng = np.random.default_rng(0)
    data = rng.standard_normal((3000, 60))
    labels = (data[:, 0] > 0).astype(int)
    one = make(LogisticRegression(), n_jobs=1).fit(data, labels).forget([1, 2])
    with start(**params):
        many = make(LogisticRegression()).fit(data, labels).forget([1, 2])
    assert_same_classifier(one, many, data)


@pytest.mark.thorough
def test_inside_of_a_task(client):
    """A fit in a worker is made there: it does not wait for other workers."""
    with parallel_config(n_jobs=1):
        one = make().fit(X, Y)
    calls = [client.submit(fit_in_worker, i, key=f"fit-{i}") for i in range(4)]
    for many, n_fits in client.gather(calls):
        assert n_fits == 6
        assert_same_classifier(one, many, X)


def fit_in_worker(_):
    """Return a classifier, fitted where joblib uses the cluster, and fits made here."""
    count_fits()
    with parallel_config(backend="dask"):
        return make().fit(X, Y), count_fits()


@pytest.mark.thorough
def test_one_job_is_this_process(client):
    """As n_jobs=1 asks for; and the cluster is used for the smallest of requests."""
    many = make(n_jobs=1).fit(X, Y)
    assert sum(client.run(count_fits).values()) == 0
    assert count_fits() == 6
    many.set_params(n_jobs=None).forget([1])
    assert sum(client.run(count_fits).values()) == 1
    assert count_fits() == 0

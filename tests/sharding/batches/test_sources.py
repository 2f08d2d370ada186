"""Parquet files, dask data frames, and data frames that include labels."""

import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from pyarrow import parquet
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.naive_bayes import GaussianNB
from support import assert_same_classifier, make_data

from skunlearn import ShardedUnlearningClassifier

X, Y = make_data(120)
ROWS = pd.DataFrame(X.astype(np.float32), columns=list("abcd")).assign(
    kind=Y, user=[f"user-{i % 31}" for i in range(120)]
)
FEATURES = ROWS[list("abcd")]


def make_classifier(store=None, base=None):
    """Return an unfitted classifier."""
    base = GaussianNB() if base is None else base
    return ShardedUnlearningClassifier(
        base, n_shards=3, random_state=0, checkpoint_store=store
    )


def check(stored, memory, X):
    """Assert that two classifiers are the same before and after a request."""
    assert_same_classifier(stored, memory, X)
    for each in (stored, memory):
        each.forget(groups="user-3")
    assert_same_classifier(stored, memory, X)


def test_folder_of_parquet(tmp_path, monkeypatch):
    """Files in the order of their names, each read in parts of its row groups."""
    monkeypatch.setattr("skunlearn.sharding._batches.sources._MAX_ROWS", 7)
    folder = tmp_path / "rows"
    (folder / "later").mkdir(parents=True)
    cuts = {"a.parquet": (0, 50), "b.parquet": (50, 50), "later/a.parquet": (50, 120)}
    for name, (start, stop) in cuts.items():
        ROWS[start:stop].to_parquet(folder / name, row_group_size=20, index=False)
    (folder / "_metadata.parquet").write_bytes(b"none of ours")
    (folder / "notes.txt").write_text("nor this")
    memory = make_classifier().fit(FEATURES, ROWS["kind"], groups=ROWS["user"])
    stored = make_classifier(tmp_path / "s").fit_parquet(
        folder, target="kind", groups="user"
    )
    check(stored, memory, FEATURES)


def test_integers_with_gaps(tmp_path):
    """A column is of one dtype in all batches: that of a file read as a whole."""
    gaps = pd.array([None, *range(119)], "Int32")
    rows = ROWS.assign(a=np.arange(120), b=gaps).drop(columns="user")
    pandas, others = tmp_path / "pandas.parquet", tmp_path / "others.parquet"
    rows.to_parquet(pandas, row_group_size=40)
    table = parquet.read_table(pandas).replace_schema_metadata()
    parquet.write_table(table, others, row_group_size=40)
    base = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2)
    for path, dtype in ((pandas, "Int32"), (others, "float64")):
        whole = pd.read_parquet(path)[list("abcd")]
        assert whole["b"].dtype == dtype
        memory = make_classifier(base=base).fit(whole, rows["kind"])
        stored = make_classifier(tmp_path / dtype, base)
        stored.fit_parquet([path], target="kind")
        assert stored._state.rows.data.like["b"].dtype == dtype
        assert_same_classifier(memory, stored, whole)


def test_files_that_do_not_fit(tmp_path):
    """Each is refused in words that name it; nothing is begun."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "hive" / "kind=ash").mkdir(parents=True)
    ROWS.to_parquet(tmp_path / "hive" / "kind=ash" / "a.parquet")
    ROWS.to_parquet(tmp_path / "a.parquet")
    ROWS.astype({"a": "f8"}).to_parquet(tmp_path / "b.parquet")
    ROWS.astype({"kind": "category"}).to_parquet(tmp_path / "c.parquet")
    for path, target, message in (
        ("empty", "kind", "holds no file whose name ends in .parquet"),
        ("nowhere", "kind", "there is no file or folder"),
        ("hive", "kind", "stand for values of a column, such as kind=ash"),
        ("a.parquet", "label", "there is no column 'label'"),
        ("c.parquet", "user", "categories, such as 'kind'"),
    ):
        with pytest.raises((ValueError, OSError), match=message):
            make_classifier(tmp_path / "s").fit_parquet(tmp_path / path, target=target)
    pair = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    with pytest.raises(ValueError, match=r"b.parquet has\na: double"):
        make_classifier(tmp_path / "s").fit_parquet(pair, target="kind")
    with pytest.raises(TypeError, match="a sequence of such names; got int"):
        make_classifier(tmp_path / "s").fit_parquet(3, target="kind")
    with pytest.raises(ValueError, match="got none"):
        make_classifier(tmp_path / "s").fit_parquet([], target="kind")


@pytest.mark.thorough
def test_dask(tmp_path):
    """Each partition is a batch; empty ones are skipped."""
    dask = pytest.importorskip("dask.dataframe")
    frame = dask.from_pandas(ROWS, npartitions=5)
    frame = frame[(frame["a"] > 0) | (frame["b"] > 0)]
    rows = frame.compute()
    memory = make_classifier().fit(
        rows[list("abcd")], rows["kind"], groups=rows["user"]
    )
    stored = make_classifier(tmp_path / "s").fit_batches(
        frame, target="kind", groups="user"
    )
    check(stored, memory, FEATURES)
    with pytest.raises(ValueError, match="pass its name as `target`"):
        make_classifier(tmp_path / "t").fit_batches(frame)


def test_frames_with_labels(tmp_path):
    """Frames of polars are split by the names of columns, too."""
    frame = pl.from_pandas(ROWS)
    memory = make_classifier().fit(
        frame[list("abcd")], frame["kind"], groups=frame["user"]
    )
    stored = make_classifier(tmp_path / "s").fit_batches(
        (frame[i : i + 50] for i in (0, 50, 100)), target="kind", groups="user"
    )
    check(stored, memory, frame[list("abcd")])


def test_missing_packages(tmp_path, monkeypatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r"skunlearn\[parquet\]"):
        make_classifier(tmp_path).fit_parquet(tmp_path, target="kind")

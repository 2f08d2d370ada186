"""Values of rows are found wherever they are, and only there."""

import io
import json
import pickle
import string
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skunlearn import InfluenceUnlearningClassifier, ShardedUnlearningClassifier
from skunlearn.metrics import find_traces
from skunlearn.metrics._traces.scan import find_patterns


def make_rows(n=120, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 4)), rng.integers(2, size=n)


def make_texts(n, seed=0):
    rng = np.random.default_rng(seed)
    letters = list(string.ascii_lowercase)
    return ["".join(rng.choice(letters, 9)) for _ in range(n)]


def dump_npy(frame):
    out = io.BytesIO()
    np.save(out, frame[["a", "b"]].to_numpy())
    return out.getvalue()


def dump_arrow(frame):
    out = pa.BufferOutputStream()
    table = pa.table(frame.to_dict("list"))  # a slice would hold the other rows too
    with pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue().to_pybytes()


def dump_joblib(frame):
    out = io.BytesIO()
    joblib.dump(frame.to_numpy(), out)
    return out.getvalue()


FORMATS = {
    "pickle": pickle.dumps,
    "old_pickle": lambda frame: pickle.dumps(frame.to_numpy().tolist(), protocol=2),
    "old_array": lambda frame: pickle.dumps(frame[["a", "b"]].to_numpy(), protocol=1),
    "old_float32": lambda frame: pickle.dumps(
        frame[["a", "b"]].to_numpy(np.float32), protocol=2
    ),
    "ints": lambda frame: pickle.dumps(frame["n"].tolist() + frame["m"].tolist()),
    "joblib": dump_joblib,
    "npy": dump_npy,
    "float32": lambda frame: frame[["a", "b"]].to_numpy().astype("f4").tobytes(),
    "arrow": dump_arrow,
    "text": lambda frame: frame.to_csv().encode(),
    "json": lambda frame: json.dumps(frame.to_dict("records")).encode(),
    "utf_16": lambda frame: frame.to_csv().encode("utf-16"),
    "array_of_text": lambda frame: frame["s"].to_numpy().astype("U").tobytes(),
}


def make_frame(n=40):
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "a": rng.normal(size=n),
            "b": rng.normal(size=n),
            "n": rng.integers(10**8, 10**9, n),
            "m": rng.integers(10**11, 10**12, n),
            "s": make_texts(n),
        }
    )


def make_search(*steps):
    grid = {"shardedunlearningclassifier__n_shards": [2]}
    return GridSearchCV(make_pipeline(*steps), grid, cv=2)


@pytest.mark.parametrize("name", FORMATS)
def test_rows_are_found_in_every_format(name):
    """Exactly those that are there: the others are not."""
    frame = make_frame()
    data = FORMATS[name](frame[:20])
    assert {trace.row for trace in find_traces(data, frame)} == set(range(20))
    as_polars = find_traces(data, pl.from_pandas(frame))
    assert as_polars == find_traces(data, frame)


@pytest.mark.parametrize("seed", range(3))
def test_scan_finds_what_a_naive_search_finds(seed):
    """Across blocks, at both ends, of any length, and patterns inside of others."""
    rng = np.random.default_rng(seed)
    data = rng.integers(4, size=2**20 + 500, dtype=np.uint8)
    starts = [0, 2**20 - 3, 2**20 - 40, 2**20, len(data) - 12, len(data) - 4, 77]
    lengths = [4, 8, 41, 17, 12, 4, 24]
    patterns = [data[i : i + n].tobytes() for i, n in zip(starts, lengths, strict=True)]
    patterns += [patterns[-1][2:20], b"\x05absent", bytes(9)]
    found = {k: set() for k in range(len(patterns))}
    for k, where in find_patterns(data, patterns):
        found[k].update(where.tolist())
    raw = data.tobytes()
    for k, pattern in enumerate(patterns):
        first = raw.find(pattern)
        assert (first in found[k]) or (first == -1 and not found[k])
        assert all(raw.startswith(pattern, where) for where in found[k])
        assert k >= len(starts) or len(pattern) < 12 or starts[k] in found[k]
    assert list(find_patterns(data[:0], patterns)) == []
    assert list(find_patterns(data, [])) == []


KEEPERS = {
    "neighbours": KNeighborsClassifier(),
    "support_vectors": SVC(),
    "pipeline": make_pipeline(StandardScaler(with_mean=False, with_std=False), SVC()),
}


@pytest.mark.parametrize("name", KEEPERS)
def test_models_that_keep_rows(name):
    """Each trace says in which attribute it is."""
    X, y = make_rows()
    traces = find_traces(KEEPERS[name].fit(X, y), X[:60])
    assert len({trace.row for trace in traces}) > 40
    assert all("." in trace.location for trace in traces)
    assert find_traces(KEEPERS[name].fit(X[60:], y[60:]), X[:60]) == []


@pytest.mark.parametrize(
    "model", [LogisticRegression(), DecisionTreeClassifier()], ids=["linear", "tree"]
)
def test_models_that_keep_none(model):
    X, y = make_rows()
    assert find_traces(model.fit(X, y), X) == []


def test_thresholds_of_boosting_are_values():
    """Known to leak, value by value."""
    X, y = make_rows(300)
    boosting = HistGradientBoostingClassifier(max_iter=2).fit(X, y)
    assert len(find_traces(boosting, X[:20])) > 40


@pytest.mark.parametrize(
    "classifier",
    [
        ShardedUnlearningClassifier(KNeighborsClassifier(), n_shards=3, random_state=0),
        InfluenceUnlearningClassifier(method="newton", random_state=0),
    ],
    ids=["sharded", "influence"],
)
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, pd.DataFrame])
def test_our_classifiers_keep_what_is_retained_only(classifier, kind):
    """A value that a retained row has too is no trace."""
    X, y = make_rows()
    X[7, 1] = X[9, 1]
    rows = kind(X)
    classifier = clone(classifier).fit(rows, y)
    take = rows.iloc if hasattr(rows, "iloc") else rows
    before = find_traces(pickle.dumps(classifier), take[[7]])
    assert {trace.column for trace in before} == {*range(4)}
    assert find_traces(classifier, take[[7]]) == []  # all of it is retained
    classifier.forget(7)
    assert find_traces(classifier, take[[7]]) == []
    data = pickle.dumps(classifier)
    assert (
        find_traces(data, take[[7]], X_retained=take[classifier.retained_indices_])
        == []
    )
    classifier.note_ = X[7].copy()
    assert {trace.location for trace in find_traces(classifier, take[[7]])} == {
        f"{type(classifier).__name__}.note_"
    }


@pytest.mark.parametrize("wrap", [make_pipeline, make_search], ids=["end", "search"])
def test_classifiers_inside_of_others(wrap):
    """What their retained rows have too is no trace."""
    X, y = make_rows()
    X[7] = X[9]
    sharded = ShardedUnlearningClassifier(KNeighborsClassifier(), random_state=0)
    model = wrap(FunctionTransformer(), sharded).fit(X, y)
    inside = getattr(model, "best_estimator_", model)[-1]
    inside.forget(7)
    assert find_traces(model, X[[7]]) == []
    assert len(find_traces(model, X[[7]], X_retained=X[:0])) > 0


def test_files_and_directories(tmp_path):
    """A path is searched with all that is below it."""
    X, _ = make_rows()
    (tmp_path / "deep").mkdir()
    np.save(tmp_path / "deep" / "rows.npy", X[:3])
    (tmp_path / "empty").touch()
    traces = find_traces(tmp_path, X[:5])
    assert {trace.row for trace in traces} == {0, 1, 2}
    assert {trace.location for trace in traces} == {str(tmp_path / "deep" / "rows.npy")}
    assert traces == find_traces(str(tmp_path / "deep" / "rows.npy"), X[:5])
    with pytest.raises(FileNotFoundError, match="no file or directory"):
        find_traces(tmp_path / "missing", X)


def test_compressed_bytes_are_said_to_hide(tmp_path):
    """Nothing is found, and a warning tells why."""
    X, _ = make_rows()
    joblib.dump(X, tmp_path / "rows.z", compress=3)
    with pytest.warns(UserWarning, match="may be compressed"):
        assert find_traces(tmp_path / "rows.z", X) == []


def test_values_that_are_everywhere_are_no_traces():
    """Missing ones, bools, short numbers and words, and parts of longer words."""
    rows = [[None, True, 39, "no", 0.5, float("nan"), "Wilhelm", 1994.0]]
    data = b"no, 39, 0.5, Wilhelmina, 19941994, None, True"
    assert find_traces(data, rows) == []
    assert find_traces(b"Wilhelm", rows) == []  # one short value alone
    assert {trace.column for trace in find_traces(b"Wilhelm; 1994", rows)} == {6, 7}


def test_short_patterns_need_company():
    """Four bytes are found by chance in any large file."""
    X = np.array([[0.123456, 7.654321]], dtype=np.float32)
    noise = bytes(2**14)
    near, far = (
        X[0, :1].tobytes() + gap + X[0, 1:].tobytes() for gap in (bytes(8), noise)
    )
    assert find_traces(X[0, :1].tobytes(), X) == []
    assert find_traces(far, X) == []
    assert [trace.encoding for trace in find_traces(near, X)] == ["float32"] * 2


def test_traces_do_not_hold_values():
    """A report about a leak is no leak itself."""
    text = "Wilhelmina of Orange"
    traces = find_traces(text.encode(), [[text]])
    assert text not in repr(traces)
    assert len(traces) == 1


def test_a_single_row_needs_two_dimensions():
    with pytest.raises(ValueError, match="reshape"):
        find_traces(b"", np.arange(3.0))
    assert len(find_traces(b"Wilhelmina", np.array(["Wilhelmina"]))) == 1


def test_what_cannot_be_pickled_is_an_error():
    model = DecisionTreeClassifier()
    model.callback_ = lambda: None
    with pytest.raises(TypeError, match="cannot be pickled"):
        find_traces(model, [[1.2345]])


@pytest.mark.thorough
def test_random_bytes_hold_no_traces():
    """Neither of numbers nor of texts."""
    rng = np.random.default_rng(0)
    data = rng.bytes(2 * 10**7) + rng.normal(size=10**6).tobytes()
    X = rng.normal(size=(100, 10))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert find_traces(data, X) == find_traces(data, X.round(3)) == []

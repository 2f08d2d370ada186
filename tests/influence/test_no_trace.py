"""Law 7: neither the object, nor its pickle, nor a file holds a forgotten row."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from influence_cases import ESTIMATORS, METHODS, NAMES, get_vector, make_case, make_data
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skunlearn import InfluenceUnlearningClassifier

# What influence says of its single steps.
pytestmark = pytest.mark.filterwarnings("ignore:the distance to the retrained")

X, Y = make_data()
MARKER = 0.123456789012345  # a feature's value
GROUP = "user-4711-whose-name-is-known"
TEXT = "a text that is nobody else's"


def find_markers(classifier, *markers):
    """Return which of the markers, numbers or texts, are in the pickle."""
    data = pickle.dumps(classifier)
    encoded = [
        np.float64(m).tobytes() if isinstance(m, float) else m.encode() for m in markers
    ]
    wide = [b"".join(bytes([c, 0, 0, 0]) for c in e) for e in encoded]  # numpy's text
    return [e in data or w in data for e, w in zip(encoded, wide, strict=True)]


def mark(X, positions=(7, 8)):
    """Return rows with markers in some of them."""
    rows = X.copy()
    rows[list(positions), 1] = MARKER
    return rows


@pytest.mark.parametrize("convert", [np.asfortranarray, sparse.csr_array])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_rows_weights_and_groups(name, method, convert):
    """The values, the weight and the group of a row are there, and then not."""
    X, y = make_data(ESTIMATORS[name][1])
    weight = np.ones(90)
    weight[[7, 8]] = 1 + MARKER
    groups = np.array([GROUP if i in (7, 8) else f"u{i}" for i in range(90)])
    classifier = make_case(name, method=method)
    classifier.fit(convert(mark(X)), y, weight, groups=groups)
    classifier.predict(X)
    theta = get_vector(classifier).copy()
    markers = MARKER, 1 + MARKER, GROUP
    assert find_markers(classifier, *markers) == [True, True, False]
    classifier.forget(groups=GROUP)
    assert find_markers(classifier, *markers) == [False] * 3
    if (get_vector(classifier) != theta).any():  # else both were held out
        assert not any(find_markers(classifier, *map(float, theta)))


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
def test_rows_held_out(convert):
    """What the criterion is computed on is forgotten as well."""
    held = np.flatnonzero(make_case(method="puma").fit(X, Y).weights_ == 0)[:2]
    weight = np.ones(90)
    weight[held] = 1 + MARKER
    classifier = make_case(method="puma").fit(convert(mark(X, held)), Y, weight)
    assert find_markers(classifier, MARKER, 1 + MARKER) == [True, True]
    classifier.contributions()
    classifier.forget(held)
    assert find_markers(classifier, MARKER, 1 + MARKER) == [False, False]


@pytest.mark.parametrize("method", METHODS)
def test_every_attribute_is_read_before(method):
    """What was computed on the way, and is kept for later, goes too."""
    classifier = make_case(method=method).fit(mark(X), Y)
    for name in ("estimator_", "gradient_residual_", "distance_bound_", "weights_"):
        getattr(classifier, name)
    for name in ("contributions", "self_influence", "leave_one_out_loss"):
        getattr(classifier, name)()
    classifier.preview_forget([7, 8])
    classifier.forget([7, 8])
    classifier.contributions()
    assert find_markers(classifier, MARKER) == [False]


@pytest.mark.parametrize("after", ["patch", "several", "class", "refit", "one class"])
@pytest.mark.parametrize("name", ["multinomial", "balanced", "sgd_log", "svc", "ridge"])
def test_old_parameters(name, after):
    """Coefficients and intercepts that have seen the row are nowhere any more."""
    classifier = make_case(name, random_state=3).fit(mark(X), Y)
    theta = get_vector(classifier).copy()
    assert all(find_markers(classifier, *map(float, theta)))
    requests = {
        "patch": [[7, 8]],
        "several": [[7, 8], [1], [2]],
        "class": [[7, 8], Y == "cedar"],
        "refit": [range(80)],
        "one class": [[7, 8], Y != "ash"],
    }
    for request in requests[after]:
        classifier.forget(request)
    assert not any(find_markers(classifier, MARKER, *map(float, theta)))


@pytest.mark.parametrize("average", [False, True])
def test_copies_of_parameters(average):
    """SGD's averages, and the base's own attributes, have none of the old ones."""
    base = clone(ESTIMATORS["sgd_log"][0]).set_params(average=average)
    classifier = InfluenceUnlearningClassifier(base, method="newton").fit(X, Y)
    before = classifier.estimator_
    assert classifier.forget([7, 8]).estimator_ is not before
    old = pickle.dumps(classifier)
    for name, value in vars(before).items():
        if name.endswith(("coef_", "intercept_", "_coef", "_intercept")):
            values = [] if isinstance(value, bool) else np.ravel(value)
            assert not any(np.float64(v).tobytes() in old for v in values if v), name


def test_labels():
    """A label that nobody else has leaves with its rows."""
    label = "a label that is nobody else's"
    y = Y.astype(object)
    y[[7, 8]] = label
    classifier = make_case().fit(X, y)
    assert find_markers(classifier, label) == [True]
    classifier.forget([7, 8])
    assert classifier.classes_.tolist() == NAMES[:3].tolist()
    assert find_markers(classifier, label) == [False]


def test_columns_of_sparse_rows():
    """Of a CSR row neither the values nor the columns stay."""
    matrix = sparse.random_array((90, 40), density=0.2, random_state=0, format="lil")
    matrix[7] = 0
    matrix[7, [31, 33, 35]] = MARKER
    classifier = make_case(method="puma", random_state=0).fit(matrix.tocsr(), Y)
    held, slot = classifier._state.rows.data.X, classifier._state.rows.slot_of[7]
    stored = slice(held.indptr[slot], held.indptr[slot + 1])
    assert held.indices[stored].tolist() == [31, 33, 35]
    classifier.forget(7)
    assert find_markers(classifier, MARKER) == [False]
    assert not classifier._state.rows.data.X.indices[stored].any()


def make_pandas(texts, values):
    """Return a pandas frame whose index says who the rows are."""
    index = [GROUP if i == 7 else f"user-{i}" for i in range(90)]
    return pd.DataFrame({"text": texts, "value": values}, index=index)


def make_arrow(texts, values):
    """Return a pandas frame of arrow's dtypes."""
    frame = make_pandas(texts, values)
    return frame.astype({"text": "string[pyarrow]", "value": "float64[pyarrow]"})


def make_polars(texts, values):
    """Return a polars frame."""
    return pl.DataFrame({"text": texts, "value": values})


def count_letters(frame):
    """Return the lengths of texts: a transformer that learns nothing."""
    return np.array([[len(text)] for text in np.asarray(frame).ravel()], dtype=float)


@pytest.mark.parametrize("make", [make_pandas, make_arrow, make_polars])
@pytest.mark.parametrize("method", ["newton", "puma"])
def test_data_frames(make, method):
    """Of a frame only what stateless transformers made of it was kept."""
    texts = [TEXT if i == 7 else "common"[: i % 6] for i in range(90)]
    values = np.where(np.arange(90) == 7, MARKER, X[:, 0])
    columns = make_column_transformer(
        (FunctionTransformer(count_letters), ["text"]),
        (FunctionTransformer(np.sqrt), ["value"]),
    )
    frame = make(texts, values**2)
    base = make_pipeline(columns, LogisticRegression())
    classifier = InfluenceUnlearningClassifier(base, method=method, random_state=1)
    classifier.fit(frame, Y)
    classifier.predict(frame)
    root = float(np.sqrt(MARKER**2))
    assert find_markers(classifier, root, MARKER**2, TEXT) == [True, False, False]
    classifier.forget(7)
    assert find_markers(classifier, root, TEXT, GROUP) == [False] * 3
    assert find_markers(classifier, MARKER**2) == [False]


def test_no_file_holds_rows(tmp_path):
    """The cache of a pipeline is none of ours: it would keep what is forgotten."""
    steps = FunctionTransformer(np.negative), LogisticRegression()
    base = make_pipeline(*steps, memory=str(tmp_path / "cache"))
    classifier = InfluenceUnlearningClassifier(base, method="newton").fit(mark(X), Y)
    classifier.forget([7, 8])
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(np.float64(-MARKER).tobytes() in f.read_bytes() for f in files)
    assert base.memory == str(tmp_path / "cache")


@pytest.mark.parametrize("convert", [np.array, sparse.csr_array, pd.DataFrame])
def test_rows_are_not_the_users(convert):
    """What the user passed is neither kept nor overwritten, X_val included."""
    rows, others, labels, weight = convert(X), convert(X + 1), Y.copy(), np.ones(90)
    before = pickle.dumps((rows, others, labels, weight))
    for name in ("multinomial", "pipeline"):
        classifier = make_case(name, method="puma")
        classifier.fit(rows, labels, weight, X_val=others, y_val=labels)
        classifier.forget([1, 2]).forget(Y == "cedar")
        assert pickle.dumps((rows, others, labels, weight)) == before


def test_values_are_overwritten_where_they_were():
    """The array that held a row does not hold it any more, copies aside."""
    for method in METHODS:
        classifier = make_case(method=method).fit(mark(X), Y)
        held = classifier._state.rows.data.X
        assert MARKER in held
        classifier.forget([7, 8])
        assert classifier._state.rows.data.X is held
        assert MARKER not in held


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
def test_a_pickle_holds_rows_once(method, convert):
    """Nor does a copy that comes from one; and forgetting in a copy leaves no trace."""
    rng = np.random.default_rng(0)
    rows = convert(mark(np.vstack([X, rng.normal(size=(3000, 3))])))
    y = np.append(Y, NAMES[rng.integers(3, size=3000)])
    classifier = make_case(method=method).fit(rows, y)
    classifier.contributions()
    size = rows.nbytes if convert is np.asarray else 1.5 * rows.data.nbytes
    data = pickle.dumps(classifier)
    assert len(data) < 1.2 * size + 7 * 8 * len(y)
    copy = pickle.loads(data)
    assert len(pickle.dumps(copy)) < 1.2 * size + 7 * 8 * len(y)
    objective, held = copy._state.optimum.objective, copy._state.rows.data.X
    parts = [getattr(objective.X, "data", None), getattr(held, "data", None)]
    parts = [objective.X, held] if convert is np.asarray else parts
    assert np.shares_memory(*parts)
    assert find_markers(copy.forget([7, 8]), MARKER) == [False]

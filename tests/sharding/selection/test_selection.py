"""Representative selection: a pure function of the rows, bit for bit."""

import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    Normalizer,
    OneHotEncoder,
    StandardScaler,
)

from skunlearn import RepresentativeSelection
from skunlearn._data.hashing import hash_positions
from skunlearn.exceptions import UnsupportedEstimatorError
from skunlearn.sharding._selection import greedy as _greedy
from skunlearn.sharding._selection.greedy import NOISE, select_rows
from skunlearn.sharding._selection.pools import Pools, count_in_pools, count_picks, deal
from skunlearn.sharding._selection.representative import (
    check_selection,
    compute_features,
)


def pick(features, hashes, n_picks, before=None, length_scale=1.0):
    """Select with nothing given by default."""
    before = features[:0] if before is None else before
    return select_rows(features, hashes, n_picks, before, length_scale=length_scale)


def pick_from_pools(quotas, features, hashes, before, length_scale=1.0):
    """Select from pools; rows to choose from and rows given come with hashes."""
    return Pools(tuple(quotas)).select(
        features, hashes, *before, length_scale=length_scale
    )


def without(index, *of_rows):
    """Return arrays without the rows at the given indices."""
    return [np.delete(array, index, axis=0) for array in of_rows]


def make_rows(n, d, seed=0):
    """Return features in four clusters, and hashes."""
    rng = np.random.default_rng(seed)
    centres = 3 * rng.normal(size=(4, d))
    features = centres[rng.integers(4, size=n)] + rng.normal(size=(n, d))
    return features, hash_positions(np.arange(n), seed)


@st.composite
def problems(draw):
    """Draw candidates, with duplicates and exact ties, picks, and rows given."""
    d = draw(st.sampled_from([1, 2, 3, 17]))
    n, n_given = draw(st.integers(0, 40)), draw(st.integers(0, 6))
    seed = draw(st.integers(0, 1000))
    rng = np.random.default_rng(seed)
    kind = draw(st.sampled_from(["integers", "normal", "duplicated"]))
    if kind == "integers":
        features = rng.integers(-2, 3, size=(n + n_given, d)).astype(np.float64)
    else:
        features = rng.normal(size=(n + n_given, d))
    if kind == "duplicated":
        features = features[rng.integers(0, max(n // 2, 1), size=n + n_given)]
    hashes = hash_positions(np.arange(n), seed)
    length_scale = draw(st.sampled_from([0.05, 0.7, 2.0, 100.0]))
    return features[:n], hashes, draw(st.integers(0, n + 2)), features[n:], length_scale


@pytest.fixture(params=[64, 3], ids=["eager", "lazy"])
def rounds(request, monkeypatch):
    """Make the search for active rows begin late (few rows: never), or early."""
    monkeypatch.setattr(_greedy, "_ROUND", request.param)


def check_removals(select, n, picks, given_rows, features, hashes):
    """Check what is picked when one row, each in turn, is not there."""
    for gone in range(n):
        some = without(gone, features, hashes)
        names = np.delete(np.arange(n), gone)
        again = names[select(*some, given_rows)]
        places = np.flatnonzero(picks == gone)
        if len(places) == 0:
            assert again.tolist() == picks.tolist()
            continue
        place = places[0]
        assert again[:place].tolist() == picks[:place].tolist()
        yield place, again[place:]


@pytest.mark.parametrize("size", [3, pytest.param(64, marks=pytest.mark.thorough)])
@given(problem=problems())
def test_any_row_can_go(size, problem):
    """Not picked: no change. Picked at t: the rest is picked, given those before t."""
    features, hashes, n_picks, before, scale = problem
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_greedy, "_ROUND", size)  # a search for rows in the race, or none
        n = len(features)
        picks = pick(features, hashes, n_picks, before, scale)
        assert len(set(picks.tolist())) == len(picks) == min(n, n_picks)

        def select(some, some_hashes, rows):
            return pick(some, some_hashes, n_picks, rows, scale)

        for place, again in check_removals(select, n, picks, before, features, hashes):
            rest = np.setdiff1d(np.arange(n), picks[: place + 1])
            then = np.concatenate([before, features[picks[:place]]])
            some = pick(features[rest], hashes[rest], n_picks - place, then, scale)
            assert again.tolist() == rest[some].tolist()


@given(problem=problems(), n_pools=st.integers(1, 4))
def test_any_row_can_go_from_pools(problem, n_pools):
    """The same, and pools that did not have the row go on as before."""
    features, hashes, n_picks, before, scale = problem
    n = len(features)
    given_hashes = hash_positions(np.arange(1000, 1000 + len(before)), 0)
    quotas = np.full(n_pools, 1 + n_picks // n_pools)
    pools, given_rows = deal(hashes, n_pools), (before, given_hashes)
    picks = pick_from_pools(quotas, features, hashes, given_rows, scale)
    sizes = np.bincount(pools, minlength=n_pools)
    counts = np.bincount(pools[picks], minlength=n_pools)
    assert counts.tolist() == np.minimum(sizes, quotas).tolist()

    def select(some, some_hashes, rows):
        return pick_from_pools(quotas, some, some_hashes, rows, scale)

    for place, again in check_removals(select, n, picks, given_rows, features, hashes):
        first, gone = picks[:place], picks[place]
        rest = np.setdiff1d(np.arange(n), picks[: place + 1])
        then = (
            np.concatenate([before, features[first]]),
            np.concatenate([given_hashes, hashes[first]]),
        )
        left = quotas - np.bincount(pools[first], minlength=n_pools)
        some = pick_from_pools(left, features[rest], hashes[rest], then, scale)
        assert again.tolist() == rest[some].tolist()
        others = pools[picks[place:]] != pools[gone]
        is_other = pools[again] != pools[gone]
        assert again[is_other].tolist() == picks[place:][others].tolist()


@given(problem=problems(), seed=st.integers(0, 100))
def test_storage_does_not_matter(problem, seed):
    """Neither the order of rows nor their layout in memory."""
    features, hashes, n_picks, before, scale = problem
    picks = pick(features, hashes, n_picks, before, scale)
    order = np.random.default_rng(seed).permutation(len(features))
    other = np.asfortranarray(features[order])
    again = pick(other, hashes[order], n_picks, np.asfortranarray(before), scale)
    assert order[again].tolist() == picks.tolist()


def test_many_rows_can_go(rounds):
    """Every size has its own remainders for vector instructions and chunks."""
    features, hashes = make_rows(2500, 5)
    picks = pick(features, hashes, 40)
    rng = np.random.default_rng(0)
    for n_rest in (0, 1, 7, 100, 983, 984, 985, 2459):
        rest = rng.permutation(np.setdiff1d(np.arange(2500), picks))[:n_rest]
        keep = rng.permutation(np.concatenate([picks, rest]))
        assert keep[pick(features[keep], hashes[keep], 40)].tolist() == picks.tolist()


@pytest.mark.parametrize("start", [0, 1, 63, 64, 65, 130, 199])
def test_going_on_from_given_rows(start):
    """The state after some picks depends on them alone."""
    features, hashes = make_rows(700, 4)
    picks = pick(features, hashes, 200)
    rest = np.setdiff1d(np.arange(700), picks[:start])
    then = pick(features[rest], hashes[rest], 200 - start, features[picks[:start]])
    assert rest[then].tolist() == picks[start:].tolist()


@pytest.mark.parametrize("length_scale", [0.1, 1.0, 3.0, 30.0])
@pytest.mark.parametrize("d", [1, 6])
def test_laziness_changes_nothing(d, length_scale, monkeypatch):
    """All columns are computed in time for the same choice."""
    features, hashes = make_rows(600, d)
    features[300:] = features[:300].round(1)
    lazy = pick(features, hashes, 250, length_scale=length_scale)
    monkeypatch.setattr(_greedy._Race, "_guess_floor", lambda self: 0.0)
    eager = pick(features, hashes, 250, length_scale=length_scale)
    assert lazy.tolist() == eager.tolist()


def select_naively(features, n_picks, before, length_scale):
    """Do the same by textbook linear algebra, without care for ties."""
    rows, picks = list(before), []
    for _ in range(n_picks):
        known = np.array(rows).reshape(len(rows), features.shape[1])
        kernel = rbf_kernel(np.vstack([known, features]), gamma=0.5 / length_scale**2)
        inner = kernel[: len(rows), : len(rows)] + NOISE * np.eye(len(rows))
        cross = kernel[: len(rows), len(rows) :]
        explained = (cross * np.linalg.solve(inner, cross)).sum(axis=0)
        explained[picks] = np.inf
        picks.append(int(np.argmin(explained)))
        rows.append(features[picks[-1]])
    return picks


@pytest.mark.parametrize("length_scale", [1.5, 2.5])
def test_naive_reference(length_scale):
    """The picks are those of the definition."""
    features, hashes = make_rows(150, 3)
    hashes = np.arange(150, dtype=np.uint64)
    before = make_rows(5, 3, seed=1)[0]
    expected = select_naively(features, 90, before, length_scale)
    found = pick(features, hashes, 90, before, length_scale)
    assert found.tolist() == expected


def test_more_entropy_than_at_random():
    """What it is for."""
    features, hashes = make_rows(500, 5)

    def entropy(rows):
        kernel = rbf_kernel(features[rows], gamma=0.5 / 2.0**2)
        return np.linalg.slogdet(kernel + NOISE * np.eye(len(rows)))[1]

    found = entropy(pick(features, hashes, 50, length_scale=2.0))
    pooled = Pools((13, 13, 12, 12))
    nothing = features[:0], hashes[:0]
    parts = pooled.select(features, hashes, *nothing, length_scale=2.0)
    rng = np.random.default_rng(0)
    best = max(entropy(rng.choice(500, 50, replace=False)) for _ in range(100))
    assert found > entropy(parts) > best


def test_near_duplicates_are_left_out():
    """One of each pair comes before any second one."""
    rng = np.random.default_rng(0)
    one = 10 * rng.normal(size=(50, 3))
    features = np.vstack([one, one + 1e-3 * rng.normal(size=one.shape)])
    picks = pick(features, hash_positions(np.arange(100), 0), 50)
    assert len(set((picks % 50).tolist())) == 50


def test_ties_go_to_the_smaller_hash():
    """Also where the rows are the same; then to the smaller index."""
    features = np.zeros((5, 2))
    hashes = np.array([9, 3, 7, 3, 2**63], dtype=np.uint64)
    assert pick(features, hashes, 9).tolist() == [1, 3, 2, 0, 4]


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_extreme_values(scale):
    """Nothing overflows or becomes undefined."""
    features = np.array([[1e308, 0.0], [-1e308, 0.0], [0.0, 0.0], [0.0, 1e-308]])
    picks = pick(features, np.arange(4, dtype=np.uint64), 4, length_scale=scale)
    assert sorted(picks.tolist()) == [0, 1, 2, 3]


@given(arrays(np.float64, st.integers(1, 70), elements=st.floats(0, 20)))
def test_kernel_of_a_row_does_not_depend_on_others(values):
    """The last bit of an exponential must not depend on the place in an array."""
    together = _greedy._compute_kernel(np.zeros(1), values[None, :])
    alone = [_greedy._compute_kernel(np.zeros(1), v[None, None])[0] for v in values]
    assert together.tobytes() == np.array(alone).tobytes()


@pytest.mark.parametrize(
    ("fraction", "n", "expected"),
    [
        (0.1, 30, 3),
        (0.1, 31, 4),
        (0.1 + 0.2, 10, 3),
        (1 / 3, 3, 1),
        (0.07, 100, 7),
        (1e-9, 5, 1),
        (0.5, 0, 0),
        (1.0, 7, 7),
        (1, 10**9, 10**9),
    ],
)
def test_counts(fraction, n, expected):
    """Upwards, but not for the sake of a rounding error."""
    assert count_picks(fraction, n) == expected


def test_pools_are_planned_by_counts():
    """One pool for few rows; else quotas that add up and that pools can fill."""
    assert count_in_pools(0.1, hash_positions(np.arange(8192), 0)).tolist() == [8192]
    assert count_in_pools(0.1, hash_positions(np.arange(0), 0)).tolist() == [0]
    for fraction in (0.05, 0.5, 1.0):
        hashes = hash_positions(np.arange(20_000), 0)
        sizes = count_in_pools(fraction, hashes)
        quotas = np.array(Pools.plan(fraction, sizes).quotas)
        assert quotas.sum() == 20_000 * fraction
        assert (quotas <= sizes).all()
        assert sizes.max() < 6000
        assert quotas.max() < 800


def test_select_shows_the_picks():
    """Positions, in order; deterministic, and by pools where there are many rows."""
    features, _ = make_rows(9000, 2)
    selection = RepresentativeSelection(0.01, length_scale=0.5)
    picks = selection.select(features)
    assert len(set(picks.tolist())) == 90
    np.testing.assert_array_equal(clone(selection).select(features.tolist()), picks)


@pytest.mark.parametrize(
    "make",
    [np.asarray, sparse.csr_matrix, sparse.coo_array, pd.DataFrame, pl.DataFrame],
)
def test_numbers_are_taken_as_they_are(make):
    """From every container."""
    numbers = np.array([[0.1, 0.0, 3.0], [1 / 3, 2.0, 0.0]])
    X = make(numbers) if make is not pl.DataFrame else make(numbers, ["a", "b", "c"])
    found = compute_features(RepresentativeSelection(0.5), X)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, numbers)


def test_numeric_frames():
    """Booleans and nullable columns are numbers, categories of numbers are not."""
    columns = {"a": [1, 2], "b": [True, False], "c": [0.5, 1.5]}
    expected = [[1, 1, 0.5], [2, 0, 1.5]]
    frame = pd.DataFrame(columns)
    for X in (frame, frame.convert_dtypes(), pl.DataFrame(columns)):
        found = compute_features(RepresentativeSelection(0.5), X)
        np.testing.assert_array_equal(found, expected)
    frame["c"] = frame["c"].astype("category")
    with pytest.raises(ValueError, match="has other columns: 'c'"):
        compute_features(RepresentativeSelection(0.5), frame)


@pytest.mark.parametrize(
    ("X", "names"),
    [
        (pd.DataFrame({"n": [1], "city": ["x"], "day": pd.to_datetime(["2026"])}), 2),
        (pl.DataFrame({"n": [1], "city": ["x"], "day": ["y"]}), 2),
        (np.array([[1, "x", 2.0]], dtype=object), 1),
        (np.array([["x", "y"]]), 2),
        (np.array(["some text"]), 1),
    ],
)
def test_other_columns_are_named(X, names):
    """The message says which, and what to do."""
    with pytest.raises(ValueError, match="Pass RepresentativeSelection a") as caught:
        compute_features(RepresentativeSelection(0.5), X)
    found = re.search("other columns: ([^.]*)[.]", str(caught.value))[1].split(", ")
    assert len(found) == names


def test_missing_values_are_refused():
    """With or without a transformer, and by name."""
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [np.nan, 1.0]})
    selection = RepresentativeSelection(0.5)
    with pytest.raises(ValueError, match="missing or infinite values in columns 'b'"):
        compute_features(selection, frame)
    with pytest.raises(ValueError, match="in columns 1"):
        compute_features(selection, frame.to_numpy())
    selection = RepresentativeSelection(0.5, FunctionTransformer(np.square))
    with pytest.raises(ValueError, match="in columns 0, 1, 2, 3, 4 and 1 more"):
        compute_features(selection, np.eye(6) * 1e30)


def make_frozen(transformer, d=6):
    """Fit a transformer on other data and freeze it."""
    return FrozenEstimator(transformer.fit(make_rows(50, d, seed=9)[0]))


ROWWISE = [
    Normalizer(),
    FunctionTransformer(np.tanh),
    FunctionTransformer(),
    make_frozen(StandardScaler()),
    make_frozen(PCA(3)),
    make_frozen(make_pipeline(StandardScaler(), PCA(3))),
    make_pipeline(make_frozen(StandardScaler()), "passthrough", Normalizer()),
    FeatureUnion([("a", Normalizer()), ("b", "passthrough"), ("c", "drop")]),
    ColumnTransformer([("a", Normalizer(), [0, 1])], remainder="passthrough"),
    ColumnTransformer([("a", "drop", [0]), ("b", make_frozen(PCA(2), 2), slice(1, 3))]),
]


@pytest.mark.parametrize("transformer", ROWWISE, ids=lambda t: type(t).__name__)
def test_features_do_not_depend_on_other_rows(transformer):
    """Not in a bit, whatever is transformed together."""
    selection = check_selection(RepresentativeSelection(0.5, transformer))
    X, _ = make_rows(700, 6)
    features = compute_features(selection, X)
    rng = np.random.default_rng(0)
    for n in (1, 3, 17, 255, 256, 257, 699):
        rows = rng.permutation(700)[:n]
        assert (
            compute_features(selection, X[rows]).tobytes() == features[rows].tobytes()
        )
    assert len(compute_features(selection, X[:0])) == 0


def test_text_and_categories():
    """Frames become numbers by hashing, with constants, or frozen."""
    frame = pd.DataFrame(
        {"text": ["a b", "b c", "a b"], "city": ["x", "y", "x"], "age": [20, 40, 20]}
    )
    encoder = FrozenEstimator(OneHotEncoder().fit(frame[["city"]]))
    transformer = ColumnTransformer(
        [
            ("text", HashingVectorizer(n_features=8), "text"),
            ("city", encoder, ["city"]),
            ("age", FunctionTransformer(np.log1p), make_column_selector("age")),
        ]
    )
    selection = RepresentativeSelection(0.6, transformer)
    features = compute_features(selection, frame)
    assert features.shape == (3, 11)
    assert selection.select(frame).tolist() == [0, 1]


SEES_ROWS = [
    (StandardScaler(), "transformer of"),
    (PCA(2), "PCA"),
    (
        make_pipeline(Normalizer(), StandardScaler()),
        "transformer['standardscaler']",
    ),
    (FeatureUnion([("x", StandardScaler())]), "transformer['x']"),
    (ColumnTransformer([("x", OneHotEncoder(), [0])]), "transformer['x']"),
    (ColumnTransformer([("x", "drop", [0])], remainder=PCA()), "remainder"),
    (ColumnTransformer([("x", "drop", lambda X: [0])]), "chooses columns"),
    (make_pipeline(make_pipeline(PCA())), "transformer['pipeline']['pca']"),
    (make_pipeline(Normalizer(), memory="rows"), "memory"),
]


@pytest.mark.parametrize(("transformer", "name"), SEES_ROWS)
def test_transformers_that_are_fitted_are_refused(transformer, name):
    """The message names the step, says why, and what would do."""
    with pytest.raises(UnsupportedEstimatorError, match=re.escape(name)) as caught:
        check_selection(RepresentativeSelection(0.5, transformer))
    assert "could depend on a forgotten row" in str(caught.value)
    assert "FrozenEstimator" in str(caught.value)


def centre(X):
    """Subtract what the rows have in common."""
    return X - X.mean(axis=0)


def encode(X):
    """Make a column for each value that occurs."""
    values, codes = np.unique(X[:, 0].round(), return_inverse=True)
    return np.eye(len(values))[codes]


@pytest.mark.parametrize("function", [centre, encode])
def test_functions_that_mix_rows_are_refused(function):
    """As far as a row by itself can tell."""
    selection = RepresentativeSelection(0.5, FunctionTransformer(function))
    with pytest.raises(
        UnsupportedEstimatorError, match="depend on the other rows of X"
    ):
        compute_features(selection, make_rows(30, 3)[0])


def test_an_unfitted_frozen_transformer_is_refused():
    """By scikit-learn's own message."""
    selection = RepresentativeSelection(0.5, FrozenEstimator(StandardScaler()))
    with pytest.raises(NotFittedError):
        selection.select(np.eye(3))


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"fraction": 0}, "fraction"),
        ({"fraction": 1.1}, "fraction"),
        ({"fraction": "half"}, "fraction"),
        ({"fraction": 0.5, "length_scale": 0.0}, "length_scale"),
        ({"fraction": 0.5, "length_scale": np.inf}, "length_scale"),
        ({"fraction": 0.5, "length_scale": None}, "length_scale"),
        ({"fraction": 0.5, "transformer": "scale"}, "transformer"),
    ],
)
def test_parameters_are_checked(parameters, name):
    """When they are used, as everywhere in scikit-learn."""
    selection = RepresentativeSelection(**parameters)
    with pytest.raises(ValueError, match=f"The '{name}' parameter"):
        selection.select(np.eye(3))


def test_a_number_is_short_for_a_selection():
    """And nothing else is."""
    assert check_selection(None) is None
    assert check_selection(0.3).get_params() == {
        "fraction": 0.3,
        "length_scale": 1.0,
        "transformer": None,
    }
    assert check_selection(np.float32(0.5)).fraction == 0.5
    with pytest.raises(TypeError, match="selection must be None, a float"):
        check_selection(True)
    with pytest.raises(ValueError, match="fraction"):
        check_selection(1.5)

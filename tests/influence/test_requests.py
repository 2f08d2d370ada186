"""Laws 3 and 5: what is asked for is forgotten, in any order, and nothing else."""

import json
import warnings
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from influence_cases import (
    ESTIMATORS,
    METHODS,
    NAMES,
    assert_unchanged,
    copy_of,
    fit_anew,
    fit_base,
    fit_case,
    get_vector,
    make_case,
    make_data,
    snapshot,
)
from influence_support import BASES
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skunlearn import InfluenceUnlearningClassifier
from skunlearn.exceptions import (
    ForgetIndexError,
    NothingRetainedError,
    UnlearningQualityWarning,
)

# What influence says of its single steps; that newton says nothing is a test below.
pytestmark = pytest.mark.filterwarnings("ignore:the distance to the retrained")

X, Y = make_data()
GROUPS = np.array([f"user-{i // 3}" for i in range(90)])
CONVERGENT = [name for name in ESTIMATORS if not name.startswith("sgd")]


def fit(method="newton", **params):
    """Return a fitted classifier of three classes and thirty groups."""
    return make_case(method=method, **params).fit(X, Y, groups=GROUPS)


FITTED = {method: fit(method) for method in METHODS}


# The oracle: training anew


@pytest.mark.parametrize(("as_sparse", "weighted"), [(False, False), (True, True)])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_newton_is_training_anew(name, weighted, as_sparse):
    """Whatever is forgotten, the parameters are those of a fresh fit."""
    classifier, rows, y, weight = fit_case(name, weighted=weighted, as_sparse=as_sparse)
    for request in ([3], [10, 11, 12], range(30, 90, 3)):
        with warnings.catch_warnings(action="error"):
            classifier.forget(request)
        fresh = fit_anew(classifier, rows, y, weight)
        gap = np.linalg.norm(get_vector(classifier) - get_vector(fresh))
        assert gap <= 1e-6 * max(1, np.linalg.norm(get_vector(fresh)))
        assert gap <= classifier.distance_bound_ + fresh.distance_bound_


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CONVERGENT)
def test_newton_is_scikit_learn(name, weighted):
    """The oracle that shares no code with ours agrees."""
    classifier, rows, y, weight = fit_case(name, weighted=weighted)
    base = fit_base(classifier.forget(range(0, 90, 7)), rows, y, weight)
    np.testing.assert_allclose(
        classifier.decision_function(rows), base.decision_function(rows), atol=2e-5
    )
    np.testing.assert_array_equal(classifier.classes_, base.classes_)


@pytest.mark.filterwarnings("ignore:.*cannot be bounded. solver='cg'")  # of "free"
@pytest.mark.parametrize("name", ESTIMATORS)
def test_conjugate_gradients_end_at_the_same_optimum(name):
    """Without Hessians it takes longer, and comes to the same."""
    first = fit_case(name)[0].forget(range(20))
    second = fit_case(name, solver="cg")[0].forget(range(20))
    np.testing.assert_allclose(get_vector(first), get_vector(second), atol=1e-5)


def test_single_rows_do_not_drift():
    """Rows that go one by one, until few are left, end where training anew does."""
    classifier = fit()
    order = np.random.default_rng(0).permutation(90)
    for i, position in enumerate(order[:80]):
        classifier.forget(position)
        if i % 20 == 19:
            fresh = fit_anew(classifier, X, Y)
            np.testing.assert_allclose(
                get_vector(classifier), get_vector(fresh), atol=1e-6
            )
    assert classifier.retained_indices_.tolist() == sorted(order[80:])


@pytest.mark.parametrize("name", ["multinomial", "balanced", "ridge", "svc", "sgd_log"])
@pytest.mark.parametrize("method", ["newton", "puma"])
def test_more_rows_go_than_stay(name, method):
    """Of 90 rows 12 are left, of all classes."""
    classifier, rows, y, _ = fit_case(name, method=method)
    kept = np.concatenate([np.flatnonzero(y == c)[:6] for c in np.unique(y)])[:12]
    classifier.forget(np.setdiff1d(np.arange(90), kept))
    assert classifier.retained_indices_.tolist() == sorted(kept)
    assert np.isfinite(get_vector(classifier)).all()
    if method == "newton":
        fresh = fit_anew(classifier, rows, y)
        np.testing.assert_allclose(get_vector(classifier), get_vector(fresh), atol=1e-6)


# Law 3


@pytest.mark.parametrize("name", ESTIMATORS)
def test_order_does_not_matter(name):
    """a, b and b, a and both at once end at one optimum."""
    first, second = [3, 40, 41], range(50, 60)
    a = fit_case(name)[0].forget(first).forget(second)
    b = fit_case(name)[0].forget(second).forget(first)
    both = fit_case(name)[0].forget([*first, *second])
    np.testing.assert_allclose(get_vector(a), get_vector(b), atol=1e-7)
    np.testing.assert_allclose(get_vector(a), get_vector(both), atol=1e-7)


@pytest.mark.parametrize(
    ("params", "tolerance"),
    [
        ({"n_steps": 1}, 5e-3),
        ({"n_steps": 2}, 5e-5),
        ({"method": "influence"}, 2e-2),
    ],
)
@pytest.mark.parametrize("name", ["binary", "multinomial", "ridge"])
def test_order_of_single_steps(name, params, tolerance):
    """Steps that stop early differ in order by what they leave undone."""
    ends = []
    for batches in ([[3], [40, 41]], [[40, 41], [3]], [[3, 40, 41]]):
        classifier = fit_case(name, **params)[0]
        for batch in batches:
            classifier.forget(batch)
        ends.append(get_vector(classifier))
    np.testing.assert_allclose(ends[0], ends[1], atol=tolerance)
    np.testing.assert_allclose(ends[0], ends[2], atol=tolerance)


def test_order_within_a_request():
    """A request is a set."""
    for method in METHODS:
        first, second = copy_of(FITTED[method]), copy_of(FITTED[method])
        first.forget([40, 3, 41, 3])
        second.forget([3, 40, 41])
        assert get_vector(first).tobytes() == get_vector(second).tobytes()


@settings(max_examples=25)
@given(st.lists(st.lists(st.integers(0, 89), max_size=12), max_size=4))
def test_any_stream_is_its_union(stream):
    """Streams of any requests, repeated rows included, end at the union's optimum."""
    classifier = copy_of(FITTED["newton"])
    for request in stream:
        classifier.forget(request)
    union = copy_of(FITTED["newton"]).forget([i for part in stream for i in part])
    assert classifier.retained_indices_.tolist() == union.retained_indices_.tolist()
    np.testing.assert_allclose(get_vector(classifier), get_vector(union), atol=1e-7)
    records = classifier.forget_records_
    assert sum(r.n_forgotten for r in records) == union.forgotten_indices_.size
    assert [r.n_requested for r in records] == [len(set(part)) for part in stream]


# Law 5


@pytest.mark.parametrize("method", METHODS)
def test_forgetting_twice_is_forgetting_once(method):
    """What is delivered twice is counted, and the parameters do not move."""
    classifier = copy_of(FITTED[method]).forget([3, 4, 5])
    theta, weights = get_vector(classifier).copy(), classifier.weights_
    record = classifier.forget([3, 4, 5]).forget_records_[-1]
    assert (record.n_requested, record.n_forgotten) == (3, 0)
    assert record.n_already_forgotten == 3
    assert get_vector(classifier).tobytes() == theta.tobytes()
    np.testing.assert_array_equal(classifier.weights_, weights)
    record = classifier.forget([5, 6]).forget_records_[-1]
    assert (record.n_forgotten, record.n_already_forgotten) == (1, 1)
    assert classifier.forgotten_indices_.tolist() == [3, 4, 5, 6]


GOOD_REQUESTS = {
    "integer": (7, [7]),
    "numpy integer": (np.int16(7), [7]),
    "list": ([9, 7, 9], [7, 9]),
    "tuple": ((7, 9), [7, 9]),
    "range": (range(3), [0, 1, 2]),
    "unsigned": (np.array([7, 9], dtype=np.uint8), [7, 9]),
    "objects": (np.array([7, 9], dtype=object), [7, 9]),
    "slice": (slice(80, None, 4), [80, 84, 88]),
    "slice from the end": (slice(-2, None), [88, 89]),
    "mask": (np.arange(90) == 7, [7]),
    "list of bool": ([i in (7, 9) for i in range(90)], [7, 9]),
    "series mask": (pd.Series(np.arange(90) > 87), [88, 89]),
    "series": (pd.Series([7, 9], index=[1, 2]), [7, 9]),
    "empty": ([], []),
    "empty mask": (np.zeros(90, dtype=bool), []),
}


@pytest.mark.parametrize("kind", GOOD_REQUESTS)
@pytest.mark.parametrize("method", METHODS)
def test_forms_of_a_request(kind, method):
    """All index forms mean the same positions."""
    request, expected = GOOD_REQUESTS[kind]
    classifier = copy_of(FITTED[method])
    record = classifier.preview_forget(request)
    assert classifier.forget(request) is classifier
    assert classifier.forgotten_indices_.tolist() == expected
    assert record.n_requested == record.n_forgotten == len(expected)
    retained = np.setdiff1d(np.arange(90), expected)
    np.testing.assert_array_equal(classifier.retained_indices_, retained)
    assert not classifier.weights_[expected].any()


BAD_REQUESTS = {
    "out of range": 90,
    "one of many": [1, 2, 99],
    "huge": [2**80],
    "negative": -1,
    "float": 3.0,
    "integral floats": [1.0, 2.0],
    "nan": [np.nan],
    "none among": [None, 1],
    "string": "7",
    "strings": ["7", "9"],
    "two-dimensional": [[1, 2]],
    "short mask": np.zeros(89, dtype=bool),
    "long mask": np.zeros(91, dtype=bool),
    "bool": True,
    "bool and int": [True, 2],
    "set": {1, 2},
    "dict": {1: 2},
    "generator": (i for i in range(3)),
    "complex": [1j],
    "sparse": sparse.csr_array([[1, 0]]),
    "masked": np.ma.array([1, 2], mask=[False, True]),
    "frame": pd.DataFrame({"a": [1]}),
    "slice of text": slice("a"),
}
BAD_GROUPS = {
    "unknown": "nobody",
    "one of many": ["user-1", "nobody"],
    "integer": 1,
    "none": [None],
    "two-dimensional": [["user-1"], ["user-2"]],
    "set": {"user-1"},
    "slice": slice(3),
}


@pytest.mark.parametrize("method", METHODS)
def test_bad_requests(method):
    """A bad request is an error, and then nothing has changed."""
    classifier = copy_of(FITTED[method]).forget(3)
    before = snapshot(classifier)
    bad = [{"X_idx": r} for r in BAD_REQUESTS.values()]
    bad += [{"groups": r} for r in BAD_GROUPS.values()]
    bad += [{}, {"X_idx": 5, "groups": "nobody"}, {"X_idx": 90, "groups": "user-4"}]
    for request in bad:
        for call in (classifier.forget, classifier.preview_forget):
            with pytest.raises(ForgetIndexError, match=r"X_idx|group"):
                call(**request)
    assert_unchanged(classifier, before)


def test_bad_requests_are_index_errors():
    """So that they are caught as such; and an error says that nothing has changed."""
    with pytest.raises(IndexError) as caught:
        copy_of(FITTED["newton"]).forget(90)
    assert "forget changed nothing" in "".join(caught.value.__notes__)


def test_groups_without_groups():
    """Groups can be forgotten only if there are any."""
    with pytest.raises(ForgetIndexError, match="fit was called without groups"):
        make_case().fit(X, Y).forget(groups=["user-1"])


@pytest.mark.parametrize(
    "groups", [["a"], np.ones((90, 2)), [None] * 90, [np.nan] * 90, [{}] * 90, "a" * 90]
)
def test_bad_groups_at_fit(groups):
    """Each row has one group, of a type with a value."""
    with pytest.raises((ValueError, TypeError), match="groups"):
        make_case().fit(X, Y, groups=groups)


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.forget(0),
        lambda c: c.preview_forget(0),
        lambda c: c.contributions(),
        lambda c: c.self_influence(),
        lambda c: c.leave_one_out_loss(),
        lambda c: c.predict(X),
        lambda c: c.predict_proba(X),
    ],
)
def test_before_fit(call):
    """Nothing works before fit, and the error is scikit-learn's."""
    with pytest.raises(NotFittedError):
        call(InfluenceUnlearningClassifier())
    for name in ("classes_", "weights_", "distance_bound_", "forget_records_"):
        assert not hasattr(InfluenceUnlearningClassifier(), name)


@pytest.mark.parametrize("method", METHODS)
def test_forgetting_everything(method):
    """One row must stay; what was before is still there."""
    classifier = copy_of(FITTED[method]).forget(range(30))
    before = snapshot(classifier)
    for request in (range(90), range(30, 90), np.ones(90, dtype=bool)):
        with pytest.raises(NothingRetainedError, match="no row"):
            classifier.forget(request)
        with pytest.raises(NothingRetainedError):
            classifier.preview_forget(request)
    assert_unchanged(classifier, before)


# Groups, previews, records


@pytest.mark.parametrize("method", METHODS)
def test_groups_are_their_rows(method):
    """A group is its rows, held out or not; with positions, the union is forgotten."""
    by_group = copy_of(FITTED[method]).forget([3, 40], groups=["user-1", "user-7"])
    expected = [3, 4, 5, 21, 22, 23, 40]
    by_row = copy_of(FITTED[method]).forget(expected)
    assert by_group.forgotten_indices_.tolist() == expected
    assert get_vector(by_group).tobytes() == get_vector(by_row).tobytes()
    assert by_group.forget_records_[-1].n_requested == 7
    again = by_group.forget(groups="user-1").forget_records_[-1]
    assert (again.n_forgotten, again.n_already_forgotten) == (0, 3)


def test_rows_of_a_group_are_held_out_together():
    """What is held out tells nothing of a data subject that is trained on."""
    weights = FITTED["puma"].weights_.reshape(30, 3)
    assert set(weights.sum(axis=1)) == {0, 3}


REQUESTS = {
    "one": [5],
    "many": range(10, 40),
    "class": np.flatnonzero(Y == "cedar"),
    "none": [],
    "groups": None,
}


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("method", METHODS)
def test_a_preview_tells_what_comes_and_does_nothing(method, kind):
    """The record is the same but for the seconds, twice."""
    classifier = copy_of(FITTED[method])
    groups = None if kind != "groups" else ["user-3"]
    before = snapshot(classifier)
    previews = [
        classifier.preview_forget(REQUESTS[kind], groups=groups) for _ in range(2)
    ]
    assert_unchanged(classifier, before)
    record = classifier.forget(REQUESTS[kind], groups=groups).forget_records_[-1]
    for preview in previews:
        assert replace(preview, seconds=0.0) == replace(record, seconds=0.0)
        assert preview.seconds > 0


@pytest.mark.parametrize("kind", REQUESTS)
@pytest.mark.parametrize("method", METHODS)
def test_records_are_ready_for_json(method, kind):
    """A receipt is counts and numbers: no row, no label, no group id."""
    classifier = copy_of(FITTED[method])
    groups = None if kind != "groups" else ["user-3"]
    classifier.forget(REQUESTS[kind], groups=groups)
    record = classifier.forget_records_[-1]
    text = json.dumps(asdict(record))
    assert "user-" not in text
    assert not any(name in text for name in NAMES)
    assert json.loads(text)["kind"] == "approximate"
    assert record.path in ("patch", "polish", "refit")
    n_training = np.count_nonzero(classifier.weights_)
    assert record.n_samples_full_retrain == n_training
    assert record.n_samples_retrained == n_training * (record.path == "refit")
    assert (record.shards, record.n_slices_retrained) == ((), 0)


def test_a_list_of_records_is_a_copy():
    """Nobody can forge the receipts."""
    classifier = copy_of(FITTED["newton"]).forget(1)
    classifier.forget_records_.clear()
    assert len(classifier.forget_records_) == 1


@pytest.mark.parametrize("method", METHODS)
def test_a_record_holds_what_the_classifier_says(method):
    """Residual and bound in a receipt are those that are computed."""
    classifier = copy_of(FITTED[method]).forget([5, 6])
    record = classifier.forget_records_[-1]
    assert record.distance_bound >= classifier.distance_bound_
    if record.gradient_residual is not None:
        expected = classifier.gradient_residual_
        assert record.gradient_residual == pytest.approx(expected, rel=1e-3, abs=1e-10)
    if method == "puma":
        assert 0 < record.eta <= 1
        assert 0 < record.weights_changed <= 1
        assert record.criterion_change_actual < record.criterion_change_retrained
        assert record.removal_kept >= 0.7
    else:
        assert record.eta is record.weights_changed is record.removal_kept is None


# Classes that go


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "name", ["multinomial", "balanced", "ridge", "svc", "sgd_log", "pipeline"]
)
def test_a_class_that_goes(name, method):
    """It leaves classes_, and the others are told apart as after training anew."""
    X, y = make_data(4, 160)
    classifier = make_case(name, method=method).fit(X, y)
    for n_left in (3, 2):
        classifier.forget(y == NAMES[n_left])
        np.testing.assert_array_equal(classifier.classes_, NAMES[:n_left])
        kept = np.isin(y, classifier.classes_)
        base = fit_anew(classifier, X, y)
        rivals = classifier.score(X[kept], y[kept]), base.score(X[kept], y[kept])
        assert rivals[0] >= rivals[1] - 0.005
        assert set(classifier.predict(X)) <= set(classifier.classes_)
        assert classifier.forget_records_[-1].path == "refit"
        assert len(classifier.contributions()) == len(classifier.retained_indices_)
    record = classifier.forget(range(5)).forget_records_[-1]
    assert record.distance_bound < 1 or method != "newton"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "name", ["multinomial", "ridge", "svc", "sgd_hinge", "pipeline"]
)
@pytest.mark.parametrize("solver", ["auto", "cg"])
def test_one_class_that_is_left(name, method, solver):
    """It is what is predicted; nothing else changes, methods included."""
    X, y = make_data(3)
    classifier = make_case(name, method=method, solver=solver).fit(X, y)
    methods = [m for m in ("predict_proba", "decision_function") if _has(classifier, m)]
    classifier.forget(y != "ash")
    assert classifier.classes_.tolist() == ["ash"]
    assert set(classifier.predict(X)) == {"ash"}
    for m in ("predict_proba", "decision_function"):
        assert _has(classifier, m) == (m in methods)
    np.testing.assert_array_equal(classifier.decision_function(X), np.zeros(90))
    assert classifier.distance_bound_ == classifier.gradient_residual_ == 0
    for scores in ("contributions", "self_influence", "leave_one_out_loss"):
        assert not getattr(classifier, scores)().any()
    rest = np.flatnonzero(y == "ash")
    classifier.forget(rest[:3])
    assert classifier.forgotten_indices_.size == (y != "ash").sum() + 3
    with pytest.raises(NothingRetainedError):
        classifier.forget(rest)


def _has(classifier, method):
    return hasattr(classifier, method)


@pytest.mark.parametrize("kind", [str, bool, int, "<U9", np.int8])
def test_labels_of_any_type(kind):
    """Labels come back in the type that they had."""
    X, y = make_data(2)
    y = (y == "birch").astype(kind)
    classifier = make_case("binary").fit(X, y).forget(range(7))
    answers = classifier.predict(X)
    assert answers.dtype.kind == y.dtype.kind
    assert answers.dtype.itemsize <= y.dtype.itemsize  # no wider than labels are
    assert classifier.classes_.tolist() == np.unique(y).tolist()
    assert classifier.score(X, y) > 0.6


@pytest.mark.parametrize("base", ["logistic", "svc", "sgd_log", "ridge"])
def test_weights_of_classes_that_go(base):
    """A weight for a class that is gone is no obstacle."""
    estimator = clone(BASES[base]).set_params(class_weight={"ash": 2.0, "cedar": 3.0})
    classifier = InfluenceUnlearningClassifier(estimator, method="newton").fit(X, Y)
    classifier.forget(Y == "cedar")
    fresh = fit_anew(classifier.set_params(estimator__class_weight={"ash": 2.0}), X, Y)
    np.testing.assert_allclose(get_vector(classifier), get_vector(fresh), atol=1e-7)


def test_a_class_goes_with_its_last_row():
    """Row by row, until none of the class is left."""
    classifier = copy_of(FITTED["newton"])
    for position in np.flatnonzero(Y == "cedar"):
        assert len(classifier.classes_) == 3
        classifier.forget(position)
    assert classifier.classes_.tolist() == ["ash", "birch"]


# Rows held out


def test_rows_held_out_are_forgotten_too():
    """They go from the criterion, and the parameters stay as they are."""
    classifier = copy_of(FITTED["puma"])
    held = np.flatnonzero(classifier.weights_ == 0)
    theta = get_vector(classifier).copy()
    record = classifier.forget(held[:3]).forget_records_[-1]
    assert (record.n_forgotten, record.path) == (3, "patch")
    assert get_vector(classifier).tobytes() == theta.tobytes()
    assert not np.isin(held[:3], classifier.retained_indices_).any()
    classifier.forget([held[3], *np.flatnonzero(classifier.weights_)[:2]])
    classifier.forget(held)
    with pytest.warns(UnlearningQualityWarning, match="no row is left for the crit"):
        classifier.forget(np.flatnonzero(classifier.weights_)[:2])
    with pytest.raises(ValueError, match="no row is left for the criterion"):
        classifier.contributions()


def test_rows_held_out_are_nothing_to_train_on():
    """When all others are to go, nothing is left."""
    classifier = copy_of(FITTED["puma"])
    with pytest.raises(NothingRetainedError):
        classifier.forget(np.flatnonzero(classifier.weights_))


def test_forgotten_rows_do_not_count_in_the_criterion():
    """A request for rows of both kinds is the same as for one kind after the other."""
    held = np.flatnonzero(FITTED["puma"].weights_ == 0)[:4]
    trained = np.flatnonzero(FITTED["puma"].weights_)[:4]
    at_once = copy_of(FITTED["puma"]).forget([*held, *trained])
    in_turn = copy_of(FITTED["puma"]).forget(held).forget(trained)
    assert get_vector(at_once).tobytes() == get_vector(in_turn).tobytes()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("weighted", [False, True])
def test_weights_and_positions_agree(method, weighted):
    """Forgotten rows weigh nothing, and what is minimised has these weights."""
    classifier, rows, y, weight = fit_case(method=method, weighted=weighted)
    held = np.flatnonzero(classifier.weights_ == 0)
    classifier.forget(range(20)).forget([50, 60])
    forgotten, weights = classifier.forgotten_indices_, classifier.weights_
    assert weights.shape == (90,)
    assert not weights[forgotten].any()
    assert not weights[held].any()
    union = np.union1d(forgotten, classifier.retained_indices_)
    np.testing.assert_array_equal(union, np.arange(90))
    assert ((weights >= 0) & (weights <= 4)).all()
    if method != "influence":  # which is at no optimum
        weights = weights if weight is None else weights * weight
        base = clone(BASES["logistic"]).fit(rows, y, sample_weight=weights)
        np.testing.assert_allclose(
            classifier.predict_proba(rows), base.predict_proba(rows), atol=1e-6
        )


def test_weights_cannot_be_written_to():
    """What is handed out is a copy."""
    classifier = copy_of(FITTED["newton"])
    classifier.weights_[:] = 0
    assert classifier.weights_.all()


# Parameters set between requests


def test_parameters_set_between_requests():
    """How to forget may be said anew each time, and what is wrong changes nothing."""
    classifier = copy_of(FITTED["newton"])
    for params in (
        {"method": "influence"},
        {"method": "puma", "max_reabsorption": 0.5},
        {"hessian": "original", "eta": 0.5, "max_weight": 0.5},
        {"method": "newton", "n_steps": 1, "tol": 1e-3},
        {"n_steps": "auto", "tol": 1e-10},
    ):
        classifier.set_params(**params)
        classifier.forget(len(classifier.forgotten_indices_))
    assert classifier.forgotten_indices_.tolist() == [0, 1, 2, 3, 4]
    before = snapshot(classifier)
    for wrong in ({"method": "magic"}, {"eta": -1}, {"n_steps": 0}, {"tol": "low"}):
        other = snapshot(classifier).set_params(**wrong)
        for call in (other.forget, other.preview_forget):
            with pytest.raises(ValueError, match=next(iter(wrong))):
                call(7)
        other.set_params(**classifier.get_params(deep=False))
        other.estimator = before.estimator
        np.testing.assert_array_equal(get_vector(other), get_vector(classifier))
    assert_unchanged(classifier, before)


def test_newton_after_influence_comes_to_the_optimum():
    """What a coarse step has left undone, a finer one does."""
    classifier = copy_of(FITTED["influence"]).forget(range(10))
    classifier.set_params(method="newton").forget([11])
    fresh = fit_anew(classifier, X, Y)
    np.testing.assert_allclose(get_vector(classifier), get_vector(fresh), atol=1e-6)


def test_other_parameters_wait_for_fit():
    """A fitted classifier answers as it was fitted."""
    classifier = copy_of(FITTED["newton"])
    expected = classifier.predict_proba(X)
    classifier.set_params(estimator=BASES["ridge"], validation_fraction=0.5)
    np.testing.assert_array_equal(classifier.predict_proba(X), expected)
    with pytest.warns(UserWarning, match="estimator, validation_fraction"):
        classifier.forget(3)
    assert not hasattr(classifier.fit(X, Y), "predict_proba")
    assert len(classifier.forgotten_indices_) == len(classifier.forget_records_) == 0


def test_puma_never_stands_in_the_way():
    """Classes may shrink to a row, and weights are never left in a corner."""
    X, y = make_data(3, 24, 29)
    classifier = make_case(method="puma", random_state=29)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnlearningQualityWarning)
        classifier.fit(X, y)
        for i in np.random.default_rng(29).permutation(24)[:-3]:
            classifier.forget(i)
    assert len(classifier.forgotten_indices_) == 21

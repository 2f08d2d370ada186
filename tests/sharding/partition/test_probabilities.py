"""How likely a group is to be forgotten: fixed when it comes, for all of its rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import assert_same_classifier, fit_in_layout, make_case, make_data

X, Y = make_data(90)
GROUPS = np.arange(90) % 23
PROBA = np.random.default_rng(4).random(90).round(1)

LAYOUTS = {
    "uniform": ("sgd", "cumulative", {}),
    "replicas": ("sgd", "all", {}),
    "class": ("mixture", "class_slices", {}),
    "class_or_rest": ("sgd", "class_sequence", {}),
    "distribution_aware": ("tree", "default", {"partition": "distribution_aware"}),
    "aware_slices": ("sgd", "cumulative", {"partition": "distribution_aware"}),
}


def fit(layout, stop=90, **metadata):
    """Return a classifier of the first rows."""
    base, name, params = LAYOUTS[layout]
    metadata = {"groups": GROUPS[:stop], "forget_proba": PROBA[:stop], **metadata}
    return make_case(base, name, **params).fit(X[:stop], Y[:stop], **metadata)


def add(classifier, rows, **metadata):
    """Add rows, with other probabilities than their groups may have had."""
    metadata = {"groups": GROUPS[rows], "forget_proba": PROBA[rows], **metadata}
    return classifier.partial_fit(X[rows], Y[rows], **metadata)


def assert_fresh(classifier):
    """Assert law 1, in the layout that is fixed."""
    fresh = fit_in_layout(classifier, X, Y, identities=GROUPS)
    assert_same_classifier(classifier, fresh, X)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_likeliest_row_of_a_group_goes_alone(layout):
    """The others stay where they are."""
    classifier = fit(layout)
    for group in range(5):
        rows = np.flatnonzero(group == GROUPS)
        classifier.forget(rows[PROBA[rows].argmax()])
    assert_fresh(classifier)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_of_a_group_are_equally_likely(layout):
    """As likely as the likeliest of the rows with which it came."""
    held = add(fit(layout, 60), slice(60, 90))._state.rows
    proba = held.data.forget_proba[held.slot_of]
    for group in range(23):
        expected = PROBA[:60][GROUPS[:60] == group].max()
        np.testing.assert_array_equal(proba[group == GROUPS], expected)


@pytest.mark.parametrize("layout", ["distribution_aware", "aware_slices"])
def test_later_rows_join_the_shard_of_their_group(layout):
    """Whatever is said of them, so that one request trains one shard."""
    classifier = add(fit(layout, 60), slice(60, 90))
    for group in range(23):
        assert len(classifier.preview_forget(groups=[group]).shards) == 1
    assert_fresh(classifier)


def test_a_group_that_was_forgotten_comes_anew():
    """Nothing is left of it, and what is said of it now counts."""
    classifier = fit("distribution_aware", 60).forget(groups=[3])
    rows = np.flatnonzero(GROUPS == 3)[-1:]
    add(classifier, rows, forget_proba=[0.05])
    assert classifier._state.rows.data.forget_proba[-1] == 0.05


def test_probabilities_that_come_late():
    """A group that came without any has probability 0."""
    classifier = add(fit("uniform", 60, forget_proba=None), slice(60, 90))
    assert not classifier._state.rows.data.forget_proba.any()
    other = add(fit("uniform", 60), slice(60, 90), forget_proba=None)
    same = add(fit("uniform", 60), slice(60, 90))
    assert_same_classifier(other, same, X)


def test_rows_without_weight_say_nothing():
    """Not of their groups either."""
    weight = (np.arange(90) % 3 > 0).astype(float)
    some = np.flatnonzero(weight)
    classifier = fit("uniform", sample_weight=weight)
    base, name, params = LAYOUTS["uniform"]
    other = make_case(base, name, **params).fit(
        X[some], Y[some], weight[some], groups=GROUPS[some], forget_proba=PROBA[some]
    )
    assert_same_classifier(classifier, other, X)


operations = st.lists(
    st.tuples(
        st.sampled_from(["forget", "defer", "retrain", "group", "add"]),
        st.lists(st.integers(0, 89), min_size=1, max_size=12),
    ),
    max_size=6,
)


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=10)
@given(operations=operations)
def test_streams_of_groups(layout, operations):
    """Rows and groups come and go."""
    classifier, stop = fit(layout, 50), 50
    for name, request in operations:
        if name == "retrain":
            classifier.retrain()
        elif name == "add":
            rows = slice(stop, min(stop + len(request), 90))
            if rows.start < rows.stop:
                add(classifier, rows)
                stop = rows.stop
        else:
            chosen = np.isin(GROUPS[:stop], request) if name == "group" else None
            rows = np.flatnonzero(chosen) if name == "group" else request
            rows = [row for row in rows if row < stop]
            if np.setdiff1d(classifier.retained_indices_, rows).size:
                classifier.forget(rows, retrain=name != "defer")
    classifier.retrain()
    fresh = fit_in_layout(classifier, X[:stop], Y[:stop], identities=GROUPS[:stop])
    assert_same_classifier(classifier, fresh, X)

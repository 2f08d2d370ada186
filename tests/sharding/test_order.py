"""Laws 3 and 5: neither order, nor batching, nor repetition of requests matters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import CASES, assert_same_classifier, make_case, make_data

X, Y = make_data()
requests = st.lists(st.integers(0, 59), min_size=1, max_size=25)


@pytest.mark.parametrize(("base", "layout"), CASES)
@settings(max_examples=4)
@given(first=requests, second=requests)
def test_order_and_batching(base, layout, first, second):
    """forget(a); forget(b) == forget(b); forget(a) == forget(a + b)."""
    forth = make_case(base, layout).fit(X, Y).forget(first).forget(second)
    back = make_case(base, layout).fit(X, Y).forget(second).forget(first)
    at_once = make_case(base, layout).fit(X, Y).forget(first + second)
    assert_same_classifier(forth, back, X)
    assert_same_classifier(forth, at_once, X)


@pytest.mark.parametrize(("base", "layout"), CASES)
def test_repetition(base, layout):
    """A position already forgotten is counted, and nothing else happens."""
    classifier = make_case(base, layout).fit(X, Y).forget([4, 5, 6])
    before = classifier._state.shards
    record = classifier.forget([5, 5, 6]).forget_records_[-1]
    assert (record.n_requested, record.n_forgotten) == (2, 0)
    assert record.n_already_forgotten == 2
    assert record.shards == ()
    assert record.n_samples_retrained == record.n_slices_retrained == 0
    assert all(a is b for a, b in zip(before, classifier._state.shards, strict=True))
    record = classifier.forget([6, 7]).forget_records_[-1]
    assert (record.n_requested, record.n_forgotten) == (2, 1)


def test_a_group_forgotten_twice_is_known_still():
    """Deletion queues deliver twice; that is no unknown group."""
    groups = np.arange(60) // 6
    classifier = make_case("tree", "default").fit(X, Y, groups=groups)
    classifier.forget(groups=[3]).forget(groups=[3, 4])
    record = classifier.forget_records_[-1]
    assert (record.n_requested, record.n_forgotten) == (12, 6)
    assert record.n_already_forgotten == 6
    np.testing.assert_array_equal(classifier.forgotten_indices_, np.arange(18, 30))


def test_positions_and_groups_are_united():
    """With both, what either names is forgotten."""
    groups = np.arange(60) // 6
    classifier = make_case("tree", "default").fit(X, Y, groups=groups)
    classifier.forget([0, 19], groups=3)
    expected = [0, *range(18, 24)]
    assert classifier.forgotten_indices_.tolist() == expected
    assert classifier.forget_records_[-1].n_requested == 7

"""Law 5: what is named twice is counted, and otherwise ignored."""

import numpy as np
import pytest
from support import CASES, make_case, make_data

X, Y = make_data()


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

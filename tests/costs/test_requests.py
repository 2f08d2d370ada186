"""Streams of requests: distinct positions, drawn as they should be."""

import uuid

import numpy as np
import pytest

from skunlearn.costs import simulate_requests


@pytest.mark.parametrize("batch_size", [1, 3, 40, 100, None])
def test_no_position_comes_twice(batch_size):
    """Batches have the size that was asked for, but for the last."""
    stream = simulate_requests(50, 40, batch_size=batch_size, random_state=0)
    size = min(batch_size or 40, 40)
    assert [len(batch) for batch in stream[:-1]] == [size] * (len(stream) - 1)
    positions = np.concatenate(stream)
    assert len(np.unique(positions)) == len(positions) == 40
    assert positions.min() >= 0
    assert positions.max() < 50


def test_stream_depends_on_the_seed_alone():
    """The same seed, the same stream; the batches cut it only."""
    one, other = (simulate_requests(99, 30, random_state=s) for s in (1, 2))
    batches = simulate_requests(99, 30, batch_size=7, random_state=1)
    np.testing.assert_array_equal(np.concatenate(one), np.concatenate(batches))
    assert np.concatenate(one).tolist() != np.concatenate(other).tolist()


def test_order_is_random_too():
    """With all rows drawn, the first is each of them equally often."""
    first = [simulate_requests(4, 4, random_state=s)[0][0] for s in range(2000)]
    np.testing.assert_allclose(np.bincount(first) / 2000, 0.25, atol=0.04)


def test_rows_by_probability():
    """The first request follows the probabilities; what has none never comes."""
    proba = np.array([0.0, 0.1, 0.2, 0.1])
    streams = [
        simulate_requests(4, 3, forget_proba=proba, random_state=s) for s in range(4000)
    ]
    first = np.bincount([stream[0][0] for stream in streams], minlength=4)
    np.testing.assert_allclose(first / 4000, [0, 0.25, 0.5, 0.25], atol=0.03)
    assert all(0 not in np.concatenate(stream) for stream in streams)


def test_groups_come_whole():
    """Each request is all rows of one group, with its highest probability."""
    groups = np.array(["b", "a", "b", "c", "a", "d"])
    proba = np.array([0.0, 0.3, 0.1, 0.0, 0.1, 0.0])
    stream = simulate_requests(
        6, 2, groups=groups, forget_proba=proba, batch_size=None, random_state=0
    )
    assert sorted(stream[0].tolist()) == [0, 1, 2, 4]
    requests = [
        simulate_requests(6, 1, groups=groups, forget_proba=proba, random_state=s)[0]
        for s in range(2000)
    ]
    share = np.mean([request.tolist() == [1, 4] for request in requests])
    assert share == pytest.approx(0.75, abs=0.04)


def test_large_numbers_take_no_large_arrays():
    """Without probabilities and groups the memory is that of the requests."""
    stream = simulate_requests(10**12, 3, random_state=0)
    assert len(np.unique(np.concatenate(stream))) == 3


def test_groups_are_those_of_a_classifier():
    """Of any kind and mixed; what is one group to a classifier is one here."""
    groups = [1, "1", b"1", 1.0, True, uuid.UUID(int=1)]
    stream = simulate_requests(6, 4, groups=groups, random_state=0)
    assert sorted(batch.tolist() for batch in stream) == [[0, 3, 4], [1], [2], [5]]
    with pytest.raises(ValueError, match="missing value"):
        simulate_requests(3, 1, groups=["a", None, "b"])


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"n_samples": 0}, "n_samples must be a whole number of at least 1"),
        ({"n_requests": 1.5}, "n_requests must be a whole number"),
        ({"n_requests": 6}, "more than the 5 rows"),
        ({"groups": list("aabbb"), "n_requests": 3}, "more than the 2 groups"),
        ({"forget_proba": [0, 0, 0, 0, 1]}, "more than the 1 rows"),
        ({"forget_proba": [1, 1]}, "one number for each of the 5 rows"),
        ({"forget_proba": [1, 1, 1, 1, -1]}, "none below 0"),
        ({"forget_proba": [1, 1, 1, 1, np.nan]}, "NaN"),
        ({"groups": ["a"]}, "one group id for each of the 5 rows"),
        ({"batch_size": 0}, "batch_size must be a whole number"),
        ({"batch_size": "all"}, "batch_size must be a whole number"),
    ],
)
def test_bad_input(arguments, match):
    """Messages name the parameter."""
    with pytest.raises(ValueError, match=match):
        simulate_requests(**{"n_samples": 5, "n_requests": 2, **arguments})

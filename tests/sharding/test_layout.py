"""The layout: a pure function of each row's identity, evenly spread."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from skunlearn._identities import hash_positions
from skunlearn.sharding._layout import Layout, derive_seed

keys = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize("n_replicas", [1, 2, 5, 8])
def test_shards_are_distinct_and_even(n_replicas):
    """Each row joins that many shards, all equally likely."""
    layout = Layout(key=3, n_shards=8, n_slices=1, n_replicas=n_replicas)
    shards = layout.find_shards(hash_positions(np.arange(40_000), 3))
    ordered = np.sort(shards, axis=1)
    assert (np.diff(ordered, axis=1) > 0).all()
    assert chisquare(np.bincount(shards.ravel(), minlength=8)).pvalue > 1e-3
    if n_replicas == 2:
        pairs = ordered[:, 0] * 8 + ordered[:, 1]
        _, counts = np.unique(pairs, return_counts=True)
        assert len(counts) == 28
        assert chisquare(counts).pvalue > 1e-3


def test_slices_are_even_and_independent_of_shards():
    """All cells of shards and slices are equally likely."""
    layout = Layout(key=3, n_shards=5, n_slices=4, n_replicas=1)
    hashes = hash_positions(np.arange(40_000), 3)
    cells = layout.find_shards(hashes)[:, 0] * 4 + layout.find_slices(hashes)
    assert chisquare(np.bincount(cells, minlength=20)).pvalue > 1e-3


@given(
    key=keys,
    n_shards=st.integers(1, 9),
    n_slices=st.integers(1, 5),
    rows=st.lists(st.integers(0, 500), unique=True, min_size=1),
    with_proba=st.booleans(),
)
def test_places_are_complete_and_ordered(key, n_shards, n_slices, rows, with_proba):
    """Every row is in its shards and slice, by probability and then hash."""
    n_replicas = min(2, n_shards)
    layout = Layout(key, n_shards, n_slices, n_replicas)
    hashes = hash_positions(np.array(rows), key)
    proba = np.array([row % 3 / 3 for row in rows]) if with_proba else None
    places = layout.place(hashes, proba)
    shards, slices = layout.find_shards(hashes), layout.find_slices(hashes, proba)
    assert sorted(places.order.tolist()) == list(range(len(rows)))
    for shard in range(n_shards):
        members = places.order[places.members[shard]]
        expected = sorted(
            np.flatnonzero((shards == shard).any(axis=1)),
            key=lambda i: (slices[i], 0 if proba is None else proba[i], hashes[i]),
        )
        assert members.tolist() == expected
        sizes = np.bincount(slices[members], minlength=n_slices)
        assert np.diff(places.bounds[shard]).tolist() == sizes.tolist()


def test_a_row_keeps_its_place_when_others_go():
    """The reason for it all."""
    layout = Layout(key=3, n_shards=5, n_slices=3, n_replicas=2)
    hashes = hash_positions(np.arange(1000), 3)
    keep = np.random.default_rng(0).random(1000) < 0.5
    some = layout.find_shards(hashes[keep])
    np.testing.assert_array_equal(some, layout.find_shards(hashes)[keep])
    some = layout.find_slices(hashes[keep])
    np.testing.assert_array_equal(some, layout.find_slices(hashes)[keep])


def test_slices_by_forget_proba():
    """Cut at the quantiles; ties are spread by hash; a group stays together."""
    layout = Layout(key=3, n_shards=1, n_slices=4, n_replicas=1)
    hashes = hash_positions(np.arange(4000), 3)
    proba = np.random.default_rng(0).random(4000)
    slices = layout.find_slices(hashes, proba)
    assert np.bincount(slices).tolist() == [1000] * 4
    assert (np.diff(slices[np.argsort(proba)]) >= 0).all()
    ties = layout.find_slices(hashes, np.where(np.arange(4000) < 3000, 0.0, 0.5))
    assert (ties[3000:] == 3).all()
    assert chisquare(np.bincount(ties[:3000])).pvalue > 1e-3
    constant = layout.find_slices(hashes, np.full(4000, 0.3))
    assert chisquare(np.bincount(constant)).pvalue > 1e-3
    grouped = layout.find_slices(hash_positions(np.arange(4000) // 10, 3), proba)
    assert all(len(set(rows)) == 1 for rows in grouped.reshape(400, 10))


def test_seeds_differ_by_every_step_of_the_path():
    """And are what random_state takes."""
    seeds = {
        derive_seed(root, shard, index, epoch)
        for root in (0, 1)
        for shard in range(20)
        for index in range(20)
        for epoch in range(5)
    }
    assert len(seeds) == 2 * 20 * 20 * 5
    assert all(0 <= seed < 2**31 for seed in seeds)

"""The layout: a pure function of each row's identity, evenly spread."""

import uuid
from datetime import date, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from skunlearn.sharding._layout import (
    Layout,
    _mix,
    _mix_int,
    derive_seed,
    hash_groups,
    hash_positions,
)

keys = st.integers(0, 2**64 - 1)


@given(keys, st.integers(0, 2**64 - 1))
def test_one_integer_is_mixed_as_many_are(key, value):
    """The scalar and the vector form of the permutation agree."""
    assert int(_mix(np.array([value], dtype=np.uint64))[0]) == _mix_int(value)


@given(keys)
def test_positions_never_collide(key):
    """The hash permutes integers."""
    hashes = hash_positions(np.arange(10_000), key)
    assert len(np.unique(hashes)) == 10_000


@given(keys, st.integers(-(2**63), 2**63 - 1))
def test_an_integer_group_is_the_position_of_that_number(key, value):
    """So a fit on retained rows can name their positions as groups."""
    expected = hash_positions(np.array([value]), key)
    for ids in ([value], np.array([value], dtype=object), pd.Series([value])):
        assert hash_groups(ids, key) == expected


def test_hashes_of_group_ids_are_by_value():
    """Equal ids have equal hashes, others (and other keys) have others."""
    same = [
        ([1], [1.0], [True], np.array([1], dtype=np.uint8)),
        (["1"], np.array(["1"]), pd.Series(["1"])),
        ([b"1"],),
        ([1.5], [np.float32(1.5)]),
        ([2**70], [2**70]),
        ([uuid.UUID(int=1)],),
        ([date(2026, 1, 1)],),
        ([datetime(2026, 1, 1)], pd.to_datetime(pd.Series(["2026-01-01"]))),
        ([float("inf")],),
    ]
    hashes = []
    for ids in same:
        values = {int(hash_groups(one, 5)[0]) for one in ids}
        assert len(values) == 1
        hashes += values
    assert len(set(hashes)) == len(same)
    assert hash_groups(["1"], 5) != hash_groups(["1"], 6)


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

"""Identities: equal ids have equal hashes, and no others."""

import uuid
from datetime import date, datetime

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from skunlearn._identities import (
    derive_seed,
    hash_groups,
    hash_positions,
    mix,
    mix_int,
)

keys = st.integers(0, 2**64 - 1)


@given(keys, st.integers(0, 2**64 - 1))
def test_one_integer_is_mixed_as_many_are(key, value):
    """The scalar and the vector form of the permutation agree."""
    assert int(mix(np.array([value], dtype=np.uint64))[0]) == mix_int(value)


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

"""The layout: a pure function of each row's identity, evenly spread."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from skunlearn._data.hashing import hash_positions, mix
from skunlearn.sharding._partition.base import RowTraits
from skunlearn.sharding._partition.layout import _sort_at_once
from skunlearn.sharding._partition.registry import PartitionSpec
from skunlearn.sharding._partition.thresholds import Thresholds

keys = st.integers(0, 2**64 - 1)
SETTINGS = {
    "key": 3,
    "partition": "uniform",
    "n_shards": 1,
    "n_slices": 1,
    "n_replicas": 1,
    "n_negatives": 1,
}


def make_traits(positions, *, proba=None, n_classes=1, key=3):
    """Return what is known of rows at the given positions."""
    positions = np.asarray(positions)
    hashes = hash_positions(positions, key)
    class_hashes = mix(np.arange(n_classes, dtype=np.uint64))
    return RowTraits(hashes, positions % n_classes, class_hashes, proba)


def make_layout(traits, **settings):
    """Return the layout that some rows fix."""
    return PartitionSpec(**{**SETTINGS, **settings}).fix(traits)


@pytest.mark.parametrize("n_replicas", [1, 2, 5, 8])
def test_shards_are_distinct_and_even(n_replicas):
    """Each row joins that many shards, all equally likely."""
    traits = make_traits(np.arange(40_000))
    layout = make_layout(traits, n_shards=8, n_replicas=n_replicas)
    shards = layout.partition.find_shards(traits)
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
    traits = make_traits(np.arange(40_000))
    layout = make_layout(traits, n_shards=5, n_slices=4)
    shards = layout.partition.find_shards(traits)[:, 0]
    cells = shards * 4 + layout.find_slices(traits)
    assert chisquare(np.bincount(cells, minlength=20)).pvalue > 1e-3


@given(
    key=keys,
    n_shards=st.integers(1, 9),
    n_slices=st.integers(1, 5),
    rows=st.lists(st.integers(0, 500), unique=True, min_size=1),
    with_proba=st.booleans(),
    partition=st.sampled_from(["uniform", "class"]),
    n_negatives=st.integers(0, 1),
)
def test_places_are_complete_and_ordered(
    key, n_shards, n_slices, rows, with_proba, partition, n_negatives
):
    """Every row is in its shards and slice, by probability and then hash."""
    proba = np.array([row % 3 / 3 for row in rows]) if with_proba else None
    traits = make_traits(rows, proba=proba, n_classes=3, key=key)
    layout = make_layout(
        traits,
        key=key,
        partition=partition,
        n_shards=n_shards,
        n_slices=n_slices,
        n_replicas=min(2, n_shards),
        n_negatives=n_negatives,
    )
    places = layout.place(traits)
    shards, slices = layout.partition.find_shards(traits), layout.find_slices(traits)
    assert sorted(places.order.tolist()) == list(range(len(rows)))
    for shard in range(layout.partition.count_shards(3)):
        members = places.order[places.members[shard]]
        expected = sorted(
            np.flatnonzero((shards == shard).any(axis=1)),
            key=lambda i: (slices[i], proba is not None and proba[i], traits.hashes[i]),
        )
        assert members.tolist() == expected
        sizes = np.bincount(slices[members], minlength=n_slices)
        assert np.diff(places.bounds[shard]).tolist() == sizes.tolist()


PARTITIONS = [
    {"n_replicas": 2},
    {"partition": "class", "n_negatives": 0},
    {"partition": "class", "n_negatives": 2, "n_replicas": 2},
    {"partition": "distribution_aware"},
]


@pytest.mark.parametrize("settings", PARTITIONS)
def test_a_row_keeps_its_place_when_others_go(settings):
    """The reason for it all."""
    proba = np.random.default_rng(1).random(1000).round(2)
    traits = make_traits(np.arange(1000), proba=proba, n_classes=5)
    layout = make_layout(traits, n_shards=5, n_slices=3, **settings)
    keep = np.random.default_rng(0).random(1000) < 0.5
    some = make_traits(np.flatnonzero(keep), proba=proba[keep], n_classes=5)
    for find in (layout.partition.find_shards, layout.find_slices):
        np.testing.assert_array_equal(find(some), find(traits)[keep])


def test_slices_by_forget_proba():
    """Cut at the quantiles; ties are spread by hash; a group stays together."""

    def cut(proba, ids=None):
        positions = np.arange(4000) if ids is None else ids
        traits = make_traits(positions, proba=proba)
        return make_layout(traits, n_slices=4).find_slices(traits)

    proba = np.random.default_rng(0).random(4000)
    slices = cut(proba)
    assert np.bincount(slices).tolist() == [1000] * 4
    assert (np.diff(slices[np.argsort(proba)]) >= 0).all()
    ties = cut(np.where(np.arange(4000) < 3000, 0.0, 0.5))
    assert (ties[3000:] == 3).all()
    assert chisquare(np.bincount(ties[:3000])).pvalue > 1e-3
    assert chisquare(np.bincount(cut(np.full(4000, 0.3)))).pvalue > 1e-3
    grouped = cut(np.repeat(proba[:400], 10), np.arange(4000) // 10)
    assert all(len(set(rows)) == 1 for rows in grouped.reshape(400, 10))


@given(
    values=st.lists(st.integers(0, 5), min_size=1),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=6),
)
def test_cuts_do_not_depend_on_hashes(values, sizes):
    """They are where the quantiles are, to the row that a hash may fall by."""
    values = np.array(values, dtype=float)
    thresholds = Thresholds.at_quantiles(values, np.array(sizes) / sum(sizes))
    hashes = hash_positions(np.arange(len(values)), 1)
    parts = thresholds.find(values, hashes)
    order = np.lexsort((hashes, values))
    assert (np.diff(parts[order]) >= 0).all()
    ends = np.cumsum(sizes) / sum(sizes)
    for end, value in zip(ends, thresholds.values, strict=False):
        assert (values < value).sum() <= len(values) * end + 1e-9
        assert (values <= value).sum() >= len(values) * end - 1e-9


@pytest.mark.parametrize("n_negatives", [1, 2, 4, 9])
def test_negatives_are_distinct_and_even(n_negatives):
    """A row joins its own class and others, all equally likely."""
    traits = make_traits(np.arange(40_000), n_classes=5)
    layout = make_layout(traits, partition="class", n_shards=2, n_negatives=n_negatives)
    classes = layout.partition.find_shards(traits) // 2
    assert classes.shape[1] == 1 + min(n_negatives, 4)
    assert (classes[:, 0] == traits.codes).all()
    assert (np.diff(np.sort(classes, axis=1), axis=1) > 0).all()
    counts = np.zeros((5, 5))
    np.add.at(counts, (traits.codes[:, None], classes[:, 1:]), 1)
    assert (counts.diagonal() == 0).all()
    assert chisquare(counts[~np.eye(5, dtype=bool)]).pvalue > 1e-3


def test_negatives_change_sides_only_where_they_must():
    """A class that disappears leaves its negatives to the next in their order."""
    traits = make_traits(np.arange(5000), n_classes=5)
    layout = make_layout(traits, partition="class", n_negatives=2)
    before = layout.partition.find_shards(traits)
    stay = traits.codes < 4
    rest = RowTraits(
        traits.hashes[stay], traits.codes[stay], traits.class_hashes[:4], None
    )
    after = layout.partition.find_shards(rest)
    for old, new in zip(before[stay], after, strict=True):
        assert set(old) - {4} <= set(new)


@given(
    proba=st.lists(st.sampled_from([0.0, 0.001, 0.1, 0.25, 0.5, 0.7, 1.0]), min_size=1),
    size_of_group=st.integers(1, 3),
)
def test_distribution_aware_shards(proba, size_of_group):
    """Ascending, each of them up to one expected request, and no smaller than due."""
    groups = np.arange(len(proba)) // size_of_group
    proba = np.array(proba)[groups]
    traits = make_traits(groups, proba=proba)
    layout = make_layout(traits, partition="distribution_aware")
    shards = layout.partition.find_shards(traits)[:, 0]
    assert (np.diff(shards[np.lexsort((traits.hashes, proba))]) >= 0).all()
    first = np.unique(groups, return_index=True)[1]
    expected = np.bincount(shards[first], weights=proba[first])
    assert len(expected) == layout.partition.count_shards(1)
    assert expected.max() <= 1 + 1e-6
    for shard in range(len(expected) - 1):
        following = proba[shards == shard + 1].min()
        assert expected[shard] + following > 1 - 1e-6


@pytest.mark.parametrize("n_parts", [1, 2, 3, 64, 65])
@pytest.mark.parametrize("n_bits", [64, 9])
def test_one_sort_is_that_of_parts_and_hashes(n_parts, n_bits):
    """Equal hashes, as those of a group are, stay in the order of rows."""
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**n_bits, 500, dtype=np.uint64, endpoint=False)
    parts = rng.integers(0, n_parts, 500)
    order = _sort_at_once(parts, hashes, n_parts)
    np.testing.assert_array_equal(order, np.lexsort((hashes, parts)))

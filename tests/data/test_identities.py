"""Identities: equal ids are one id in any container, and no hash leads back."""

import datetime as dt
import uuid
from collections import OrderedDict, deque
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skunlearn._data.hashing import derive_seed, hash_positions, mix, mix_int
from skunlearn._data.identities import GroupIndex, as_ids, hash_groups
from skunlearn.exceptions import ForgetIndexError

KEY = 5
keys = st.integers(0, 2**64 - 1)
words = st.integers(0, 2**64 - 1)
INSTANT = dt.datetime(2026, 1, 1, 12, 30, 15)
ZONED = INSTANT.replace(tzinfo=dt.UTC)
IN_TOKYO = ZONED.astimezone(ZoneInfo("Asia/Tokyo"))
NANOSECOND = np.array(["2026-01-01T00:00:00.000000001"], dtype="datetime64[ns]")

# On each line one id in many forms; the ids of different lines differ.
SAME = {
    "one": [
        [1],
        [1.0],
        [True],
        np.array([1], np.uint8),
        np.array([1], np.uint64),
        np.array([True]),
        [np.float32(1)],
        [np.bool_(True)],
        pd.Series([1], dtype="Int64"),
        pd.Series([1], dtype="int64[pyarrow]"),
        pd.Categorical([1]),
        pl.Series([1]),
        pl.Series([True]),
        range(1, 2),
        deque([1]),
    ],
    "text": [
        ["1"],
        np.array(["1"]),
        [np.str_("1")],
        "1",
        np.array("1"),
        pd.Series(["1"]),
        pd.Series(["1"], dtype="string[pyarrow]"),
        pd.Series(["1"], dtype="category"),
        pd.Index(["1"]),
        pl.Series(["1"]),
        pl.Series(["1"], dtype=pl.Categorical),
    ],
    "bytes": [[b"1"], np.array([b"1"]), [np.bytes_(b"1")], pl.Series([b"1"])],
    "fraction": [[1.5], [np.float32(1.5)], [np.float16(1.5)], np.array([1.5])],
    "infinity": [[float("inf")], np.array([np.inf])],
    "2**63": [[2**63], np.array([2**63], np.uint64), [np.uint64(2**63)], [2.0**63]],
    "2**64 - 1": [[2**64 - 1], np.array([2**64 - 1], np.uint64)],
    "2**63 - 1": [[2**63 - 1], np.array([2**63 - 1], np.uint64), [np.int64(2**63 - 1)]],
    "-1": [[-1], np.array([-1], np.int8), np.array([-1], object), [-1.0]],
    "huge": [[10**5000], np.array([10**5000], object)],
    "uuid": [[uuid.UUID(int=1)], uuid.UUID(int=1)],
    "text of a uuid": [[str(uuid.UUID(int=1))]],
    "lone surrogate": [["\ud800"], np.array(["\ud800"])],
    "ending in nought": [["1\0"], np.array(["1\0"], object)],
    "day": [
        [dt.date(2026, 1, 1)],
        [dt.datetime(2026, 1, 1)],
        pd.to_datetime(pd.Series(["2026-01-01"])),
        *(np.array(["2026-01-01"], f"datetime64[{u}]") for u in ["Y", "M", "D", "h"]),
        pl.Series([dt.date(2026, 1, 1)]),
    ],
    "instant": [
        [INSTANT],
        INSTANT,
        np.array([INSTANT]),
        *(
            np.array([INSTANT], f"datetime64[{unit}]")
            for unit in ["s", "ms", "us", "ns"]
        ),
        [np.datetime64(INSTANT, "ns")],
        [pd.Timestamp(INSTANT)],
        pd.Series([INSTANT], dtype="datetime64[ns]"),
        pd.DatetimeIndex([INSTANT]),
        pl.Series([INSTANT]),
        pl.Series([INSTANT], dtype=pl.Datetime("ns")),
    ],
    "instant with a zone": [
        [ZONED],
        [IN_TOKYO],
        [pd.Timestamp(IN_TOKYO)],
        pd.Series([IN_TOKYO]),
        pd.Series([IN_TOKYO]).astype("timestamp[ns, tz=UTC][pyarrow]"),
        pd.DatetimeIndex([ZONED]),
        pl.Series([ZONED]),
        pl.Series([ZONED]).dt.convert_time_zone("Asia/Tokyo"),
    ],
    "nanosecond": [
        NANOSECOND,
        [NANOSECOND[0]],
        [pd.Timestamp(NANOSECOND[0])],
        pd.Series(NANOSECOND),
        pl.Series(NANOSECOND),
    ],
    "two nanoseconds": [NANOSECOND + np.timedelta64(1, "ns")],
    "zoned nanosecond": [
        pd.Series(NANOSECOND).dt.tz_localize("UTC"),
        pd.Series(NANOSECOND).dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
    ],
    "text of a day": [["2026-01-01T00:00:00"]],
}

MISSING = {
    "none": [None, "a"],
    "nan": [np.nan, "a"],
    "float array": np.array([1.0, np.nan]),
    "NaT": [pd.NaT],
    "numpy's NaT": np.array(["NaT"], "datetime64[ns]"),
    "Int64": pd.Series([1, None], dtype="Int64"),
    "boolean": pd.Series([True, None], dtype="boolean"),
    "string": pd.Series(["a", None], dtype="string[pyarrow]"),
    "category": pd.Series(["a", None], dtype="category"),
    "NA": [pd.NA],
    "polars": pl.Series(["a", None]),
    "polars integers": pl.Series([1, None]),
    "polars zoned": pl.Series([ZONED, None]),
}

OTHERS = {
    "tuple": [("a", 1)],
    "lists": [["a"], ["b", "c"]],
    "dict": [{}],
    "object": [object()],
    "complex": [1j],
    "timedelta": [np.timedelta64(1, "s")],
    "timedeltas": np.array([1], "timedelta64[ns]"),
    "pandas timedelta": [pd.Timedelta(1)],
    "period": pd.period_range("2026-01-01", periods=2),
    "time": [dt.time(1)],
    "array": [np.array([1, 2])],
    "nested polars": pl.Series([[1], [2, 3]]),
    "record": np.zeros(2, dtype=[("a", int)]),
    "long double": [np.longdouble(0.5)],
    "bytearray": bytearray(b"ab"),
}

CONTAINERS = {
    "set": {1, 2},
    "frozenset": frozenset([1]),
    "dict": {1: 2},
    "ordered": OrderedDict(a=1),
    "keys": {1: 2}.keys(),
    "generator": (i for i in range(3)),
    "iterator": iter([1]),
    "zoned nanoseconds of polars": pl.Series(NANOSECOND).dt.replace_time_zone("UTC"),
}
if pl.__version__ >= "2":  # before, polars itself panics
    CONTAINERS["128 bits"] = pl.Series([2**100], dtype=pl.Int128)


def hash_one(groups, key=KEY):
    """Return the hash of a single id."""
    return int(hash_groups(np.atleast_1d(as_ids(groups)), key)[0])


@given(keys, words)
def test_one_integer_is_mixed_as_many_are(key, value):
    """The scalar and the vector form agree, of the permutation and of the hash."""
    assert int(mix(np.array([value], dtype=np.uint64))[0]) == mix_int(value)
    signed = np.array([value], dtype=np.uint64).view(np.int64)
    one, many = (hash_positions(signed.repeat(n), key) for n in (1, 2))
    assert hash_one(signed.astype(object), key) == one[0] == many[0] == many[1]


@given(keys)
def test_positions_hardly_ever_collide(key):
    """The hash is as good as random."""
    assert len(np.unique(hash_positions(np.arange(10_000), key))) == 10_000


def undo_shift(value, shift):
    """Return what ``value ^ (value >> shift)`` was made of."""
    result = value
    for _ in range(64 // shift):
        result = value ^ (result >> shift)
    return result


def undo_mix(value):
    """Invert the permutation, with inverses modulo 2**64."""
    for shift, multiplier in ((31, 0x94D049BB133111EB), (27, 0xBF58476D1CE4E5B9)):
        value = undo_shift(value, shift) * pow(multiplier, -1, 2**64) % 2**64
    return (undo_shift(value, 30) - 0x9E3779B97F4A7C15) % 2**64


@given(keys, st.integers(1, 2**64 - 1))
def test_a_hash_cannot_be_computed_back(key, value):
    """Undoing the mixing with the key at hand does not give the identity."""
    assert undo_mix(mix_int(value)) == value
    position = np.array([value], dtype=np.uint64).view(np.int64)
    hashed = int(hash_positions(position, key)[0])
    assert undo_mix(undo_mix(hashed) ^ mix_int(key)) ^ key != value


@given(keys, st.integers(-(2**63), 2**63 - 1))
def test_an_integer_group_is_the_position_of_that_number(key, value):
    """So a fit on retained rows can name their positions as groups."""
    expected = hash_positions(np.array([value]), key)
    for ids in ([value], np.array([value], dtype=object), pd.Series([value])):
        assert hash_groups(ids, key) == expected


@pytest.mark.parametrize("name", SAME)
def test_equal_ids_are_one(name):
    """Whatever their type, their container and its dtype."""
    assert len({hash_one(form) for form in SAME[name]}) == 1
    assert hash_one(SAME[name][0], 5) != hash_one(SAME[name][0], 6)


def test_other_ids_are_others():
    """All of them differ, alone and in one list of mixed types."""
    alone = [hash_one(forms[0]) for forms in SAME.values()]
    assert len(set(alone)) == len(SAME)
    mixed = [next(iter(np.atleast_1d(as_ids(forms[0])))) for forms in SAME.values()]
    for container in (mixed, tuple(mixed), np.fromiter(mixed, object, len(mixed))):
        assert hash_groups(container, KEY).tolist() == alone


scalars = (
    st.integers(-(2**70), 2**70)
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.uuids()
    | st.dates()
    | st.datetimes()
    | st.datetimes(
        dt.datetime(2, 1, 1), dt.datetime(9998, 1, 1), timezones=st.timezones()
    )
)


@given(st.lists(scalars, max_size=8))
def test_an_id_does_not_depend_on_its_neighbours(values):
    """Not in a list, nor in an array of objects, nor in a series."""
    alone = [hash_one([value]) for value in values]
    assert alone == [hash_one(value) for value in values]
    assert hash_groups(values, KEY).tolist() == alone
    objects = np.fromiter(values, dtype=object, count=len(values))
    assert hash_groups(objects, KEY).tolist() == alone
    assert hash_groups(pd.Series(objects, dtype=object), KEY).tolist() == alone


@given(
    st.integers(-(2**33), 2**33),  # as seconds, they have nanoseconds
    st.sampled_from(["s", "ms", "us", "ns"]),
    st.sampled_from(["s", "ms", "us", "ns"]),
)
def test_times_are_compared_at_full_precision(value, unit, other):
    """Two times have one hash exactly if they are one instant."""
    first = np.array([value], dtype=f"datetime64[{unit}]")
    second = first.astype(f"datetime64[{other}]")
    equal = bool(first.astype("datetime64[ns]") == second.astype("datetime64[ns]"))
    assert (hash_one(first) == hash_one(second)) == equal
    assert hash_one(first) != hash_one(first + np.timedelta64(1, unit))


@pytest.mark.parametrize("name", MISSING)
def test_missing_ids(name):
    """Nobody is not a group."""
    with pytest.raises(ValueError, match="groups has a missing value"):
        hash_groups(MISSING[name], KEY)


@pytest.mark.parametrize("name", OTHERS)
def test_other_objects_are_no_ids(name):
    """The message names the type that was got."""
    with pytest.raises(TypeError, match=r"groups must hold integers, .*; got \w"):
        hash_groups(np.atleast_1d(as_ids(OTHERS[name])), KEY)


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_without_order(name):
    """They are refused before anything is read from them."""
    with pytest.raises(TypeError, match=r"groups .* (list|Cast)"):
        as_ids(CONTAINERS[name])


def test_arrays_that_are_no_sequence_of_ids():
    """Two dimensions and masked elements; a mask that masks nothing is none."""
    for wide in (np.ones((2, 2)), pd.DataFrame({"a": [1]}), pl.DataFrame({"a": [1]})):
        with pytest.raises(ValueError, match="one dimension"):
            as_ids(wide)
    for masked in (np.ma.array([1, 2], mask=[False, True]), np.ma.masked):
        with pytest.raises(ValueError, match="masked"):
            as_ids(masked)
    assert hash_one(np.ma.array([1], mask=[False])) == hash_one(1)


UNKNOWN = {
    "integer": 2,
    "one of two": [0, 2],
    "huge": 10**5000,
    "text": "0",
    "wide": np.ones((1, 1)),
    "too early for UTC": dt.datetime.min.replace(tzinfo=ZoneInfo("Asia/Tokyo")),
}
BAD_REQUESTS = MISSING | OTHERS | CONTAINERS | UNKNOWN


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_bad_requests(name):
    """Each is a ForgetIndexError."""
    index = GroupIndex(hash_groups([0, 1, 0], KEY), KEY)
    with pytest.raises(ForgetIndexError):
        index.find(BAD_REQUESTS[name])


def test_requests():
    """One id, several, or none."""
    index = GroupIndex(hash_groups([0, "a", 0, 2**80], KEY), KEY)
    assert sorted(index.find(0).positions) == [0, 2]
    assert sorted(index.find(("a", 0.0)).positions) == [0, 1, 2]
    assert sorted(index.find(pd.Series(["a"], index=[3])).positions) == [1]
    assert sorted(index.find(2**80).positions) == [3]
    for nothing in ([], (), np.array([]), pd.Series([], dtype=object)):
        assert index.find(nothing).positions.tolist() == []
    with pytest.raises(ForgetIndexError, match=r"1 of 2 .* the first of them b"):
        index.find(["a", "b"])


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


def test_times_at_the_end_of_the_calendar():
    """An instant that UTC has no date for is an error that says so."""
    zone = dt.timezone(dt.timedelta(hours=1))
    early = dt.datetime.min.replace(tzinfo=zone)
    with pytest.raises(ValueError, match="outside the calendar"):
        hash_groups([early], 1)

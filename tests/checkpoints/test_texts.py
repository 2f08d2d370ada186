"""Files of frames hold their own rows: buffers of text are shared by slices of it."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.dummy import DummyClassifier
from support import thin

from skunlearn import ShardedUnlearningClassifier
from skunlearn.checkpoints._codecs import decode, encode

TEXTS = [f"mark-{i:02d}-" for i in range(24)]
Y = np.arange(24) % 2

FRAMES = {
    "str": lambda: pd.DataFrame({"t": TEXTS}),
    "polars": lambda: pl.DataFrame({"t": TEXTS}),
    "category": lambda: pd.DataFrame({"t": pd.Categorical(TEXTS)}),
    "string": lambda: pd.DataFrame({"t": pd.Series(TEXTS, dtype="string[pyarrow]")}),
    "objects": lambda: pd.DataFrame({"t": pd.Series(TEXTS, dtype=object)}),
    "labels": lambda: pd.DataFrame({"n": np.arange(24.0)}, index=TEXTS),
    "arrow": lambda: pd.DataFrame(
        {"t": pd.Series(TEXTS, dtype=pd.ArrowDtype(pa.string()))}
    ),
    "dictionary": lambda: pd.DataFrame(
        {"t": pd.Series(pa.array(TEXTS).dictionary_encode(), dtype=DICTIONARY)}
    ),
    "polars_category": lambda: pl.DataFrame(
        {"t": pl.Series(TEXTS, dtype=pl.Categorical)}
    ),
    "polars_list": lambda: pl.DataFrame({"t": [[text] for text in TEXTS]}),
}
DICTIONARY = pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))


def count_holders(blobs, data):
    """Return in how many of some files each text is."""
    return [sum(text.encode() in data[blob] for blob in blobs) for text in TEXTS]


@pytest.mark.parametrize("kind", thin(FRAMES, 2))
def test_rows_are_in_one_file_each(kind, tmp_path):
    """At fit, after forgets, and after opening: no file has a row of another shard."""
    folder = tmp_path / "store"
    classifier = ShardedUnlearningClassifier(
        DummyClassifier(), n_shards=3, random_state=0, checkpoint_store=folder
    ).fit(FRAMES[kind](), Y)

    def count():
        content = classifier._session.content
        names = [each["features"]["file"] for each in content["rows"]]
        data = {p.name: p.read_bytes() for p in folder.iterdir()}
        rows, rest = count_holders(names, data), count_holders(data, data)
        return np.array(rows), np.array(rest)

    assert count()[0].max() <= 1
    classifier.forget([3, 4, 5])
    del classifier
    classifier = ShardedUnlearningClassifier.open(folder).forget(9, retrain=False)
    rows, anywhere = count()
    assert rows.max() <= 1
    assert not anywhere[[3, 4, 5, 9]].any()


WITH_VALUES = ("category", "dictionary", "polars_category")  # of other rows, beside


@pytest.mark.parametrize("kind", [kind for kind in FRAMES if kind not in WITH_VALUES])
def test_slices(kind):
    """What is written of one has nothing of the rows beside it."""
    frame = FRAMES[kind]()
    part = frame[5:9] if isinstance(frame, pl.DataFrame) else frame.iloc[5:9]
    codec, data = encode(part)
    assert [text.encode() in data for text in TEXTS[:5] + TEXTS[9:]] == [False] * 20
    assert decode(codec, data).equals(part)


COLUMNS = {
    "arrow": (
        pd.Series(["a", None]),
        pd.Series(["a", None], dtype="string[pyarrow]"),
        pd.Series(pd.Categorical(["a", None, "c"])),
        pd.Series(pd.Categorical(["a", "b"], ["b", "a"], ordered=True)),
        pd.Series(pd.Categorical([3, 1, None])),
        pd.Series([1, None], dtype="Int64"),
        pd.Series(pd.to_datetime(["2026-01-01", None])),
        pd.Series([np.nan, -0.0], dtype=np.float32),
    ),
    "pickle": (
        pd.Series(["a", np.nan], dtype=object),
        pd.Series(["a", None], dtype="string[python]"),
        pd.Series(pd.Categorical(pd.Index(["a", "b"], dtype=object))),
        pd.Series(pd.Categorical([1, "a"])),
        pd.Series(["a", None], dtype=DICTIONARY),
        pd.Series([1j, 2]),
    ),
}


@pytest.mark.parametrize("codec", COLUMNS)
def test_columns_come_back_as_they_were(codec):
    """In Arrow's format, which runs no code, wherever that holds them unchanged."""
    for column in COLUMNS[codec]:
        frame = pd.DataFrame({"c": column})
        name, data = encode(frame)
        assert name == codec, column.dtype
        pd.testing.assert_frame_equal(decode(name, data), frame, check_exact=True)

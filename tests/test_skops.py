"""Files of skops, which restores tuples and dictionaries without their subclasses."""

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from skunlearn import InfluenceUnlearningClassifier, ShardedUnlearningClassifier

io = pytest.importorskip("skops.io")

X, Y = make_classification(200, random_state=0)
CLASSIFIERS = {
    "shards": ShardedUnlearningClassifier(DecisionTreeClassifier(), random_state=0),
    "slices": ShardedUnlearningClassifier(n_shards=2, n_slices=2, random_state=0),
    "influence": InfluenceUnlearningClassifier(LogisticRegression()),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_round_trip(name, tmp_path):
    """What was loaded answers and forgets as what was saved."""
    groups = np.array([f"user-{i // 2}" for i in range(len(Y))])
    classifier = CLASSIFIERS[name].fit(X, Y, groups=groups).forget([3])
    io.dump(classifier, tmp_path / "classifier.skops")
    types = io.get_untrusted_types(file=tmp_path / "classifier.skops")
    known = "skunlearn.", "sklearn.", "builtins.frozenset"
    assert [each for each in types if not each.startswith(known)] == []
    loaded = io.load(tmp_path / "classifier.skops", trusted=types)
    for each in (classifier, loaded):
        each.forget(groups=["user-40"]).forget(range(20, 30))
    np.testing.assert_array_equal(loaded.predict_proba(X), classifier.predict_proba(X))
    assert loaded.forget_records_[-1].n_samples_full_retrain == (
        classifier.forget_records_[-1].n_samples_full_retrain
    )

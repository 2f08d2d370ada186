"""New rows after fit: a new last slice, exact and as easy to forget as any."""

import numpy as np
import pandas as pd
import pytest
from request_streams import replay
from scipy import sparse
from support import RESUMABLE, assert_same_classifier, make_case, make_data

X, Y = make_data(90)


@pytest.mark.parametrize("base", RESUMABLE)
def test_only_shards_with_new_rows_are_trained(base):
    """And there only from the last checkpoint on."""
    classifier = make_case(base, "default", n_shards=6).fit(X[:60], Y[:60])
    before = classifier._state.shards
    classifier.partial_fit(X[60:62], Y[60:62])
    touched = {classifier.preview_forget(i).shards[0] for i in (60, 61)}
    for k, (old, new) in enumerate(zip(before, classifier._state.shards, strict=True)):
        if k in touched:
            assert new.states[:-1] == old.states
            assert new.n_slices == 2
        else:
            assert new is old
    record = classifier.forget(60).forget_records_[-1]
    assert record.n_slices_retrained <= 1


def test_positions_count_on():
    """New rows are named by where they would stand below the old ones."""
    classifier = make_case("tree", "default").fit(X[:60], Y[:60]).forget([0, 59])
    classifier.partial_fit(X[60:], Y[60:])
    assert len(classifier.retained_indices_) == 88
    classifier.forget(np.arange(90) >= 85)
    assert classifier.forgotten_indices_.tolist() == [0, 59, 85, 86, 87, 88, 89]


@pytest.mark.parametrize(
    ("base", "layout"), [("tree", "default"), ("bayes", "cumulative")]
)
def test_a_new_class(base, layout):
    """A class may come later, and go again."""
    labels = np.where(np.arange(90) >= 60, "elm", Y)
    classifier = make_case(base, layout).fit(X[:60], labels[:60])
    classifier.partial_fit(X[60:], labels[60:])
    assert "elm" in classifier.classes_
    assert_same_classifier(classifier, replay(classifier, X, labels, [0, 60, 90]), X)
    classifier.forget(labels == "elm")
    assert_same_classifier(classifier, make_case(base, layout).fit(X[:60], Y[:60]), X)


def test_first_call_is_a_fit():
    """An unfitted classifier can start with partial_fit."""
    first = make_case("sgd", "cumulative").partial_fit(X, Y, classes=np.unique(Y))
    assert_same_classifier(first, make_case("sgd", "cumulative").fit(X, Y), X)
    with pytest.raises(ValueError, match="classes"):
        make_case("sgd", "cumulative").partial_fit(X, Y, classes=["ash"])


def test_weights_groups_and_probabilities_of_new_rows():
    """All that fit takes, partial_fit takes too."""
    groups, weight = np.arange(90) // 5, np.arange(90) % 3
    classifier = make_case("tree", "replicas")
    classifier.fit(X[:60], Y[:60], np.ones(60), groups=groups[:60])
    classifier.partial_fit(
        X[60:],
        Y[60:],
        sample_weight=weight[60:],
        groups=groups[60:],
        forget_proba=np.linspace(0, 1, 30),
    )
    classifier.forget(groups=[11, 12])
    assert classifier.forgotten_indices_.tolist() == list(range(55, 65))
    assert classifier._state.rows.data.sample_weight is not None


def test_frames_with_other_categories():
    """Categories of both batches are known after, in the order of the newer."""
    kinds = pd.Series(list("abc") * 30, dtype="category")
    frame = pd.DataFrame({"value": X[:, 0], "kind": kinds})
    labels = np.where(X[:, 0] + (kinds == "a") > 0.5, "yes", "no")
    early = frame[kinds != "a"]
    late = frame[kinds != "c"].iloc[:40]
    classifier = make_case("boosting", "default", n_shards=2)
    classifier.set_params(estimator__categorical_features="from_dtype")
    classifier.fit(early, labels[kinds != "a"])
    classifier.partial_fit(late, labels[kinds != "c"][:40])
    held = classifier._state.rows.data.X
    assert sorted(held["kind"].cat.categories) == ["a", "b", "c"]
    assert len(held) == len(early) + 40
    classifier.forget(range(len(early)))
    assert sorted(classifier._state.rows.data.X["kind"].cat.categories) == ["a", "b"]
    assert classifier.score(late, labels[kinds != "c"][:40]) > 0.8


@pytest.mark.parametrize(
    ("rows", "labels", "groups", "match"),
    [
        (pd.DataFrame(X), Y, None, "same form"),
        (sparse.csr_array(X), Y, None, "same form"),
        (X, np.arange(90) % 3, None, "labels"),
        (X, Y, np.arange(90), "groups"),
        (X[:, :3], Y, None, "features"),
        (X.astype(str), Y, None, "dtype"),
    ],
)
@pytest.mark.filterwarnings("ignore:X has feature names")
def test_rows_that_do_not_go_with_the_others(rows, labels, groups, match):
    """New rows are of the kind of the old ones."""
    classifier = make_case("tree", "default").fit(X, Y)
    with pytest.raises(ValueError, match=match):
        classifier.partial_fit(rows, labels, groups=groups)
    assert len(classifier.retained_indices_) == 90


def test_sparse_rows_go_on():
    """CSR rows are joined as CSR."""
    matrix = sparse.csr_array(np.where(np.abs(X) > 1, X, 0))
    classifier = make_case("sgd", "cumulative").fit(matrix[:60], Y[:60])
    classifier.partial_fit(matrix[60:], Y[60:]).forget([3, 70])
    fresh = replay(classifier, matrix, Y, [0, 60, 90])
    assert_same_classifier(classifier, fresh, matrix)


def test_rows_take_the_dtype_of_those_before():
    """Else a shard's bits would depend on when it was trained."""
    results = []
    for first in (True, False):
        classifier = make_case("logistic", "default").fit(X[:60].astype("f4"), Y[:60])
        if first:
            classifier.forget(range(40))
        classifier.partial_fit(X[60:], Y[60:])
        results.append(classifier.forget(range(40)))
    assert_same_classifier(*results, X)


def test_weights_for_all_or_none():
    """Else they would have to be made up for the rows before."""
    classifier = make_case("tree", "default").fit(X[:60], Y[:60])
    with pytest.raises(ValueError, match="sample_weight"):
        classifier.partial_fit(X[60:], Y[60:], sample_weight=np.ones(30))

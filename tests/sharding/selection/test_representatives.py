"""Training on representative rows alone: exact, and free for the others."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.mixture import GaussianMixture
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier
from support import assert_same_classifier, fit_in_layout, make_data, thin

from skunlearn import RepresentativeSelection, ShardedUnlearningClassifier
from skunlearn._data.identities import hash_groups
from skunlearn.sharding._selection.pools import count_picks

X, Y = make_data()
PROBA = np.random.default_rng(1).random(60).round(1)

CASES = {
    "uniform": (DecisionTreeClassifier(), {"n_shards": 3}),
    "replicas": (LogisticRegression(), {"n_shards": 3, "n_replicas": 2}),
    "slices": (SGDClassifier(max_iter=3, tol=None), {"n_shards": 2, "n_slices": 3}),
    "sequence": (
        GaussianNB(),
        {"n_shards": 2, "n_slices": 3, "slice_training": "sequential"},
    ),
    "class": (GaussianMixture(reg_covar=0.1), {"partition": "class", "n_shards": 1}),
    "class_parts": (
        GaussianMixture(reg_covar=0.1),
        {"partition": "class", "n_shards": 2, "n_slices": 2},
    ),
    "class_or_rest": (
        DecisionTreeClassifier(),
        {"partition": "class", "n_shards": 2, "n_negatives": 1},
    ),
    "distribution_aware": (
        DecisionTreeClassifier(),
        {"partition": "distribution_aware"},
    ),
}


def fit(case, fraction=0.4, data=X, labels=Y, **params):
    """Return a classifier fitted with probabilities to be forgotten."""
    base, layout = CASES[case]
    selection = RepresentativeSelection(fraction, length_scale=1.5)
    classifier = ShardedUnlearningClassifier(
        base, selection=selection, random_state=3, **layout, **params
    )
    return classifier.fit(data, labels, forget_proba=PROBA[: len(labels)])


def find_picks(classifier):
    """Return the positions that are trained on somewhere."""
    slots = [shard.slots for shard in classifier._state.shards]
    positions = np.argsort(classifier._state.rows.slot_of)
    return np.unique(positions[np.concatenate(slots)])


def assert_fresh(classifier):
    """Assert law 1, given the quotas that the first fit fixed."""
    fresh = fit_in_layout(classifier, X, Y)
    assert_same_classifier(classifier, fresh, X)
    positions = np.argsort(classifier._state.rows.slot_of)
    keep = classifier.retained_indices_[np.argsort(fresh._state.rows.slot_of)]
    for mine, other in zip(classifier._state.shards, fresh._state.shards, strict=True):
        assert positions[mine.slots].tolist() == keep[other.slots].tolist()
        np.testing.assert_array_equal(mine.bounds, other.bounds)
        np.testing.assert_array_equal(mine.label_counts, other.label_counts)
        assert len(mine.slots) == mine.bounds[-1]


operations = st.lists(
    st.tuples(
        st.sampled_from(["forget", "forget", "defer", "retrain"]),
        st.lists(st.integers(0, 59), min_size=1, max_size=15),
    ),
    max_size=4,
)


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=10)
@given(operations=operations)
def test_streams_of_requests(case, operations):
    """Single rows and many, deferred or not, picked or not."""
    classifier = fit(case)
    for name, request in operations:
        if name == "retrain":
            classifier.retrain()
        elif np.setdiff1d(classifier.retained_indices_, request).size:
            preview = classifier.preview_forget(request)
            classifier.forget(request, retrain=name == "forget")
            record = classifier.forget_records_[-1]
            if name == "forget":
                assert record.shards == preview.shards
                assert record.n_samples_retrained == preview.n_samples_retrained
    assert_fresh(classifier.retrain())


@pytest.mark.parametrize("case", CASES)
def test_a_class_that_disappears(case):
    """Its picks go with it; those of others stay, but where sides change."""
    classifier = fit(case).forget(Y == "birch")
    assert classifier.classes_.tolist() == ["ash", "cedar"]
    assert_fresh(classifier)


@pytest.mark.parametrize("case", CASES)
def test_rows_that_were_not_picked_are_free(case):
    """No training, and all constituents stay the same objects."""
    classifier = fit(case)
    free = np.setdiff1d(np.arange(60), find_picks(classifier))
    assert len(free) >= 2
    before = classifier.estimators_
    for row in free[:5]:
        record = classifier.forget(row).forget_records_[-1]
        assert record.shards == ()
        assert record.n_samples_retrained == record.n_slices_retrained == 0
    assert all(a is b for a, b in zip(before, classifier.estimators_, strict=True))
    assert classifier.n_pending_ == 0
    assert_fresh(classifier)


def test_a_pick_takes_the_later_ones_with_it():
    """Picks before the place of a forgotten row stay, and one more comes."""
    classifier = fit("class")
    (block,) = classifier._state.shards[0].selected.blocks[0]
    positions = np.argsort(classifier._state.rows.slot_of)
    place = 3
    record = classifier.forget(positions[block.picks[place]]).forget_records_[-1]
    (after,) = classifier._state.shards[0].selected.blocks[0]
    assert after.picks[:place].tolist() == block.picks[:place].tolist()
    assert len(after.picks) == len(block.picks)
    assert record.shards == (0,)
    assert record.n_samples_retrained == len(block.picks)
    assert record.selection_seconds > 0
    assert_fresh(classifier)


@pytest.mark.parametrize("case", CASES)
def test_quotas_by_class(case):
    """Of each class in each shard and slice the share is picked, rounded upwards."""
    for shard in fit(case, 0.3)._state.shards:
        for blocks in shard.selected.blocks:
            for block in blocks:
                if case != "class_or_rest" or block.label == 1:
                    assert len(block.picks) == np.ceil(0.3 * len(block.slots))


@pytest.mark.parametrize("n_negatives", [1, 2, 5])
def test_quotas_against_others(n_negatives):
    """Of those to be expected, and so too when a class has disappeared, or come."""
    data, labels = make_data(400, n_classes=4)
    late = labels == "doum"
    base = ShardedUnlearningClassifier(
        GaussianNB(),
        partition="class",
        n_shards=1,
        n_negatives=n_negatives,
        selection=0.3,
        random_state=0,
    )

    def check(classifier):
        state, n_others = classifier._state, len(classifier.classes_) - 1
        n_own = dict(zip(state.class_hashes.tolist(), state.class_counts, strict=True))
        for shard in state.shards:
            for block in (t for blocks in shard.selected.blocks for t in blocks):
                share = 1 if block.label else min(n_negatives / n_others, 1)
                assert block.n_due == count_picks(0.3 * share, n_own[block.class_hash])
                assert 0.2 < block.n_due / len(block.slots) < 0.45

    check(base.fit(data, labels))
    for label in ("ash", "birch"):
        check(base.forget(labels == label))
    check(base.fit(data[~late], labels[~late]).partial_fit(data[late], labels[late]))


def test_all_rows():
    """A fraction of 1 leaves none out, whatever was to be expected."""
    chosen = fit("class_or_rest", 1.0)
    plain = clone(chosen).set_params(selection=None).fit(X, Y, forget_proba=PROBA)
    for label in ("ash", "birch"):
        rows = np.flatnonzero(label == Y)
        assert_same_classifier(chosen.forget(rows), plain.forget(rows), X)


@pytest.mark.parametrize("case", CASES)
def test_no_trace_of_a_class(case):
    """Nor is a layout that others share written to."""
    classifier = fit(case)
    layout = classifier._state.layout
    (class_hash,) = hash_groups(["ash"], layout.key).tolist()
    before = pickle.dumps(layout)
    assert str(class_hash) in repr(layout.sizes)
    classifier.forget(Y == "ash")
    assert pickle.dumps(layout) == before
    assert str(class_hash) not in repr(classifier._state.layout.sizes)


@pytest.mark.parametrize("case", thin(["uniform", "slices", "class_parts"]))
def test_jobs(case):
    """Selection runs in the workers, to the same end."""
    one, two = fit(case), fit(case, n_jobs=2)
    assert_same_classifier(one.forget(range(9)), two.forget(range(9)), X)


@pytest.mark.parametrize("case", ["uniform", "slices", "class", "class_or_rest"])
def test_new_rows(case):
    """They have quotas of their own, and know the picks before them."""
    new = slice(40, 60)
    requests = range(10, 50, 7)
    results = []
    for batches in ([[r] for r in requests], [list(requests)]):
        classifier = fit(case, data=X[:40], labels=Y[:40])
        classifier.partial_fit(X[new], Y[new], forget_proba=PROBA[new])
        assert all(shard.is_trained for shard in classifier._state.shards)
        assert 16 <= len(find_picks(classifier)) < 60
        for batch in batches:
            classifier.forget(batch)
        results.append(classifier)
    assert_same_classifier(*results, X)


def test_no_trace():
    """Rows that were never trained on are overwritten too."""
    classifier = fit("uniform")
    row = np.setdiff1d(np.arange(60), find_picks(classifier))[0]
    held = classifier._state.rows.data.X
    assert X[row, 0] in held
    classifier.forget(row)
    assert X[row, 0] not in held


def test_a_float_is_short_for_a_selection():
    """With the default kernel."""
    short = ShardedUnlearningClassifier(selection=0.5, random_state=0).fit(X, Y)
    full = ShardedUnlearningClassifier(
        selection=RepresentativeSelection(0.5), random_state=0
    ).fit(X, Y)
    assert_same_classifier(short, full, X)


@pytest.mark.parametrize("selection", [0.0, -1, 1.5, "half", 0.001, True])
def test_selections_that_make_no_sense(selection):
    """Errors come before anything is trained."""
    with pytest.raises((ValueError, TypeError), match="selection"):
        ShardedUnlearningClassifier(selection=selection).fit(X, Y)


@settings(max_examples=10)
@given(
    first=st.sets(st.integers(0, 39), min_size=1, max_size=20),
    label=st.sampled_from(np.unique(Y)),
    n_negatives=st.integers(1, 2),
    seed=st.integers(0, 50),
)
def test_order_where_rows_change_sides(first, label, n_negatives, seed):
    """How many are picked does not depend on what went before a class did."""
    data, labels = make_data(40, n_classes=4)
    first, second = np.array(list(first)), np.flatnonzero(labels == label)
    if not np.setdiff1d(np.arange(40), np.union1d(first, second)).size:
        return
    results = []
    for batches in ([first, second], [second, first], [np.union1d(first, second)]):
        classifier = ShardedUnlearningClassifier(
            DecisionTreeClassifier(max_features=2),
            partition="class",
            n_shards=3,
            n_negatives=n_negatives,
            selection=0.4,
            random_state=seed,
        ).fit(data, labels)
        for batch in batches:
            classifier.forget(batch)
        results.append(classifier)
    for other in results[1:]:
        assert_same_classifier(results[0], other, data)

"""The laws have teeth: wrong ways to forget are caught by them."""

from dataclasses import replace

import numpy as np
import pytest
import support
from request_streams import Stream
from support import assert_same_classifier, fit_anew, make_case, make_data

from skunlearn import ShardedUnlearningClassifier
from skunlearn._data.identities import GroupIndex
from skunlearn._data.rows import Erasure
from skunlearn.exceptions import ForgetIndexError
from skunlearn.sharding import _forget
from skunlearn.sharding import _plans as _changes
from skunlearn.sharding._training import shard as _shards

X, Y = make_data()


def forget_nothing(monkeypatch):
    """Forget changes nothing at all."""
    monkeypatch.setattr(ShardedUnlearningClassifier, "forget", lambda self, _: self)


def forget_one_row_too_few(monkeypatch):
    """The last row of a request stays."""
    plan = _changes.plan_removal
    monkeypatch.setattr(
        _forget, "plan_removal", lambda state, rows: plan(state, rows[:-1])
    )


def drop_rows_without_retraining(monkeypatch):
    """The rows are gone, and the constituents still know them."""

    def forget(self, positions):
        state = self._state
        plan = _changes.plan_removal(state, np.asarray(positions))
        shards = tuple(
            replace(new, states=old.states, pending=new.pending[:0])
            for old, new in zip(state.shards, plan.state.shards, strict=True)
        )
        self._state = replace(plan.state, shards=shards)
        rows = self._state.rows
        rows.prepare_forget(np.asarray(positions), erasure := Erasure([rows.lease]))
        erasure.carry_out()
        return self

    monkeypatch.setattr(ShardedUnlearningClassifier, "forget", forget)


def resume_from_a_checkpoint_that_saw_the_rows(monkeypatch):
    """Training goes on from the last checkpoint, whatever it has seen."""
    without_rows = _shards.Shard.without_rows

    def mutant(self, *rows):
        shard = without_rows(self, *rows)
        return replace(shard, states=self.states[: max(len(self.states) - 1, 0)])

    monkeypatch.setattr(_shards.Shard, "without_rows", mutant)


def seed_by_the_number_of_rows(monkeypatch):
    """Seeds depend on how many rows there are."""
    complete = _changes.complete

    def mutant(plan, *args):
        recipe = plan.state.recipe
        seed = recipe.root_seed + int(plan.state.class_counts.sum())
        state = replace(plan.state, recipe=replace(recipe, root_seed=seed))
        completed = complete(replace(plan, state=state), *args)
        state = replace(completed.state, recipe=recipe)
        return replace(completed, state=state)

    monkeypatch.setattr(_changes, "complete", mutant)


MUTANTS = {
    forget_nothing: "default",
    forget_one_row_too_few: "default",
    drop_rows_without_retraining: "default",
    resume_from_a_checkpoint_that_saw_the_rows: "cumulative",
    seed_by_the_number_of_rows: "default",
}


def overwrite_nothing(monkeypatch):
    """Rows are forgotten, and their values stay."""
    monkeypatch.setattr(Erasure, "carry_out", lambda self: None)


def retrain_nothing(monkeypatch):
    """What was deferred waits for ever."""
    monkeypatch.setattr(ShardedUnlearningClassifier, "retrain", lambda self: self)


def change_what_is_previewed(monkeypatch):
    """A preview is carried out at once."""

    def preview_forget(self, X_idx=None, **arguments):
        return self.forget(X_idx, **arguments).forget_records_[-1]

    monkeypatch.setattr(ShardedUnlearningClassifier, "preview_forget", preview_forget)


def lose_the_groups_of_new_rows(monkeypatch):
    """Rows that come later are not found by their groups."""
    monkeypatch.setattr(GroupIndex, "extend", lambda self, hashes, kinds: self)


def copy_nothing(monkeypatch):
    """A copy is the original, which forgets what the copy does."""
    monkeypatch.setattr(ShardedUnlearningClassifier, "__copy__", lambda self: self)


WALKED_MUTANTS = [
    overwrite_nothing,
    retrain_nothing,
    change_what_is_previewed,
    lose_the_groups_of_new_rows,
    copy_nothing,
]


def check_laws(layout):
    """What was asked for is forgotten, and law 1 holds, on a stochastic base."""
    classifier = make_case("sgd", layout).fit(X, Y).forget([3, 30, 31])
    assert_same_classifier(classifier, fit_anew(classifier, X, Y), X)
    assert classifier.forgotten_indices_.tolist() == [3, 30, 31]


@pytest.mark.parametrize("layout", ["default", "cumulative"])
def test_the_original_passes(layout):
    """Without a mutation nothing is caught."""
    check_laws(layout)


@pytest.mark.parametrize("mutate", MUTANTS, ids=lambda mutate: mutate.__name__)
def test_mutants_are_caught(mutate, monkeypatch):
    """Each mutant breaks law 1, or does not do what it was asked for."""
    mutate(monkeypatch)
    with pytest.raises(AssertionError):
        check_laws(MUTANTS[mutate])


@pytest.mark.parametrize("mutate", WALKED_MUTANTS, ids=lambda mutate: mutate.__name__)
def test_mutants_are_caught_on_a_walk(mutate, monkeypatch):
    """What takes more than one request to show, a stream of all kinds shows."""
    Stream("sgd", "cumulative", grouped=True).walk()
    mutate(monkeypatch)
    with pytest.raises((AssertionError, ForgetIndexError)):
        Stream("sgd", "cumulative", grouped=True).walk()


def test_the_comparison_sees_single_bits():
    """A comparison that lets anything pass would prove nothing."""
    value = np.float64(0.1)
    other = np.nextafter(value, 1)
    for make in (lambda v: v, lambda v: [v], lambda v: np.array([v]), lambda v: {1: v}):
        support.assert_identical(make(value), make(value))
        with pytest.raises(AssertionError):
            support.assert_identical(make(value), make(other))
    first, second = (make_case("forest", "default").fit(X, Y) for _ in range(2))
    support.assert_identical(first.estimators_, second.estimators_)
    second.estimators_[0].estimators_[2].tree_.threshold[0] *= 1 + 1e-15
    with pytest.raises(AssertionError):
        support.assert_identical(first.estimators_, second.estimators_)

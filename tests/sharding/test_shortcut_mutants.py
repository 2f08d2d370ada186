"""The laws have teeth for what is faster than the plain way, too.

Stacks of constituents, adapters, running totals, replicas, forests, and jobs that train
the parts of several classes: each is held to law 1, and a wrong one is caught by it.
"""

from dataclasses import replace
from itertools import count, islice

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from support import assert_same_classifier, make_case, make_data

from skunlearn import ShardedUnlearningClassifier
from skunlearn.sharding import _plans, make_unlearning_forest
from skunlearn.sharding._adapters.linear import LinearAdapter
from skunlearn.sharding._adapters.trees import TreeAdapter
from skunlearn.sharding._state import State
from skunlearn.sharding._training import tasks
from skunlearn.sharding._training.shard import Shards

X, Y = make_data()
REQUEST = [3, 30, 31]
CLASSIFIERS = {
    "linear": make_case("logistic", "default", n_shards=2),
    "trees": make_case("tree", "replicas"),
    "forest": make_unlearning_forest(n_estimators=6, n_replicas=3, random_state=0),
    "negatives": make_case("bayes", "class_or_rest"),
    "mixtures": make_case("mixture", "class", n_jobs=2),
    "forests_by_class": ShardedUnlearningClassifier(
        RandomForestClassifier(3),
        partition="class",
        n_shards=3,
        n_jobs=2,
        random_state=0,
    ),
}
STACKED = "linear", "trees", "forest"


def check_laws(name):
    """After a request all is what a fresh fit by one job gives, and so are answers."""
    classifier = clone(CLASSIFIERS[name])
    with joblib.parallel_config("threading"):
        classifier.fit(X, Y).predict_proba(X)
        classifier.forget(REQUEST)
    assert classifier.forgotten_indices_.tolist() == REQUEST
    kept = classifier.retained_indices_
    fresh = clone(classifier).set_params(n_jobs=None)
    fresh.fit(X[kept], Y[kept], groups=kept)
    assert_same_classifier(classifier, fresh, X)
    assert classifier._state.n_samples_full == fresh._state.n_samples_full
    if name in STACKED:
        assert classifier._state.voters.stack is not None
        each = [model.predict_proba(X) for model in classifier.estimators_]
        proba = classifier.predict_proba(X)
        np.testing.assert_allclose(proba, np.mean(each, axis=0), atol=1e-12)


@pytest.fixture(autouse=True)
def few_rows(monkeypatch):
    """Let jobs train so few rows as well."""
    monkeypatch.setattr(tasks, "_MIN_VALUES", 0)


def keep_the_stack(monkeypatch):
    """Rows are forgotten, and what answers for all constituents is that of before."""
    forget = ShardedUnlearningClassifier.forget

    def mutant(self, *args):
        voters = self._state.voters
        forget(self, *args)
        vars(self._state)["voters"] = voters

    monkeypatch.setattr(ShardedUnlearningClassifier, "forget", mutant)


def stack_once(monkeypatch):
    """All classifiers are answered for by the first stack that was made."""
    for adapter in (LinearAdapter, TreeAdapter):
        stacks = {}

        def mutant(self, *args, stack=adapter.stack, stacks=stacks):
            return stacks.setdefault(0, stack(self, *args))

        monkeypatch.setattr(adapter, "stack", mutant)


def keep_the_total(monkeypatch):
    """A sum over shards stays what it was."""
    changed = Shards.changed

    def mutant(self, others):
        shards = changed(self, others)
        vars(shards)["n_samples_full"] = self.n_samples_full
        return shards

    monkeypatch.setattr(Shards, "changed", mutant)


def center_by_all_rows_so_far(monkeypatch):
    """An adapter remembers rows that it has prepared."""
    seen, prepare_rows = [], TreeAdapter.prepare_rows

    def mutant(self, rows):
        rows, arguments = prepare_rows(self, rows)
        seen.append(rows.mean(axis=0))
        return rows - np.mean(seen, axis=0), arguments

    monkeypatch.setattr(TreeAdapter, "prepare_rows", mutant)


def forget_in_one_shard(monkeypatch):
    """Of the shards that a row is in, as replica or as negative, one forgets it."""
    group = _plans._group_by_shard
    monkeypatch.setattr(
        _plans, "_group_by_shard", lambda shards: islice(group(shards), 1)
    )


def keep_the_weights_of_classes(monkeypatch):
    """Classes have the weight of before."""
    weighed = State.weighed

    def mutant(self, gone=()):
        return self if len(gone) else weighed(self)

    monkeypatch.setattr(State, "weighed", mutant)


def seed_by_the_turn(monkeypatch):
    """A job takes its seeds from when it comes, not from its shard."""
    turns, train = count(), tasks._train_in_worker

    def mutant(function, recipe, chunk, *here):
        chunk = [replace(task, seed_path=(next(turns),)) for task in chunk]
        return train(function, recipe, chunk, *here)

    monkeypatch.setattr(tasks, "_train_in_worker", mutant)


def mix_up_jobs(monkeypatch):
    """What jobs have trained goes to shards in reverse order."""
    receive = tasks._receive

    def mutant(results):
        trained = list(receive(results))
        shards = sorted(each.shard for each in trained)
        trained.sort(key=lambda each: -each.shard)
        for shard, each in zip(shards, trained, strict=True):
            yield replace(each, shard=shard)

    monkeypatch.setattr(tasks, "_receive", mutant)


MUTANTS = [
    (keep_the_stack, STACKED),
    (stack_once, STACKED),
    (keep_the_total, CLASSIFIERS),
    (center_by_all_rows_so_far, ("trees", "forest")),
    (forget_in_one_shard, ("trees", "forest", "negatives")),
    (keep_the_weights_of_classes, ("mixtures",)),
    (seed_by_the_turn, ("mixtures", "forests_by_class")),
    (mix_up_jobs, ("mixtures", "forests_by_class")),
]
PAIRS = [(mutate, name) for mutate, names in MUTANTS for name in names]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_originals_pass(name):
    """Without a mutation nothing is caught."""
    check_laws(name)


@pytest.mark.parametrize(
    ("mutate", "name"), PAIRS, ids=lambda one: getattr(one, "__name__", one)
)
def test_mutants_are_caught(mutate, name, monkeypatch):
    """Each mutant breaks a law."""
    mutate(monkeypatch)
    with pytest.raises(AssertionError):
        check_laws(name)

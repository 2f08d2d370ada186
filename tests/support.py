"""What many tests share: bases, data, a strict comparison, and the oracle."""

import gc
import math
import os
import signal
import sys
import types
from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.mixture import GaussianMixture
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import BallTree, KDTree, KernelDensity, KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skunlearn import ShardedUnlearningClassifier
from skunlearn._data.containers import take_rows
from skunlearn._data.hashing import derive_seed, hash_positions
from skunlearn._data.identities import hash_groups
from skunlearn._data.rows import Batch
from skunlearn.sharding._partition.base import RowTraits
from skunlearn.sharding._partition.incoming import IncomingRows
from skunlearn.sharding._plans import complete, plan_addition, plan_fit

# Bases that every law is tried on. Small, but with all the randomness they can have.
BASES = {
    "logistic": LogisticRegression(),
    "tree": DecisionTreeClassifier(max_features=2),
    "forest": RandomForestClassifier(n_estimators=3),
    "extra_trees": ExtraTreesClassifier(n_estimators=3),
    "boosting": HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2),
    "neighbors": KNeighborsClassifier(),
    "svc": SVC(),
    "bayes": GaussianNB(),
    "mlp": MLPClassifier(hidden_layer_sizes=(4,), max_iter=3),
    "sgd": SGDClassifier(max_iter=3, tol=None),
    "averaged_sgd": SGDClassifier(loss="log_loss", average=True, max_iter=3, tol=None),
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
}

# Those of them that can go on training from a checkpoint.
RESUMABLE = ("logistic", "bayes", "mlp", "sgd", "averaged_sgd")

LAYOUTS = {
    "default": {},
    "one_shard": {"n_shards": 1},
    "replicas": {"n_shards": 5, "n_replicas": 2},
    "hard": {"n_shards": 3, "voting": "hard"},
}

SLICED_LAYOUTS = {
    "cumulative": {"n_shards": 2, "n_slices": 3},
    "sequential": {"n_shards": 2, "n_slices": 3, "slice_training": "sequential"},
    "epochs": {"n_shards": 2, "n_slices": 3, "n_epochs": 4},
    "all": {"n_shards": 3, "n_slices": 2, "n_replicas": 2, "n_epochs": 2},
}


# Models of one class, and the layouts by class, which some classifiers try too.
DENSITIES = {
    "mixture": GaussianMixture(2, reg_covar=0.1),
    "density": KernelDensity(bandwidth=0.5),
    "scaled_mixture": make_pipeline(StandardScaler(), GaussianMixture(reg_covar=0.1)),
}
CLASS_LAYOUTS = {
    "class": {"partition": "class", "n_shards": 1},
    "class_parts": {"partition": "class", "n_shards": 3, "n_replicas": 2},
    "class_hard": {"partition": "class", "n_shards": 2, "voting": "hard"},
}
NEGATIVES = {"class_or_rest": {"partition": "class", "n_shards": 2, "n_negatives": 2}}
SLICED_CLASS_LAYOUTS = {
    "class_slices": {"partition": "class", "n_shards": 1, "n_slices": 2},
    "class_sequence": {
        "partition": "class",
        "n_shards": 2,
        "n_slices": 2,
        "slice_training": "sequential",
    },
}


def layouts_of(base):
    """Return the names and parameters of the layouts that a base can have."""
    if base in DENSITIES:
        return CLASS_LAYOUTS | (SLICED_CLASS_LAYOUTS if base == "mixture" else {})
    layouts = dict(LAYOUTS)
    if base in RESUMABLE:
        layouts |= SLICED_LAYOUTS
    if base == "logistic":
        layouts = {k: v for k, v in layouts.items() if "n_epochs" not in v}
    if base in ("logistic", "tree", "svc", "bayes"):
        layouts |= CLASS_LAYOUTS | NEGATIVES
    if base in ("logistic", "sgd"):
        layouts |= SLICED_CLASS_LAYOUTS
    return layouts


CASES = [(base, layout) for base in BASES | DENSITIES for layout in layouts_of(base)]


def thin(cases, step=3):
    """Return cases: each step-th for plain runs, the others for thorough ones."""
    cases = [case if isinstance(case, tuple) else (case,) for case in cases]
    marks = [[] if i % step == 0 else pytest.mark.thorough for i in range(len(cases))]
    return [pytest.param(*c, marks=m) for c, m in zip(cases, marks, strict=True)]


def make_case(base, layout, **params):
    """Return an unfitted classifier for one of CASES."""
    params = {"random_state": 7, **layouts_of(base)[layout], **params}
    return ShardedUnlearningClassifier(clone((BASES | DENSITIES)[base]), **params)


def make_data(n_samples=60, n_classes=3, seed=0):
    """Return numeric rows and string labels."""
    X, codes = make_classification(
        n_samples,
        4,
        n_informative=3,
        n_redundant=0,
        n_classes=n_classes,
        n_clusters_per_class=1,
        random_state=seed,
    )
    return X, np.array(["ash", "birch", "cedar", "doum"])[codes]


def fit_anew(classifier, X, y, *, identities=None, **metadata):
    """Return a fresh fit on what a classifier has retained, with the same identities.

    ``metadata`` are row-wise arguments of fit. Without groups the identity of a row is
    its position, and an integer group stands for the position of that number.
    """
    keep = classifier.retained_indices_
    groups = np.arange(len(y)) if identities is None else np.asarray(identities)
    metadata = {name: np.asarray(value)[keep] for name, value in metadata.items()}
    rows = X.iloc[keep] if hasattr(X, "iloc") else X[keep]
    return clone(classifier).fit(rows, y[keep], groups=groups[keep], **metadata)


def fit_two_shards(X, y, base=None):
    """Return a classifier fitted on rows of any kind."""
    base = DummyClassifier() if base is None else base
    return ShardedUnlearningClassifier(base, n_shards=2, random_state=0).fit(X, y)


def fit_in_layout(classifier, X, y, *, identities=None, sample_weight=None):
    """Return a fresh fit as `fit_anew` does, given what was fixed when rows came.

    That is the layout, how likely each row is to be forgotten, and which rows came
    together: those of later batches are learnt as `partial_fit` does. A batch of which
    nothing is left keeps its number.
    """
    state, keep = classifier._state, classifier.retained_indices_
    identities = np.arange(len(y)) if identities is None else np.asarray(identities)
    fresh = clone(classifier)
    seen = ("n_features_in_", "feature_names_in_")
    vars(fresh).update({k: v for k, v in vars(classifier).items() if k in seen})
    for number, (start, stop) in enumerate(pairwise([*state.batches, len(y)])):
        rows = keep[(keep >= start) & (keep < stop)]
        incoming = take_incoming(state, X, y, rows, identities, sample_weight)
        if number == 0:
            plan = plan_fit(state.recipe, state.layout, incoming)
        else:
            plan = plan_addition(fresh._state, incoming)
        fresh._state = complete(plan, None, lambda shard: None).state
    return fresh


def take_incoming(state, X, y, rows, identities, sample_weight):
    """Return rows of a state as they were when they came."""
    proba = state.rows.data.forget_proba
    weight = None if sample_weight is None else np.asarray(sample_weight)[rows]
    batch = Batch(
        take_rows(X, rows),
        y[rows],
        weight,
        None if proba is None else proba[state.rows.slot_of[rows]],
    )
    hashes = hash_groups(identities[rows], state.layout.key)
    return IncomingRows(batch, hashes, has_groups=True)


def retrain_naively(classifier, X, y):
    """Train every constituent on the retained rows, in the plainest way: the oracle.

    For integer-seeded bases without weights; one slice, or cumulative slices with
    ``partial_fit`` and one epoch.
    """
    layout = classifier._state.layout
    hashes = hash_positions(np.arange(len(y)), layout.key)
    nothing = np.zeros(0, dtype=np.uint64)
    traits = RowTraits(hashes, nothing, nothing, None)
    shards, slices = layout.partition.find_shards(traits), layout.find_slices(traits)
    constituents = []
    for shard in range(classifier.n_shards):
        model = clone(classifier.estimator)
        rows = []
        for index in range(classifier.n_slices):
            new = [
                row
                for row in classifier.retained_indices_
                if shard in shards[row] and slices[row] == index
            ]
            rows += sorted(new, key=lambda row: hashes[row])
            names = sorted(n for n in model.get_params() if n.endswith("random_state"))
            for i, name in enumerate(names):
                model.set_params(**{name: derive_seed(layout.key, shard, index, 0, i)})
            if "n_neighbors" in model.get_params():
                model.set_params(n_neighbors=min(model.n_neighbors, len(rows)))
            if classifier.n_slices == 1:
                model.fit(X[rows], y[rows])
            else:
                model.partial_fit(X[rows], y[rows], classes=classifier.classes_)
        constituents.append(model)
    return constituents


def assert_same_classifier(first, second, X):
    """Assert that two sharded classifiers are the same bit for bit.

    Predictions, classes and all checkpoints are compared; where the rows are kept in
    memory is not.
    """
    np.testing.assert_array_equal(first.classes_, second.classes_)
    assert first.classes_.dtype == second.classes_.dtype
    for method in ("predict", "predict_proba", "decision_function"):
        assert hasattr(first, method) == hasattr(second, method)
        if hasattr(first, method):
            assert_identical(getattr(first, method)(X), getattr(second, method)(X))
    for mine, other in zip(first._state.shards, second._state.shards, strict=True):
        assert_identical(*(list(map(find_model, s.states)) for s in (mine, other)))


def find_model(checkpoint):
    """Return the estimator of a checkpoint, wherever it is kept."""
    return None if checkpoint is None else checkpoint.estimator


def assert_identical(first, second, path="", seen=None):
    """Assert that two objects hold the same bits, whatever they are made of."""
    seen = {} if seen is None else seen
    if first is second or (id(first), id(second)) in seen:
        return
    seen[id(first), id(second)] = first, second  # kept alive: ids are not reused
    assert type(first) is type(second), f"{path}: {type(first)} is not {type(second)}"
    if isinstance(first, np.ndarray) and first.dtype.names:  # padding is not compared
        for name in first.dtype.names:
            assert_identical(first[name], second[name], f"{path}[{name}]", seen)
    elif isinstance(first, np.ndarray) and first.dtype != object:
        assert first.dtype == second.dtype, path
        assert first.shape == second.shape, path
        assert first.tobytes() == second.tobytes(), f"{path}: {first} is not {second}"
    elif sparse.issparse(first):
        assert_identical(first.toarray(), second.toarray(), path, seen)
    elif isinstance(first, dict):
        assert list(first) == list(second), path
        for key, value in first.items():
            if not str(key).endswith(("_time", "_time_")):  # searches keep a clock
                assert_identical(value, second[key], f"{path}.{key}", seen)
    elif isinstance(first, (list, tuple, np.ndarray)):
        assert len(first) == len(second), path
        for i, (a, b) in enumerate(zip(first, second, strict=True)):
            assert_identical(a, b, f"{path}[{i}]", seen)
    elif isinstance(first, np.random.RandomState):
        assert_identical(first.get_state(), second.get_state(), path, seen)
    elif isinstance(first, (types.FunctionType, types.BuiltinFunctionType, type)):
        assert first == second, path
    elif isinstance(first, float) and math.isnan(first):
        assert math.isnan(second), path
    elif isinstance(first, (KDTree, BallTree)):  # which count the queries, to no effect
        mine, other = first.__getstate__(), second.__getstate__()
        assert_identical(mine[:7] + mine[11:], other[:7] + other[11:], path, seen)
    elif isinstance(first, (str, bytes, int, float, complex, np.generic)):
        assert first == second, f"{path}: {first!r} is not {second!r}"
    else:
        assert_identical(
            list(first.__reduce_ex__(4)[1:3]),
            list(second.__reduce_ex__(4)[1:3]),
            f"{path}<{type(first).__name__}>",
            seen,
        )


class Expired(Exception):
    """A time-out."""


def interrupt_at_call(k, function, number=signal.SIGINT):
    """Call a function, with a signal at the k-th call of our code; tell if it came."""
    n_calls = 0

    def watch(frame, event, argument):
        nonlocal n_calls
        name = frame.f_code.co_filename
        if name.endswith("contextlib.py"):  # for us: scikit-learn's leave more behind
            name = frame.f_back.f_code.co_filename
        if event == "call" and f"{os.sep}skunlearn{os.sep}" in name:
            n_calls += 1
            if n_calls == k:
                sys.setprofile(None)
                signal.raise_signal(number)

    gc.disable()  # a signal during a callback of it is lost, with a warning
    sys.setprofile(watch)
    try:
        function()
    except (KeyboardInterrupt, Expired):
        pass
    finally:
        sys.setprofile(None)
        gc.enable()
    return n_calls >= k

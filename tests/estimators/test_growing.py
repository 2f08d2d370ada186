"""Ensembles with slices: each slice adds its share of the estimators."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from support import (
    assert_identical,
    assert_same_classifier,
    fit_anew,
    fit_in_layout,
    make_data,
)

from skunlearn import ShardedUnlearningClassifier
from skunlearn._data.hashing import derive_seed
from skunlearn._estimators.growing import find_growing
from skunlearn.exceptions import UnsupportedEstimatorError
from skunlearn.sharding import GrowingEnsemble, register_growing_ensemble

catboost = pytest.importorskip("catboost")
lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")

X, Y = make_data(90)
MARKER = 0.123456789012345
SIZES = (0.5, 0.3, 0.2)

OURS = {
    "hist": HistGradientBoostingClassifier(max_iter=6, min_samples_leaf=2),
    "gradient": GradientBoostingClassifier(n_estimators=6, max_depth=2, subsample=0.8),
    "forest": RandomForestClassifier(n_estimators=6, class_weight="balanced"),
    "extra": ExtraTreesClassifier(n_estimators=6),
    "bagging": BaggingClassifier(LogisticRegression(C=0.1), n_estimators=6),
    "pipeline": make_pipeline(StandardScaler(), RandomForestClassifier(6)),
}
OTHERS = {
    "lightgbm": lightgbm.LGBMClassifier(
        n_estimators=6, min_child_samples=2, verbose=-1, n_jobs=1
    ),
    "xgboost": xgboost.XGBClassifier(n_estimators=6, subsample=0.8, max_depth=2),
    "catboost": catboost.CatBoostClassifier(
        iterations=6, depth=2, verbose=0, allow_writing_files=False
    ),
    "xgboost_pipeline": make_pipeline(
        StandardScaler(), xgboost.XGBClassifier(n_estimators=6, max_depth=2)
    ),
}
BASES = OURS | OTHERS
LAYOUTS = {
    "cumulative": {"n_shards": 2, "slice_sizes": SIZES},
    "sequential": {"n_shards": 2, "n_slices": 2, "slice_training": "sequential"},
    "class": {"n_shards": 1, "partition": "class", "n_slices": 2, "n_negatives": 1},
}
requests_of_rows = st.lists(
    st.lists(st.integers(0, 89), min_size=1, max_size=30), min_size=1, max_size=3
)


def make_case(base, layout="cumulative", **params):
    """Return an unfitted classifier."""
    base = clone(BASES[base]) if isinstance(base, str) else base
    params = {"random_state": 0, **LAYOUTS[layout], **params}
    return ShardedUnlearningClassifier(base, **params)


def count(estimator):
    """Return the number of estimators in a constituent."""
    if hasattr(estimator, "encode"):
        return count(estimator.estimator_)
    if hasattr(estimator, "steps"):
        return count(estimator.steps[-1][1])
    return find_growing(estimator).count(estimator)


def assert_same(base, first, second):
    """Compare states by bits or, of other libraries, all that is answered."""
    if base in OURS:
        assert_same_classifier(first, second, X)
        return
    np.testing.assert_array_equal(first.classes_, second.classes_)
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))


def try_stream(base, layout, requests):
    """Laws 1, 2 and 3, and 8 on the way."""
    classifier = make_case(base, layout).fit(X, Y)
    at_once = make_case(base, layout).fit(X, Y).forget(np.concatenate(requests))
    for i, request in enumerate(requests):
        preview = classifier.preview_forget(request)
        classifier.forget(request, retrain=i % 2 == 0).retrain()
        record = classifier.forget_records_[-1]
        assert record.n_samples_retrained == preview.n_samples_retrained
    assert_same(base, classifier, fit_anew(classifier, X, Y))
    assert_same(base, classifier, at_once)


@pytest.mark.parametrize("base", BASES)
def test_a_stream_of_requests(base):
    """As a fresh fit, bit for bit."""
    try_stream(base, "cumulative", [[1, 2, 30], [4], list(range(40, 60))])


@pytest.mark.thorough
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("base", BASES)
@settings(max_examples=3)
@given(requests=requests_of_rows)
def test_streams_of_requests(base, layout, requests):
    """The same for any requests and layouts."""
    try_stream(base, layout, requests)


@pytest.mark.parametrize("base", BASES)
def test_each_slice_has_its_share(base):
    """Of the estimators; and a row of the last slice costs no more than the last."""
    classifier = make_case(base, n_shards=1).fit(X, Y)
    shard = classifier._state.shards[0]
    assert [count(state.estimator) for state in shard.states] == [3, 5, 6]
    last = np.argsort(classifier._state.rows.slot_of)[shard.slots[-1]]
    classifier.forget(last)
    after = classifier._state.shards[0]
    kept = [a is b for a, b in zip(shard.states, after.states, strict=True)]
    assert kept == [True, True, False]
    assert count(after.states[-1].estimator) == 6


@pytest.mark.parametrize("base", ["forest", "extra"])
def test_constituents_are_warm_starts(base):
    """The oracle: scikit-learn's own warm start, over the retained rows in order."""
    classifier = make_case(base, n_shards=1).fit(X, Y).forget([1, 50])
    state = classifier._state
    shard = state.shards[0]
    position = np.argsort(state.rows.slot_of)[shard.slots]
    model = clone(BASES[base]).set_params(warm_start=True)
    for index, size in enumerate([3, 5, 6]):
        rows = position[: shard.bounds[index + 1]]
        if base == "forest":  # weights that are balanced over the rows so far
            labels, counts = np.unique(Y[rows], return_counts=True)
            weights = len(rows) / (3 * counts)
            model.set_params(class_weight=dict(zip(labels, weights, strict=True)))
        seed = derive_seed(state.layout.key, 0, index, 0, 0)
        model.set_params(n_estimators=size, random_state=seed).fit(X[rows], Y[rows])
    (constituent,) = classifier.estimators_
    weight = constituent.class_weight
    model.set_params(class_weight=weight, warm_start=False)
    assert_identical(constituent, model)


@pytest.mark.parametrize("base", ["hist", "gradient", "forest"])
def test_checkpoints_share_their_trees(base):
    """Those of an earlier slice are in the later ones, and stay what they were."""
    classifier = make_case(base, n_shards=1).fit(X, Y)
    first, *_, last = (s.estimator for s in classifier._state.shards[0].states)
    members = [list(find_growing(e).list_members(e)) for e in (first, last)]
    assert {id(m) for m in members[0]} <= {id(m) for m in members[1]}
    before = first.predict_proba(X)
    classifier.forget(np.argsort(classifier._state.rows.slot_of)[-5:])
    np.testing.assert_array_equal(first.predict_proba(X), before)


def test_bins_stay():
    """Trees go on reading rows by the bins that they were trained with."""
    base = HistGradientBoostingClassifier(max_iter=40, min_samples_leaf=5)
    rng = np.random.default_rng(0)
    data = rng.normal(size=(400, 3))
    late = rng.random(400) < 0.2
    data[late] *= 10  # bins of all rows would be others
    y = np.where(data[:, 0] * data[:, 1] > 0, "in", "out")
    proba = np.where(late, 0.9, 0.1)
    classifier = make_case(base, n_shards=1, slice_sizes=(0.8, 0.2))
    classifier.fit(data, y, forget_proba=proba)
    first, last = (s.estimator for s in classifier._state.shards[0].states)
    for before, after in zip(
        first._bin_mapper.bin_thresholds_, last._bin_mapper.bin_thresholds_, strict=True
    ):
        assert before is after
    staged = list(last.staged_predict_proba(data))
    np.testing.assert_array_equal(staged[31], first.predict_proba(data))
    assert type(last) is HistGradientBoostingClassifier
    losses = [log_loss(y, proba) for proba in staged[31:]]
    assert (np.diff(losses) < 0).all()  # each further tree is a step down


@pytest.mark.parametrize("retrain", [True, False])
@pytest.mark.parametrize("base", BASES)
def test_no_trace(base, retrain):
    """Law 7: nothing of a row is left, nor of its label."""
    data, labels = X.copy(), Y.astype(object)
    data[[7, 8]] = MARKER
    labels[[7, 8]] = "nobody else's"
    classifier = make_case(base).fit(data, labels).forget([7, 8], retrain=retrain)
    dump = pickle.dumps(classifier)
    for trace in (np.float64(MARKER), np.float32(MARKER)):
        assert trace.tobytes() not in dump
    assert b"nobody else" not in dump
    assert b"0.1234567" not in dump  # models in text


@pytest.mark.parametrize("base", BASES)
def test_late_rows_are_in_no_earlier_checkpoint(base):
    """What a checkpoint holds does not depend on the rows of later slices."""
    proba = np.where(np.arange(90) % 5 == 0, 0.9, 0.1)
    fit = make_case(base, slice_sizes=(0.8, 0.2)).fit
    other = X.copy()
    other[proba > 0.5] = 7.5
    shards = [fit(data, Y, forget_proba=proba)._state.shards for data in (X, other)]
    for mine, others in zip(*shards, strict=True):
        first, second = (s.states[0].estimator.predict_proba(X) for s in (mine, others))
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("base", BASES)
def test_classes_that_early_slices_lack(base):
    """The ensemble starts again where it meets a class, with all estimators so far."""
    rare = np.flatnonzero(Y == "ash")
    proba = np.where(Y == "ash", 0.9, 0.1)
    sizes = (1 - len(rare) / 90, len(rare) / 90)
    classifier = make_case(base, n_shards=1, slice_sizes=sizes)
    classifier.fit(X, Y, forget_proba=proba)
    steps = classifier._state.shards[0].steps
    assert [step.kind for step in steps] == ["fresh", "fresh"]
    assert count(classifier.estimators_[0]) == 6
    classifier.forget(rare[:3])
    assert_same(base, classifier, fit_in_layout(classifier, X, Y))
    classifier.forget(rare)
    assert_same(base, classifier, fit_in_layout(classifier, X, Y))


@pytest.mark.parametrize("base", ["hist", "forest", "lightgbm", "xgboost"])
def test_weights_and_jobs(base):
    """Weights count and go with their rows, wherever a shard is trained."""
    weight = np.random.default_rng(0).integers(0, 4, 90).astype(float)
    expected = make_case(base).fit(X, Y, weight).forget([1, 2, 30])
    fresh = fit_anew(expected, X, Y, sample_weight=weight)
    assert_same(base, expected, fresh)
    with joblib.parallel_config("threading", n_jobs=2):
        classifier = make_case(base).fit(X, Y, weight)
        again = pickle.loads(pickle.dumps(classifier)).forget([1, 2, 30])
    assert_same(base, expected, again)
    plain = make_case(base).fit(X, Y).predict_proba(X)
    assert abs(expected.predict_proba(X) - plain).max() > 0.01


@pytest.mark.thorough
@pytest.mark.parametrize("base", BASES)
def test_other_processes(base):
    """What a worker sends back is what is trained on the spot."""
    expected = make_case(base).fit(X, Y).forget([1, 2, 30])
    with joblib.parallel_config("loky", n_jobs=2):
        classifier = make_case(base).fit(X, Y).forget([1, 2, 30])
    assert_same(base, expected, classifier)


@pytest.mark.parametrize("base", ["hist", "lightgbm", "xgboost"])
def test_categories_of_late_rows(base):
    """Those that the first slice lacks are missing values, to all trees alike."""
    rng = np.random.default_rng(1)
    size = rng.choice(["low", "mid", "high"], 90).astype(object)
    proba = np.where(np.arange(90) % 5 == 0, 0.9, 0.1)
    size[proba > 0.5] = rng.choice(["alone", "low"], (proba > 0.5).sum())
    declared = ["alone", "high", "low", "mid"]
    data = pd.DataFrame({"size": pd.Categorical(size, declared), "z": X[:, 0]})
    y = np.where(np.isin(size, ["low", "alone"]), "small", "large")
    params = {
        "hist": {"categorical_features": "from_dtype"},
        "lightgbm": {"min_data_per_group": 1, "cat_smooth": 0, "cat_l2": 0},
        "xgboost": {"enable_categorical": True},
    }[base]
    model = clone(BASES[base]).set_params(**params)
    classifier = make_case(model, n_shards=1, slice_sizes=(0.8, 0.2))
    classifier.fit(data, y, forget_proba=proba)
    assert [s.kind for s in classifier._state.shards[0].steps] == ["fresh", "resume"]
    assert classifier.score(data[size != "alone"], y[size != "alone"]) > 0.9
    alone = np.flatnonzero(size == "alone")
    classifier.forget(alone[:-1]).forget([2, 5])
    expected = fit_in_layout(classifier, data, y)
    answers = (c.predict_proba(data) for c in (classifier, expected))
    np.testing.assert_array_equal(*answers)
    assert b"alone" not in pickle.dumps(classifier.forget(alone))


def test_other_steps_of_a_pipeline_stay():
    """They are fitted with the first slice, and nothing later changes them."""
    frame = pd.DataFrame({"size": np.where(X[:, 0] > 0, "big", "small"), "z": X[:, 1]})
    base = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["size"]),
            (StandardScaler(), ["z"]),
        ),
        HistGradientBoostingClassifier(max_iter=6, min_samples_leaf=2),
    )
    classifier = make_case(base, n_shards=1).fit(frame, Y)
    first, *_, last = (s.estimator for s in classifier._state.shards[0].states)
    assert first[0] is last[0]
    classifier.forget([1, 2, 30])
    expected = fit_anew(classifier, frame, Y)
    assert_same_classifier(classifier, expected, frame)


@pytest.mark.parametrize("name", ["pipeline", "xgboost_pipeline"])
def test_weights_of_a_pipeline(name):
    """With and without metadata routing."""
    weight = np.random.default_rng(0).uniform(0.1, 3, 90)
    plain = make_case(name).fit(X, Y, weight).predict_proba(X)
    base = clone(BASES[name])
    with sklearn.config_context(enable_metadata_routing=True):
        base[0].set_fit_request(sample_weight=False)
        base[-1].set_fit_request(sample_weight=True)
        routed = make_case(base).fit(X, Y, sample_weight=weight)
        np.testing.assert_array_equal(routed.predict_proba(X), plain)
    assert abs(make_case(name).fit(X, Y).predict_proba(X) - plain).max() > 0.01


EARLY = {
    "early_stopping=True": HistGradientBoostingClassifier(early_stopping=True),
    "n_iter_no_change=3": GradientBoostingClassifier(n_iter_no_change=3),
    "early_stopping_round=2": lightgbm.LGBMClassifier(early_stopping_round=2),
    "early_stopping_rounds=2": xgboost.XGBClassifier(early_stopping_rounds=2),
    "od_wait=4": catboost.CatBoostClassifier(od_wait=4),
    "oob_score=True": RandomForestClassifier(oob_score=True),
    "class_weight='balanced_subsample'": ExtraTreesClassifier(
        class_weight="balanced_subsample"
    ),
    "num_boost_round=7": lightgbm.LGBMClassifier(num_boost_round=7),
}


@pytest.mark.parametrize("name", EARLY)
def test_early_stopping_is_refused(name):
    """By name, with slices; without them it is for the base to do."""
    for base in (EARLY[name], make_pipeline(StandardScaler(), EARLY[name])):
        classifier = make_case(base)
        with pytest.raises(UnsupportedEstimatorError, match=f"refuses with {name}"):
            classifier.fit(X, Y)


def test_early_stopping_without_slices():
    """It works as in the base."""
    base = HistGradientBoostingClassifier(early_stopping=True, n_iter_no_change=1)
    classifier = ShardedUnlearningClassifier(base, n_shards=1, random_state=0)
    (constituent,) = classifier.fit(X, Y).estimators_
    assert constituent.n_iter_ < constituent.max_iter


def test_keywords_of_fit():
    """Those that would stop early are refused with slices; others are handed on."""
    with pytest.raises(UnsupportedEstimatorError, match="callbacks"):
        make_case("lightgbm").fit(X, Y, callbacks=[])
    make_case("lightgbm").fit(X, Y, categorical_feature=[0])
    ShardedUnlearningClassifier(clone(BASES["lightgbm"])).fit(X, Y, callbacks=[])


def test_large_shards_of_histograms():
    """They do not stop early, as they would by default above 10,000 rows."""
    rng = np.random.default_rng(0)
    data = rng.normal(size=(10_100, 1))
    base = HistGradientBoostingClassifier(max_iter=30)
    classifier = make_case(base, n_shards=1, slice_sizes=(0.99, 0.01))
    classifier.fit(data, rng.random(10_100) < 0.5)
    assert count(classifier.estimators_[0]) == 31  # a slice adds one at least


def test_rows_that_come_later():
    """With slices they are a slice of the last one's size; else all is trained anew."""
    classifier = make_case("forest", n_shards=1).fit(X[:60], Y[:60])
    classifier.partial_fit(X[60:], Y[60:])
    sizes = [count(s.estimator) for s in classifier._state.shards[0].states]
    assert sizes == [3, 5, 6, 7]
    classifier.forget([3, 70])
    assert_same_classifier(classifier, fit_in_layout(classifier, X, Y), X)
    unsliced = ShardedUnlearningClassifier(clone(BASES["forest"]), n_shards=1)
    unsliced.fit(X[:60], Y[:60]).partial_fit(X[60:], Y[60:])
    assert count(unsliced.estimators_[0]) == 6


class Forest(RandomForestClassifier):
    """An estimator of a third party."""


class Stage:
    """A trained part, known by its number of rows."""

    def __init__(self, n_rows):
        self.n_rows = n_rows


class Stages(LogisticRegression):
    """Another one, which takes a model to go on from."""

    def __init__(self, n_stages=None):
        super().__init__()
        self.n_stages = n_stages

    def fit(self, X, y, before=None):
        """Keep a note for each stage."""
        known = [] if before is None else before.stages_
        self.stages_ = known + [Stage(len(y))] * (self.n_stages or 4)
        return super().fit(X, y)


def test_third_parties_register_theirs():
    """An ensemble that is not known is refused, and one that is registered grows."""
    with pytest.raises(UnsupportedEstimatorError, match="register_growing_ensemble"):
        make_case(Stages()).fit(X, Y)

    @register_growing_ensemble(f"{__name__}.Stages")
    class _(GrowingEnsemble):
        size, default_size, model_argument = "n_stages", 4, "before"

        def count(self, estimator):
            return len(estimator.stages_)

    register_growing_ensemble(Forest)(GrowingEnsemble)
    classifier = make_case(Stages(), n_shards=1, slice_sizes=(0.75, 0.25)).fit(X, Y)
    bounds = classifier._state.shards[0].bounds
    stages = [stage.n_rows for stage in classifier.estimators_[0].stages_]
    assert stages == [bounds[1]] * 3 + [90]
    forest = make_case(Forest(6)).fit(X, Y).forget([1, 2, 30])
    assert_same_classifier(forest, fit_anew(forest, X, Y), X)


@pytest.mark.parametrize("estimator", [RandomForestClassifier(), 3, None])
def test_what_is_no_class(estimator):
    """The error says what was given."""
    with pytest.raises(TypeError, match="must be a class"):
        register_growing_ensemble(estimator)


@pytest.mark.parametrize("base", [AdaBoostClassifier(), xgboost.XGBRFClassifier()])
def test_ensembles_that_do_not_grow(base):
    """The message has those that do."""
    with pytest.raises(UnsupportedEstimatorError, match="gradient boosting"):
        make_case(base).fit(X, Y)

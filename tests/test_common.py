"""Law 9: scikit-learn's own checks."""

import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KernelDensity
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from skunlearn import InfluenceUnlearningClassifier, ShardedUnlearningClassifier
from skunlearn.model_selection import UnlearningSearchCV
from skunlearn.pipeline import make_unlearning_pipeline

INSTANCES = [
    ShardedUnlearningClassifier(),
    ShardedUnlearningClassifier(n_shards=1),
    ShardedUnlearningClassifier(n_shards=3, n_slices=2),
    ShardedUnlearningClassifier(make_pipeline(StandardScaler(), LogisticRegression())),
    ShardedUnlearningClassifier(DecisionTreeClassifier(), n_shards=1),
    ShardedUnlearningClassifier(DecisionTreeClassifier(), n_shards=4, n_replicas=2),
    ShardedUnlearningClassifier(SGDClassifier(), n_shards=2, n_slices=3, n_epochs=4),
    ShardedUnlearningClassifier(
        GaussianNB(), n_shards=2, n_slices=2, slice_training="sequential"
    ),
    ShardedUnlearningClassifier(SVC(), n_shards=2),
    ShardedUnlearningClassifier(LinearSVC(), n_shards=3, voting="hard"),
    ShardedUnlearningClassifier(partition="class", n_shards=1),
    ShardedUnlearningClassifier(
        GaussianNB(), partition="class", n_shards=2, n_slices=2, n_epochs=2
    ),
    ShardedUnlearningClassifier(KernelDensity(), partition="class", n_shards=1),
    ShardedUnlearningClassifier(
        KernelDensity(), partition="class", voting="hard", n_shards=2
    ),
]

SLOW_INSTANCES = [
    ShardedUnlearningClassifier(n_replicas=3),
    ShardedUnlearningClassifier(n_shards=3, voting="hard"),
    ShardedUnlearningClassifier(n_shards=2, n_jobs=2),
    ShardedUnlearningClassifier(HistGradientBoostingClassifier(), n_shards=2),
    InfluenceUnlearningClassifier(
        MLPClassifier((10,), solver="lbfgs", max_iter=50, random_state=0), scope="head"
    ),
]

INFLUENCE_INSTANCES = [
    InfluenceUnlearningClassifier(),
    InfluenceUnlearningClassifier(method="puma"),
    InfluenceUnlearningClassifier(method="influence"),
    InfluenceUnlearningClassifier(method="newton", solver="cg"),
    InfluenceUnlearningClassifier(method="newton", certify=(1.0, 1e-4)),
    InfluenceUnlearningClassifier(RidgeClassifier(), method="newton"),
    InfluenceUnlearningClassifier(LinearSVC(), method="newton"),
    InfluenceUnlearningClassifier(SGDClassifier("log_loss"), method="newton"),
    InfluenceUnlearningClassifier(
        make_pipeline(StandardScaler(), LogisticRegression()), method="newton"
    ),
    InfluenceUnlearningClassifier(
        LogisticRegression(class_weight="balanced"), method="puma", criterion="accuracy"
    ),
]

PIPELINES = [
    make_unlearning_pipeline(ShardedUnlearningClassifier(n_shards=2, random_state=0)),
    make_unlearning_pipeline(Normalizer(), InfluenceUnlearningClassifier()),
]

DENSE = (GaussianNB, HistGradientBoostingClassifier, KernelDensity)  # take no others


WEIGHT_CHECKS = (
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
)


def expected_influence_failures(classifier):
    """Return the checks that cannot hold, with reasons."""
    base = classifier.estimator
    if classifier.method == "puma":
        reason = "a row's place decides whether it is held out for the criterion"
        return dict.fromkeys(WEIGHT_CHECKS, reason)
    if isinstance(base, SGDClassifier):
        reason = "its mean loss is over the number of rows, not of their weights"
        return dict.fromkeys(WEIGHT_CHECKS, reason)
    if isinstance(base, Pipeline):
        reason = "the scaler before the classifier does not get the weights"
        return {WEIGHT_CHECKS[0]: reason}
    return {}


def expected_failures(classifier):
    """Return the checks of weights that cannot hold, with reasons."""
    if isinstance(classifier, InfluenceUnlearningClassifier):
        return expected_influence_failures(classifier)
    if isinstance(classifier, UnlearningSearchCV):
        return dict.fromkeys(WEIGHT_CHECKS, "folds are given as splits, not by number")
    if isinstance(classifier, Pipeline):
        reason = "pipelines fit the steps that they are given"
        names = ("check_estimators_overwrite_params", "check_dont_overwrite_parameters")
        return expected_failures(classifier[-1]) | dict.fromkeys(names, reason)
    base = classifier.estimator
    if classifier.n_shards > 1:
        reason = "a row's place decides its shard, and repeated rows have other places"
    elif classifier.partition == "class" and not isinstance(base, KernelDensity):
        reason = "a row's place decides the classes it stands against"
    else:
        return {}
    checks = {"check_sample_weight_equivalence_on_dense_data": reason}
    if not isinstance(base, DENSE):
        checks["check_sample_weight_equivalence_on_sparse_data"] = reason
    return checks


SEARCHES = [
    UnlearningSearchCV(
        ShardedUnlearningClassifier(), {"n_shards": [1, 2]}, cv=2, random_state=0
    )
]


@pytest.mark.filterwarnings("ignore")  # the checks provoke warnings on purpose
@parametrize_with_checks(
    INSTANCES + INFLUENCE_INSTANCES + PIPELINES + SEARCHES,
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_checks(estimator, check):
    """Every check, in every configuration."""
    check(estimator)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(SLOW_INSTANCES, expected_failed_checks=expected_failures)
def test_scikit_learn_checks_of_more_layouts(estimator, check):
    """The same for configurations that take longer."""
    check(estimator)

"""Cost of forgetting as a score, for searches over parameters."""

from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skunlearn.exceptions import UnsupportedEstimatorError
from skunlearn.sharding import ShardedUnlearningClassifier
from skunlearn.sharding._expected_cost import expect_one_request

__all__ = ["retraining_cost_scorer"]


def retraining_cost_scorer(estimator: Any, X: Any = None, y: Any = None) -> float:
    """Score a fitted classifier by the expected cost of forgetting one row.

    Use it in `GridSearchCV` and similar searches beside a scorer of accuracy.

    Parameters
    ----------
    estimator : ShardedUnlearningClassifier or Pipeline
        The fitted classifier, or a pipeline that ends in one.
    X, y : object, default=None
        Ignored, present for API consistency. The cost is that of the retained rows.

    Returns
    -------
    float
        Negative cost of forgetting one retained row, as a fraction of a full retrain,
        in rows passed to training. It is the exact mean of ``preview_forget`` over the
        retained rows. Greater is better: 0 means no cost, and -1 a full retrain.

    Raises
    ------
    UnsupportedEstimatorError
        If `estimator` is neither of these.

    See Also
    --------
    skunlearn.costs.expected_retrained_samples : Expected cost of any number of
        requests, without fitting a classifier.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skunlearn import ShardedUnlearningClassifier
    >>> from skunlearn.metrics import retraining_cost_scorer
    >>> X, y = load_iris(return_X_y=True)
    >>> search = GridSearchCV(
    ...     ShardedUnlearningClassifier(GaussianNB(), random_state=0),
    ...     {"n_shards": [1, 2, 4]},
    ...     scoring={"accuracy": "accuracy", "cost": retraining_cost_scorer},
    ...     refit="accuracy",
    ... ).fit(X, y)
    >>> search.cv_results_["mean_test_cost"].round(2)
    array([-0.99, -0.49, -0.25])
    """
    classifier = _find_classifier(estimator)
    check_is_fitted(classifier)
    state = classifier._state
    n_samples_full = state.n_samples_full
    if n_samples_full == 0:
        return 0.0  # a single class, which needs no training
    return -expect_one_request(state) / n_samples_full


def _find_classifier(estimator: Any) -> ShardedUnlearningClassifier:
    last = estimator
    while isinstance(last, Pipeline):
        last = last.steps[-1][1]
    if not isinstance(last, ShardedUnlearningClassifier):
        raise UnsupportedEstimatorError(
            "retraining_cost_scorer requires a ShardedUnlearningClassifier, or a "
            f"pipeline that ends in one; got {estimator!r}."
        )
    return last

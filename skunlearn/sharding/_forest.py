"""A forest that forgets: settings that were measured, by what is wanted."""

from numbers import Integral
from typing import Any, Literal

from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import check_scalar

from skunlearn.sharding._classifier import ShardedUnlearningClassifier

__all__ = ["make_unlearning_forest"]

Target = Literal["cost", "balanced", "accuracy"]

# By target: trees, replicas, share of features at each split.
_SETTINGS: dict[str, tuple[int, int, float]] = {
    "cost": (100, 2, 0.2),
    "balanced": (80, 5, 0.3),
    "accuracy": (100, 10, 0.2),
}


def make_unlearning_forest(
    *,
    target: Target = "balanced",
    n_estimators: int | None = None,
    n_replicas: int | None = None,
    max_features: float | Literal["sqrt", "log2"] | None = None,
    splitter: Literal["best", "random"] = "best",
    max_depth: int | None = None,
    min_samples_leaf: float = 1,
    class_weight: Any = None,
    n_jobs: int | None = None,
    random_state: Any = None,
    verbose: int = 0,
) -> ShardedUnlearningClassifier:
    """Make a forest that forgets exactly, in place of ``RandomForestClassifier``.

    Each tree learns one shard of the rows, and each row is in `n_replicas` shards: to
    forget it, these trees are trained again and no others. Trees of a part of the rows
    differ by their rows, as those of a random forest do by their bootstrap samples.

    Parameters
    ----------
    target : {"cost", "balanced", "accuracy"}, default="balanced"
        What the parameters that are None are chosen for. "cost": the cheapest forget
        with about the accuracy of a random forest, for two or three classes.
        "balanced": more accurate, at six to ten times the cost. "accuracy": each tree
        learns a tenth of the rows; a forget of one row takes a fortieth to a hundredth
        of a random forest's fit.
    n_estimators : int, default=None
        Number of trees, which is the number of shards.
    n_replicas : int, default=None
        Number of trees that learn each row. The cost of a forget grows with its square,
        the accuracy with its logarithm at best.
    max_features : {"sqrt", "log2"}, int or float, default=None
        Features to consider at each split, as for a tree.
    splitter : {"best", "random"}, default="best"
        How splits are chosen. Trees with random thresholds train several times as fast,
        so that each may learn more rows.
    max_depth : int, default=None
        Largest depth of a tree; None is no limit.
    min_samples_leaf : int or float, default=1
        Fewest rows of a leaf, as for a tree.
    class_weight : dict, "balanced" or None, default=None
        Weights of classes, as for a tree; "balanced" is by the rows of each tree.
    n_jobs : int, default=None
        Number of jobs, as for :class:`~skunlearn.ShardedUnlearningClassifier`.
    random_state : int, RandomState instance or None, default=None
        Randomness of shards and trees.
    verbose : int, default=0
        Verbosity.

    Returns
    -------
    ShardedUnlearningClassifier
        An unfitted classifier, whose ``feature_importances_`` are the mean of those of
        the trees.

    Raises
    ------
    ValueError
        If `target` is none of the three, or a number is below 1.
    TypeError
        If `n_estimators` or `n_replicas` is not a whole number.

    See Also
    --------
    skunlearn.ShardedUnlearningClassifier : The classifier, around any estimator.
    skunlearn.costs.recommend_shards : Settings measured on rows of one's own.

    Notes
    -----
    Of n rows, each tree learns about ``n * n_replicas / n_estimators``, and a forget of
    one row trains `n_replicas` trees.
    Trees of few rows are too weak for many classes. For ten classes, 100 trees with
    ``n_replicas=50``, ``max_features=0.3`` and ``splitter="random"`` are as accurate as
    a random forest, and a forget takes about a sixth of its fit.

    The settings are on the front of cost and accuracy that
    ``benchmarks/bench_forest.py`` prints for several data sets.

    References
    ----------
    .. [1] L. Bourtoule et al., "Machine Unlearning", IEEE Symposium on Security and
       Privacy, 2021, section IV.
    .. [2] S. Wang, Z. Shen, X. Qiao, T. Zhang and M. Zhang, "DynFrs: An Efficient
       Framework for Machine Unlearning in Random Forest", ICLR, 2025: each row in some
       of the trees.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skunlearn.sharding import make_unlearning_forest
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> forest = make_unlearning_forest(n_estimators=20, random_state=0).fit(X, y)
    >>> record = forest.forget([3, 7]).forget_records_[-1]
    >>> len(record.shards) <= 6
    True
    >>> forest.feature_importances_.shape
    (30,)
    """
    if target not in tuple(_SETTINGS):
        raise ValueError(
            f"target must be 'cost', 'balanced' or 'accuracy'; got {target!r}."
        )
    numbers = {"n_estimators": n_estimators, "n_replicas": n_replicas}
    for name, number in numbers.items():
        if number is not None:
            check_scalar(number, name, Integral, min_val=1)
    trees, replicas, features = _SETTINGS[target]
    tree = DecisionTreeClassifier(
        splitter=splitter,
        max_features=features if max_features is None else max_features,
        max_depth=max_depth,
        min_samples_leaf=min_samples_leaf,
        class_weight=class_weight,
    )
    n_shards = trees if n_estimators is None else n_estimators
    if n_replicas is None:  # of fewer trees, as large a share of the rows for each
        n_replicas = min(max(round(replicas * n_shards / trees), 1), n_shards)
    return ShardedUnlearningClassifier(
        tree,
        n_shards=n_shards,
        n_replicas=n_replicas,
        n_jobs=n_jobs,
        random_state=random_state,
        verbose=verbose,
    )

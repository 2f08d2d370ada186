"""
Forget rows of a trained classifier
===================================

A classifier was trained on data about people, and some of them withdraw their consent.
We wrap it so that it can forget them: what comes out is, bit for bit, the classifier
that never saw their rows, and only a part of it is trained again.

The data are a census of 48,842 persons: does somebody earn more than 50,000 dollars a
year? Numbers, text and missing values are mixed, as in most tables.
"""

import importlib.util
import time

import numpy as np
import pandas as pd
import sklearn
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skunlearn import ShardedUnlearningClassifier
from skunlearn.costs import expected_retrained_samples
from skunlearn.datasets import load_census

# %%
# Load the data
# -------------
# Half of the rows will do. The census does not tell who handed in a row, so **the
# users are made up**: 5,000 of them, each with a handful of rows. A quarter of the rows
# is kept for testing.

census = load_census().frame.sample(frac=0.5, random_state=0)
X, y = census.drop(columns="income"), (census["income"] == ">50K").to_numpy()
rng = np.random.default_rng(0)
users = np.array([f"user-{i:04}" for i in rng.integers(5_000, size=len(X))])
is_test = rng.random(len(X)) < 0.25
X_test, y_test = X[is_test], y[is_test]
X, y, users = X[~is_test], y[~is_test], users[~is_test]

# %%
# Wrap the whole pipeline
# -----------------------
# Scalers, imputers and encoders learn from rows too: a mean over all rows would go on
# remembering the forgotten ones. So preprocessing belongs inside the wrapper.

numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
words = OneHotEncoder(handle_unknown="ignore")
pipeline = make_pipeline(
    make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (words, make_column_selector(dtype_exclude="number")),
    ),
    LogisticRegression(solver="newton-cholesky"),
)
classifier = ShardedUnlearningClassifier(pipeline, random_state=0)

# %%
# Choose the number of shards
# ---------------------------
# More shards make forgetting cheaper and each constituent weaker; one shard is the bare
# pipeline. We take as many as cost at most 0.3 points of accuracy. With metadata
# routing, ``groups`` reaches the folds, so that no user is on both sides, and the
# classifier, so that it can forget by user.


def choose_most_shards(results):
    """Return the last candidate, with most shards, that is accurate enough."""
    accuracy = results["mean_test_score"]
    return np.flatnonzero(accuracy >= accuracy.max() - 0.003)[-1]


grid = {"n_shards": [1, 4, 16]}
search = GridSearchCV(classifier, grid, cv=GroupKFold(3), refit=choose_most_shards)
with sklearn.config_context(enable_metadata_routing=True):
    search.fit(X, y, groups=users)
classifier = search.best_estimator_

results = pd.DataFrame(search.cv_results_)[["param_n_shards", "mean_test_score"]]
print(results.to_string(index=False))
print(f"We take {classifier.n_shards} shards.\n")

# %%
# Forget, and check it on the spot
# --------------------------------
# The truth to compare with is a fresh fit on the retained rows. *Exact* means that it
# gives the same probabilities, to the last bit. Two costs are shown beside that of
# forgetting: that of the fresh fit, and that of fitting the bare pipeline.


def measure_fit(model, rows, **metadata):
    """Fit a clone of `model` on some rows; return it and the seconds it took."""
    start = time.perf_counter()
    model = sklearn.clone(model).fit(X.iloc[rows], y[rows], **metadata)
    return model, time.perf_counter() - start


def forget(**request):
    """Forget, compare with a fresh fit, and return a column of the table."""
    before = classifier.score(X_test, y_test)
    record = classifier.forget(**request).forget_records_[-1]
    keep = classifier.retained_indices_
    fresh, seconds_fresh = measure_fit(classifier, keep, groups=users[keep])
    _, seconds_bare = measure_fit(pipeline, keep)
    same = classifier.predict_proba(X_test) == fresh.predict_proba(X_test)
    return {
        "rows forgotten": f"{record.n_forgotten:,}",
        "accuracy before": f"{before:.4f}",
        "accuracy after": f"{classifier.score(X_test, y_test):.4f}",
        "rows retrained": f"{record.n_samples_retrained:,}",
        "rows of a full retrain": f"{record.n_samples_full_retrain:,}",
        "seconds to forget": f"{record.seconds:.2f}",
        "seconds to fit all shards": f"{seconds_fresh:.2f}",
        "seconds to fit the bare pipeline": f"{seconds_bare:.2f}",
        "exact": same.all(),
    }


some = rng.choice(len(X), len(X) // 100, replace=False)
table = {"one user": forget(groups=[users[0]]), "1 % of rows": forget(X_idx=some)}
print(pd.DataFrame(table).to_string())

# %%
# The rows of one user lie together in one shard, and the other shards stay as they are.
# One row in a hundred, picked at random, reaches every shard: such a batch costs as
# much as training everything again. Forgetting pays when requests come a few at a time.
#
# A picture of it
# ---------------
# It needs matplotlib, which the rest does not.

if importlib.util.find_spec("matplotlib"):
    import matplotlib.pyplot as plt

    sizes, n_shards = [1, 2, 5, 10, 20, 50, 100, 200, 500], classifier.n_shards
    rows = expected_retrained_samples(len(X), sizes, n_shards=n_shards)
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.plot(sizes, rows / len(X), "o-")
    axes.axhline(1, color="gray", ls=":")
    axes.set(
        xscale="log",
        xlabel="rows forgotten in one batch",
        ylabel="rows trained again, as a share of all",
        title=f"Forgetting pays for small batches ({n_shards} shards)",
    )
    plt.show()

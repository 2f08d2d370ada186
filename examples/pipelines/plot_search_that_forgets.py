"""
A grid search that forgets
==========================

Parameters that were chosen by looking at a row are a function of it as well. An
ordinary grid search keeps its scores and its choice when the best classifier forgets.
``UnlearningSearchCV`` forgets in all candidates and folds, scores them again and
chooses again: bit for bit what a new search on the retained rows would do.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_classification
from sklearn.neighbors import KNeighborsClassifier

from skunlearn import ShardedUnlearningClassifier
from skunlearn.model_selection import UnlearningSearchCV

# %%
# Two sources
# -----------
# One of the two sources of these data has wrong labels, which is not known yet. Rows
# come in groups of 20, whose names say where they are from.

X, y = make_classification(
    2_400, n_features=6, n_informative=4, n_redundant=0, class_sep=0.8, random_state=0
)
rng = np.random.default_rng(0)
is_bad = np.arange(len(y)) >= 2_000
y = np.where(is_bad, rng.permutation(y), y)
source = np.array([f"good-{i // 20}" for i in range(len(y))], dtype=object)
source[is_bad] = [f"bad-{i // 20}" for i in range(is_bad.sum())]

# %%
# Search
# ------
# How many neighbours? The scores count all rows, those of the bad source included.

candidates = [1, 3, 5, 9, 15, 25, 41, 61]
search = UnlearningSearchCV(
    ShardedUnlearningClassifier(KNeighborsClassifier(), n_shards=4, random_state=0),
    {"estimator__n_neighbors": candidates},
    cv=5,
    random_state=0,
)
start = time.perf_counter()
search.fit(X, y, groups=source)
seconds = time.perf_counter() - start
before = search.cv_results_["mean_test_score"]
print(f"best before: {search.best_params_}, {seconds:.2f} s")

# %%
# Forget the bad source
# ---------------------
# It turns out that the source was bad. Its rows go from every fold of every candidate.

gone = np.unique(source[is_bad])
start = time.perf_counter()
search.forget(groups=gone)
seconds = time.perf_counter() - start
after = search.cv_results_["mean_test_score"]
print(f"best after: {search.best_params_}, {seconds:.2f} s")

again = UnlearningSearchCV(
    search.estimator, search.param_grid, cv=5, random_state=0
).fit(X[~is_bad], y[~is_bad], groups=source[~is_bad])
is_same = np.array_equal(again.cv_results_["mean_test_score"], after)
print("the scores are those of a new search:", is_same)

# %%
# What has changed
# ----------------
# The scores rise, as the wrong labels are gone from the test folds too, and another
# candidate is the best. A search that does not forget keeps the lower curve, and its
# choice.

figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
for scores, label, color in (
    (before, "before", "C1"),
    (after, "after the source was forgotten", "C0"),
):
    axes.plot(candidates, scores, "o-", color=color, label=label)
    best = scores.argmax()
    axes.plot(candidates[best], scores[best], "*", color=color, ms=18)
axes.set(
    xscale="log",
    xticks=candidates,
    xticklabels=candidates,
    xlabel="neighbours",
    ylabel="accuracy in cross-validation",
    title="The search chooses again (stars)",
)
axes.minorticks_off()
axes.legend()
plt.show()

# %%
# For a single group the search says beforehand what it would take.

record = search.preview_forget(groups=["good-7"])
share = record.n_samples_retrained / record.n_samples_full_retrain
print(f"one group: {share:.0%} of a new search")

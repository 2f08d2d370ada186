"""
Audit a forget, and see what it touched
=======================================

A request has been carried out: was it? This example attacks the classifier before and
after, searches its pickle, and draws what the request touched.
"""

import copy
import pickle

import matplotlib.pyplot as plt
import numpy as np
from sklearn.tree import DecisionTreeClassifier

from skunlearn import ShardedUnlearningClassifier
from skunlearn.datasets import load_census
from skunlearn.metrics import audit_forget, find_traces, forget_report
from skunlearn.plotting import MembershipDisplay, ShardMapDisplay

# %%
# Trees know their rows by heart
# ------------------------------
# The numbers of a census, ten shards with a tree each, and 60 persons who ask to be
# forgotten. Rows that were never used serve for comparison.

census, income = load_census(return_X_y=True)
X = census.select_dtypes("number").to_numpy(dtype=float)
y = (income == ">50K").to_numpy()
X, y, X_fresh, y_fresh = X[:4000], y[:4000], X[4000:6000], y[4000:6000]
before = ShardedUnlearningClassifier(
    DecisionTreeClassifier(), n_shards=10, random_state=0
).fit(X, y)
rows = np.sort(np.random.default_rng(0).choice(len(y), 60, replace=False))
after = copy.deepcopy(before).forget(rows)

# %%
# The audit
# ---------
# It asks the constituents that owned the rows. Before the forget it is flagged, after
# it not; and the shards, trained again, are the same bit for bit.

data = X[rows], y[rows], X_fresh, y_fresh
for classifier in (before, after):
    print(audit_forget(classifier, *data, X_idx=rows, random_state=0))
print(audit_forget(after, *data, X_idx=rows, method="replay"))

# %%
# An attack on the classifier as a whole sees much less: nine of ten constituents have
# never known a row.

print(forget_report(before, after, *data, random_state=0))

# %%
# Nor are the rows in the pickle, but for values that other persons have too.

for classifier in (before, after):
    traces = find_traces(
        pickle.dumps(classifier), X[rows], X_retained=X[after.retained_indices_]
    )
    print(len(traces), "traces")

# %%
# What the constituents knew, and what three of the requests touched
# ------------------------------------------------------------------

figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
tree = DecisionTreeClassifier(random_state=0).fit(X, y)
MembershipDisplay.from_estimator(tree, *data, ax=axes[0], name="a single tree")
MembershipDisplay.from_estimator(
    before, *data, ax=axes[0], name="ten shards", color="#D55E00", linestyle="--"
)
ShardMapDisplay.from_estimator(before, rows[:3], ax=axes[1])
plt.show()

"""
Serve a deletion queue for a month
==================================

Requests to be forgotten come as a file every day: with repetitions, and with ids of
people who were never in these data. This example serves thirty such files, twice: each
request by itself, and all requests of a day in one batch. Both end with the same
classifier.

The data are a census; the people and their requests are made up.
"""

import copy
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier

from skunlearn import ShardedUnlearningClassifier
from skunlearn.datasets import load_census

# %%
# A classifier in production
# --------------------------
# Numbers of the census alone will do here, and trees of limited depth. Every person has
# four rows in the mean.

census, income = load_census(return_X_y=True)
census, income = census[:24_000], income[:24_000]
X = census.select_dtypes("number").drop(columns="fnlwgt")
is_test = np.arange(len(X)) % 4 == 0
X_test, y_test = X[is_test], income[is_test]
X, y = X[~is_test], income[~is_test]

rng = np.random.default_rng(0)
people = np.array([f"P-{i:05}" for i in rng.choice(10**5, 4_500, replace=False)])
person = rng.choice(people, len(X))
tree = DecisionTreeClassifier(max_depth=8, min_samples_leaf=5)
classifier = ShardedUnlearningClassifier(tree, n_shards=30, random_state=0)
classifier.fit(X, y, groups=person)
print(f"accuracy before: {classifier.score(X_test, y_test):.4f}")

# %%
# Files
# -----
# Five to twenty people a day. One request in ten is repeated later, and one in twenty
# is for somebody else's data.

folder = Path(tempfile.mkdtemp())
asked = iter(rng.permutation(people))
for day in range(30):
    ids = [next(asked) for _ in range(rng.integers(5, 20))]
    ids += list(rng.choice(ids, len(ids) // 10)) + ["X-00001"] * (len(ids) // 20)
    pd.DataFrame({"person": rng.permutation(ids)}).to_csv(
        folder / f"day-{day:02}.csv", index=False
    )

# %%
# Serve them
# ----------
# ``unknown="ignore"`` counts ids that were never there and forgets the rest. For the
# batch, each touched shard is trained once a day, however many of its people have
# asked.

one_by_one, by_day = copy.deepcopy(classifier), classifier
points = []
for file in sorted(folder.glob("*.csv")):
    ids = pd.read_csv(file)["person"].tolist()
    by_day.forget(groups=ids, unknown="ignore")
    for one in ids:
        one_by_one.forget(groups=[one], unknown="ignore")
    singles = one_by_one.forget_history().iloc[-len(ids) :]
    record = by_day.forget_records_[-1]
    points.append(
        {
            "people": len(set(ids)),
            "by day": record.n_samples_retrained,
            "one by one": singles["n_samples_retrained"].sum(),
            "unknown": record.n_unknown,
            "accuracy": by_day.score(X_test, y_test),
        }
    )
month = pd.DataFrame(points)
print(month.head().round(4).to_string())

proba = [served.predict_proba(X_test) for served in (by_day, one_by_one)]
print("both are the same classifier:", np.array_equal(*proba))

# %%
# What it took
# ------------
# One by one, each person costs a shard, a thirtieth of a fit. In a batch the shards are
# hit more than once, and are trained once: the more requests a day, the more that
# saves.

figure, (cost, quality) = plt.subplots(
    2, sharex=True, figsize=(7, 6), layout="constrained", height_ratios=[2, 1]
)
shares = month[["one by one", "by day"]] / len(X)
cost.bar(month.index, shares["one by one"], color="C1", label="each by itself")
cost.bar(month.index, shares["by day"], color="C0", label="in one batch a day")
cost.set(ylabel="rows trained, in fits", title="A month of requests", ymargin=0.2)
cost.legend(loc="upper center", ncols=2)
quality.plot(month["accuracy"], "C2")
quality.set(xlabel="day", ylabel="accuracy", ylim=(0.8, 0.9))
plt.show()

total = shares.sum()
print(f"{total['one by one']:.1f} fits one by one, {total['by day']:.1f} by day")

# %%
# Where requests must be answered at once, ``forget(..., retrain=False)`` removes the
# influence immediately, and ``retrain`` trains what is pending at night.

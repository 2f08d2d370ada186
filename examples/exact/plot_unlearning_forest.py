"""
A forest that forgets
=====================

In a random forest every tree has seen most of the rows, so to forget one is to train
the forest again. ``make_unlearning_forest`` makes a forest in which each row is in a
few trees only: those are trained again, and the others never knew the row.

The data are a census of 48,842 persons: does somebody earn more than 50,000 dollars a
year?
"""

import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from skunlearn.datasets import load_census
from skunlearn.sharding import make_unlearning_forest

# %%
# Load the data
# -------------
# Trees need numbers, so each answer of the questionnaire gets a code.

census, income = load_census(return_X_y=True)
columns = list(census)
for name in census.select_dtypes(exclude="number"):
    census[name] = pd.factorize(census[name], sort=True)[0]
X, y = census.to_numpy(dtype=float), income.to_numpy()
X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, random_state=0)

# %%
# One line changes
# ----------------
# ``target`` says what matters most. Ten persons are forgotten one after another, and
# the alternative is a new fit of the random forest.


def time_call(call, *args):
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    call(*args)
    return time.perf_counter() - start


alone = RandomForestClassifier(100, random_state=0)
seconds = time_call(alone.fit, X, y)
results = [
    (
        "random forest",
        seconds,
        seconds,
        alone.score(X_test, y_test),
        len(alone.estimators_),
    )
]
forests = {}
persons = np.random.default_rng(0).choice(len(y), 10, replace=False)
for target in ("cost", "balanced", "accuracy"):
    forest = make_unlearning_forest(target=target, random_state=0)
    fit = time_call(forest.fit, X, y)
    score = forest.score(X_test, y_test)
    forget = np.mean([time_call(forest.forget, person) for person in persons])
    forests[target] = forest
    results.append((target, fit, forget, score, forest.n_shards))
names = ["forest", "seconds to fit", "seconds to forget", "accuracy", "trees"]
table = pd.DataFrame(results, columns=names)
print(table.round(4).to_string(index=False))

# %%
# What one person touched
# -----------------------
# The record names the trees. With deferred training they are out of the vote at once,
# and come back later.

forest = forests["balanced"]
record = forest.preview_forget(7)
print(record)
print(f"{len(record.shards)} of {forest.n_shards} trees: {record.shards}")
forest.forget(7, retrain=False)
print(f"{forest.n_pending_} rows wait; accuracy {forest.score(X_test, y_test):.4f}")
forest.retrain()

# %%
# The picture
# -----------
# Left: seconds to forget one row, by the accuracy of the forest. Right: what the trees
# look at, which is much the same in both kinds of forest.

figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for row in table.itertuples(index=False):
    axes[0].plot(row[2], row[3], "o", ms=9)
    axes[0].annotate(
        row[0], (row[2], row[3]), xytext=(6, 6), textcoords="offset points"
    )
axes[0].set(
    xscale="log",
    xlabel="seconds to forget one row (random forest: by a new fit)",
    ylabel="accuracy",
    title="Accuracy beside the cost of a request",
    xmargin=0.3,
    ymargin=0.2,
)
order = np.argsort(alone.feature_importances_)
place = np.arange(len(order))
for i, (name, model) in enumerate({"random forest": alone, "balanced": forest}.items()):
    importances = model.feature_importances_[order]
    axes[1].barh(place + 0.4 * (0.5 - i), importances, height=0.4, label=name)
axes[1].set_yticks(place, np.array(columns)[order])
axes[1].set(xlabel="importance", title="Importances of the features")
axes[1].legend()
plt.show()

"""
Forget in boosting by going back to a checkpoint
================================================

Boosting adds trees one after another, and every tree depends on those before. A row
that comes late in training is in the last trees only: to forget it, the ensemble goes
back to a checkpoint and trains these again. So rows that are likely to be forgotten
should come last. Who withdraws consent mostly does so soon, and recency tells which
rows these are.

The data are a census of 48,842 persons: does somebody earn more than 50,000 dollars a
year?
"""

import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import train_test_split

from skunlearn import ShardedUnlearningClassifier
from skunlearn.datasets import load_census
from skunlearn.metrics import audit_forget

# %%
# Persons who came one after another
# ----------------------------------
# Each answer of the questionnaire gets a code, and half of the persons will do. The
# census does not tell when a person was asked, so **the days are made up**: three
# years, and the wish to withdraw fades with a mean of 45 days. Probabilities are
# rounded, so that no value belongs to one person.

census, income = load_census(return_X_y=True)
for name in census.select_dtypes(exclude="number"):
    census[name] = pd.factorize(census[name], sort=True)[0]
X, y = census.to_numpy(dtype=float)[::2], income.to_numpy()[::2]
X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, random_state=0)
rng = np.random.default_rng(0)
days = rng.integers(3 * 365, size=len(y))
forget_proba = np.round(0.3 * np.exp(-days / 45), 2) + 0.001

# %%
# Two slices
# ----------
# Of 60 iterations, 54 are trained on the nine tenths of the rows that came first, and 6
# on all of them. A late row costs these six.

model = HistGradientBoostingClassifier(max_iter=60, early_stopping=False)


def wrap(n_shards, slice_sizes):
    """Return a classifier that forgets."""
    return ShardedUnlearningClassifier(
        model, n_shards=n_shards, slice_sizes=slice_sizes, random_state=0
    )


classifier = wrap(3, (0.9, 0.1)).fit(X, y, forget_proba=forget_proba)
n_slices = [classifier.preview_forget(row).n_slices_retrained for row in range(500)]
recent = np.where(days[:500] < 105, "yes", "no")
print(pd.crosstab(recent, n_slices, rownames=["recent"], colnames=["slices"]))

# %%
# Compare
# -------
# Eight persons withdraw, as their probabilities say. Each request is carried out at
# once, beside fits of the model without the rows.

requests = rng.choice(len(y), 8, replace=False, p=forget_proba / forget_proba.sum())


def time_call(call, *args):
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    call(*args)
    return time.perf_counter() - start


refit = np.median([time_call(model.fit, X, y) for _ in range(2)])
results = [("refit", refit, model.score(X_test, y_test), np.zeros(1))]
for n_shards, sizes in [(3, None), (3, (0.9, 0.1)), (8, (0.9, 0.1))]:
    trial = wrap(n_shards, sizes).fit(X, y, forget_proba=forget_proba)
    score = trial.score(X_test, y_test)
    seconds = [time_call(trial.forget, row) for row in requests]
    slices = "" if sizes is None else ", " + " + ".join(f"{size:.0%}" for size in sizes)
    results.append((f"{n_shards} shards{slices}", np.mean(seconds), score, seconds))
table = pd.DataFrame(results, columns=["setting", "seconds", "accuracy", "each"])
table["gain"] = refit / table["seconds"]
print(table.drop(columns="each").round(4).to_string(index=False))

# %%
# Exact all the same
# ------------------
# An audit trains the shards again, on the rows that are left, and compares bit by bit.

data = X[requests], y[requests], X_test, y_test
classifier.forget(requests)
print(audit_forget(classifier, *data, X_idx=requests, method="replay"))

# %%
# The picture
# -----------
# Left: most requests come from few rows. Right: what a request costs on average, and
# what the setting costs in accuracy.

figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
order = np.argsort(-forget_proba, kind="stable")
share = np.cumsum(forget_proba[order]) / forget_proba.sum()
axes[0].plot(np.linspace(0, 1, len(share)), share)
axes[0].axvspan(0, 0.1, alpha=0.2, label="last slice of a tenth")
axes[0].set(
    xlabel="share of the rows, most recent first",
    ylabel="share of the requests",
    title="Recent rows are asked for most",
)
axes[0].legend()
bars = axes[1].barh(table["setting"], table["seconds"])
labels = [
    f"1/{gain:.1f},  {score:.2%}" for gain, score in table[["gain", "accuracy"]].values
]
axes[1].bar_label(bars, labels, padding=4)
axes[1].invert_yaxis()
axes[1].set(
    xlabel="seconds for a request, on average",
    title="A request beside a refit, and accuracy",
    xlim=(0, 1.35 * refit),
)
plt.show()

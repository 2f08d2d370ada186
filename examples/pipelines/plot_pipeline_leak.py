"""
Find a forgotten row in a scaler
================================

A scaler that was fitted outside the wrapper remembers what it has seen. Here somebody
who holds the retained rows and the pipeline computes a forgotten row from the scaler,
number by number. Then the leak is cured.

The data are the numbers of a census.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skunlearn import ShardedUnlearningClassifier
from skunlearn.datasets import load_census
from skunlearn.exceptions import LeakyPipelineError
from skunlearn.pipeline import make_unlearning_pipeline

COLUMNS = ["age", "education_num", "capital_gain", "hours_per_week"]

X, y = load_census(return_X_y=True)
X, y = X.loc[:4_999, COLUMNS].to_numpy(float), y[:5_000].to_numpy()

# %%
# The leak
# --------
# A scaler in front, as in most pipelines. The classifier forgets the row, exactly. But
# the mean of the scaler is that of all rows, and the sum of the retained ones is known.

row = 4_321
leaky = make_pipeline(StandardScaler(), ShardedUnlearningClassifier(random_state=0))
leaky.fit(X, y)
leaky[-1].forget(row)

retained = np.delete(X, row, axis=0)


def attack(scaler, n_rows):
    """Return what is left if the retained rows are subtracted from the mean."""
    return n_rows * scaler.mean_ - retained.sum(axis=0)


found = attack(leaky[0], len(X))
for name, true, value in zip(COLUMNS, X[row], found, strict=True):
    print(f"{name:15} is {true:8.1f}, and is found as {value:8.1f}")

# %%
# A pipeline that refuses
# -----------------------
# ``make_unlearning_pipeline`` does not let this happen by oversight:

try:
    make_unlearning_pipeline(
        StandardScaler(), ShardedUnlearningClassifier(random_state=0)
    ).fit(X, y)
except LeakyPipelineError as error:
    print(error)

# %%
# The cure
# --------
# The whole pipeline goes inside the wrapper. Each shard then has a scaler of its own,
# which is fitted again with the shard. What the attack subtracts from is not there any
# more: the same sum over all shards is that of the retained rows.

pipeline = make_pipeline(StandardScaler(), LogisticRegression())
clean = ShardedUnlearningClassifier(pipeline, random_state=0).fit(X, y).forget(row)
scalers = [shard[0] for shard in clean.estimators_]
sums = sum(scaler.n_samples_seen_ * scaler.mean_ for scaler in scalers)
left = sums - retained.sum(axis=0)
print("left after the cure:", np.abs(left).round(6))

# %%
# For many rows
# -------------
# The attack finds any row, one at a time. In the cured pipeline nothing is left but the
# rounding of sums.

rows = np.random.default_rng(0).choice(len(X), 200, replace=False)
column = COLUMNS.index("hours_per_week")
scaler = StandardScaler().fit(X)
recovered, cured = [], []
for each in rows:
    retained = np.delete(X, each, axis=0)
    recovered.append(attack(scaler, len(X))[column])
    refitted = StandardScaler().fit(retained)
    cured.append(attack(refitted, len(retained))[column])

figure, axes = plt.subplots(figsize=(6, 5), layout="constrained")
axes.plot(X[rows, column], recovered, "o", alpha=0.4, label="scaler outside: leaks")
axes.plot(X[rows, column], cured, "x", color="C2", label="scaler inside: refitted")
axes.set(
    xlabel="hours per week in the forgotten row",
    ylabel="hours per week that the attack finds",
    title="A scaler outside the wrapper gives forgotten rows away",
)
axes.legend()
plt.show()

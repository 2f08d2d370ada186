"""
Weigh accuracy against the cost of forgetting
=============================================

More shards and more slices make forgetting cheaper, and more shards make the classifier
weaker. A grid search with two scorers shows both sides at once: accuracy, and what
forgetting one row is expected to cost.

The data are a census of 48,842 persons: does somebody earn more than 50,000 dollars a
year?
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import GridSearchCV

from skunlearn import ShardedUnlearningClassifier
from skunlearn.costs import expected_retrained_samples, recommend_shards
from skunlearn.datasets import load_census
from skunlearn.metrics import retraining_cost_scorer

# %%
# Load the data
# -------------
# A pipeline cannot go on training from a checkpoint, so for slices the features have to
# be ready beforehand. They are made without learning from the rows: numbers are divided
# by constants, and the answers that the questionnaire offers get a column each. A third
# of the persons will do.

census, income = load_census(return_X_y=True)
y = (income == ">50K").to_numpy()
numbers = census.select_dtypes("number")
words = pd.get_dummies(census.select_dtypes(exclude="number"))
X = np.hstack([np.log1p(numbers) / 5, words]).astype(np.float32)
X, y = X[::3], y[::3]
print(f"{X.shape[0]:,} rows, {X.shape[1]} columns")

# %%
# Search
# ------
# ``retraining_cost_scorer`` looks at the shards and slices that were really cut, and
# returns the mean over all rows: minus the share of a full retrain that forgetting one
# of them takes. Accuracy decides which settings are refitted.

N_EPOCHS = 6
model = SGDClassifier(loss="log_loss", alpha=1e-5, average=True)
search = GridSearchCV(
    ShardedUnlearningClassifier(model, n_epochs=N_EPOCHS, random_state=0),
    {"n_shards": [1, 4, 16, 64], "n_slices": [1, 4]},
    scoring={"accuracy": "accuracy", "cost": retraining_cost_scorer},
    refit="accuracy",
    cv=3,
)
search.fit(X, y)

columns = {
    "param_n_slices": "slices",
    "param_n_shards": "shards",
    "mean_test_accuracy": "accuracy",
    "mean_test_cost": "cost",
}
results = pd.DataFrame(search.cv_results_)[list(columns)].rename(columns=columns)
results["cost"] *= -1
print(results.sort_values(["slices", "shards"]).round(4).to_string(index=False))

# %%
# The trade-off
# -------------
# Every point is a pair of settings. Four times as many shards divide the cost of a
# single request by four; four slices take a quarter off it.

figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
for n_slices, points in results.groupby("slices"):
    label = "one slice" if n_slices == 1 else f"{n_slices} slices"
    axes.plot("cost", "accuracy", "o-", data=points, label=label)
for point in results[results["slices"] == 1].itertuples():
    axes.annotate(
        point.shards,
        (point.cost, point.accuracy),
        xytext=(0, 7),
        textcoords="offset points",
        ha="center",
    )
axes.set(
    xscale="log",
    xlabel="rows trained again to forget one, as a share of a full retrain",
    ylabel="accuracy in cross-validation",
    title="Cheap forgetting costs accuracy (numbers: shards)",
    ymargin=0.1,
)
axes.legend()
plt.show()

# %%
# The same cost without a fit
# ---------------------------
# The closed form knows nothing of the rows but their number, and meets what the search
# has found.

n_train = len(X) * 2 // 3
full = n_train * N_EPOCHS
closed_form = expected_retrained_samples(
    n_train, n_shards=[1, 16, 64], n_epochs=N_EPOCHS
)
found = results[(results["slices"] == 1) & results["shards"].isin([1, 16, 64])]["cost"]
for formula, cost in zip(closed_form / full, found, strict=True):
    print(f"closed form {formula:.4f}, found {cost:.4f}")

# %%
# For a budget
# ------------
# Ten persons a day withdraw their consent and are forgotten in one nightly batch. Which
# settings keep that below a fifth of a full retrain?

print(
    recommend_shards(
        len(X),
        request_rate=10,
        max_cost=0.2 * len(X) * N_EPOCHS,
        n_epochs=N_EPOCHS,
        n_slices=[1, 4],
    )
)

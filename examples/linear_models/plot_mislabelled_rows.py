"""
Find wrong labels and forget their rows
=======================================

Some labels are wrong. Which ones is not known, but rows whose own removal raises their
loss much are suspicious: no other row says what they say. ``leave_one_out_loss`` scores
all rows at the price of a pass, the most suspicious ones are inspected, and those whose
label was wrong are forgotten, without training.

The data are a census, in which we turn one label in ten around, so that the answer is
known.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skunlearn import InfluenceUnlearningClassifier
from skunlearn.datasets import load_census

# %%
# Turn labels around
# ------------------
# The features are made without learning from rows: a scaler would remember what is
# forgotten.

rng = np.random.default_rng(0)
census, income = load_census(return_X_y=True)
census, true = census[:16_000], (income[:16_000] == ">50K").to_numpy()
numbers = np.log1p(census.select_dtypes("number")) / 5
words = pd.get_dummies(census.select_dtypes(exclude="number"))
X = np.hstack([numbers, words]).astype(float)
X, X_test, true, y_test = train_test_split(X, true, test_size=0.3, random_state=0)
is_wrong = rng.random(len(true)) < 0.1
y = true ^ is_wrong

# %%
# Score all rows
# --------------
# The loss that each row would have if it were left out, by the influence function.
# Beside it stand the loss in training and the self-influence of each row.

classifier = InfluenceUnlearningClassifier(LogisticRegression(C=0.1)).fit(X, y)
proba = classifier.predict_proba(X)[np.arange(len(y)), y.astype(int)]
scores = {
    "leave-one-out loss": classifier.leave_one_out_loss(),
    "loss in training": -np.log(proba),
    "self-influence": classifier.self_influence(),
    "at random": rng.random(len(y)),
}

figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
inspected = np.arange(1, len(y) + 1) / len(y)
for name, score in scores.items():
    order = np.argsort(-score)
    found = np.cumsum(is_wrong[order]) / is_wrong.sum()
    axes.plot(inspected, found, label=name)
    print(f"{name:18}: {found[len(y) // 5]:.0%} of them in a fifth of the rows")
axes.set(
    xlabel="rows inspected, the most suspicious first",
    ylabel="wrong labels that are among them",
    title="Where the wrong labels are",
    xlim=(0, 1),
    ylim=(0, 1),
)
axes.legend()
plt.show()

# %%
# Forget those that were wrong
# ----------------------------
# The first fifth is inspected by people, who see which labels are wrong. These rows are
# forgotten: the parameters move to where they are without them.

suspicious = np.argsort(-scores["leave-one-out loss"])[: len(y) // 5]
wrong = suspicious[is_wrong[suspicious]]
before = log_loss(y_test, classifier.predict_proba(X_test))
print(classifier.forget(wrong).forget_records_[-1])
after = log_loss(y_test, classifier.predict_proba(X_test))
clean = LogisticRegression(C=0.1, max_iter=1000).fit(X, true)
best = log_loss(y_test, clean.predict_proba(X_test))
print(f"loss on new rows: {before:.4f} before, {after:.4f} after")
print(f"                  {best:.4f} with all labels right")

# %%
# Do not forget all suspicious rows without looking: many are right and merely unusual,
# and the classifier would lose what it knows of such people.

blind = InfluenceUnlearningClassifier(LogisticRegression(C=0.1)).fit(X, y)
blind.forget(suspicious)
worse = log_loss(y_test, blind.predict_proba(X_test))
print(f"all suspicious rows forgotten, right ones too: {worse:.4f}")

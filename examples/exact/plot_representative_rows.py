"""
Train on representative rows
============================

Most rows of a class say what others have said already. A classifier that is trained on
representative ones alone forgets most rows for free: it has never learnt from them.
Which rows are picked does not depend on those that are not, so this is exact too.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits, make_moons
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skunlearn import RepresentativeSelection, ShardedUnlearningClassifier

# %%
# What is picked
# --------------
# The rows that together say most: the outline of a class first, then what lies between,
# and near duplicates last. ``select`` takes all rows as one class, to try settings on.

points, moon = make_moons(600, noise=0.12, random_state=0)
figure, panels = plt.subplots(
    1, 3, figsize=(10, 3.2), layout="constrained", sharex=True, sharey=True
)
for axes, length_scale in zip(panels, (0.05, 0.4, 3.0), strict=True):
    selection = RepresentativeSelection(0.1, length_scale=length_scale)
    for which, color in ((0, "C0"), (1, "C1")):
        rows = points[moon == which]
        picked = rows[selection.select(rows)]
        axes.plot(*rows.T, ".", color=color, alpha=0.2)
        axes.plot(*picked.T, "o", color=color, ms=5)
    axes.set_title(f"length_scale={length_scale}")
figure.suptitle("A tenth of each class")
plt.show()

# %%
# The length scale says at what distance two rows stop being alike. It is a constant,
# and so is the scale of the columns: whatever is estimated from the rows would remember
# them.
#
# Accuracy against cost
# ---------------------
# Digits, whose pixels are divided by 16. The more rows are picked the better the
# classifier, and the fewer requests are free.

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X / 16, y, random_state=0)
asked = np.random.default_rng(0).choice(len(y), 150, replace=False)
fractions = [0.1, 0.2, 0.4, 0.7, 1.0]
accuracy, free, cost = [], [], []
for fraction in fractions:
    selection = RepresentativeSelection(fraction, length_scale=2.0)
    classifier = ShardedUnlearningClassifier(
        LogisticRegression(max_iter=300),
        n_shards=4,
        selection=None if fraction == 1 else selection,
        random_state=0,
    ).fit(X, y)
    trained = [classifier.preview_forget(i).n_samples_retrained for i in asked]
    accuracy.append(classifier.score(X_test, y_test))
    free.append(np.mean(np.equal(trained, 0)))
    cost.append(np.mean(trained))
    print(f"{fraction:4.0%}: accuracy {accuracy[-1]:.3f}, {free[-1]:4.0%} are free")

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
left.plot(fractions, accuracy, "o-", label="accuracy")
left.plot(fractions, free, "s-", label="requests that are free")
left.set(xlabel="share of rows picked", ylim=(0, 1.02))
left.legend(loc="center right")
right.plot(fractions, cost, "o-", color="C2")
right.set(xlabel="share of rows picked", ylabel="rows trained again, mean request")
figure.suptitle("Representative rows: accuracy and cost")
plt.show()

# %%
# One that is free
# ----------------
# The record of a row that was not picked says that nothing was trained.

selection = RepresentativeSelection(0.2, length_scale=2.0)
classifier = ShardedUnlearningClassifier(
    LogisticRegression(max_iter=300), n_shards=4, selection=selection, random_state=0
).fit(X, y)
costs = [classifier.preview_forget(i).n_samples_retrained for i in range(50)]
print(classifier.forget(int(np.argmin(costs))).forget_records_[-1])
print(classifier.forget(int(np.argmax(costs))).forget_records_[-1])

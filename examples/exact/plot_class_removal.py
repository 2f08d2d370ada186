"""
Remove a whole class
====================

A source of data, a product or a person to be recognised has to go, with all of its
rows. Where every class has a model of its own, this takes no training at all: the model
is dropped. The rows of that class are then taken for others, and for which ones is
shown here.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split

from skunlearn import ShardedUnlearningClassifier

# %%
# A density for each class
# ------------------------
# With ``partition="class"`` the estimator is fitted to the rows of each class alone. A
# mixture of Gaussians has a density, so that Bayes' rule makes a classifier of all of
# them.

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.4, random_state=0)
mixture = GaussianMixture(reg_covar=2.0)
by_class = ShardedUnlearningClassifier(
    mixture, partition="class", n_shards=1, random_state=0
)
forest = ShardedUnlearningClassifier(
    RandomForestClassifier(20), n_shards=10, random_state=0
)
for name, classifier in (("mixtures by class", by_class), ("forests", forest)):
    print(f"{name}: accuracy {classifier.fit(X, y).score(X_test, y_test):.3f}")
before = by_class.predict_proba(X_test)

# %%
# Forget the eights
# -----------------
# A mask over the rows of ``fit`` names them. In shards that mix the classes, all shards
# have to be trained again.

for name, classifier in (("mixtures by class", by_class), ("forests", forest)):
    start = time.perf_counter()
    record = classifier.forget(y == 8).forget_records_[-1]
    seconds = time.perf_counter() - start
    print(f"{name}: {record.n_samples_retrained} rows trained again in {seconds:.2f} s")
print("classes that are left:", by_class.classes_)

# %%
# What is an eight now?
# ---------------------
# The other classes answer as they did: their models have never seen an eight. On the
# left the classes that the eights of the test set are given; on the right some of the
# pictures, with the answer before and after.

eights = y_test == 8
after = by_class.predict_proba(X_test)
taken_for = by_class.predict(X_test[eights])
others = np.delete(before, 8, axis=1)
others /= others.sum(axis=1, keepdims=True)
is_same = np.allclose(others[~eights], after[~eights], atol=0.02)
print("the other rows are answered as before, up to the prior:", is_same)

figure = plt.figure(figsize=(9, 4), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1, 1.1])
axes = left.subplots()
labels, counts = np.unique(taken_for, return_counts=True)
axes.bar(labels.astype(str), counts, color="C1")
axes.set(xlabel="class", ylabel="test rows", title="What the eights are taken for")
grid = right.subplots(2, 4).ravel()
shown = np.flatnonzero(eights)[:8]
for axes, row in zip(grid, shown, strict=True):
    axes.imshow(X_test[row].reshape(8, 8), cmap="gray_r")
    answers = before[row].argmax(), by_class.classes_[after[row].argmax()]
    axes.set_title("{} → {}".format(*answers))
    axes.set_axis_off()
plt.show()

# %%
# One row of a class trains the model of that class again, and nothing else.

print(by_class.forget(int(np.flatnonzero(y == 3)[0])).forget_records_[-1])

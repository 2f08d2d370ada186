"""
Forget rows of a linear model without training
==============================================

A logistic regression is the minimum of a smooth function, and a row that goes moves
the minimum a little. ``InfluenceUnlearningClassifier`` moves the parameters there, by
Newton steps, and bounds how far they can be from those that training without the row
gives. With PUMA it also keeps a criterion in view; what that costs is shown
:ref:`here <sphx_glr_auto_examples_linear_models_plot_reabsorption.py>`.

The data are a census of 48,842 persons: does somebody earn more than 50,000 dollars a
year?
"""

import copy
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from skunlearn import InfluenceUnlearningClassifier
from skunlearn.datasets import load_census

# %%
# Load the data
# -------------
# Transformers in a pipeline would stay as they were fitted, and remember the rows. So
# the features are made without learning from rows: numbers are divided by constants,
# and the answers that the questionnaire offers get a column each. One part is for
# training, one for PUMA's criterion, and one to judge by.

census, income = load_census(return_X_y=True)
y = (income == ">50K").to_numpy()
numbers = census.select_dtypes("number")
words = pd.get_dummies(census.select_dtypes(exclude="number"))
X = np.hstack([np.log1p(numbers) / 5, words]).astype(float)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.2, random_state=0)
X, X_val, y, y_val = train_test_split(X, y, test_size=0.2, random_state=0)
print(f"{X.shape[0]:,} rows, {X.shape[1]} columns")

# %%
# Forget one row in a hundred
# ---------------------------
# They are the rows that help most: those whose removal would raise the log loss on the
# rows of the criterion most. Beside the two methods stands a fit without them, by a
# solver that goes all the way to the minimum; scikit-learn's default stops before it.

model = LogisticRegression(C=0.1)
newton = InfluenceUnlearningClassifier(model, method="newton")
newton.fit(X, y, X_val=X_val, y_val=y_val)
puma = InfluenceUnlearningClassifier(model, method="puma", random_state=0)
puma.fit(X, y, X_val=X_val, y_val=y_val)
gone = np.argsort(newton.contributions())[-len(X) // 100 :]


def refit(keep, **weights):
    """Return a model at the minimum, trained on some rows."""
    retrained = LogisticRegression(C=0.1, solver="newton-cholesky", tol=1e-10)
    return retrained.fit(X[keep], y[keep], **weights)


def measure(fitted, reference):
    """Return the distance between the parameters of two models."""
    moved = fitted.coef_ - reference.coef_, fitted.intercept_ - reference.intercept_
    return np.linalg.norm(np.hstack([part.ravel() for part in moved]))


def ask(fitted):
    """Return the log losses on rows to judge by, and on the forgotten ones."""
    return [
        log_loss(part_y, fitted.predict_proba(part_X))
        for part_X, part_y in ((X_test, y_test), (X[gone], y[gone]))
    ]


keep = np.delete(np.arange(len(X)), gone)
start = time.perf_counter()
retrained = refit(keep)
seconds = time.perf_counter() - start
rows = [("before", None, None, None, *ask(newton))]
rows.append(("refit", seconds, None, None, *ask(retrained)))
for name, before in (("newton", newton), ("puma", puma)):
    after = copy.copy(before).forget(gone)
    record = after.forget_records_[-1]
    error = measure(after.estimator_, retrained)
    bound = record.distance_bound
    rows.append((name, record.seconds, error, bound, *ask(after)))
columns = ["model", "seconds", "distance", "bound", "test loss", "forgotten rows' loss"]
table = pd.DataFrame(rows, columns=columns)
print(table.to_string(float_format="{:.3g}".format, na_rep="-", index=False))

# %%
# The distance is that to the refit. Newton's steps end where the refit does, and the
# bound says so. PUMA ends elsewhere, on purpose: rows that stay have new weights, and
# its bound is that of the distance to the model that is trained with these.

reference = refit(keep, sample_weight=after.weights_[keep])
print(f"bound {after.distance_bound_:.1e}, distance", end=" ")
print(f"{measure(after.estimator_, reference):.1e} to the model with the new weights")

# %%
# A sequence of requests
# ----------------------
# With ``n_steps=1`` a request makes one step from what is known, without a pass over
# the rows that stay. What a step leaves undone is known in part, and the next one makes
# up for it. The bound is loose, since it has to hold whatever the rows. By default,
# further steps are made as soon as it is too large.

one_step = InfluenceUnlearningClassifier(model, method="newton", n_steps=1).fit(X, y)
steps = InfluenceUnlearningClassifier(model, method="newton").fit(X, y)
requests = np.random.default_rng(0).choice(len(X), (15, 2), replace=False)
points = []
for i, request in enumerate(requests, 1):
    reference = refit(np.delete(np.arange(len(X)), requests[:i]))
    for classifier in (one_step.forget(request), steps.forget(request)):
        points.append(classifier.distance_bound_)
        points.append(measure(classifier.estimator_, reference))
points = np.reshape(points, (-1, 4))

figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
labels = "bound, one step", "distance", "bound, by default", "distance"
for column, label, style in zip(
    points.T, labels, ("C0--", "C0-", "C1--", "C1-"), strict=True
):
    axes.plot(2 * np.arange(1, 16), column, style, label=label)
axes.set(
    yscale="log",
    xlabel="rows forgotten, two at a time",
    ylabel="distance to the retrained parameters",
    title="The bound is never passed",
)
figure.legend(loc="outside lower center", ncols=4)
plt.show()

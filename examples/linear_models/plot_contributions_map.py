"""
A map of what each row contributes
==================================

Which rows hold a model up, and which pull it down? ``contributions`` says for each row
how a criterion would change if it were removed, and ``self_influence`` how far the
parameters would move. Nothing is trained for it.

The rows have two features, so that they can be drawn, and one label in fifteen is
turned around.
"""

import copy

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import log_loss

from skunlearn import InfluenceUnlearningClassifier
from skunlearn.plotting import ContributionDisplay

# %%
# Two classes that overlap
# ------------------------
# The criterion is the log loss on rows with clean labels that the classifier is not
# trained on. Contributions are only as good as these.

rng = np.random.default_rng(0)
y = rng.integers(2, size=1300)
X = rng.normal(size=(1300, 2)) + np.where(y[:, None] == 1, 1.0, -1.0)
X, X_val, y, y_val = X[:300], X[300:], y[:300], y[300:]
is_wrong = rng.random(len(y)) < 1 / 15
y = np.where(is_wrong, 1 - y, y)

classifier = InfluenceUnlearningClassifier(method="newton")
classifier.fit(X, y, X_val=X_val, y_val=y_val)
contributions = classifier.contributions()
pulls = classifier.self_influence()
print(f"{np.mean(contributions < 0):.0%} of the rows do harm")
print(f"{np.mean(contributions[is_wrong] < 0):.0%} of those with wrong labels")

# %%
# The map
# -------
# On the left, crosses are wrong labels. Rows on the wrong side of the line do harm, the
# more the farther they are from it; others help a little, and most of all those near to
# it. On the right, each row's effect on the criterion stands beside its pull on the
# parameters. Rows that do not pull have no effect, and those that pull most do harm.

figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
limit = np.quantile(np.abs(contributions), 0.9)
style = {"cmap": "PuOr", "vmin": -limit, "vmax": limit, "edgecolors": "0.3"}
for label, marker in ((0, "o"), (1, "s")):
    part = y == label
    colours = contributions[part]
    points = axes[0].scatter(*X[part].T, c=colours, marker=marker, lw=0.4, **style)
axes[0].scatter(*X[is_wrong].T, c="black", marker="x", s=18, label="wrong label")
weights, intercept = classifier.coef_[0], classifier.intercept_[0]
ends = np.array([-4.0, 4.0])
axes[0].plot(ends, -(weights[0] * ends + intercept) / weights[1], "0.3")
axes[0].set(xlabel="first feature", ylabel="second feature", ylim=(-4.5, 4.5))
axes[0].legend(loc="upper right")
figure.colorbar(points, ax=axes[0], label="contribution (< 0: the row harms)")

axes[1].scatter(pulls, contributions, c=contributions, lw=0.4, **style)
axes[1].scatter(pulls[is_wrong], contributions[is_wrong], c="black", marker="x", s=18)
axes[1].axhline(0, color="0.5", lw=0.8)
axes[1].set(xscale="log", xlabel="self-influence", ylabel="contribution")
plt.show()

# %%
# The rows at both ends
# ---------------------
# Bars have the positions that ``forget`` takes.

ContributionDisplay.from_estimator(classifier, n_rows=8)
plt.show()

# %%
# How far the sum can be trusted
# ------------------------------
# Contributions are slopes: added up, they predict the removal of a few rows. The more
# rows go, the less they say. The removal of helpful rows does more harm than predicted,
# and that of harmful rows less good: for the first there are ever fewer rows to take
# over their part, and after the second the others are no longer harmful.


def measure(fitted):
    """Return the criterion."""
    return log_loss(y_val, fitted.predict_proba(X_val))


order = np.argsort(contributions)
before = measure(classifier)
for words, rows in (("harmful", order), ("helpful", order[::-1])):
    for n_rows in (3, 15, 60):
        gone = rows[:n_rows]
        after = measure(copy.copy(classifier).forget(gone))
        predicted = contributions[gone].sum()
        print(
            f"{n_rows:2} most {words} rows gone: predicted {predicted:+.4f}, "
            f"measured {after - before:+.4f}"
        )

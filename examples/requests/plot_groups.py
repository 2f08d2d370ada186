"""
Forget all rows of a person
===========================

Most people have several rows. If these were spread over all shards, forgetting one
person would train nearly everything again. With ``groups`` the rows of a person share a
shard, and forgetting all of them costs about what forgetting one row does.

The data are a census; who handed in which rows is made up.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier

from skunlearn import ShardedUnlearningClassifier
from skunlearn.datasets import load_census

# %%
# Rows of people
# --------------
# Of 12,000 rows, most people have one or two, and some have dozens. Their ids are
# random numbers, since hashes of ids stay in the classifier: names could be guessed.

rng = np.random.default_rng(0)
X, y = load_census(return_X_y=True)
X, y = X[:12_000], y[:12_000]
share = rng.pareto(1.3, 4_000)
person = rng.choice(rng.integers(10**9, size=4_000), len(X), p=share / share.sum())
ids, counts = np.unique(person, return_counts=True)
print(f"{len(ids):,} people, with {counts.min()} to {counts.max()} rows each")

# %%
# Two classifiers
# ---------------
# Both have 20 shards. One knows whose each row is, the other one does not.

encoder = make_column_transformer(
    (
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        make_column_selector(dtype_exclude="number"),
    ),
    remainder="passthrough",
)
tree = make_pipeline(encoder, DecisionTreeClassifier(max_depth=8))
by_person = ShardedUnlearningClassifier(tree, n_shards=20, random_state=0)
by_person.fit(X, y, groups=person)
by_row = ShardedUnlearningClassifier(tree, n_shards=20, random_state=0).fit(X, y)

# %%
# What would it cost?
# -------------------
# ``preview_forget`` says what a request would train, and changes nothing. We ask for
# one person of every number of rows.

examples = pd.Series(ids, index=counts).groupby(level=0).first()
points = []
for n_rows, one in examples.items():
    positions = np.flatnonzero(person == one)
    together = by_person.preview_forget(groups=[one])
    apart = by_row.preview_forget(positions)
    points.append((n_rows, together.n_samples_retrained, apart.n_samples_retrained))
n_rows, together, apart = np.transpose(points)

figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
axes.plot(n_rows, apart / len(X), "o-", label="rows on their own")
axes.plot(n_rows, together / len(X), "s-", label="with groups")
axes.axhline(1 / 20, color="gray", ls=":", label="one shard of 20")
axes.set(
    xscale="log",
    xlabel="rows of the person",
    ylabel="rows trained again, as a share of all",
    title="With groups, a person costs one shard",
    ylim=(0, 1.05),
)
axes.legend()
plt.show()

# %%
# Forget one
# ----------
# The most active person withdraws. Afterwards the classifier knows no group of this id.

busiest = ids[counts.argmax()]
print(by_person.forget(groups=[busiest]).forget_records_[-1])
print("rows left of this person:", len(by_person.find_positions(busiest)))

# %%
# The price: shards are as uneven as people are. The largest shard has the busiest
# person and takes longest to train again.

sizes = [
    by_person.preview_forget(groups=[one]).n_samples_retrained
    for one in ids[rng.choice(len(ids), 200, replace=False)]
    if by_person.has_groups([one])[0]
]
print(f"shards have {min(sizes)} to {max(sizes)} rows")

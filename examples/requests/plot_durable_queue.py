"""
Acknowledge requests by day, forget by night
============================================

Requests to be forgotten come one by one, and each must be acknowledged so that it
cannot be lost. Training for each of them would be wasteful: most touch a shard that
another request of the same day touches too. With a store on disk, a request is
acknowledged by one write (`enqueue`), and at night all of them are forgotten in one
batch (`process_queue`).
"""

import tempfile
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from skunlearn import ShardedUnlearningClassifier
from skunlearn.checkpoints import audit
from skunlearn.datasets import load_census

# %%
# A model in a store
# ------------------
# The numbers of a census of 48,842 persons, each of whom may ask to be forgotten.

census, income = load_census(return_X_y=True)
X = census.select_dtypes("number").to_numpy(dtype=float)
y = (income == ">50K").to_numpy()
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
persons = np.array([f"person-{i}" for i in range(len(y_train))])

folder = tempfile.TemporaryDirectory()
classifier = ShardedUnlearningClassifier(
    RandomForestClassifier(n_estimators=10),
    n_shards=10,
    checkpoint_store=f"{folder.name}/store",
    random_state=0,
)
classifier.fit(X_train, y_train, groups=persons)

# %%
# Seven days
# ----------
# Every day 150 persons withdraw their consent, older ones more often. The time of each
# acknowledgement is taken, and the accuracy at the end of each night.

N_DAYS, N_REQUESTS = 7, 150
rng = np.random.default_rng(0)
age = X_train[:, 0]
leavers = rng.choice(
    persons, size=(N_DAYS, N_REQUESTS), replace=False, p=age / age.sum()
)
waits, nights, accuracies = [], [], [classifier.score(X_test, y_test)]
for day in leavers:
    for person in day:
        start = time.perf_counter()
        classifier.enqueue(groups=person)
        waits.append(time.perf_counter() - start)
    start = time.perf_counter()
    classifier.process_queue()
    nights.append(time.perf_counter() - start)
    accuracies.append(classifier.score(X_test, y_test))
print(f"an acknowledgement takes {1000 * np.median(waits):.1f} ms")
print(f"a night takes {np.median(nights):.1f} s, for {N_REQUESTS} requests")
print(classifier.forget_records_[-1])

# %%
# For comparison: one request that is carried out at once.

start = time.perf_counter()
classifier.forget(groups=persons[~np.isin(persons, leavers)][0])
at_once = time.perf_counter() - start
print(f"one forget takes {at_once:.2f} s")

# %%
# Plot
# ----

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
left.hist(1000 * np.array(waits), bins=40, color="C0")
left.axvline(1000 * at_once, color="C3", label="forget at once")
left.set(xscale="log", xlabel="ms until a request is acknowledged", ylabel="requests")
left.legend()
right.plot(range(N_DAYS + 1), accuracies, "o-", color="C2")
right.set(
    xlabel="nights",
    ylabel="accuracy",
    ylim=(accuracies[0] - 0.02, accuracies[0] + 0.02),
)
figure.tight_layout()

# %%
# What is there to show
# ---------------------
# An audit trains a shard again from its rows, and compares bits.

print(audit(f"{folder.name}/store", shards=0))
del classifier
folder.cleanup()

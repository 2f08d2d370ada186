"""
Forget in the last layer of a network
=====================================

A convolutional network from skorch reads digits. Its last layer is a logistic
regression on the features that the layers before it have learnt, and that regression
can forget without training. What the features themselves have seen, stays: this example
also shows how to forget in all layers, and what that costs.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier

from skunlearn import InfluenceUnlearningClassifier, ShardedUnlearningClassifier

# %%
# A network
# ---------
# It is an ordinary network that ends in a ``Linear`` layer. The module is passed as a
# class, and ``train_split=None`` lets the layers learn from all rows.


class Convolutional(torch.nn.Module):
    """Two convolutions, and a layer of 10 logits on 64 features."""

    def __init__(self):
        super().__init__()
        self.features = torch.nn.Sequential(
            torch.nn.Unflatten(1, (1, 8, 8)),
            torch.nn.Conv2d(1, 8, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
            torch.nn.Conv2d(8, 16, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
            torch.nn.Flatten(),
        )
        self.last = torch.nn.Linear(64, 10)

    def forward(self, X):
        """Return logits."""
        return self.last(self.features(X / 16))


X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, random_state=0)
network = NeuralNetClassifier(
    Convolutional,
    criterion=torch.nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    optimizer__weight_decay=1e-3,
    lr=0.01,
    max_epochs=15,
    iterator_train__shuffle=True,
    train_split=None,
    verbose=0,
)

# %%
# Forget in the head
# ------------------
# ``scope="head"`` says that it is known what does not forget; without it, `fit` warns.
# A request takes no training, and the head is then the one that a fit to the same
# features of the retained rows gives, bit for bit.

head = InfluenceUnlearningClassifier(network, scope="head", random_state=0).fit(X, y)
print(f"accuracy: {head.score(X_test, y_test):.3f}")
gone = np.flatnonzero(y == 8)[::2]  # half of the eights
print(head.forget(gone).forget_records_[-1])
print(f"exact head: {head.exact_}, accuracy: {head.score(X_test, y_test):.3f}")
net = head.estimator_  # the net itself, with a new last layer
print(type(net).__name__, net.module_.last.weight.shape)

# %%
# Which rows matter
# -----------------
# ``self_influence`` finds digits that no other row explains.

scores = head.self_influence()
strangest = head.retained_indices_[np.argsort(-scores)[:8]]
figure, axes = plt.subplots(1, 8, figsize=(8, 1.4), layout="constrained")
for ax, row in zip(axes, strangest, strict=True):
    ax.imshow(X[row].reshape(8, 8), cmap="gray_r")
    ax.set(xticks=[], yticks=[], title=f"{y[row]}")
figure.suptitle("Digits with the largest self-influence, and their labels")
plt.show()

# %%
# Forget in all layers
# --------------------
# Shards train the network again where the rows were. For these rows that is everywhere;
# a single row costs a shard.

start = time.perf_counter()
clone(network).fit(X.astype(np.float32), y)
print(f"one training of the network: {time.perf_counter() - start:.1f} s")
sharded = ShardedUnlearningClassifier(network, n_shards=4, random_state=0).fit(X, y)
print(f"accuracy: {sharded.score(X_test, y_test):.3f}")
print(sharded.forget(gone[0]).forget_records_[-1])

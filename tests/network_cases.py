"""What tests of networks share: real nets whose layers stay as they were drawn."""

import numpy as np
import skorch
import torch
from influence_support import make_rows
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skunlearn import InfluenceUnlearningClassifier

NAMES = np.array(["ash", "birch", "cedar"])


class Module(torch.nn.Module):
    """A layer with dropout, and one that gives probabilities or logits."""

    def __init__(self, n_outputs=3, is_soft=True):
        super().__init__()
        self.hidden = torch.nn.Linear(3, 6)
        self.dropout = torch.nn.Dropout(0.3)
        self.last = torch.nn.Linear(6, n_outputs)
        self.is_soft = is_soft

    def forward(self, X):
        """Return what the criterion takes."""
        Z = self.last(self.dropout(torch.tanh(self.hidden(X))))
        return torch.softmax(Z, dim=-1) if self.is_soft else Z


class BinaryModule(Module):
    """One output, a logit."""

    def __init__(self):
        super().__init__(1, is_soft=False)

    def forward(self, X):
        """Return logits."""
        return super().forward(X).squeeze(-1)


def make_net(kind=skorch.NeuralNetClassifier, **params):
    """Return a net that is initialised and, unless told otherwise, learns nothing."""
    params = {
        "module": Module,
        "max_epochs": 1,
        "lr": 0.0,
        "train_split": None,
        "verbose": 0,
        "iterator_train__shuffle": True,
        **params,
    }
    return kind(**params)


def make_perceptron(**params):
    """Return a perceptron that does not move from where it begins."""
    params = {
        "solver": "sgd",
        "learning_rate_init": 1e-300,
        "max_iter": 1,
        "random_state": 5,
        "hidden_layer_sizes": (7, 5),
        "alpha": 0.02,
        **params,
    }
    return MLPClassifier(**params)


LOGITS = {"module__is_soft": False, "criterion": torch.nn.CrossEntropyLoss}
BINARY = {"module": BinaryModule, "kind": skorch.NeuralNetBinaryClassifier}

# Each network, and the number of classes that it is tried on.
NETWORKS = {
    "perceptron": (make_perceptron(), 3),
    "binary_perceptron": (make_perceptron(activation="tanh"), 2),
    "shallow_perceptron": (make_perceptron(hidden_layer_sizes=()), 3),
    "small_batches": (make_perceptron(batch_size=20), 3),
    "pipeline": (make_pipeline(FunctionTransformer(), make_perceptron()), 3),
    "softmax": (make_net(), 3),
    "logits": (make_net(optimizer__weight_decay=0.01, **LOGITS), 3),
    "two_outputs": (make_net(module__n_outputs=2), 2),
    "one_output": (make_net(optimizer__weight_decay=0.01, **BINARY), 2),
    "net_in_pipeline": (make_pipeline(FunctionTransformer(), make_net()), 3),
}


def make_data(n_classes=3, n_rows=90, seed=0):
    """Return rows of overlapping classes, with some wrong labels, and their names."""
    X, codes = make_rows(n_rows, 3, n_classes, seed)
    codes[::9] = (codes[::9] + 1) % n_classes
    return X.astype(np.float32).astype(float), NAMES[codes]


def make_case(name="perceptron", **params):
    """Return an unfitted classifier on one of NETWORKS."""
    params = {"scope": "head", "random_state": 3, **params}
    return InfluenceUnlearningClassifier(clone(NETWORKS[name][0]), **params)


def fit_case(name="perceptron", **params):
    """Return a fitted classifier and what it was fitted to."""
    X, y = make_data(NETWORKS[name][1])
    return make_case(name, **params).fit(X, y), X, y


def get_head(classifier):
    """Return the fitted head."""
    return classifier._state.optimum.estimator


def get_features(classifier, X):
    """Return what goes into the last layer."""
    return classifier._state.network.transform(X)

"""skorch nets in shards: with slices, bit for bit, and without their traps."""

import copy
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support import fit_anew, make_data, thin

from skunlearn import ShardedUnlearningClassifier
from skunlearn.exceptions import UnlearningQualityWarning, UnsupportedEstimatorError

torch = pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")

X, Y = make_data()


class Module(torch.nn.Module):
    """A small net with a random layer, so that every generator matters."""

    def __init__(self, n_outputs=3):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(4, 5),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.3),
            torch.nn.Linear(5, n_outputs),
            torch.nn.Softmax(dim=-1),
        )

    def forward(self, X):
        """Return probabilities."""
        return self.layers(X)


class BinaryModule(Module):
    """One output, a logit."""

    def __init__(self):
        super().__init__(n_outputs=1)

    def forward(self, X):
        """Return logits."""
        return self.layers[:-1](X).squeeze(-1)


def make_net(**params):
    """Return a net with a stateful optimiser and shuffled batches."""
    params = {
        "module": Module,
        "max_epochs": 2,
        "optimizer": torch.optim.Adam,
        "batch_size": 8,
        "iterator_train__shuffle": True,
        "train_split": None,
        "verbose": 0,
        **params,
    }
    return skorch.NeuralNetClassifier(**params)


LAYOUTS = {
    "default": {"n_shards": 3},
    "cumulative": {"n_shards": 2, "n_slices": 3},
    "sequential": {
        "n_shards": 2,
        "n_slices": 3,
        "slice_training": "sequential",
        "n_epochs": 2,
    },
    "replicas": {"n_shards": 4, "n_replicas": 2, "voting": "hard"},
}


def make_case(layout, base=None, **params):
    """Return an unfitted classifier of nets."""
    base = make_net() if base is None else base
    params = {**LAYOUTS[layout], "random_state": 0, **params}
    return ShardedUnlearningClassifier(base, **params)


def assert_same_nets(first, second):
    """Compare predictions, and weights and optimisers of all checkpoints, by bits."""
    np.testing.assert_array_equal(first.classes_, second.classes_)
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    for mine, other in zip(first._state.shards, second._state.shards, strict=True):
        for states in zip(mine.states, other.states, strict=True):
            a, b = (getattr(state, "estimator", None) for state in states)
            assert type(a) is type(b)
            if hasattr(a, "estimator_"):
                assert_same_net(a.estimator_, b.estimator_)


def assert_same_net(first, second):
    """Compare weights and the optimiser's state."""
    for name in ("module_", "optimizer_"):
        mine, other = (getattr(net, name).state_dict() for net in (first, second))
        assert repr(mine) == repr(other)  # structure, and values in short
    for a, b in zip(
        first.module_.parameters(), second.module_.parameters(), strict=True
    ):
        assert torch.equal(a, b)
        mine, other = first.optimizer_.state[a], second.optimizer_.state[b]
        assert torch.equal(mine["exp_avg_sq"], other["exp_avg_sq"])


@pytest.mark.parametrize("layout", thin(LAYOUTS, 2))
@settings(max_examples=6)
@given(
    requests=st.lists(
        st.tuples(st.booleans(), st.lists(st.integers(0, 59), min_size=1)), max_size=3
    )
)
def test_streams_of_requests(layout, requests):
    """Laws 1 and 8."""
    classifier = make_case(layout).fit(X, Y)
    for retrain, request in requests:
        if np.setdiff1d(classifier.retained_indices_, request).size:
            classifier.forget(request, retrain=retrain)
    classifier.retrain()
    assert_same_nets(classifier, fit_anew(classifier, X, Y))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_class_that_disappears(layout):
    """The net keeps its outputs; those without a class are not asked."""
    classifier = make_case(layout).fit(X, Y).forget(Y == "birch")
    assert classifier.predict_proba(X).shape == (60, 2)
    np.testing.assert_allclose(classifier.predict_proba(X).sum(axis=1), 1)
    assert_same_nets(classifier, fit_anew(classifier, X, Y))


@pytest.mark.parametrize("layout", ["default", "cumulative"])
@pytest.mark.parametrize("backend", thin(["threading", "sequential", "loky"]))
def test_jobs_and_backends(layout, backend):
    """Law 4: torch's generator belongs to the process, and still nothing races."""
    expected = make_case(layout).fit(X, Y).forget([1, 2, 30])
    with joblib.parallel_config(backend, n_jobs=2):
        classifier = make_case(layout).fit(X, Y).forget([1, 2, 30])
    assert_same_nets(expected, classifier)


def test_generators_of_the_process_are_left_alone():
    """Training seeds torch and numpy, and puts back what was."""
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    make_case("cumulative").fit(X, Y)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_partial_fit():
    """New rows of a new class, some of which are forgotten."""
    rows = np.argsort(Y, kind="stable")
    data, labels = X[rows], Y[rows]
    classifier = make_case("cumulative").fit(data[:40], labels[:40])
    classifier.partial_fit(data[40:], labels[40:]).forget(range(40, 45))
    fresh = make_case("cumulative").fit(data[:40], labels[:40], groups=range(40))
    fresh.partial_fit(data[45:], labels[45:], groups=range(45, 60))
    assert_same_nets(classifier, fresh)


@pytest.mark.parametrize("convert", [pd.DataFrame, np.float32])
def test_containers(convert):
    """Float64, frames: the net sees 32-bit arrays."""
    data = convert(X)
    classifier = make_case("default").fit(data, Y).forget([1, 2])
    expected = make_case("default").fit(X, Y).forget([1, 2])
    np.testing.assert_array_equal(
        classifier.predict_proba(data), expected.predict_proba(X)
    )


def test_sparse_rows_are_refused():
    """A net takes dense rows only, and says so."""
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        make_case("default").fit(sparse.csr_array(X), Y)


def test_a_pipeline_that_ends_in_a_net():
    """Wrapped whole, the scaler forgets too."""
    base = make_pipeline(StandardScaler(), make_net())
    classifier = make_case("default", base).fit(X, Y).forget([1, 2, 3])
    np.testing.assert_array_equal(
        classifier.predict_proba(X), fit_anew(classifier, X, Y).predict_proba(X)
    )
    with pytest.raises(UnsupportedEstimatorError, match="n_slices=3"):
        make_case("cumulative", base).fit(X, Y)


def test_two_classes_with_one_output():
    """The binary net of skorch has targets of another type."""
    net = skorch.NeuralNetBinaryClassifier(
        BinaryModule, train_split=None, verbose=0, max_epochs=2
    )
    classifier = make_case("cumulative", net).fit(X, Y == "ash").forget([1, 2])
    expected = fit_anew(classifier, X, Y == "ash")
    np.testing.assert_array_equal(
        classifier.predict_proba(X), expected.predict_proba(X)
    )
    assert classifier.predict(X).dtype == bool


def test_an_instance_of_a_module_is_refused():
    """Its clone would start from trained weights."""
    with pytest.raises(UnsupportedEstimatorError, match="instance of a module"):
        make_case("default", make_net(module=Module())).fit(X, Y)


def test_rows_held_out_are_named():
    """The default train_split takes rows out of training."""
    net = make_net().set_params(train_split=skorch.dataset.ValidSplit(5))
    with pytest.warns(UnlearningQualityWarning, match="train_split"):
        make_case("default", net).fit(X, Y)


def test_too_few_outputs():
    """A net of two outputs cannot tell three classes."""
    net = make_net(module__n_outputs=2)
    with pytest.raises((UnsupportedEstimatorError, IndexError)):
        make_case("default", net).fit(X, Y).predict(X)


def test_weights_are_refused():
    """A skorch net takes no weights."""
    with pytest.raises(UnsupportedEstimatorError, match="does not take"):
        make_case("default").fit(X, Y, sample_weight=np.ones(60))


def test_nets_are_cloned_and_copied():
    """The given net is neither trained nor kept."""
    net = make_net()
    classifier = make_case("default", net).fit(X, Y)
    assert not hasattr(net, "module_")
    again = copy.deepcopy(classifier).forget([1])
    assert_same_nets(again, clone(classifier).fit(X, Y).forget([1]))


OPTIMIZERS = [
    "ASGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "LBFGS",
    "NAdam",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGD",
]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimisers_go_on_from_copies(name):
    """Law 1 with slices, also from a pickle, whatever an optimiser keeps."""
    net = make_net(optimizer=getattr(torch.optim, name), max_epochs=1)
    classifier = make_case("cumulative", net).fit(X, Y)
    classifier = pickle.loads(pickle.dumps(classifier)).forget([1, 2, 30])
    fresh = fit_anew(classifier, X, Y)
    proba = classifier.predict_proba(X)
    np.testing.assert_array_equal(proba, fresh.predict_proba(X))
    assert np.isfinite(proba).all()


def test_state_of_an_optimiser_is_copied():
    """Slices of which each goes on are not slices of which each starts afresh."""
    net = make_net(optimizer=torch.optim.LBFGS, module=Module, max_epochs=1)
    layout = {"n_shards": 1, "n_slices": 2, "slice_training": "sequential"}
    classifier = ShardedUnlearningClassifier(net, random_state=0, **layout).fit(X, Y)
    first, last = (s.estimator.estimator_ for s in classifier._state.shards[0].states)
    steps = [net.optimizer_.state_dict()["state"][0]["n_iter"] for net in (first, last)]
    assert 0 < steps[0] < steps[1]


@pytest.mark.parametrize("n_negatives", [1, 2])
@pytest.mark.parametrize("n_slices", [1, 2])
def test_nets_by_class(n_slices, n_negatives):
    """Law 1 where each net learns its class against others."""
    classifier = ShardedUnlearningClassifier(
        make_net(module__n_outputs=2),
        partition="class",
        n_shards=2,
        n_slices=n_slices,
        n_negatives=n_negatives,
        random_state=0,
    ).fit(X, Y)
    assert classifier.predict_proba(X).shape == (60, 3)
    for request in ([1, 2, 30], Y == "birch"):
        classifier.forget(request)
        assert_same_nets(classifier, fit_anew(classifier, X, Y))
    assert set(classifier.predict(X)) <= {"ash", "cedar"}


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_tables_of_nets_name_their_shard(n_jobs, capsys):
    """A net prints what it learns, and we in which shard."""
    with joblib.parallel_config("threading", n_jobs=n_jobs):
        make_case("default", make_net(verbose=1)).fit(X, Y)
    lines = capsys.readouterr().out.splitlines()
    for shard in (1, 2, 3):
        mine = [line for line in lines if line.startswith(f"[shard {shard}] ")]
        assert "train_loss" in mine[0]
        assert len(mine) == 4
    assert len(lines) == 12


SCRIPT = """
import sys, pickle
import numpy as np, torch
from skorch import NeuralNetClassifier
from skunlearn import ShardedUnlearningClassifier

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)

    def forward(self, X):
        return self.layer(X)

def run(n_jobs, n_slices, kind):
    net = NeuralNetClassifier(
        kind, criterion=torch.nn.CrossEntropyLoss, train_split=None, verbose=0
    )
    model = ShardedUnlearningClassifier(
        net, n_shards=2, n_slices=n_slices, n_jobs=n_jobs, random_state=0
    )
    return model.fit(X, y).forget([1, 2, 30]).predict_proba(X)

def local():
    class Local(Net):
        pass
    return Local

X = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
y = (X[:, 0] > 0).astype(int)
if __name__ == "__main__":
    for kind, n_slices in ((Net, 1), (Net, 2), (local(), 1)):
        one, two = (run(n_jobs, n_slices, kind) for n_jobs in (1, 2))
        assert np.array_equal(one, two)
    print("same")
"""


@pytest.mark.thorough
def test_module_of_a_script_with_jobs(tmp_path):
    """Its class cannot be sent back by a worker, so no worker is asked."""
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    command = [sys.executable, str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "same", result.stderr

"""Law 1 where all comes together: any partition, rows of any kind, picks, weights.

Rows come in batches and go, at once or later, and what is left is compared with a
fresh fit in the same layout.
"""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.mixture import GaussianMixture
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from support import assert_same_classifier, fit_in_layout, make_data

from skunlearn import RepresentativeSelection, ShardedUnlearningClassifier

N = 80
FIRST = 40  # rows of the first batch
X, Y = make_data(N)
RNG = np.random.default_rng(2)
PROBA = RNG.random(N).round(1)
WEIGHT = RNG.integers(0, 4, N).astype(float)
WEIGHT[:6] = 1.0

HOLES = np.where(RNG.random(X.shape) < 0.1, np.nan, X)
FRAME = pd.DataFrame(X, columns=list("abcd")).assign(
    kind=pd.Categorical(np.array(["x", "y", "z"])[RNG.integers(0, 3, N)])
)
ROWS = {
    "array": X,
    "sparse": sparse.csr_array(np.where(np.abs(X) > 0.5, X, 0.0)),
    "holes": HOLES,
    "frame": FRAME,
}

encode = make_column_transformer(
    (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["kind"]),
    remainder="passthrough",
)
impute = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
BASES = {
    "array": {
        "classifier": DecisionTreeClassifier(max_features=2),
        "resumable": SGDClassifier(loss="log_loss", max_iter=3, tol=None),
        "density": GaussianMixture(reg_covar=0.1),
        "bayes": GaussianNB(),
    },
    "sparse": {
        "classifier": LogisticRegression(),
        "resumable": SGDClassifier(max_iter=3, tol=None),
    },
    "holes": {
        "classifier": HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2),
        "pipeline": make_pipeline(impute, LogisticRegression()),
        "density": make_pipeline(impute, GaussianMixture(reg_covar=0.1)),
    },
    "frame": {
        "pipeline": make_pipeline(encode, LogisticRegression()),
        "density": make_pipeline(encode, GaussianMixture(reg_covar=0.1)),
    },
}
CASES = [(rows, base) for rows, bases in BASES.items() for base in bases]
NUMBERS = {
    "holes": FunctionTransformer(np.nan_to_num),
    "frame": make_column_transformer(("passthrough", ["a", "b"])),
}


@st.composite
def classifiers(draw, rows, base):
    """Draw an unfitted classifier."""
    partitions = ["class"]
    if base != "density":
        partitions += ["uniform", "distribution_aware", "class"]
    partition = draw(st.sampled_from(partitions))
    share = draw(st.sampled_from([None, 0.4, 0.4, 1.0]))
    selection = None
    if share is not None:
        selection = RepresentativeSelection(share, NUMBERS.get(rows), length_scale=1.5)
    params = {"n_shards": draw(st.integers(1, 3))}
    if partition != "distribution_aware" and params["n_shards"] > 1:
        params["n_replicas"] = draw(st.integers(1, 2))
    is_mixture = base == "density" and rows == "array"
    if base in ("resumable", "bayes") or is_mixture:
        params["n_slices"] = draw(st.integers(1, 3))
        params["slice_training"] = draw(st.sampled_from(["cumulative", "sequential"]))
    return ShardedUnlearningClassifier(
        BASES[rows][base],
        partition=partition,
        selection=selection,
        n_negatives=draw(st.integers(1, 2)),
        voting=draw(st.sampled_from(["soft", "hard"])),
        random_state=draw(st.integers(0, 5)),
        **params,
    )


operations = st.lists(
    st.tuples(
        st.sampled_from(["forget", "defer", "retrain", "class", "add", "batch"]),
        st.lists(st.integers(0, N - 1), min_size=1, max_size=20),
    ),
    min_size=1,
    max_size=6,
)


def choose(name, request, classifier, first):
    """Return the positions that an operation is about."""
    stop = len(classifier._state.rows.slot_of)
    if name == "class":
        label = Y[request[0]]
        return np.flatnonzero(label == Y[:stop])
    if name == "batch":
        return np.arange(first, stop)
    return [i for i in request if i < stop]


def run(classifier, rows, operations, *, weighted, grouped, n_jobs=None):
    """Carry out a stream and return the classifier and how many rows there are."""
    groups = np.arange(N) % 31 if grouped else np.arange(N)
    take = (
        (lambda data, part: data.iloc[part])
        if hasattr(rows, "iloc")
        else (lambda data, part: data[part])
    )

    def learn(start, stop, method):
        part = slice(start, stop)
        metadata = {"groups": groups[part], "forget_proba": PROBA[part]}
        if weighted:
            metadata["sample_weight"] = WEIGHT[part]
        if not weighted or WEIGHT[part].any():
            method(take(rows, part), Y[part], **metadata)
            return stop
        return start

    classifier.set_params(n_jobs=n_jobs)
    stop = learn(0, FIRST, classifier.fit)
    first = 0
    for name, request in operations:
        if name == "retrain":
            classifier.retrain()
        elif name == "add":
            if stop < N:
                first, stop = (
                    stop,
                    learn(stop, min(stop + len(request), N), classifier.partial_fit),
                )
        else:
            gone = choose(name, request, classifier, first)
            rest = np.setdiff1d(classifier.retained_indices_, gone)
            if len(rest) and (not weighted or WEIGHT[rest].any()):
                classifier.forget(gone, retrain=name != "defer")
    return classifier.retrain(), groups[:stop], stop


@pytest.mark.filterwarnings("ignore::skunlearn.exceptions.UnlearningQualityWarning")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("rows", "base"), CASES)
@settings(max_examples=4)
@given(
    data=st.data(), operations=operations, weighted=st.booleans(), grouped=st.booleans()
)
def test_streams(rows, base, data, operations, weighted, grouped):
    """Whatever the stream, a fresh fit of what is left is the same."""
    classifier = data.draw(classifiers(rows, base))
    weighted = weighted and base != "density"
    classifier, groups, stop = run(
        classifier, ROWS[rows], operations, weighted=weighted, grouped=grouped
    )
    fresh = fit_in_layout(
        classifier,
        ROWS[rows],
        Y[:stop],
        identities=groups,
        sample_weight=WEIGHT[:stop] if weighted else None,
    )
    assert classifier.n_pending_ == 0
    assert_same_classifier(classifier, fresh, ROWS[rows])


STREAM = [
    ("forget", [3, 9, 30]),
    ("add", list(range(20))),
    ("defer", [1, 41, 50]),
    ("add", list(range(15))),
    ("class", [0]),
]


@pytest.mark.filterwarnings("ignore::skunlearn.exceptions.UnlearningQualityWarning")
@pytest.mark.parametrize("partition", ["class", "distribution_aware"])
@pytest.mark.parametrize(
    ("rows", "base"),
    [("array", "classifier"), ("sparse", "classifier"), ("frame", "pipeline")],
)
def test_jobs(rows, base, partition):
    """Partitions and picks come out of workers as they do without them."""
    selection = RepresentativeSelection(0.4, NUMBERS.get(rows), length_scale=1.5)
    results = []
    for n_jobs in (1, 2):
        classifier = ShardedUnlearningClassifier(
            BASES[rows][base],
            partition=partition,
            n_shards=2,
            selection=selection,
            random_state=0,
        )
        stream = run(
            classifier, ROWS[rows], STREAM, weighted=True, grouped=True, n_jobs=n_jobs
        )
        results.append(stream[0])
    assert_same_classifier(*results, ROWS[rows])

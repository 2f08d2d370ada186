"""Bounds hold on problems of the hard kinds too, in both norms."""

import warnings
from collections import Counter

import numpy as np
import pytest
from influence_reference import Written, fit_quietly, measure_lengths, read
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier

from skunlearn import InfluenceUnlearningClassifier
from skunlearn.influence._solvers import exact

SETTINGS = [
    {"tol": 1e-8},
    {"tol": 0.5},
    {"n_steps": 1},
    {"n_steps": "auto"},
    {"exact": "auto"},
    {"exact": False},
    {"method": "influence"},
    {"method": "newton"},
    {"damping": 0.1},
]


def draw_hard_base(rng):
    """Draw a classifier with a tiny or huge penalty, and its number of classes."""
    n_classes, size = int(rng.integers(2, 5)), 10 ** rng.uniform(-6, 6)
    intercept = bool(rng.random() < 0.75)
    weights = ["balanced", {c: 10 ** rng.uniform(-2, 2) for c in range(n_classes)}]
    weights = weights[rng.integers(2)] if rng.random() < 0.4 else None
    kind = rng.integers(5)
    if kind == 0:
        base = RidgeClassifier(1 / size)
    elif kind == 1:
        alpha = 10 ** rng.uniform(-8, 1)
        base = SGDClassifier("log_loss", alpha=alpha, max_iter=5, random_state=0)
    elif kind == 2:
        n_classes = 2
        base = LogisticRegression(C=size, solver="liblinear", intercept_scaling=3)
        weights = weights if isinstance(weights, str) else None
    else:
        base = LogisticRegression(C=size)
    return base.set_params(fit_intercept=intercept, class_weight=weights), n_classes


def draw_hard_rows(rng, n_classes):
    """Draw rows that are near separable, far out, collinear, rare or of any weight."""
    n_rows, n_features = int(rng.integers(12, 120)), int(rng.integers(1, 7))
    codes = rng.integers(n_classes, size=n_rows)
    if rng.random() < 0.2:
        codes[rng.random(n_rows) < 0.9] = 0
    codes[: 2 * n_classes] = np.tile(range(n_classes), 2)
    centres = 10 ** rng.uniform(-1, 1.5) * rng.normal(size=(n_classes, n_features))
    X = centres[codes] + rng.normal(size=(n_rows, n_features))
    if rng.random() < 0.3:
        X = X * 10 ** rng.uniform(-6, 6, n_features)
    if rng.random() < 0.2:
        X = X + 10 ** rng.uniform(0, 3) * np.abs(X).max(axis=0)
    if rng.random() < 0.3:
        X = np.column_stack([X, X @ rng.normal(size=n_features)])
    if rng.random() < 0.2:
        X[rng.integers(n_rows)] *= 10 ** rng.uniform(1, 6)
    weight = 10 ** rng.uniform(-8, 8, n_rows) if rng.random() < 0.3 else None
    return X, codes, weight


def check_problem(seed, counts, ratios):
    """Compare bounds with distances after each of some requests; count what was seen.

    Distances that the reference itself does not know are left out.
    """
    rng = np.random.default_rng(seed)
    base, n_classes = draw_hard_base(rng)
    X, codes, weight = draw_hard_rows(rng, n_classes)
    classifier = InfluenceUnlearningClassifier(base, exact=False).fit(X, codes, weight)
    for _ in range(rng.integers(1, 4)):
        if rng.random() < 0.4:
            classifier.set_params(**SETTINGS[rng.integers(len(SETTINGS))])
        there = classifier.retained_indices_
        n_gone = min(len(there) // 2, int(rng.integers(1, max(2, len(there) // 4))))
        rows = rng.choice(there, n_gone, replace=False)
        left = np.setdiff1d(there, rows)
        if len(np.unique(codes[left])) < n_classes:
            return
        classifier.forget(rows)
        record, bounds = classifier.forget_records_[-1], np.empty((2, 2))
        bounds[0] = record.distance_bound, record.hessian_bound
        bounds[1] = classifier.distance_bound_, classifier.hessian_bound_
        counts["requests"] += 1
        if not np.isfinite(bounds).any():
            counts["unbounded"] += 1
            continue
        lengths = measure_lengths(classifier, X, codes, weight)
        if lengths is None or not (np.array(lengths[1]) < np.array(lengths[0])).all():
            counts["optimum unknown"] += 1
            continue
        distances = np.array(lengths[0]) - 2 * np.array(lengths[1])
        assert (distances <= bounds * (1 + 1e-9)).all(), (seed, lengths, bounds)
        counts["checked"] += 1
        if not classifier.exact_ and np.isfinite(bounds[1]).all():
            ratios.append(bounds[1] / lengths[0])


@pytest.mark.parametrize("seed", range(4))
def test_hard_problems(seed):
    """The distance is below all bounds that are stated."""
    check_problem_quietly(seed)


@pytest.mark.thorough
def test_more_hard_problems():
    """The same, of more problems."""
    for seed in range(100, 300):
        check_problem_quietly(seed)


@pytest.mark.exhaustive
@pytest.mark.parametrize("first", range(1000, 11000, 200))
def test_ten_thousand_hard_problems(first):
    """The same, of 200 problems each; prints counts and by how much bounds are long."""
    counts, ratios = Counter(), []
    for seed in range(first, first + 200):
        check_problem_quietly(seed, counts, ratios)
    medians = np.median(ratios, axis=0).round(1).tolist()
    print(f"\n{dict(counts)}, median ratios {medians}")


def check_problem_quietly(seed, counts=None, ratios=None):
    """Check a problem without the warnings that such problems deserve."""
    counts = Counter() if counts is None else counts
    ratios = [] if ratios is None else ratios
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_problem(seed, counts, ratios)


def check_enclosures(seed, monkeypatch, counts):
    """Compare all enclosures of a fit, and of some requests, with the optimum."""
    rng = np.random.default_rng(seed)
    base, n_classes = draw_hard_base(rng)
    X, codes, weight = draw_hard_rows(rng, n_classes)
    seen, original = [], exact.enclose

    def enclose(found, *others):
        enclosure = original(found, *others)
        seen.append((found, enclosure))
        return enclosure

    monkeypatch.setattr(exact, "enclose", enclose)
    classifier = InfluenceUnlearningClassifier(base).fit(X, codes, weight)
    for _ in range(3):
        written = Written(classifier.estimator_, X, codes, classifier.weights_, weight)
        optimum = written.optimise(read(classifier))
        known = optimum is not None and np.abs(written.rest).max() < 1e-9
        for found, enclosure in seen if known else []:
            if not np.isfinite(enclosure.error).all():
                counts["nothing is said"] += 1
                continue
            point = found.theta.astype(np.longdouble) + enclosure.step
            off = point.reshape(optimum.shape) - optimum
            if written.softmax:  # what classes share is 0, where digits are lost too
                off += optimum.mean(axis=0)
            off = np.abs(off).ravel().astype(float)
            slack = 2 * np.abs(written.rest.ravel()).astype(float)
            assert (off <= enclosure.error + slack).all(), (seed, off, enclosure.error)
            counts["from curvatures" if found.move is not None else "summed"] += 1
        seen.clear()
        there = classifier.retained_indices_
        rows = rng.choice(there, int(rng.integers(1, max(2, len(there) // 8))))
        if len(np.unique(codes[np.setdiff1d(there, rows)])) < n_classes:
            return
        classifier.forget(rows)


@pytest.mark.parametrize(
    "n_problems",
    [
        pytest.param(8, id="few"),
        pytest.param(200, id="some", marks=pytest.mark.thorough),
        pytest.param(2000, id="many", marks=pytest.mark.exhaustive),
    ],
)
def test_optimum_is_enclosed(n_problems, monkeypatch):
    """No parameter is farther from the optimum than is said, on hard problems too."""
    counts = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(n_problems):
            with monkeypatch.context() as patch:
                check_enclosures(seed, patch, counts)
    print(f"\n{dict(counts)}")
    assert min(counts["summed"], counts["from curvatures"]) > 0


@pytest.mark.parametrize("seed", [70, 71, 265])
def test_far_row_on_hard_problems(seed):
    """Where a fit is certain in spite of rounding, it is so after a forget, too."""
    rng = np.random.default_rng(seed)
    base, n_classes = draw_hard_base(rng)
    X, codes, weight = draw_hard_rows(rng, n_classes)
    far = int(np.abs(X).sum(axis=1).argmax())
    classifier = fit_quietly(InfluenceUnlearningClassifier(base), X, codes, weight)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier.forget(far)
    X, codes = np.delete(X, far, axis=0), np.delete(codes, far)
    weight = None if weight is None else np.delete(weight, far)
    fresh = fit_quietly(InfluenceUnlearningClassifier(base), X, codes, weight)
    assert classifier.exact_
    np.testing.assert_array_equal(read(classifier), read(fresh))

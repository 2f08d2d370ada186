"""Displays show their data: in their artists, in their frames, on any axes."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")

import matplotlib.pyplot as plt
from sklearn.datasets import make_classification
from sklearn.linear_model import SGDClassifier
from sklearn.tree import DecisionTreeClassifier

from skunlearn import InfluenceUnlearningClassifier, ShardedUnlearningClassifier
from skunlearn.exceptions import UnsupportedEstimatorError
from skunlearn.metrics import membership_inference_score, resistance_score
from skunlearn.plotting import (
    ContributionDisplay,
    DiscoveryCurveDisplay,
    ForgetCostDisplay,
    MembershipDisplay,
    RemovalTradeoffDisplay,
    ShardMapDisplay,
)

X, Y = make_classification(200, flip_y=0.2, random_state=0)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def fit_sharded():
    base = SGDClassifier(max_iter=3, tol=None)
    classifier = ShardedUnlearningClassifier(
        base, n_shards=4, n_slices=3, random_state=0
    )
    return classifier.fit(X[:150], Y[:150])


def make_displays(ax=None):
    """Yield a display of each kind."""
    sharded = fit_sharded()
    tree = DecisionTreeClassifier().fit(X[:150], Y[:150])
    rows = X[:50], Y[:50], X[150:], Y[150:]
    influence = InfluenceUnlearningClassifier().fit(X[:150], Y[:150])
    yield ShardMapDisplay.from_estimator(sharded, [3, 7], ax=ax)
    yield ForgetCostDisplay.from_estimator(sharded.forget(3).forget(7), ax=ax)
    yield MembershipDisplay.from_estimator(tree, *rows, random_state=0, ax=ax)
    yield RemovalTradeoffDisplay.from_estimators({"tree": tree}, *rows, ax=ax)
    yield ContributionDisplay.from_predictions([0.5, -0.5, 0.1], ax=ax)
    yield DiscoveryCurveDisplay.from_estimator(influence, np.arange(150) < 9, ax=ax)


def test_displays_have_what_those_of_scikit_learn_have():
    """Axes, a figure, labels, a frame; and `plot` returns the display."""
    for display in make_displays():
        assert display.figure_ is display.ax_.figure
        assert display.ax_.get_xlabel()
        assert display.ax_.get_ylabel()
        assert len(display.frame()) > 0
        figure, ax = plt.subplots()
        assert display.plot(ax) is display
        assert display.ax_ is ax
        assert display.figure_ is figure
        figure.canvas.draw()


def test_displays_draw_on_given_axes():
    figure, ax = plt.subplots()
    assert all(display.ax_ is ax for display in make_displays(ax))
    assert plt.get_fignums() == [figure.number]


def test_map_is_what_a_forget_does():
    """It retrains those slices, and no other one; nothing is changed."""
    classifier = fit_sharded()
    rows = [3, 7, 90]
    frame = ShardMapDisplay.from_estimator(classifier, rows).frame()
    assert frame["n_forgotten"].sum() == 3
    assert frame["n_rows"].sum() == 150
    assert len(classifier.forget_records_) == 0
    record = classifier.forget(rows).forget_records_[-1]
    retrained = frame[frame["is_retrained"]]
    assert set(retrained["shard"]) == set(record.shards)
    assert len(retrained) == record.n_slices_retrained
    again = ShardMapDisplay.from_estimator(classifier, rows)
    assert not again.is_retrained.any()
    assert again.text_ == []


def test_a_map_of_many_shards_can_be_read():
    """No numbers wider than their cells, nor ticks between slices."""
    positions = np.array([[2] + 499 * [0]])
    display = ShardMapDisplay(
        n_rows=positions + 5, n_forgotten=positions, is_retrained=positions > 0
    ).plot()
    assert display.text_ == []
    assert len(display.ax_.xaxis.get_minorticklocs()) == 0
    display.figure_.canvas.draw()
    low, high = sorted(display.ax_.get_ylim())
    ticks = display.ax_.get_yticks()
    assert [tick for tick in ticks if low <= tick <= high] == [0]


def test_costs_are_those_of_the_records():
    classifier = fit_sharded().forget(3).forget([7, 42])
    display = ForgetCostDisplay.from_estimator(classifier)
    records = classifier.forget_records_
    shares = [r.n_samples_retrained / r.n_samples_full_retrain for r in records]
    heights = [bar.get_height() for bar in display.bars_]
    np.testing.assert_allclose(heights, 100 * np.array(shares))
    np.testing.assert_allclose(display.frame()["share"], shares)
    np.testing.assert_allclose(display.line_.get_ydata(), 100 * np.mean(shares))
    assert len(ForgetCostDisplay.from_records([]).bars_) == 0


def test_membership_is_that_of_the_metric():
    tree = DecisionTreeClassifier().fit(X[:150], Y[:150])
    rows = X[:50], Y[:50], X[150:], Y[150:]
    score = membership_inference_score(tree, *rows, random_state=0)
    display = MembershipDisplay.from_estimator(tree, *rows, random_state=0)
    assert np.trapezoid(display.tpr, display.fpr) == pytest.approx(score.auc)
    assert f"{score.auc:.2f}" in display.line_.get_label()
    display.plot(display.ax_, log_scale=True)
    assert display.ax_.get_xscale() == "log"
    labels = display.ax_.get_legend_handles_labels()[1]
    assert sum(label.startswith("guess") for label in labels) == 1


def test_points_are_what_was_measured():
    tree = DecisionTreeClassifier().fit(X[:150], Y[:150])
    rows = X[:50], Y[:50], X[150:], Y[150:]
    display = RemovalTradeoffDisplay.from_estimators({"tree": tree}, *rows)
    point = [100 * resistance_score(tree, *rows), 100 * tree.score(*rows[2:])]
    np.testing.assert_allclose(display.points_.get_offsets(), [point])
    np.testing.assert_allclose(display.ceiling_.get_xdata(), 95)


def test_the_most_harmful_and_helpful_rows_are_shown():
    """In order, by their positions; what is not finite is left out."""
    values = np.append(np.linspace(-1, 1, 50), np.nan)
    display = ContributionDisplay.from_predictions(
        values, np.arange(51) + 100, n_rows=2
    )
    assert [bar.get_width() for bar in display.bars_] == [
        *values[:2],
        *values[48:50],
    ]
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert names == ["100", "101", "148", "149"]


@pytest.mark.thorough
def test_contributions_are_those_of_the_classifier():
    puma = InfluenceUnlearningClassifier(method="puma", random_state=0)
    puma.fit(X, Y).forget([3, 5])
    frame = ContributionDisplay.from_estimator(puma).frame()
    np.testing.assert_array_equal(frame["position"], puma.retained_indices_)
    np.testing.assert_array_equal(frame["contribution"], puma.contributions())
    is_wrong = np.arange(len(frame)) < 5
    display = DiscoveryCurveDisplay.from_estimator(
        puma, is_wrong, score="contributions"
    )
    assert display.line_.get_label() == "contributions"


def test_wrong_arguments_are_errors():
    with pytest.raises(UnsupportedEstimatorError, match="requires a Sharded"):
        ShardMapDisplay.from_estimator(DecisionTreeClassifier(), 0)
    influence = InfluenceUnlearningClassifier().fit(X, Y)
    with pytest.raises(ValueError, match="score must be"):
        DiscoveryCurveDisplay.from_estimator(influence, [1], score="loss")
    with pytest.raises(ValueError, match="inconsistent"):
        ContributionDisplay.from_predictions([1.0, 2.0], [1])


@pytest.mark.thorough
def test_missing_libraries_are_named():
    """In the words of a command that installs them."""
    code = """
import sys
from skunlearn.plotting import ForgetCostDisplay
def attempt(missing, function):
    sys.modules[missing] = None
    try:
        function()
    except ImportError as error:
        print(missing, error)
    del sys.modules[missing]
attempt("matplotlib", lambda: ForgetCostDisplay.from_records([]))
attempt("pandas", lambda: ForgetCostDisplay.from_records([]).frame())
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["matplotlib", "pandas"]
    assert "skunlearn[plot]" in lines[0]
    assert "pip install pandas" in lines[1]

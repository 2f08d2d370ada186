"""A report shows what a forget did to a classifier that knows rows by heart."""

import copy
import json

import numpy as np
from sklearn.datasets import make_classification
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skunlearn import ShardedUnlearningClassifier
from skunlearn.metrics import forget_report


def test_report_of_an_exact_forget():
    """After it, the classifier is the retrained one."""
    X, y = make_classification(400, flip_y=0.6, random_state=0)
    base = DecisionTreeClassifier()
    before = ShardedUnlearningClassifier(base, n_shards=1, random_state=0)
    before.fit(X[:200], y[:200])
    after = copy.deepcopy(before).forget(np.arange(60))
    rows = X[:60], y[:60], X[200:], y[200:]
    report = forget_report(before, after, *rows, retrained=after, random_state=0)
    assert report.before["accuracy_forget"] == 1.0
    assert report.before["membership_auc_low"] > 0.5
    assert report.after == report.retrained
    assert report.after["total_variation"] == 0.0
    assert report.before["total_variation"] > 0.0
    assert report.after["resistance"] > report.before["resistance"]
    assert report.n_samples_retrained == 140
    frame = report.to_frame()
    assert frame.columns.tolist() == ["before", "after", "retrained"]
    fields = json.loads(report.to_json())
    assert fields["after"] == report.after
    assert len(fields["does_not_cover"]) >= 4
    shown = repr(report)
    assert all(measure in shown for measure in frame.index)
    assert "60 forgotten rows" in shown
    assert "Not covered" in shown


def test_report_of_other_classifiers():
    """Without probabilities and records; labels may be lists."""
    X, y = make_classification(100, random_state=0)
    before = LinearSVC().fit(X[:50], y[:50])
    after = LinearSVC().fit(X[10:50], y[10:50])
    rows = X[:10].tolist(), y[:10].tolist(), X[50:], y[50:]
    report = forget_report(before, after, *rows, retrained=after, random_state=0)
    assert report.n_samples_retrained is None
    assert report.after["total_variation"] is None
    assert "-" in str(report)

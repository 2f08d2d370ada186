"""A report on a forget: what the classifier knew, knows, and would know."""

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from skunlearn.metrics._confidence import check_labelled
from skunlearn.metrics._distance import retrain_distance
from skunlearn.metrics._membership import membership_inference_score
from skunlearn.metrics._resistance import resistance_score

__all__ = ["ForgetReport", "forget_report"]

_LIMITS = (
    "It is no proof that rows are forgotten. For sharded classifiers, use "
    "audit_forget(..., method='replay').",
    "Attacks on an ensemble have little power: audit_forget attacks its constituents.",
    "It does not search for values of rows that are stored: find_traces does.",
    "It does not see copies, backups, logs, and models trained with its answers.",
)


@dataclass(frozen=True)
class ForgetReport:
    """What :func:`~skunlearn.metrics.forget_report` has measured.

    Parameters
    ----------
    n_forget, n_fresh : int
        Number of forgotten and of fresh rows.
    before, after : dict
        Measures of the classifier before and after the forget: ``accuracy_forget`` and
        ``accuracy_fresh``; ``membership_auc`` with its interval from
        ``membership_auc_low`` to ``membership_auc_high``; ``resistance``; and, if there
        is a retrained classifier, ``label_disagreement`` with it and the
        ``total_variation`` of the probabilities on all rows.
    retrained : dict or None
        The same measures of a classifier that was retrained without the rows.
    n_samples_retrained : int or None
        Number of rows that the last request passed to training, if it is known.
    seconds : float or None
        Time that the last request took.
    does_not_cover : tuple of str
        What these numbers cannot show.

    Examples
    --------
    >>> from skunlearn.metrics import ForgetReport
    >>> report = ForgetReport(1, 1, {"resistance": 0.0}, {"resistance": 1.0})
    >>> print(report)
    1 forgotten rows, 1 fresh rows
                            before     after
    resistance               0.000     1.000
    """

    n_forget: int
    n_fresh: int
    before: dict[str, float | None]
    after: dict[str, float | None]
    retrained: dict[str, float | None] | None = None
    n_samples_retrained: int | None = None
    seconds: float | None = None
    does_not_cover: tuple[str, ...] = ()

    @property
    def _columns(self) -> dict[str, dict[str, float | None]]:
        columns = {"before": self.before, "after": self.after}
        return columns | ({"retrained": self.retrained} if self.retrained else {})

    def __str__(self) -> str:
        """Return a table for people."""
        head = f"{self.n_forget} forgotten rows, {self.n_fresh} fresh rows"
        if self.n_samples_retrained is not None:
            head += f", {self.n_samples_retrained} rows retrained"
        columns = self._columns
        lines = [head, " " * 20 + "".join(f"{name:>10}" for name in columns)]
        for measure in self.before:
            values = [column.get(measure) for column in columns.values()]
            shown = [f"{'-' if v is None else format(v, '.3f'):>10}" for v in values]
            lines.append(f"{measure:<20}" + "".join(shown))
        if self.does_not_cover:
            lines += ["Not covered:", *(f"- {line}" for line in self.does_not_cover)]
        return "\n".join(lines)

    __repr__ = __str__

    def to_frame(self) -> Any:
        """Return the measures as a pandas DataFrame, one row each.

        Returns
        -------
        DataFrame
            With the columns "before", "after" and, if there is one, "retrained".
        """
        import pandas as pd

        return pd.DataFrame(self._columns)

    def to_json(self) -> str:
        """Return all fields as JSON.

        Returns
        -------
        str
            An object with the fields as keys.
        """
        return json.dumps(asdict(self))


def forget_report(
    before: Any,
    after: Any,
    X_forget: Any,
    y_forget: Any,
    X_fresh: Any,
    y_fresh: Any,
    *,
    retrained: Any = None,
    random_state: Any = None,
) -> ForgetReport:
    """Report on a forget: accuracy, membership and distance, before and after.

    Parameters
    ----------
    before : classifier
        The fitted classifier as it was, such as a copy (`copy.deepcopy`).
    after : classifier
        The classifier that has forgotten.
    X_forget : {array-like, sparse matrix, data frame} of shape (n_forget, n_features)
        The rows that were forgotten.
    y_forget : array-like of shape (n_forget,)
        Their labels.
    X_fresh : {array-like, sparse matrix, data frame} of shape (n_fresh, n_features)
        Rows of the same population that no classifier was trained on.
    y_fresh : array-like of shape (n_fresh,)
        Their labels.
    retrained : classifier, default=None
        A classifier that was fitted on the retained rows, to compare with.
    random_state : int, RandomState instance or None, default=None
        Controls bootstrap samples.

    Returns
    -------
    ForgetReport
        The measures; ``print`` shows them as a table.

    Raises
    ------
    ValueError
        If there are no rows.

    Examples
    --------
    >>> from copy import deepcopy
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skunlearn import ShardedUnlearningClassifier
    >>> from skunlearn.metrics import forget_report
    >>> X, y = make_classification(400, flip_y=0.4, random_state=0)
    >>> before = ShardedUnlearningClassifier(
    ...     DecisionTreeClassifier(), n_shards=1, random_state=0
    ... ).fit(X[:200], y[:200])
    >>> after = deepcopy(before).forget(range(50))
    >>> report = forget_report(
    ...     before, after, X[:50], y[:50], X[200:], y[200:], random_state=0
    ... )
    >>> report.to_frame().loc["accuracy_forget"].round(2).tolist()
    [1.0, 0.58]
    """
    forget, fresh = (
        check_labelled(*rows) for rows in ((X_forget, y_forget), (X_fresh, y_fresh))
    )
    columns = [
        None if model is None else _measure(model, forget, fresh, random_state)
        for model in (before, after, retrained)
    ]
    if retrained is not None:
        for column, classifier in zip(columns, (before, after, retrained), strict=True):
            assert column is not None
            column.update(_compare(classifier, retrained, forget, fresh))
    records = getattr(after, "forget_records_", None)
    last = records[-1] if records else None
    return ForgetReport(
        n_forget=len(forget[1]),
        n_fresh=len(fresh[1]),
        before=columns[0] or {},
        after=columns[1] or {},
        retrained=columns[2],
        n_samples_retrained=None if last is None else last.n_samples_retrained,
        seconds=None if last is None else last.seconds,
        does_not_cover=_LIMITS,
    )


def _measure(
    classifier: Any, forget: Any, fresh: Any, random_state: Any
) -> dict[str, float | None]:
    membership = membership_inference_score(
        classifier, *forget, *fresh, random_state=random_state
    )
    return {
        "accuracy_forget": float(np.mean(classifier.predict(forget[0]) == forget[1])),
        "accuracy_fresh": float(np.mean(classifier.predict(fresh[0]) == fresh[1])),
        "membership_auc": membership.auc,
        "membership_auc_low": membership.auc_interval[0],
        "membership_auc_high": membership.auc_interval[1],
        "resistance": resistance_score(classifier, *forget, *fresh),
    }


def _compare(
    classifier: Any, retrained: Any, forget: Any, fresh: Any
) -> dict[str, float | None]:
    """Return the distances to a retrained classifier on both sets of rows."""
    parts = [retrain_distance(classifier, retrained, X) for X, _ in (forget, fresh)]
    sizes = [len(forget[1]), len(fresh[1])]
    variations = [part.total_variation for part in parts]
    return {
        "label_disagreement": float(
            np.average([part.label_disagreement for part in parts], weights=sizes)
        ),
        "total_variation": None
        if None in variations
        else float(np.average(np.array(variations, dtype=float), weights=sizes)),
    }

"""Discovery of wrong labels in the order of a score."""

from typing import Any

import numpy as np
from sklearn.utils import check_array, check_consistent_length, column_or_1d

__all__ = ["discovery_curve"]


def discovery_curve(is_wrong: Any, scores: Any) -> tuple[np.ndarray, np.ndarray]:
    """Compute which share of wrong rows is found by inspecting the highest scores.

    Parameters
    ----------
    is_wrong : array-like of bool, shape (n_samples,)
        Whether each row is one to find, such as one with a wrong label.
    scores : array-like of shape (n_samples,)
        Score of each row. Rows are inspected from the highest score down.

    Returns
    -------
    inspected : ndarray of shape (n_thresholds,)
        Share of rows inspected, from 0 to 1.
    discovered : ndarray of shape (n_thresholds,)
        Share of the wrong rows that is among them. Rows of equal scores are inspected
        together: in between, linear interpolation is the mean over their orders.

    Raises
    ------
    ValueError
        If no row is wrong, or a score is not finite.

    See Also
    --------
    skunlearn.InfluenceUnlearningClassifier.contributions : A score of harmful rows.
    skunlearn.InfluenceUnlearningClassifier.self_influence : A score of unusual rows.

    References
    ----------
    .. [1] P. W. Koh and P. Liang, "Understanding black-box predictions via influence
       functions", ICML 2017, Section 5.4.

    Examples
    --------
    >>> from skunlearn.metrics import discovery_curve
    >>> inspected, discovered = discovery_curve([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1])
    >>> inspected.tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    >>> discovered.tolist()
    [0.0, 0.5, 0.5, 1.0, 1.0]
    """
    scores = column_or_1d(check_array(scores, ensure_2d=False, input_name="scores"))
    is_wrong = column_or_1d(is_wrong)
    check_consistent_length(is_wrong, scores)
    if not np.isin(is_wrong, [0, 1]).all():
        raise ValueError("is_wrong must be a mask of bool. Pass one value per row.")
    if not is_wrong.any():
        raise ValueError("is_wrong marks no row. Mark at least one row to discover.")
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    found = np.cumsum(is_wrong[order].astype(bool))[ends]
    inspected = np.append(0.0, (ends + 1) / len(order))
    return inspected, np.append(0.0, found / found[-1])

"""Resistance: the share of forgotten rows that an attack no longer recognises."""

from typing import Any

import numpy as np
from sklearn.metrics import roc_curve

from skunlearn.metrics._confidence import check_labelled, score_labels

__all__ = ["resistance_score"]


def resistance_score(
    estimator: Any,
    X_forget: Any,
    y_forget: Any,
    X_fresh: Any,
    y_fresh: Any,
    *,
    max_fpr: float = 0.05,
) -> float:
    """Return the share of forgotten rows that a membership attack takes for fresh.

    The attack scores rows by the log-odds of their label, and takes those above a
    threshold for members of the training data, rows at the threshold by a coin, so that
    a share of `max_fpr` of the fresh rows is taken for members.

    Parameters
    ----------
    estimator : classifier
        Any fitted classifier.
    X_forget : {array-like, sparse matrix, data frame} of shape (n_forget, n_features)
        Rows that were forgotten.
    y_forget : array-like of shape (n_forget,)
        Their labels.
    X_fresh : {array-like, sparse matrix, data frame} of shape (n_fresh, n_features)
        Rows of the same population that the classifier was never trained on.
    y_fresh : array-like of shape (n_fresh,)
        Their labels.
    max_fpr : float, default=0.05
        Share of fresh rows taken for members.

    Returns
    -------
    float
        The share, in [0, 1]; greater is better. A classifier that was retrained without
        the rows has ``1 - max_fpr`` on average.

    Raises
    ------
    ValueError
        If there are no rows, or `max_fpr` is not in (0, 1).

    See Also
    --------
    membership_inference_score : The same attack over all thresholds.

    Notes
    -----
    The removal rate of PUMA [1]_, whose attack is not specified. Where the attack has
    no power, as against an ensemble, the score is high whatever was forgotten:
    :func:`audit_forget` states its power.

    References
    ----------
    .. [1] G. Wu et al., "PUMA: Performance unchanged model augmentation for training
       data removal", AAAI 2022, Section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skunlearn.metrics import resistance_score
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(400, 3)), rng.integers(10, size=400)
    >>> knn = KNeighborsClassifier(5, weights="distance")
    >>> rows = X[:50], y[:50], X[200:], y[200:]  # in question, and fresh ones
    >>> resistance_score(knn.fit(X[:200], y[:200]), *rows)
    0.0
    >>> round(resistance_score(knn.fit(X[50:200], y[50:200]), *rows), 2)
    0.92
    """
    if not 0 < max_fpr < 1:
        raise ValueError(f"max_fpr must be between 0 and 1; got {max_fpr!r}.")
    X_forget, y_forget = check_labelled(X_forget, y_forget)
    X_fresh, y_fresh = check_labelled(X_fresh, y_fresh)
    scores = [
        score_labels(estimator, X_forget, y_forget),
        score_labels(estimator, X_fresh, y_fresh),
    ]
    is_member = np.repeat([1, 0], [len(y_forget), len(y_fresh)])
    fpr, tpr, _ = roc_curve(is_member, np.concatenate(scores))
    return 1.0 - float(np.interp(max_fpr, fpr, tpr))

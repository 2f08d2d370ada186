"""One-class models: what they must provide, and what replaces them."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone, is_outlier_detector
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)

from skunlearn._data.containers import is_frame, slice_rows
from skunlearn._estimators.read_only import call_read_only

__all__ = [
    "PointDensity",
    "check_scores",
    "compute_log_density",
    "is_log_density",
    "is_one_class",
    "is_stand_in",
    "make_stand_in",
]

_SOUND = (BayesianGaussianMixture, GaussianMixture, KernelDensity)


def is_one_class(estimator: Any) -> bool:
    """Return True if an estimator scores how well a row goes with those it saw."""
    return hasattr(estimator, "score_samples")


def is_log_density(estimator: Any) -> bool:
    """Return True if ``score_samples`` is the logarithm of a density.

    Scores of outlier detectors are on a scale of their own.
    """
    if isinstance(estimator, Pipeline):
        return is_log_density(estimator.steps[-1][1])
    return not is_outlier_detector(estimator)


def compute_log_density(estimator: Any, X: Any) -> np.ndarray:
    """Return the logarithm of the density at each row, per unit of the features.

    Scalers inside a pipeline are fitted to one class, so each has units of its own, in
    which densities of classes would not compare.
    """
    return call_read_only(estimator.score_samples, X) + _log_volume(estimator)


def _log_volume(estimator: Any) -> float:
    """Return by how much scikit-learn's scalers expand volume, as a logarithm."""
    if isinstance(estimator, Pipeline):
        return sum(_log_volume(step) for _, step in estimator.steps)
    if isinstance(estimator, MinMaxScaler):  # which multiplies by its scale
        return float(np.log(estimator.scale_).sum())
    scale = getattr(estimator, "scale_", None)  # None where it only shifts
    if scale is None or not isinstance(
        estimator, (MaxAbsScaler, RobustScaler, StandardScaler)
    ):
        return 0.0
    return -float(np.log(scale).sum())


def check_scores(estimator: Any, X: Any) -> None:
    """Raise ValueError if a model cannot score a row that it was fitted to.

    Outlier detectors and the densities of scikit-learn can if they could be fitted.
    """
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    if isinstance(last, _SOUND) or is_outlier_detector(last):
        return  # asking costs a tenth of training a mixture
    with np.errstate(all="ignore"):
        score = call_read_only(estimator.score_samples, slice_rows(X, 0, 1))
    if not np.isfinite(score).all():
        raise ValueError(f"it scores a row that it was fitted to {score[0]}.")


def make_stand_in(estimator: Any, X: Any) -> Any:
    """Return a fitted model that is content with fewer rows than an estimator.

    It is the estimator with a PointDensity in place of its last step or, where the
    steps before are not content either, a PointDensity of the rows as they are.
    """
    if not isinstance(estimator, Pipeline):
        return PointDensity().fit(X)
    stand_in = clone(estimator)
    stand_in.steps[-1] = (estimator.steps[-1][0], PointDensity())
    try:
        with np.errstate(all="ignore"):
            stand_in.fit(X)
        check_scores(stand_in, X)
    except ValueError:
        return PointDensity().fit(X)
    return stand_in


def is_stand_in(estimator: Any) -> bool:
    """Return True if a fitted model replaces one that needs more rows."""
    if isinstance(estimator, Pipeline):
        return is_stand_in(estimator.steps[-1][1])
    return isinstance(estimator, PointDensity)


class PointDensity(BaseEstimator):
    """Spherical Gaussian of variance 1 around the mean: for too few rows for a model.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        The mean of the rows.
    """

    def fit(self, X: Any, y: Any = None) -> "PointDensity":
        """Take the mean of the rows.

        Parameters
        ----------
        X : {array, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows.
        y : None
            Not used.

        Returns
        -------
        PointDensity
            The fitted density.
        """
        self.mean_ = np.asarray(_as_array(X).mean(axis=0), dtype=np.float64).ravel()
        return self

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the logarithm of the density at each row."""
        distances = (np.asarray(_as_array(X) - self.mean_) ** 2).sum(axis=1)
        return -0.5 * (distances + len(self.mean_) * np.log(2 * np.pi))


def _as_array(X: Any) -> Any:
    return X.to_numpy() if is_frame(X) else X

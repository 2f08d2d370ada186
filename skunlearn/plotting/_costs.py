"""What requests have cost."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skunlearn.plotting._display import BLUE, GREY, ORANGE, Display

__all__ = ["ForgetCostDisplay"]


class ForgetCostDisplay(Display):
    """Cost of requests, in rows passed to training.

    Use `from_estimator` or `from_records` to create one.

    Parameters
    ----------
    n_samples_retrained : array-like of shape (n_requests,)
        Number of rows that each request passed to training.
    n_samples_full_retrain : array-like of shape (n_requests,)
        Number of rows that a full retrain would have passed to training.

    Attributes
    ----------
    bars_ : matplotlib BarContainer
        A bar per request.
    line_ : matplotlib Line2D
        The mean cost.
    full_ : matplotlib Line2D
        The cost of a full retrain.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skunlearn import ShardedUnlearningClassifier
    >>> from skunlearn.plotting import ForgetCostDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = ShardedUnlearningClassifier(n_shards=4, random_state=0).fit(X, y)
    >>> display = ForgetCostDisplay.from_estimator(classifier.forget(3).forget([7, 42]))
    >>> len(display.frame())
    2
    """

    def __init__(self, *, n_samples_retrained: Any, n_samples_full_retrain: Any):
        self.n_samples_retrained = n_samples_retrained
        self.n_samples_full_retrain = n_samples_full_retrain

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Plot the records of a classifier.

        Parameters
        ----------
        estimator : classifier
            A fitted classifier of this package.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        ForgetCostDisplay
            The display.
        """
        check_is_fitted(estimator)
        return cls.from_records(estimator.forget_records_, ax=ax, **kwargs)

    @classmethod
    def from_records(
        cls, records: Sequence[Any], *, ax: Any = None, **kwargs: Any
    ) -> Self:
        """Plot records of requests.

        Parameters
        ----------
        records : sequence of ForgetRecord
            The records.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        ForgetCostDisplay
            The display.
        """
        display = cls(
            n_samples_retrained=[r.n_samples_retrained for r in records],
            n_samples_full_retrain=[r.n_samples_full_retrain for r in records],
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Plot a bar per request.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones.
        **kwargs : dict
            Passed to ``Axes.bar``.

        Returns
        -------
        ForgetCostDisplay
            The display itself.
        """
        ax = self._draw_on(ax)
        shares = 100 * self._find_shares()
        numbers = np.arange(1, len(shares) + 1)
        self.bars_ = ax.bar(numbers, shares, **({"color": BLUE} | kwargs))
        mean = float(shares.mean()) if len(shares) else 0.0
        label = f"mean ({mean:.3g} %)"
        self.line_ = ax.axhline(mean, color=ORANGE, linestyle="--", label=label)
        self.full_ = ax.axhline(100, color=GREY, linestyle=":", label="full retrain")
        ax.set(xlabel="Request", ylabel="Rows passed to training (% of a full retrain)")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend()
        return self

    def frame(self) -> Any:
        """Return the data of the picture.

        Returns
        -------
        DataFrame
            One row per request.
        """
        return self._make_frame(
            {
                "n_samples_retrained": self.n_samples_retrained,
                "n_samples_full_retrain": self.n_samples_full_retrain,
                "share": self._find_shares(),
            }
        )

    def _find_shares(self) -> np.ndarray:
        full = np.maximum(np.asarray(self.n_samples_full_retrain, dtype=float), 1.0)
        return np.asarray(self.n_samples_retrained, dtype=float) / full

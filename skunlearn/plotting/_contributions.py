"""Which rows help, and which harm."""

from typing import Any, Self

import numpy as np
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from skunlearn.plotting._display import BLUE, ORANGE, Display

__all__ = ["ContributionDisplay"]


class ContributionDisplay(Display):
    """The rows whose removal would change the criterion most.

    Use `from_estimator` or `from_predictions` to create one.

    Parameters
    ----------
    contributions : array-like of shape (n_samples,)
        Change of the criterion if the row is removed. Negative: the row harms.
    positions : array-like of shape (n_samples,)
        Position of each row.

    Attributes
    ----------
    bars_ : matplotlib BarContainer
        A bar per row that is shown.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skunlearn import InfluenceUnlearningClassifier
    >>> from skunlearn.plotting import ContributionDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = InfluenceUnlearningClassifier(method="puma", random_state=0)
    >>> display = ContributionDisplay.from_estimator(classifier.fit(X, y))
    >>> display.frame().columns.tolist()
    ['position', 'contribution']
    """

    def __init__(self, *, contributions: Any, positions: Any):
        self.contributions = contributions
        self.positions = positions

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Plot the contributions of the retained rows of a classifier.

        Parameters
        ----------
        estimator : InfluenceUnlearningClassifier
            The fitted classifier.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        ContributionDisplay
            The display.
        """
        check_is_fitted(estimator)
        contributions = estimator.contributions()
        positions = estimator.retained_indices_
        return cls.from_predictions(contributions, positions, ax=ax, **kwargs)

    @classmethod
    def from_predictions(
        cls, contributions: Any, positions: Any = None, *, ax: Any = None, **kwargs: Any
    ) -> Self:
        """Plot contributions.

        Parameters
        ----------
        contributions : array-like of shape (n_samples,)
            Change of the criterion if the row is removed.
        positions : array-like of shape (n_samples,), default=None
            Position of each row. If None, 0 to ``n_samples - 1``.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        ContributionDisplay
            The display.
        """
        contributions = np.asarray(contributions, dtype=float)
        if positions is None:
            positions = np.arange(len(contributions))
        check_consistent_length(contributions, positions)
        display = cls(contributions=contributions, positions=np.asarray(positions))
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, n_rows: int = 10, **kwargs: Any) -> Self:
        """Plot the most harmful and the most helpful rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones.
        n_rows : int, default=10
            Number of rows to show on either side.
        **kwargs : dict
            Passed to ``Axes.barh``.

        Returns
        -------
        ContributionDisplay
            The display itself.
        """
        ax = self._draw_on(ax)
        values = np.asarray(self.contributions, dtype=float)
        order = np.argsort(values, kind="stable")
        order = order[np.isfinite(values[order])]
        if len(order) > 2 * n_rows:
            order = np.concatenate([order[:n_rows], order[len(order) - n_rows :]])
        shown = values[order]
        colors = np.where(shown < 0, ORANGE, BLUE)
        places = np.arange(len(shown))
        self.bars_ = ax.barh(places, shown, **({"color": colors.tolist()} | kwargs))
        names = [str(position) for position in np.asarray(self.positions)[order]]
        ax.set_yticks(places, names)
        ax.axvline(0, color="black", linewidth=0.8)
        ax.invert_yaxis()
        ax.locator_params(axis="x", nbins=5)  # more labels would overlap
        ax.set(
            xlabel="Change of the criterion if removed (< 0: the row harms)",
            ylabel="Position of the row",
        )
        return self

    def frame(self) -> Any:
        """Return the data of the picture.

        Returns
        -------
        DataFrame
            One row per row of the data.
        """
        return self._make_frame(
            {"position": self.positions, "contribution": self.contributions}
        )

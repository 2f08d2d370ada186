"""How fast a score finds wrong rows."""

from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skunlearn.metrics import discovery_curve
from skunlearn.plotting._display import BLUE, GREY, Display

__all__ = ["DiscoveryCurveDisplay"]


class DiscoveryCurveDisplay(Display):
    """Discovery of wrong rows by inspecting the highest scores.

    Use `from_estimator` or `from_predictions` to create one.

    Parameters
    ----------
    inspected, discovered : ndarray of shape (n_thresholds,)
        The curve, see :func:`~skunlearn.metrics.discovery_curve`.
    share_wrong : float
        Share of the rows that are wrong.
    name : str, default=None
        Name of the score, for the legend.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The curve.
    optimum_ : matplotlib Line2D
        The curve of a perfect score.
    chance_ : matplotlib Line2D
        The mean curve of a random order.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.

    Examples
    --------
    >>> from skunlearn.plotting import DiscoveryCurveDisplay
    >>> display = DiscoveryCurveDisplay.from_predictions([1, 0, 0], [0.9, 0.5, 0.1])
    >>> display.frame()["discovered"].tolist()
    [0.0, 1.0, 1.0, 1.0]
    """

    def __init__(
        self,
        *,
        inspected: np.ndarray,
        discovered: np.ndarray,
        share_wrong: float,
        name: str | None = None,
    ):
        self.inspected = inspected
        self.discovered = discovered
        self.share_wrong = share_wrong
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        is_wrong: Any,
        *,
        score: str = "self_influence",
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Plot how fast a classifier's own scores of its rows find wrong ones.

        Parameters
        ----------
        estimator : InfluenceUnlearningClassifier
            The fitted classifier.
        is_wrong : array-like of bool, shape (n_retained,)
            Whether each retained row is wrong.
        score : {"self_influence", "contributions"}, default="self_influence"
            By which rows are inspected, the most influential or most harmful first.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        DiscoveryCurveDisplay
            The display.
        """
        check_is_fitted(estimator)
        if score not in ("self_influence", "contributions"):
            raise ValueError(
                f"score must be 'self_influence' or 'contributions'; got {score!r}."
            )
        scores = getattr(estimator, score)()
        if score == "contributions":
            scores = -scores  # what lowers the criterion when it goes is harmful
        name = score.replace("_", " ")
        return cls.from_predictions(is_wrong, scores, name=name, ax=ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        is_wrong: Any,
        scores: Any,
        *,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Plot how fast scores find wrong rows.

        Parameters
        ----------
        is_wrong : array-like of bool, shape (n_samples,)
            Whether each row is wrong.
        scores : array-like of shape (n_samples,)
            Score of each row; the highest are inspected first.
        name : str, default=None
            Name of the score, for the legend.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        DiscoveryCurveDisplay
            The display.
        """
        inspected, discovered = discovery_curve(is_wrong, scores)
        display = cls(
            inspected=inspected,
            discovered=discovered,
            share_wrong=float(np.mean(is_wrong)),
            name=name,
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Plot the curve between chance and the optimum.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones.
        **kwargs : dict
            Passed to ``Axes.plot``.

        Returns
        -------
        DiscoveryCurveDisplay
            The display itself.
        """
        ax = self._draw_on(ax)
        label = {} if self.name is None else {"label": self.name}
        style = {"color": BLUE} | label | kwargs
        x, y = 100 * self.inspected, 100 * self.discovered
        (self.line_,) = ax.plot(x, y, **style)
        ends = [0, 100 * self.share_wrong, 100]
        grey = {"color": GREY, "linewidth": 1.0}
        (self.optimum_,) = ax.plot(
            ends, [0, 100, 100], linestyle="--", label="optimum", **grey
        )
        (self.chance_,) = ax.plot(
            [0, 100], [0, 100], linestyle=":", label="chance", **grey
        )
        ax.set(xlabel="Rows inspected (%)", ylabel="Wrong rows discovered (%)")
        ax.legend(loc="lower right")
        return self

    def frame(self) -> Any:
        """Return the data of the picture.

        Returns
        -------
        DataFrame
            One row per threshold.
        """
        return self._make_frame(
            {"inspected": self.inspected, "discovered": self.discovered}
        )

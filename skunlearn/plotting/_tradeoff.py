"""What removal is worth, and what it costs in accuracy."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from sklearn.utils import check_consistent_length

from skunlearn.metrics import resistance_score
from skunlearn.plotting._display import BLUE, GREY, Display

__all__ = ["RemovalTradeoffDisplay"]


class RemovalTradeoffDisplay(Display):
    """Resistance to membership inference against accuracy, of several classifiers.

    Use `from_estimators` or `from_predictions` to create one.

    Parameters
    ----------
    names : sequence of str
        Names of the classifiers.
    resistance : array-like of shape (n_classifiers,)
        Share of forgotten rows that an attack takes for fresh.
    accuracy : array-like of shape (n_classifiers,)
        Accuracy on fresh rows.
    ceiling : float or None, default=None
        Resistance of a classifier that was retrained, on average.

    Attributes
    ----------
    points_ : matplotlib PathCollection
        A point per classifier.
    ceiling_ : matplotlib Line2D or None
        Where a retrained classifier is on average.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.

    Examples
    --------
    >>> from skunlearn.plotting import RemovalTradeoffDisplay
    >>> display = RemovalTradeoffDisplay.from_predictions(
    ...     ["before", "after"], [0.2, 0.94], [0.81, 0.80]
    ... )
    >>> display.frame()["resistance"].tolist()
    [0.2, 0.94]
    """

    def __init__(
        self,
        *,
        names: Any,
        resistance: Any,
        accuracy: Any,
        ceiling: float | None = None,
    ):
        self.names = names
        self.resistance = resistance
        self.accuracy = accuracy
        self.ceiling = ceiling

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any],
        X_forget: Any,
        y_forget: Any,
        X_fresh: Any,
        y_fresh: Any,
        *,
        max_fpr: float = 0.05,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Measure classifiers, and plot them.

        Parameters
        ----------
        estimators : mapping of str to classifier
            Fitted classifiers by name.
        X_forget : {array-like, sparse matrix} of shape (n_forget, n_features)
            Rows that were forgotten.
        y_forget : array-like of shape (n_forget,)
            Their labels.
        X_fresh : {array-like, sparse matrix} of shape (n_fresh, n_features)
            Rows that no classifier was trained on.
        y_fresh : array-like of shape (n_fresh,)
            Their labels.
        max_fpr : float, default=0.05
            Share of fresh rows that the attack takes for members.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        RemovalTradeoffDisplay
            The display.
        """
        rows = X_forget, y_forget, X_fresh, y_fresh
        each = list(estimators.values())
        return cls.from_predictions(
            list(estimators),
            [resistance_score(e, *rows, max_fpr=max_fpr) for e in each],
            [float(np.mean(e.predict(X_fresh) == np.asarray(y_fresh))) for e in each],
            ceiling=1 - max_fpr,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        names: Any,
        resistance: Any,
        accuracy: Any,
        *,
        ceiling: float | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Plot what was measured.

        Parameters
        ----------
        names : sequence of str
            Names of the classifiers.
        resistance : array-like of shape (n_classifiers,)
            Their resistance.
        accuracy : array-like of shape (n_classifiers,)
            Their accuracy.
        ceiling : float, default=None
            Resistance of a retrained classifier, on average.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        RemovalTradeoffDisplay
            The display.
        """
        check_consistent_length(names, resistance, accuracy)
        display = cls(
            names=names, resistance=resistance, accuracy=accuracy, ceiling=ceiling
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Plot a point with a name per classifier.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones.
        **kwargs : dict
            Passed to ``Axes.scatter``.

        Returns
        -------
        RemovalTradeoffDisplay
            The display itself.
        """
        ax = self._draw_on(ax)
        x, y = 100 * np.asarray(self.resistance), 100 * np.asarray(self.accuracy)
        self.points_ = ax.scatter(x, y, **({"color": BLUE, "zorder": 3} | kwargs))
        for name, *place in zip(self.names, x, y, strict=True):
            is_right = place[0] > (x.min() + x.max()) / 2
            ax.annotate(
                name,
                place,
                xytext=(-7 if is_right else 7, 5),
                textcoords="offset points",
                ha="right" if is_right else "left",
            )
        self.ceiling_ = None
        if self.ceiling is not None:
            self.ceiling_ = ax.axvline(
                100 * self.ceiling,
                color=GREY,
                linestyle="--",
                label="retrained, on average",
            )
            ax.legend(loc="best")
        ax.margins(0.15)
        ax.set(
            xlabel="Resistance: forgotten rows taken for fresh (%)",
            ylabel="Accuracy on fresh rows (%)",
        )
        return self

    def frame(self) -> Any:
        """Return the data of the picture.

        Returns
        -------
        DataFrame
            One row per classifier.
        """
        return self._make_frame(
            {
                "name": self.names,
                "resistance": self.resistance,
                "accuracy": self.accuracy,
            }
        )

"""How well membership inference works."""

from typing import Any, Self

import numpy as np
from sklearn.metrics import auc, roc_curve

from skunlearn.metrics import membership_inference_score
from skunlearn.plotting._display import BLUE, GREY, Display

__all__ = ["MembershipDisplay"]


class MembershipDisplay(Display):
    """ROC curve of a membership inference attack.

    Use `from_estimator` or `from_predictions` to create one.

    Parameters
    ----------
    fpr, tpr : ndarray of shape (n_thresholds,)
        False and true positive rates.
    name : str, default=None
        Name of the curve, for the legend.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The curve.
    chance_ : matplotlib Line2D
        The curve of a guess.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.

    Examples
    --------
    >>> from skunlearn.plotting import MembershipDisplay
    >>> display = MembershipDisplay.from_predictions([0.9, 0.8], [0.1, 0.85])
    >>> display.frame().columns.tolist()
    ['fpr', 'tpr']
    """

    def __init__(self, *, fpr: np.ndarray, tpr: np.ndarray, name: str | None = None):
        self.fpr = fpr
        self.tpr = tpr
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X_member: Any,
        y_member: Any,
        X_fresh: Any,
        y_fresh: Any,
        *,
        attack: str = "loss",
        random_state: Any = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Attack a classifier, and plot how well it works.

        Parameters
        ----------
        estimator : classifier
            Any fitted classifier.
        X_member : {array-like, sparse matrix} of shape (n_members, n_features)
            Rows that it was, or may have been, trained on.
        y_member : array-like of shape (n_members,)
            Their labels.
        X_fresh : {array-like, sparse matrix} of shape (n_fresh, n_features)
            Rows that it was never trained on.
        y_fresh : array-like of shape (n_fresh,)
            Their labels.
        attack : {"loss", "confidence", "lira"}, default="loss"
            As for :func:`~skunlearn.metrics.membership_inference_score`.
        random_state : int, RandomState instance or None, default=None
            Controls shadow models.
        name : str, default=None
            Name of the curve. If None, that of the attack.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        MembershipDisplay
            The display.
        """
        score = membership_inference_score(
            estimator,
            X_member,
            y_member,
            X_fresh,
            y_fresh,
            attack=attack,
            n_bootstraps=1,
            random_state=random_state,
        )
        name = f"{attack} attack" if name is None else name
        scores = score.scores_member, score.scores_fresh
        return cls.from_predictions(*scores, name=name, ax=ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        scores_member: Any,
        scores_fresh: Any,
        *,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Plot how well scores tell members from fresh rows.

        Parameters
        ----------
        scores_member : array-like of shape (n_members,)
            Scores of members.
        scores_fresh : array-like of shape (n_fresh,)
            Scores of fresh rows.
        name : str, default=None
            Name of the curve, for the legend.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        MembershipDisplay
            The display.
        """
        is_member = np.repeat([1, 0], [len(scores_member), len(scores_fresh)])
        scores = np.concatenate([scores_member, scores_fresh])
        fpr, tpr, _ = roc_curve(is_member, scores)
        return cls(fpr=fpr, tpr=tpr, name=name).plot(ax, **kwargs)

    def plot(self, ax: Any = None, *, log_scale: bool = False, **kwargs: Any) -> Self:
        """Plot the curve beside that of a guess.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones.
        log_scale : bool, default=False
            Whether both axes are logarithmic, to see low false positive rates.
        **kwargs : dict
            Passed to ``Axes.plot``.

        Returns
        -------
        MembershipDisplay
            The display itself.
        """
        ax = self._draw_on(ax)
        area = f"AUC = {auc(self.fpr, self.tpr):.2f}"
        label = area if self.name is None else f"{self.name} ({area})"
        style = {"color": BLUE, "label": label} | kwargs
        (self.line_,) = ax.plot(self.fpr, self.tpr, **style)
        ends = np.geomspace(1e-4, 1, 50) if log_scale else np.array([0.0, 1.0])
        guess = "guess (AUC = 0.50)"
        is_there = guess in ax.get_legend_handles_labels()[1]
        (self.chance_,) = ax.plot(
            ends, ends, color=GREY, linestyle=":", label=None if is_there else guess
        )
        if log_scale:
            lowest = min(self.fpr[self.fpr > 0].min(initial=1e-2), 1e-2)
            ax.set(xscale="log", yscale="log", xlim=(lowest, 1), ylim=(lowest, 1.1))
        else:
            ax.set(aspect="equal")
        ax.set(
            xlabel="False positive rate (fresh rows)",
            ylabel="True positive rate (members)",
        )
        ax.legend(loc="lower right")
        return self

    def frame(self) -> Any:
        """Return the data of the picture.

        Returns
        -------
        DataFrame
            One row per threshold.
        """
        return self._make_frame({"fpr": self.fpr, "tpr": self.tpr})

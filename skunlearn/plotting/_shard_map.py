"""Which shards and slices a request touches, and which it retrains."""

from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skunlearn._requests import resolve
from skunlearn.exceptions import UnsupportedEstimatorError
from skunlearn.plotting._display import BLUE, LIGHT, ORANGE, Display
from skunlearn.sharding import ShardedUnlearningClassifier
from skunlearn.sharding._plans import plan_removal

__all__ = ["ShardMapDisplay"]

_MAX_CELLS_WITH_TEXT, _MAX_CELLS_WITH_LINES = 40, 200  # in a row or column
_LABELS = "untouched", "retrained", "rows to forget"


class ShardMapDisplay(Display):
    """Map of shards and slices: which of them a request touches and retrains.

    Use `from_estimator` to create one.

    Parameters
    ----------
    n_rows : ndarray of int, shape (n_slices, n_shards)
        Number of rows that each slice has; -1 where a shard has no such slice.
    n_forgotten : ndarray of int, shape (n_slices, n_shards)
        Number of them that the request names.
    is_retrained : ndarray of bool, shape (n_slices, n_shards)
        Whether the checkpoint after each slice is trained again.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        The map.
    text_ : list of matplotlib Text
        The numbers of rows to forget; none where cells are too small for them.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skunlearn import ShardedUnlearningClassifier
    >>> from skunlearn.plotting import ShardMapDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = ShardedUnlearningClassifier(n_shards=4, n_slices=3, random_state=0)
    >>> display = ShardMapDisplay.from_estimator(classifier.fit(X, y), [7, 42])
    >>> int(display.frame()["n_forgotten"].sum())
    2
    """

    def __init__(
        self,
        *,
        n_rows: np.ndarray,
        n_forgotten: np.ndarray,
        is_retrained: np.ndarray,
    ):
        self.n_rows = n_rows
        self.n_forgotten = n_forgotten
        self.is_retrained = is_retrained

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X_idx: Any = None,
        *,
        groups: Any = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Plot what a request would touch. Nothing is forgotten.

        Parameters
        ----------
        estimator : ShardedUnlearningClassifier
            The fitted classifier.
        X_idx : int, sequence of int, slice or mask of bool, default=None
            Positions, as for `forget`.
        groups : group id or sequence of group ids, default=None
            Groups, as for `forget`.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        ShardMapDisplay
            The display.
        """
        if not isinstance(estimator, ShardedUnlearningClassifier):
            raise UnsupportedEstimatorError(
                "ShardMapDisplay requires a ShardedUnlearningClassifier; got "
                f"{type(estimator).__name__}."
            )
        check_is_fitted(estimator)
        with estimator._reading() as state:
            request = resolve(X_idx, groups, "raise", state.rows, state.groups)
            display = cls(**_make_map(state, request.positions))
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> Self:
        """Plot the map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, new ones.
        **kwargs : dict
            Passed to ``Axes.imshow``.

        Returns
        -------
        ShardMapDisplay
            The display itself.
        """
        ax = self._draw_on(ax)
        from matplotlib.colors import ListedColormap
        from matplotlib.patches import Patch

        kind = self.is_retrained + (self.n_forgotten > 0).astype(int)
        masked = np.ma.masked_array(kind, mask=self.n_rows < 0)
        colors = LIGHT, ORANGE, BLUE
        style = {"cmap": ListedColormap(list(colors)), "vmin": 0, "vmax": 2}
        style |= {"aspect": "auto", "interpolation": "nearest"}
        self.image_ = ax.imshow(masked, **(style | kwargs))
        self._draw_cells(ax)
        for axis in (ax.xaxis, ax.yaxis):
            axis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        patches = [
            Patch(facecolor=color, label=label)
            for color, label in zip(colors, _LABELS, strict=True)
        ]
        ax.legend(
            handles=patches,
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=3,
            fontsize="small",
        )
        ax.set(xlabel="Shard", ylabel="Slice")
        return self

    def _draw_cells(self, ax: Any) -> None:
        """Draw numbers and lines between the cells, where there is space for them."""
        self.text_ = []
        n_slices, n_shards = self.n_rows.shape
        n_cells = max(n_slices, n_shards)
        if n_cells <= _MAX_CELLS_WITH_TEXT:
            centred = {"color": "white", "ha": "center", "va": "center"}
            self.text_ = [
                ax.text(j, i, str(self.n_forgotten[i, j]), **centred)
                for i, j in np.argwhere(self.n_forgotten > 0)
            ]
        if n_cells <= _MAX_CELLS_WITH_LINES:
            ax.set_xticks(np.arange(n_shards + 1) - 0.5, minor=True)
            ax.set_yticks(np.arange(n_slices + 1) - 0.5, minor=True)
            ax.grid(which="minor", color="white", linewidth=min(1.5, 40 / n_cells))
            ax.tick_params(which="minor", length=0)

    def frame(self) -> Any:
        """Return the data of the picture.

        Returns
        -------
        DataFrame
            One row per slice of a shard.
        """
        slices, shards = np.nonzero(self.n_rows >= 0)
        return self._make_frame(
            {
                "shard": shards,
                "slice": slices,
                "n_rows": self.n_rows[slices, shards],
                "n_forgotten": self.n_forgotten[slices, shards],
                "is_retrained": self.is_retrained[slices, shards],
            }
        )


def _make_map(state: Any, positions: np.ndarray) -> dict[str, np.ndarray]:
    """Return the rows of each slice, and what a request does to them."""
    n_slices = max(shard.n_slices for shard in state.shards)
    shape = n_slices, len(state.shards)
    n_rows, n_forgotten = np.full(shape, -1), np.zeros(shape, dtype=int)
    is_retrained = np.zeros(shape, dtype=bool)
    steps = plan_removal(state, positions).steps if len(positions) else {}
    named = state.rows.slot_of[positions]
    for i, shard in enumerate(state.shards):
        for j, slots in enumerate(shard.cut()):
            n_rows[j, i] = len(slots)
            n_forgotten[j, i] = np.isin(slots, named).sum()
        for step in steps.get(i, ()):
            is_retrained[step.slice, i] = True
    is_retrained |= n_forgotten > 0
    return {"n_rows": n_rows, "n_forgotten": n_forgotten, "is_retrained": is_retrained}

"""What all displays share: axes, colours and tables."""

from typing import Any

__all__ = ["BLUE", "GREY", "LIGHT", "ORANGE", "Display"]

# Of the palette of Okabe and Ito, which the colour-blind can tell apart, and in print.
BLUE, ORANGE, GREY, LIGHT = "#0072B2", "#E69F00", "#595959", "#E8E8E8"


class Display:
    """A picture whose data are given to the constructor."""

    ax_: Any
    figure_: Any

    def _draw_on(self, ax: Any) -> Any:
        """Return the axes to draw on, new ones if there are none, and note them."""
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError(
                f"{type(self).__name__} requires matplotlib. Install it with: "
                'pip install "skunlearn[plot]"'
            ) from error
        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        return ax

    def _make_frame(self, columns: dict[str, Any]) -> Any:
        """Return a data frame of the columns."""
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "frame() requires pandas. Install it with: pip install pandas"
            ) from error
        return pd.DataFrame(columns)

"""What the pictures have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which people of every colour vision can tell apart.
BLUE = "#0072B2"
VERMILION = "#D55E00"
GREY = "#7F7F7F"
INK = "#222222"


def new_axes(width: float, height: float) -> Axes:
    """Make a figure of that size in inches, and return its only Axes."""
    import matplotlib.pyplot as plt  # takes a second to import

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def size_in_inches(ax: Axes) -> tuple[float, float]:
    """Return the width and height of Axes."""
    box = ax.get_window_extent()
    return box.width / ax.figure.dpi, box.height / ax.figure.dpi

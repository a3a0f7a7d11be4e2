"""What the pictures have in common."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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


def save(picture: Axes | Figure, path: str | os.PathLike[str] | IO[bytes], **options: Any) -> None:
    """Write a picture to a file, with its text as text where the format can hold it.

    Parameters
    ----------
    picture : matplotlib Axes or Figure
        What a function of `dag_gfn.plots` returns; of Axes the whole figure is written.
    path : path or binary file
        Its ending decides the format: ``.svg`` and ``.pdf`` for vectors, ``.png`` for pixels. A
        file has none, and needs ``format=``.
    **options
        As of ``Figure.savefig``.

    Raises
    ------
    ValueError
        If matplotlib knows no such format.

    Examples
    --------
    >>> import io, matplotlib
    >>> matplotlib.use("Agg")
    >>> from dag_gfn.plots import edge_marginals
    >>> from dag_gfn.posterior import Posterior
    >>> file = io.BytesIO()
    >>> posterior = Posterior([[[0, 1], [0, 0]]], [0.0], ["rain", "wet"])
    >>> save(edge_marginals(posterior), file, format="svg")
    >>> b">rain</text>" in file.getvalue()
    True
    """
    from matplotlib import rc_context
    from matplotlib.axes import Axes

    figure: Any = picture.get_figure(root=True) if isinstance(picture, Axes) else picture
    # By default the text of an SVG is outlines, which nobody can search or edit, and the fonts of a
    # PDF are of Type 3, which many journals refuse.
    with rc_context({"svg.fonttype": "none", "pdf.fonttype": 42, "ps.fonttype": 42}):
        figure.savefig(path, **options)

"""Edge probabilities as a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dag_gfn.plots.style import INK, new_axes, size_in_inches

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

    from dag_gfn.posterior import Posterior

MAX_LABELLED_VARIABLES = 15


def edge_marginals(posterior: Posterior, ax: Axes | None = None) -> Axes:
    """Draw the posterior probability of every edge.

    Parameters
    ----------
    posterior : Posterior
    ax : matplotlib Axes, optional
        Where to draw; a new figure of a fitting size when left out.

    Returns
    -------
    matplotlib.axes.Axes
        Row causes column; darker is more probable. With at most 15 variables each cell says its
        probability, except where that rounds to zero.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from dag_gfn.posterior import Posterior
    >>> posterior = Posterior([[[0, 1], [0, 0]]], [0.0], ["rain", "wet"])
    >>> edge_marginals(posterior).get_ylabel()
    'cause'
    """
    marginals = posterior.edge_marginals().to_numpy()
    num_variables = len(marginals)
    ax, image, cell = named_cells(marginals, posterior.names, ax, cmap="Blues", vmin=0, vmax=1)

    if num_variables <= MAX_LABELLED_VARIABLES:
        for row, column in np.argwhere(marginals >= 0.005):
            value = marginals[row, column]
            ax.text(
                column,
                row,
                f"{value:.2f}",
                ha="center",
                va="center",
                fontsize=float(np.clip(0.36 * cell, 4.0, 9.0)),
                color="white" if value > 0.55 else INK,
            )
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.85, aspect=25, pad=0.02)
    bar.set_label("posterior probability of the edge")
    bar.outline.set_visible(False)
    return ax


def named_cells(
    matrix: NDArray, names: Sequence[str], ax: Axes | None, **look: Any
) -> tuple[Axes, AxesImage, float]:
    """Draw a matrix of causes and effects as cells, its diagonal grey.

    Parameters
    ----------
    matrix : float [d, d]
    names : sequence of str [d]
    ax : matplotlib Axes, optional
        A new figure of a fitting size when left out.
    **look
        Colours, as of ``Axes.imshow``.

    Returns
    -------
    ax : matplotlib Axes
    image : matplotlib AxesImage
        For a colour bar.
    cell : float
        Width of a cell in points.
    """
    num_variables = len(matrix)
    if ax is None:
        side = np.clip(0.45 * num_variables + 1.6, 3.6, 14.0)
        ax = new_axes(side + 0.9, side)
    # After the names and the colour bar have taken their room, about three quarters are left.
    cell = 0.75 * 72 * min(size_in_inches(ax)) / num_variables
    font = float(np.clip(0.62 * cell, 4.0, 10.0))

    shown = np.ma.masked_where(np.eye(num_variables, dtype=bool), matrix)
    image = ax.imshow(shown, aspect="equal", **look)
    ax.set_facecolor("#D9D9D9")
    # A dollar sign in a name is no formula.
    ax.set_xticks(range(num_variables), names, fontsize=font, parse_math=False)
    ax.set_yticks(range(num_variables), names, fontsize=font, parse_math=False)
    if max(map(len, names)) > 2:
        ax.tick_params(axis="x", labelrotation=90)
    ax.set_xticks(np.arange(num_variables - 1) + 0.5, minor=True)
    ax.set_yticks(np.arange(num_variables - 1) + 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=float(np.clip(cell / 30, 0.3, 1.0)))
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("effect")
    ax.set_ylabel("cause")
    return ax, image, cell

"""Calibration: whether what was given a probability came true as often."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dag_gfn.plots.style import BLUE, GREY, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dag_gfn.calibration import Calibration


def reliability(
    calibration: Calibration,
    ax: Axes | None = None,
    *,
    num_bins: int = 10,
    color: str = BLUE,
    label: str | None = None,
) -> Axes:
    """Draw what share of edges exists against the probability they were given.

    Parameters
    ----------
    calibration : Calibration
    ax : matplotlib Axes, optional
        Where to draw; a new figure when left out.
    num_bins : int, default 10
    color : str
    label : str, optional
        For a legend.

    Returns
    -------
    matplotlib.axes.Axes
        A right posterior has its points on the diagonal. The bars are two binomial standard errors
        of independent edges; those of one table are not quite.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import dag_gfn as dg
    >>> result = dg.calibrate(dg.ExactPosterior(), num_variables=3, num_tables=5, progress=False)
    >>> reliability(result).get_ylabel()
    'share that exists'
    """
    ax = new_axes(4.0, 4.0) if ax is None else ax
    bins = calibration.reliability(num_bins)
    said = bins["probability"]
    error = 2 * np.sqrt(said * (1 - said) / bins["edges"])
    ax.axline((0, 0), slope=1, color=GREY, linewidth=0.8, zorder=0)
    ax.errorbar(
        said,
        bins["share"],
        error,
        fmt="o",
        markersize=4.5,
        linewidth=1,
        color=color,
        label=label,
    )
    ax.set(
        xlim=(-0.03, 1.03),
        ylim=(-0.03, 1.03),
        xlabel="posterior probability of the edge",
        ylabel="share that exists",
    )
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def places(
    calibration: Calibration,
    ax: Axes | None = None,
    *,
    num_bins: int = 10,
    color: str = BLUE,
    label: str | None = None,
) -> Axes:
    """Draw where the true effects lie in their posteriors.

    Parameters
    ----------
    calibration : Calibration
    ax : matplotlib Axes, optional
        Where to draw; a new figure when left out.
    num_bins : int, default 10
    color : str
    label : str, optional
        For a legend.

    Returns
    -------
    matplotlib.axes.Axes
        A right posterior gives a flat line at one: a valley means that intervals are too narrow, a
        hill that they are too wide, a slope that effects are too high or too low.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import dag_gfn as dg
    >>> result = dg.calibrate(dg.ExactPosterior(), num_variables=3, num_tables=5, progress=False)
    >>> places(result).get_ylabel()
    'density'
    """
    ax = new_axes(4.6, 3.2) if ax is None else ax
    heights, ends = np.histogram(calibration.pairs["place"], num_bins, (0, 1), density=True)
    ax.axhline(1, color=GREY, linewidth=0.8, zorder=0)
    ax.stairs(heights, ends, color=color, linewidth=1.6, label=label)
    ax.set(
        xlim=(0, 1),
        ylim=(0, max(1.6, 1.1 * heights.max())),
        xlabel="share of the posterior below the true effect",
        ylabel="density",
    )
    ax.spines[["top", "right"]].set_visible(False)
    return ax

"""Causal effects: all pairs as a heat map, one pair as a density with its spike at zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dag_gfn.plots.heatmap import MAX_LABELLED_VARIABLES, named_cells
from dag_gfn.plots.style import BLUE, GREY, INK, VERMILION, new_axes
from dag_gfn.posterior.effects import central_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dag_gfn.posterior.effects import CausalEffects

# Draws that a density is made of; more take longer and look the same.
_MAX_DRAWS = 5_000


def causal_effects(effects: CausalEffects, ax: Axes | None = None, *, level: float = 0.9) -> Axes:
    """Draw the posterior mean of every total causal effect.

    Parameters
    ----------
    effects : CausalEffects
        Of `Posterior.causal_effects`. With measurements in different units, those that are
        standardized can be compared.
    ax : matplotlib Axes, optional
        Where to draw; a new figure of a fitting size when left out.
    level : float, default 0.9
        Of the intervals that decide which numbers are bold.

    Returns
    -------
    matplotlib.axes.Axes
        Row causes column. With at most 15 variables each cell says its effect, except where it
        rounds to zero: in bold where the interval does not include zero, else in a light face.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import dag_gfn as dg
    >>> table = dg.datasets.simulate_linear_gaussian(3, 100, random_state=0).table
    >>> effects = dg.ExactPosterior().fit(table).posterior_.causal_effects(random_state=0)
    >>> causal_effects(effects).get_ylabel()
    'cause'
    """
    means = effects.mean().to_numpy()
    limit = np.abs(means).max() or 1.0
    ax, image, cell = named_cells(
        means,
        effects.names,
        ax,
        cmap="RdBu_r" if effects.signed else "Blues",
        vmin=-limit if effects.signed else 0.0,
        vmax=limit,
    )
    if len(means) <= MAX_LABELLED_VARIABLES:
        lower, upper = (bound.to_numpy() for bound in effects.interval(level))
        sure = (lower > 0) | (upper < 0)
        for row, column in np.argwhere(np.abs(means) >= 0.005):
            value = means[row, column]
            ax.text(
                column,
                row,
                f"{value:.2f}".replace("-", "−"),
                ha="center",
                va="center",
                fontsize=float(np.clip(0.33 * cell, 4.0, 9.0)),
                fontweight="bold" if sure[row, column] else "light",
                color="white" if abs(value) > 0.6 * limit else INK,
            )
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.85, aspect=25, pad=0.02)
    bar.set_label(
        f"posterior mean of the effect: {effects.quantity}\n"
        f"bold: the {100 * level:g} % interval leaves zero out"
    )
    bar.outline.set_visible(False)
    return ax


def effect_density(
    effects: CausalEffects,
    cause: str,
    effect: str,
    ax: Axes | None = None,
    *,
    level: float = 0.9,
) -> Axes:
    """Draw the posterior of one total causal effect: a density, and a spike at zero.

    Parameters
    ----------
    effects : CausalEffects
    cause, effect : str
    ax : matplotlib Axes, optional
        Where to draw; a new figure when left out.
    level : float, default 0.9
        Of the interval, which is the bar below.

    Returns
    -------
    matplotlib.axes.Axes
        The area of the density is the probability that there is an effect. The spike is the rest,
        as high as its share of the height of the picture.

    Raises
    ------
    ValueError
        If there is no such variable.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import dag_gfn as dg
    >>> table = dg.datasets.simulate_linear_gaussian(3, 100, random_state=0).table
    >>> effects = dg.ExactPosterior().fit(table).posterior_.causal_effects(random_state=0)
    >>> effect_density(effects, "X0", "X1").get_title()
    'X0 → X1'
    """
    from scipy.stats import gaussian_kde

    draws, weights = effects.of(cause, effect), effects.weights
    if ax is None:
        ax = new_axes(5.0, 3.2)
    no_effect = effects.probability_of_no_effect().loc[cause, effect]
    top = 0.0
    present = np.flatnonzero((draws != 0) & (weights > 0))
    if len(present) > _MAX_DRAWS:
        present = np.random.default_rng(0).choice(present, _MAX_DRAWS, replace=False)
    if len(present) > 1 and np.ptp(draws[present]) > 0:
        density = gaussian_kde(draws[present], weights=weights[present])
        width = np.sqrt(density.covariance[0, 0])
        low, high = draws[present].min() - 3 * width, draws[present].max() + 3 * width
        grid = np.linspace(low, high, 400)
        heights = (1 - no_effect) * density(grid)
        top = heights.max()
        shown = grid[heights > 0.002 * top]
        ax.plot(grid, heights, color=BLUE, linewidth=1.5)
        ax.fill_between(grid, heights, color=BLUE, alpha=0.25, linewidth=0)
        reach = np.array([shown.min(), shown.max(), 0.0])
        margin = 0.05 * np.ptp(reach)
        ax.set_xlim(reach.min() - margin, reach.max() + margin)
    top = 1.12 * top or 1.0
    ax.plot([0, 0], [0, no_effect * top], color=VERMILION, linewidth=3, solid_capstyle="butt")
    ax.annotate(
        f"no effect: {100 * no_effect:.0f} %",
        (0, no_effect * top),
        xytext=(5, 2),
        textcoords="offset points",
        color=VERMILION,
        fontsize=9,
    )
    lower, upper = central_interval(draws[:, None], weights, level)[:, 0]
    ax.plot([lower, upper], [-0.05 * top] * 2, color=INK, linewidth=3, solid_capstyle="butt")
    mean = effects.mean().loc[cause, effect]
    ax.plot(mean, -0.05 * top, "o", color="white", markeredgecolor=INK, markersize=5, zorder=3)
    ax.axhline(0, color=GREY, linewidth=0.6)
    ax.set_ylim(-0.1 * top, 1.08 * top)
    ax.set_yticks([])
    ax.spines[["left", "right", "top"]].set_visible(False)
    ax.set_title(f"{cause} → {effect}", fontsize=11, parse_math=False)
    ax.set_xlabel(f"{effects.quantity}\n(bar: {100 * level:g} % interval, dot: mean)", fontsize=9)
    return ax

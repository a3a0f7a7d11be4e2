"""Several methods against a reference: their edge marginals, and their errors over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dag_gfn.metrics import edge_error
from dag_gfn.plots.style import BLUE, GREY, INK, new_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from dag_gfn.comparison import Comparison

# Okabe and Ito's colours, brown and grey; the marker tells methods apart as well.
_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#8C6D31",
    "#777777",
)
_MARKERS = "os^DvPX*h"
_PANEL = 2.5  # inches
_MOST_COLUMNS = 4
_ROUNDING = 1e-6  # an error below this is none, and is drawn at the foot: a logarithm has no zero


def compare_marginals(
    comparison: Comparison, axes: Sequence[Axes] | np.ndarray | None = None
) -> np.ndarray:
    """Draw the edge marginals of each method against those of the reference.

    Parameters
    ----------
    comparison : Comparison
    axes : sequence of matplotlib Axes, optional
        One for each method that has a result; a new figure when left out.

    Returns
    -------
    ndarray of matplotlib.axes.Axes [M]
        A point is an ordered pair of variables. On the diagonal the two agree; the title has the
        largest and the mean distance from it.

    Raises
    ------
    ValueError
        If there is no result, or another number of Axes.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import dag_gfn as dg
    >>> table = dg.datasets.simulate_linear_gaussian(3, 50, random_state=0).table
    >>> comparison = dg.compare(table, ["exact"], random_state=0, progress=False)
    >>> len(compare_marginals(comparison))
    1
    """
    names = list(comparison.marginals)
    if not names:
        raise ValueError("no method has a result to draw; see the remarks of the summary.")
    panels = (
        _panels(len(names), comparison.reference_name)
        if axes is None
        else np.asarray(axes, dtype=object).ravel()
    )
    if len(panels) != len(names):
        raise ValueError(
            f"axes has {len(panels)} Axes for {len(names)} methods; give one for each."
        )
    pairs = ~np.eye(len(comparison.reference), dtype=bool)
    reference = comparison.reference.to_numpy()[pairs]
    for number, (ax, name) in enumerate(zip(panels, names, strict=True)):
        error = edge_error(comparison.marginals[name], comparison.reference)
        values = comparison.marginals[name].to_numpy()[pairs]
        ax.plot([0, 1], [0, 1], color=GREY, linewidth=1.0, zorder=1)
        ax.scatter(reference, values, s=16, color=BLUE, alpha=0.6, linewidths=0, zorder=2)
        ax.set_title(
            f"{name}\nlargest error {error.max:.4f}, mean {error.mean:.4f}", fontsize=9, color=INK
        )
        ax.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04), aspect="equal")
        ax.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        ax.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
        ax.set_xlabel("reference", fontsize=9)
        if axes is not None or number % _MOST_COLUMNS == 0:
            ax.set_ylabel("edge marginal", fontsize=9)
        ax.spines[["top", "right"]].set_visible(False)
    return panels


def error_over_time(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Draw how the largest error of the edge marginals fell with time.

    Parameters
    ----------
    comparison : Comparison
    ax : matplotlib Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    matplotlib.axes.Axes
        Both scales logarithmic. Chains and bootstraps are lines, the error of all there was so far;
        a method that has its answer at its end alone is a point. One without error stands at the
        foot, and its label says so.

    Raises
    ------
    ValueError
        If no method has a result.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import dag_gfn as dg
    >>> table = dg.datasets.simulate_linear_gaussian(3, 50, random_state=0).table
    >>> comparison = dg.compare(table, ["exact"], random_state=0, progress=False)
    >>> error_over_time(comparison).get_yscale()
    'log'
    """
    errors = comparison.errors_over_time
    if errors.empty:
        raise ValueError("no method has a result to draw; see the remarks of the summary.")
    if ax is None:
        ax = new_axes(7.0, 4.2)
    known = errors["max_error"][errors["max_error"] > _ROUNDING]
    low, high = (known.min() / 2, known.max() * 2) if len(known) else (1e-3, 1.0)
    ends = []
    for name, points in errors.groupby("method", sort=False):
        # A sampler without its weights shares the colour of the one with them.
        method = str(name).removesuffix(", unweighted")
        place = list(comparison.marginals).index(method)
        colour = _COLOURS[place % len(_COLOURS)]
        plain = method != name
        seconds = points["seconds"].to_numpy()
        values = np.maximum(points["max_error"].to_numpy(), low)
        ax.plot(seconds, values, color=colour, linewidth=1.8, zorder=2)
        ax.plot(
            seconds[-1],
            values[-1],
            marker=_MARKERS[place % len(_MARKERS)],
            markersize=6,
            color=colour,
            markerfacecolor="white" if plain else colour,
            clip_on=False,
            zorder=3,
        )
        label = str(name) if points["max_error"].iloc[-1] > _ROUNDING else f"{name} (no error)"
        ends.append((float(seconds[-1]), float(values[-1]), label, colour))
    ax.set_xscale("log")
    ax.set_yscale("log")
    first, last = errors["seconds"].min(), errors["seconds"].max()
    # Room for the labels on the right.
    ax.set_xlim(first / 1.3, last * (last / first) ** 0.3 * 1.5)
    ax.set_ylim(low, high)
    _label_ends(ax, ends)
    ax.set_xlabel("seconds, without the local scores")
    ax.set_ylabel("largest error of an edge marginal")
    ax.set_title(f"against {comparison.reference_name}", fontsize=9, color=INK)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _panels(num_panels: int, reference_name: str) -> np.ndarray:
    import matplotlib.pyplot as plt

    columns = min(num_panels, _MOST_COLUMNS)
    rows = -(-num_panels // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(max(_PANEL * columns, 2 * _PANEL), (_PANEL + 0.5) * rows + 0.4),
        layout="constrained",
        squeeze=False,
    )
    figure.suptitle(f"Edge marginals against {reference_name}", fontsize=10, color=INK)
    for ax in axes.ravel()[num_panels:]:
        ax.set_visible(False)
    return axes.ravel()[:num_panels]


def _label_ends(ax: Axes, ends: list[tuple[float, float, str, str]]) -> None:
    """Write each name beside its last point, moved up or down where names would meet."""
    low, high = np.log(ax.get_ylim())
    # The height of a line of text, as a share of that of the Axes.
    line = 13 / 72 / (ax.get_window_extent().height / ax.figure.dpi) * (high - low)
    order = sorted(range(len(ends)), key=lambda i: ends[i][1])
    heights = np.log([ends[i][1] for i in order])
    for _ in range(100):
        gaps = np.diff(heights)
        close = np.flatnonzero(gaps < line * 0.999).tolist()
        if not close:
            break
        for i in close:
            push = (line - (heights[i + 1] - heights[i])) / 2
            heights[i] -= max(push, 0)
            heights[i + 1] += max(push, 0)
    heights += max(0.0, low + line / 2 - heights[0])
    for i, height in zip(order, heights, strict=True):
        seconds, value, name, colour = ends[i]
        # Clear of the points of others that end at about the same time.
        clear = max(end for end, *_ in ends if end <= 1.3 * seconds)
        ax.annotate(
            name,
            xy=(seconds, value),
            xytext=(clear * 1.12, float(np.exp(height))),
            color=colour,
            fontsize=9,
            va="center",
        )

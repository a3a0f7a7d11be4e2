"""The posterior as one graph, causes above effects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline

from dag_gfn.plots.layout import Layout, layered_layout
from dag_gfn.plots.style import BLUE, GREY, INK, new_axes, size_in_inches

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dag_gfn.posterior import Posterior

# All lengths are in inches of a drawing at its natural size.
FONT = 10.0  # points
NODE_HEIGHT = 0.30
NODE_PADDING = 0.24
GAP = 0.22
LAYER_HEIGHT = 0.95
MARGIN = 0.1
HEAD = 0.1  # an edge is straight for so long at its ends, where its arrowhead may be
PORT = 0.13  # between the ends of two edges, if there is room for twice that
CLEARANCE = 0.02  # between the end of an edge and a box
# An edge gets an arrowhead when one direction is this probable, given that the pair is joined.
DECIDED = 0.75


def posterior_graph(posterior: Posterior, threshold: float = 0.5, ax: Axes | None = None) -> Axes:
    """Draw the edges that are probable, with causes above effects.

    A pair of variables is joined by a line when the posterior probability of an edge between
    them, in either direction, reaches ``threshold``: wider and darker is more probable. It has an
    arrowhead when one of the two directions has at least 0.75 of that probability, and none
    otherwise: Markov-equivalent graphs often leave directions open.

    Parameters
    ----------
    posterior : Posterior
    threshold : float
        The least probability to draw, above 0 and at most 1.
    ax : matplotlib Axes, optional
        Where to draw, names made smaller if need be; a new figure of a fitting size when left
        out.

    Returns
    -------
    matplotlib.axes.Axes
        Variables stand in layers of a consensus order, by the expected number of their ancestors
        less that of their descendants. Those that are joined to no other stand in the last rows.

    Raises
    ------
    ValueError
        If ``threshold`` is not above 0 and at most 1.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from dag_gfn.posterior import Posterior
    >>> posterior = Posterior([[[0, 1], [0, 0]]], [0.0], ["rain", "wet"])
    >>> [text.get_text() for text in posterior_graph(posterior).texts]
    ['rain', 'wet']
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is {threshold}; it must be above 0 and at most 1.")
    marginals = posterior.edge_marginals().to_numpy()
    order = _consensus_order(posterior)
    edges = _probable_pairs(marginals, order, threshold)
    widths = _node_widths(posterior.names, edges)
    layout = layered_layout(edges, order, widths, gap=GAP, layer_height=LAYER_HEIGHT)

    half = np.stack([np.array(widths) / 2, np.full(len(widths), NODE_HEIGHT / 2)], axis=1)
    corners = np.concatenate(
        [layout.position - half, layout.position + half, *layout.bends.values()]
    )
    low, high = corners.min(axis=0) - MARGIN, corners.max(axis=0) + MARGIN
    if ax is None:
        ax = new_axes(max(high[0] - low[0], 4.2), high[1] - low[1] + 0.6)
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    ax.set_aspect("equal")
    ax.axis("off")
    scale = min(1.0, *(np.array(size_in_inches(ax)) / (high - low)))

    for edge, curve in _curves(edges, layout, widths).items():
        cause, effect = edge
        _draw_edge(ax, curve, marginals[cause, effect], marginals[effect, cause], scale)
    for node, name in enumerate(posterior.names):
        joined = any(node in edge for edge in edges)
        _draw_node(ax, layout.position[node], widths[node], name, joined, scale)
    _draw_key(ax, threshold, scale)
    return ax


def _consensus_order(posterior: Posterior) -> list[int]:
    """Order variables by the expected number of ancestors less that of descendants."""
    paths = posterior.path_marginals().to_numpy()
    return list(np.argsort(paths.sum(axis=0) - paths.sum(axis=1), kind="stable"))


def _probable_pairs(
    marginals: NDArray[np.float64], order: Sequence[int], threshold: float
) -> list[tuple[int, int]]:
    rank = np.argsort(order)
    pairs = np.argwhere(marginals + marginals.T >= threshold - 1e-12)
    return [(int(i), int(j)) for i, j in pairs if rank[i] < rank[j]]


def _node_widths(names: Sequence[str], edges: Sequence[tuple[int, int]]) -> list[float]:
    """Measure the boxes, in inches: wide enough for the name, and for the arrows side by side."""
    from matplotlib.textpath import TextPath

    widths = []
    for node, name in enumerate(names):
        text = 0.0
        if name.strip():
            path = TextPath((0, 0), name.replace("$", r"\$"), size=FONT)
            text = path.get_extents().width / 72
        most = max(sum(edge[end] == node for edge in edges) for end in (0, 1))
        widths.append(max(text + NODE_PADDING, most * PORT + NODE_HEIGHT / 2))
    return widths


def _curves(
    edges: Sequence[tuple[int, int]], layout: Layout, widths: Sequence[float]
) -> dict[tuple[int, int], NDArray[np.float64]]:
    """Draw each edge from the bottom of one box to the top of another, as points [m, 2].

    The ends of a node's edges stand side by side, in the order of where they go. Past the boxes
    of a layer a line runs straight down, so that it never touches them.
    """
    stops = {
        (i, j): np.stack([layout.position[i], *layout.bends[i, j], layout.position[j]])
        for i, j in edges
    }
    ports: dict[tuple[tuple[int, int], int], float] = {}
    for end, towards in ((0, 1), (1, -2)):
        for node, width in enumerate(widths):
            aims = sorted((stops[edge][towards, 0], edge) for edge in edges if edge[end] == node)
            own = [edge for _, edge in aims]
            step = min(2 * PORT, (width - NODE_HEIGHT / 2) / max(len(own), 1))
            for k, edge in enumerate(own):
                ports[edge, end] = layout.position[node, 0] + (k - (len(own) - 1) / 2) * step
    half = NODE_HEIGHT / 2
    curves = {}
    for edge, points in stops.items():
        x = np.repeat([ports[edge, 0], *points[1:-1, 0], ports[edge, 1]], 2)
        y = np.repeat(points[:, 1], 2) + half * np.tile([1, -1], len(points))
        y[[0, 1]] = y[1] - np.array([0, HEAD])
        y[[-2, -1]] = y[-2] + np.array([HEAD, 0])
        down = np.linspace(y[0] - CLEARANCE, y[-1] + CLEARANCE, 60 * (len(points) - 1))
        # Every piece has the same shape, upright at both ends: so two lines cross between layers
        # only if their ends are in a different order, and arrowheads stand side by side.
        shape = CubicHermiteSpline(-y, x, np.zeros(len(x)))
        curves[edge] = np.stack([shape(-down), down], axis=1)
    return curves


def _draw_node(
    ax: Axes, centre: NDArray[np.float64], width: float, name: str, joined: bool, scale: float
) -> None:
    from matplotlib.patches import FancyBboxPatch

    ax.add_patch(
        FancyBboxPatch(
            (centre[0] - width / 2, centre[1] - NODE_HEIGHT / 2),
            width,
            NODE_HEIGHT,
            boxstyle=f"round,pad=0,rounding_size={0.45 * NODE_HEIGHT}",
            facecolor="white",
            edgecolor=INK if joined else GREY,
            linewidth=1.0 * scale,
            zorder=3,
        )
    )
    ax.text(
        centre[0],
        centre[1],
        name,
        ha="center",
        va="center_baseline",
        fontsize=FONT * scale,
        color=INK if joined else GREY,
        zorder=4,
        parse_math=False,
    )


def _draw_edge(
    ax: Axes, curve: NDArray[np.float64], forward: float, backward: float, scale: float
) -> None:
    """Draw a line along a curve, with an arrowhead if its direction is decided."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    probability = min(forward + backward, 1.0)  # the sum of many weights can pass 1 by a rounding
    decided = max(forward, backward) >= DECIDED * probability
    ax.add_patch(
        FancyArrowPatch(
            path=Path(curve if forward >= backward else curve[::-1]),
            arrowstyle="-|>,head_length=0.5,head_width=0.22" if decided else "-",
            mutation_scale=(9 + 5 * probability) * scale,
            capstyle="butt",
            joinstyle="miter",
            fill=decided,
            **_edge_style(probability, scale),
        )
    )


def _edge_style(probability: float, scale: float) -> dict:
    from matplotlib.colors import to_rgb

    # Mixed with white rather than transparent, so that crossings do not look like more.
    shade = 0.35 + 0.65 * probability
    color = 1 - shade * (1 - np.array(to_rgb(BLUE)))
    return {"linewidth": (0.4 + 2.4 * probability) * scale, "color": color}


def _draw_key(ax: Axes, threshold: float, scale: float) -> None:
    from matplotlib.lines import Line2D

    levels = sorted({round(threshold, 2), round((1 + threshold) / 2, 2), 1.0})
    handles = [
        Line2D([], [], label=f"{level:.2g}", **_edge_style(level, scale)) for level in levels
    ]
    key = ax.legend(
        handles=handles,
        title="probability of an edge; no arrowhead: direction open",
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=len(levels),
        frameon=False,
        fontsize=9 * max(scale, 0.6),
        title_fontsize=9 * max(scale, 0.6),
    )
    key.set_zorder(5)

"""Draw images/architecture.svg: the parts of the package, and which of them import which.

``python docs/explanations/architecture.py`` takes a second.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Polygon

from dag_gfn.plots import save
from dag_gfn.plots.style import BLUE, GREY, INK, VERMILION

IMAGE = Path(__file__).parents[1] / "images" / "architecture.svg"
WIDTH, HEIGHT = 7.85, 6.65  # inches, which all lengths are in
PALE = "#DCEAF4"

# Left, bottom and width of each part; the heights are the same but for the necks.
LINE = 0.36
BOXES = {
    "cli": (1.65, 6.16, 5.9),
    "report": (1.65, 5.54, 1.0),
    "plots": (3.1, 5.54, 4.45),
    "calibration": (1.65, 4.92, 2.7),
    "comparison": (4.85, 4.92, 2.7),
    "estimators": (1.65, 4.3, 5.9),
    "datasets": (0.1, 3.02, 1.1),
    "tables": (0.1, 2.1, 1.1),
    "scores": (1.65, 2.38, 1.05),
    "exact": (3.15, 3.46, 1.25),
    "mcmc": (3.15, 2.9, 1.25),
    "orderflow": (3.15, 2.26, 1.25),
    "gflownet": (3.15, 1.72, 1.25),
    "posterior": (4.85, 2.38, 1.05),
    "imputation": (6.4, 3.5, 1.15),
    "diagnostics": (6.4, 3.02, 1.15),
    "convergence": (6.4, 2.5, 1.15),
    "metrics": (6.4, 1.92, 1.15),
    "design": (6.4, 1.44, 1.15),
    "checkpoint": (2.72, 0.9, 1.1),
    "devices": (3.92, 0.9, 0.9),
    "graphs": (1.65, 0.2, 4.25),
    "features": (6.4, 0.2, 1.15),
}
NECKS = {"scores": "LocalScores", "posterior": "Posterior"}
NECK = 0.8

# Parts that are imported together.
GROUPS = {
    "inference": ("exact", "mcmc", "orderflow", "gflownet"),
    "trained": ("orderflow", "gflownet"),
    "helpers": ("imputation", "diagnostics", "convergence"),
}

# Who imports whom; a group stands for each of its parts. What follows from these is not drawn.
ARROWS = (
    ("cli", "report"),
    ("report", "plots"),
    ("plots", "calibration"),
    ("plots", "comparison"),
    ("calibration", "estimators"),
    ("comparison", "estimators"),
    ("comparison", "metrics"),
    ("estimators", "inference"),
    ("estimators", "helpers"),
    ("datasets", "scores"),
    ("scores", "tables"),
    ("scores", "graphs"),
    ("exact", "scores"),
    ("mcmc", "scores"),
    ("orderflow", "scores"),
    ("gflownet", "scores"),
    ("exact", "posterior"),
    ("mcmc", "posterior"),
    ("orderflow", "posterior"),
    ("gflownet", "posterior"),
    ("orderflow", "mcmc"),
    ("trained", "checkpoint"),
    ("trained", "devices"),
    ("posterior", "graphs"),
    ("imputation", "posterior"),
    ("diagnostics", "posterior"),
    ("diagnostics", "convergence"),
    ("metrics", "posterior"),
    ("design", "posterior"),
    ("features", "graphs"),
)
# What would cross too much; the text beside the picture says it.
LEFT_OUT = {("cli", "datasets"), ("cli", "design"), ("cli", "features"), ("design", "scores")}

# The recipes of CONTRIBUTING.md, and the parts that they add to.
RECIPES = {1: "score", 2: "space", 3: "objective", 4: "method"}
ADDED_TO = {1: "scores", 2: "gflownet", 3: "gflownet", 4: "estimators"}


def edges_of(name: str) -> tuple[float, float, float, float]:
    """Return left, bottom, right and top of a part or a group."""
    if name in GROUPS:
        inside = [edges_of(part) for part in GROUPS[name]]
        margin = 0.1 if name == "inference" else 0.06
        left, bottom = (min(one[i] for one in inside) - margin for i in (0, 1))
        right, top = (max(one[i] for one in inside) + margin for i in (2, 3))
        return left, bottom, right, top
    left, bottom, width = BOXES[name]
    return left, bottom, left + width, bottom + (NECK if name in NECKS else LINE)


def box(ax: Axes, name: str) -> None:
    """Draw a part, or the frame of a group."""
    left, bottom, right, top = edges_of(name)
    fill = BLUE if name in NECKS else "none" if name in GROUPS else "white"
    patch = FancyBboxPatch(
        (left, bottom),
        right - left,
        top - bottom,
        boxstyle="round,pad=0,rounding_size=0.06",
        facecolor=fill,
        edgecolor=BLUE if name in NECKS else GREY,
        linewidth=0.8 if name in GROUPS else 1.0,
        linestyle=(0, (3, 2)) if name in GROUPS else "solid",
        zorder=1 if name in GROUPS else 3,
    )
    patch.set_gid(f"box-{name}")
    ax.add_patch(patch)
    if name in GROUPS:
        return
    middle = (left + right) / 2, (bottom + top) / 2
    words = {"ha": "center", "va": "center", "fontsize": 10.5, "zorder": 4}
    if name in NECKS:
        ax.text(middle[0], middle[1] + 0.15, name, color="white", weight="bold", **words)
        ax.text(middle[0], middle[1] - 0.15, NECKS[name], color="white", **words)
    else:
        ax.text(*middle, name, color=INK, **words)


def path_of(source: str, target: str) -> list[tuple[float, float]]:
    """Return the corners of an arrow, float [at least 2, 2]."""
    left, bottom, right, top = edges_of(source)
    to_left, to_bottom, to_right, to_top = edges_of(target)
    middle, to_middle = (bottom + top) / 2, (to_bottom + to_top) / 2
    if (source, target) == ("comparison", "metrics"):  # round what lies between
        aside = right + 0.18
        return [(right, middle), (aside, middle), (aside, to_middle), (to_right, to_middle)]
    if right <= to_left or to_right <= left:  # side by side
        start, end = (right, to_left) if right <= to_left else (left, to_right)
        if target in NECKS:  # spread, so that heads do not lie upon each other
            spread = 0.4 * NECK
            to_middle += max(-spread, min(spread, 0.28 * (middle - to_middle)))
        elif source in NECKS:
            middle += max(-0.3, min(0.3, to_middle - middle))
        return [(start, middle), (end, to_middle)]
    x = (max(left, to_left) + min(right, to_right)) / 2
    return [(x, bottom), (x, to_top)] if bottom >= to_top else [(x, top), (x, to_bottom)]


def arrow(ax: Axes, source: str, target: str) -> None:
    """Draw an arrow from a part to what it imports."""
    corners = path_of(source, target)
    for (x, y), (to_x, to_y) in zip(corners[:-2], corners[1:-1], strict=True):
        ax.plot([x, to_x], [y, to_y], color=INK, linewidth=1.0, solid_capstyle="round", zorder=2)
    patch = FancyArrowPatch(
        *corners[-2:],
        arrowstyle="-|>",
        mutation_scale=9,
        shrinkA=0,
        shrinkB=0,
        color=INK,
        linewidth=1.0,
        zorder=2,
    )
    patch.set_gid(f"arrow-{source}-{target}")
    ax.add_patch(patch)


def funnels(ax: Axes) -> None:
    """Draw the hourglass that the necks are the necks of."""
    columns = [
        (0.1, 1.2, 1.72, 3.82),
        (1.65, 2.7, 2.38, 3.18),
        (3.05, 4.5, 1.62, 3.92),
        (4.85, 5.9, 2.38, 3.18),
        (6.3, 7.55, 1.38, 3.92),
    ]
    corners = [(x, low) for left, right, low, _ in columns for x in (left, right)]
    corners += [(x, high) for left, right, _, high in columns[::-1] for x in (right, left)]
    ax.add_patch(Polygon(corners, closed=True, facecolor=PALE, edgecolor="none", zorder=0))


def recipes(ax: Axes) -> None:
    """Mark the parts that the recipes add to with numbers, and list these."""
    seen: dict[str, int] = {}
    words = {"ha": "center", "va": "center_baseline", "color": "white", "fontsize": 8.5}
    for number, part in ADDED_TO.items():
        left, _, _, top = edges_of(part)
        places = [
            (left + 0.03 + 0.23 * seen.get(part, 0), top),
            (0.22, 1.15 - 0.27 * (number - 1)),
        ]
        seen[part] = seen.get(part, 0) + 1
        for place in places:
            ax.add_patch(Circle(place, 0.105, facecolor=VERMILION, edgecolor="white", zorder=5))
            ax.text(*place, str(number), weight="bold", zorder=6, **words)
        ax.text(0.42, places[1][1], RECIPES[number], color=INK, va="center_baseline", fontsize=9)


def draw(path: Path) -> None:
    """Draw the picture."""
    fig = plt.figure(figsize=(WIDTH, HEIGHT), facecolor="white")
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    ax.set_axis_off()
    funnels(ax)
    for name in (*GROUPS, *BOXES):
        box(ax, name)
    for source, target in ARROWS:
        arrow(ax, source, target)
    recipes(ax)
    words = {"color": INK, "va": "top", "fontsize": 9, "linespacing": 1.3}
    ax.text(0.1, 6.5, "A part points at\nwhat it imports.", **words)
    ax.text(0.1, 4.6, "A table runs from\nleft to right,\nthrough the necks.", **words)
    ax.text(0.1, 1.5, "Recipes", weight="bold", **words)
    # Without a date and random names, the file changes when the picture does.
    with plt.rc_context({"svg.hashsalt": "architecture"}):
        save(fig, path, format="svg", metadata={"Creator": None, "Date": None})


if __name__ == "__main__":
    draw(IMAGE)

"""Draw densities beside what was learned of them, and matrices of couplings."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from dag_gfn.plots.style import BLUE, VERMILION
from experiments.energy_based.ising import REFIT, Study
from experiments.energy_based.planes import VIEW, Plane


def draw_planes(planes: list[Plane], path: Path) -> None:
    """Draw a column for each density: its points, those of the sampler, and the energy."""
    size = 2.1
    figure, panels = plt.subplots(
        3,
        len(planes),
        figsize=(size * len(planes) + 0.5, 3 * size + 0.3),
        layout="constrained",
        squeeze=False,
    )
    limits = (-VIEW, VIEW)
    for column, plane in zip(panels.T, planes, strict=True):
        for axes, points, colour in zip(
            column, (plane.points, plane.draws), (BLUE, VERMILION), strict=False
        ):
            axes.plot(*points.T, ".", markersize=1.2, alpha=0.6, color=colour)
        column[2].imshow(
            plane.model,
            extent=(*limits, *limits),
            origin="lower",
            vmax=np.quantile(plane.model, 0.995),
            vmin=0,
            cmap="cividis",
        )
        for axes in column:
            axes.set(xlim=limits, ylim=limits, aspect="equal", xticks=(-3, 0, 3), yticks=(-3, 0, 3))
            axes.label_outer()
        column[0].set_title(plane.row["density"])
        column[2].set_xlabel("$x$")
    for axes, label in zip(
        panels[:, 0], ("data", "draws of the flow network", "$e^{-E(x, y)}$"), strict=True
    ):
        axes.set_ylabel(f"{label}\n$y$")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_ising(study: Study, path: Path) -> None:
    """Draw the true couplings beside learned ones, and the error while they were learned."""
    shown = {
        "truth": "true couplings",
        "EB-GFN": "EB-GFN, L1 penalty",
        REFIT: "EB-GFN, then without penalty",
    }
    figure, panels = plt.subplots(
        1, 4, figsize=(12.5, 3.4), layout="constrained", width_ratios=[1, 1, 1, 1.15]
    )
    bound = float(np.abs(study.matrices["truth"]).max()) * 1.3
    for axes, (name, label) in zip(panels, shown.items(), strict=False):
        image = axes.imshow(study.matrices[name], cmap="RdBu_r", vmin=-bound, vmax=bound)
        axes.set(title=label, xlabel="spin $j$")
        axes.title.set_fontsize(10)
    panels[0].set_ylabel("spin $i$")
    bar = figure.colorbar(image, ax=panels[:3], shrink=0.85, pad=0.01)
    bar.ax.set_title("$J_{ij}$", fontsize=10)
    for row, label, colour in zip(
        study.rows, ("with penalty", "without"), (BLUE, VERMILION), strict=False
    ):
        panels[3].plot(*np.transpose(row["curve"]), color=colour, label=label)
    panels[3].axhline(study.rows[-1]["log_rmse"], color="0.5", linestyle=":", label="$J = 0$")
    panels[3].set(xlabel="updates", ylabel="$-\\log$ RMSE of $J$")
    panels[3].legend(frameon=False, fontsize=9)
    panels[3].spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    plt.close(figure)

"""Training curves, and the weights that say how well it went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dag_gfn.plots.style import BLUE, GREY, INK, VERMILION, new_axes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from dag_gfn.posterior import Posterior

HISTORY_COLUMNS = ("update", "loss", "log_weight_std", "efficiency")


def training_curve(history: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how training went.

    The spread of the log-weights is the curve to look at: it is zero for a perfect sampler, and
    needs no reference. The efficiency is the effective sample size per draw.

    Parameters
    ----------
    history : DataFrame
        Columns ``update``, ``loss``, ``log_weight_std`` (nats), ``efficiency`` (0 to 1); NaN
        where a number was not computed.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    matplotlib.axes.Axes
        The left axis, for loss and spread on a logarithmic scale; the efficiency has its own on
        the right.

    Raises
    ------
    ValueError
        If a column is missing, or there are no rows.

    Examples
    --------
    >>> import matplotlib, pandas as pd
    >>> matplotlib.use("Agg")
    >>> columns = ["update", "loss", "log_weight_std", "efficiency"]
    >>> history = pd.DataFrame([[1, 2.0, 3.0, 0.1], [2, 1.0, 1.0, 0.4]], columns=columns)
    >>> training_curve(history).get_xlabel()
    'update'
    """
    for column in HISTORY_COLUMNS:
        if column not in history:
            raise ValueError(f"history has no column {column!r}; give the history of a fit.")
    if len(history) == 0:
        raise ValueError("history has no rows; train for at least one update.")
    if ax is None:
        ax = new_axes(6.0, 3.6)
    right = ax.twinx()
    curves: list[tuple[Axes, str, str, dict[str, Any]]] = [
        (ax, "loss", "loss", {"color": GREY, "linewidth": 1.0}),
        (ax, "log_weight_std", "spread of log-weights (nats)", {"color": BLUE, "linewidth": 2.0}),
        (right, "efficiency", "efficiency", {"color": VERMILION, "linewidth": 2.0, "ls": "--"}),
    ]
    lines = []
    for axes, column, label, look in curves:
        known = history[["update", column]].dropna()
        lone = "o" if len(known) == 1 else None
        lines += axes.plot(known["update"], known[column], label=label, marker=lone, **look)
    positive = history[["loss", "log_weight_std"]].to_numpy(np.float64)
    if (positive > 0).any():
        ax.set_yscale("log")
    ax.set_xlabel("update")
    ax.set_ylabel("loss, spread of log-weights (nats)", color=INK)
    right.set_ylim(0, 1)
    right.set_ylabel("efficiency (ESS per draw)", color=VERMILION)
    right.tick_params(axis="y", colors=VERMILION)
    for axes in (ax, right):
        axes.spines["top"].set_visible(False)
    ax.legend(
        handles=lines,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=3,
        frameon=False,
        fontsize=9,
    )
    return ax


def weights(posterior: Posterior, ax: Axes | None = None) -> Axes:
    """Draw the weights from the largest to the smallest.

    A perfect sampler gives a flat line at 1. The steeper the left end, the more a few draws
    decide; k-hat says how steep it is.

    Parameters
    ----------
    posterior : Posterior
    ax : matplotlib Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    matplotlib.axes.Axes
        Both scales logarithmic. Draws of weight zero are left out.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from dag_gfn.posterior import Posterior
    >>> posterior = Posterior([[[0, 1], [0, 0]]] * 30, [0.0] * 30, ["rain", "wet"])
    >>> weights(posterior).get_xlabel()
    'rank of the draw'
    """
    if ax is None:
        ax = new_axes(4.8, 3.6)
    relative = np.sort(posterior.weights)[::-1] * len(posterior)
    relative = relative[relative > 0]
    rank = np.arange(1, len(relative) + 1)
    ax.axhline(1, color=GREY, linewidth=1.0, linestyle=":", label="equal weights")
    ax.plot(rank, relative, color=BLUE, linewidth=2.0, marker="o", markersize=2.5)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_ylim(max(relative[-1] / 2, relative[0] * 1e-8), relative[0] * 3)
    ax.set_xlabel("rank of the graph" if posterior.exact else "rank of the draw")
    ax.set_ylabel("weight, relative to equal weights")
    summary = (
        f"exact: {len(posterior)} graphs"
        if posterior.exact
        else f"k-hat {posterior.khat:.2f}\nworth {posterior.ess:.0f} of {len(posterior)} draws"
    )
    ax.text(0.04, 0.06, summary, transform=ax.transAxes, ha="left", va="bottom", color=INK)
    ax.legend(loc="upper right", frameon=False, fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    return ax

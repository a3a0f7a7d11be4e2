"""Traces of Markov chains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dag_gfn.convergence import RHAT_LIMIT, log_score_convergence
from dag_gfn.plots.style import BLUE, INK, VERMILION, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours again; with more chains they come round.
_COLOURS = (BLUE, VERMILION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MOST_POINTS = 1000  # of a chain; more than a line can show
_SMOOTHED = 40  # points of the moving average


def traces(chains: Any, ax: Axes | None = None) -> Axes:
    """Draw the log-score of each chain along its steps, after the burn-in.

    Chains that have converged wander over the same band without a trend. The thin lines are the
    log-scores themselves, the thick ones averages over a fortieth of the chain, which show a chain
    that keeps to itself.

    Parameters
    ----------
    chains : Chains or fitted estimator
        What `dag_gfn.mcmc.run_chains` returns, or an estimator with ``chains_``.
    ax : matplotlib Axes, optional
        Where to draw; a new figure when left out.

    Returns
    -------
    matplotlib.axes.Axes
        The title gives R-hat and the effective sample size of the log-score.

    Raises
    ------
    TypeError
        If there are no chains in what was given.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from dag_gfn.mcmc import run_chains, structure_kernel
    >>> from dag_gfn.scores import local_scores
    >>> scores = local_scores(np.random.default_rng(0).normal(size=(50, 3)))
    >>> kernel = structure_kernel(scores, num_chains=2, seed=0)
    >>> traces(run_chains(kernel, num_draws=100, num_steps=1000)).get_xlabel()
    'step'
    """
    chains = getattr(chains, "chains_", chains)
    if not hasattr(chains, "draws"):
        raise TypeError(
            "traces needs the chains of run_chains or a fitted estimator such as StructureMCMC, "
            f"not {type(chains).__name__}."
        )
    if ax is None:
        ax = new_axes(7.0, 3.6)
    log_scores = chains.draws.log_scores
    num_chains, num_draws = log_scores.shape
    steps = chains.num_steps - chains.thin * np.arange(num_draws - 1, -1, -1)
    shown = np.unique(np.linspace(0, num_draws - 1, min(num_draws, _MOST_POINTS)).astype(int))
    bounds = np.linspace(0, num_draws, min(_SMOOTHED, num_draws) + 1).astype(int)
    width = np.diff(bounds)
    for chain, values in enumerate(log_scores):
        colour = _COLOURS[chain % len(_COLOURS)]
        ax.plot(steps[shown], values[shown], color=colour, linewidth=0.5, alpha=0.3)
        ax.plot(
            np.add.reduceat(steps, bounds[:-1]) / width,
            np.add.reduceat(values, bounds[:-1]) / width,
            color=colour,
            linewidth=1.8,
            label=f"chain {chain + 1}",
        )
    rhat, ess = log_score_convergence(log_scores)
    verdict = "" if rhat <= RHAT_LIMIT else f", above {RHAT_LIMIT}"
    ax.set_title(
        f"R-hat {rhat:.3f}{verdict}; {num_chains * num_draws} draws worth {ess:.0f}",
        fontsize=10,
        color=INK,
        loc="left",
    )
    ax.set_xlabel("step")
    ax.set_ylabel("log-score (nats)")
    ax.set_xlim(steps[0], steps[-1])
    ax.spines[["top", "right"]].set_visible(False)
    if num_chains <= len(_COLOURS):
        ax.legend(
            loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=9, handlelength=1
        )
    return ax

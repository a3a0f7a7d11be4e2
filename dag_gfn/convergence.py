"""Whether several Markov chains over graphs tell the same story.

Glossary: ``C`` chains, ``S`` draws of a chain, ``d`` variables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

__all__ = ["RHAT_LIMIT", "convergence", "log_score_convergence"]

RHAT_LIMIT = 1.01  # Vehtari et al. 2021, section 4

_FEWEST_DRAWS = 8  # of a chain, as ArviZ wants four of what it compares
_CHUNK_ENTRIES = 2**22  # indicators looked at together, to bound the memory


def convergence(
    adjacency: NDArray[Any],  # [C, S, d, d]
    log_scores: NDArray[np.float64],  # [C, S]
    names: Sequence[str],
) -> pd.DataFrame:
    """Compute split R-hat and effective sample size of the log-score and of every edge.

    R-hat compares the spread of all halves of chains with that within a half; it is 1 where they
    agree. That of the log-score is rank-normalised, the larger of those for location and scale; its
    effective sample size is that of the bulk [1]_. The indicator of an edge has but two values, so
    its ranks are a linear function of it and need not be taken.

    Parameters
    ----------
    adjacency : array of bool or int [C, S, d, d]
        Draws of each chain in their order, after burn-in.
    log_scores : array of float64 [C, S]
    names : sequence of str [d]

    Returns
    -------
    DataFrame
        One row for the log-score, called ``"log score"``, and for each edge, called
        ``"cause -> effect"``; columns ``mean``, ``rhat`` and ``ess``.
        An edge on which all draws agree has R-hat 1 and the number of all draws as sample size; one
        on which each half of a chain agrees with itself but not with another has R-hat infinity.

    Raises
    ------
    ValueError
        If a chain has fewer than eight draws.

    References
    ----------
    .. [1] A. Vehtari, A. Gelman, D. Simpson, B. Carpenter and P.-C. Bürkner. "Rank-normalization,
       folding, and localization: an improved R-hat for assessing convergence of MCMC." Bayesian
       Analysis 16(2), 2021.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> graphs = np.zeros((4, 500, 2, 2))
    >>> graphs[:, :, 0, 1] = rng.random((4, 500)) < 0.3
    >>> table = convergence(graphs, rng.normal(size=(4, 500)), ["rain", "wet"])
    >>> bool(table.loc["rain -> wet", "rhat"] < RHAT_LIMIT)
    True
    >>> table.loc["wet -> rain"].tolist()
    [0.0, 1.0, 2000.0]
    """
    num_chains, num_draws, d, _ = adjacency.shape
    if num_draws < _FEWEST_DRAWS:
        raise ValueError(
            f"R-hat needs at least {_FEWEST_DRAWS} draws of each chain and there are {num_draws}; "
            "keep more."
        )
    cause, effect = np.nonzero(~np.eye(d, dtype=bool))
    indicators = adjacency[:, :, cause, effect]
    mean = indicators.mean(axis=(0, 1))
    rhat = np.ones(len(mean))
    ess = np.full(len(mean), float(num_chains * num_draws))
    share = _without_middle(indicators).mean(axis=(0, 1))
    varied = np.flatnonzero((share > 0) & (share < 1))
    chunk = max(_CHUNK_ENTRIES // (num_chains * num_draws), 1)
    for start in range(0, len(varied), chunk):
        edges = varied[start : start + chunk]
        rhat[edges], ess[edges] = _of_indicators(indicators[:, :, edges])
    score_rhat, score_ess = log_score_convergence(log_scores)
    edge_names = [f"{one} -> {other}" for one in names for other in names if one != other]
    return pd.DataFrame(
        {
            "mean": np.concatenate([[np.mean(log_scores)], mean]),
            "rhat": np.concatenate([[score_rhat], rhat]),
            "ess": np.concatenate([[score_ess], ess]),
        },
        index=["log score", *edge_names],
    )


def log_score_convergence(log_scores: ArrayLike) -> tuple[float, float]:
    """Return rank-normalised split R-hat and bulk effective sample size of the log-scores alone.

    Parameters
    ----------
    log_scores : array of float64 [C, S]
        At least eight draws of each chain.

    Returns
    -------
    rhat, ess : float

    See Also
    --------
    convergence : The same for the log-score and each edge.

    Examples
    --------
    >>> rhat, ess = log_score_convergence(np.random.default_rng(0).normal(size=(4, 500)))
    >>> rhat < RHAT_LIMIT, 1500 < ess < 2500
    (True, True)
    """
    values = _without_middle(np.asarray(log_scores, dtype=np.float64))
    num_values = len(np.unique(values))
    if num_values == 1:
        return 1.0, float(values.size)
    if num_values == 2:
        # Their distances from the median may all be the same, which says nothing of the scale.
        rhat, ess = _of_indicators(values[:, :, None] == values.max())
        return float(rhat[0]), float(ess[0])
    # R-hat of a single chain compares its quarters, since ArviZ wants two chains to split.
    chains = values if len(values) > 1 else _halves(values)
    return float(_rhat(chains, "rank")), float(_ess(values, "bulk"))


def _without_middle(values: NDArray) -> NDArray:
    """Return values [C, S, ...] less the draw that is in neither half where S is odd.

    What varies in that draw alone is constant to all that compares halves.
    """
    num_draws = values.shape[1]
    return np.delete(values, num_draws // 2, axis=1) if num_draws % 2 else values


def _halves(values: NDArray) -> NDArray:
    """Return the first and the second half of every chain, [2 C, S // 2, ...]."""
    half = values.shape[1] // 2
    return np.concatenate([values[:, :half], values[:, values.shape[1] - half :]])


def _of_indicators(indicators: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return R-hat and effective sample size of indicators [C, S, E] that vary, float64 [E]."""
    halves = _halves(indicators.astype(np.float64))
    return _rhat(halves, "identity"), _ess(halves, "identity")


def _rhat(values: NDArray[np.float64], method: str) -> NDArray[np.float64]:
    """Return R-hat of values [C, S, ...] as ArviZ computes it; infinite without spread within."""
    from arviz_stats.base import array_stats  # takes seconds to import

    # Dividing by zero may count as invalid too, where compiled code has left that flag set.
    with np.errstate(divide="ignore", invalid="ignore"):
        return array_stats.rhat(values, method=method, chain_axis=0, draw_axis=1)


def _ess(values: NDArray[np.float64], method: str) -> NDArray[np.float64]:
    """Return the effective sample size of values [C, S, ...] as ArviZ computes it."""
    from arviz_stats.base import array_stats

    return array_stats.ess(values, method=method, chain_axis=0, draw_axis=1)

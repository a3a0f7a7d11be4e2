r"""Which experiment to run next: what an intervention is expected to teach about the graph.

The expected information gain of an experiment (Lindley 1956, "On a measure of the information
provided by an experiment") is the mutual information between the graph G and the rows Y that the
experiment would yield, given the rows D that there are,

.. math::

    I(G; Y \mid D) = H(G \mid D) - E_Y H(G \mid D, Y)
    = E_Y \, KL(p(G \mid D, Y) \,\|\, p(G \mid D)).

For causal graphs it goes back to Murphy 2001 ("Active learning of causal Bayes net structure") and
Tong and Koller 2001 ("Active learning for structure in Bayesian networks"). Here the measurements
are linear-Gaussian with the prior of BGe, so p(Y | G, D) is known: it is a product of local scores
with the new rows over those without. What is simulated is Y alone: a graph by its posterior
probability, its coefficients and variances by theirs, and the rows that follow.

Glossary: ``S`` simulated outcomes, ``n`` new rows, ``d`` variables, ``U`` distinct graphs, ``V``
versions of the table (see `dag_gfn.scores.bge.BGeLikelihood`), ``K`` parent sets.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from dag_gfn.posterior import Posterior
from dag_gfn.scores import BGe
from dag_gfn.scores.constraints import column_index, intervention_targets
from dag_gfn.tables import as_frame

__all__ = ["choose_intervention", "expected_information_gain"]

# Entries of a block of intermediate arrays: 64 MiB of float64.
_BLOCK_ENTRIES = 2**23

# Graphs that have this much together are left out, which moves no gain by more than 1e-4 nats.
_NEGLIGIBLE = 1e-6


class Regressions(NamedTuple):
    """What the rows so far say of each column given any others: a normal-Wishart posterior."""

    scale: NDArray[np.float64]  # [V, d, d], R
    mean: NDArray[np.float64]  # [V, d], posterior mean of mu
    mean_weight: NDArray[np.float64]  # [V], alpha_mu + N
    degrees: NDArray[np.float64]  # [V], alpha_w - d + N; a family of l columns has l more
    version: NDArray[np.int64]  # [d], which of them is for each column


class Worlds(NamedTuple):
    """Networks drawn from the posterior, and the noise of the rows to come."""

    coefficients: NDArray[np.float64]  # [S, d, d], row causes column
    intercepts: NDArray[np.float64]  # [S, d]
    noise: NDArray[np.float64]  # [S, n, d], in the units of the columns
    standard_noise: NDArray[np.float64]  # [S, n, d], for the values that an intervention sets


def choose_intervention(
    table: pd.DataFrame | ArrayLike, posterior: Posterior, **settings: Any
) -> str | None:
    """Return the experiment that is expected to teach most about the graph.

    Parameters
    ----------
    table, posterior, **settings
        As of `expected_information_gain`.

    Returns
    -------
    str or None
        The column to intervene on; None for rows without intervention, if that is a candidate.

    Raises
    ------
    TypeError, ValueError
        As `expected_information_gain`.

    Examples
    --------
    >>> import dag_gfn as dg
    >>> table = dg.datasets.simulate_linear_gaussian([[0, 1], [0, 0]], 50, random_state=0).table
    >>> posterior = dg.ExactPosterior().fit(table).posterior_
    >>> choose_intervention(table, posterior, candidates=[None, "X1"], random_state=0)
    'X1'
    """
    gain = expected_information_gain(table, posterior, **settings)["gain"]
    return gain.index[int(np.argmax(gain))]


def expected_information_gain(
    table: pd.DataFrame | ArrayLike,
    posterior: Posterior,
    *,
    candidates: Iterable[str | int | None] | None = None,
    num_rows: int = 10,
    interventions: Iterable[str | int | None] | None = None,
    set_to: tuple[float, float] | None = None,
    score: BGe | None = None,
    num_outcomes: int = 500,
    random_state: int | np.random.Generator | None = None,
) -> pd.DataFrame:
    """Estimate how many nats each experiment is expected to take from the posterior's entropy.

    Parameters
    ----------
    table : DataFrame or array [n, d]
        The measurements so far, in the units in which they were scored.
    posterior : Posterior
        Of the graph given that table, from any method, under BGe. If it consists of draws, their
        distinct graphs are taken for all there are, so no gain is above the logarithm of their
        number.
    candidates : iterable of column names or positions, optional
        What to intervene on, perfectly and in all new rows; None for rows without intervention.
        By default each of the columns.
    num_rows : int, default 10
        Number of new rows.
    interventions : sequence [n] of column names or positions, optional
        The column that was set in each row so far, as of `dag_gfn.local_scores`.
    set_to : (float, float), optional
        Mean and standard deviation of the values that are set, which are normal; a standard
        deviation of 0 sets one value. By default those of the column in the table.
    score : BGe, optional
        The score of the posterior, with its hyper-parameters.
    num_outcomes : int, default 500
        How many outcomes of each experiment are simulated.
    random_state : int or numpy.random.Generator, optional
        All candidates are tried on the same simulated networks and noise.

    Returns
    -------
    DataFrame [candidates]
        ``gain`` and its Monte Carlo ``standard_error``, in nats, indexed by candidate.

    Raises
    ------
    TypeError, ValueError
        If the table is not fit for BGe, its columns are not the posterior's variables, a candidate
        is no column, or a number is out of range.

    Notes
    -----
    The estimate is the mean over simulated outcomes of the Kullback-Leibler divergence from the
    posterior before them to the one after, which is never negative. It is unbiased if the posterior
    is exact, but for graphs that together have a probability of 1e-6 and are left out.

    Examples
    --------
    >>> import dag_gfn as dg
    >>> table = dg.datasets.simulate_linear_gaussian([[0, 1], [0, 0]], 50, random_state=0).table
    >>> posterior = dg.ExactPosterior().fit(table).posterior_
    >>> gains = expected_information_gain(table, posterior, random_state=0)
    >>> bool((gains["gain"] < posterior.entropy()).all())
    True
    """
    frame = as_frame(table)
    names = tuple(frame.columns)
    unique = posterior.unique()
    adjacency = _in_order(unique.adjacency, posterior.names, names)
    score = BGe() if score is None else score
    if not isinstance(score, BGe):
        raise TypeError(f"gains are known for the score BGe alone, not for {score!r}.")
    for name, number, least in (("num_rows", num_rows, 1), ("num_outcomes", num_outcomes, 2)):
        if number < least:
            raise ValueError(f"{name} must be at least {least}, not {number}.")
    if set_to is not None and not (np.isfinite(set_to[0]) and 0 <= set_to[1] < np.inf):
        raise ValueError(
            f"set_to must be a mean and a standard deviation of at least 0, not {set_to}."
        )
    if isinstance(candidates, str):
        raise TypeError(f"candidates must be a list of columns, not the name {candidates!r}.")
    tried = [
        -1 if candidate is None else column_index(candidate, names, "candidate")
        for candidate in (names if candidates is None else candidates)
    ]
    if not tried:
        raise ValueError("candidates is empty; name at least one column.")
    beliefs = regressions(frame, intervention_targets(interventions, names, len(frame)), score)

    rng = np.random.default_rng(random_state)
    # The most probable come first.
    kept = unique.probabilities.cumsum() - unique.probabilities < 1 - _NEGLIGIBLE
    adjacency, probabilities = adjacency[kept], unique.probabilities[kept]
    probabilities /= probabilities.sum()
    drawn = rng.choice(len(adjacency), size=num_outcomes, p=probabilities)
    worlds = draw_worlds(beliefs, adjacency[drawn], num_rows, rng)
    columns = frame.to_numpy(float)
    means, deviations = (columns.mean(axis=0), columns.std(axis=0)) if set_to is None else set_to
    means, deviations = (np.broadcast_to(one, len(names)) for one in (means, deviations))
    rows = []
    for target in tried:
        outcomes = simulate_outcomes(worlds, target, means[target], deviations[target])
        surprise = _surprise(beliefs, outcomes, target, adjacency, probabilities)
        rows.append((surprise.mean(), surprise.std(ddof=1) / np.sqrt(num_outcomes)))
    labels = [None if target < 0 else names[target] for target in tried]
    index = pd.Index(labels, dtype=object, name="candidate")
    return pd.DataFrame(rows, index=index, columns=["gain", "standard_error"])


def regressions(frame: pd.DataFrame, targets: NDArray[np.int64], score: BGe) -> Regressions:
    """Return what the rows so far say of each column given any others.

    Parameters
    ----------
    frame : DataFrame [n, d]
    targets : int64 [n]
        The column that was set in each row, -1 for none; its rows say nothing of that column.
    score : BGe

    Returns
    -------
    Regressions

    Raises
    ------
    ValueError
        As `BGe.prepare`.
    """
    likelihood = score.prepare(frame, targets)
    values = frame.to_numpy(np.float64)
    num_variables = values.shape[1]
    weight = likelihood.alpha_mu + likelihood.num_rows
    total = np.tile(values.sum(axis=0), (len(weight), 1))
    for column in np.flatnonzero(likelihood.version):
        total[likelihood.version[column]] -= values[targets == column].sum(axis=0)
    prior_mean = np.broadcast_to(np.asarray(score.nu, np.float64), num_variables)
    return Regressions(
        scale=likelihood.posterior_scale,
        mean=(total + likelihood.alpha_mu * prior_mean) / weight[:, None],
        mean_weight=weight,
        degrees=likelihood.alpha_w - num_variables + likelihood.num_rows,
        version=likelihood.version,
    )


def draw_worlds(
    beliefs: Regressions, adjacency: NDArray, num_rows: int, rng: np.random.Generator
) -> Worlds:
    r"""Draw the parameters of each graph from their posterior, and the noise of new rows.

    With R the scale matrix and P the parents of column j, the precision is chi-squared over
    ``R_jj|P`` with ``alpha_w - d + N + |P| + 1`` degrees of freedom, and given it the coefficients
    are normal about ``R_PP^{-1} R_Pj`` with the covariance ``R_PP^{-1}`` over the precision (the
    regression in a normal-Wishart posterior; Geiger and Heckerman 2002, "Parameter priors for
    directed acyclic graphical models").

    Parameters
    ----------
    beliefs : Regressions
    adjacency : int8 [S, d, d]
    num_rows : int
    rng : numpy.random.Generator

    Returns
    -------
    Worlds
    """
    num_worlds, num_variables = adjacency.shape[:2]
    coefficients = np.zeros(adjacency.shape)
    intercepts, noise_sd = np.empty((2, num_worlds, num_variables))
    for node in range(num_variables):
        version = beliefs.version[node]
        scale, mean = beliefs.scale[version], beliefs.mean[version]
        parent_sets, which = np.unique(adjacency[:, :, node], axis=0, return_inverse=True)
        for number, members in enumerate(parent_sets):
            worlds = np.flatnonzero(which.ravel() == number)
            parents = np.flatnonzero(members)
            fitted = np.linalg.solve(scale[np.ix_(parents, parents)], scale[parents, node])
            unexplained = scale[node, node] - scale[node, parents] @ fitted
            degrees = beliefs.degrees[version] + len(parents) + 1
            deviation = np.sqrt(unexplained / rng.chisquare(degrees, len(worlds)))[:, None]
            factor = np.linalg.cholesky(scale[np.ix_(parents, parents)])
            standard = rng.standard_normal((len(parents), len(worlds)))
            slopes = fitted + deviation * np.linalg.solve(factor.T, standard).T
            off = rng.standard_normal(len(worlds)) / np.sqrt(beliefs.mean_weight[version])
            coefficients[worlds[:, None], parents, node] = slopes
            intercepts[worlds, node] = mean[node] - slopes @ mean[parents] + off * deviation[:, 0]
            noise_sd[worlds, node] = deviation[:, 0]
    standard_noise = rng.standard_normal((num_worlds, num_rows, num_variables))
    return Worlds(coefficients, intercepts, noise_sd[:, None, :] * standard_noise, standard_noise)


def simulate_outcomes(
    worlds: Worlds, target: int, set_mean: float, set_sd: float
) -> NDArray[np.float64]:
    """Return the rows that an experiment yields in each world.

    Parameters
    ----------
    worlds : Worlds
    target : int
        The column that is set, -1 for none.
    set_mean, set_sd : float
        Of the values that are set.

    Returns
    -------
    float64 [S, n, d]
    """
    coefficients = worlds.coefficients.copy()
    added = worlds.intercepts[:, None, :] + worlds.noise
    if target >= 0:
        coefficients[:, :, target] = 0.0
        added[:, :, target] = set_mean + set_sd * worlds.standard_noise[:, :, target]
    # x = x B + added, row by row
    return added @ np.linalg.inv(np.eye(coefficients.shape[1]) - coefficients)


def log_predictive(
    beliefs: Regressions, outcomes: NDArray[np.float64], node: int, parent_sets: NDArray
) -> NDArray[np.float64]:
    """Return the log-density of one column of new rows, given its parents in them.

    That is the local score with the new rows less the one without, in which only the terms that
    the new rows change are left.

    Parameters
    ----------
    beliefs : Regressions
    outcomes : float64 [S, n, d]
    node : int
        A column that is not set in the new rows.
    parent_sets : int8 [K, d]

    Returns
    -------
    float64 [S, K]
    """
    version = beliefs.version[node]
    before, weight = beliefs.scale[version], beliefs.mean_weight[version]
    num_outcomes, num_new = outcomes.shape[:2]
    mean = outcomes.mean(axis=1, keepdims=True)
    centred, shift = outcomes - mean, mean - beliefs.mean[version]
    after = before + centred.swapaxes(1, 2) @ centred
    after += num_new * weight / (num_new + weight) * shift.swapaxes(1, 2) * shift
    sizes = parent_sets.sum(axis=1)
    log_density = np.empty((num_outcomes, len(parent_sets)))
    for size in np.unique(sizes):
        sets = np.flatnonzero(sizes == size)
        length = max(1, _BLOCK_ENTRIES // (num_outcomes * (size + 1) ** 2))
        for block in np.split(sets, range(length, len(sets), length)):
            members = np.nonzero(parent_sets[block])[1].reshape(len(block), size)
            families = np.column_stack([members, np.full(len(block), node)])
            det_before, variance_before = _log_minors(before[None], families)
            det_after, variance_after = _log_minors(after, families)
            half = 0.5 * (beliefs.degrees[version] + size + 1)
            log_density[:, block] = (
                0.5 * np.log(weight / (weight + num_new))
                + gammaln(half + 0.5 * num_new)
                - gammaln(half)
                - 0.5 * num_new * np.log(np.pi)
                + 0.5 * (det_before - det_after)
                + half * variance_before
                - (half + 0.5 * num_new) * variance_after
            )
    return log_density


def _log_minors(scale: NDArray, families: NDArray) -> tuple[NDArray, NDArray]:
    """Return log |M_PP| and log M_jj|P of families (P, j) [K, k + 1] in M [S, d, d]: [S, K]."""
    blocks = scale[:, families[:, :, None], families[:, None, :]]
    log_pivots = 2 * np.log(np.diagonal(np.linalg.cholesky(blocks), axis1=2, axis2=3))
    return log_pivots[:, :, :-1].sum(axis=2), log_pivots[:, :, -1]


def _surprise(
    beliefs: Regressions,
    outcomes: NDArray[np.float64],
    target: int,
    adjacency: NDArray[np.int8],
    probabilities: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the divergence from the posterior before each outcome to the one after, [S]."""
    columns = []
    for node in (node for node in range(adjacency.shape[1]) if node != target):
        parent_sets, which = np.unique(adjacency[:, :, node], axis=0, return_inverse=True)
        columns.append((log_predictive(beliefs, outcomes, node, parent_sets), which.ravel()))
    surprise = np.empty(len(outcomes))
    length = max(1, _BLOCK_ENTRIES // len(adjacency))
    for block in np.split(np.arange(len(outcomes)), range(length, len(outcomes), length)):
        ratio = np.zeros((len(block), len(adjacency)))
        for density, which in columns:
            ratio += density[block][:, which]
        ratio -= ratio.max(axis=1, keepdims=True)
        weight = probabilities * np.exp(ratio)
        total = weight.sum(axis=1)
        # log p(G | D, Y) - log p(G | D) is the log-density less that of all graphs together
        surprise[block] = (weight * ratio).sum(axis=1) / total - np.log(total)
    return surprise


def _in_order(
    adjacency: NDArray[np.int8], names: Iterable[str], columns: tuple[str, ...]
) -> NDArray[np.int8]:
    """Return graphs on the names [U, d, d] with their variables in the order of the columns."""
    listed = list(names)
    for name in (*columns, *listed):
        if name not in listed or name not in columns:
            where = "the posterior" if name not in listed else "the table"
            raise ValueError(
                f"{where} has no variable {name!r}; table and posterior must share all."
            )
    order = [listed.index(name) for name in columns]
    return adjacency[:, order][:, :, order]

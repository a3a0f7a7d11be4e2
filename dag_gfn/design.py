r"""Which experiment to run next: what an intervention is expected to teach about the graph.

The expected information gain of an experiment (Lindley 1956, "On a measure of the information
provided by an experiment") is the mutual information between the graph G and the rows Y that the
experiment would yield, given the rows D that there are,

.. math::

    I(G; Y \mid D) = H(G \mid D) - E_Y H(G \mid D, Y)
    = E_Y \, KL(p(G \mid D, Y) \,\|\, p(G \mid D)).

For causal graphs it goes back to Murphy 2001 ("Active learning of causal Bayes net structure") and
Tong and Koller 2001 ("Active learning for structure in Bayesian networks"). The priors of BGe and
BDe are conjugate, so p(Y | G, D) is known: it is a product of local scores with the new rows over
those without. What is simulated is Y alone: a graph by its posterior probability, its parameters by
theirs, and the rows that follow.

Glossary: ``S`` simulated outcomes, ``n`` new rows, ``d`` variables, ``U`` distinct graphs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dag_gfn.posterior import Posterior
from dag_gfn.posterior.distinct import distinct_parent_sets
from dag_gfn.posterior.linear_gaussian import LinearGaussianMechanisms
from dag_gfn.posterior.mechanisms import Mechanisms
from dag_gfn.scores.constraints import column_index

__all__ = ["choose_intervention", "expected_information_gain"]

# Entries of a block of intermediate arrays: 64 MiB of float64.
_BLOCK_ENTRIES = 2**23

# Graphs that have this much together are left out, which moves no gain by more than 1e-4 nats.
_NEGLIGIBLE = 1e-6


def choose_intervention(posterior: Posterior, **settings: Any) -> str | None:
    """Return the experiment that is expected to teach most about the graph.

    Parameters
    ----------
    posterior, **settings
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
    >>> choose_intervention(posterior, candidates=[None, "X1"], random_state=0)
    'X1'
    """
    gain = expected_information_gain(posterior, **settings)["gain"]
    return gain.index[int(np.argmax(gain))]


def expected_information_gain(
    posterior: Posterior,
    *,
    candidates: Iterable[str | int | None] | None = None,
    num_rows: int = 10,
    set_to: tuple[float, float] | None = None,
    num_outcomes: int = 500,
    random_state: int | np.random.Generator | None = None,
) -> pd.DataFrame:
    """Estimate how many nats each experiment is expected to take from the posterior's entropy.

    Parameters
    ----------
    posterior : Posterior
        From any estimator under the score BGe or BDe. If it consists of draws, their distinct
        graphs are taken for all there are, so no gain is above the logarithm of their number.
    candidates : iterable of names or positions, optional
        What to intervene on, perfectly and in all new rows; None for rows without intervention.
        By default each of the variables.
    num_rows : int, default 10
        Number of new rows.
    set_to : (float, float), optional
        Mean and standard deviation of the measurements that are set, which are normal; a standard
        deviation of 0 sets one value. By default those of the column in the table. Categories are
        set uniformly at random.
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
        If the posterior came without mechanisms, a candidate is no variable, or a number is out of
        range.

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
    >>> gains = expected_information_gain(posterior, random_state=0)
    >>> bool((gains["gain"] < posterior.entropy()).all())
    True
    """
    mechanisms = posterior.required_mechanisms("gains")
    for name, number, least in (("num_rows", num_rows, 1), ("num_outcomes", num_outcomes, 2)):
        if number < least:
            raise ValueError(f"{name} must be at least {least}, not {number}.")
    tried = _positions(candidates, posterior.names)

    rng = np.random.default_rng(random_state)
    unique = posterior.unique()
    # The most probable come first.
    kept = unique.probabilities.cumsum() - unique.probabilities < 1 - _NEGLIGIBLE
    adjacency, probabilities = unique.adjacency[kept], unique.probabilities[kept]
    probabilities /= probabilities.sum()
    drawn = rng.choice(len(adjacency), size=num_outcomes, p=probabilities)
    networks = mechanisms.draw(adjacency[drawn], np.zeros(num_outcomes), rng)
    settings = _settings(mechanisms, set_to, (num_outcomes, num_rows), rng)
    seed = int(rng.integers(2**63))
    rows = []
    for target in tried:
        do = {} if target < 0 else {posterior.names[target]: settings[target]}
        simulated = networks.simulate(num_rows, do, random_state=seed)
        surprise = _surprise(
            mechanisms, mechanisms.encode_values(simulated), target, adjacency, probabilities
        )
        rows.append((surprise.mean(), surprise.std(ddof=1) / np.sqrt(num_outcomes)))
    labels = [None if target < 0 else posterior.names[target] for target in tried]
    index = pd.Index(labels, dtype=object, name="candidate")
    return pd.DataFrame(rows, index=index, columns=["gain", "standard_error"])


def _positions(candidates: Iterable[str | int | None] | None, names: Sequence[str]) -> list[int]:
    """Return what is tried as positions, -1 for rows without intervention."""
    if isinstance(candidates, str):
        raise TypeError(f"candidates must be a list of columns, not the name {candidates!r}.")
    tried = [
        -1 if candidate is None else column_index(candidate, names, "candidate")
        for candidate in (names if candidates is None else candidates)
    ]
    if not tried:
        raise ValueError("candidates is empty; name at least one column.")
    return tried


def _settings(
    mechanisms: Mechanisms,
    set_to: tuple[float, float] | None,
    shape: tuple[int, int],
    rng: np.random.Generator,
) -> list[NDArray]:
    """Return the values that an intervention on each variable sets, d arrays [S, n]."""
    if not isinstance(mechanisms, LinearGaussianMechanisms):
        if set_to is not None:
            raise ValueError("set_to is for measurements; categories are set at random.")
        uniform = rng.random(shape)
        return [(uniform * len(states)).astype(np.int32) for states in mechanisms.states]
    if set_to is not None and not (np.isfinite(set_to[0]) and 0 <= set_to[1] < np.inf):
        raise ValueError(
            f"set_to must be a mean and a standard deviation of at least 0, not {set_to}."
        )
    standard = rng.standard_normal(shape)
    columns = zip(mechanisms.column_means, mechanisms.column_sds, strict=True)
    return [mean + sd * standard for mean, sd in ((set_to or column) for column in columns)]


def _surprise(
    mechanisms: Mechanisms,
    outcomes: NDArray,
    target: int,
    adjacency: NDArray[np.int8],
    probabilities: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the divergence from the posterior before each outcome to the one after, [S]."""
    columns = []
    for node in (node for node in range(adjacency.shape[1]) if node != target):
        parent_sets, which = distinct_parent_sets(adjacency, node)
        density = mechanisms.log_predictive(outcomes, node, parent_sets)
        columns.append((density, which))
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

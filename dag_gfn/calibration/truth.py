"""Networks and tables from the model's own prior: the truth that a posterior is held against."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dag_gfn.estimators.exact import ExactPosterior
from dag_gfn.estimators.mechanisms import prior_mechanisms_of
from dag_gfn.posterior.categorical import CategoricalMechanisms
from dag_gfn.posterior.effects import largest_distance
from dag_gfn.posterior.mechanisms import Parameters
from dag_gfn.scores import LocalScores, local_scores
from dag_gfn.scores.likelihood import LocalLikelihood

# Graphs are drawn by sums over sets of variables.
MAX_VARIABLES = 20


class Truth(NamedTuple):
    """A network from the prior, and the table that it made."""

    table: pd.DataFrame  # [n, d]
    adjacency: NDArray[np.int8]  # [d, d]
    effects: NDArray[np.float64]  # [d, d], zero on the diagonal


class NoData(LocalLikelihood):
    """The likelihood of an empty table, under which the posterior is the prior.

    Parameters
    ----------
    num_variables : int
    """

    def __init__(self, num_variables: int) -> None:
        self._num_variables = num_variables

    @property
    def num_variables(self) -> int:
        """Number of columns, d."""
        return self._num_variables

    def log_marginals(self, node: int, parent_sets: np.ndarray) -> np.ndarray:
        """Return log p of no rows, which is zero, float64 [K]."""
        return np.zeros(len(parent_sets))


def blank_scores(num_variables: int, num_states: int | None = None, **settings: Any) -> LocalScores:
    """Return local scores of a table that stands for any other with such columns.

    Parameters
    ----------
    num_variables : int
    num_states : int, optional
        Of each column, for categories; columns hold measurements without it.
    **settings
        Of `dag_gfn.local_scores`: score, prior and their hyper-parameters, in-degree limit.

    Returns
    -------
    LocalScores
    """
    names = [f"X{i}" for i in range(num_variables)]
    if num_states is None:
        values = np.random.default_rng(0).normal(size=(30, num_variables))
        return local_scores(pd.DataFrame(values, columns=names), **settings)
    states = pd.CategoricalDtype(range(num_states))
    table = pd.DataFrame(np.zeros((2, num_variables), int), columns=names).astype(states)
    return local_scores(table, **settings)


def graphs_from_prior(scores: LocalScores, num_graphs: int, seed: int) -> NDArray[np.int8]:
    """Draw DAGs from the prior of local scores, exactly and independently.

    Parameters
    ----------
    scores : LocalScores
        Their likelihood is not looked at, their constraints are.
    num_graphs : int
    seed : int

    Returns
    -------
    int8 [num_graphs, d, d]

    Examples
    --------
    >>> graphs_from_prior(blank_scores(3), 2, seed=0).shape
    (2, 3, 3)
    """
    prior = LocalScores(
        NoData(scores.num_variables),
        scores.log_prior,
        scores.names,
        num_rows=0,
        required=scores.required,
        forbidden=scores.forbidden,
        max_parents=scores.max_parents,
        edge_log_odds=scores.edge_log_odds,
    )
    estimator = ExactPosterior(n_samples=num_graphs, progress=False, random_state=seed)
    return estimator.infer(prior).posterior_.adjacency


def draw_truth(
    scores: LocalScores, graph: NDArray[np.int8], num_rows: int, rng: np.random.Generator
) -> Truth:
    """Draw parameters of a graph from the prior, and rows from the network.

    Parameters
    ----------
    scores : LocalScores
        Of `blank_scores`; they hold the prior of the parameters.
    graph : int8 [d, d]
    num_rows : int
    rng : numpy.random.Generator

    Returns
    -------
    Truth
    """
    prior = prior_mechanisms_of(scores)
    if prior is None:
        raise ValueError("only the scores 'bge' and 'bde' have a prior to draw parameters from.")
    network = prior.draw(graph[None], np.zeros(1), rng)
    rows = network.simulate(num_rows, random_state=rng)[0]
    table = pd.DataFrame(rows, columns=list(scores.names))
    if isinstance(prior, CategoricalMechanisms):
        table = table.astype(pd.CategoricalDtype(range(len(prior.states[0]))))
    return Truth(table, graph, _effects(network))


def _effects(network: Parameters) -> NDArray[np.float64]:
    """Return the total effects of one network as `Posterior.causal_effects` measures them."""
    num_variables = len(network.names)
    if not hasattr(network, "interventional"):
        return network.total_effects()[0] * ~np.eye(num_variables, dtype=bool)
    sizes = np.zeros((num_variables, num_variables))
    for cause, effect in np.argwhere(~np.eye(num_variables, dtype=bool)):
        # One that is no ancestor changes nothing, but for rounding.
        size = largest_distance(network.interventional(cause, effect))[0]
        sizes[cause, effect] = 0.0 if size < 1e-12 else size
    return sizes

"""Graphs from which chains set out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dag_gfn.mcmc.candidates import CandidateTable
from dag_gfn.scores import LocalScores

__all__ = ["random_starts"]

_PARENTS = 1.5  # of a node on average, where the constraints leave so many


def random_starts(
    scores: LocalScores, table: CandidateTable, num_chains: int, *, seed: int
) -> NDArray[np.int8]:
    """Draw dispersed graphs that the constraints allow, without looking at the data.

    Variables are put into a random order in which required edges point forward, and each takes
    some of its candidates before it as parents. Chains that started so far apart and yet agree
    have most likely forgotten where they started.

    Parameters
    ----------
    scores : LocalScores
    table : CandidateTable
    num_chains : int
    seed : int

    Returns
    -------
    ndarray of int8 [C, d, d]

    Examples
    --------
    >>> from dag_gfn.mcmc.candidates import candidate_table
    >>> from dag_gfn.scores import local_scores
    >>> scores = local_scores(np.random.default_rng(0).normal(size=(50, 4)))
    >>> random_starts(scores, candidate_table(scores), 2, seed=0).shape
    (2, 4, 4)
    """
    rng = np.random.default_rng(seed)
    d = scores.num_variables
    adjacency = np.repeat(scores.required[None].astype(np.int8), num_chains, axis=0)
    for graph in adjacency:
        rank = np.empty(d, dtype=np.int64)
        rank[_random_order(scores.required, rng)] = np.arange(d)
        for node in range(d):
            free = table.candidates[node][table.candidates[node] >= 0]
            free = free[
                (rank[free] < rank[node])
                & ~scores.forbidden[free, node]
                & ~scores.required[free, node]
            ]
            if len(free):
                room = scores.max_parents - int(scores.required[:, node].sum())
                # Half of the pairs are in the right order, so each is taken twice as readily.
                share = min(2 * _PARENTS / table.candidates.shape[1], 0.5)
                taken = free[rng.random(len(free)) < share]
                graph[rng.permutation(taken)[:room], node] = 1
    return adjacency


def _random_order(required: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return a random order in which all required edges point forward, int64 [d]."""
    waiting = required.sum(axis=0)
    order: list[int] = []
    ready = np.flatnonzero(waiting == 0).tolist()
    while ready:
        node = ready.pop(int(rng.integers(len(ready))))
        order.append(node)
        for child in np.flatnonzero(required[node]):
            waiting[child] -= 1
            if waiting[child] == 0:
                ready.append(int(child))
    return np.array(order, dtype=np.int64)

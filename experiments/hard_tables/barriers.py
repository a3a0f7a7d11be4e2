"""How high the passes between modes are, by looking at all DAGs of five variables."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp

from dag_gfn.graphs import all_dags

NUM_VARIABLES = 5


class Barrier(NamedTuple):
    """Two modes that meet at a pass."""

    nats: float  # from the top of the lower mode down to the pass
    mass: float  # of the graphs above the pass on the lower side
    other_mass: float  # on the higher side


def barriers(scores: Any, *, least_mass: float = 0.02, least_nats: float = 1.0) -> list[Barrier]:
    """List the passes between modes, the deepest first.

    Graphs are taken in the order of their scores, and joined to those already there that are one
    addition, deletion or reversal of an edge away. Where a graph joins two groups it is the pass
    between them: any walk of single edges from one to the other goes at least as deep.

    Parameters
    ----------
    scores : LocalScores
        Of five variables.
    least_mass : float
        Of the lower mode, for a pass to be listed.
    least_nats : float
        Of the pass.

    Returns
    -------
    list of Barrier
    """
    log_scores = scores.log_score(all_dags(NUM_VARIABLES))
    probabilities = np.exp(log_scores - logsumexp(log_scores))
    found = [
        Barrier(nats, float(probabilities[lower].sum()), float(probabilities[higher].sum()))
        for nats, lower, higher in _merges(log_scores, least_nats)
        if probabilities[lower].sum() >= least_mass
    ]
    return sorted(found, reverse=True)


def way_out_of_the_empty_graph(scores: Any) -> float:
    """Return how far down a walk of single edges must go to leave the empty graph for a better one.

    Parameters
    ----------
    scores : LocalScores
        Of five variables.

    Returns
    -------
    float
        In nats, from the top of the empty graph's surroundings; 0 where the way is uphill.
    """
    dags = all_dags(NUM_VARIABLES)
    empty = int(np.flatnonzero(dags.sum(axis=(1, 2)) == 0)[0])
    for nats, lower, _ in _merges(scores.log_score(dags), 0.0):
        if empty in lower:
            return nats
    return 0.0


def _merges(log_scores: np.ndarray, least_nats: float) -> list[tuple[float, list[int], list[int]]]:
    """List (depth, graphs of the lower group, graphs of the higher group) of each pass."""
    neighbours = _neighbours()
    group: dict[int, list[int]] = {}  # of each graph, shared by its members; the first is its top
    merges = []
    for graph in np.argsort(-log_scores, kind="stable").tolist():
        group[graph] = [graph]
        for other in neighbours[graph]:
            if other not in group or group[other] is group[graph]:
                continue
            low, high = sorted((group[graph], group[other]), key=lambda g: log_scores[g[0]])
            depth = float(log_scores[low[0]] - log_scores[graph])
            if depth >= least_nats and depth > 0:
                merges.append((depth, list(low), list(high)))
            high.extend(low)
            for member in low:
                group[member] = high
    return merges


@cache
def _neighbours() -> list[list[int]]:
    """List the DAGs one addition, deletion or reversal of an edge away from each."""
    dags = all_dags(NUM_VARIABLES)
    bits = 1 << np.arange(NUM_VARIABLES**2, dtype=np.int64).reshape(NUM_VARIABLES, NUM_VARIABLES)
    codes = (dags * bits).sum(axis=(1, 2)).tolist()
    place = {code: number for number, code in enumerate(codes)}
    pairs = [
        (int(bits[i, j]), int(bits[j, i])) for i, j in zip(*np.nonzero(bits), strict=True) if i != j
    ]
    found = []
    for code in codes:
        near = []
        for there, back in pairs:
            if code & there:
                near += [code ^ there, code ^ there | back]
            elif not code & back:
                near.append(code | there)
        found.append([place[other] for other in near if other in place])
    return found

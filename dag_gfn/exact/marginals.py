"""Exact edge and path marginals from the completions of every set of variables.

With ``p(U)`` the probability that ``U`` is ancestral (closed under parents) and ``t_U(S)`` the
terms of ``H(U)`` without their signs, divided by ``H(U)``:

- ``p(W) = sum over non-empty S in W of (-1)^(|S| + 1) p(W - S) t_{W - S}(S)``, since
  ``p(U) t_U(S)`` is the probability that ``U`` and ``U + S`` are ancestral and no variable of
  ``S`` has a child in ``S``;
- ``p_j(U) = p(U) * sum over S with j in S of (-1)^(|S| + 1) t_U(S)`` is the probability that
  ``j`` is the only root of what is left after ``U``, that is, that ``U`` is all of the
  non-descendants of ``j``.

For a DAG and a node ``j`` there is one such ``U``. So ``j`` reaches ``i`` with the probability
``sum of p_j(U) over U without i``, and given that ``U`` the parents of ``j`` are drawn from the
sets within ``U`` by their local scores, which gives the edge ``i -> j`` the probability
``sum over U of p_j(U) (1 - alpha_j(U - i) / alpha_j(U))``.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from dag_gfn.exact.parent_sums import table_index
from dag_gfn.exact.subset_dp import (
    SMALLEST_BITS,
    SubsetSums,
    blocks,
    list_terms,
    term_bar,
    workspace,
)

__all__ = ["Marginals", "exact_marginals"]


class Marginals(NamedTuple):
    """Exact marginals of the posterior, row to column."""

    edges: NDArray[np.float64]  # [d, d], probability of an edge
    paths: NDArray[np.float64]  # [d, d], probability of a directed path
    ancestral: NDArray[np.float64]  # [2^d], probability that U is closed under parents
    error_estimate: float  # of any of these, from rounding


def exact_marginals(d: int, sums: SubsetSums, *, progress: bool = False) -> Marginals:
    """Compute the posterior probability of every edge and of every path.

    Parameters
    ----------
    d : int
        Number of variables.
    sums : SubsetSums
    progress : bool
        Show a progress bar, over the 3^d terms that there are at most.

    Returns
    -------
    Marginals
        ``error_estimate`` is 2^-52 times the sum of all ``p(U) t_U(S)``, which bounds to first
        order what their rounding can move a probability, since an error in ``H(U)`` counts with
        the weight ``p(U)``. Where few variables have parents, up to 3^d of them are near one. To
        this comes 2^-52 times the sum of the best local scores and d^2, for the rounding of scores
        and sums of parent sets, and whatever ended up outside of [0, 1].

    Examples
    --------
    >>> from dag_gfn.exact import enumerate_posterior
    >>> from dag_gfn.exact.subset_dp import subset_sums
    >>> from dag_gfn.scores import local_scores
    >>> scores = local_scores(np.random.default_rng(0).normal(size=(50, 3)))
    >>> marginals = exact_marginals(3, subset_sums(scores))
    >>> bool(np.allclose(marginals.edges, enumerate_posterior(scores).edge_marginals()))
    True
    """
    ancestral = np.zeros(2**d)
    ancestral[0] = 1.0
    edges = np.zeros((d, d))
    paths = np.zeros((d, d))
    space = workspace(d)
    subtotal = np.zeros(2**d + 1)
    magnitude = 0.0
    outside = 0.0
    with term_bar(d, "marginals", progress) as bar:
        for first, last, num_terms in blocks(d):
            more, below = _add_marginals(
                first, last, d, sums, space, subtotal, Marginals(edges, paths, ancestral, 0.0)
            )
            magnitude += more
            outside += below
            bar.update(num_terms)
    for marginals in (edges, paths):
        clipped = np.clip(marginals, 0.0, 1.0)
        outside += np.max(np.abs(marginals - clipped))
        marginals[:] = clipped
    scale = np.sum(np.abs(sums.parent_sums.log_scale))
    error = np.finfo(np.float64).eps * (magnitude + d**2 + scale) + outside
    return Marginals(edges, paths, ancestral, float(error))


@numba.njit(nogil=True, cache=True)
def _add_marginals(first, last, d, sums, space, subtotal, marginals):
    """Add the shares of the sets U with the bit masks first to last - 1.

    Returns the sum of the terms without their signs, and the probability that fell below zero.
    """
    ancestral = marginals.ancestral
    magnitude = 0.0
    below = 0.0
    for placed in range(first, last):
        probability = ancestral[placed]
        if probability < 2.0**SMALLEST_BITS:
            below -= min(probability, 0.0)
            ancestral[placed] = 0.0
            continue
        if sums.mantissa[placed] == 0.0:
            continue
        smallest = int(SMALLEST_BITS - np.log2(probability))
        num_nodes, top = list_terms(placed, d, sums, smallest, space)
        scale = probability * 2.0 ** (top - sums.exponent[placed]) / sums.mantissa[placed]
        for index in range(1, space.begin[num_nodes]):
            share = space.term[index] * scale
            ancestral[space.united[index]] += share
            magnitude += abs(share)
            subtotal[index] = share
        # From the last S back: what is known of S and all that grew from it goes to its origin.
        for place in range(num_nodes - 1, -1, -1):
            total = 0.0
            for index in range(space.begin[place + 1] - 1, space.begin[place] - 1, -1):
                total += subtotal[index]
                subtotal[space.origin[index]] += subtotal[index]
            if abs(total) > 2.0**SMALLEST_BITS:
                _add_only_root(placed, space.node[place], total, d, sums.parent_sums, marginals)
    return magnitude, below


@numba.njit(nogil=True, cache=True)
def _add_only_root(placed, node, probability, d, sums, marginals):
    """Add the probability that the non-descendants of a node are a set."""
    place = sums.start[node] + table_index(sums, node, placed)
    log_sum = sums.log_sums[place]
    for other in range(d):
        if not placed >> other & 1:
            if other != node:
                marginals.paths[node, other] += probability
        elif sums.required[node] >> other & 1:
            marginals.edges[other, node] += probability
        else:
            step = table_index(sums, node, 1 << other)
            if step > 0:  # else the edge is forbidden
                share = 1.0 - np.exp(sums.log_sums[place - step] - log_sum)
                marginals.edges[other, node] += probability * share

"""A short walk over DAGs by single edges, for chains whose own moves are over something else."""

from __future__ import annotations

import numpy as np
from numba import njit

from dag_gfn.mcmc.generator import integer, uniform

__all__ = ["walk_edges"]


@njit(cache=True, nogil=True)
def walk_edges(sums, masks, num_steps, generator):
    """Make Metropolis steps over DAGs, whose limit is the posterior.

    A step draws a node and one of its candidates. An edge between them that has this direction is
    deleted, one that has the other is turned round, and else the edge is added: each as likely as
    its opposite (Giudici and Castelo 2003, "Improving Markov chain Monte Carlo model search for
    data mining", Machine Learning 50).

    Parameters
    ----------
    sums : ParentSums
    masks : array of int64 [d]
        Written to: the parents of each node among its candidates. An acyclic graph of positive
        weight, before and after.
    num_steps : int
    generator : array of uint64 [4]
    """
    d, m = sums.candidates.shape
    is_seen = np.zeros(d, dtype=np.bool_)
    stack = np.zeros(d, dtype=np.int64)
    for _ in range(num_steps if m else 0):
        node = integer(generator, d)
        bit = integer(generator, m)
        parent = sums.candidates[node, bit]
        if parent == node:  # padding
            continue
        new_mask = masks[node] ^ (1 << bit)
        gain = sums.log_scores[node, new_mask] - sums.log_scores[node, masks[node]]
        if masks[node] > new_mask:
            if uniform(generator) < np.exp(min(gain, 0.0)):
                masks[node] = new_mask
            continue
        old_parent_mask = masks[parent]
        new_parent_mask = old_parent_mask
        for back in range(m):
            if (old_parent_mask >> back) & 1 and sums.candidates[parent, back] == node:
                new_parent_mask ^= 1 << back
                gain += sums.log_scores[parent, new_parent_mask]
                gain -= sums.log_scores[parent, old_parent_mask]
        if uniform(generator) < np.exp(min(gain, 0.0)):
            masks[parent] = new_parent_mask
            if _is_ancestor(sums.candidates, masks, node, parent, is_seen, stack):
                masks[parent] = old_parent_mask
            else:
                masks[node] = new_mask


@njit(cache=True, nogil=True)
def _is_ancestor(candidates, masks, ancestor, node, is_seen, stack):
    """Return whether there is a path to a node; the last two are room for the search."""
    is_seen[:] = False
    stack[0] = node
    height = 1
    while height:
        height -= 1
        child, mask = stack[height], masks[stack[height]]
        for bit in range(candidates.shape[1]):
            if (mask >> bit) & 1:
                parent = candidates[child, bit]
                if parent == ancestor:
                    return True
                if not is_seen[parent]:
                    is_seen[parent] = True
                    stack[height] = parent
                    height += 1
    return False

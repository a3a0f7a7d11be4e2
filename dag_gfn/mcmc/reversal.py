"""The edge-reversal move: turn an edge round and draw new parents for both of its ends.

Single-edge steps seldom turn an edge round, since the parents that go with either direction
differ. This move draws them anew. [1]_ sums over all parent sets; here the sums run over lists,
and a move from or to a set that is not on its list has probability zero both ways, so that the
chain stays exactly reversible.

References
----------
.. [1] M. Grzegorczyk and D. Husmeier. "Improving the structure MCMC sampler for Bayesian networks
   by introducing a new edge reversal move." Machine Learning 71, 2008.
"""

from __future__ import annotations

from math import exp, log
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from dag_gfn.mcmc.bitsets import contains, descendants, lowest_bit, size
from dag_gfn.mcmc.candidates import CandidateTable
from dag_gfn.mcmc.generator import integer, uniform
from dag_gfn.mcmc.walk import flip

__all__ = ["ReversalLists", "no_lists", "reversal_lists", "reverse_edge"]

_WINDOW = 8.0  # nats; sets so much worse than the best one that is possible are left out
_LONGEST = 20_000  # sets of a node


class ReversalLists(NamedTuple):
    """Parent sets that the move draws from, the best first."""

    start: NDArray[np.int64]  # [d + 1], node j has the sets start[j] to start[j + 1] - 1
    masks: NDArray[np.int64]  # [L], as in the candidate table
    log_scores: NDArray[np.float64]  # [L]
    listed: NDArray[np.bool_]  # [d, 2^m], whether a set is on its node's list


def reversal_lists(table: CandidateTable) -> ReversalLists:
    """List the parent sets of each node that matter in some graph.

    A set S matters if, for the empty F or some F = {i} with i in S, no set between F and S scores
    more than 8 nats better: such a set would be possible wherever S is.

    Parameters
    ----------
    table : CandidateTable

    Returns
    -------
    ReversalLists
    """
    d, num_sets = table.log_scores.shape
    masks, log_scores = [], []
    listed = np.zeros((d, num_sets), dtype=bool)
    for node in range(d):
        margin = _margins(table.log_scores[node], table.candidates.shape[1])
        if np.sum(margin >= -_WINDOW) > _LONGEST:
            kept = np.argpartition(-margin, _LONGEST)[:_LONGEST]
        else:
            kept = np.flatnonzero(margin >= -_WINDOW)
        values = table.log_scores[node, kept]
        order = np.argsort(-values, kind="stable")
        masks.append(kept[order])
        log_scores.append(values[order])
        listed[node, kept] = True
    lengths = [len(kept) for kept in masks]
    return ReversalLists(
        start=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        masks=np.concatenate(masks).astype(np.int64),
        log_scores=np.concatenate(log_scores),
        listed=listed,
    )


def no_lists(table: CandidateTable) -> ReversalLists:
    """Return empty lists, for chains that never make the move."""
    d = len(table.candidates)
    return ReversalLists(
        start=np.zeros(d + 1, dtype=np.int64),
        masks=np.zeros(0, dtype=np.int64),
        log_scores=np.zeros(0),
        listed=np.zeros((d, 1), dtype=bool),
    )


@numba.njit(nogil=True, cache=True)
def _margins(log_scores, num_candidates):
    """Return how far each set is behind its best rival, float64 [2^m]: zero or negative.

    The rivals of S are the sets between F and S; of the possible F the kindest counts.
    """
    num_sets = len(log_scores)
    best = log_scores.copy()
    _largest_of_subsets(best, num_candidates)
    margin = np.full(num_sets, -np.inf)
    for mask in range(num_sets):
        if log_scores[mask] > -np.inf:
            margin[mask] = log_scores[mask] - best[mask]
    half = np.empty(num_sets // 2)
    for forced in range(num_candidates):
        flag = 1 << forced
        for rank in range(num_sets // 2):
            half[rank] = log_scores[((rank & -flag) << 1) | flag | (rank & (flag - 1))]
        _largest_of_subsets(half, num_candidates - 1)
        for rank in range(num_sets // 2):
            mask = ((rank & -flag) << 1) | flag | (rank & (flag - 1))
            if log_scores[mask] > -np.inf:
                margin[mask] = max(margin[mask], log_scores[mask] - half[rank])
    return margin


@numba.njit(nogil=True, cache=True)
def _largest_of_subsets(values, num_elements):
    """Replace the value of each set by the largest of its subsets' values."""
    for element in range(num_elements):
        flag = 1 << element
        for base in range(0, len(values), 2 * flag):
            for mask in range(base, base + flag):
                values[mask + flag] = max(values[mask + flag], values[mask])


@numba.njit(nogil=True, cache=True)
def _possible_sets(lists, node, excluded, forced, weights, found):
    """Collect the listed sets of a node that a graph leaves possible.

    Parameters
    ----------
    lists : ReversalLists
    node : int
    excluded, forced : int64
        Masks of candidates that must not and must be in the set.
    weights : float64 [L]
        Written to: exp(log-score - the best).
    found : int64 [L]
        Written to: positions on the list.

    Returns
    -------
    count : int
    best : float
        -inf when there is none.
    total : float
        Sum of the weights.
    """
    count, best, total = 0, -np.inf, 0.0
    for position in range(lists.start[node], lists.start[node + 1]):
        mask = lists.masks[position]
        if mask & excluded or (mask & forced) != forced:
            continue
        value = lists.log_scores[position]
        if count == 0:
            best = value
        elif value < best - _WINDOW:
            break
        weights[count] = exp(value - best)
        found[count] = position
        total += weights[count]
        count += 1
    return count, best, total


@numba.njit(nogil=True, cache=True)
def _chosen(lists, count, total, weights, found, generator):
    """Draw one of the sets that `_possible_sets` found; return its mask."""
    threshold = uniform(generator) * total
    cumulative = 0.0
    for index in range(count):
        cumulative += weights[index]
        if cumulative > threshold:
            return lists.masks[found[index]]
    return lists.masks[found[count - 1]]


@numba.njit(nogil=True, cache=True)
def _as_candidates(candidates, words):
    """Return a set of variables, uint64 [W], as a mask of one node's candidates."""
    mask = np.int64(0)
    for bit in range(len(candidates)):
        if candidates[bit] >= 0 and contains(words, candidates[bit]):
            mask |= np.int64(1) << bit
    return mask


@numba.njit(nogil=True, cache=True)
def _set_parents(walk, candidates, node, mask):
    """Give a node other parents."""
    changed = walk.masks[node] ^ mask
    while changed:
        bit = lowest_bit(changed)
        changed &= changed - 1
        flip(walk, node, bit, candidates[node, bit])


@numba.njit(nogil=True, cache=True)
def _edge(masks, index):
    """Return the child and the bit of the edge with this number."""
    for child in range(len(masks)):
        mask = masks[child]
        while mask:
            if index == 0:
                return child, lowest_bit(mask)
            index -= 1
            mask &= mask - 1
    return -1, -1


@numba.njit(nogil=True, cache=True)
def reverse_edge(walk, table, bit_of, lists, scratch):
    """Propose to turn round an edge i -> j, drawn uniformly, with new parents for i and for j.

    With G0 the graph without the parents of i and j, the new parents of i are drawn from the sets
    that contain j, in proportion to exp(score), with sum Z*(i | G0, j); then those of j, with sum
    Z(j | G0 + new parents of i). The move is accepted with probability [1]_, eq. (11),

        min(1, |E| / |E'| Z*(i | G0, j) / Z*(j | G0, i) Z(j | G0 + new pa(i)) / Z(i | G0 + pa(j))).

    Parameters
    ----------
    walk : Walk
        Of one chain.
    table : CandidateTable
    bit_of : int64 [d, d]
        Entry [i, j]: the bit of i among the candidates of j, -1 if it is none.
    lists : ReversalLists
    scratch : tuple of uint64 [3, W], float64 [L], int64 [L]

    Returns
    -------
    bool
        Whether the graph has changed.
    """
    sets, weights, found = scratch
    masks, generator = walk.masks, walk.generator
    num_edges = 0
    for mask in masks:
        num_edges += size(mask)
    if num_edges == 0:
        return False
    j, bit = _edge(masks, integer(generator, num_edges))
    i = table.candidates[j, bit]
    old_i, old_j = masks[i], masks[j]
    if bit_of[j, i] < 0 or not (lists.listed[i, old_i] and lists.listed[j, old_j]):
        return False
    j_in_i, i_in_j = np.int64(1) << bit_of[j, i], np.int64(1) << bit_of[i, j]
    # The graph without the parents of i and j; the walk keeps its own until all is decided.
    below_i, below_j, frontier = sets[0], sets[1], sets[2]
    descendants(walk.children, i, j, below_i, frontier)
    descendants(walk.children, j, i, below_j, frontier)
    excluded_i = _as_candidates(table.candidates[i], below_i)
    excluded_j = _as_candidates(table.candidates[j], below_j)
    # With i among the parents of j, what is below j is below i as well, and the other way round.
    both_i = excluded_i | _as_candidates(table.candidates[i], below_j) | j_in_i
    both_j = excluded_j | _as_candidates(table.candidates[j], below_i) | i_in_j
    # What the way back would draw from, which must hold the sets of now.
    _, best, total = _possible_sets(lists, j, excluded_j, i_in_j, weights, found)
    if table.log_scores[j, old_j] < best - _WINDOW:
        return False
    log_ratio = -(best + log(total))
    _, best, total = _possible_sets(lists, i, both_i, np.int64(0), weights, found)
    if table.log_scores[i, old_i] < best - _WINDOW:
        return False
    log_ratio -= best + log(total)
    count, best, total = _possible_sets(lists, i, excluded_i, j_in_i, weights, found)
    if count == 0:
        return False
    log_ratio += best + log(total)
    new_i = _chosen(lists, count, total, weights, found, generator)
    count, best, total = _possible_sets(lists, j, both_j, np.int64(0), weights, found)
    if count == 0:
        return False
    log_ratio += best + log(total)
    new_j = _chosen(lists, count, total, weights, found, generator)
    new_edges = num_edges + size(new_i) + size(new_j) - size(old_i) - size(old_j)
    log_ratio += log(num_edges / new_edges)
    if log_ratio < 0 and uniform(generator) >= exp(log_ratio):
        return False
    _set_parents(walk, table.candidates, i, new_i)
    _set_parents(walk, table.candidates, j, new_j)
    walk.local_scores[i] = table.log_scores[i, new_i]
    walk.local_scores[j] = table.log_scores[j, new_j]
    return True

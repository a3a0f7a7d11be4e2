"""The edge-reversal move: turn an edge round and draw new parents for both of its ends.

Single-edge steps seldom turn an edge round, since the parents that go with either direction
differ. This move draws them anew, in proportion to their scores, from all the sets that keep the
graph acyclic (Grzegorczyk and Husmeier 2008, "Improving the structure MCMC sampler for Bayesian
networks by introducing a new edge reversal move", Machine Learning 71).

The sums over those sets come from one table, Z(A) = sum of exp(score(S)) over all S within A, made
once: those over the sets that contain F as well are Z(A) by inclusion and exclusion of the members
of F, or a plain sum where fewer terms are left that way.

Glossary: ``d`` variables, ``m`` candidates of a node, ``W`` words of a set of variables.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from math import exp, log
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from dag_gfn.mcmc.bitsets import contains, descendants, lowest_bit, size
from dag_gfn.mcmc.candidates import CandidateTable
from dag_gfn.mcmc.generator import integer, uniform
from dag_gfn.mcmc.walk import flip

__all__ = ["ParentSums", "no_parent_sums", "parent_sums", "reverse_edge"]

# Differences of two sums lose their digits where the share is smaller, so the move is refused.
_SMALLEST_SHARE = 1e-6


class ParentSums(NamedTuple):
    """Sums over the parent sets of each node within a set of candidates."""

    log_sums: NDArray[np.float64]  # [d, 2^m], log Z(A) for each mask A
    order: NDArray[np.int64]  # [d, m], candidates from the least to the most probable


def parent_sums(table: CandidateTable) -> ParentSums:
    """Sum the scores over the subsets of every set of candidates.

    Takes m 2^m additions of logarithms a node, and as much memory as the candidate table.

    Parameters
    ----------
    table : CandidateTable

    Returns
    -------
    ParentSums

    Examples
    --------
    >>> table = CandidateTable(np.array([[1], [0]]), np.log([[1.0, 2.0], [0.5, 0.5]]))
    >>> np.exp(parent_sums(table).log_sums).round(12).tolist()
    [[1.0, 3.0], [0.5, 1.0]]
    """
    d, m = table.candidates.shape
    log_sums = table.log_scores.copy()
    with ThreadPoolExecutor(min(d, os.cpu_count() or 1)) as pool:
        list(pool.map(_sum_over_subsets, log_sums))
    all_but_one = log_sums[:, 2**m - 1 - (1 << np.arange(m))]
    return ParentSums(log_sums, np.argsort(-all_but_one, axis=1, kind="stable"))


def no_parent_sums(table: CandidateTable) -> ParentSums:
    """Return empty sums, for chains that never make the move."""
    d = len(table.candidates)
    return ParentSums(np.zeros((d, 0)), np.zeros((d, 0), dtype=np.int64))


@numba.njit(nogil=True, cache=True)
def _sum_over_subsets(log_values):
    """Replace the value of each set, float64 [2^m], by the sum over its subsets, all as logs."""
    flag = 1
    while flag < len(log_values):
        for base in range(0, len(log_values), 2 * flag):
            for mask in range(base, base + flag):
                low, high = log_values[mask], log_values[mask + flag]
                if low > high:
                    low, high = high, low
                # Below that the smaller one is lost in the rounding of the sum.
                if low > high - 37.0:
                    log_values[mask + flag] = high + np.log1p(exp(low - high))
                else:
                    log_values[mask + flag] = high
        flag *= 2


@numba.njit(nogil=True)
def _mass(log_scores, log_sums, forced, free, reference):
    """Sum exp(score - reference) over the sets that hold `forced`, and else members of `free`."""
    total = 0.0
    if size(free) <= size(forced):
        part = free
        while True:
            total += exp(log_scores[forced | part] - reference)
            if part == 0:
                return total
            part = (part - 1) & free
    part = forced
    while True:
        term = exp(log_sums[(forced | free) ^ part] - reference)
        total += -term if size(part) & 1 else term
        if part == 0:
            return max(total, 0.0)
        part = (part - 1) & forced


@numba.njit(nogil=True)
def _drawn(log_scores, log_sums, order, forced, free, generator):
    """Draw a set that holds `forced`, and else members of `free`, in proportion to exp(score).

    One candidate after another is taken in or left out, the least probable first, so that few are
    in while many are undecided.
    """
    reference = log_sums[forced | free]
    mass = _mass(log_scores, log_sums, forced, free, reference)
    for bit in order:
        flag = np.int64(1) << bit
        if not free & flag:
            continue
        free ^= flag
        without = _mass(log_scores, log_sums, forced, free, reference)
        if uniform(generator) * mass >= without:
            forced |= flag
            mass -= without
        else:
            mass = without
    return forced


@numba.njit(nogil=True)
def _log_sum_with(log_sums, mask, flag):
    """Return the log-sum over the sets within `mask` that contain one of its members.

    -inf where that is too small a share of the sum for its digits to count.
    """
    share = -np.expm1(log_sums[mask ^ flag] - log_sums[mask])
    if share >= _SMALLEST_SHARE:  # false where it is not a number
        return log_sums[mask] + log(share)
    return -np.inf


@numba.njit(nogil=True)
def _possible(candidates, below):
    """Return the candidates that are not descendants, uint64 [W], as a mask."""
    mask = np.int64(0)
    for bit in range(len(candidates)):
        if candidates[bit] >= 0 and not contains(below, candidates[bit]):
            mask |= np.int64(1) << bit
    return mask


@numba.njit(nogil=True)
def _set_parents(walk, table, node, mask):
    """Give a node other parents."""
    changed = walk.masks[node] ^ mask
    while changed:
        bit = lowest_bit(changed)
        changed &= changed - 1
        flip(walk, node, bit, table.candidates[node, bit])
    walk.local_scores[node] = table.log_scores[node, mask]


@numba.njit(nogil=True)
def _edge(masks, index):
    """Return the child and the bit of the edge with this number."""
    child = 0
    while index >= size(masks[child]):
        index -= size(masks[child])
        child += 1
    mask = masks[child]
    for _ in range(index):
        mask &= mask - 1
    return child, lowest_bit(mask)


@numba.njit(nogil=True)
def reverse_edge(walk, table, bit_of, sums, sets):
    """Propose to turn round an edge i -> j, drawn uniformly, with new parents for i and for j.

    With G0 the graph without the parents of i and j, the new parents of i are drawn from the sets
    that contain j, with sum Z*(i | G0, j); then those of j, with sum Z(j | G0 + new parents of i).
    The move is accepted with probability

        min(1, |E| / |E'| Z*(i | G0, j) / Z*(j | G0, i) Z(j | G0 + new pa(i)) / Z(i | G0 + pa(j))).

    It is refused where Z* is less than 10^-6 of the sum without that condition, for i or for j.
    That depends on G0 alone, so the way back is refused as well and the chain stays reversible.

    Parameters
    ----------
    walk : Walk
        Of one chain.
    table : CandidateTable
    bit_of : int64 [d, d]
        Entry [i, j]: the bit of i among the candidates of j, -1 if it is none.
    sums : ParentSums
    sets : uint64 [3, W]
        Scratch.

    Returns
    -------
    bool
        Whether the graph has changed.
    """
    num_edges = 0
    for mask in walk.masks:
        num_edges += size(mask)
    if num_edges == 0:
        return False
    j, bit = _edge(walk.masks, integer(walk.generator, num_edges))
    i = table.candidates[j, bit]
    if bit_of[j, i] < 0:
        return False
    j_of_i, i_of_j = np.int64(1) << bit_of[j, i], np.int64(1) << bit
    below_i, below_j, below = sets[0], sets[1], sets[2]
    descendants(walk.children, i, j, below_i, below)
    descendants(walk.children, j, i, below_j, below)
    # With an edge between them, what is below one end is below the other one.
    for index in range(len(below)):
        below[index] = below_i[index] | below_j[index]
    first_i = _possible(table.candidates[i], below_i)
    first_j = _possible(table.candidates[j], below_j)
    second_i = _possible(table.candidates[i], below) & ~j_of_i
    second_j = _possible(table.candidates[j], below) & ~i_of_j
    forth = _log_sum_with(sums.log_sums[i], first_i, j_of_i)
    back = _log_sum_with(sums.log_sums[j], first_j, i_of_j)
    log_ratio = forth + sums.log_sums[j, second_j] - back - sums.log_sums[i, second_i]
    if not -np.inf < log_ratio < np.inf:
        return False
    new_i = _drawn(
        table.log_scores[i],
        sums.log_sums[i],
        sums.order[i],
        j_of_i,
        first_i ^ j_of_i,
        walk.generator,
    )
    new_j = _drawn(
        table.log_scores[j],
        sums.log_sums[j],
        sums.order[j],
        np.int64(0),
        second_j,
        walk.generator,
    )
    if table.log_scores[i, new_i] + table.log_scores[j, new_j] == -np.inf:
        return False  # drawn by a rounding error
    new_edges = num_edges + size(new_i) + size(new_j) - size(walk.masks[i]) - size(walk.masks[j])
    log_ratio += log(num_edges / new_edges)
    if log_ratio < 0 and uniform(walk.generator) >= exp(log_ratio):
        return False
    _set_parents(walk, table, i, new_i)
    _set_parents(walk, table, j, new_j)
    return True

"""Sums over a node's parent sets, for chains over orders and partitions to look up.

Glossary: ``d`` variables, ``m`` candidates of a node. A set of candidates of node j is a mask whose
bit b stands for ``candidates[j, b]``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dag_gfn.mcmc.bitsets import size
from dag_gfn.mcmc.candidates import CandidateTable
from dag_gfn.mcmc.generator import uniform

__all__ = [
    "ParentSums",
    "candidates_before",
    "draw_parent_set",
    "log_sum_meeting",
    "parent_sums",
]

# Below this relative size a difference of two sums is rounding error and counts as zero.
_SMALLEST_SHARE = 1e-12


class ParentSums(NamedTuple):
    """For each node, the scores of its parent sets and their sums over subsets."""

    candidates: NDArray[np.int64]  # [d, m], the node itself where it has fewer
    log_scores: NDArray[np.float64]  # [d, 2^m], log of the weight of each parent set
    log_sums: NDArray[np.float64]  # [d, 2^m], log of the sum of the weights of all its subsets


def parent_sums(table: CandidateTable) -> ParentSums:
    r"""Sum the weights of the parent sets within every set of candidates.

    .. math:: \log \alpha_j(U) = \log \sum_{P \subseteq U} \exp \mathrm{score}(j, P)

    for all U by one zeta transform a node [1]_: m 2^(m-1) additions, in logarithms, since the
    scores of a node can span more than float64 does.

    Parameters
    ----------
    table : CandidateTable

    Returns
    -------
    ParentSums
        Memory is 16 d 2^m bytes, half of it the table's own.

    References
    ----------
    .. [1] M. Koivisto and K. Sood. "Exact Bayesian structure discovery in Bayesian networks." JMLR
       5, 2004.

    Examples
    --------
    >>> from dag_gfn.mcmc.candidates import candidate_table
    >>> from dag_gfn.scores import local_scores
    >>> scores = local_scores(np.random.default_rng(0).normal(size=(50, 3)))
    >>> sums = parent_sums(candidate_table(scores))
    >>> expected = np.logaddexp(scores.local_score(0, []), scores.local_score(0, [2]))
    >>> bool(np.isclose(sums.log_sums[0, 0b10], expected))
    True
    """
    d = len(table.candidates)
    # A node comes never before itself, so that padding needs no attention anywhere else.
    candidates = np.where(table.candidates < 0, np.arange(d)[:, None], table.candidates)
    log_sums = table.log_scores.copy()
    for node in range(d):
        _sum_over_subsets(log_sums[node])
    return ParentSums(candidates, table.log_scores, log_sums)


@njit(cache=True, nogil=True)
def _sum_over_subsets(log_values):
    """Replace each of the [2^m] entries by the log-sum over its subsets."""
    step = 1
    while step < len(log_values):
        for begin in range(0, len(log_values), 2 * step):
            for without in range(begin, begin + step):
                low, high = log_values[without], log_values[without + step]
                if low > high:
                    low, high = high, low
                if low > -np.inf:
                    high += np.log1p(np.exp(low - high))
                log_values[without + step] = high
        step *= 2


@njit(cache=True, nogil=True)
def candidates_before(candidates, place, bound):
    """Return the mask of one node's candidates [m] whose place is below the bound."""
    mask = 0
    for bit in range(len(candidates)):
        if place[candidates[bit]] < bound:
            mask |= 1 << bit
    return mask


@njit(cache=True, nogil=True)
def log_sum_meeting(log_sums, allowed, distant):
    """Return the log-sum over one node's parent sets within ``allowed`` but not within ``distant``.

    That is log(a - b) for two entries of ``log_sums`` [2^m]. Where b is nearly all of a, the
    difference is rounding error, and the sets in question count as having no weight. Little is
    lost: each such graph has siblings, with another parent set of this one node, that weigh 10^12
    times as much together.
    """
    whole, part = log_sums[allowed], log_sums[distant]
    if part == -np.inf:
        return whole
    share = -np.expm1(part - whole)
    if share < _SMALLEST_SHARE:
        return -np.inf
    return whole + np.log(share)


@njit(cache=True, nogil=True)
def draw_parent_set(log_scores, log_sums, allowed, distant, generator):
    """Draw a parent set of one node with probability proportional to its weight.

    Candidates are let in or left out one at a time. What the rest may still weigh, with some let
    in, is an alternating sum over subsets of those; its rounding error, about 1e-12 of the total,
    is the error of the probabilities.

    Parameters
    ----------
    log_scores, log_sums : array of float64 [2^m]
        Rows of `ParentSums`.
    allowed : int
        The set is within this mask,
    distant : int
        and not within this part of it, unless the two are equal. Together the sets in question must
        have a weight above zero.
    generator : array of uint64 [4]

    Returns
    -------
    int
        The mask of the parent set.
    """
    while True:
        chosen, open_to = 0, allowed
        weight = _weight_with(log_sums, log_sums[allowed], chosen, open_to, distant, allowed)
        bit = 1
        while bit <= allowed:
            if allowed & bit:
                without = _weight_with(
                    log_sums, log_sums[allowed], chosen, open_to ^ bit, distant, allowed
                )
                if uniform(generator) * weight < without:
                    open_to ^= bit
                    weight = without
                else:
                    chosen |= bit
                    weight -= without
            bit <<= 1
        # By rounding, a set without weight comes up once in a blue moon.
        if log_scores[chosen] > -np.inf and (distant == allowed or chosen & ~distant):
            return chosen


@njit(cache=True, nogil=True)
def _weight_with(log_sums, log_unit, chosen, open_to, distant, allowed):
    """Return the weight of the sets in question that hold ``chosen`` and are within ``open_to``."""
    demanding = distant != allowed and chosen & ~distant == 0
    total = 0.0
    dropped = chosen
    while True:
        term = np.exp(log_sums[open_to & ~dropped] - log_unit)
        if demanding:
            term -= np.exp(log_sums[open_to & distant & ~dropped] - log_unit)
        total += term if size(dropped) % 2 == 0 else -term
        if dropped == 0:
            return total
        dropped = (dropped - 1) & chosen

"""Sums of exp(local score) over all parent sets within a set of variables.

Sets of variables are bit masks: variable ``j`` is bit ``j``. For a node ``j`` and a set ``U``,

    alpha_j(U) = sum over P within U of a(j, P),    a(j, P) = exp(local score of j with parents P),

for all ``U`` at once by a zeta transform (Koivisto and Sood 2004, "Exact Bayesian structure
discovery in Bayesian networks", JMLR 5).
Required parents are in every ``P`` and forbidden ones in none, so that a node's table is over its
free candidates alone, ``m`` of them.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from math import log1p
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from dag_gfn.scores import LocalScores
from dag_gfn.scores.subsets import colex_order

__all__ = [
    "NUM_THREADS",
    "ParentSums",
    "free_candidates",
    "log_add",
    "log_parent_sum",
    "node_scores",
    "parent_sums",
    "table_index",
    "zeta_stages",
]

NUM_THREADS = 4

# Beyond this difference the smaller of two terms is less than half a unit in the last place.
_NEGLIGIBLE_DIFFERENCE = 37.5


class ParentSums(NamedTuple):
    """log alpha_j(U) of every node, one table after another."""

    log_sums: NDArray[np.float64]  # [sum of 2^m], relative to the best parent set of the node
    log_weights: NDArray[np.float64]  # [sum of 2^m], log a(j, P), likewise
    start: NDArray[np.int64]  # [d], where the table of each node starts
    low: NDArray[np.int32]  # [d, 2^h], index in the table from the low h bits of U
    high: NDArray[np.int32]  # [d, 2^(d - h)], the same from the other bits, to be added
    num_low: int  # h
    required: NDArray[np.int64]  # [d], bit mask of the required parents
    log_scale: NDArray[np.float64]  # [d], score of the best parent set, in nats


def free_candidates(scores: LocalScores, node: int) -> NDArray[np.int64]:
    """Return the variables that may be parents of a node but need not be, int64 [m]."""
    return np.flatnonzero(~scores.forbidden[:, node] & ~scores.required[:, node])


def node_scores(scores: LocalScores, node: int) -> NDArray[np.float64]:
    """Return the local scores of one node by bit mask.

    Parameters
    ----------
    scores : LocalScores
    node : int

    Returns
    -------
    ndarray of float64 [2^m]
        Entry b has the required parents and those of the m free candidates whose bit is set in b;
        -inf above the in-degree limit.
    """
    required = np.flatnonzero(scores.required[:, node])
    free = free_candidates(scores, node)
    room = min(len(free), scores.max_parents - len(required))
    order = colex_order(len(free), room)
    values = np.full(2 ** len(free), -np.inf)
    values[order] = scores.local_scores_of_subsets(node, free, room, required)
    return values


def parent_sums(scores: LocalScores, *, progress: bool = False) -> ParentSums:
    """Sum exp(local score) over the parent sets of every node within every set.

    Parameters
    ----------
    scores : LocalScores
        Of at most 30 variables.
    progress : bool
        Show a progress bar.

    Returns
    -------
    ParentSums

    Examples
    --------
    >>> from dag_gfn.scores import local_scores
    >>> scores = local_scores(np.random.default_rng(0).normal(size=(50, 3)))
    >>> sums = parent_sums(scores)
    >>> total = sums.log_sums[sums.start[0] + 3] + sums.log_scale[0]  # U = {1, 2}
    >>> by_hand = [scores.local_score(0, parents) for parents in ([], [1], [2], [1, 2])]
    >>> bool(np.isclose(total, np.logaddexp.reduce(by_hand)))
    True
    """
    d = scores.num_variables
    half = (d + 1) // 2
    members = _member_bits(d)
    sizes = np.array([2 ** len(free_candidates(scores, node)) for node in range(d)])
    start = np.concatenate([[0], np.cumsum(sizes)])
    log_sums, log_weights = np.empty((2, start[-1]))
    log_scale = np.empty(d)
    low = np.empty((d, 2**half), dtype=np.int32)
    high = np.empty((d, 2 ** (d - half)), dtype=np.int32)

    def fill(node: int) -> None:
        values = node_scores(scores, node)
        log_scale[node] = np.max(values)
        part = slice(start[node], start[node + 1])
        np.subtract(values, log_scale[node], out=log_weights[part])
        log_sums[part] = log_weights[part]
        _zeta(log_sums[part])
        place = np.zeros(d, dtype=np.int32)
        free = free_candidates(scores, node)
        place[free] = 2 ** np.arange(len(free))
        low[node] = members[: 2**half, :half] @ place[:half]
        high[node] = members[: 2 ** (d - half), : d - half] @ place[half:]

    bar = tqdm(total=d, desc="local scores", unit="node", disable=not progress)
    # Threads, since the kernels release the interpreter lock; few, for the memory they take.
    with bar, ThreadPoolExecutor(min(NUM_THREADS, os.cpu_count() or 1)) as pool:
        for _ in pool.map(fill, range(d)):
            bar.update()
    required = np.sum(scores.required * 2 ** np.arange(d)[:, None], axis=0)
    return ParentSums(
        log_sums, log_weights, start[:-1].astype(np.int64), low, high, half, required, log_scale
    )


def _member_bits(d: int) -> NDArray[np.int32]:
    """Return the bits of the first masks, enough for either half of the bits, [2^h, h]."""
    half = (d + 1) // 2
    return (np.arange(2**half)[:, None] >> np.arange(half) & 1).astype(np.int32)


def zeta_stages(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return every stage of the zeta transform of the scores of a node.

    Parameters
    ----------
    values : array of float64 [2^m]
        Log-weights by bit mask.

    Returns
    -------
    ndarray of float64 [m + 1, 2^m]
        Entry [k, b] is the log-sum over the sets that agree with b on the bits from k on, and are
        within b on the bits below; the last row is log alpha.
    """
    num_bits = len(values).bit_length() - 1
    stages = np.empty((num_bits + 1, len(values)))
    stages[0] = values
    for bit in range(num_bits):
        stages[bit + 1] = stages[bit]
        _zeta_step(stages[bit + 1], bit)
    return stages


@numba.njit(nogil=True, cache=True)
def log_add(first, second):
    """Return log(exp(first) + exp(second))."""
    if first < second:
        first, second = second, first
    if not second > first - _NEGLIGIBLE_DIFFERENCE:  # also where both are -inf
        return first
    return first + log1p(np.exp(second - first))


@numba.njit(nogil=True, cache=True)
def table_index(sums, node, within):
    """Return the place of a set in the node's table, the sum of those of its members."""
    lower = within & ((1 << sums.num_low) - 1)
    return sums.low[node, lower] + sums.high[node, within >> sums.num_low]


@numba.njit(nogil=True, cache=True)
def log_parent_sum(sums, node, within):
    """Return log alpha_node(within); the node's own bit does not matter."""
    if within & sums.required[node] != sums.required[node]:
        return -np.inf
    return sums.log_sums[sums.start[node] + table_index(sums, node, within)]


@numba.njit(nogil=True, cache=True)
def _zeta_step(values, bit):
    """Add to every set that has the bit the one without, in place."""
    stride = 1 << bit
    for block in range(0, len(values), 2 * stride):
        for lower in range(block, block + stride):
            values[lower + stride] = log_add(values[lower + stride], values[lower])


@numba.njit(nogil=True, cache=True)
def _zeta(values):
    """Replace the values of all sets by the log-sums over their subsets."""
    num_bits = 0
    while 1 << num_bits < len(values):
        num_bits += 1
    for bit in range(num_bits):
        _zeta_step(values, bit)

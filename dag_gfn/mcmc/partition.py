"""Markov chains over ordered partitions of the variables, whose limit is the posterior itself.

The layers of a DAG: the nodes without parents are layer 0; a node of a later layer has a parent in
the layer just before its own, and none in its own or after. Each DAG has exactly one such ordered
partition.

Glossary: ``C`` chains, ``S`` draws of a chain, ``d`` variables, ``m`` candidates of a node.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from dag_gfn.mcmc.candidates import candidate_table
from dag_gfn.mcmc.chains import Draws, Kernel
from dag_gfn.mcmc.edge_walk import walk_edges
from dag_gfn.mcmc.generator import generators, uniform
from dag_gfn.mcmc.order import random_order
from dag_gfn.mcmc.parent_sums import (
    ParentSums,
    candidates_before,
    draw_parent_set,
    log_sum_meeting,
    parent_sums,
)
from dag_gfn.mcmc.partition_moves import MOVES as PARTITION_MOVES, propose
from dag_gfn.scores import LocalScores

__all__ = ["MOVES", "PartitionState", "partition_kernel", "partition_state"]

MOVES = (*PARTITION_MOVES, "walk")
# Of the moves of partitions among themselves.
_SHARES = (0.2, 0.2, 0.35, 0.15, 0.1)
# A chain that sometimes stays cannot go round in circles.
_STAY = 0.01
# A walk takes longer than other moves: so many steps are one, and each is so many edge steps a
# variable.
_WALK = 0.01
_WALK_STEPS = 5
_WALK_MOVE = len(PARTITION_MOVES)
# Steps per variable between the partitions that the edge marginals are averaged over.
_AVERAGING_PERIOD = 5
_MAX_STARTS = 100
# Turns the state of a generator into another one's. What draws take is no loss to the steps, so
# that a run is the same however it is cut into calls.
_BRANCH = np.uint64(0x9E3779B97F4A7C15)


class PartitionState(NamedTuple):
    """One chain; its arrays are written to in place."""

    layer: NDArray[np.int64]  # [d], from 0 to the number of layers - 1, none of them empty
    allowed: NDArray[np.int64]  # [d], mask of each node's candidates in earlier layers
    distant: NDArray[np.int64]  # [d], mask of those that are not in the layer just before
    log_sums: NDArray[np.float64]  # [d], log-sum of the parent sets that the layers allow
    generator: NDArray[np.uint64]  # [4], state of the random numbers
    counts: NDArray[np.int64]  # [6, 2], proposals of each move, and how many were accepted
    edges: NDArray[np.float64]  # [d, d], sum of the edge probabilities given the partition
    steps: NDArray[np.int64]  # [2], steps, and terms of that sum


def partition_kernel(
    scores: LocalScores, *, num_chains: int, seed: int, max_candidates: int = 14
) -> Kernel:
    r"""Make chains over ordered partitions whose draws of DAGs have the posterior as their limit.

    The chain of Kuipers and Moffa [1]_ is over the layers of the DAG, with the weight

    .. math:: \prod_j \sum_{P} \exp \mathrm{score}(j, P),

    where P is within the layers before that of j and meets the layer just before. These sums are
    differences of two entries of a table (see `parent_sums`). Since a DAG has one partition, and
    given the partition its parent sets are drawn independently, the draws need no weights.

    The moves are theirs: split a layer or join two, move a node to another layer or a new one, swap
    two nodes of neighbouring or of any layers, or stay. One thing differs. They choose uniformly
    among all splits and joins, which for large layers means that one proposal in 2^size is a join;
    here both are as frequent, and a split chooses first the layer, then the size of its first part,
    then the part, each uniformly.

    One step in a hundred is another move: a DAG is drawn given the partition, walks 5 d steps by
    single edges (see `walk_edges`), and leaves the chain at the partition where it ends. This keeps
    the posterior as well, as all three parts do. It reaches partitions that the other moves do not
    where required edges fill the in-degree limit of several nodes, or each node has few candidates
    among many variables, so that hardly any split of a layer leaves each node a parent in the layer
    before.

    Parameters
    ----------
    scores : LocalScores
    num_chains : int
        Each starts from the layers of a DAG drawn given a random order, and runs in a thread of its
        own.
    seed : int
    max_candidates : int, default 14
        Candidate parents of a node where there are too many variables for all (d > 21).

    Returns
    -------
    Kernel
        Its edge marginals average the exact probabilities given the partition, every 5 d steps.

    References
    ----------
    .. [1] J. Kuipers and G. Moffa. "Partition MCMC for inference on acyclic digraphs." JASA 112,
       2017.

    Examples
    --------
    >>> from dag_gfn.scores import local_scores
    >>> scores = local_scores(np.random.default_rng(0).normal(size=(50, 3)))
    >>> kernel = partition_kernel(scores, num_chains=2, seed=0)
    >>> kernel.advance(5, 10).adjacency.shape  # five draws of each chain, ten steps between them
    (2, 5, 3, 3)
    """
    sums = parent_sums(candidate_table(scores, max_candidates))
    d = scores.num_variables
    rng = np.random.default_rng(seed)
    states = [
        partition_state(sums, _random_layers(sums, scores.required, rng, generator), generator)
        for generator in generators(seed, num_chains)
    ]

    def advance(num_draws: int, thin: int) -> Draws:
        draws = Draws(
            adjacency=np.zeros((num_chains, num_draws, d, d), dtype=np.int8),
            log_scores=np.zeros((num_chains, num_draws)),
            log_weights=np.zeros((num_chains, num_draws)),
        )
        with ThreadPoolExecutor(min(num_chains, os.cpu_count() or 1)) as pool:
            list(pool.map(_advance, repeat(sums), states, repeat(thin), *draws[:2]))
        return draws

    def forget() -> None:
        for state in states:
            state.counts[:] = 0
            state.edges[:] = 0
            state.steps[:] = 0

    def edge_marginals() -> NDArray[np.float64]:
        averages = []
        for state in states:
            average = state
            if state.steps[1] == 0:
                # Of where it stands; a copy, since looking must not change the average to come.
                average = state._replace(edges=np.zeros((d, d)), steps=np.zeros_like(state.steps))
                add_edge_probabilities(sums, average)
            averages.append(average.edges / average.steps[1])
        return np.stack(averages)

    def acceptance() -> Mapping[str, float]:
        counts = np.sum([state.counts for state in states], axis=0)
        return {
            move: accepted / proposed
            for move, (proposed, accepted) in zip(MOVES, counts.tolist(), strict=True)
            if proposed
        }

    return Kernel(advance, forget, edge_marginals, acceptance)


def partition_state(
    sums: ParentSums, layer: NDArray[np.int64], generator: NDArray[np.uint64]
) -> PartitionState:
    """Return the state of a chain at a partition, given as the layer of each node [d]."""
    d = len(layer)
    state = PartitionState(
        layer=layer.copy(),
        allowed=np.zeros(d, dtype=np.int64),
        distant=np.zeros(d, dtype=np.int64),
        log_sums=np.zeros(d),
        generator=generator,
        counts=np.zeros((len(MOVES), 2), dtype=np.int64),
        edges=np.zeros((d, d)),
        steps=np.zeros(2, dtype=np.int64),
    )
    for node in range(d):
        state.allowed[node], state.distant[node] = _masks(sums.candidates[node], layer, node)
        state.log_sums[node] = _log_sum(
            sums.log_sums[node], layer[node], state.allowed[node], state.distant[node]
        )
    return state


def _random_layers(
    sums: ParentSums,
    required: NDArray[np.bool_],
    rng: np.random.Generator,
    generator: NDArray[np.uint64],
) -> NDArray[np.int64]:
    """Return the layers of a DAG drawn given a random order, int64 [d]."""
    for _ in range(_MAX_STARTS):
        order = random_order(required, rng)
        position = np.argsort(order)
        layer = np.zeros(len(order), dtype=np.int64)
        for node in order:
            candidates = sums.candidates[node]
            allowed = candidates_before(candidates, position, position[node])
            mask = draw_parent_set(
                sums.log_scores[node], sums.log_sums[node], allowed, allowed, generator
            )
            parents = candidates[(mask >> np.arange(len(candidates))) & 1 == 1]
            layer[node] = layer[parents].max(initial=-1) + 1
        if np.isfinite(partition_state(sums, layer, generator).log_sums).all():
            return layer
    # Where in-degree limits leave most partitions with no weight to speak of: the partition of the
    # required edges alone always has some.
    layer = np.zeros(len(required), dtype=np.int64)
    for node in random_order(required, rng):
        layer[node] = layer[required[:, node]].max(initial=-1) + 1
    return layer


@njit(cache=True, nogil=True)
def _masks(candidates, layer, node):
    """Return the masks of the candidates before a node's layer, and before the layer before."""
    return (
        candidates_before(candidates, layer, layer[node]),
        candidates_before(candidates, layer, layer[node] - 1),
    )


@njit(cache=True, nogil=True)
def _log_sum(log_sums, layer, allowed, distant):
    """Return the log-sum over the parent sets of a node in a layer."""
    if layer == 0:
        return log_sums[0]
    if allowed == distant:
        return -np.inf
    return log_sum_meeting(log_sums, allowed, distant)


@njit(cache=True, nogil=True)
def _step(sums, state, room):
    """Make one move or stay; ``room`` is four arrays [d] for the proposal."""
    which = uniform(state.generator)
    if which < _STAY:
        return
    if which < _STAY + _WALK:
        _walk(sums, state, room)
        return
    which = uniform(state.generator)
    move = 0
    while move < len(_SHARES) - 1 and which >= _SHARES[move]:
        which -= _SHARES[move]
        move += 1
    state.counts[move, 0] += 1
    layer = room[0]
    gain, first, last = propose(state.layer, layer, move, state.generator)
    if gain > -np.inf:
        gain += _weigh(sums, state, room, first, last)
        if gain >= 0 or uniform(state.generator) < np.exp(gain):
            state.counts[move, 1] += 1
            _settle(state, room)


@njit(cache=True, nogil=True)
def _weigh(sums, state, room, first, last):
    """Return the gain in log-weight of the partition in ``room``, and fill in the rest there.

    Only nodes in layers from first to last can have changed their candidates.
    """
    layer, allowed, distant, log_sums = room
    gain = 0.0
    for node in range(len(layer)):
        allowed[node], distant[node] = state.allowed[node], state.distant[node]
        log_sums[node] = state.log_sums[node]
        if first <= layer[node] <= last:
            allowed[node], distant[node] = _masks(sums.candidates[node], layer, node)
            if layer[node] > 0 and allowed[node] == distant[node]:
                return -np.inf
            if allowed[node] != state.allowed[node] or distant[node] != state.distant[node]:
                log_sums[node] = _log_sum(
                    sums.log_sums[node], layer[node], allowed[node], distant[node]
                )
                if log_sums[node] == -np.inf:
                    return -np.inf
                gain += log_sums[node] - state.log_sums[node]
    return gain


@njit(cache=True, nogil=True)
def _settle(state, room):
    """Move to the partition in ``room``."""
    layer, allowed, distant, log_sums = room
    state.layer[:] = layer
    state.allowed[:] = allowed
    state.distant[:] = distant
    state.log_sums[:] = log_sums


@njit(cache=True, nogil=True)
def _walk(sums, state, room):
    """Draw a DAG, walk from it by single edges, and move to the partition where that ends."""
    d = len(state.layer)
    state.counts[_WALK_MOVE, 0] += 1
    masks = np.zeros(d, dtype=np.int64)
    _draw_masks(sums, state, masks, state.generator)
    walk_edges(sums, masks, _WALK_STEPS * d, state.generator)
    layer = room[0]
    layer[:] = 0
    is_settled = False
    while not is_settled:
        is_settled = True
        for node in range(d):
            for bit in range(sums.candidates.shape[1]):
                if (masks[node] >> bit) & 1:
                    above = layer[sums.candidates[node, bit]] + 1
                    if layer[node] < above:
                        layer[node] = above
                        is_settled = False
    if np.any(layer != state.layer) and _weigh(sums, state, room, 0, d) > -np.inf:
        state.counts[_WALK_MOVE, 1] += 1
        _settle(state, room)


@njit(cache=True, nogil=True)
def _draw_masks(sums, state, masks, generator):
    """Draw the parents of each node given the partition."""
    for node in range(len(masks)):
        masks[node] = draw_parent_set(
            sums.log_scores[node],
            sums.log_sums[node],
            state.allowed[node],
            state.distant[node],
            generator,
        )


@njit(cache=True, nogil=True)
def add_edge_probabilities(sums, state):
    """Add to ``state.edges`` the probability of every edge given the partition.

    With a the table of sums, U the candidates before and D those that are not just before, the
    parent sets with candidate i weigh a(U) - a(U without i) - a(D) + a(D without i) out of
    a(U) - a(D), where the last two terms cancel if i is not in D.
    """
    for node in range(len(state.layer)):
        allowed, distant = state.allowed[node], state.distant[node]
        if allowed == distant:
            continue
        table = sums.log_sums[node]
        unit = table[allowed]
        total = -np.expm1(table[distant] - unit)
        for bit in range(sums.candidates.shape[1]):
            only = 1 << bit
            if allowed & only:
                weight = -np.expm1(table[allowed ^ only] - unit)
                if distant & only:
                    weight -= np.exp(table[distant] - unit)
                    weight += np.exp(table[distant ^ only] - unit)
                # Rounding may carry a probability a little out of bounds.
                probability = min(max(weight / total, 0.0), 1.0)
                state.edges[sums.candidates[node, bit], node] += probability
    state.steps[1] += 1


@njit(cache=True, nogil=True)
def _advance(sums, state, thin, adjacency, log_scores):
    """Make ``thin`` steps before each draw, and write the draws of this chain."""
    d = len(state.layer)
    masks = np.zeros(d, dtype=np.int64)
    room = (masks.copy(), masks.copy(), masks.copy(), np.zeros(d))
    for draw in range(len(adjacency)):
        for _ in range(thin):
            _step(sums, state, room)
            state.steps[0] += 1
            if state.steps[0] % (_AVERAGING_PERIOD * d) == 0:
                add_edge_probabilities(sums, state)
        _draw_masks(sums, state, masks, state.generator ^ _BRANCH)
        for node in range(d):
            log_scores[draw] += sums.log_scores[node, masks[node]]
            for bit in range(sums.candidates.shape[1]):
                if (masks[node] >> bit) & 1:
                    adjacency[draw, sums.candidates[node, bit], node] = 1

"""Where a chain over graphs stands, and how an edge comes and goes.

Glossary: ``C`` chains, ``d`` variables, ``m`` candidates of a node, ``W`` words of a set.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from dag_gfn.mcmc.bitsets import num_words, toggle
from dag_gfn.mcmc.candidates import CandidateTable
from dag_gfn.mcmc.generator import generators

__all__ = ["NUM_MOVES", "Walk", "flip", "forget", "presence", "start_walk", "walk_of"]

NUM_MOVES = 4


class Walk(NamedTuple):
    """Where all chains stand and what they have seen; without the first axis, one chain."""

    masks: NDArray[np.int64]  # [C, d], parents of each node, as in the candidate table
    children: NDArray[np.uint64]  # [C, d, W]
    local_scores: NDArray[np.float64]  # [C, d]
    generator: NDArray[np.uint64]  # [C, 4]
    num_steps: NDArray[np.int64]  # [C, 2], all steps, and those up to when `forget` was called
    since: NDArray[np.int64]  # [C, d, m], first step with an edge, where it is there
    present: NDArray[np.int64]  # [C, d, m], steps with an edge, without those since it last came
    proposed: NDArray[np.int64]  # [C, 4], moves of each kind
    accepted: NDArray[np.int64]  # [C, 4]


def start_walk(
    table: CandidateTable,
    adjacency: NDArray[np.int8],  # [C, d, d]
    *,
    seed: int,
) -> Walk:
    """Put one chain on each graph, whose edges must all be candidates."""
    num_chains, d, _ = adjacency.shape
    m = table.candidates.shape[1]
    nodes = np.arange(d)
    there = adjacency[:, table.candidates, nodes[:, None]].astype(bool) & (table.candidates >= 0)
    # C order, for which the loops are compiled.
    masks = np.ascontiguousarray(np.sum(there * (1 << np.arange(m)), axis=2))
    children = np.zeros((num_chains, d, num_words(d)), dtype=np.uint64)
    chain, cause, effect = np.nonzero(adjacency)
    flags = np.uint64(1) << (effect % 64).astype(np.uint64)
    np.bitwise_or.at(children, (chain, cause, effect // 64), flags)
    return Walk(
        masks=masks,
        children=children,
        local_scores=np.ascontiguousarray(table.log_scores[nodes, masks]),
        generator=generators(seed, num_chains),
        num_steps=np.zeros((num_chains, 2), dtype=np.int64),
        since=np.ones((num_chains, d, m), dtype=np.int64),
        present=np.zeros((num_chains, d, m), dtype=np.int64),
        proposed=np.zeros((num_chains, NUM_MOVES), dtype=np.int64),
        accepted=np.zeros((num_chains, NUM_MOVES), dtype=np.int64),
    )


@numba.njit(nogil=True)
def walk_of(arrays, chain):
    """Return one chain as a `Walk`, without copying, given the arrays of a `Walk` as a tuple."""
    masks, children, local_scores, generator, num_steps, since, present, proposed, accepted = arrays
    return Walk(
        masks[chain],
        children[chain],
        local_scores[chain],
        generator[chain],
        num_steps[chain],
        since[chain],
        present[chain],
        proposed[chain],
        accepted[chain],
    )


@numba.njit(nogil=True)
def flip(walk, child, bit, parent):
    """Add an edge or take it away, in the step that `num_steps` has already counted.

    How long an edge was there is added up when it goes, so that steps in which nothing happens
    cost nothing.
    """
    walk.masks[child] ^= np.int64(1) << bit
    toggle(walk.children[parent], child)
    if (walk.masks[child] >> bit) & 1:
        walk.since[child, bit] = walk.num_steps[0]
    else:
        walk.present[child, bit] += walk.num_steps[0] - walk.since[child, bit]


def forget(walk: Walk) -> None:
    """Count the presence of edges and the moves from here on."""
    walk.num_steps[:, 1] = walk.num_steps[:, 0]
    walk.since[:] = walk.num_steps[:, :1, None] + 1
    for counts in (walk.present, walk.proposed, walk.accepted):
        counts[:] = 0


def presence(walk: Walk, table: CandidateTable) -> NDArray[np.float64]:
    """Return the share of the steps since `forget` that had each edge, float64 [C, d, d].

    Where no step was made, the graph itself.
    """
    num_chains, d, m = walk.since.shape
    there = ((walk.masks[:, :, None] >> np.arange(m)) & 1).astype(bool)
    last, first = walk.num_steps[:, 0, None, None], walk.num_steps[:, 1, None, None]
    steps = walk.present + np.where(there, last + 1 - walk.since, 0)
    share = np.where(last > first, steps / np.maximum(last - first, 1), there)
    known = table.candidates >= 0
    result = np.zeros((num_chains, d, d))
    result[:, table.candidates[known], np.nonzero(known)[0]] = share[:, known]
    return result

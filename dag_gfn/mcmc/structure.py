"""Structure MCMC: chains over graphs that add, delete and turn round one edge at a time.

Glossary: ``C`` chains, ``S`` draws of a chain, ``d`` variables, ``m`` candidates of a node, ``M``
places for an edge, ``W`` words of a set of variables.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from math import exp

import numba
import numpy as np
from numpy.typing import NDArray

from dag_gfn.graphs import is_acyclic
from dag_gfn.mcmc.bitsets import reaches, toggle
from dag_gfn.mcmc.candidates import CandidateTable, candidate_table
from dag_gfn.mcmc.chains import Draws, Kernel
from dag_gfn.mcmc.generator import integer, uniform
from dag_gfn.mcmc.reversal import ParentSums, no_parent_sums, parent_sums, reverse_edge
from dag_gfn.mcmc.starts import random_starts
from dag_gfn.mcmc.walk import Walk, flip, forget, presence, start_walk, walk_of
from dag_gfn.scores import LocalScores

__all__ = ["structure_kernel"]

_MOVES = ("add", "delete", "reverse", "edge reversal")
_ADD, _DELETE, _REVERSE, _EDGE_REVERSAL = range(4)
# Annealing: from scores times 0.01, at which steps of a hundred nats are taken, to the scores.
_INVERSE_TEMPERATURES = np.geomspace(0.01, 1.0, 20)
_ANNEALING_STEPS = 1_000  # of each chain at each temperature, times the number of variables
_HOPELESS = -40.0  # nats; accepted less than once in 10^17 steps, fewer than anyone makes


def structure_kernel(
    scores: LocalScores,
    *,
    num_chains: int,
    seed: int,
    max_candidates: int = 14,
    reversal_period: int = 20,
    initial: NDArray[np.int8] | None = None,
    table: CandidateTable | None = None,
    walk: Walk | None = None,
) -> Kernel:
    """Make Markov chains over DAGs whose limit is the posterior.

    A step draws a place i -> j uniformly from all that the constraints and the candidates leave.
    An edge there is deleted; one the other way is turned round; otherwise it is added. Each of
    these is proposed as often as its opposite, so the Metropolis ratio is that of the scores alone
    [1]_, and a proposal costs two look-ups in a table; only what the score accepts is tested for
    cycles. Every `reversal_period`-th step is an edge-reversal move [2]_ instead.

    Parameters
    ----------
    scores : LocalScores
    num_chains : int
    seed : int
    max_candidates : int, default 14
        See `candidate_table`.
    reversal_period : int, default 20
        0 for no edge-reversal moves.
    initial : array of int8 [C, d, d], optional
        Where the chains start. By default they are annealed: they set out from random graphs and
        make 20 000 d steps in which the scores come to count little by little, from a hundredth to
        their full weight. Each ends in a mode of its own where there are several, and what is seen
        of them does not count.
    table : CandidateTable, optional
        The one that these scores and `max_candidates` make, where it is at hand: it takes seconds.
    walk : Walk, optional
        That of a kernel of the same scores and settings, to go on from where its chains stood; it
        is written to. `seed` and `initial` are not looked at then.

    Returns
    -------
    Kernel
        For `run_chains`. Edge marginals count all steps.

    Raises
    ------
    ValueError
        If the candidate table cannot be made, or an initial graph is not a DAG, breaks the
        constraints or has an edge that is not a candidate.

    References
    ----------
    .. [1] P. Giudici and R. Castelo. "Improving Markov chain Monte Carlo model search for data
       mining." Machine Learning 50, 2003.
    .. [2] M. Grzegorczyk and D. Husmeier. "Improving the structure MCMC sampler for Bayesian
       networks by introducing a new edge reversal move." Machine Learning 71, 2008.

    Examples
    --------
    >>> from dag_gfn.scores import local_scores
    >>> scores = local_scores(np.random.default_rng(0).normal(size=(50, 3)))
    >>> kernel = structure_kernel(scores, num_chains=2, seed=0)
    >>> kernel.advance(10, 100).adjacency.shape
    (2, 10, 3, 3)
    """
    if table is None:
        table = candidate_table(scores, max_candidates)
    d = scores.num_variables
    anneal = initial is None and walk is None
    stand = _start(scores, table, initial, num_chains, seed=seed) if walk is None else walk
    bit_of = _bits(table)
    places = _places(scores, table, bit_of)
    sums = parent_sums(table) if reversal_period else no_parent_sums(table)
    # One task a processor, since a chain needs no other.
    bounds = np.linspace(0, num_chains, min(num_chains, os.cpu_count() or 1) + 1).astype(int)

    def run(num_draws: int, thin: int, reversal_period: int, inverse_temperature: float) -> Draws:
        adjacency = np.zeros((num_chains, num_draws, d, d), dtype=np.int8)
        log_scores = np.empty((num_chains, num_draws))

        def run_some(first: int, last: int) -> None:
            _advance(
                tuple(stand),
                tuple(table),
                tuple(sums),
                places,
                bit_of,
                (first, last, thin, reversal_period, inverse_temperature),
                adjacency,
                log_scores,
            )

        with ThreadPoolExecutor(len(bounds) - 1) as pool:
            list(pool.map(run_some, bounds[:-1], bounds[1:]))
        return Draws(adjacency, log_scores, np.zeros_like(log_scores))

    if anneal:
        for inverse_temperature in _INVERSE_TEMPERATURES:
            run(1, _ANNEALING_STEPS * d, 0, float(inverse_temperature))
        forget(stand)

    def advance(num_draws: int, thin: int) -> Draws:
        return run(num_draws, thin, reversal_period, 1.0)

    def acceptance() -> dict[str, float]:
        proposed, accepted = stand.proposed.sum(axis=0), stand.accepted.sum(axis=0)
        return {
            move: float(accepted[kind] / proposed[kind])
            for kind, move in enumerate(_MOVES)
            if proposed[kind]
        }

    return Kernel(
        advance, lambda: forget(stand), lambda: presence(stand, table), acceptance, walk=stand
    )


def _start(
    scores: LocalScores,
    table: CandidateTable,
    initial: NDArray[np.int8] | None,
    num_chains: int,
    *,
    seed: int,
) -> Walk:
    """Put the chains on random graphs, or on given ones if these are fit."""
    d = scores.num_variables
    if initial is None:
        starts = random_starts(scores, table, num_chains, seed=seed)
    elif initial.shape != (num_chains, d, d) or not np.all(is_acyclic(initial)):
        raise ValueError(
            f"initial must hold one DAG of {d} variables for each of {num_chains} chains, int8 "
            f"[{num_chains}, {d}, {d}]."
        )
    else:
        starts = initial
    walk = start_walk(table, starts, seed=seed)
    num_kept = np.sum(np.bitwise_count(walk.masks), axis=1)
    if not np.all(np.isfinite(walk.local_scores)) or np.any(num_kept != starts.sum(axis=(1, 2))):
        raise ValueError(
            "an initial graph has an edge that is not a candidate or breaks the constraints; start "
            "elsewhere."
        )
    return walk


def _bits(table: CandidateTable) -> NDArray[np.int64]:
    """Return the bit of each variable i among the candidates of j, int64 [d, d], -1 if none."""
    d = len(table.candidates)
    bit_of = np.full((d, d), -1, dtype=np.int64)
    child, bit = np.nonzero(table.candidates >= 0)
    bit_of[table.candidates[child, bit], child] = bit
    return bit_of


def _places(
    scores: LocalScores, table: CandidateTable, bit_of: NDArray[np.int64]
) -> NDArray[np.int64]:
    """List the places for an edge that may come and go, int64 [M, 4].

    A row holds the child, the bit of the parent among its candidates, the parent, and the bit of
    the child among the candidates of the parent, -1 where it is none.
    """
    child, bit = np.nonzero(table.candidates >= 0)
    parent = table.candidates[child, bit]
    fixed = scores.required | scores.required.T | scores.forbidden
    free = ~fixed[parent, child]
    places = np.column_stack([child, bit, parent, bit_of[child, parent]])
    return np.ascontiguousarray(places[free], dtype=np.int64)


# The compiled form is kept on disk with the types of its arguments, so these are plain tuples: the
# name of a class may change with the next version.
@numba.njit(nogil=True, cache=True)
def _advance(walks, tables, all_sums, places, bit_of, plan, adjacency, log_scores):
    """Move the chains from `first` to `last - 1` on, and write their draws."""
    table, sums = CandidateTable(*tables), ParentSums(*all_sums)
    first, last, thin, reversal_period, inverse_temperature = plan
    d = len(bit_of)
    sets = np.empty((3, walks[1].shape[2]), dtype=np.uint64)
    for chain in range(first, last):
        one = walk_of(walks, chain)
        until_reversal = reversal_period - one.num_steps[0] % max(reversal_period, 1)
        for draw in range(adjacency.shape[1]):
            for _ in range(thin):
                one.num_steps[0] += 1
                until_reversal -= 1
                if until_reversal == 0:
                    until_reversal = reversal_period
                    one.proposed[_EDGE_REVERSAL] += 1
                    one.accepted[_EDGE_REVERSAL] += reverse_edge(one, table, bit_of, sums, sets)
                elif len(places):
                    _single_edge(one, table, places, sets, inverse_temperature)
            for child in range(d):
                for bit in range(table.candidates.shape[1]):
                    if (one.masks[child] >> bit) & 1:
                        adjacency[chain, draw, table.candidates[child, bit], child] = 1
            log_scores[chain, draw] = one.local_scores.sum()


@numba.njit(nogil=True)
def _single_edge(walk, table, places, sets, inverse_temperature):
    """Propose to add, delete or turn round one edge, with scores over a temperature."""
    place = integer(walk.generator, len(places))
    child, bit, parent, back = (
        places[place, 0],
        places[place, 1],
        places[place, 2],
        places[place, 3],
    )
    new_mask = walk.masks[child] ^ (np.int64(1) << bit)
    new_score = table.log_scores[child, new_mask]
    gain = new_score - walk.local_scores[child]
    other_mask, other_score = np.int64(0), 0.0
    if (walk.masks[child] >> bit) & 1:
        kind = _DELETE
    elif back >= 0 and (walk.masks[parent] >> back) & 1:
        kind = _REVERSE
        other_mask = walk.masks[parent] ^ (np.int64(1) << back)
        other_score = table.log_scores[parent, other_mask]
        gain += other_score - walk.local_scores[parent]
    else:
        kind = _ADD
    walk.proposed[kind] += 1
    gain *= inverse_temperature
    if gain < 0 and (gain < _HOPELESS or uniform(walk.generator) >= exp(gain)):
        return
    if kind == _DELETE:
        flip(walk, child, bit, parent)
    elif kind == _ADD:
        if reaches(walk.children, child, parent, sets[0], sets[1]):
            return
        flip(walk, child, bit, parent)
    else:
        toggle(walk.children[child], parent)
        cyclic = reaches(walk.children, child, parent, sets[0], sets[1])
        toggle(walk.children[child], parent)
        if cyclic:
            return
        flip(walk, parent, back, child)
        flip(walk, child, bit, parent)
        walk.local_scores[parent] = other_score
    walk.local_scores[child] = new_score
    walk.accepted[kind] += 1

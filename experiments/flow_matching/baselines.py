"""What a learned sampler of the hypergrid is held against: a Markov chain and random walks.

numba compiles them, as both take millions of steps one by one.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from experiments.flow_matching.curves import Checkpoint, Grid, Visits, checkpoints_at


def metropolis_curve(
    made: Grid, seed: int, *, num_states: int, num_chains: int = 16
) -> list[Checkpoint]:
    """Walk by Metropolis-Hastings, and compare the states of all chains with the target.

    Chains start where trajectories do. A step proposes one more or one less in a coordinate, and
    stays if that leaves the grid; the state after each step counts as visited and as drawn.
    """
    side, log_reward = _reward_table(made)
    generator = np.random.default_rng(seed)
    states = np.zeros((num_chains, len(made.weights)), np.int64)
    chunk = 100  # steps of each chain
    visits, curve = Visits(made), []
    num_chunks = num_states // (chunk * num_chains)
    looks = checkpoints_at(num_chunks)
    for number in range(1, num_chunks + 1):
        cells = _metropolis(log_reward, made.weights, side, states, chunk, generator)
        visits.add(cells, chunk * num_chains)
        if number in looks:
            curve.append(visits.checkpoint())
    return curve


def random_curve(made: Grid, seed: int, *, num_states: int) -> list[Checkpoint]:
    """Build objects by actions that are drawn uniformly among the legal ones."""
    side, _ = _reward_table(made)
    generator = np.random.default_rng(seed)
    visits, curve, number = Visits(made), [], 0
    chunk = 500  # objects
    # Objects take at least one state each, so there are no more chunks than this.
    looks = checkpoints_at(num_states // chunk)
    while visits.states < num_states:
        number += 1
        cells, states = _random_walks(len(made.weights), side, chunk, generator)
        visits.add(cells, states)
        if number in looks:
            curve.append(visits.checkpoint())
    return [*curve, visits.checkpoint()]


def _reward_table(made: Grid) -> tuple[int, NDArray[np.float64]]:
    """Return the cells on a side, and log R by the number of the cell."""
    return int(np.asarray(made.enumeration.states).max()) + 1, made.enumeration.log_reward[
        made.place
    ]


@numba.njit
def _metropolis(log_reward, weights, side, states, num_steps, generator):
    """Walk all chains on, in place, and return the states after each step, [steps, chains, D]."""
    num_chains, dimension = states.shape
    visited = np.empty((num_steps, num_chains, dimension), np.int64)
    for step in range(num_steps):
        for chain in range(num_chains):
            state = states[chain]
            axis = generator.integers(0, dimension)
            by = 2 * generator.integers(0, 2) - 1
            if 0 <= state[axis] + by < side:
                here = 0
                for other in range(dimension):
                    here += weights[other] * state[other]
                gain = log_reward[here + by * weights[axis]] - log_reward[here]
                if np.log(generator.random()) < gain:
                    state[axis] += by
            visited[step, chain] = state
    return visited


@numba.njit
def _random_walks(dimension, side, num_objects, generator):
    """Return objects, [objects, D], and how many states were visited on the way to them."""
    cells = np.zeros((num_objects, dimension), np.int64)
    num_states = 0
    for row in range(num_objects):
        state = cells[row]
        while True:
            num_states += 1
            legal = np.flatnonzero(state < side - 1)
            choice = generator.integers(0, len(legal) + 1)
            if choice == len(legal):
                break
            state[legal[choice]] += 1
    return cells, num_states

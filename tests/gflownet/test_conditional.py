"""Flows that know where they began, against sums over what is reached from there."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from dag_gfn.gflownet.conditional import Conditional, begin_at, conditional
from dag_gfn.gflownet.enumeration import enumerate_states
from dag_gfn.gflownet.generic import (
    GenericSettings,
    evaluate_policy,
    init,
    roll_out,
    update,
    walk_back,
)
from dag_gfn.gflownet.spaces import binary_vectors, dag_edges, hypergrid, sequences
from dag_gfn.scores import local_scores


def pairs_that_agree(vectors: jax.Array) -> jax.Array:
    return 1.5 * (vectors[:, 1:] == vectors[:, :-1]).sum(axis=1) - vectors[:, 0]


def graphs():
    values = np.random.default_rng(0).normal(size=(15, 3))
    values[:, 1] += values[:, 0]
    return dag_edges(local_scores(values))


SPACES = {
    "hypergrid": lambda: hypergrid(2, 4),
    "both ends": lambda: sequences(3, 2, pairs_that_agree, both_ends=True),
    "binary vectors": lambda: binary_vectors(3, pairs_that_agree),
    "graphs": graphs,
}


def at(states, rows):
    return jax.tree.map(lambda leaf: leaf[rows], states)


def same(one, other) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.allclose(a, b, atol=1e-4) for a, b in pairs)


@pytest.mark.parametrize("name", SPACES)
def test_backward_walks_end_where_the_sampler_began(name):
    space = SPACES[name]()
    found = enumerate_states(space)
    num = len(found.depth)
    first, second = np.divmod(np.arange(num**2), num)
    reached = np.asarray(space.reaches(at(found.states, first), at(found.states, second)))
    first, second = first[reached], second[reached]
    pairs = Conditional(at(found.states, first), at(found.states, second))
    settings = GenericSettings(width=4)
    rollout = walk_back(conditional(space), settings, None, jax.random.key(0), pairs)
    assert same(at(rollout.states.state, 0), pairs.start)
    steps = found.depth[second] - found.depth[first]
    np.testing.assert_array_equal(rollout.is_action.sum(axis=0), steps + 1)


def test_the_flow_at_a_start_is_the_reward_of_all_that_it_reaches():
    space = binary_vectors(3, pairs_that_agree)
    found = enumerate_states(space)
    num = len(found.depth)
    first, second = np.divmod(np.arange(num**2), num)
    reached = space.reaches(at(found.states, first), at(found.states, second))
    log_reward = np.where(np.reshape(reached, (num, num)), found.log_reward, -np.inf)
    expected = logsumexp(log_reward, axis=1)

    known = conditional(space)
    settings = GenericSettings("detailed_balance", width=64, learning_rate=5e-3)

    @partial(jax.jit, static_argnames="num_updates")
    def train(state, num_updates):
        def learn(state, _):
            key, key_start, key_walk = jax.random.split(state.key, 3)
            starts = jax.random.randint(key_start, (settings.batch_size,), 0, num)
            rollout = roll_out(
                known,
                settings,
                state.params["network"],
                key_walk,
                begin_at(at(found.states, starts)),
            )
            return update(known, settings, state._replace(key=key), rollout)

        return jax.lax.scan(learn, state, None, length=num_updates)

    state, losses = train(init(known, settings, jax.random.key(0)), 1500)
    output = evaluate_policy(known, settings, state.params["network"], begin_at(found.states))
    assert np.abs(np.asarray(output.log_flow) - expected).max() < 0.15
    assert jnp.mean(losses[-100:]) < 0.01

"""Energy-based training: its kernel leaves the model as it is, and both parts learn a known one."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from dag_gfn.gflownet.energy import (
    EnergyModel,
    EnergySettings,
    init,
    log_likelihood,
    log_weights,
    metropolis,
    propose,
    train,
)
from dag_gfn.gflownet.enumeration import enumerate_states, terminal_log_prob
from dag_gfn.gflownet.generic import GenericSettings, evaluate_policy
from dag_gfn.gflownet.spaces import binary_vectors, hypergrid


def number(bits):
    """Read vectors of bits as numbers, int32 [B]."""
    return bits @ (2 ** jnp.arange(bits.shape[1]))


# An energy of its own for each of the vectors.
TABLE = {
    d: EnergyModel(
        init=lambda key, d=d: jnp.zeros(2**d), apply=lambda table, bits: table[number(bits)]
    )
    for d in (3, 6)
}
SPACE = {d: binary_vectors(d, lambda bits: jnp.zeros(len(bits))) for d in (3, 6)}


@pytest.fixture(scope="module")
def listed():
    """All states of vectors of six bits, and which are objects, by their number."""
    fast = SPACE[6]._replace(step=jax.jit(SPACE[6].step), mask=jax.jit(SPACE[6].mask))
    found = enumerate_states(fast)
    (objects,) = np.nonzero(found.log_reward > -np.inf)
    bits = np.asarray(found.states)[objects]
    return found, objects[np.argsort(bits @ 2 ** np.arange(6))]


def log_probabilities(listed, settings, params):
    """Exact log-probabilities with which the policy ends at each vector, by its number."""
    found, objects = listed
    evaluate = jax.jit(evaluate_policy, static_argnums=(0, 1))
    output = evaluate(SPACE[6], settings, params, found.states)
    return terminal_log_prob(found, np.asarray(output.log_forward))[objects]


def scrambled(space, settings, scale=1.0):
    """Parameters of a policy that is far from uniform, forward and backward."""
    state = init(space, settings, TABLE[space.max_steps], jax.random.key(0))
    leaves, structure = jax.tree.flatten(state.policy.params["network"])
    keys = jax.random.split(jax.random.key(1), len(leaves))
    noise = [scale * jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, noise)


@pytest.mark.parametrize("learned_backward", [False, True])
def test_the_kernel_is_reversible(learned_backward):
    space, num_chains = SPACE[3], 40_000
    policy = GenericSettings(width=4, learned_backward=learned_backward)
    params = scrambled(space, EnergySettings(policy))
    energies = jnp.array([0.0, 1.0, -1.0, 2.0, 0.5, -0.5, 1.5, 0.0])
    keys = jax.random.split(jax.random.key(2), 3)
    drawn = jax.random.categorical(keys[0], -energies, shape=(num_chains,))
    bits = (drawn[:, None] >> jnp.arange(3)) & 1

    @jax.jit
    def move(num_steps):
        proposal = propose(space, policy, params, keys[1], bits, num_steps=num_steps)
        corrected, accepted = metropolis(lambda x: energies[number(x)], keys[2], bits, proposal)
        return proposal.objects, corrected, accepted

    def largest_z(after):
        joint = np.zeros((8, 8))
        np.add.at(joint, (np.asarray(drawn), np.asarray(after) @ 2 ** np.arange(3)), 1)
        # Of as many moves there as back, the difference has the variance of a fair coin.
        moves = np.maximum(joint + joint.T, 1)
        return np.abs((joint - joint.T) / np.sqrt(moves)).max()

    for num_steps in (1, 2, 3):
        proposed, corrected, accepted = move(num_steps)
        assert 0.05 < accepted.mean() < 0.95
        assert largest_z(corrected) < 4.5  # of 28 pairs; one in 5 000 where it is reversible
        assert largest_z(proposed) > 10.0
        assert int((np.asarray(proposed) != np.asarray(bits)).sum(axis=1).max()) == num_steps


@pytest.fixture(scope="module")
def trained():
    """Energy and sampler of 64 vectors whose distribution is known."""
    rng = np.random.default_rng(0)
    log_target = rng.normal(scale=1.2, size=64)
    log_target -= logsumexp(log_target)
    rows = rng.choice(64, size=20_000, p=np.exp(log_target))
    data = jnp.asarray((rows[:, None] >> np.arange(6)) & 1, jnp.int32)
    policy = GenericSettings(width=64, batch_size=32, exploration=0.0, learning_rate=3e-3)
    settings = EnergySettings(
        policy, num_back=32, data_batch_size=96, steps_back=6, warmup=500, energy_learning_rate=1e-2
    )
    state = init(SPACE[6], settings, TABLE[6], jax.random.key(0))
    before = state
    state, progress = train(SPACE[6], settings, TABLE[6], state=state, data=data, num_updates=2000)
    counts = np.bincount(rows, minlength=64)
    return settings, before, state, progress, counts / counts.sum()


def total_variation(log_prob, target):
    return 0.5 * np.abs(np.exp(log_prob - logsumexp(log_prob)) - target).sum()


def test_a_run_begins_balanced(trained, listed):
    settings, before, _, progress, _ = trained
    log_prob = log_probabilities(listed, settings.policy, before.policy.params["network"])
    np.testing.assert_allclose(log_prob, -6 * np.log(2), atol=1e-4)
    assert 100.0 * float(before.policy.params["log_z"]) == pytest.approx(6 * np.log(2), abs=1e-4)
    assert progress.policy_loss[0] < 1e-6
    assert progress.acceptance[0] == 1.0


def test_energy_and_sampler_learn_a_known_distribution(trained, listed):
    settings, _, state, _, target = trained
    assert int(state.num_updates) == 2000
    uniform = total_variation(np.zeros(64), target)
    energy = total_variation(-np.asarray(state.energy_params, float), target)
    log_prob = log_probabilities(listed, settings.policy, state.policy.params["network"])
    sampler = total_variation(log_prob, target)
    assert energy < 0.06 < uniform
    assert sampler < 0.06


def test_likelihood_and_partition_are_those_of_the_enumeration(trained, listed):
    settings, _, state, _, _ = trained
    params = state.policy.params["network"]
    exact = log_probabilities(listed, settings.policy, params)
    found, objects = listed
    estimate = log_likelihood(
        SPACE[6],
        settings.policy,
        params,
        jax.random.key(3),
        objects=found.states[objects],
        num_trajectories=200,
    )
    np.testing.assert_allclose(estimate, exact, atol=0.1)
    _, weights = log_weights(
        SPACE[6],
        settings.policy,
        params,
        jax.random.key(4),
        energy=TABLE[6].apply,
        energy_params=state.energy_params,
        num_draws=4000,
    )
    weights = np.asarray(weights, float)
    log_z = logsumexp(weights) - np.log(4000)
    spread = np.exp(weights - log_z).std() / np.sqrt(4000)
    assert log_z == pytest.approx(logsumexp(-np.asarray(state.energy_params)), abs=4.5 * spread)


@pytest.mark.parametrize("steps_back", [0, 4])
def test_steps_that_the_space_does_not_have_are_refused(steps_back):
    with pytest.raises(ValueError, match=f"must be from 1 to 3.*not {steps_back}"):
        init(SPACE[3], EnergySettings(steps_back=steps_back), TABLE[3], jax.random.key(0))


def test_more_rows_for_the_policy_than_there_are_is_refused():
    with pytest.raises(ValueError, match="data_batch_size, which is 8, not 9"):
        init(SPACE[3], EnergySettings(num_back=9, data_batch_size=8), TABLE[3], jax.random.key(0))


def test_spaces_whose_objects_differ_in_length_are_refused():
    with pytest.raises(ValueError, match="may stop at its initial state"):
        init(hypergrid(2, 3), EnergySettings(), TABLE[3], jax.random.key(0))

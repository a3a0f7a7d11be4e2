"""Bit strings with modes at known places, written word by word (Malkin et al. 2022).

The reward falls exponentially with the Hamming distance to the closest mode. Strings are written
from left to right, so that each has one trajectory: its probability under a policy is a product,
and every state has one parent.

Glossary: ``B`` batch, ``n`` bits, ``k`` bits of a word, ``L = n / k`` words, ``M`` modes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from dag_gfn.gflownet.generic import (
    LOG_Z_SCALE,
    GenericSettings,
    GenericState,
    Rollout,
    evaluate_policy,
    init,
    roll_out,
    update,
)
from dag_gfn.gflownet.spaces import Space, sequences
from dag_gfn.gflownet.spaces.sequences import Sequence

PIECE = 128  # strings whose prefixes are evaluated at once
BLOCKS = ("00000000", "11111111", "11110000", "00001111", "00111100")


class Landscape(NamedTuple):
    """Strings of bits, written in words, and their reward."""

    space: Space
    modes: NDArray[np.int8]  # [M, n]
    word_length: int  # k
    slope: float  # log R falls by as much with each bit of distance


def draw_modes(num_modes: int, num_bits: int, seed: int) -> NDArray[np.int8]:
    """Return modes, int8 [M, n], each a random concatenation of `BLOCKS`."""
    blocks = np.array([[int(bit) for bit in block] for block in BLOCKS], np.int8)
    length = blocks.shape[1]
    if num_bits % length:
        raise ValueError(f"num_bits must be a multiple of {length}, not {num_bits}.")
    chosen = np.random.default_rng(seed).integers(len(blocks), size=(num_modes, num_bits // length))
    return blocks[chosen].reshape(num_modes, num_bits)


def landscape(modes: NDArray[np.int8], word_length: int, *, slope: float) -> Landscape:
    """Return the space of strings of words, with log R(x) = - slope min_y d(x, y).

    A constant factor of the reward changes neither the target nor what is learned, but for log Z.
    """
    num_bits = modes.shape[1]
    if num_bits % word_length:
        raise ValueError(f"word_length must divide {num_bits}, and {word_length} does not.")

    def log_reward(tokens: jax.Array) -> jax.Array:
        return -slope * distances(bits_of(tokens, word_length), modes).min(axis=1)

    space = sequences(num_bits // word_length, 2**word_length, log_reward)
    return Landscape(space, modes, word_length, slope)


def bits_of(tokens: jax.Array, word_length: int) -> jax.Array:
    """Return the bits of words, int32 [B, n], the highest first."""
    shifts = jnp.arange(word_length - 1, -1, -1)
    return ((tokens[..., None] >> shifts) & 1).reshape(*tokens.shape[:-1], -1)


def words_of(bits: NDArray[np.integer], word_length: int) -> NDArray[np.int32]:
    """Return the words of bits, int32 [B, L]; the inverse of `bits_of`."""
    powers = 2 ** np.arange(word_length - 1, -1, -1)
    return (bits.reshape(len(bits), -1, word_length) @ powers).astype(np.int32)


def distances(bits: jax.Array, modes: NDArray[np.int8]) -> jax.Array:
    """Return Hamming distances, float32 [B, M]."""
    ones, theirs = jnp.asarray(bits, jnp.float32), jnp.asarray(modes, jnp.float32)
    return ones.sum(axis=1)[:, None] + theirs.sum(axis=1) - 2 * ones @ theirs.T


def flipped(modes: NDArray[np.int8], seed: int) -> NDArray[np.int8]:
    """Return held-out strings, int8 [M n, n]: each mode with 0 to n - 1 random bits flipped."""
    generator = np.random.default_rng(seed)
    num_modes, num_bits = modes.shape
    order = np.argsort(generator.random((num_modes, num_bits, num_bits)), axis=2)
    is_flipped = order < np.arange(num_bits)[None, :, None]
    return (modes[:, None] ^ is_flipped).reshape(-1, num_bits)


def exact_draws(made: Landscape, num: int, generator: np.random.Generator) -> NDArray[np.int8]:
    """Return independent draws from the target, int8 [num, n], by rejection.

    A mode is drawn, and each of its bits flipped with probability 1 / (1 + e^slope): that is the
    target with the sum over modes in the place of the largest, so a string is kept with the
    probability of their ratio.
    """
    flip = 1 / (1 + np.exp(made.slope))
    kept: list[NDArray[np.int8]] = []
    while sum(len(batch) for batch in kept) < num:
        centre = made.modes[generator.integers(len(made.modes), size=num)]
        bits = centre ^ (generator.random(centre.shape) < flip)
        log_terms = -made.slope * np.asarray(distances(jnp.asarray(bits), made.modes))
        ratio = 1 / np.exp(log_terms - log_terms.max(axis=1, keepdims=True)).sum(axis=1)
        kept.append(bits[generator.random(num) < ratio])
    return np.concatenate(kept)[:num]


def log_probability(
    space: Space, settings: GenericSettings, params: Any, tokens: jax.Array
) -> jax.Array:
    """Return the log-probability that a policy writes each string, float32 [B].

    The sum of log P_F along its only trajectory, in pieces of `PIECE` strings to bound the memory.
    """
    length = tokens.shape[1]
    place = jnp.arange(length)

    def of_one(string: jax.Array) -> jax.Array:
        prefixes = jnp.where(place[None, :] < place[:, None], string, -1)
        states = Sequence(prefixes, place.astype(jnp.int32))
        log_forward = evaluate_policy(space, settings, params, states).log_forward
        return log_forward[place, string].sum()

    return jax.lax.map(of_one, tokens, batch_size=PIECE)


def flow_matching_loss(
    space: Space, settings: GenericSettings, params: Any, rollout: Rollout
) -> jax.Array:
    """Return the flow-matching loss where each state has one parent, which was just left.

    `dag_gfn.gflownet.generic` evaluates the parents by all actions, 256 for words of 8 bits; here
    what flows in is the flow of the action that was taken, which is already known.
    """
    places, batch_size = rollout.action.shape
    flow = evaluate_policy(space, settings, params, _flat(rollout)).log_edge_flow
    flow = flow.reshape(places + 1, batch_size, -1)
    inflow = jnp.take_along_axis(flow[:-2], rollout.action[:-1, :, None], axis=2)[..., 0]
    return jnp.mean((inflow - jax.nn.logsumexp(flow[1:-1], axis=2)) ** 2)


def _flat(rollout: Rollout) -> Sequence:
    """Return all states of a batch of trajectories as one batch."""
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), rollout.states)


def learn_flow(
    space: Space, settings: GenericSettings, state: GenericState, rollout: Rollout
) -> tuple[GenericState, jax.Array]:
    """Run one update of Adam, as `update` does, by `flow_matching_loss`."""

    def loss_of(params: Any) -> jax.Array:
        return flow_matching_loss(space, settings, params["network"], rollout)

    loss, gradient = jax.value_and_grad(loss_of)(state.params)
    optimizer = optax.adam(settings.learning_rate)
    change, optimizer_state = optimizer.update(gradient, state.optimizer_state)
    return GenericState(optax.apply_updates(state.params, change), optimizer_state, state.key), loss


def first_state(made: Landscape, settings: GenericSettings, seed: int) -> GenericState:
    """Return the state before the first update, with log Z as one batch estimates it.

    The mean of log R - log P_F. From zero, the learned log Z takes a thousand updates to come
    there, and meanwhile trajectory balance only teaches to make what is drawn rarer.
    """
    space = made.space
    state = init(space, settings, jax.random.key(seed))

    @jax.jit
    def estimate(params: Any, key: jax.Array) -> jax.Array:
        rollout = roll_out(space, settings, params, key, space.initial(settings.batch_size))
        # All strings are as long, so there is no padding, and to stop is certain.
        policy = evaluate_policy(space, settings, params, _flat(rollout)).log_forward
        policy = policy.reshape(*rollout.states.length.shape, -1)[:-1]
        taken = jnp.take_along_axis(policy, rollout.action[..., None], axis=2)[..., 0]
        final = jax.tree.map(lambda leaf: leaf[-1], rollout.states)
        return jnp.mean(space.log_reward(final) - taken.sum(axis=0))

    key, key_walk = jax.random.split(state.key)
    log_z = estimate(state.params["network"], key_walk)
    return state._replace(params=state.params | {"log_z": log_z / LOG_Z_SCALE}, key=key)


def trainer(
    made: Landscape, settings: GenericSettings
) -> Callable[..., tuple[GenericState, tuple[jax.Array, jax.Array]]]:
    """Return a compiled function of a state and a number of updates.

    It returns the state behind them, the losses, float32 [updates], and how close each mode was
    come to, float32 [updates, M].
    """
    space = made.space
    learn = learn_flow if settings.objective == "flow_matching" else update

    def walk_and_learn(
        state: GenericState, _: None
    ) -> tuple[GenericState, tuple[jax.Array, jax.Array]]:
        key, key_walk = jax.random.split(state.key)
        start = space.initial(settings.batch_size)
        rollout = roll_out(space, settings, state.params["network"], key_walk, start)
        state, loss = learn(space, settings, state._replace(key=key), rollout)
        bits = bits_of(rollout.states.tokens[-1], made.word_length)
        return state, (loss, distances(bits, made.modes).min(axis=0))

    @partial(jax.jit, static_argnames="num_updates")
    def train(
        state: GenericState, num_updates: int
    ) -> tuple[GenericState, tuple[jax.Array, jax.Array]]:
        return jax.lax.scan(walk_and_learn, state, None, length=num_updates)

    return train

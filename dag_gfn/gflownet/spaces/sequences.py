"""Sequences of fixed length over an alphabet, written from left to right or at both ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from dag_gfn.gflownet.spaces.base import Space


class Sequence(NamedTuple):
    """A batch of sequences under construction."""

    tokens: jax.Array  # int32 [B, L], -1 where nothing is written yet, which is on the right
    length: jax.Array  # int32 [B]


def sequences(
    length: int,
    alphabet_size: int,
    log_reward: Callable[[jax.Array], jax.Array],
    *,
    both_ends: bool = False,
) -> Space:
    """Return the sequences of ``length`` tokens; only whole ones are terminal.

    Parameters
    ----------
    length, alphabet_size : int
        ``L`` and ``K``, at least 1.
    log_reward : callable
        Of tokens int32 [B, L], each less than ``K``, float32 [B].
    both_ends : bool
        Action ``k`` writes the token ``k`` behind the others, and with ``both_ends`` the action
        ``K + k`` before them. Otherwise each sequence has one trajectory.

    Returns
    -------
    Space
        States are `Sequence`.

    Raises
    ------
    ValueError
        If a size is too small.

    Examples
    --------
    >>> space = sequences(3, 2, lambda tokens: tokens.sum(axis=1).astype(float), both_ends=True)
    >>> state = space.step(space.initial(1), jnp.array([0]))
    >>> space.step(state, jnp.array([3])).tokens
    Array([[ 1,  0, -1]], dtype=int32)
    """
    if length < 1 or alphabet_size < 1:
        raise ValueError(
            f"length and alphabet_size must be at least 1, not {length} and {alphabet_size}."
        )
    place = jnp.arange(length)

    def step(state: Sequence, action: jax.Array) -> Sequence:
        before, token = action >= alphabet_size, action % alphabet_size
        moved = jnp.where(before[:, None], jnp.roll(state.tokens, 1, axis=1), state.tokens)
        written_at = jnp.where(before, 0, state.length)
        tokens = jnp.where(place == written_at[:, None], token[:, None], moved)
        return Sequence(tokens, state.length + 1)

    def undo(state: Sequence, action: jax.Array) -> Sequence:
        before = (action >= alphabet_size)[:, None]
        tokens = jnp.where(before, jnp.roll(state.tokens, -1, axis=1), state.tokens)
        length_before = state.length - 1
        return Sequence(jnp.where(place < length_before[:, None], tokens, -1), length_before)

    def mask(state: Sequence) -> jax.Array:
        whole = (state.length == length)[:, None]
        num_actions = alphabet_size * (1 + both_ends)
        return jnp.concatenate([jnp.repeat(~whole, num_actions, axis=1), whole], axis=1)

    def backward_mask(state: Sequence) -> jax.Array:
        last = jnp.take_along_axis(state.tokens, jnp.maximum(state.length - 1, 0)[:, None], axis=1)
        ends = [last, state.tokens[:, :1]][: 1 + both_ends]
        # An empty sequence has no token, which is -1.
        return jnp.concatenate([end == jnp.arange(alphabet_size) for end in ends], axis=1)

    def reaches(state: Sequence, later: Sequence) -> jax.Array:
        def stands_at(offset: int) -> jax.Array:
            behind = jnp.roll(later.tokens, -offset, axis=1)
            same = jnp.all((place >= state.length[:, None]) | (behind == state.tokens), axis=1)
            return same & (state.length + offset <= later.length)

        offsets = range(length) if both_ends else range(1)
        return jnp.any(jnp.stack([stands_at(offset) for offset in offsets]), axis=0)

    return Space(
        num_actions=alphabet_size * (1 + both_ends),
        max_steps=length,
        initial=lambda batch_size: Sequence(
            jnp.full((batch_size, length), -1, jnp.int32), jnp.zeros(batch_size, jnp.int32)
        ),
        step=step,
        undo=undo,
        mask=mask,
        backward_mask=backward_mask,
        reaches=reaches,
        log_reward=lambda state: log_reward(state.tokens),
        observe=lambda state: jax.nn.one_hot(state.tokens, alphabet_size).reshape(
            len(state.length), -1
        ),
    )

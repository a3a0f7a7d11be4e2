"""Binary vectors whose coordinates are set in any order (Zhang et al. 2022, arXiv 2202.01361)."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from dag_gfn.gflownet.spaces.base import Space


def binary_vectors(num_coordinates: int, log_reward: Callable[[jax.Array], jax.Array]) -> Space:
    """Return the vectors in {0, 1}; only those without an open coordinate are terminal.

    Parameters
    ----------
    num_coordinates : int
        ``d``, at least 1.
    log_reward : callable
        Of vectors int32 [B, d], float32 [B].

    Returns
    -------
    Space
        States are int32 [B, d], -1 where a coordinate is open; action ``2 i + v`` sets coordinate
        ``i`` to ``v``.

    Raises
    ------
    ValueError
        If there is no coordinate.

    Examples
    --------
    >>> space = binary_vectors(3, lambda vector: vector.sum(axis=1).astype(float))
    >>> space.step(space.initial(1), jnp.array([3]))
    Array([[-1,  1, -1]], dtype=int32)
    """
    if num_coordinates < 1:
        raise ValueError(f"num_coordinates must be at least 1, not {num_coordinates}.")
    coordinate = jnp.arange(num_coordinates)

    def write(state: jax.Array, action: jax.Array, value: jax.Array | int) -> jax.Array:
        return jnp.where(coordinate == (action // 2)[:, None], value, state)

    def mask(state: jax.Array) -> jax.Array:
        is_open = state == -1
        done = ~is_open.any(axis=1, keepdims=True)
        return jnp.concatenate([jnp.repeat(is_open, 2, axis=1), done], axis=1)

    def observe(state: jax.Array) -> jax.Array:
        return jnp.concatenate([state == 0, state == 1], axis=1).astype(jnp.float32)

    return Space(
        num_actions=2 * num_coordinates,
        max_steps=num_coordinates,
        initial=lambda batch_size: jnp.full((batch_size, num_coordinates), -1, jnp.int32),
        step=lambda state, action: write(state, action, (action % 2)[:, None]),
        undo=lambda state, action: write(state, action, -1),
        mask=mask,
        backward_mask=lambda state: jnp.stack([state == 0, state == 1], axis=2).reshape(
            len(state), -1
        ),
        reaches=lambda state, later: jnp.all((state == -1) | (state == later), axis=1),
        log_reward=log_reward,
        observe=observe,
    )

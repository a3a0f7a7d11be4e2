"""A replay of streams of steps, from which windows of consecutive steps are drawn.

The environments write one row per step into a ring of ``T`` rows; a window is a run of ``K + 1``
rows of one environment that does not cross the place where the ring is being written.

Everything a step holds is packed into one row of numbers, so that a window is one stretch of
memory: a ring for each field costs a cache miss for each row of each field, which at few variables
takes longer than the network does.

Glossary: ``T`` rows of the ring, ``B`` environments, ``F`` numbers in a row, ``K`` steps in a
window, ``N`` windows.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import jax
import jax.numpy as jnp

from dag_gfn.gflownet.policy import Observation


class Step(NamedTuple):
    """One step of every environment; leading axes [B] or [N, K + 1]."""

    observation: Observation  # before the action
    action: jax.Array  # int32
    delta: jax.Array  # float32, log R after minus log R before


class Replay(NamedTuple):
    """The ring."""

    ring: jax.Array  # float32 [B, T, F]
    written: jax.Array  # int32 [], rows written since the beginning


def empty(like: Step, num_rows: int) -> Replay:
    """Return an empty ring for steps of the shapes of ``like`` (leaves [B, ...])."""
    packed = jax.eval_shape(_packed, like)
    ring = jnp.zeros((packed.shape[0], num_rows, packed.shape[1]), packed.dtype)
    return Replay(ring=ring, written=jnp.zeros((), jnp.int32))


def write(replay: Replay, step: Step) -> Replay:
    """Write one row, over the oldest when the ring is full."""
    row = replay.written % replay.ring.shape[1]
    ring = jax.lax.dynamic_update_index_in_dim(replay.ring, _packed(step), row, 1)
    return Replay(ring=ring, written=replay.written + 1)


def sample_windows(
    replay: Replay, key: jax.Array, num_windows: int, num_steps: int, *, like: Step
) -> Step:
    """Draw ``num_windows`` windows uniformly, with replacement.

    Parameters
    ----------
    replay : Replay
        At least ``num_steps + 1`` rows must have been written.
    key : key
    num_windows : int
    num_steps : int
        ``K``; a window has ``K + 1`` rows.
    like : Step
        Any step of the shapes and types that were written (leaves [B, ...]).

    Returns
    -------
    Step
        Leaves [N, K + 1, ...].
    """
    num_environments, num_rows, _ = replay.ring.shape
    filled = jnp.minimum(replay.written, num_rows)
    oldest = replay.written - filled
    key_row, key_environment = jax.random.split(key)
    offset = jax.random.randint(key_row, (num_windows,), 0, filled - num_steps)
    environment = jax.random.randint(key_environment, (num_windows,), 0, num_environments)
    rows = (oldest + offset[:, None] + jnp.arange(num_steps + 1)) % num_rows  # [N, K + 1]
    return _unpacked(replay.ring[environment[:, None], rows], like)


def _packed(step: Step) -> jax.Array:
    """Lay all fields side by side, float32 [B, F]; exact for integers up to 2^24."""
    leaves = jax.tree.leaves(step)
    flat = [leaf.reshape(leaf.shape[0], -1).astype(jnp.float32) for leaf in leaves]
    return jnp.concatenate(flat, axis=1)


def _unpacked(packed: jax.Array, like: Step) -> Step:
    """Undo `_packed` on rows [..., F]."""
    leaves, structure = jax.tree.flatten(like)
    begin, fields = 0, []
    for leaf in leaves:
        end = begin + prod(leaf.shape[1:])
        field = packed[..., begin:end].reshape(*packed.shape[:-1], *leaf.shape[1:])
        fields.append(field.astype(leaf.dtype))
        begin = end
    return jax.tree.unflatten(structure, fields)
